//! Undoing a change of the account's address with the link that was mailed to the former one.

use std::time::Duration;

use arkloop::crypto::link_digest;
use arkloop::domain::{Email, LinkToken};
use arkloop::service::UserRef;
use insta::assert_snapshot;
use serde_json::json;

use super::mailed::NEW_PASSWORD;
use crate::support::address::{CHANGED, HELD, Mover, UNDONE};
use crate::support::smtp::{Fault, Stage};
use crate::support::{PASSWORD, literal, registration};

const OWN: &str = "alice@example.org";
const THIEF: &str = "thief@example.net";
const INVALID: &str = "422 email.token_invalid";

#[tokio::test]
async fn the_former_address_takes_the_account_back() {
    let mover = Mover::start().await;
    let alice = mover.verified("alice", HELD).await;
    mover.move_to(&alice, THIEF).await;
    let token = mover.undo_token(OWN).await;
    // Good for 72 hours; a minute has passed on the way.
    mover.app.advance(HELD.saturating_sub(Duration::from_secs(1)));
    let preview = mover.preview(&token).await;
    assert_snapshot!(preview.shown_with_headers(), @r#"
    200

    {
      "purpose": "undo",
      "username": "alice",
      "email": "alice@example.org"
    }
    "#);
    assert_eq!(mover.preview(&token).await.brief(), "200 -");
    assert_eq!(mover.stored_address("alice"), THIEF);
    let undone = mover.undo(&token).await;
    assert_snapshot!(undone.shown_with_headers(), @r#"
    200

    {
      "ok": true
    }
    "#);
    assert_eq!(mover.stored_address("alice"), OWN);
    assert_snapshot!(mover.undo(&token).await.shown(), @r#"
    422
    {
      "code": "email.token_invalid",
      "message": "This link has been used or has expired.",
      "trace_id": "[trace id]"
    }
    "#);
    let mail = mover.mail(OWN, UNDONE).await;
    assert_snapshot!(mail.text().replace(&mail.token(), "[token]"), @r#"
    localhost

    Your address is back

    You have taken this account back. It has this address again, all devices
    were signed out, and the old password no longer works.

        Account: alice

    Set a new password on this page:

    http://localhost:8080/reset#token=[token]

    The link works once, within 1 hour. Later, ask for another one here:

    http://localhost:8080/reset

    You receive this mail because the account belongs to this address again.
    If you did not take it back, another person may be able to read your
    mail: change the password of your mailbox.
    "#);
    let rows = mover.app.audit().await;
    assert!(
        rows.contains(&"email.change_undone @alice".to_owned()),
        "{rows:#?}"
    );
}

#[tokio::test]
async fn an_undo_works_for_72_hours() {
    let mover = Mover::start().await;
    let alice = mover.verified("alice", HELD).await;
    let token = mover.token_to(&alice, THIEF).await;
    assert_eq!(mover.confirm_by(&alice, &token).await.brief(), "200 -");
    let token = mover.undo_token(OWN).await;
    mover.app.advance(HELD);
    assert_eq!(mover.preview(&token).await.brief(), INVALID);
    assert_eq!(mover.undo(&token).await.brief(), INVALID);
    assert_eq!(mover.stored_address("alice"), THIEF);
    let rows = mover.app.audit().await;
    assert!(
        rows.contains(&"email.change_undone refused: expired_link @alice".to_owned()),
        "{rows:#?}"
    );
}

#[tokio::test]
async fn after_an_undo_the_owner_sets_a_password_and_the_thief_has_nothing() {
    let mover = Mover::start().await;
    let thief = mover.verified("alice", HELD).await;
    let other = mover.signed_in("alice").await;
    let confirmed = mover.move_to(&thief, THIEF).await;
    // The thief takes a password of their own, too.
    let body = json!({"current_password": PASSWORD, "new_password": NEW_PASSWORD});
    let request = mover.app.post("/v1/auth/password/change").json(&body);
    let changed = request.bearer(&thief.access_token()).cookie(&confirmed.cookie());
    let changed = changed.send().await;
    assert_eq!(changed.status, 204);
    let undo = mover.undo_token(OWN).await;
    assert_eq!(mover.undo(&undo).await.brief(), "200 -");
    for cookie in [changed.cookie(), confirmed.cookie(), other.cookie()] {
        assert_eq!(mover.app.refresh(&cookie).await.brief(), "401 auth.invalid_token");
    }
    assert_eq!(
        mover.app.me(&thief.access_token()).await.brief(),
        "401 auth.invalid_token"
    );
    assert_eq!(
        mover.app.ended_because(&changed.cookie()).await.as_deref(),
        Some("change_undone")
    );
    for password in [PASSWORD, NEW_PASSWORD] {
        for login in ["alice", OWN, THIEF] {
            let answer = mover.app.login(login, password).await;
            assert_eq!(answer.brief(), "401 auth.invalid_credentials", "{login}");
        }
    }
    // The guesses of the thief do not keep the owner waiting.
    let reset = mover.mail(OWN, UNDONE).await.token();
    assert_eq!(mover.reset(&reset, "a third harbour").await.brief(), "204 -");
    let owner = mover.app.login(OWN, "a third harbour").await;
    assert_eq!(owner.status, 200);
    let me = mover.app.me(&owner.access_token()).await.json();
    assert_eq!((&me["email"], &me["email_verified"]), (&json!(OWN), &json!(true)));
}

#[tokio::test]
async fn an_undo_voids_all_that_came_after_it() {
    let mover = Mover::start().await;
    let thief = mover.verified("alice", HELD).await;
    mover.move_to(&thief, THIEF).await;
    let first = mover.undo_token(OWN).await;
    // What the thief has: an own undo is none of it, so the account is held for three days.
    mover.app.advance(HELD.saturating_sub(Duration::from_mins(5)));
    let thief = mover.signed_in("alice").await;
    assert_eq!(mover.app.send_code(THIEF).await.status, 204);
    let code = mover.mail(THIEF, "localhost: Your sign-in code").await.code();
    assert_eq!(mover.app.send_reset(THIEF).await.status, 204);
    let reset = mover.mail(THIEF, "localhost: Reset your password").await.token();
    let change = mover.token_to(&thief, "thief-2@example.net").await;
    assert_eq!(mover.undo(&first).await.brief(), "200 -");
    // The account has nothing but the link that the undo mails. What the thief was mailed would be refused at this address anyway.
    let links = "SELECT group_concat(purpose || ' ' || link_tokens.email_key) FROM link_tokens JOIN users ON users.id = user_id";
    assert_eq!(mover.app.text(links), format!("reset_password {OWN}"));
    for table in ["one_time_codes WHERE user_id IS NOT NULL", "email_changes"] {
        assert_eq!(
            mover.app.count(&format!("SELECT count(*) FROM {table}")),
            0,
            "{table}"
        );
    }
    for address in [THIEF, OWN] {
        let answer = mover.app.verify_code(address, &code).await;
        assert_eq!(answer.brief(), "422 auth.otp_invalid", "{address}");
    }
    assert_eq!(
        mover.reset(&reset, NEW_PASSWORD).await.brief(),
        "422 auth.reset_token_invalid"
    );
    assert_eq!(mover.preview(&change).await.brief(), INVALID);
    assert_eq!(mover.confirm_with(PASSWORD, &change).await.brief(), INVALID);
    assert_eq!(mover.stored_address("alice"), OWN);
    assert_eq!(mover.living_undos(), 0);
    // The thief's address is free again.
    let mut body = registration("thief");
    body["email"] = json!(THIEF);
    assert_eq!(mover.post("/v1/auth/register", body).await.status, 201);
}

#[tokio::test]
async fn a_thief_who_changes_twice_is_undone_by_the_first_link() {
    let mover = Mover::start().await;
    let thief = mover.verified("alice", HELD).await;
    mover.move_to(&thief, THIEF).await;
    mover.move_to(&thief, "thief-2@example.net").await;
    mover.move_to(&thief, "thief-3@example.net").await;
    let undo = mover.undo_token(OWN).await;
    assert_eq!(mover.undo(&undo).await.brief(), "200 -");
    assert_eq!(mover.stored_address("alice"), OWN);
    for address in [THIEF, "thief-2@example.net", "thief-3@example.net"] {
        assert_eq!(mover.undos_to(address).await, 0, "{address}");
    }
}

#[tokio::test]
async fn an_undo_that_waits_to_be_mailed_survives_later_changes() {
    let mover = Mover::start().await;
    let alice = mover.verified("alice", HELD).await;
    let token = mover.token_to(&alice, THIEF).await;
    mover.app.wait_for_empty_outbox().await;
    mover
        .smtp
        .always(Stage::Sender, Fault::Answer("421 4.3.2 not now"));
    assert_eq!(mover.confirm_by(&alice, &token).await.brief(), "200 -");
    let waiting = || {
        mover
            .app
            .count("SELECT count(*) FROM outbox WHERE kind = 'email_changed' AND user_id IS NOT NULL")
    };
    assert_eq!(waiting(), 1);
    // A second change, whose mail waits too: the thief knows its token.
    assert_eq!(mover.ask(&alice, "thief-2@example.net").await.brief(), "204 -");
    let token = LinkToken::from_random([7; LinkToken::BYTES]);
    let digest = literal(&link_digest(&token).0);
    mover
        .app
        .change(&format!("UPDATE email_changes SET digest = {digest}"));
    assert_eq!(mover.confirm_by(&alice, &token.reveal()).await.brief(), "200 -");
    assert_eq!(mover.stored_address("alice"), "thief-2@example.net");
    let body = json!({"current_password": PASSWORD, "new_password": NEW_PASSWORD});
    let request = mover.app.post("/v1/auth/password/change").json(&body);
    assert_eq!(request.bearer(&alice.access_token()).send().await.status, 204);
    let user = || UserRef::parse("alice");
    mover.app.service().suspend(user()).await.expect("it is there");
    mover.app.service().reactivate(user()).await.expect("it is there");
    assert_eq!(waiting(), 1);
    mover.smtp.heal();
    mover.app.service().retry_mail().await.expect("it is queued anew");
    let undo = mover.undo_token(OWN).await;
    assert_eq!(mover.undo(&undo).await.brief(), "200 -");
    assert_eq!(mover.stored_address("alice"), OWN);
}

#[tokio::test]
async fn nothing_but_set_email_voids_an_undo() {
    let mut mover = Mover::start().await;
    let alice = mover.verified("alice", HELD).await;
    let confirmed = mover.move_to(&alice, THIEF).await;
    let undo = mover.undo_token(OWN).await;
    let user = || UserRef::parse("alice");
    let works = async |mover: &Mover, after: &str| {
        assert_eq!(mover.preview(&undo).await.brief(), "200 -", "{after}");
    };
    let body = json!({"current_password": PASSWORD, "new_password": NEW_PASSWORD});
    let request = mover.app.post("/v1/auth/password/change").json(&body);
    let changed = request.bearer(&alice.access_token()).cookie(&confirmed.cookie());
    assert_eq!(changed.send().await.status, 204);
    works(&mover, "a change of the password").await;
    assert_eq!(mover.app.send_reset(THIEF).await.status, 204);
    let reset = mover.mail(THIEF, "localhost: Reset your password").await.token();
    assert_eq!(mover.reset(&reset, PASSWORD).await.status, 204);
    works(&mover, "a reset").await;
    let alice = mover.signed_in("alice").await;
    let out = mover.app.post("/v1/auth/logout").bearer(&alice.access_token());
    assert_eq!(out.send().await.status, 200);
    works(&mover, "a sign-out").await;
    mover.app.restart().await;
    works(&mover, "a restart").await;
    mover.app.service().suspend(user()).await.expect("it is there");
    // While suspended it does not work, and is not used up.
    assert_eq!(mover.preview(&undo).await.brief(), INVALID);
    assert_eq!(mover.undo(&undo).await.brief(), INVALID);
    mover.app.service().reactivate(user()).await.expect("it is there");
    works(&mover, "a suspension").await;
    let alice = mover.signed_in("alice").await;
    mover.move_to(&alice, OWN).await;
    works(&mover, "a change back").await;
    mover.move_to(&alice, THIEF).await;
    works(&mover, "another change").await;
    let other = Email::parse("other@example.org").expect("it is an address");
    let set = mover.app.service().set_email(user(), other).await;
    set.expect("it is there");
    assert_eq!(mover.preview(&undo).await.brief(), INVALID);
    assert_eq!(mover.undo(&undo).await.brief(), INVALID);
    assert_eq!(mover.stored_address("alice"), "other@example.org");
}

#[tokio::test]
async fn an_undo_sends_no_undo() {
    let mover = Mover::start().await;
    let alice = mover.verified("alice", HELD).await;
    mover.move_to(&alice, THIEF).await;
    let undo = mover.undo_token(OWN).await;
    mover.app.advance(HELD.saturating_sub(Duration::from_mins(5)));
    assert_eq!(mover.undo(&undo).await.brief(), "200 -");
    assert_eq!(mover.undos_to(THIEF).await, 0);
    assert_eq!(mover.living_undos(), 0);
    // The address in between is told all the same: a reader of the former mailbox may have done this.
    let told = mover.mail(THIEF, CHANGED).await.text();
    assert!(told.contains("New address: a***@e***"), "{told}");
    assert!(!told.contains("#undo="), "{told}");
}

#[tokio::test]
async fn a_typo_at_registration_gets_no_undo() {
    let mover = Mover::start().await;
    mover.app.register("alice").await;
    // Long enough, but never verified: it is a stranger's.
    mover.app.advance(HELD + HELD);
    let alice = mover.signed_in("alice").await;
    mover.move_to(&alice, "right@example.org").await;
    let told = mover.mail(OWN, CHANGED).await.text();
    assert!(!told.contains("#undo="), "{told}");
    assert_eq!((mover.undos_to(OWN).await, mover.living_undos()), (0, 0));
}

#[tokio::test]
async fn an_address_held_for_less_than_72_hours_gets_no_undo() {
    for (short_of, expected) in [(1, 0), (0, 1)] {
        let mover = Mover::start().await;
        let held = HELD.saturating_sub(Duration::from_secs(60 + short_of));
        let alice = mover.verified("alice", held).await;
        // A minute passes between asking and confirming.
        mover.move_to(&alice, THIEF).await;
        assert_eq!(mover.undos_to(OWN).await, expected, "{short_of}");
        // The next stretch is counted from the change on.
        let alice = mover.signed_in("alice").await;
        mover.move_to(&alice, "next@example.net").await;
        assert_eq!(mover.undos_to(THIEF).await, 0);
    }
}

#[tokio::test]
async fn a_thief_s_address_gets_no_undo() {
    let mover = Mover::start().await;
    let thief = mover.verified("alice", HELD).await;
    mover.move_to(&thief, THIEF).await;
    // The owner still has a session of their own, or knows the password, and changes it back by hand after three days.
    mover.app.advance(HELD);
    let owner = mover.signed_in("alice").await;
    mover.move_to(&owner, OWN).await;
    assert_eq!(mover.undos_to(THIEF).await, 0);
    assert_eq!(mover.stored_address("alice"), OWN);
}

#[tokio::test]
async fn a_change_back_sends_no_undo_for_30_days() {
    const DAY: Duration = Duration::from_hours(24);
    for (days, expected) in [(30, 0), (31, 1)] {
        let mover = Mover::start().await;
        let alice = mover.verified("alice", HELD).await;
        let token = mover.token_to(&alice, THIEF).await;
        assert_eq!(mover.confirm_by(&alice, &token).await.brief(), "200 -");
        mover
            .app
            .advance((DAY * days).saturating_sub(Duration::from_mins(1)));
        let alice = mover.signed_in("alice").await;
        mover.move_to(&alice, OWN).await;
        assert_eq!(mover.undos_to(THIEF).await, expected, "{days}");
    }
}

#[tokio::test]
async fn after_an_undo_the_same_theft_sends_an_undo_again() {
    let mover = Mover::start().await;
    let thief = mover.verified("alice", HELD).await;
    mover.move_to(&thief, THIEF).await;
    for round in 0..2 {
        let undo = mover.undo_token(OWN).await;
        assert_eq!(mover.undo(&undo).await.brief(), "200 -");
        let reset = mover.mail(OWN, UNDONE).await.token();
        // The thief knows this password too, and comes at once.
        assert_eq!(mover.reset(&reset, PASSWORD).await.brief(), "204 -");
        mover.app.advance(Duration::from_mins(1));
        let thief = mover.signed_in("alice").await;
        mover.move_to(&thief, THIEF).await;
        assert_eq!(mover.undos_to(OWN).await, round + 2);
    }
}
