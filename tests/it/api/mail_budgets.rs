//! How many mails strangers can cause at one mailbox, and what those mails say.

use std::cell::Cell;
use std::time::Duration;

use serde_json::{Value, json};

use super::mailed::{Mailed, NEW_PASSWORD, PAUSE, WAITS, registration_with_address_of, waits_between};
use crate::support::{Answer, PASSWORD, TestApp};

const TOO_MANY_MAILS: &str =
    "No verification mail was sent, because this mailbox was sent too many of them; ask for one later.";

#[tokio::test]
async fn a_mailbox_has_one_budget_for_each_purpose_whatever_the_tag() {
    let mailed = Mailed::start().await;
    mailed.register_verified("alice").await;
    for login in ["alice", "nobody"] {
        for path in ["/v1/auth/email/otp/send", "/v1/auth/password/reset/send"] {
            let number = Cell::new(0);
            let ask = async || {
                number.set(number.get() + 1);
                // Every third address has no tag, and is that of alice's account.
                let address = match number.get() % 3 {
                    0 => format!("{login}@example.org"),
                    1 => format!("{login}+{}@example.org", number.get()),
                    _ => format!("{}+a+{}@Example.ORG", login.to_uppercase(), number.get()),
                };
                mailed.post(path, json!({"email": address})).await
            };
            assert_eq!(
                waits_between(&mailed.app, WAITS.len(), ask).await,
                WAITS,
                "{login} {path}"
            );
        }
    }
    // Other mailboxes have their own budgets.
    for other in ["alic@example.org", "alice@example.net", "+alice@example.org"] {
        let body = json!({"email": other});
        assert_eq!(
            mailed.post("/v1/auth/email/otp/send", body).await.brief(),
            "204 -"
        );
    }
}

async fn register(mailed: &Mailed, login: &str, owner: &str) -> Answer {
    let body = registration_with_address_of(login, owner);
    let answer = mailed.post("/v1/auth/register", body).await;
    assert_eq!(answer.brief(), "201 -");
    answer
}

#[tokio::test]
async fn a_registration_beyond_the_budget_makes_an_account_and_sends_no_mail() {
    let mailed = Mailed::start().await;
    let mut warned = 0;
    for number in 0..40 {
        let answer = register(&mailed, &format!("user-{number}"), &format!("victim+{number}")).await;
        match &answer.json()["warning"] {
            Value::Null => {}
            warning => {
                assert_eq!(warning, TOO_MANY_MAILS);
                warned += 1;
                let asked = mailed.send_verification(&answer.access_token()).await;
                assert_eq!(asked.brief(), "429 auth.otp_rate_limited");
            }
        }
        mailed.app.advance(Duration::from_secs(30));
    }
    mailed.app.wait_for_empty_outbox().await;
    assert_eq!((mailed.smtp.received().len(), warned), (5, 35));
    // Mails that were asked for and mails of registrations share one budget; a day later it is full again.
    mailed.app.advance(Duration::from_hours(24));
    let late = register(&mailed, "late", "victim").await;
    assert_eq!(late.json()["warning"], Value::Null);
    let asked = mailed.send_verification(&late.access_token()).await;
    assert_eq!(asked.brief(), "429 auth.otp_rate_limited");
    mailed.app.advance(PAUSE);
    assert_eq!(
        mailed.send_verification(&late.access_token()).await.brief(),
        "204 -"
    );
}

#[tokio::test]
async fn a_registration_whose_mail_is_left_out_may_have_two_warnings() {
    let mailed = Mailed::start().await;
    register(&mailed, "first", "victim").await;
    let mut body = registration_with_address_of("second", "victim+2");
    body["invite_code"] = json!("ABCD-EFGH-JKMN-PQRS");
    let answer = mailed.post("/v1/auth/register", body).await;
    let warning = answer.json()["warning"].as_str().unwrap_or_default().to_owned();
    assert!(warning.starts_with("The invite code cannot be used"), "{warning}");
    assert!(warning.ends_with(TOO_MANY_MAILS), "{warning}");
}

#[tokio::test]
async fn a_password_that_is_changed_again_and_again_is_told_a_few_times() {
    let app = TestApp::open().await;
    let token = app.register("alice").await.access_token();
    let passwords = [PASSWORD, NEW_PASSWORD];
    let change = async |number: usize| {
        let body =
            json!({"current_password": passwords[number % 2], "new_password": passwords[(number + 1) % 2]});
        let changed = app.post("/v1/auth/password/change").bearer(&token).json(&body);
        assert_eq!(changed.send().await.brief(), "204 -");
        app.count("SELECT count(*) FROM outbox WHERE kind = 'password_changed'")
    };
    // The second change follows at once, and may be a thief's.
    let mut told = Vec::new();
    for number in 0..8 {
        told.push(change(number).await);
    }
    assert_eq!(told, [1, 2, 3, 4, 5, 5, 5, 5]);
}

#[tokio::test]
async fn the_owner_of_a_verified_address_is_told_whatever_other_tags_of_the_mailbox_did() {
    let mailed = Mailed::start().await;
    let owner = mailed.register_verified("alice").await.access_token();
    let thief = register(&mailed, "mallory", "alice+tag").await.access_token();
    let change = async |token: &str, from: &str, to: &str| {
        let body = json!({"current_password": from, "new_password": to});
        let changed = mailed
            .app
            .post("/v1/auth/password/change")
            .bearer(token)
            .json(&body);
        assert_eq!(changed.send().await.brief(), "204 -");
    };
    for _ in 0..6 {
        change(&thief, PASSWORD, NEW_PASSWORD).await;
        change(&thief, NEW_PASSWORD, PASSWORD).await;
    }
    mailed.app.wait_for_empty_outbox().await;
    let before = mailed.smtp.received().len();
    change(&owner, PASSWORD, NEW_PASSWORD).await;
    mailed.app.wait_for_empty_outbox().await;
    assert_eq!(mailed.smtp.received().len(), before + 1);
}

#[tokio::test]
async fn a_hostile_username_is_no_link_in_the_mail_that_a_stranger_causes() {
    let mailed = Mailed::start().await;
    register(&mailed, "www.paypal-login.com", "victim").await;
    let mail = mailed.smtp.mail_to("victim@example.org").await;
    let html = mail.message().body_html(0).expect("it has one").into_owned();
    for text in [mail.text(), html] {
        assert!(text.contains("www . paypal-login . com"), "{text}");
        assert!(!text.contains("paypal-login.com"), "{text}");
    }
}
