//! What the link of a former address does not cover, as docs/security.md says, and what no command takes from it.

use std::time::Duration;

use arkloop::domain::Email;
use arkloop::service::UserRef;

use crate::support::Builder;
use crate::support::address::{HELD, Mover};

const OWN: &str = "alice@example.org";
const THIEF: &str = "thief@example.net";
const SECOND: &str = "thief-2@example.net";
const INVALID: &str = "422 email.token_invalid";

/// Gives the account its address back as the operator does.
async fn set_own_address(mover: &Mover) {
    // It takes a mail with an undo out of the queue.
    mover.app.wait_for_empty_outbox().await;
    let (service, user) = (mover.app.service(), || UserRef::parse("alice"));
    let email = Email::parse(OWN).expect("it is an address");
    service.set_email(user(), email).await.expect("it is free");
    service.verify_email(user()).await.expect("it is there");
}

#[tokio::test]
async fn a_second_theft_to_the_same_address_sends_no_undo() {
    for is_by_operator in [false, true] {
        for (next, expected) in [(THIEF, 1), (SECOND, 2)] {
            let mover = Mover::start().await;
            let alice = mover.verified("alice", HELD).await;
            mover.move_to(&alice, THIEF).await;
            if is_by_operator {
                set_own_address(&mover).await;
            } else {
                mover.move_to(&alice, OWN).await;
            }
            mover.app.advance(HELD);
            let thief = mover.signed_in("alice").await;
            mover.move_to(&thief, next).await;
            assert_eq!(mover.undos_to(OWN).await, expected, "{is_by_operator} {next}");
        }
    }
}

#[tokio::test]
async fn after_a_change_back_by_hand_72_hours_pass_without_a_new_undo() {
    const DAY: Duration = Duration::from_hours(24);
    for (later, expected) in [(HELD.saturating_sub(DAY), 1), (HELD, 2)] {
        let mover = Mover::start().await;
        let alice = mover.verified("alice", HELD).await;
        mover.move_to(&alice, THIEF).await;
        let undo = mover.undo_token(OWN).await;
        mover.app.advance(DAY);
        let owner = mover.signed_in("alice").await;
        mover.move_to(&owner, OWN).await;
        mover.app.advance(later);
        assert_eq!(mover.preview(&undo).await.brief(), INVALID);
        let thief = mover.signed_in("alice").await;
        mover.move_to(&thief, SECOND).await;
        assert_eq!(mover.undos_to(OWN).await, expected, "{later:?}");
    }
}

#[tokio::test]
async fn an_undo_of_a_thief_who_waited_works_after_a_change_back_by_hand() {
    for is_by_operator in [false, true] {
        let mover = Mover::start().await;
        let thief = mover.verified("alice", HELD).await;
        mover.move_to(&thief, THIEF).await;
        mover.app.advance(HELD);
        let thief = mover.signed_in("alice").await;
        mover.move_to(&thief, SECOND).await;
        let undo = mover.undo_token(THIEF).await;
        let (expected, address) = if is_by_operator {
            set_own_address(&mover).await;
            (INVALID, OWN)
        } else {
            let owner = mover.signed_in("alice").await;
            mover.move_to(&owner, OWN).await;
            ("200 -", THIEF)
        };
        assert_eq!(mover.undo(&undo).await.brief(), expected);
        assert_eq!(mover.stored_address("alice"), address);
    }
}

#[tokio::test]
async fn neither_a_restore_nor_another_key_file_gives_a_thief_s_address_an_undo() {
    for command in [["key", "rekey"].as_slice(), &["restore", "copy.db", "--yes"]] {
        let mut mover = Mover::start_with(Builder::of_sqlite).await;
        let thief = mover.verified("alice", HELD).await;
        mover.move_to(&thief, THIEF).await;
        mover.undo_token(OWN).await;
        mover.app.wait_for_empty_outbox().await;
        mover.app.advance(HELD);
        mover.app.stop().await;
        mover.app.workspace().json(&["backup", "copy.db"]);
        mover.app.workspace().json(command);
        mover.app.start_again().await;
        let owner = mover.signed_in("alice").await;
        mover.move_to(&owner, OWN).await;
        assert_eq!(mover.undos_to(THIEF).await, 0, "{command:?}");
    }
}
