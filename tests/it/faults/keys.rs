//! Signing keys are replaced while clients go on working.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use arkloop::service::{Error, KeyRotation};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::support::{PASSWORD, Request, TestApp};

const TEN_MINUTES: Duration = Duration::from_mins(10);
const A_SECOND_BEFORE: Duration = Duration::from_secs(599);

/// The ids of the published keys, in their order.
async fn published(app: &TestApp) -> Vec<String> {
    let set = app.get("/.well-known/jwks.json").send().await.json();
    let keys = set["keys"].as_array().expect("it has keys");
    keys.iter()
        .map(|key| key["kid"].as_str().expect("it has an id").to_owned())
        .collect()
}

/// The id of the key that signed a token.
fn signer_of(token: &str) -> String {
    let head = token.split('.').next().expect("a token has a head");
    let head = URL_SAFE_NO_PAD.decode(head).expect("it is base64url");
    let head: Value = serde_json::from_slice(&head).expect("it is JSON");
    head["kid"].as_str().expect("it has a key id").to_owned()
}

/// Replaces the signing key as a command does.
async fn rotate(app: &TestApp, rotation: KeyRotation) {
    let command = app.command().await;
    command
        .service
        .rotate_signing_key(rotation, None)
        .await
        .expect("it is replaced");
    command.close();
}

async fn sign_in(app: &TestApp) -> String {
    app.login("alice", PASSWORD).await.access_token()
}

#[tokio::test]
async fn a_new_key_is_published_at_once_and_signs_ten_minutes_later() {
    let app = TestApp::open().await;
    app.register("alice").await;
    let old = published(&app).await;
    rotate(&app, KeyRotation::Announced).await;
    let both = published(&app).await;
    assert_eq!((both.len(), &both[1]), (2, &old[0]));
    app.advance(A_SECOND_BEFORE);
    assert_eq!(signer_of(&sign_in(&app).await), old[0]);
    app.advance(Duration::from_secs(1));
    assert_eq!(signer_of(&sign_in(&app).await), both[0]);
}

#[tokio::test]
async fn a_new_key_signs_in_time_although_nobody_asked_for_the_published_keys() {
    let app = TestApp::open().await;
    let old = signer_of(&app.register("alice").await.access_token());
    rotate(&app, KeyRotation::Announced).await;
    app.advance(TEN_MINUTES);
    assert_ne!(signer_of(&sign_in(&app).await), old);
}

#[tokio::test]
async fn tokens_from_before_are_good_until_they_expire_and_their_key_leaves_after_that() {
    let app = TestApp::open().await;
    app.register("alice").await;
    rotate(&app, KeyRotation::Announced).await;
    app.advance(A_SECOND_BEFORE);
    let (last, both) = (sign_in(&app).await, published(&app).await);
    assert_eq!(signer_of(&last), both[1]);
    app.advance(Duration::from_secs(899));
    let new = sign_in(&app).await;
    assert_eq!(signer_of(&new), both[0]);
    assert_eq!(
        [app.me(&last).await.status, app.me(&new).await.status],
        [200, 200]
    );
    assert_eq!(published(&app).await, both);
    app.advance(Duration::from_secs(1));
    assert_eq!(app.me(&last).await.brief(), "401 auth.token_expired");
    app.advance(Duration::from_hours(1) + Duration::from_secs(2));
    app.service().sweep().await.expect("it is swept");
    assert_eq!(published(&app).await, both[..1]);
}

#[tokio::test]
async fn a_key_that_is_dropped_takes_its_tokens_with_it_at_once() {
    let app = TestApp::open().await;
    let registered = app.register("alice").await;
    let (token, cookie) = (registered.access_token(), registered.cookie());
    assert_eq!(app.me(&token).await.status, 200);
    rotate(&app, KeyRotation::AtOnce).await;
    assert_eq!(app.me(&token).await.brief(), "401 auth.invalid_token");
    let refreshed = app.refresh(&cookie).await.access_token();
    assert_eq!(app.me(&refreshed).await.status, 200);
    assert_eq!(published(&app).await, [signer_of(&refreshed)]);
    assert_ne!(signer_of(&refreshed), signer_of(&token));
}

#[tokio::test]
async fn a_restart_does_not_make_an_announced_key_sign_early() {
    let mut app = TestApp::open().await;
    app.register("alice").await;
    rotate(&app, KeyRotation::Announced).await;
    let both = published(&app).await;
    app.restart().await;
    assert_eq!(published(&app).await, both);
    assert_eq!(signer_of(&sign_in(&app).await), both[1]);
    app.advance(TEN_MINUTES);
    assert_eq!(signer_of(&sign_in(&app).await), both[0]);
}

#[tokio::test]
async fn a_rotation_is_refused_until_the_key_before_it_signs() {
    let app = TestApp::open().await;
    app.register("alice").await;
    rotate(&app, KeyRotation::Announced).await;
    app.advance(Duration::from_mins(9));
    let refused = app
        .command()
        .await
        .service
        .rotate_signing_key(KeyRotation::Announced, None)
        .await;
    assert!(matches!(refused, Err(Error::RotationWaits { .. })), "{refused:?}");
    assert_eq!(published(&app).await.len(), 2);
    app.advance(Duration::from_mins(1));
    rotate(&app, KeyRotation::Announced).await;
    let signer = signer_of(&sign_in(&app).await);
    let published = published(&app).await;
    assert_eq!((published.len(), published.contains(&signer)), (3, true));
}

#[tokio::test]
async fn the_last_known_keys_are_published_while_the_database_cannot_be_read() {
    let app = TestApp::open().await;
    let before = published(&app).await;
    app.change("ALTER TABLE signing_keys RENAME TO hidden");
    assert_eq!(published(&app).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_keys_are_replaced() {
    let app = TestApp::builder().machine_clock().open().start().await;
    let (is_over, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut clients = JoinSet::new();
    for number in 0..8 {
        let registered = app.register(&format!("user-{number}")).await;
        let (mut token, mut cookie) = (registered.access_token(), registered.cookie());
        let (address, is_over, served) = (app.address(), Arc::clone(&is_over), Arc::clone(&served));
        clients.spawn(async move {
            while !is_over.load(Ordering::SeqCst) {
                let me = Request::new(address, "GET", "/v1/me").bearer(&token).send().await;
                assert_eq!(me.status, 200, "{me:?}");
                let refreshed = Request::new(address, "POST", "/v1/auth/refresh")
                    .cookie(&cookie)
                    .send()
                    .await;
                assert_eq!(refreshed.status, 200, "{refreshed:?}");
                (token, cookie) = (refreshed.access_token(), refreshed.cookie());
                served.fetch_add(2, Ordering::SeqCst);
            }
        });
    }
    for _ in 0..3 {
        let before = served.load(Ordering::SeqCst);
        let workspace = Arc::clone(app.workspace());
        let rotated = tokio::task::spawn_blocking(move || workspace.json(&["key", "rotate"]));
        rotated.await.expect("it is replaced");
        assert!(published(&app).await.len() > 1);
        // Ten minutes pass, after which the new key signs and another one may be made.
        app.change(
            "UPDATE signing_keys SET active_at = active_at - 600000, retired_at = retired_at - 600000",
        );
        while served.load(Ordering::SeqCst) < before + 16 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    is_over.store(true, Ordering::SeqCst);
    while let Some(client) = clients.join_next().await {
        client.expect("every request was served");
    }
    assert_eq!(published(&app).await.len(), 4);
}
