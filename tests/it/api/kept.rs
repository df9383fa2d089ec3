//! Public content that clients cache: its validators and its compression.

use std::fmt::Write as _;
use std::io::Read as _;

use flate2::read::GzDecoder;
use insta::assert_snapshot;

use crate::support::{Answer, TestApp};

/// Content, and whether it is large enough to be compressed.
const KEPT: [(&str, bool); 9] = [
    ("/.well-known/jwks.json", false),
    ("/openapi.json", true),
    ("/docs", false),
    ("/docs/swagger-ui.css", true),
    ("/register", true),
    ("/pages/form.js", true),
    ("/arkloop.js", true),
    ("/pages/zh.json", true),
    ("/pages/icon.svg", false),
];

async fn get(app: &TestApp, path: &str, header: (&str, &str)) -> Answer {
    app.get(path).header(header.0, header.1).send().await
}

fn vary(answer: &Answer) -> Vec<&str> {
    let lines = answer.headers.iter().filter(|(name, _)| name == "vary");
    lines.flat_map(|(_, value)| value.split(", ")).collect()
}

#[tokio::test]
async fn a_client_that_has_the_content_already_is_told_so() {
    let app = TestApp::start().await;
    for (path, _) in KEPT {
        let whole = app.get(path).send().await;
        let tag = whole
            .header("etag")
            .unwrap_or_else(|| panic!("{path} has no ETag"));
        assert_eq!(app.get(path).send().await.header("etag"), Some(tag), "{path}");
        let opaque = tag.trim_start_matches("W/");
        for known in [
            tag.to_owned(),
            opaque.to_owned(),
            format!("W/{opaque}"),
            format!("\"other\", W/\"another\",{tag}"),
            format!("\"other\" , {opaque} ,\"last\""),
            "*".to_owned(),
            " * ".to_owned(),
        ] {
            for method in ["GET", "HEAD"] {
                let request = app.request(method, path).header("if-none-match", &known);
                let answer = request.header("accept-encoding", "gzip").send().await;
                assert_eq!((answer.status, answer.body.as_str()), (304, ""), "{path} {known}");
                for gone in ["content-type", "content-encoding", "content-length"] {
                    assert_eq!(answer.header(gone), None, "{method} {path} {gone}");
                }
                for kept in ["etag", "cache-control", "content-security-policy"] {
                    assert_eq!(answer.header(kept), whole.header(kept), "{path} {kept}");
                }
                assert_eq!(vary(&answer), vary(&whole), "{path}");
            }
        }
        for unknown in [
            "\"other\"",
            "",
            "W/",
            opaque.trim_matches('"'),
            "\"*\"",
            "\"a\",\"b\"",
        ] {
            let answer = get(&app, path, ("if-none-match", unknown)).await;
            assert_eq!(
                (answer.status, &answer.body),
                (200, &whole.body),
                "{path} {unknown}"
            );
        }
        let two_lines = app.get(path).header("if-none-match", "\"other\"");
        let two_lines = two_lines.header("if-none-match", tag).send().await;
        assert_eq!(two_lines.status, 304, "{path}");
    }
}

#[tokio::test]
async fn content_is_compressed_for_those_who_take_it() {
    let app = TestApp::start().await;
    for (path, is_large) in KEPT {
        let plain = app.get(path).send().await;
        assert_eq!(plain.header("content-encoding"), None, "{path}");
        assert!(
            vary(&plain).contains(&"Accept-Encoding"),
            "{path} {:?}",
            vary(&plain)
        );
        let packed = get(&app, path, ("accept-encoding", "deflate, br;q=1.0, gzip;q=0.8")).await;
        assert_eq!(packed.header("etag"), plain.header("etag"), "{path}");
        assert_eq!(
            packed.header("content-type"),
            plain.header("content-type"),
            "{path}"
        );
        assert_eq!(vary(&packed), vary(&plain), "{path}");
        assert_eq!(
            packed.header("content-encoding"),
            is_large.then_some("gzip"),
            "{path}"
        );
        if is_large {
            let mut unpacked = String::new();
            let mut decoder = GzDecoder::new(packed.bytes.as_slice());
            decoder.read_to_string(&mut unpacked).expect("it is gzip");
            assert_eq!(unpacked, plain.body, "{path}");
            assert!(packed.bytes.len() < plain.bytes.len(), "{path}");
        }
        for without in ["identity", "br", "gzip;q=0", "gzip;q=0, *;q=1", ""] {
            let answer = get(&app, path, ("accept-encoding", without)).await;
            assert_eq!(answer.header("content-encoding"), None, "{path} {without}");
            assert_eq!(answer.body, plain.body, "{path} {without}");
        }
    }
}

#[tokio::test]
async fn nothing_else_has_a_validator_or_is_compressed() {
    let app = TestApp::open().await;
    let alice = app.register("alice").await;
    for path in [
        "/v1/me",
        "/v1/auth/sessions",
        "/healthz",
        "/v1/auth/registration-mode",
    ] {
        let request = app.get(path).bearer(&alice.access_token());
        let request = request.header("accept-encoding", "gzip");
        let answer = request.header("if-none-match", "*").send().await;
        assert_eq!(answer.status, 200, "{path}");
        for header in ["etag", "content-encoding"] {
            assert_eq!(answer.header(header), None, "{path} {header}");
        }
    }
    let refused = get(&app, "/pages/nothing.js", ("if-none-match", "*")).await;
    assert_eq!(refused.brief(), "404 http.not_found");
}

#[tokio::test]
async fn a_page_never_meets_the_scripts_of_another_version() {
    let app = TestApp::start().await;
    let mut said = String::new();
    for (path, _) in KEPT {
        let answer = app.get(path).send().await;
        let cache_control = answer.header("cache-control").unwrap_or_default();
        let _ = writeln!(said, "{path} {cache_control}");
    }
    assert_snapshot!(said, @r"
    /.well-known/jwks.json public, max-age=300
    /openapi.json public, max-age=300
    /docs public, max-age=300
    /docs/swagger-ui.css public, max-age=300
    /register no-store
    /pages/form.js no-cache
    /arkloop.js no-cache
    /pages/zh.json no-cache
    /pages/icon.svg no-cache
    ");
}
