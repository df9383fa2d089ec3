//! The mails about changes of an account's address: who is told, and how often.

use std::cell::Cell;

use insta::assert_snapshot;
use serde_json::json;

use super::mailed::{WAITS, registration_with_address_of, waits_between};
use crate::support::PASSWORD;
use crate::support::address::{ASKED, CHANGED, HELD, Mover, REQUESTED, WANTED};

const NEW: &str = "new@example.net";

#[tokio::test]
async fn the_owner_of_a_wanted_address_is_told_and_who_asked_is_not() {
    let mover = Mover::start().await;
    mover.verified("bob", HELD).await;
    let alice = mover.verified("alice", HELD).await;
    assert_eq!(mover.ask(&alice, "bob@example.org").await.brief(), "204 -");
    let mail = mover.mail("bob@example.org", WANTED).await;
    assert!(!String::from_utf8_lossy(&mail.content).contains("alice"));
    assert_snapshot!(mail.text(), @r#"
    localhost

    Another account asked for your address

    Another account has asked for this e-mail address. It belongs to your
    account, so nothing was changed.

        Account: bob

    If that was you: this address has the account above. Give that one
    another address first, or delete it.

    If that was not you, there is nothing to do: the person was told
    nothing, and your account is unchanged.

    You receive this mail because the account belongs to this address.
    "#);
    // An account that only claims an address is told nothing.
    mover.app.register("squatter").await;
    assert_eq!(mover.ask(&alice, "squatter@example.org").await.brief(), "204 -");
    let mut subjects = mover.subjects("squatter@example.org").await;
    // Two mails may be under way at once.
    subjects.sort_unstable();
    assert_eq!(subjects, ["localhost: Confirm your e-mail address", ASKED]);
}

#[tokio::test]
async fn five_requests_an_hour_reach_one_mailbox() {
    let mover = Mover::start().await;
    mover.verified("bob", HELD).await;
    mover.verified("alice", HELD).await;
    let number = Cell::new(0);
    // The owner of the mailbox and others that have its tags share one budget.
    let ask = async || {
        number.set(number.get() + 1);
        let address = match number.get() % 2 {
            0 => "bob@example.org".to_owned(),
            _ => format!("bob+{}@example.org", number.get()),
        };
        let alice = mover.signed_in("alice").await;
        mover.ask(&alice, &address).await
    };
    assert_eq!(waits_between(&mover.app, WAITS.len(), ask).await, WAITS);
}

#[tokio::test]
async fn the_old_address_is_told_twice() {
    let mover = Mover::start().await;
    let alice = mover.verified("alice", HELD).await;
    mover.move_to(&alice, NEW).await;
    let requested = mover.mail("alice@example.org", REQUESTED).await;
    assert_snapshot!(requested.text(), @r#"
    localhost

    Your account is to get another address

    A person, most likely you, has asked to give this account another e-mail
    address. It keeps the present one until the new one is confirmed.

        Account: alice
        New address: n***@e***

    If that was you, open the link that was mailed to the new address.

    If it was not you, set a new password now, which also calls the change
    off:

    http://localhost:8080/reset

    You receive this mail because the account belongs to this address. It is
    sent whenever another address is asked for.
    "#);
    let changed = mover.mail("alice@example.org", CHANGED).await;
    let text = changed.text().replace(&changed.token(), "[token]");
    assert_snapshot!(text, @r#"
    localhost

    The address of your account was changed

    This account has another e-mail address now. Mails about it go there
    from now on, and other devices have been signed out.

        Account: alice
        New address: n***@e***

    If that was you, there is nothing to do. If it was not you, do not
    change the address back yourself: take the account back on this page.

    http://localhost:8080/account#undo=[token]

    The link works once, within 3 days. It signs out all devices,
    removes the password, and undoes all later changes. While the link
    works, no other account can have this address.

    You receive this mail because the account belonged to this address. It
    is sent after every change of the address.
    "#);
}

#[tokio::test]
async fn an_unverified_address_is_told_within_its_budget() {
    let mover = Mover::start().await;
    mover.app.register("alice").await;
    for number in 0..8 {
        let alice = mover.signed_in("alice").await;
        let new = format!("new-{number}@example.net");
        assert_eq!(mover.ask(&alice, &new).await.brief(), "204 -");
    }
    let subjects = mover.subjects("alice@example.org").await;
    let told = subjects.iter().filter(|subject| *subject == REQUESTED);
    assert_eq!(told.count(), 5);
    // A verified one always is.
    mover.verified("bob", HELD).await;
    for number in 0..8 {
        let bob = mover.signed_in("bob").await;
        let new = format!("newer-{number}@example.net");
        assert_eq!(mover.ask(&bob, &new).await.brief(), "204 -");
    }
    let subjects = mover.subjects("bob@example.org").await;
    let told = subjects.iter().filter(|subject| *subject == REQUESTED);
    assert_eq!(told.count(), 8);
}

#[tokio::test]
async fn without_mail_no_change_is_asked_for_and_links_of_before_still_work() {
    let mut mover = Mover::start().await;
    let alice = mover.verified("alice", HELD).await;
    let token = mover.token_to(&alice, NEW).await;
    mover.app.wait_for_empty_outbox().await;
    mover.app.restart_with("MAIL__TRANSPORT", "off").await;
    // Alike for each password.
    for password in [PASSWORD, "a noisy harbour"] {
        let body = json!({"new_email": "other@example.net", "current_password": password});
        let answer = mover.ask_with(&alice, body).await;
        assert_eq!(answer.brief(), "503 mail.unavailable");
    }
    assert_eq!(mover.confirm_by(&alice, &token).await.brief(), "200 -");
    assert_eq!(mover.app.count("SELECT count(*) FROM outbox"), 0);
    // An undo that cannot be mailed blocks no address.
    assert_eq!(mover.living_undos(), 0);
    let body = registration_with_address_of("bob", "alice");
    assert_eq!(mover.post("/v1/auth/register", body).await.status, 201);
}

#[tokio::test]
async fn the_export_does_not_tell_that_an_address_was_taken() {
    let mover = Mover::start().await;
    mover.verified("bob", HELD).await;
    let alice = mover.verified("alice", HELD).await;
    // So many refusals that the log lists no more of them under the account.
    for _ in 0..40 {
        let none = json!({"token": "Zm9yIGV4YW1wbGUgMzIgcmFuZG9tIGJ5dGVzIHJlYWw"});
        let request = mover.app.post("/v1/auth/email/change/confirm").json(&none);
        assert_eq!(request.bearer(&alice.access_token()).send().await.status, 422);
    }
    for address in ["bob@example.org", "free@example.org"] {
        assert_eq!(mover.ask(&alice, address).await.brief(), "204 -");
    }
    let body = json!({"current_password": PASSWORD});
    let request = mover.app.post("/v1/auth/account/export").json(&body);
    let exported = request.bearer(&alice.access_token()).send().await.json();
    let rows = exported["audit"].as_array().expect("it is a list").iter();
    let asked = rows.filter(|row| row["event"] == "email.change_requested");
    let outcomes: Vec<&str> = asked.filter_map(|row| row["outcome"].as_str()).collect();
    assert_eq!(outcomes, ["done", "done"]);
}
