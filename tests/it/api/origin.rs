//! Which web pages may make the server act, and which may read its answers.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::json;

use super::operations::{operations, operations_with};
use crate::support::{Answer, RawConnection, Request, TestApp};

const PATIENCE: Duration = Duration::from_secs(20);
pub const APP: &str = "https://app.example.org";
pub const OTHER: &str = "https://other.example.com:8443";
pub const EVIL: &str = "https://evil.example";

pub async fn app() -> TestApp {
    TestApp::builder()
        .open()
        .set("SERVER__PUBLIC_URL", "https://auth.example.org")
        .set("SERVER__APP_URL", APP)
        .set("SERVER__ALLOWED_ORIGINS", OTHER)
        .set("SERVER__TRUSTED_PROXIES", "127.0.0.0/8")
        .start()
        .await
}

/// A request of an unsafe operation that changes nothing here, because it has no cookie.
fn refresh(app: &TestApp) -> Request {
    app.post("/v1/auth/refresh")
}

const SERVED: &str = "401 auth.refresh_token_missing";
const FORBIDDEN: &str = "403 request.origin_forbidden";

/// The headers that let a page read an answer.
pub fn cors(answer: &Answer) -> Vec<String> {
    let mut headers: Vec<String> = answer
        .headers
        .iter()
        .filter(|(name, _)| name.starts_with("access-control-") || name == "vary")
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    headers.sort();
    headers
}

#[tokio::test]
async fn what_the_browser_says_of_the_site_decides() {
    let app = app().await;
    let own = format!("http://{}", app.address());
    for (site, origin, expected) in [
        ("same-origin", None, SERVED),
        ("none", None, SERVED),
        ("same-origin", Some(EVIL), SERVED),
        ("same-site", None, FORBIDDEN),
        ("cross-site", None, FORBIDDEN),
        ("cross-site", Some("null"), FORBIDDEN),
        ("cross-site", Some(EVIL), FORBIDDEN),
        ("same-site", Some(EVIL), FORBIDDEN),
        ("cross-site", Some(&*own), FORBIDDEN),
        ("nonsense", None, FORBIDDEN),
        ("", None, FORBIDDEN),
        ("cross-site", Some("https://auth.example.org"), SERVED),
        ("same-site", Some(APP), SERVED),
        ("cross-site", Some(OTHER), SERVED),
    ] {
        let mut request = refresh(&app).header("sec-fetch-site", site);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        assert_eq!(request.send().await.brief(), expected, "{site} {origin:?}");
    }
}

#[tokio::test]
async fn without_it_the_origin_must_be_listed_or_the_own_host() {
    let app = app().await;
    let own = format!("http://{}", app.address());
    for (origin, expected) in [
        ("https://auth.example.org", SERVED),
        (APP, SERVED),
        (OTHER, SERVED),
        (&*own, SERVED),
        (EVIL, FORBIDDEN),
        ("null", FORBIDDEN),
        ("", FORBIDDEN),
        ("http://auth.example.org", FORBIDDEN),
        ("https://auth.example.org:444", FORBIDDEN),
        ("https://auth.example.org.evil.example", FORBIDDEN),
        ("https://evil.example/https://auth.example.org", FORBIDDEN),
        ("https://app.example.org/", FORBIDDEN),
        ("http://127.0.0.1", FORBIDDEN),
        ("https://other.example.com", FORBIDDEN),
    ] {
        let answer = refresh(&app).header("origin", origin).send().await;
        assert_eq!(answer.brief(), expected, "{origin}");
    }
    assert_eq!(refresh(&app).send().await.brief(), SERVED);
}

/// Sends a refresh with exactly these header lines; returns the whole answer.
async fn refresh_with(app: &TestApp, target: &str, lines: &str) -> String {
    let mut connection = RawConnection::open(app.address()).await;
    let request = format!("POST {target} HTTP/1.1\r\n{lines}\r\nconnection: close\r\n\r\n");
    assert!(connection.write(request.as_bytes()).await);
    connection.read_to_end(PATIENCE).await.expect("it is answered")
}

#[track_caller]
fn assert_is(answer: &str, expected: &str, asked: &str) {
    let (status, code) = expected.split_once(' ').expect("status and code");
    let is_so = answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.contains(code);
    assert!(is_so, "{asked}: {answer}");
}

#[tokio::test]
async fn a_name_that_a_stranger_points_here_is_no_own_host() {
    let app = app().await;
    for (host, expected) in [
        ("auth.example.org", SERVED),
        ("AUTH.example.ORG:8080", SERVED),
        ("app.example.org", SERVED),
        ("localhost:8080", SERVED),
        ("LOCALHOST", SERVED),
        ("192.0.2.7:8080", SERVED),
        ("[::1]:8080", SERVED),
        ("evil.example", FORBIDDEN),
        ("evil.example:8080", FORBIDDEN),
        ("other.example.com", FORBIDDEN),
        ("localhost.evil.example:8080", FORBIDDEN),
        ("localhost.:8080", FORBIDDEN),
        ("127.0.0.1.nip.io:8080", FORBIDDEN),
        ("127.0.0.1.:8080", FORBIDDEN),
        ("auth.example.org.evil.example", FORBIDDEN),
        ("[::1].evil.example", FORBIDDEN),
        ("2130706433", FORBIDDEN),
    ] {
        for scheme in ["http", "https"] {
            let lines = format!("host: {host}\r\norigin: {scheme}://{host}");
            for target in ["/v1/auth/refresh", &format!("http://{host}/v1/auth/refresh")] {
                let answer = refresh_with(&app, target, &lines).await;
                assert_is(&answer, expected, &format!("{target} {lines}"));
            }
        }
    }
}

#[tokio::test]
async fn another_port_is_another_origin_and_two_hosts_are_none() {
    let app = app().await;
    for (host, origin, expected) in [
        ("localhost:8080", "localhost:8080", SERVED),
        ("localhost:8080", "localhost:3000", FORBIDDEN),
        ("localhost:8080", "localhost", FORBIDDEN),
        ("127.0.0.1:8080", "localhost:8080", FORBIDDEN),
        ("localhost\r\nhost: evil.example", "evil.example", "400 "),
        ("evil.example\r\nhost: localhost", "evil.example", "400 "),
        ("evil.example@localhost", "evil.example@localhost", "400 "),
    ] {
        let lines = format!("host: {host}\r\norigin: http://{origin}");
        let answer = refresh_with(&app, "/v1/auth/refresh", &lines).await;
        assert_is(&answer, expected, &lines);
    }
}

#[tokio::test]
async fn every_unsafe_operation_refuses_foreign_pages() {
    let app = app().await;
    let alice = app.register("alice").await;
    let before = app.rows().await;
    let expected = operations_with(403, "request.origin_forbidden");
    let unsafe_ones = operations()
        .iter()
        .filter(|operation| operation.is_unsafe())
        .count();
    assert_eq!((expected.len(), unsafe_ones), (27, 27));
    for operation in &expected {
        let request = operation.whole(&app, &alice).header("origin", EVIL);
        assert_eq!(request.send().await.brief(), FORBIDDEN, "{operation:?}");
        let request = operation
            .whole(&app, &alice)
            .header("sec-fetch-site", "cross-site");
        assert_eq!(request.send().await.brief(), FORBIDDEN, "{operation:?}");
    }
    assert_eq!(app.rows().await, before);
    let request = expected[0].whole(&app, &alice).header("origin", EVIL);
    assert_snapshot!(request.send().await.shown_with_headers(), @r#"
    403
    strict-transport-security: max-age=31536000

    {
      "code": "request.origin_forbidden",
      "message": "Pages of this origin may not do this.",
      "trace_id": "[trace id]"
    }
    "#);
}

#[tokio::test]
async fn what_changes_nothing_is_served_to_every_page_but_not_readable() {
    let app = app().await;
    let alice = app.register("alice").await;
    for operation in operations().iter().filter(|operation| !operation.is_unsafe()) {
        let request = operation.signed_in(&app, &alice).header("origin", EVIL);
        let answer = request.header("sec-fetch-site", "cross-site").send().await;
        assert_eq!(answer.status, 200, "{operation:?}");
        let expected: &[&str] = match operation.id.as_str() {
            // These answers may be compressed, and are the same for every origin.
            "jwks" | "openapi_document" => &[
                "access-control-allow-origin: *",
                "access-control-expose-headers: X-Trace-Id, Retry-After, RateLimit, RateLimit-Policy, WWW-Authenticate",
                "vary: Accept-Encoding",
            ],
            "docs" => &["vary: Accept-Encoding", "vary: Origin"],
            _ => &["vary: Origin"],
        };
        assert_eq!(cors(&answer), expected, "{operation:?}");
    }
}

#[tokio::test]
async fn listed_pages_may_read_every_answer_also_refusals() {
    let app = app().await;
    let alice = app.register("alice").await;
    let me = app
        .get("/v1/me")
        .bearer(&alice.access_token())
        .header("origin", APP);
    let me = me.send().await;
    assert_eq!(me.status, 200);
    assert_snapshot!(cors(&me).join("\n"), @r"
    access-control-allow-credentials: true
    access-control-allow-origin: https://app.example.org
    access-control-expose-headers: X-Trace-Id, Retry-After, RateLimit, RateLimit-Policy, WWW-Authenticate
    vary: Origin
    ");
    let allowed = cors(&me);
    let refusals = [
        app.get("/v1/me"),
        app.get("/nowhere"),
        app.post("/v1/me"),
        app.post("/v1/auth/login").json(&json!({})),
        // This is a 503, because the server sends no mail.
        app.post("/v1/auth/email/otp/send")
            .json(&json!({"email": "ann@example.org"})),
        app.delete("/.well-known/nothing"),
        app.request("BREW", "/nowhere"),
        app.request("OPTIONS", "/nowhere"),
        app.post("/v1/auth/login").text("application/json", "["),
        app.post("/v1/auth/login").text("text/plain", "x"),
        app.post("/v1/auth/login")
            .text("application/json", "x".repeat(20_000)),
    ];
    for request in refusals {
        let answer = request.header("origin", APP).send().await;
        assert!(answer.status >= 400);
        assert_eq!(cors(&answer), allowed, "{answer:?}");
    }
    app.panic_trigger().panic_in(Some("healthz"));
    let answer = app.get("/healthz").header("origin", APP).send().await;
    assert_eq!((answer.status, cors(&answer)), (500, allowed));
}

#[tokio::test]
async fn a_page_of_an_origin_is_answered_with_exactly_that_origin() {
    let app = app().await;
    for origin in ["https://auth.example.org", APP, OTHER] {
        let answer = app.get("/healthz").header("origin", origin).send().await;
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
        assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
        assert_eq!(answer.header("vary"), Some("Origin"));
    }
    for origin in ["https://APP.example.org", "https://app.example.org/", "null", "*"] {
        let answer = app.get("/healthz").header("origin", origin).send().await;
        assert_eq!(cors(&answer), ["vary: Origin"], "{origin}");
    }
}
