//! Refreshing: the cookie, its life, and who is refused. (Races, replays and forgeries: `faults/refreshes.rs`.)

use std::time::Duration;

use arkloop::service::UserRef;
use insta::assert_snapshot;

use crate::support::{Answer, TestApp};

const DAY: Duration = Duration::from_hours(24);
const SECOND: Duration = Duration::from_secs(1);

fn attributes(answer: &Answer) -> String {
    let cookie = answer.header("set-cookie").expect("there is a cookie");
    cookie.split_once("; ").expect("it has attributes").1.to_owned()
}

#[tokio::test]
async fn a_refresh_gives_fresh_tokens() {
    let app = TestApp::open().await;
    let first = app.register("alice").await;
    app.advance(Duration::from_mins(20));
    let second = app.refresh(&first.cookie()).await;
    assert_snapshot!(second.shown_with_headers(), @r#"
    200
    set-cookie: arkloop_refresh_token=[refresh token]; Path=/v1/auth; HttpOnly; SameSite=Strict; Max-Age=1209600; Expires=Thu, 15 Jan 2026 00:20:00 GMT

    {
      "access_token": "[jwt]",
      "token_type": "bearer"
    }
    "#);
    assert_ne!(second.cookie(), first.cookie());
    assert_eq!(app.me(&second.access_token()).await.status, 200);
    assert_eq!(
        app.me(&first.access_token()).await.brief(),
        "401 auth.token_expired"
    );
}

#[tokio::test]
async fn a_refresh_without_the_cookie_is_refused() {
    let app = TestApp::open().await;
    let answer = app.post("/v1/auth/refresh").send().await;
    assert_snapshot!(answer.shown_with_headers(), @r#"
    401
    www-authenticate: Bearer

    {
      "code": "auth.refresh_token_missing",
      "message": "The refresh token cookie is missing: sign in.",
      "trace_id": "[trace id]"
    }
    "#);
    let other = app.post("/v1/auth/refresh");
    let other = other.header("cookie", "arkloop_refresh_token_=x; theme=dark");
    assert_eq!(other.send().await.brief(), "401 auth.refresh_token_missing");
}

#[tokio::test]
async fn a_refused_refresh_leaves_the_cookie_alone() {
    let app = TestApp::open().await;
    let answer = app.refresh("never-authentic").await;
    assert_snapshot!(answer.shown_with_headers(), @r#"
    401
    www-authenticate: Bearer

    {
      "code": "auth.invalid_token",
      "message": "The token is not valid, or its session has ended.",
      "trace_id": "[trace id]"
    }
    "#);
    assert_eq!(app.refresh("").await.brief(), "401 auth.invalid_token");
}

#[tokio::test]
async fn a_suspended_user_is_told_so_and_keeps_the_cookie() {
    let app = TestApp::open().await;
    let cookie = app.register("alice").await.cookie();
    let alice = UserRef::parse("alice");
    app.service().suspend(alice).await.expect("the user exists");
    assert_snapshot!(app.refresh(&cookie).await.shown_with_headers(), @r#"
    403

    {
      "code": "auth.user_suspended",
      "message": "This account is suspended.",
      "trace_id": "[trace id]"
    }
    "#);
}

#[tokio::test]
async fn a_deleted_user_is_refused() {
    let app = TestApp::open().await;
    let cookie = app.register("alice").await.cookie();
    let alice = UserRef::parse("alice");
    app.service().delete_user(alice).await.expect("the user exists");
    assert_eq!(app.refresh(&cookie).await.brief(), "401 auth.invalid_token");
}

#[tokio::test]
async fn cookies_of_others_do_not_disturb() {
    let app = TestApp::open().await;
    let cookie = app.register("alice").await.cookie();
    for others in [
        "theme=dark",
        "a=b=c; ; =; d",
        "name=\"quoted; text\"",
        "theme=d\u{fc}nkel",
    ] {
        let line = format!("{others}; arkloop_refresh_token={cookie}; last=1");
        let answer = app.post("/v1/auth/refresh").header("cookie", &line).send().await;
        assert_eq!(answer.status, 200, "{others}: {answer:?}");
    }
}

#[tokio::test]
async fn a_cookie_in_quotes_is_the_same_cookie() {
    let app = TestApp::open().await;
    let cookie = app.register("alice").await.cookie();
    let twice = format!("\"\"{cookie}\"\"");
    assert_eq!(app.refresh(&twice).await.brief(), "401 auth.invalid_token");
    assert_eq!(app.refresh(&format!("\"{cookie}\"")).await.status, 200);
}

#[tokio::test]
async fn a_session_ends_two_weeks_after_its_last_refresh() {
    let app = TestApp::open().await;
    let first = app.register("alice").await;
    assert!(attributes(&first).contains("Max-Age=1209600"));
    app.advance((14 * DAY).saturating_sub(SECOND));
    let second = app.refresh(&first.cookie()).await;
    assert_eq!(second.status, 200);
    app.advance(14 * DAY);
    assert_eq!(
        app.refresh(&second.cookie()).await.brief(),
        "401 auth.invalid_token"
    );
}

#[tokio::test]
async fn a_session_ends_thirty_days_after_it_began() {
    let app = TestApp::open().await;
    let mut answer = app.register("alice").await;
    let mut attributes_seen = Vec::new();
    for days in [10, 10, 9] {
        app.advance(days * DAY);
        answer = app.refresh(&answer.cookie()).await;
        attributes_seen.push(attributes(&answer));
    }
    assert_snapshot!(attributes_seen.join("\n"), @"
    Path=/v1/auth; HttpOnly; SameSite=Strict; Max-Age=1209600; Expires=Sun, 25 Jan 2026 00:00:00 GMT
    Path=/v1/auth; HttpOnly; SameSite=Strict; Max-Age=864000; Expires=Sat, 31 Jan 2026 00:00:00 GMT
    Path=/v1/auth; HttpOnly; SameSite=Strict; Max-Age=86400; Expires=Sat, 31 Jan 2026 00:00:00 GMT
    ");
    app.advance(DAY.saturating_sub(SECOND));
    let last = app.refresh(&answer.cookie()).await;
    assert_eq!(
        attributes(&last),
        "Path=/v1/auth; HttpOnly; SameSite=Strict; Max-Age=1; Expires=Sat, 31 Jan 2026 00:00:00 GMT"
    );
    // Its access token lives no longer than the session either.
    assert_eq!(app.me(&last.access_token()).await.status, 200);
    app.advance(SECOND);
    assert_eq!(
        app.me(&last.access_token()).await.brief(),
        "401 auth.invalid_token"
    );
    assert_eq!(
        app.refresh(&last.cookie()).await.brief(),
        "401 auth.invalid_token"
    );
}

#[tokio::test]
async fn a_repeated_answer_counts_down_too() {
    let app = TestApp::open().await;
    let first = app.register("alice").await.cookie();
    let second = app.refresh(&first).await;
    app.advance(Duration::from_secs(29));
    let repeated = app.refresh(&first).await;
    assert_eq!(repeated.cookie(), second.cookie());
    assert!(
        attributes(&repeated).contains("Max-Age=1209571; "),
        "{repeated:?}"
    );
}

#[tokio::test]
async fn lifetimes_follow_the_configuration() {
    let app = TestApp::builder()
        .open()
        .set("TOKENS__REFRESH_IDLE_TTL", "1h")
        .set("TOKENS__REFRESH_ABSOLUTE_TTL", "90m")
        .set("TOKENS__ACCESS_TTL", "5s")
        .start()
        .await;
    let first = app.register("alice").await;
    assert!(attributes(&first).contains("Max-Age=3600; "));
    app.advance(5 * SECOND);
    assert_eq!(
        app.me(&first.access_token()).await.brief(),
        "401 auth.token_expired"
    );
    app.advance(Duration::from_mins(45));
    let second = app.refresh(&first.cookie()).await;
    assert!(attributes(&second).contains("Max-Age=2695; "), "{second:?}");
}

#[tokio::test]
async fn the_attributes_of_the_cookie_follow_the_configuration() {
    let https = || {
        TestApp::builder()
            .open()
            .set("SERVER__PUBLIC_URL", "https://auth.example.org")
            .set("SERVER__TRUSTED_PROXIES", "127.0.0.0/8")
    };
    let mut seen = Vec::new();
    for builder in [
        TestApp::builder().open().set("SERVER__COOKIE_SAME_SITE", "lax"),
        https(),
        https().set("SERVER__COOKIE_SAME_SITE", "lax"),
        https().set("SERVER__COOKIE_SAME_SITE", "none"),
    ] {
        let app = builder.start().await;
        let first = app.register("alice").await;
        let second = app.refresh(&first.cookie()).await;
        let out = app.post("/v1/auth/logout").bearer(&second.access_token());
        let out = out.send().await;
        assert_eq!(attributes(&first), attributes(&second));
        seen.push(attributes(&first));
        seen.push(out.header("set-cookie").expect("it is cleared").to_owned());
    }
    assert_snapshot!(seen.join("\n"), @"
    Path=/v1/auth; HttpOnly; SameSite=Lax; Max-Age=1209600; Expires=Thu, 15 Jan 2026 00:00:00 GMT
    arkloop_refresh_token=; Path=/v1/auth; HttpOnly; SameSite=Lax; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT
    Path=/v1/auth; HttpOnly; SameSite=Strict; Max-Age=1209600; Expires=Thu, 15 Jan 2026 00:00:00 GMT; Secure
    arkloop_refresh_token=; Path=/v1/auth; HttpOnly; SameSite=Strict; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Secure
    Path=/v1/auth; HttpOnly; SameSite=Lax; Max-Age=1209600; Expires=Thu, 15 Jan 2026 00:00:00 GMT; Secure
    arkloop_refresh_token=; Path=/v1/auth; HttpOnly; SameSite=Lax; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Secure
    Path=/v1/auth; HttpOnly; SameSite=None; Max-Age=1209600; Expires=Thu, 15 Jan 2026 00:00:00 GMT; Secure
    arkloop_refresh_token=; Path=/v1/auth; HttpOnly; SameSite=None; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Secure
    ");
}

#[tokio::test]
async fn no_header_of_a_request_makes_the_cookie_secure() {
    let app = TestApp::builder()
        .open()
        .set("SERVER__TRUSTED_PROXIES", "127.0.0.0/8")
        .start()
        .await;
    let cookie = app.register("alice").await.cookie();
    let answer = app
        .post("/v1/auth/refresh")
        .cookie(&cookie)
        .header("x-forwarded-proto", "https")
        .header("forwarded", "proto=https;host=evil.example")
        .send()
        .await;
    assert!(!attributes(&answer).contains("Secure"), "{answer:?}");
}

#[tokio::test]
async fn a_refresh_takes_no_body_and_no_bearer() {
    let app = TestApp::open().await;
    let registered = app.register("alice").await;
    let answer = app
        .post("/v1/auth/refresh")
        .cookie(&registered.cookie())
        .bearer("nonsense")
        .text("text/plain", "nonsense")
        .send()
        .await;
    assert_eq!(answer.status, 200);
    let by_body = serde_json::json!({"refresh_token": answer.cookie()});
    let answer = app.post("/v1/auth/refresh").json(&by_body).send().await;
    assert_eq!(answer.brief(), "401 auth.refresh_token_missing");
}
