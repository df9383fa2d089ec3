//! Limits on requests: by address, and by session for callers who are signed in.
//!
//! Every sign-in here uses another name, so that the limits of accounts do not refuse it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use arkloop::domain::LimitClass;
use insta::assert_snapshot;
use serde_json::json;
use strum::VariantArray;
use tokio::task::JoinSet;

use super::operations::{operations, operations_with};
use crate::support::{Answer, Request, TestApp};

/// A sign-in without an account, each time under another name.
fn guess(app: &TestApp) -> Request {
    static NAMES: AtomicU32 = AtomicU32::new(0);
    let name = format!("nobody-{}", NAMES.fetch_add(1, Ordering::Relaxed));
    app.post("/v1/auth/login")
        .json(&json!({"login": name, "password": "a wrong one"}))
}

/// The same through a proxy that names the address of its client.
fn guess_for(app: &TestApp, address: &str) -> Request {
    guess(app).header("x-forwarded-for", address)
}

/// How many of `number` requests are let through.
async fn let_through(number: u32, request: impl Fn(u32) -> Request) -> u32 {
    let mut passed = 0;
    for turn in 0..number {
        let answer = request(turn).send().await;
        match answer.brief().as_str() {
            "429 rate_limit.exceeded" => {}
            "401 auth.invalid_credentials" => passed += 1,
            other => panic!("{other}: {answer:?}"),
        }
    }
    passed
}

async fn limited() -> TestApp {
    TestApp::builder().open().limited().start().await
}

async fn behind_a_proxy() -> TestApp {
    let app = TestApp::builder().open().limited();
    app.set("SERVER__TRUSTED_PROXIES", "127.0.0.0/8").start().await
}

fn limit_of(answer: &Answer) -> String {
    let limit = answer.json()["details"]["limit"].as_str().map(str::to_owned);
    limit.unwrap_or_else(|| panic!("no limit: {answer:?}"))
}

#[tokio::test]
async fn one_of_several_servers_has_its_part_of_a_limit_rounded_up() {
    for (servers, passed) in [("1", 5), ("2", 3), ("100", 1)] {
        let builder = TestApp::builder().open().limited().limit("login", "5/1m");
        let app = builder.set("RATE_LIMIT__NODES", servers).start().await;
        assert_eq!(let_through(8, |_| guess(&app)).await, passed);
    }
}

#[tokio::test]
async fn a_hundred_wrong_passwords_from_one_address_are_sixty() {
    let app = limited().await;
    let first = guess(&app).send().await;
    assert_eq!(first.brief(), "401 auth.invalid_credentials");
    assert_eq!(first.header("ratelimit-policy"), Some("\"login\";q=60;w=60"));
    assert_eq!(first.header("ratelimit"), Some("\"login\";r=59;t=1"));
    assert_eq!(let_through(99, |_| guess(&app)).await, 59);
    assert_snapshot!(guess(&app).send().await.shown_with_headers(), @r#"
    429
    ratelimit-policy: "login";q=60;w=60
    ratelimit: "login";r=0;t=1
    retry-after: 1

    {
      "code": "rate_limit.exceeded",
      "message": "Too many requests: try again after Retry-After.",
      "trace_id": "[trace id]",
      "details": {
        "limit": "address"
      }
    }
    "#);
    // Refused requests do not prolong the wait.
    app.advance(Duration::from_secs(1));
    assert_eq!(let_through(10, |_| guess(&app)).await, 1);
    app.advance(Duration::from_mins(1));
    assert_eq!(let_through(100, |_| guess(&app)).await, 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_at_once_are_sixty_too() {
    let app = Arc::new(limited().await);
    let mut requests = JoinSet::new();
    for _ in 0..100 {
        let request = guess(&app);
        requests.spawn(async move { request.send().await.status });
    }
    let statuses = requests.join_all().await;
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 60);
}

#[tokio::test]
async fn five_hundred_addresses_behind_a_proxy_have_a_limit_each() {
    let app = behind_a_proxy().await;
    let address = |number: u32| format!("198.51.{}.{}", number / 250, number % 250);
    assert_eq!(let_through(500, |n| guess_for(&app, &address(n))).await, 500);
    assert_eq!(let_through(100, |_| guess_for(&app, &address(0))).await, 59);
    assert_eq!(let_through(500, |n| guess_for(&app, &address(n))).await, 499);
}

#[tokio::test]
async fn forged_headers_open_no_second_bucket() {
    let app = limited().await;
    let forged = |n: u32| {
        guess_for(&app, &format!("198.51.100.{n}"))
            .header("forwarded", &format!("for=198.51.100.{n}"))
            .header("x-real-ip", &format!("198.51.100.{n}"))
    };
    assert_eq!(let_through(100, forged).await, 60);
    // Nor does an address that a client writes in front of the one that its proxy adds.
    let app = behind_a_proxy().await;
    let forged = |n: u32| guess_for(&app, &format!("198.51.100.{n}, 203.0.113.9"));
    assert_eq!(let_through(100, forged).await, 60);
    assert_eq!(guess_for(&app, "198.51.100.1").send().await.status, 401);
}

#[tokio::test]
async fn the_addresses_of_one_network_share_a_bucket() {
    let app = behind_a_proxy().await;
    let host = |n: u32| guess_for(&app, &format!("2001:db8:0:7::{n:x}"));
    assert_eq!(let_through(100, host).await, 60);
    assert_eq!(guess_for(&app, "2001:db8:0:8::1").send().await.status, 401);
    // One address in two spellings.
    let spelling = |n: u32| {
        let prefix = if n.is_multiple_of(2) { "" } else { "::ffff:" };
        guess_for(&app, &format!("{prefix}198.51.100.1"))
    };
    assert_eq!(let_through(100, spelling).await, 60);
}

#[tokio::test]
async fn a_running_session_goes_on_while_its_address_keeps_guessing() {
    let app = limited().await;
    let alice = app.register("alice").await;
    let mut cookie = alice.cookie();
    for _ in 0..20 {
        let_through(70, |_| guess(&app)).await;
        let refreshed = app.refresh(&cookie).await;
        assert_eq!(refreshed.status, 200, "{refreshed:?}");
        cookie = refreshed.cookie();
        assert_eq!(app.me(&refreshed.access_token()).await.status, 200);
        app.advance(Duration::from_secs(30));
    }
    assert_eq!(guess(&app).send().await.status, 401);
}

#[tokio::test]
async fn whoever_is_signed_in_is_counted_by_session() {
    let app = TestApp::builder().open().limit("other", "3/1m");
    let app = app.set("SERVER__TRUSTED_PROXIES", "127.0.0.0/8").start().await;
    let [alice, bob] = [app.register("alice").await, app.register("bob").await];
    let me = |caller: &Answer, address: &str| {
        let request = app.get("/v1/me").bearer(&caller.access_token());
        request.header("x-forwarded-for", address)
    };
    for n in 0..3 {
        assert_eq!(me(&alice, &format!("198.51.100.{n}")).send().await.status, 200);
    }
    let refused = me(&alice, "198.51.100.9").send().await;
    assert_snapshot!(refused.shown(), @r#"
    429
    {
      "code": "rate_limit.exceeded",
      "message": "Too many requests: try again after Retry-After.",
      "trace_id": "[trace id]",
      "details": {
        "limit": "session"
      }
    }
    "#);
    assert_eq!(refused.header("retry-after"), Some("20"));
    assert_eq!(me(&bob, "198.51.100.9").send().await.status, 200);
    // Another session of the same account has a bucket of its own.
    let again = app.login("alice", crate::support::PASSWORD).await;
    assert_eq!(me(&again, "198.51.100.9").send().await.status, 200);
    app.advance(Duration::from_secs(20));
    assert_eq!(me(&alice, "198.51.100.9").send().await.status, 200);
}

#[tokio::test]
async fn a_token_that_is_not_good_counts_for_the_address() {
    let app = TestApp::builder().open().limit("other", "5/1m").start().await;
    let [alice, bob] = [app.register("alice").await, app.register("bob").await];
    let out = app
        .post("/v1/auth/logout")
        .bearer(&bob.access_token())
        .send()
        .await;
    assert_eq!(out.status, 200);
    let tokens = ["forged", &alice.cookie(), &bob.access_token(), "a.b.c"];
    for token in tokens {
        assert_eq!(app.me(token).await.brief(), "401 auth.invalid_token");
    }
    assert_eq!(app.get("/v1/me").send().await.brief(), "401 auth.missing_token");
    let refused = app.me("forged").await;
    assert_eq!(refused.brief(), "429 rate_limit.exceeded");
    assert_eq!(limit_of(&refused), "address");
    // A caller with a good token is served from that address all the same.
    assert_eq!(app.me(&alice.access_token()).await.status, 200);
}

#[tokio::test]
async fn a_good_token_lifts_no_limit_of_what_needs_none() {
    let app = limited().await;
    let alice = app.register("alice").await;
    let request = |_| guess(&app).bearer(&alice.access_token()).cookie(&alice.cookie());
    assert_eq!(let_through(100, request).await, 60);
    let refused = request(0).send().await;
    assert_eq!(limit_of(&refused), "address");
}

#[tokio::test]
async fn the_limit_stands_behind_the_shape_and_before_the_fields() {
    let app = TestApp::builder().limit("login", "2/1m").start().await;
    let post = || app.post("/v1/auth/login");
    let malformed = || post().text("application/json", "[");
    let foreign = || post().header("origin", "https://evil.example").json(&json!({}));
    let empty = || post().json(&json!({}));
    // Requests that are refused before the limit cost nothing.
    for _ in 0..5 {
        assert_eq!(malformed().send().await.brief(), "400 request.malformed");
        assert_eq!(foreign().send().await.brief(), "403 request.origin_forbidden");
    }
    for left in [1, 0] {
        let answer = empty().send().await;
        assert_eq!(answer.brief(), "422 validation.error");
        let told = format!("\"login\";r={left};t=30");
        assert_eq!(answer.header("ratelimit"), Some(told.as_str()));
    }
    assert_eq!(empty().send().await.brief(), "429 rate_limit.exceeded");
    for early in [malformed().send().await, foreign().send().await] {
        assert!([400, 403].contains(&early.status), "{early:?}");
        assert_eq!(early.header("ratelimit"), None);
    }
    assert_eq!(
        app.post("/v1/auth/nothing").send().await.brief(),
        "404 http.not_found"
    );
}

#[tokio::test]
async fn every_operation_but_what_is_the_same_for_everybody_has_a_limit() {
    let mut builder = TestApp::builder();
    for class in LimitClass::VARIANTS {
        builder = builder.limit(class.into_str(), "1/1m");
    }
    let app = builder.start().await;
    let limited = operations_with(429, "rate_limit.exceeded");
    for operation in &limited {
        app.advance(Duration::from_mins(1));
        let request = || match operation.body() {
            Some(body) => operation.bare(&app).json(&body),
            None => operation.bare(&app),
        };
        let (first, second) = (request().send().await, request().send().await);
        assert_ne!(first.status, 429, "{operation:?}");
        assert_eq!(second.brief(), "429 rate_limit.exceeded", "{operation:?}");
        assert_eq!(second.header("retry-after"), Some("60"), "{operation:?}");
        for answer in [first, second] {
            let told = answer.header("ratelimit").expect("it is told");
            assert!(told.ends_with(";r=0;t=60"), "{operation:?}: {told}");
        }
    }
    let others = operations();
    let others = others
        .iter()
        .filter(|all| !limited.iter().any(|one| one.id == all.id));
    let mut free = Vec::new();
    for operation in others {
        for _ in 0..3 {
            let answer = operation.bare(&app).send().await;
            assert_eq!(answer.status, 200, "{operation:?}");
            assert_eq!(answer.header("ratelimit"), None, "{operation:?}");
        }
        free.push(operation.id.as_str());
    }
    free.sort_unstable();
    assert_eq!(free, ["docs", "healthz", "jwks", "openapi_document", "readyz"]);
}

#[tokio::test]
async fn keys_document_pages_and_files_spend_nothing_of_an_address() {
    let app = TestApp::builder().limit("other", "3/1m").start().await;
    let paths = [
        "/",
        "/register",
        "/verify",
        "/reset",
        "/account",
        "/pages/page.js",
        "/arkloop.js",
        "/docs",
        "/docs/swagger-ui.css",
        "/openapi.json",
        "/.well-known/jwks.json",
        "/healthz",
        "/readyz",
    ];
    for (path, method) in paths.iter().flat_map(|path| [(path, "GET"), (path, "HEAD")]) {
        for _ in 0..5 {
            let answer = app
                .request(method, path)
                .header("accept", "text/html")
                .send()
                .await;
            assert_eq!(answer.status, 200, "{method} {path}");
            assert_eq!(answer.header("ratelimit"), None, "{method} {path}");
        }
    }
    let told = app.get("/v1/auth/captcha-config").send().await;
    assert_eq!(told.header("ratelimit"), Some("\"other\";r=2;t=20"));
}

#[tokio::test]
async fn a_class_behind_one_address_registers_and_signs_in_at_once() {
    let app = limited().await;
    for pupil in 0..30 {
        assert_eq!(app.register(&format!("pupil-{pupil}")).await.status, 201);
        let send = |path: &str| {
            let email = format!("pupil-{pupil}@example.org");
            app.post(path).json(&json!({ "email": email })).send()
        };
        assert_eq!(send("/v1/auth/email/otp/send").await.status, 204);
        assert_eq!(send("/v1/auth/password/reset/send").await.status, 204);
    }
    assert_eq!(app.login("pupil-7", crate::support::PASSWORD).await.status, 200);
    let body = crate::support::registration("one-more");
    for (path, body) in [
        ("/v1/auth/register", &body),
        (
            "/v1/auth/email/otp/send",
            &json!({"email": "one-more@example.org"}),
        ),
        (
            "/v1/auth/password/reset/send",
            &json!({"email": "one-more@example.org"}),
        ),
    ] {
        let refused = app.post(path).json(body).send().await;
        assert_eq!(refused.brief(), "429 rate_limit.exceeded", "{path}");
        assert_eq!(refused.header("retry-after"), Some("20"), "{path}");
    }
}

#[tokio::test]
async fn limits_that_are_off_refuse_nobody_and_say_nothing() {
    let app = TestApp::builder().limited().set("RATE_LIMIT__ENABLED", "false");
    let app = app.set("RATE_LIMIT__LOGIN", "1/1h").start().await;
    assert_eq!(let_through(50, |_| guess(&app)).await, 50);
    let answer = guess(&app).send().await;
    assert_eq!(answer.header("ratelimit"), None);
    assert_eq!(answer.header("ratelimit-policy"), None);
}

#[tokio::test]
async fn what_was_refused_is_one_row_of_the_audit_log() {
    let app = limited().await;
    assert_eq!(let_through(100, |_| guess(&app)).await, 60);
    let rows = app.audit().await;
    let throttled: Vec<_> = rows.iter().filter(|row| row.starts_with("throttled")).collect();
    assert_eq!(throttled, ["throttled refused: address_limit ×40"]);
}
