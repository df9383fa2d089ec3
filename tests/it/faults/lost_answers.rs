//! A refresh whose answer never arrives signs nobody out; a replaced token that comes back too late, or from another client, does.

use std::time::Duration;

use crate::support::TestApp;
use crate::support::device::{Device, behind_a_proxy};

const DAY: Duration = Duration::from_hours(24);
/// Just past the grace.
const PAUSE: Duration = Duration::from_secs(31);

fn phone() -> Device {
    Device::new("192.0.2.7", "Phone/17.4")
}

#[tokio::test]
async fn a_lost_answer_signs_nobody_out() {
    let app = behind_a_proxy().await;
    let first = phone().register(&app, "alice").await.cookie();
    let lost = phone().refresh(&app, &[&first]).await;
    app.advance(PAUSE);
    let again = phone().refresh(&app, &[&first]).await;
    assert_eq!(again.status, 200, "{again:?}");
    assert_ne!(again.cookie(), lost.cookie());
    assert_eq!(app.generation_of(&first).await, 2);
    app.advance(PAUSE);
    assert_eq!(phone().refresh(&app, &[&again.cookie()]).await.status, 200);
}

#[tokio::test]
async fn lost_answers_in_a_row_from_other_networks_sign_nobody_out() {
    let mut app = behind_a_proxy().await;
    let first = phone().register(&app, "alice").await.cookie();
    let mut answer = phone().refresh(&app, &[&first]).await;
    for hop in 0..12 {
        app.advance(DAY.saturating_sub(PAUSE));
        if hop == 5 {
            app.restart().await;
        }
        // The browser is updated meanwhile.
        let phone = Device::new(&format!("198.51.{hop}.7"), &format!("Phone/1{hop}.{hop}"));
        answer = phone.refresh(&app, &[&first]).await;
        assert_eq!(answer.status, 200, "{hop}: {answer:?}");
    }
    assert_eq!(phone().refresh(&app, &[&answer.cookie()]).await.status, 200);
}

#[tokio::test]
async fn a_lost_answer_of_another_client_or_after_a_day_is_reuse() {
    let other_agent = Device::new("192.0.2.7", "curl/8.14.1");
    let nameless = Device::new("192.0.2.7", "");
    for (later, device) in [(PAUSE, other_agent), (PAUSE, nameless), (DAY, phone())] {
        let app = behind_a_proxy().await;
        let first = phone().register(&app, "alice").await.cookie();
        let second = phone().refresh(&app, &[&first]).await.cookie();
        app.advance(later);
        let answer = device.refresh(&app, &[&first]).await;
        assert_eq!(answer.brief(), "401 auth.invalid_token");
        assert_eq!(app.ended_because(&first).await.as_deref(), Some("refresh_reused"));
        assert_eq!(phone().refresh(&app, &[&second]).await.status, 401);
    }
}

#[tokio::test]
async fn lost_answers_can_be_turned_off() {
    for (key, value) in [("TOKENS__LOST_ANSWER", "0s"), ("TOKENS__REFRESH_GRACE", "0s")] {
        let app = TestApp::builder().open().set(key, value).start().await;
        let first = app.register("alice").await.cookie();
        app.refresh(&first).await;
        app.advance(PAUSE);
        assert_eq!(
            app.refresh(&first).await.brief(),
            "401 auth.invalid_token",
            "{key}"
        );
        assert_eq!(app.ended_because(&first).await.as_deref(), Some("refresh_reused"));
    }
}

#[tokio::test]
async fn once_the_successor_was_seen_the_older_token_is_reuse() {
    let app = behind_a_proxy().await;
    let first = phone().register(&app, "alice").await.cookie();
    let second = phone().refresh(&app, &[&first]).await.cookie();
    let third = phone().refresh(&app, &[&second]).await.cookie();
    app.advance(PAUSE);
    assert_eq!(phone().refresh(&app, &[&first]).await.status, 401);
    assert_eq!(phone().refresh(&app, &[&third]).await.status, 401);
}

#[tokio::test]
async fn an_answer_that_seemed_lost_may_arrive_within_the_grace() {
    let app = behind_a_proxy().await;
    let first = phone().register(&app, "alice").await.cookie();
    let late = phone().refresh(&app, &[&first]).await.cookie();
    app.advance(PAUSE);
    let current = phone().refresh(&app, &[&first]).await.cookie();
    app.advance(Duration::from_secs(29));
    assert_eq!(phone().refresh(&app, &[&late]).await.cookie(), current);
    // Other tabs may send the late cookie too, even after one of them has moved on.
    let next = phone().refresh(&app, &[&current]).await.cookie();
    assert_eq!(phone().refresh(&app, &[&late]).await.cookie(), next);
    // The newer cookie was used, so the late one is reuse after the grace.
    app.advance(PAUSE);
    assert_eq!(phone().refresh(&app, &[&late]).await.status, 401);
    assert_eq!(phone().refresh(&app, &[&next]).await.status, 401);
}

#[tokio::test]
async fn an_answer_that_seemed_lost_is_reuse_from_elsewhere_or_after_the_grace() {
    for (device, later) in [
        (phone().moved_to("198.51.100.7"), 0),
        (Device::new("192.0.2.7", "Phone/17.5"), 0),
        (phone(), 31),
    ] {
        let app = behind_a_proxy().await;
        let first = phone().register(&app, "alice").await.cookie();
        let late = phone().refresh(&app, &[&first]).await.cookie();
        app.advance(PAUSE);
        let current = phone().refresh(&app, &[&first]).await.cookie();
        app.advance(Duration::from_secs(later));
        assert_eq!(device.refresh(&app, &[&late]).await.status, 401);
        assert_eq!(phone().refresh(&app, &[&current]).await.status, 401);
        assert_eq!(app.ended_because(&first).await.as_deref(), Some("refresh_reused"));
    }
}

#[tokio::test]
async fn a_clock_that_is_set_back_or_forward_makes_no_lost_answer_a_theft() {
    for jump in [-9 * 24, -1, 1, 23] {
        let app = behind_a_proxy().await;
        app.advance(20 * DAY);
        let first = phone().register(&app, "alice").await.cookie();
        let lost = phone().refresh(&app, &[&first]).await.cookie();
        let by = Duration::from_hours(u64::from(i32::unsigned_abs(jump)));
        if jump < 0 {
            app.turn_back(by);
        } else {
            app.advance(by);
        }
        let again = phone().refresh(&app, &[&first]).await;
        assert_eq!(again.status, 200, "{jump}: {again:?}");
        assert_ne!(again.cookie(), lost, "{jump}: it counts as lost, not as repeated");
        assert_eq!(phone().refresh(&app, &[&again.cookie()]).await.status, 200);
    }
    // A small jump stays within the grace.
    let app = behind_a_proxy().await;
    let first = phone().register(&app, "alice").await.cookie();
    let second = phone().refresh(&app, &[&first]).await.cookie();
    app.turn_back(Duration::from_secs(30));
    assert_eq!(phone().refresh(&app, &[&first]).await.cookie(), second);
}
