//! Accounts of the first release over the change of the schema: nothing says since when they have their addresses.

use std::time::Duration;

use rusqlite::Connection;

use crate::support::address::{HELD, Mover};
use crate::support::{Builder, old_database};

const OLD_ADDRESS: &str = "User1@example.org";

/// A server that has brought a database of the first release up to date, whose one account has the password of every test.
async fn upgraded() -> Mover {
    let mut mover = Mover::start_with(Builder::of_sqlite).await;
    mover.app.register("alice").await;
    let hash = mover.app.text("SELECT password_hash FROM users");
    mover.app.stop().await;
    old_database::put(mover.app.workspace(), old_database::FIRST_RELEASE, 1);
    let database = Connection::open(mover.app.data_dir().join("arkloop.db")).expect("it opens");
    let changed = database.execute("UPDATE users SET password_hash = ?1", [hash]);
    assert_eq!(changed.expect("it is changed"), 1);
    drop(database);
    mover.app.start_again().await;
    mover
}

#[tokio::test]
async fn an_account_of_before_keeps_its_address_and_gets_an_undo() {
    let mover = upgraded().await;
    // The account was made a millisecond after the clock of the test began.
    mover.app.advance(HELD + Duration::from_secs(1));
    let caller = mover.signed_in("user1").await;
    assert_eq!(mover.address_of(&caller).await, OLD_ADDRESS);
    mover.move_to(&caller, "new@example.org").await;
    let token = mover.undo_token(OLD_ADDRESS).await;
    assert_eq!(mover.undo(&token).await.brief(), "200 -");
    assert_eq!(mover.stored_address("User1"), OLD_ADDRESS);
}

#[tokio::test]
async fn an_account_that_is_younger_than_72_hours_gets_no_undo_after_the_upgrade() {
    let mover = upgraded().await;
    mover.app.advance(HELD.saturating_sub(Duration::from_hours(1)));
    let caller = mover.signed_in("user1").await;
    mover.move_to(&caller, "new@example.org").await;
    assert_eq!(mover.undos_to(OLD_ADDRESS).await, 0);
}
