//! An address that an undo can bring back is not free for others meanwhile.

use std::time::Duration;

use arkloop::domain::{Email, Username};
use arkloop::service::{Error, NewUser, UserRef};
use serde_json::json;

use super::mailed::registration_with_address_of;
use crate::support::address::{ASKED, HELD, Mover};
use crate::support::{PASSWORD, registration};

const OWN: &str = "alice@example.org";
const OTHER: &str = "other@example.net";

#[tokio::test]
async fn an_address_with_a_living_undo_is_taken_for_register_change_and_set_email() {
    let mover = Mover::start().await;
    mover.verified("bob", HELD).await;
    let alice = mover.verified("alice", HELD).await;
    let bob = mover.signed_in("bob").await;
    let asked = mover.ask(&bob, "free@example.org").await;
    let token = mover.token_to(&alice, OTHER).await;
    assert_eq!(mover.confirm_by(&alice, &token).await.brief(), "200 -");
    mover.undo_token(OWN).await;
    mover.app.advance(HELD.saturating_sub(Duration::from_mins(2)));
    let mut body = registration("carol");
    body["email"] = json!("Alice@Example.org");
    let refused = mover.post("/v1/auth/register", body.clone()).await;
    assert_eq!(refused.brief(), "409 auth.email_exists");
    let bob = mover.signed_in("bob").await;
    let wanted = mover.ask(&bob, OWN).await;
    assert_eq!(wanted.shown_with_headers(), asked.shown_with_headers());
    assert!(!mover.subjects(OWN).await.contains(&ASKED.to_owned()));
    let email = || Email::parse(OWN).expect("it is an address");
    let set = mover
        .app
        .service()
        .set_email(UserRef::parse("bob"), email())
        .await;
    assert!(matches!(set, Err(Error::EmailReserved { .. })), "{set:?}");
    let new = || NewUser {
        username: Username::parse("dave").expect("it is a name"),
        email: email(),
        is_verified: true,
        password: None,
        locale: None,
        no_mail: true,
    };
    let created = mover.app.service().create_user(new()).await;
    assert!(matches!(created, Err(Error::EmailReserved { .. })));
    // With the undo the reservation ends.
    mover.app.advance(Duration::from_mins(2));
    assert_eq!(mover.post("/v1/auth/register", body).await.status, 201);
}

#[tokio::test]
async fn an_address_that_is_reserved_after_the_request_cannot_be_confirmed() {
    let mover = Mover::start().await;
    let bob = mover.verified("bob", HELD).await;
    mover.app.register("alice").await;
    // It is only claimed yet, so that the link goes out.
    let token = mover.token_to(&bob, OWN).await;
    mover
        .app
        .change("UPDATE users SET email_verified_at = created_at, created_at = created_at - 999999999;");
    let alice = mover.signed_in("alice").await;
    mover.move_to(&alice, OTHER).await;
    assert_eq!(
        mover.confirm_by(&bob, &token).await.brief(),
        "409 auth.email_exists"
    );
    assert_eq!(mover.stored_address("bob"), "bob@example.org");
}

#[tokio::test]
async fn a_thief_who_registers_the_old_address_anew_is_refused_and_the_undo_works() {
    let mover = Mover::start().await;
    let thief = mover.verified("alice", HELD).await;
    mover.move_to(&thief, OTHER).await;
    let body = registration_with_address_of("another", "alice");
    let refused = mover.post("/v1/auth/register", body).await;
    assert_eq!(refused.brief(), "409 auth.email_exists");
    let undo = mover.undo_token(OWN).await;
    assert_eq!(mover.undo(&undo).await.brief(), "200 -");
    assert_eq!(mover.stored_address("alice"), OWN);
}

#[tokio::test]
async fn the_own_account_may_change_back_while_its_undo_lives() {
    let mover = Mover::start().await;
    let alice = mover.verified("alice", HELD).await;
    mover.move_to(&alice, OTHER).await;
    let undo = mover.undo_token(OWN).await;
    mover.move_to(&alice, OWN).await;
    assert_eq!(mover.stored_address("alice"), OWN);
    // The undo is good all the same: a thief may have changed it back.
    assert_eq!(mover.undo(&undo).await.brief(), "200 -");
    assert_eq!(mover.stored_address("alice"), OWN);
}

#[tokio::test]
async fn the_operator_may_give_the_own_account_its_former_address() {
    let mover = Mover::start().await;
    let alice = mover.verified("alice", HELD).await;
    mover.move_to(&alice, OTHER).await;
    let email = Email::parse(OWN).expect("it is an address");
    let set = mover
        .app
        .service()
        .set_email(UserRef::parse("alice"), email)
        .await;
    set.expect("its own undo reserves it");
    assert_eq!(mover.living_undos(), 0);
}

#[tokio::test]
async fn the_log_is_found_by_an_address_that_was_left() {
    for by_password in [false, true] {
        let mover = Mover::start().await;
        let alice = mover.verified("alice", HELD).await;
        let token = mover.token_to(&alice, OTHER).await;
        let confirmed = if by_password {
            mover.confirm_with(PASSWORD, &token).await
        } else {
            mover.confirm_by(&alice, &token).await
        };
        assert_eq!(confirmed.brief(), "200 -");
        let rows = mover.app.workspace().json(&["audit", "--user", OWN]);
        assert!(rows.to_string().contains("email.changed"), "{rows}");
    }
}
