//! The headers that every answer has, and the answers for unknown paths and methods.

use std::collections::BTreeSet;
use std::time::Duration;

use insta::assert_snapshot;

use super::operations::operations;
use crate::support::{Answer, RawConnection, TestApp};

/// Checks the headers that every answer has; returns the trace id.
fn check_fixed_headers(answer: &Answer, is_page: bool) -> String {
    let header = |name| answer.header(name).unwrap_or_default().to_owned();
    let trace_id = header("x-trace-id");
    assert!(
        trace_id.len() == 32 && trace_id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')),
        "{answer:?}"
    );
    assert_eq!(header("x-content-type-options"), "nosniff", "{answer:?}");
    assert_eq!(header("referrer-policy"), "no-referrer", "{answer:?}");
    if !is_page {
        assert_eq!(
            header("content-security-policy"),
            "default-src 'none'; frame-ancestors 'none'",
            "{answer:?}"
        );
    }
    assert!(!header("cache-control").is_empty(), "{answer:?}");
    for name in ["server", "x-powered-by"] {
        assert_eq!(answer.header(name), None);
    }
    if !answer.body.is_empty() && answer.body.starts_with('{') {
        assert_eq!(header("content-type"), "application/json; charset=utf-8");
    }
    if answer.status >= 400 && !answer.body.is_empty() {
        assert_eq!(answer.json()["trace_id"], trace_id.as_str());
        assert_eq!(header("cache-control"), "no-store");
    }
    trace_id
}

#[tokio::test]
async fn every_answer_has_the_fixed_headers_and_a_trace_id_of_its_own() {
    let app = TestApp::open().await;
    let mut trace_ids = BTreeSet::new();
    for (number, operation) in operations().iter().enumerate() {
        let caller = app.register(&format!("user-{number}")).await;
        let answers = [
            operation.whole(&app, &caller).send().await,
            operation
                .bare(&app)
                .text("text/plain", "x".repeat(20_000))
                .send()
                .await,
        ];
        for answer in answers {
            let is_page = operation.id == "docs" && answer.status == 200;
            assert!(trace_ids.insert(check_fixed_headers(&answer, is_page)));
            let hsts = answer.header("strict-transport-security");
            assert_eq!(hsts, None, "the public URL is http");
        }
    }
    for (method, path) in [("GET", "/nowhere"), ("DELETE", "/v1/me"), ("OPTIONS", "/v1/me")] {
        let answer = app.request(method, path).send().await;
        assert!(trace_ids.insert(check_fixed_headers(&answer, false)));
    }
}

#[tokio::test]
async fn a_trace_id_is_never_taken_from_the_request() {
    let app = TestApp::start().await;
    let given = "0123456789abcdef0123456789abcdef";
    let answer = app
        .get("/healthz")
        .header("x-trace-id", given)
        .header("x-request-id", given)
        .header("traceparent", &format!("00-{given}-0123456789abcdef-01"))
        .send()
        .await;
    assert_ne!(check_fixed_headers(&answer, false), given);
}

#[tokio::test]
async fn an_https_server_says_so_on_every_answer() {
    let app = TestApp::builder()
        .open()
        .set("SERVER__PUBLIC_URL", "https://auth.example.org")
        .set("SERVER__TRUSTED_PROXIES", "127.0.0.0/8")
        .start()
        .await;
    let alice = app.register("alice").await;
    for operation in operations() {
        let answers = [
            operation.whole(&app, &alice).send().await,
            operation
                .bare(&app)
                .text("text/plain", "x".repeat(20_000))
                .send()
                .await,
        ];
        for answer in answers {
            assert_eq!(
                answer.header("strict-transport-security"),
                Some("max-age=31536000"),
                "{operation:?}"
            );
        }
    }
    let nowhere = app.get("/nowhere").send().await;
    assert_eq!(
        nowhere.header("strict-transport-security"),
        Some("max-age=31536000")
    );
}

#[tokio::test]
async fn nothing_but_public_documents_may_be_kept() {
    let app = TestApp::open().await;
    let kept = ["jwks", "openapi_document", "docs"];
    for (number, operation) in operations().iter().enumerate() {
        let caller = app.register(&format!("user-{number}")).await;
        let answer = operation.whole(&app, &caller).send().await;
        let expected = if kept.contains(&operation.id.as_str()) {
            "public, max-age=300"
        } else {
            "no-store"
        };
        assert_eq!(answer.header("cache-control"), Some(expected), "{operation:?}");
    }
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let app = TestApp::open().await;
    let alice = app.register("alice").await;
    for operation in operations().iter().filter(|operation| operation.method == "GET") {
        let head = app
            .request("HEAD", &operation.path)
            .bearer(&alice.access_token())
            .send()
            .await;
        let get = operation.signed_in(&app, &alice).send().await;
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{operation:?}");
        let headers = |answer: &Answer| -> BTreeSet<(String, String)> {
            let varies = |name: &str| ["date", "x-trace-id"].contains(&name);
            answer
                .headers
                .iter()
                .filter(|(name, _)| !varies(name))
                .cloned()
                .collect()
        };
        assert_eq!(headers(&head), headers(&get), "{operation:?}");
    }
    let refused = app.request("HEAD", "/v1/me").send().await;
    assert_eq!((refused.status, refused.body.as_str()), (401, ""));
    assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    assert_eq!(app.request("HEAD", "/nowhere").send().await.status, 404);
    assert_eq!(app.request("HEAD", "/v1/auth/login").send().await.status, 405);
}

#[tokio::test]
async fn an_unknown_path_is_404_and_never_401() {
    let app = TestApp::start().await;
    assert_snapshot!(app.get("/nowhere").send().await.shown_with_headers(), @r#"
    404

    {
      "code": "http.not_found",
      "message": "There is nothing here.",
      "trace_id": "[trace id]"
    }
    "#);
    for path in [
        "/",
        "//",
        "/v1",
        "/v1/",
        "/v1/auth",
        "/v1/user",
        "/V1/me",
        "/v1/%256de",
        "/v1/%%36de",
        "/v1%2Fme",
        "/v1/me%00",
        "/v1/x/%2e%2e/me",
        "/v1//me",
        "/v1/./me",
        "/v1/auth/sessions/a/b",
        "/v1/auth/resolve/",
        "/v1/auth/email/verify",
        "/metrics",
        "/.well-known/openid-configuration",
    ] {
        for method in ["GET", "POST", "DELETE"] {
            let answer = app.request(method, path).send().await;
            assert_eq!(answer.brief(), "404 http.not_found", "{method} {path}");
        }
    }
}

#[tokio::test]
async fn a_trailing_slash_is_another_path() {
    let app = TestApp::open().await;
    let alice = app.register("alice").await;
    for operation in operations() {
        let answer = app
            .request(&operation.method, &format!("{}/", operation.path))
            .bearer(&alice.access_token())
            .send()
            .await;
        assert_eq!(answer.brief(), "404 http.not_found", "{operation:?}");
    }
}

#[tokio::test]
async fn a_query_does_not_change_the_path() {
    let app = TestApp::start().await;
    assert_eq!(app.get("/healthz?a=b&c").send().await.status, 200);
    // A token in the query does not count (RFC 6750 §5.3).
    let me = app.get("/v1/me?access_token=x").send().await;
    assert_eq!(me.brief(), "401 auth.missing_token");
}

#[tokio::test]
async fn a_wrong_method_is_answered_with_those_that_there_are() {
    let app = TestApp::open().await;
    let answer = app.delete("/v1/me").send().await;
    assert_snapshot!(answer.shown_with_headers(), @r#"
    405
    allow: GET, PATCH, HEAD, OPTIONS

    {
      "code": "http.method_not_allowed",
      "message": "This path does not have this method; Allow lists those it has.",
      "trace_id": "[trace id]"
    }
    "#);
}

#[tokio::test]
async fn allow_lists_the_methods_of_every_path() {
    let app = TestApp::open().await;
    let mut allowed = BTreeSet::new();
    for operation in operations() {
        let methods: BTreeSet<String> = operations()
            .into_iter()
            .filter(|other| other.path == operation.path)
            .map(|other| other.method)
            .collect();
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"] {
            if methods.contains(method) {
                continue;
            }
            let answer = app.request(method, &operation.path).send().await;
            let brief = answer.brief();
            assert_eq!(brief, "405 http.method_not_allowed", "{method} {operation:?}");
            let allow = answer.header("allow").expect("it says which");
            for method in &methods {
                assert!(allow.split(", ").any(|found| found == method), "{allow}");
            }
            allowed.insert(format!("{} {allow}", operation.path));
        }
    }
    assert_snapshot!(allowed.into_iter().collect::<Vec<_>>().join("\n"), @r"
    /.well-known/jwks.json GET, HEAD, OPTIONS
    /docs GET, HEAD, OPTIONS
    /healthz GET, HEAD, OPTIONS
    /openapi.json GET, HEAD, OPTIONS
    /readyz GET, HEAD, OPTIONS
    /v1/auth/account/delete POST, OPTIONS
    /v1/auth/account/export POST, OPTIONS
    /v1/auth/captcha-config GET, HEAD, OPTIONS
    /v1/auth/check POST, OPTIONS
    /v1/auth/email/change POST, OPTIONS
    /v1/auth/email/change/confirm POST, OPTIONS
    /v1/auth/email/change/preview POST, OPTIONS
    /v1/auth/email/change/undo POST, OPTIONS
    /v1/auth/email/otp/send POST, OPTIONS
    /v1/auth/email/otp/verify POST, OPTIONS
    /v1/auth/email/verify/confirm POST, OPTIONS
    /v1/auth/email/verify/preview POST, OPTIONS
    /v1/auth/email/verify/reject POST, OPTIONS
    /v1/auth/email/verify/send POST, OPTIONS
    /v1/auth/login POST, OPTIONS
    /v1/auth/logout POST, OPTIONS
    /v1/auth/password/change POST, OPTIONS
    /v1/auth/password/reset/confirm POST, OPTIONS
    /v1/auth/password/reset/preview POST, OPTIONS
    /v1/auth/password/reset/send POST, OPTIONS
    /v1/auth/refresh POST, OPTIONS
    /v1/auth/register POST, OPTIONS
    /v1/auth/registration-mode GET, HEAD, OPTIONS
    /v1/auth/resolve POST, OPTIONS
    /v1/auth/resolve/otp/send POST, OPTIONS
    /v1/auth/resolve/otp/verify POST, OPTIONS
    /v1/auth/sessions DELETE, GET, HEAD, OPTIONS
    /v1/auth/sessions/019abd3a-6f00-7c3e-9a51-4f0e6d2b8c17 DELETE, OPTIONS
    /v1/me GET, PATCH, HEAD, OPTIONS
    ");
}

#[tokio::test]
async fn what_the_parser_rejects_is_answered_without_a_body() {
    let app = TestApp::start().await;
    let long = "x".repeat(70_000);
    for (request, status) in [
        ("nonsense\r\n\r\n".to_owned(), 400),
        ("GET /healthz HTTP/1.1\r\nbad header\r\n\r\n".to_owned(), 400),
        (
            "POST /v1/auth/check HTTP/1.1\r\nhost: x\r\ncontent-length: x\r\n\r\n".to_owned(),
            400,
        ),
        // The size of the whole head is limited, so a long path is refused with 431 and never with 414.
        (format!("GET /{long} HTTP/1.1\r\nhost: x\r\n\r\n"), 431),
        (
            format!("GET /healthz HTTP/1.1\r\nhost: x\r\nlong: {long}\r\n\r\n"),
            431,
        ),
    ] {
        let mut connection = RawConnection::open(app.address()).await;
        connection.write(request.as_bytes()).await;
        let answer = connection.read_to_end(Duration::from_secs(5)).await;
        let answer = answer.expect("the connection is closed");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let start: String = request.chars().take(60).collect();
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status} ")),
            "{start}: {answer}"
        );
        assert_eq!(body, "", "{start}");
    }
    assert_eq!(app.get("/healthz").send().await.status, 200);
}
