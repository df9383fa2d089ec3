//! OPTIONS: the preflights of browsers, and OPTIONS requests of other clients.

use std::time::Duration;

use insta::assert_snapshot;

use super::operations::operations;
use super::origin::{APP, EVIL, OTHER, app, cors};
use crate::support::{Answer, RawConnection, Request, TestApp};

const PATIENCE: Duration = Duration::from_secs(20);

/// A preflight: asks whether a page of `origin` may send `method`.
fn preflight(app: &TestApp, path: &str, origin: &str, method: &str) -> Request {
    app.request("OPTIONS", path)
        .header("origin", origin)
        .header("access-control-request-method", method)
}

/// The header names that a page of [`APP`] may send if it asks for those in `lines`.
async fn allowed(app: &TestApp, lines: &[&str]) -> Option<String> {
    let mut request = preflight(app, "/v1/auth/login", APP, "POST");
    for line in lines {
        request = request.header("access-control-request-headers", line);
    }
    let answer = request.send().await;
    assert_eq!(answer.status, 204, "{lines:?}");
    answer
        .header("access-control-allow-headers")
        .map(ToOwned::to_owned)
}

/// Whether a browser lets a page of `origin` send `method` with credentials after this answer.
fn permits(answer: &Answer, origin: &str, method: &str) -> bool {
    let methods = answer.header("access-control-allow-methods").unwrap_or_default();
    // POST needs no permission (Fetch Standard, "CORS-safelisted method").
    let is_named = method == "POST" || methods.split(", ").any(|named| named == method);
    answer.status == 204
        && is_named
        && answer.header("access-control-allow-origin") == Some(origin)
        && answer.header("access-control-allow-credentials") == Some("true")
}

#[tokio::test]
async fn a_listed_page_is_told_what_it_may_send() {
    let app = app().await;
    let asked = preflight(&app, "/v1/auth/sessions", APP, "DELETE")
        .header("access-control-request-headers", "authorization,content-type");
    assert_snapshot!(asked.send().await.shown_with_headers(), @r"
    204
    access-control-allow-credentials: true
    access-control-allow-headers: authorization,content-type
    access-control-allow-methods: DELETE, GET
    access-control-allow-origin: https://app.example.org
    access-control-expose-headers: X-Trace-Id, Retry-After, RateLimit, RateLimit-Policy, WWW-Authenticate
    access-control-max-age: 600
    allow: DELETE, GET, HEAD, OPTIONS
    strict-transport-security: max-age=31536000
    vary: Access-Control-Request-Method, Access-Control-Request-Headers
    ");
    let path = "/v1/auth/sessions/019abd3a-6f00-7c3e-9a51-4f0e6d2b8c17";
    let one = preflight(&app, path, APP, "DELETE").send().await;
    assert_eq!(one.header("access-control-allow-methods"), Some("DELETE"));
    // A preflight has the fetch metadata of its page, so they are no reason to refuse it.
    let with_site = preflight(&app, "/v1/me", OTHER, "PATCH").header("sec-fetch-site", "cross-site");
    assert!(permits(&with_site.send().await, OTHER, "PATCH"));
}

#[tokio::test]
async fn a_listed_page_may_send_any_header() {
    let app = app().await;
    for line in [
        "authorization,baggage,content-type,sentry-trace,traceparent,tracestate,x-requested-with",
        "authorization, content-type, x-client-app",
        "X-Custom_Header.1",
    ] {
        assert_eq!(allowed(&app, &[line]).await.as_deref(), Some(line));
    }
    let of_two = allowed(&app, &["baggage", "sentry-trace"]).await;
    assert_eq!(of_two.as_deref(), Some("baggage,sentry-trace"));
    assert_eq!(allowed(&app, &[]).await, None);
    assert_eq!(allowed(&app, &[""]).await, None);
}

#[tokio::test]
async fn what_is_no_name_of_a_header_is_not_echoed() {
    let app = app().await;
    for (line, echo) in [
        ("baggage, a b, c:d, <x>, \"e\", \u{e9}", Some("baggage")),
        ("authorization,\u{a0}x-b", Some("authorization")),
        ("*", None),
        ("*, baggage", Some("baggage")),
        (",,", None),
    ] {
        assert_eq!(allowed(&app, &[line]).await.as_deref(), echo, "{line}");
    }
    // As many names as fit are echoed, and none in part.
    let many: Vec<String> = (0..1000).map(|number| format!("x-header-{number:03}")).collect();
    let echo = allowed(&app, &[&many.join(",")])
        .await
        .expect("the first ones fit");
    assert!((2000..=4096).contains(&echo.len()), "{}", echo.len());
    assert!(echo.split(',').zip(&many).all(|(echoed, sent)| echoed == sent));
}

#[tokio::test]
async fn a_preflight_of_a_listed_page_is_permitted_on_every_path() {
    let app = app().await;
    for path in [
        "/nowhere",
        "/v1/auth/login/",
        "/v1/auth/nothing",
        "/%00",
        "/.well-known/",
    ] {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "BREW"] {
            let answer = preflight(&app, path, APP, method).send().await;
            assert!(permits(&answer, APP, method), "{path} {answer:?}");
            assert_eq!(answer.header("allow"), None, "{path}");
        }
        // This lets the page read the refusal.
        let refused = app.post(path).header("origin", APP).send().await;
        assert_eq!(refused.brief(), "404 http.not_found");
        assert_eq!(refused.header("access-control-allow-origin"), Some(APP));
    }
    for path in ["/", "/register", "/verify", "/reset", "/docs", "/healthz"] {
        let answer = preflight(&app, path, APP, "GET").send().await;
        assert!(permits(&answer, APP, "GET"), "{path} {answer:?}");
    }
    for operation in operations() {
        let answer = preflight(&app, &operation.path, APP, &operation.method)
            .send()
            .await;
        let is_public = ["jwks", "openapi_document"].contains(&operation.id.as_str());
        assert!(
            is_public || permits(&answer, APP, &operation.method),
            "{operation:?}"
        );
    }
    // The name of a method is a token too (RFC 9110 §9.1).
    for method in ["", "A B", "\u{e9}", &"X".repeat(1000)] {
        let answer = preflight(&app, "/nowhere", APP, method).send().await;
        assert_eq!(answer.status, 204);
        assert_eq!(answer.header("access-control-allow-methods"), None, "{method}");
    }
}

#[tokio::test]
async fn a_listed_page_may_send_a_method_that_the_path_does_not_have_and_reads_the_405() {
    let app = app().await;
    for (path, method, methods) in [
        ("/v1/me", "DELETE", "DELETE, GET, PATCH"),
        ("/v1/auth/login", "PUT", "POST, PUT"),
        ("/v1/auth/login", "patch", "POST, patch"),
        ("/v1/auth/sessions", "BREW", "BREW, DELETE, GET"),
        ("/v1/me", "GET", "GET, PATCH"),
    ] {
        let asked = preflight(&app, path, APP, method).send().await;
        assert_eq!(asked.header("access-control-allow-methods"), Some(methods));
        if method == "GET" {
            continue;
        }
        let refused = app.request(method, path).header("origin", APP).send().await;
        assert_eq!(refused.brief(), "405 http.method_not_allowed", "{method} {path}");
        assert_eq!(refused.header("access-control-allow-origin"), Some(APP));
        // `Allow` still lists the methods that the path has.
        assert_eq!(asked.header("allow"), refused.header("allow"));
    }
    for method in ["", "A B", "A,B", "\u{e9}", &"X".repeat(1000)] {
        let answer = preflight(&app, "/v1/me", APP, method).send().await;
        assert_eq!(
            (answer.status, answer.header("access-control-allow-methods")),
            (204, Some("GET, PATCH")),
            "{method}"
        );
    }
}

#[tokio::test]
async fn a_preflight_is_answered_whatever_else_is_wrong_with_it() {
    let app = app().await;
    for request in [
        preflight(&app, "/v1/auth/login", APP, "POST").text("text/plain", "x".repeat(20_000)),
        preflight(&app, "/v1/me", APP, "POST").bearer("nonsense"),
        preflight(&app, "/v1/auth/refresh", APP, "POST").cookie("nonsense"),
        preflight(&app, "/v1/auth/login", APP, "POST").query("?%zz"),
    ] {
        let answer = request.send().await;
        assert!(permits(&answer, APP, "POST"), "{answer:?}");
    }
}

#[tokio::test]
async fn an_unlisted_page_is_told_nothing() {
    let app = app().await;
    let asked = preflight(&app, "/v1/auth/login", EVIL, "POST")
        .header("access-control-request-headers", "content-type");
    assert_snapshot!(asked.send().await.shown_with_headers(), @r"
    204
    allow: POST, OPTIONS
    strict-transport-security: max-age=31536000
    ");
    for (path, origin) in [("/nowhere", EVIL), ("/nowhere", "null"), ("/", "file://")] {
        let answer = preflight(&app, path, origin, "GET").send().await;
        assert_eq!(
            (answer.status, cors(&answer)),
            (204, vec!["vary: Origin".to_owned()])
        );
    }
}

#[tokio::test]
async fn every_page_may_ask_for_the_public_documents() {
    let app = app().await;
    for path in ["/.well-known/jwks.json", "/openapi.json"] {
        let asked =
            preflight(&app, path, EVIL, "GET").header("access-control-request-headers", "traceparent");
        let answer = asked.send().await;
        assert_eq!(answer.status, 204);
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        assert_eq!(answer.header("access-control-allow-credentials"), None);
        assert_eq!(answer.header("access-control-allow-methods"), Some("GET"));
        assert_eq!(answer.header("access-control-allow-headers"), Some("traceparent"));
    }
}

#[tokio::test]
async fn options_that_is_no_preflight_lists_the_methods_of_the_path() {
    let app = app().await;
    let bare = app.request("OPTIONS", "/v1/me").send().await;
    assert_snapshot!(bare.shown_with_headers(), @r"
    204
    allow: GET, PATCH, HEAD, OPTIONS
    strict-transport-security: max-age=31536000
    ");
    for operation in operations() {
        let refused = app.request("BREW", &operation.path).send().await;
        let asked = app.request("OPTIONS", &operation.path).send().await;
        assert_eq!(asked.status, 204, "{operation:?}");
        assert_eq!(asked.header("allow"), refused.header("allow"), "{operation:?}");
    }
    // A request with one of the two headers is not a preflight.
    let half = app
        .request("OPTIONS", "/v1/me")
        .header("origin", APP)
        .send()
        .await;
    assert_eq!(
        (half.status, half.header("access-control-allow-origin")),
        (204, Some(APP))
    );
    assert_eq!(half.header("access-control-allow-methods"), None);
    let half = app
        .request("OPTIONS", "/v1/me")
        .header("access-control-request-method", "PATCH");
    assert_eq!(half.send().await.header("access-control-allow-methods"), None);
    for path in ["/nowhere", "/v1/me/"] {
        let nowhere = app.request("OPTIONS", path).send().await;
        assert_eq!(nowhere.brief(), "404 http.not_found", "{path}");
    }
}

#[tokio::test]
async fn options_of_the_whole_server_lists_every_method() {
    let app = TestApp::start().await;
    let mut connection = RawConnection::open(app.address()).await;
    let request = "OPTIONS * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    assert!(connection.write(request.as_bytes()).await);
    let answer = connection.read_to_end(PATIENCE).await.expect("it is answered");
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    assert!(
        answer.contains("\r\nallow: DELETE, GET, PATCH, POST, HEAD, OPTIONS\r\n"),
        "{answer}"
    );
}

#[tokio::test]
async fn preflights_spend_nothing_that_requests_need() {
    let app = TestApp::builder()
        .limited()
        .limit("login", "1/1h")
        .limit("other", "1/1h");
    let app = app.set("SERVER__ALLOWED_ORIGINS", APP).start().await;
    for _ in 0..5 {
        for path in ["/v1/auth/login", "/v1/auth/registration-mode", "/nowhere"] {
            assert!(permits(
                &preflight(&app, path, APP, "POST").send().await,
                APP,
                "POST"
            ));
            app.request("OPTIONS", path).send().await;
        }
    }
    let mode = || app.get("/v1/auth/registration-mode").header("origin", APP);
    assert_eq!(mode().send().await.status, 200);
    let refused = mode().send().await;
    assert_eq!(refused.brief(), "429 rate_limit.exceeded");
    assert_eq!(refused.header("access-control-allow-origin"), Some(APP));
    let exposed = refused.header("access-control-expose-headers").expect("some are");
    for name in ["retry-after", "ratelimit", "ratelimit-policy", "x-trace-id"] {
        assert!(refused.header(name).is_some(), "{name}");
        assert!(
            exposed.to_lowercase().split(", ").any(|exposed| exposed == name),
            "{name}"
        );
    }
}
