//! Spellings that mean the same in a request: of media types, charsets and paths; and the challenge that every 401 carries.

use serde_json::{Value, json};

use super::operations::{Operation, operations, operations_with};
use crate::support::{Request, TestApp, documented};

/// Asks whether an account exists, under a content type.
fn check(app: &TestApp, content_type: &str) -> Request {
    let request = app.post("/v1/auth/check");
    request.text(content_type, r#"{"login":"alice"}"#)
}

#[tokio::test]
async fn json_in_utf_8_is_taken_however_its_type_is_spelled() {
    let app = TestApp::open().await;
    app.register("alice").await;
    for content_type in [
        "application/json",
        "APPLICATION/JSON",
        "application/json;charset=utf-8",
        "application/json; charset=\"UTF-8\"",
        "application/json; charset=utf8",
        "application/json; Charset = UTF_8",
        "application/json; charset='utf-8'",
        "application/json; charset=csUTF8",
        "application/json; charset=unicode-1-1-utf-8",
        "application/json; charset=x-unicode20utf8",
        "application/json; charset=",
        "application/json; charset=\"\"",
        "application/json;",
        "application/json ; ; charset=utf-8;",
        "application/json; odata.metadata=minimal; charset=utf-8; q=0.9",
        "application/json; profile=\"a; charset=latin1\"",
        "application/json; charset",
    ] {
        let answer = check(&app, content_type).send().await;
        assert_eq!(answer.json(), json!({"exists": true}), "{content_type}");
    }
}

#[tokio::test]
async fn another_charset_is_refused_wherever_it_is_named() {
    let app = TestApp::start().await;
    for content_type in [
        "application/json; charset=latin1",
        "application/json;charset=\"ISO-8859-1\"",
        "application/json; charset=utf-16",
        "application/json; charset=utf-7",
        "application/json; charset=gb18030",
        "application/json; a=b; ; CHARSET = windows-1252",
        "application/json; charset=utf-8; charset=utf-16le",
    ] {
        let answer = check(&app, content_type).send().await;
        assert_eq!(
            answer.brief(),
            "415 request.unsupported_media_type",
            "{content_type}"
        );
        assert_eq!(answer.header("accept-encoding"), None);
    }
}

#[tokio::test]
async fn an_encoded_body_is_refused_and_told_which_coding_is_read() {
    let app = TestApp::open().await;
    let alice = app.register("alice").await;
    for operation in operations_with(415, "request.unsupported_media_type") {
        for coding in ["gzip", "DEFLATE", "br", "x-gzip", "identity, zstd", "zq7x"] {
            let request = operation.whole(&app, &alice).header("content-encoding", coding);
            let answer = request.send().await;
            assert_eq!(
                answer.brief(),
                "415 request.unsupported_media_type",
                "{operation:?} {coding}"
            );
            assert_eq!(answer.header("accept-encoding"), Some("identity"));
        }
    }
    for coding in ["identity", "Identity", ""] {
        let answer = check(&app, "application/json").header("content-encoding", coding);
        assert_eq!(answer.send().await.status, 200, "{coding}");
    }
    // Where no body is read, its coding does not matter.
    let logout = app.post("/v1/auth/logout").bearer(&alice.access_token());
    let logout = logout.header("content-encoding", "gzip").text("text/plain", "x");
    assert_eq!(logout.send().await.status, 200);
}

#[tokio::test]
async fn a_byte_order_mark_before_the_json_is_read_over() {
    let app = TestApp::open().await;
    let alice = app.register("alice").await;
    for operation in operations_with(400, "request.malformed") {
        let send = |body: &'static str| {
            let request = operation.signed_in(&app, &alice);
            request.text("application/json", body).send()
        };
        let without = send("{\"zq7x\":1}").await;
        assert_eq!(without.brief(), "422 validation.error", "{operation:?}");
        assert_eq!(
            send("\u{feff}{\"zq7x\":1}").await.shown(),
            without.shown(),
            "{operation:?}"
        );
    }
}

/// `path` with every character but `/` percent-encoded, except the percent sign of what is encoded already.
fn encoded(path: &str) -> String {
    let encode = |(number, c): (usize, char)| match c {
        '/' => "/".to_owned(),
        c if number % 2 == 0 => format!("%{:02x}", u32::from(c)),
        c => format!("%{:02X}", u32::from(c)),
    };
    path.chars().enumerate().map(encode).collect()
}

#[tokio::test]
async fn an_encoded_path_is_the_same_path_for_every_operation() {
    let app = TestApp::open().await;
    let alice = app.register("alice").await;
    for operation in operations() {
        let ask = |path: &str| {
            let renamed = Operation {
                path: path.to_owned(),
                ..operation.clone()
            };
            let request = renamed.bare(&app).bearer("zq7x");
            // No operation has this member, so that a second request gets the same refusal.
            request.json(&json!({"zq7x": 1})).send()
        };
        let (plain, found) = (ask(&operation.path).await, ask(&encoded(&operation.path)).await);
        let names = |headers: &[(String, String)]| -> Vec<String> {
            headers.iter().map(|(name, _)| name.clone()).collect()
        };
        assert_eq!(found.brief(), plain.brief(), "{operation:?}");
        assert_ne!(found.code(), "http.not_found", "{operation:?}");
        assert_eq!(names(&found.headers), names(&plain.headers), "{operation:?}");
    }
    // The value of a path parameter is decoded too.
    let listed = app
        .get("/v1/auth/sessions")
        .bearer(&alice.access_token())
        .send()
        .await;
    let id = listed.json()["sessions"][0]["id"]
        .as_str()
        .expect("it has an id")
        .to_owned();
    let path = format!("/v1/auth/sessions/{}", encoded(&id));
    let ended = app.delete(&path).bearer(&alice.access_token()).send().await;
    assert_eq!(ended.status, 204, "{ended:?}");
}

#[tokio::test]
async fn what_stands_for_a_delimiter_is_decoded_nowhere_and_nothing_twice() {
    let app = TestApp::start().await;
    for path in [
        "/docs%2findex.html",
        "/docs/..%2findex.html",
        "/docs/%2e%2e",
        "/docs/%2e%2e%2f..%2fCargo.toml",
        "/docs/%69ndex%2500.html",
        "/docs/%252e%252e%252findex.html",
        "/%2fhealthz",
        "/%2568ealthz",
        "/%%368ealthz",
        "/healthz%2f",
        "/healthz%3Fa",
        "/healthz%3Ba",
        "/healthz%20",
        "/healthz%00",
        "/healthz%",
        "/docs%5cindex.html",
        "/x/%2e%2e/healthz",
        "/%c1%a8ealthz",
        "/%u0068ealthz",
    ] {
        let answer = app.get(path).send().await;
        assert_eq!(answer.brief(), "404 http.not_found", "{path}");
    }
}

#[tokio::test]
async fn another_spelling_of_the_path_is_no_way_around_a_limit() {
    let app = TestApp::builder()
        .open()
        .limited()
        .set("RATE_LIMIT__LOGIN", "2/1m")
        .start()
        .await;
    let body = json!({"login": "alice", "password": "zq7x"});
    let mut briefs = Vec::new();
    for path in ["/v1/auth/login", "/v1/auth/%6cogin", "/v1/%61uth/logi%6E"] {
        briefs.push(app.post(path).json(&body).send().await.brief());
    }
    assert_eq!(
        briefs,
        [
            "401 auth.invalid_credentials",
            "401 auth.invalid_credentials",
            "429 rate_limit.exceeded"
        ]
    );
}

#[tokio::test]
async fn every_401_of_the_document_carries_a_challenge() {
    let app = TestApp::start().await;
    let document: Value = serde_json::from_str(&arkloop::http::document()).expect("it is JSON");
    let listed: Vec<String> = documented()
        .into_iter()
        .filter(|(_, status, _)| *status == 401)
        .map(|(id, _, _)| id)
        .collect();
    let mut operations = operations();
    operations.retain(|operation| listed.contains(&operation.id));
    assert!(operations.iter().any(|operation| operation.id == "login"));
    for operation in operations {
        let path = &document["paths"][&operation
            .path
            .replace("019abd3a-6f00-7c3e-9a51-4f0e6d2b8c17", "{id}")];
        let mut response = &path[operation.method.to_lowercase()]["responses"]["401"];
        if let Some(shared) = response["$ref"].as_str() {
            response = document
                .pointer(shared.trim_start_matches('#'))
                .expect("it is in the document");
        }
        assert!(
            response["headers"]["WWW-Authenticate"].is_object(),
            "{operation:?}"
        );
        let request = operation.bare(&app);
        let answer = match operation.body() {
            Some(body) => request.json(&body).send().await,
            None => request.send().await,
        };
        assert_eq!(
            (answer.status, answer.header("www-authenticate")),
            (401, Some("Bearer")),
            "{operation:?}"
        );
    }
}
