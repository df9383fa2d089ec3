//! What is stored about changes of addresses, and for how long.

use std::time::Duration;

use arkloop::service::UserRef;

use crate::support::TestApp;

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// A change that ends in an hour, an undo that ends in 72 hours, and an address that the account has just left.
const ROWS: &str = "
    INSERT INTO email_changes
        SELECT id, randomblob(32), 'new@example.org', created_at, created_at + 3600000 FROM users;
    INSERT INTO email_undos
        SELECT randomblob(32), id, 'old@example.org', 'old@example.org', created_at, created_at, created_at + 72 * 3600000 FROM users;
    INSERT INTO former_addresses SELECT id, 'former@example.org', created_at FROM users";

fn rows(app: &TestApp) -> [i64; 3] {
    ["email_changes", "email_undos", "former_addresses"]
        .map(|table| app.count(&format!("SELECT count(*) FROM {table}")))
}

#[tokio::test]
async fn changes_and_undos_go_a_day_after_their_end_and_former_addresses_after_31_days() {
    let app = TestApp::open().await;
    app.register("alice").await;
    app.change(ROWS);
    let mut past = Duration::ZERO;
    for (at, left) in [
        (DAY, [1, 1, 1]),
        (DAY + HOUR * 2, [0, 1, 1]),
        (DAY * 4, [0, 1, 1]),
        (DAY * 4 + HOUR, [0, 0, 1]),
        (DAY * 31, [0, 0, 1]),
        (DAY * 31 + HOUR, [0, 0, 0]),
    ] {
        app.advance(at.saturating_sub(past));
        past = at;
        app.service().sweep().await.expect("it sweeps");
        assert_eq!(rows(&app), left, "after {} hours", at.as_secs() / 3600);
    }
}

#[tokio::test]
async fn a_deleted_account_leaves_none_and_its_former_address_is_free() {
    let app = TestApp::open().await;
    app.register("alice").await;
    app.change(ROWS);
    let mut registration = crate::support::registration("bob");
    registration["email"] = "OLD@example.org".into();
    let register = async || {
        app.post("/v1/auth/register")
            .json(&registration)
            .send()
            .await
            .brief()
    };
    assert_eq!(register().await, "409 auth.email_exists");
    let deleted = app.service().delete_user(UserRef::parse("alice")).await;
    deleted.expect("the account is there");
    assert_eq!(rows(&app), [0, 0, 0]);
    assert_eq!(register().await, "201 -");
}
