//! The document and the page that shows it.

use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;

use flate2::read::GzDecoder;
use insta::assert_snapshot;

use crate::support::TestApp;

#[tokio::test]
async fn the_document_is_for_every_page() {
    let app = TestApp::start().await;
    let mut answer = app
        .get("/openapi.json")
        .header("origin", "https://unlisted.example")
        .send()
        .await;
    assert_eq!(answer.json()["openapi"], "3.0.3");
    answer.body = String::new();
    assert_snapshot!(answer.shown_with_headers(), @r"
    200
    access-control-allow-origin: *
    access-control-expose-headers: X-Trace-Id, Retry-After, RateLimit, RateLimit-Policy, WWW-Authenticate
    cache-control: public, max-age=300
    etag: [digest]
    vary: Accept-Encoding
    ");
}

#[tokio::test]
async fn the_page_runs_nothing_but_its_own_scripts() {
    let app = TestApp::start().await;
    let mut answer = app.get("/docs").send().await;
    let page = std::mem::take(&mut answer.body);
    assert_snapshot!(answer.shown_with_headers(), @r"
    200
    cache-control: public, max-age=300
    content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'
    content-type: text/html; charset=utf-8
    cross-origin-opener-policy: same-origin
    etag: [digest]
    vary: Accept-Encoding
    ");
    // No script and no style within the page, and nothing from another host.
    assert!(!page.contains("<style") && !page.contains("style=\""), "{page}");
    for tag in page.split("<script").skip(1) {
        assert!(tag.contains("src=\"") && tag.contains("></script>"), "{tag}");
    }
    for marker in ["://", "src=\"//", "href=\"//", "onload"] {
        assert!(!page.contains(marker), "{marker}: {page}");
    }
}

#[tokio::test]
async fn every_file_that_the_page_names_is_served() {
    let app = TestApp::start().await;
    let page = app.get("/docs").send().await.body;
    let mut names: Vec<&str> = page
        .split(['"', '\''])
        .filter(|text| {
            [".js", ".css", ".png"]
                .iter()
                .any(|ending| text.ends_with(ending))
        })
        .collect();
    names.sort_unstable();
    assert!(names.len() >= 3, "{page}");
    let mut types = String::new();
    for name in names {
        let answer = app.get(name).send().await;
        let content_type = answer.header("content-type").unwrap_or_default();
        let _ = writeln!(types, "{name} {} {content_type}", answer.status);
    }
    assert_snapshot!(types, @r"
    /docs/favicon-16x16.png 200 image/png
    /docs/favicon-32x32.png 200 image/png
    /docs/init.js 200 text/javascript; charset=utf-8
    /docs/page.css 200 text/css; charset=utf-8
    /docs/swagger-ui-bundle.js 200 text/javascript; charset=utf-8
    /docs/swagger-ui.css 200 text/css; charset=utf-8
    ");
}

#[tokio::test]
async fn a_file_is_the_same_compressed_and_plain() {
    let app = TestApp::start().await;
    for name in [
        "swagger-ui-bundle.js",
        "swagger-ui.css",
        "init.js",
        "favicon-32x32.png",
    ] {
        let path = format!("{}/openapi/ui/{name}", env!("CARGO_MANIFEST_DIR"));
        let published = fs::read(path).expect("the file is there");
        for _ in 0..2 {
            let plain = app.get(&format!("/docs/{name}")).send().await;
            assert_eq!(plain.header("content-encoding"), None, "{name}");
            assert!(plain.bytes == published, "{name}");
            let packed = app.get(&format!("/docs/{name}"));
            let packed = packed.header("accept-encoding", "gzip").send().await;
            assert_eq!(packed.header("etag"), plain.header("etag"), "{name}");
            let mut bytes = packed.bytes.clone();
            if packed.header("content-encoding").is_some() {
                bytes.clear();
                let mut decoder = GzDecoder::new(packed.bytes.as_slice());
                decoder.read_to_end(&mut bytes).expect("it is gzip");
            }
            assert!(bytes == published, "{name}");
        }
    }
}

#[tokio::test]
async fn no_file_but_those_of_the_page_is_served() {
    let app = TestApp::start().await;
    for path in [
        "/docs/",
        "/docs/nothing.js",
        "/docs/..%2f..%2fCargo.toml",
        "/docs/../Cargo.toml",
        "/docs/index.html",
        "/docs/a/b.js",
    ] {
        let answer = app.get(path).send().await;
        assert_eq!(answer.brief(), "404 http.not_found", "{path}");
    }
}

#[tokio::test]
async fn without_docs_nothing_of_it_is_there() {
    let app = TestApp::builder().set("SERVER__DOCS", "false").start().await;
    assert_snapshot!(app.get("/openapi.json").send().await.shown(), @r#"
    404
    {
      "code": "http.not_found",
      "message": "There is nothing here.",
      "trace_id": "[trace id]"
    }
    "#);
    assert_snapshot!(app.get("/docs").send().await.shown(), @r#"
    404
    {
      "code": "http.not_found",
      "message": "There is nothing here.",
      "trace_id": "[trace id]"
    }
    "#);
    let page = app.get("/docs/swagger-ui-bundle.js").send().await;
    assert_eq!(page.brief(), "404 http.not_found");
    // The answer does not list the methods either.
    assert_eq!(
        app.post("/openapi.json").send().await.brief(),
        "404 http.not_found"
    );
}
