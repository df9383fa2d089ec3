//! Links and codes that were mailed before an address was changed, or an account suspended or deleted: they open nothing any more.

use arkloop::domain::{Email, Password, Username};
use arkloop::service::{NewUser, UserRef};
use serde_json::json;

use super::mailed::{Mailed, NEW_PASSWORD, PAUSE, address};
use crate::support::{PASSWORD, TestApp};

const VOID: &str = "422 email.token_invalid";
const RESET_VOID: &str = "422 auth.reset_token_invalid";
const CODE_VOID: &str = "422 auth.otp_invalid";

/// Everything that was mailed to one address.
struct Held {
    verification: String,
    reset: String,
    code: String,
}

/// Registers an account, leaves its address unverified, and asks for every kind of mail.
async fn registered(mailed: &Mailed, login: &str) -> Held {
    let (_, verification) = mailed.register(login).await;
    let reset = mailed.reset_token_to(login).await;
    let code = mailed.code_to(login).await;
    Held {
        verification,
        reset,
        code,
    }
}

impl Held {
    async fn assert_void(&self, mailed: &Mailed, addresses: &[&str], when: &str) {
        for what in ["preview", "confirm", "reject"] {
            let answer = mailed.verify(what, &self.verification).await;
            assert_eq!(answer.brief(), VOID, "{what} {when}");
        }
        let reset = mailed.reset(&self.reset, NEW_PASSWORD).await;
        assert_eq!(reset.brief(), RESET_VOID, "{when}");
        for address in addresses {
            let signed_in = mailed.app.verify_code(address, &self.code).await;
            assert_eq!(signed_in.brief(), CODE_VOID, "{address} {when}");
        }
    }
}

async fn set_email(app: &TestApp, login: &str, email: &str) {
    let email = Email::parse(email).expect("it is an address");
    let set = app.service().set_email(UserRef::parse(login), email).await;
    set.expect("the account is there");
}

async fn suspend(app: &TestApp, login: &str) {
    let suspended = app.service().suspend(UserRef::parse(login)).await;
    suspended.expect("the account is there");
}

async fn reactivate(app: &TestApp, login: &str) {
    let reactivated = app.service().reactivate(UserRef::parse(login)).await;
    reactivated.expect("the account is there");
}

/// Creates an account without a password as the operator does, and returns the token of its link.
async fn create_without_password(app: &TestApp, login: &str) -> String {
    let new = NewUser {
        username: Username::parse(login).expect("it is a name"),
        email: Email::parse(&address(login)).expect("it is an address"),
        is_verified: false,
        password: None,
        locale: None,
        no_mail: false,
    };
    let created = app.service().create_user(new).await.expect("the name is free");
    let (_, link) = created;
    let link = link.expect("there is a link").url;
    let token = link.rsplit('=').next().expect("it ends with a token");
    token.to_owned()
}

#[tokio::test]
async fn a_change_of_address_voids_every_link_and_code_also_when_the_old_one_comes_back() {
    let mailed = Mailed::start().await;
    let held = registered(&mailed, "alice").await;
    set_email(&mailed.app, "alice", "other@example.org").await;
    let addresses = ["alice@example.org", "other@example.org"];
    held.assert_void(&mailed, &addresses, "after the change").await;
    set_email(&mailed.app, "alice", "alice@example.org").await;
    held.assert_void(&mailed, &addresses, "when it is back").await;
    assert_eq!(mailed.app.login("alice", PASSWORD).await.status, 200);
    // Codes that are mailed from then on work.
    mailed.app.advance(PAUSE);
    let code = mailed.code_to("alice").await;
    assert_eq!(mailed.sign_in("alice", &code).await.brief(), "200 -");
}

#[tokio::test]
async fn a_change_of_spelling_or_to_the_same_address_voids_every_link_and_code() {
    for (login, spelling) in [("alice", "Alice@example.org"), ("bob", "bob@example.org")] {
        let mailed = Mailed::start().await;
        let held = registered(&mailed, login).await;
        set_email(&mailed.app, login, spelling).await;
        held.assert_void(&mailed, &[spelling, &address(login)], spelling)
            .await;
    }
}

#[tokio::test]
async fn a_suspension_voids_every_link_and_code_and_reactivation_revives_none() {
    let mailed = Mailed::start().await;
    let held = registered(&mailed, "alice").await;
    suspend(&mailed.app, "alice").await;
    held.assert_void(&mailed, &["alice@example.org"], "while suspended")
        .await;
    reactivate(&mailed.app, "alice").await;
    held.assert_void(&mailed, &["alice@example.org"], "afterwards")
        .await;
    assert_eq!(mailed.app.login("alice", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn a_reset_link_of_a_suspended_account_sets_nothing_then_or_later() {
    let mailed = Mailed::start().await;
    mailed.register_verified("alice").await;
    suspend(&mailed.app, "alice").await;
    let token = mailed.reset_token_to("alice").await;
    assert_eq!(mailed.reset(&token, NEW_PASSWORD).await.brief(), RESET_VOID);
    let code = mailed.code_to("alice").await;
    reactivate(&mailed.app, "alice").await;
    assert_eq!(mailed.reset(&token, NEW_PASSWORD).await.brief(), RESET_VOID);
    assert_eq!(mailed.sign_in("alice", &code).await.brief(), CODE_VOID);
    let login = async |password| mailed.app.login("alice", password).await.brief();
    assert_eq!(login(NEW_PASSWORD).await, "401 auth.invalid_credentials");
    assert_eq!(login(PASSWORD).await, "200 -");
}

#[tokio::test]
async fn a_link_to_set_the_first_password_is_void_after_a_change_of_address_or_a_suspension() {
    let mailed = Mailed::start().await;
    for login in ["alice", "bob", "carol"] {
        let token = create_without_password(&mailed.app, login).await;
        match login {
            "alice" => {
                set_email(&mailed.app, login, "other@example.org").await;
                assert_eq!(mailed.reset(&token, NEW_PASSWORD).await.brief(), RESET_VOID);
                set_email(&mailed.app, login, &address(login)).await;
            }
            "bob" => {
                suspend(&mailed.app, login).await;
                assert_eq!(mailed.reset(&token, NEW_PASSWORD).await.brief(), RESET_VOID);
                reactivate(&mailed.app, login).await;
            }
            _ => {
                // The mailbox may belong to another person than the one to whom the operator gave the link.
                assert_eq!(mailed.token_to(login).await, token);
                let code = mailed.code_to(login).await;
                assert_eq!(mailed.sign_in(login, &code).await.brief(), "200 -");
            }
        }
        let reset = mailed.reset(&token, NEW_PASSWORD).await;
        assert_eq!(reset.brief(), RESET_VOID, "{login}");
    }
}

#[tokio::test]
async fn what_was_mailed_to_a_deleted_account_opens_nothing_of_the_next_one_with_its_address() {
    let mailed = Mailed::start().await;
    for login in ["alice", "bob"] {
        let held = registered(&mailed, login).await;
        if login == "alice" {
            let deleted = mailed.app.service().delete_user(UserRef::parse(login)).await;
            deleted.expect("the account is there");
        } else {
            let rejected = mailed.verify("reject", &held.verification).await;
            assert_eq!(rejected.brief(), "200 -");
            mailed.smtp.mail_to(&address(login)).await;
        }
        mailed.app.advance(PAUSE);
        mailed.register(login).await;
        held.assert_void(&mailed, &[&address(login)], login).await;
        assert_eq!(mailed.app.login(login, PASSWORD).await.status, 200);
    }
}

#[tokio::test]
async fn mail_that_waits_is_dropped_with_the_links_and_codes_in_it_and_a_notice_is_not() {
    // The outbox worker does not run, so nothing is sent.
    let app = TestApp::open().await;
    for login in ["alice", "bob", "carol", "dave", "erin"] {
        let token = app.register(login).await.access_token();
        let change = serde_json::json!({"current_password": PASSWORD, "new_password": NEW_PASSWORD});
        let request = app.post("/v1/auth/password/change").bearer(&token);
        assert_eq!(request.json(&change).send().await.status, 204);
        assert_eq!(app.send_code(&address(login)).await.status, 204);
        assert_eq!(app.send_reset(&address(login)).await.status, 204);
        let kinds =
            || app.text("SELECT group_concat(kind) FROM (SELECT kind FROM outbox ORDER BY kind) AS kinds");
        assert_eq!(
            kinds(),
            "password_changed,reset_password,sign_in_code,verify_email",
            "{login}"
        );
        match login {
            "alice" => set_email(&app, login, "other@example.org").await,
            "bob" => set_email(&app, login, "BOB@example.org").await,
            "carol" => suspend(&app, login).await,
            "dave" => {
                // A code that is asked for while suspended does not outlive the suspension.
                suspend(&app, login).await;
                app.advance(PAUSE);
                assert_eq!(app.send_code(&address(login)).await.status, 204);
                reactivate(&app, login).await;
            }
            _ => {
                let deleted = app.service().delete_user(UserRef::parse(login)).await;
                deleted.expect("the account is there");
            }
        }
        assert_eq!(kinds(), "password_changed", "{login}");
        app.change("DELETE FROM outbox");
    }
}

#[tokio::test]
async fn a_new_password_voids_the_code_that_was_mailed_before() {
    let mailed = Mailed::start().await;
    for (number, how) in ["change", "reset", "operator"].into_iter().enumerate() {
        let login = format!("owner-{number}");
        let (registered, _) = mailed.register(&login).await;
        let reset = mailed.reset_token_to(&login).await;
        let code = mailed.code_to(&login).await;
        match how {
            "change" => {
                let body = json!({"current_password": PASSWORD, "new_password": NEW_PASSWORD});
                let changed = mailed.app.post("/v1/auth/password/change");
                let changed = changed
                    .bearer(&registered.access_token())
                    .json(&body)
                    .send()
                    .await;
                assert_eq!(changed.status, 204);
            }
            "reset" => assert_eq!(mailed.reset(&reset, NEW_PASSWORD).await.status, 204),
            _ => {
                let password = Password::parse(NEW_PASSWORD, mailed.app.service().password_min_length(), &[])
                    .expect("it is long enough");
                let set = mailed
                    .app
                    .service()
                    .set_password(UserRef::parse(&login), password)
                    .await;
                set.expect("the account is there");
            }
        }
        let signed_in = mailed.app.verify_code(&address(&login), &code).await;
        assert_eq!(signed_in.brief(), CODE_VOID, "{how}");
    }
}
