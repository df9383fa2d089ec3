//! `arkloop.js`, the client for web pages: how it is served. `.ci/tabs` and `.ci/pages` test its behaviour in a browser.

use std::collections::BTreeSet;

use insta::assert_snapshot;

use crate::support::TestApp;

const SCRIPT: &str = "/arkloop.js";
const TYPES: &str = "/arkloop.d.ts";
const APP: &str = "https://app.example.org";

#[tokio::test]
async fn the_client_is_a_module_that_pages_of_listed_origins_may_import() {
    let app = TestApp::builder()
        .set("SERVER__ALLOWED_ORIGINS", APP)
        .start()
        .await;
    let mut answer = app.get(SCRIPT).header("Origin", APP).send().await;
    let script = std::mem::take(&mut answer.body);
    assert!(script.contains("export class AuthClient"), "{script}");
    assert_snapshot!(answer.shown_with_headers(), @r"
    200
    access-control-allow-credentials: true
    access-control-allow-origin: https://app.example.org
    access-control-expose-headers: X-Trace-Id, Retry-After, RateLimit, RateLimit-Policy, WWW-Authenticate
    cache-control: no-cache
    content-type: text/javascript; charset=utf-8
    etag: [digest]
    vary: Accept-Encoding
    ");
    let foreign = app
        .get(SCRIPT)
        .header("Origin", "https://other.example.org")
        .send()
        .await;
    assert_eq!(
        (foreign.status, foreign.header("access-control-allow-origin")),
        (200, None)
    );
    let types = app.get(TYPES).send().await;
    assert_eq!(
        (types.status, types.header("content-type")),
        (200, Some("application/typescript; charset=utf-8"))
    );
    for path in [SCRIPT, TYPES] {
        assert_eq!(app.request("HEAD", path).send().await.status, 200, "{path}");
        assert_eq!(
            app.post(path).send().await.brief(),
            "405 http.method_not_allowed",
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_client_is_there_for_apps_of_a_server_without_pages() {
    let app = TestApp::builder()
        .set("SERVER__PAGES", "false")
        .set("SERVER__DOCS", "false")
        .start()
        .await;
    for path in [SCRIPT, TYPES] {
        assert_eq!(app.get(path).send().await.status, 200, "{path}");
    }
    for path in ["/arkloop.mjs", "/arkloop.js/", "/pages/arkloop.js", "/mod.rs"] {
        assert_eq!(app.get(path).send().await.brief(), "404 http.not_found", "{path}");
    }
}

/// The names of the public methods of the classes in `text`, which are indented by two spaces.
fn methods(text: &str) -> BTreeSet<&str> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("  "));
    let names = lines.filter_map(|line| {
        let line = line.trim_start_matches("async ").trim_start_matches("get ");
        line.split_once(['(', '<']).map(|(name, _)| name)
    });
    let is_name = |name: &&str| {
        let is_method = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        // These look like methods, but are a call and a condition.
        is_method && !["super", "if"].contains(name)
    };
    names.filter(is_name).collect()
}

#[tokio::test]
async fn the_types_list_what_the_client_has() {
    let app = TestApp::start().await;
    let script = app.get(SCRIPT).send().await.body;
    let types = app.get(TYPES).send().await.body;
    let offered = methods(&script);
    assert!(offered.contains("signIn") && offered.len() > 8, "{offered:?}");
    assert_eq!(offered, methods(&types));
}
