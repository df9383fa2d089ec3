//! Deleting and exporting the caller's account.

use std::time::Duration;

use arkloop::service::UserRef;
use insta::assert_snapshot;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::mailed::{Mailed, NEW_PASSWORD, registration_with_address_of};
use crate::support::{Answer, PASSWORD, Request, TestApp, registration};

const DELETE: &str = "/v1/auth/account/delete";
pub(super) const EXPORT: &str = "/v1/auth/account/export";
const CHANGE: &str = "/v1/auth/email/change";
/// The operations that need the password or a recent sign-in.
const DEEDS: [&str; 3] = [EXPORT, CHANGE, DELETE];

pub(super) fn ask(app: &TestApp, path: &str, signed_in: &Answer, body: &Value) -> Request {
    let mut body = body.clone();
    if path == CHANGE {
        body["new_email"] = json!("new@example.net");
    }
    let request = app.post(path).json(&body);
    request.bearer(&signed_in.access_token())
}

pub(super) fn with_password() -> Value {
    json!({"current_password": PASSWORD})
}

pub(super) async fn delete(app: &TestApp, signed_in: &Answer) -> Answer {
    let request = ask(app, DELETE, signed_in, &with_password());
    request.cookie(&signed_in.cookie()).send().await
}

#[tokio::test]
async fn deleting_the_own_account_leaves_its_rows_in_the_log_and_the_invite_spent() {
    let mailed = Mailed::start().await;
    let invite = mailed.app.invite(1).await;
    let mut body = registration("alice");
    body["invite_code"] = json!(invite);
    let alice = mailed.post("/v1/auth/register", body).await;
    let token = mailed.token_to("alice").await;
    assert_eq!(mailed.verify("confirm", &token).await.brief(), "200 -");
    let other = mailed.app.login("alice", PASSWORD).await;
    let reset = mailed.reset_token_to("alice").await;
    assert_snapshot!(delete(&mailed.app, &alice).await.shown_with_headers(), @r"
    204
    set-cookie: arkloop_refresh_token=; Path=/v1/auth; HttpOnly; SameSite=Strict; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT
    ");
    assert_snapshot!(mailed.app.audit().await.join("\n"), @r"
    invite.created (1 use) by 0
    register @alice [session]
    email.verified @alice
    sign_in.password @alice [session]
    password.reset_sent @alice
    account.deleted @alice
    ");
    let told = mailed.smtp.mail_to("alice@example.org").await;
    assert_eq!(
        told.message().subject(),
        Some("localhost: Your account was deleted")
    );
    for signed_in in [&alice, &other] {
        mailed.assert_shut_out("alice", signed_in).await;
    }
    assert_eq!(
        mailed.reset(&reset, NEW_PASSWORD).await.brief(),
        "422 auth.reset_token_invalid"
    );
    assert_eq!(mailed.app.uses_of(&invite).await, 1);
    // The log is found by the names of the account that is gone, and the names are free.
    let rows = mailed
        .app
        .workspace()
        .json(&["audit", "--user", "alice@example.org"]);
    assert!(rows.to_string().contains("account.deleted"), "{rows}");
    assert_eq!(mailed.app.register("alice").await.status, 201);
}

#[tokio::test]
async fn ten_times_an_hour_an_owner_exports_changes_or_deletes_whatever_the_session() {
    let app = TestApp::builder().open().limited().start().await;
    let sessions = [app.register("alice").await, app.login("alice", PASSWORD).await];
    // What is refused before the password was found right is not counted.
    for body in [json!({}), json!({"current_password": "a wrong one"})] {
        let answer = ask(&app, EXPORT, &sessions[0], &body).send().await;
        assert_eq!(answer.brief(), "422 validation.error");
    }
    for turn in 0..9 {
        let answer = ask(&app, EXPORT, &sessions[turn % 2], &with_password());
        assert_eq!(answer.send().await.brief(), "200 -", "{turn}");
    }
    let changed = ask(&app, CHANGE, &sessions[1], &with_password()).send().await;
    assert_eq!(changed.brief(), "204 -");
    let refused = ask(&app, EXPORT, &sessions[0], &with_password()).send().await;
    assert_eq!(refused.header("retry-after"), Some("360"));
    assert_snapshot!(refused.shown(), @r#"
    429
    {
      "code": "rate_limit.exceeded",
      "message": "Too many requests: try again after Retry-After.",
      "trace_id": "[trace id]",
      "details": {
        "limit": "account"
      }
    }
    "#);
    let refused = delete(&app, &sessions[1]).await;
    assert_eq!(refused.brief(), "429 rate_limit.exceeded");
    let refused = ask(&app, CHANGE, &sessions[0], &with_password()).send().await;
    assert_eq!(refused.brief(), "429 rate_limit.exceeded");
    let rows = app.audit().await;
    assert!(
        rows.contains(&"throttled refused: own_account_limit @alice ×3".to_owned()),
        "{rows:?}"
    );
    let bob = app.register("bob").await;
    assert_eq!(delete(&app, &bob).await.brief(), "204 -");
    app.advance(Duration::from_mins(6));
    assert_eq!(delete(&app, &sessions[1]).await.brief(), "204 -");
}

#[tokio::test]
async fn the_current_password_must_be_given_and_right() {
    let app = TestApp::open().await;
    let alice = app.register("alice").await;
    let before = app.rows().await;
    for path in DEEDS {
        for (body, expected) in [
            (json!({}), "missing"),
            (json!({"current_password": null}), "missing"),
            (json!({"current_password": ""}), "missing"),
            (json!({"current_password": "a wrong password"}), "incorrect"),
        ] {
            let answer = ask(&app, path, &alice, &body).send().await;
            assert_eq!(answer.brief(), "422 validation.error", "{path} {body}");
            let field = &answer.json()["details"]["fields"]["current_password"];
            assert_eq!(field["code"], expected, "{path} {body}");
        }
    }
    assert_eq!(app.rows().await, before);
}

#[tokio::test]
async fn a_thief_with_an_access_token_alone_gets_nothing_done() {
    let mailed = Mailed::start().await;
    let alice = mailed.register_verified("alice").await;
    // The code proves an address that the registration never did, so the password is dropped.
    mailed.register("bob").await;
    let code = mailed.code_to("bob").await;
    let bob = mailed.sign_in("bob", &code).await;
    mailed.app.advance(Duration::from_mins(10));
    // A refresh is no signing in.
    let alice = mailed.app.refresh(&alice.cookie()).await;
    let bob = mailed.app.refresh(&bob.cookie()).await;
    let before = mailed.app.rows().await;
    for path in DEEDS {
        let with_a_password = ask(&mailed.app, path, &alice, &json!({})).send().await;
        assert_eq!(with_a_password.brief(), "422 validation.error", "{path}");
        let without_one = ask(&mailed.app, path, &bob, &json!({})).send().await;
        assert_eq!(
            without_one.brief(),
            "403 auth.reauthentication_required",
            "{path}"
        );
        // A password is of no use to an account that has none.
        let guessed = ask(&mailed.app, path, &bob, &with_password()).send().await;
        assert_eq!(guessed.brief(), "403 auth.reauthentication_required", "{path}");
    }
    assert_eq!(mailed.app.rows().await, before);
}

#[tokio::test]
async fn an_account_without_a_password_needs_a_recent_sign_in() {
    let mailed = Mailed::start().await;
    for (number, path) in DEEDS.iter().enumerate() {
        let login = format!("owner-{number}");
        mailed.register(&login).await;
        let code = mailed.code_to(&login).await;
        let signed_in = mailed.sign_in(&login, &code).await;
        mailed.app.advance(Duration::from_secs(599));
        let answer = ask(&mailed.app, path, &signed_in, &json!({})).send().await;
        assert!(answer.status < 300, "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn a_wrong_password_counts_like_a_wrong_sign_in() {
    for path in DEEDS {
        let app = TestApp::builder().open().set("RATE_LIMIT__ENABLED", "true");
        let app = app.start().await;
        let alice = app.register("alice").await;
        let guess = ask(&app, path, &alice, &json!({"current_password": "a wrong one"}));
        assert_eq!(guess.send().await.brief(), "422 validation.error", "{path}");
        for _ in 0..4 {
            let guess = app.login("alice", "a wrong one").await;
            assert_eq!(guess.brief(), "401 auth.invalid_credentials", "{path}");
        }
        let right = ask(&app, path, &alice, &with_password()).send().await;
        assert_eq!(right.brief(), "429 rate_limit.exceeded", "{path}");
        assert_eq!(right.json()["details"]["limit"], "account", "{path}");
        app.advance(Duration::from_secs(1));
        let right = ask(&app, path, &alice, &with_password()).send().await;
        assert!(right.status < 300, "{path}: {right:?}");
    }
}

#[tokio::test]
async fn a_suspended_account_changes_nothing_of_its_own() {
    let app = TestApp::open().await;
    let alice = app.register("alice").await;
    let suspended = app.service().suspend(UserRef::parse("alice")).await;
    suspended.expect("she is there");
    let before = app.rows().await;
    for path in DEEDS {
        let answer = ask(&app, path, &alice, &with_password()).send().await;
        assert_eq!(answer.brief(), "403 auth.user_suspended", "{path}");
    }
    assert_eq!(app.rows().await, before);
}

#[tokio::test]
async fn a_deletion_clears_the_cookie_unless_it_is_that_of_another_account() {
    let app = TestApp::open().await;
    let bob = app.register("bob").await.cookie();
    for (number, cookies) in [vec![], vec!["own"], vec!["junk"], vec!["bob", "own"], vec!["bob"]]
        .iter()
        .enumerate()
    {
        let own = app.register(&format!("user-{number}")).await;
        let own_cookie = own.cookie();
        let mut request = ask(&app, DELETE, &own, &with_password());
        for name in cookies {
            request = request.cookie(match *name {
                "own" => own_cookie.as_str(),
                "bob" => bob.as_str(),
                junk => junk,
            });
        }
        let deleted = request.send().await;
        assert_eq!(deleted.brief(), "204 -", "{cookies:?}");
        let is_kept = cookies == &["bob"];
        assert_eq!(deleted.header("set-cookie").is_none(), is_kept, "{cookies:?}");
    }
    assert_eq!(app.refresh(&bob).await.status, 200);
}

#[tokio::test]
async fn accounts_that_are_made_and_deleted_all_day_cause_a_few_mails() {
    let mailed = Mailed::start().await;
    for number in 0..8 {
        let body = registration_with_address_of(&format!("user-{number}"), &format!("victim+{number}"));
        let stranger = mailed.post("/v1/auth/register", body).await;
        assert_eq!(delete(&mailed.app, &stranger).await.brief(), "204 -");
    }
    mailed.app.wait_for_empty_outbox().await;
    let received = mailed.smtp.received();
    let subjects = received
        .iter()
        .map(|mail| mail.message().subject().map(str::to_owned));
    let notices =
        subjects.filter(|subject| subject.as_deref() == Some("localhost: Your account was deleted"));
    assert_eq!(notices.count(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_against_fifty_refreshes_leaves_none_alive() {
    let app = TestApp::open().await;
    let alice = app.register("alice").await;
    let mut requests = JoinSet::new();
    for number in 0..51 {
        let request = match number {
            25 => ask(&app, DELETE, &alice, &with_password()),
            _ => app.post("/v1/auth/refresh").cookie(&alice.cookie()),
        };
        requests.spawn(async move { request.send().await });
    }
    for answer in requests.join_all().await {
        match answer.status {
            // No token of an answer is good for anything.
            200 => {
                assert_eq!(app.me(&answer.access_token()).await.status, 401);
                assert_eq!(app.refresh(&answer.cookie()).await.status, 401);
            }
            204 => assert!(answer.body.is_empty()),
            _ => assert_eq!(answer.brief(), "401 auth.invalid_token"),
        }
    }
    for table in ["users", "sessions"] {
        assert_eq!(app.count(&format!("SELECT count(*) FROM {table}")), 0, "{table}");
    }
}

#[tokio::test]
async fn a_former_address_that_can_be_taken_back_is_told_of_a_deletion_once() {
    let mailed = Mailed::start().await;
    let alice = mailed.register_verified("alice").await;
    for (address, days) in [
        ("former@example.org", 1),
        ("Former@example.org", 2),
        ("ALICE@example.org", 1),
        ("over@example.org", 0),
    ] {
        mailed.app.change(&format!(
            "INSERT INTO email_undos SELECT randomblob(32), id, '{address}', lower('{address}'), created_at, created_at,
                 created_at + {days} * 86400000 FROM users"
        ));
    }
    assert_eq!(delete(&mailed.app, &alice).await.status, 204);
    mailed.app.wait_for_empty_outbox().await;
    let received = mailed.smtp.received().into_iter();
    let told =
        received.filter(|mail| mail.message().subject() == Some("localhost: Your account was deleted"));
    let mut told: Vec<String> = told.map(|mail| mail.recipients.concat().to_lowercase()).collect();
    told.sort_unstable();
    assert_eq!(told, ["alice@example.org", "former@example.org"]);
}
