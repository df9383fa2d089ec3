//! The clock of the machine is set, forward or back, while the server runs.

use std::time::Duration;

use crate::support::{PASSWORD, TestApp};

const HOUR: Duration = Duration::from_hours(1);

#[tokio::test]
async fn a_clock_that_jumps_forward_ends_what_has_a_term_and_nothing_else() {
    let app = TestApp::open().await;
    let alice = app.register("alice").await;
    app.send_code("alice@example.org").await;
    app.advance(400 * 24 * HOUR);
    assert_eq!(
        app.me(&alice.access_token()).await.brief(),
        "401 auth.token_expired"
    );
    assert_eq!(
        app.refresh(&alice.cookie()).await.brief(),
        "401 auth.invalid_token"
    );
    assert_eq!(app.send_code("alice@example.org").await.status, 204);
    let again = app.login("alice", PASSWORD).await;
    assert_eq!(app.me(&again.access_token()).await.status, 200);
    // The clock is set right again: what expired by the wrong time has not ended, and what began in it goes on.
    app.turn_back(400 * 24 * HOUR);
    assert_eq!(app.refresh(&alice.cookie()).await.status, 200);
    assert_eq!(app.refresh(&again.cookie()).await.status, 200);
    assert_eq!(app.login("alice", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn a_clock_that_is_set_back_signs_nobody_out() {
    let app = TestApp::open().await;
    let alice = app.register("alice").await;
    let newer = app.refresh(&alice.cookie()).await;
    app.turn_back(HOUR);
    assert_eq!(app.me(&newer.access_token()).await.status, 200);
    let earlier = app.refresh(&newer.cookie()).await;
    assert_eq!(earlier.status, 200);
    assert_eq!(app.me(&earlier.access_token()).await.status, 200);
    let bob = app.register("bob").await;
    assert_eq!(app.login("alice", PASSWORD).await.status, 200);
    app.advance(HOUR);
    let later = app.refresh(&earlier.cookie()).await;
    assert_eq!(later.status, 200);
    assert_eq!(app.refresh(&bob.cookie()).await.status, 200);
    // A copied token is still found out, and its session ends.
    app.advance(Duration::from_mins(2));
    assert_eq!(
        app.refresh(&newer.cookie()).await.brief(),
        "401 auth.invalid_token"
    );
    assert_eq!(
        app.ended_because(&later.cookie()).await.as_deref(),
        Some("refresh_reused")
    );
}

#[tokio::test]
async fn mail_that_was_asked_for_in_a_wrong_future_holds_up_none_when_the_clock_is_right_again() {
    let app = TestApp::open().await;
    app.register("alice").await;
    app.advance(40 * 24 * HOUR);
    assert_eq!(app.send_code("alice@example.org").await.status, 204);
    assert_eq!(app.send_reset("alice@example.org").await.status, 204);
    app.turn_back(40 * 24 * HOUR);
    assert_eq!(app.send_code("alice@example.org").await.status, 204);
    assert_eq!(app.send_reset("alice@example.org").await.status, 204);
    assert_eq!(app.send_code("alice@example.org").await.status, 429);
}
