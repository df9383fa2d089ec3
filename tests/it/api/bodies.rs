//! Request bodies: parsed strictly, and every bad field is named.

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::operations::{operations, operations_with};
use crate::support::{Answer, RawConnection, Request, TestApp};

fn login(app: &TestApp) -> Request {
    app.post("/v1/auth/login")
}

async fn send(app: &TestApp, body: impl Into<Vec<u8>>) -> Answer {
    login(app).text("application/json", body.into()).send().await
}

/// The fields that are refused, each with its code.
fn fields(answer: &Answer) -> String {
    assert_eq!(answer.brief(), "422 validation.error", "{answer:?}");
    let body = answer.json();
    let fields = body["details"]["fields"].as_object().expect("fields are named");
    let named: Vec<String> = fields
        .iter()
        .map(|(name, field)| format!("{name} {}", field["code"].as_str().unwrap_or("-")))
        .collect();
    named.join(", ")
}

#[tokio::test]
async fn only_one_whole_json_object_is_read() {
    let app = TestApp::start().await;
    assert_snapshot!(send(&app, "[]").await.shown_with_headers(), @r#"
    400

    {
      "code": "request.malformed",
      "message": "The body is not a JSON object.",
      "trace_id": "[trace id]"
    }
    "#);
    let deep = |levels: usize| format!("{{\"login\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    let malformed: Vec<Vec<u8>> = vec![
        b"".into(),
        b" ".into(),
        b"null".into(),
        b"7".into(),
        b"\"login\"".into(),
        b"[{\"login\":\"alice\"}]".into(),
        b"{".into(),
        b"{\"login\":\"alice\"".into(),
        b"{\"login\":\"alice\"}x".into(),
        b"{} {}".into(),
        b"{\"login\":\"alice\",}".into(),
        b"{login:\"alice\"}".into(),
        b"{'login':'alice'}".into(),
        b"{\"login\":NaN}".into(),
        b"{\"login\":01}".into(),
        b"{\"login\":\"a\tb\"}".into(),
        b"{\"login\":\"\\x\"}".into(),
        b"\xef\xbb\xbf".into(),
        b"\xef\xbb{}".into(),
        b"{\"login\":\"\xff\"}".into(),
        b"{\"\xc3\x28\":1}".into(),
        b"{\"login\":\"\\ud800\"}".into(),
        b"{\"other\":{\"\\udc00\":1}}".into(),
        b"login=alice&password=x".into(),
        deep(33).into(),
        deep(8_000).into(),
        "\u{feff}\u{feff}{}".into(),
        "{}\u{feff}".into(),
        "{\"a\":1}".encode_utf16().flat_map(u16::to_le_bytes).collect(),
    ];
    for body in malformed {
        let shown = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
        assert_eq!(send(&app, body).await.brief(), "400 request.malformed", "{shown}");
    }
    // White space around the object and moderate nesting are not malformed.
    assert_eq!(send(&app, " \r\n\t{} \n").await.brief(), "422 validation.error");
    assert_eq!(
        fields(&send(&app, deep(31)).await),
        "login wrong_type, password missing"
    );
}

#[tokio::test]
async fn every_operation_with_a_body_refuses_what_is_no_object() {
    let app = TestApp::open().await;
    let alice = app.register("alice").await;
    let expected = operations_with(400, "request.malformed");
    assert_eq!(expected.len(), 22);
    for operation in expected {
        for body in ["", "[]", "{\"a\""] {
            let request = operation.signed_in(&app, &alice).text("application/json", body);
            assert_eq!(
                request.send().await.brief(),
                "400 request.malformed",
                "{operation:?}"
            );
        }
        // Nothing at all, without a content type.
        let answer = operation.signed_in(&app, &alice).send().await;
        assert_eq!(answer.brief(), "400 request.malformed", "{operation:?}");
    }
}

#[tokio::test]
async fn every_operation_with_a_body_asks_for_json() {
    let app = TestApp::open().await;
    let alice = app.register("alice").await;
    let request = login(&app).text("application/x-www-form-urlencoded", "login=alice");
    assert_snapshot!(request.send().await.shown_with_headers(), @r#"
    415

    {
      "code": "request.unsupported_media_type",
      "message": "The body must be sent as application/json in UTF-8, without a Content-Encoding.",
      "trace_id": "[trace id]"
    }
    "#);
    for operation in operations_with(415, "request.unsupported_media_type") {
        let body = operation.body().expect("it takes a body").to_string();
        for content_type in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/jsonp",
            "application/problem+json",
            "application/json; charset=utf-16",
            "application/json, text/plain",
            "",
        ] {
            let request = operation.signed_in(&app, &alice);
            let answer = request.text(content_type, body.clone()).send().await;
            assert_eq!(
                answer.brief(),
                "415 request.unsupported_media_type",
                "{operation:?} {content_type}"
            );
        }
        let request = operation.signed_in(&app, &alice).json(&json!({}));
        let twice = request.header("content-type", "text/plain").send().await;
        assert_eq!(twice.brief(), "415 request.unsupported_media_type");
    }
}

#[tokio::test]
async fn a_body_without_any_content_type_is_refused() {
    let app = TestApp::start().await;
    let mut connection = RawConnection::open(app.address()).await;
    connection
        .write(b"POST /v1/auth/check HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}")
        .await;
    let answer = connection.read_to_end(std::time::Duration::from_secs(5)).await;
    let answer = answer.expect("it is answered");
    assert!(answer.starts_with("HTTP/1.1 415 "), "{answer}");
}

#[tokio::test]
async fn unknown_and_duplicate_members_are_refused() {
    let app = TestApp::start().await;
    let answer = send(
        &app,
        r#"{"login":"alice","login":"bob","password":"x","pass word":"y","colour":1,"colour":2,"Login":"z"}"#,
    )
    .await;
    assert_snapshot!(answer.shown(), @r#"
    422
    {
      "code": "validation.error",
      "message": "One or more fields are not acceptable; details.fields names them.",
      "trace_id": "[trace id]",
      "details": {
        "fields": {
          "(unknown)": {
            "code": "unknown",
            "message": "This operation has no such field."
          },
          "colour": {
            "code": "unknown",
            "message": "This operation has no such field."
          },
          "login": {
            "code": "duplicate",
            "message": "This field stands in the body more than once."
          }
        }
      }
    }
    "#);
    for (body, expected) in [
        (
            r#"{"login":"a","password":"b","password":"b"}"#,
            "password duplicate",
        ),
        (
            r#"{"login":"a","password":"b","password":null}"#,
            "password duplicate",
        ),
        (
            r#"{"login":"a","password":"b","__proto__":{}}"#,
            "(unknown) unknown",
        ),
        (r#"{"login":"a","password":"b","code":"c"}"#, "code unknown"),
    ] {
        assert_eq!(fields(&send(&app, body).await), expected, "{body}");
    }
}

#[tokio::test]
async fn every_operation_refuses_members_that_it_does_not_know() {
    let app = TestApp::open().await;
    let alice = app.register("alice").await;
    for operation in operations().iter().filter(|operation| operation.takes_body) {
        let mut body = operation.body().expect("it takes one");
        body["is_admin"] = json!(true);
        let answer = operation.signed_in(&app, &alice).json(&body).send().await;
        assert_eq!(fields(&answer), "is_admin unknown", "{operation:?}");
    }
}

#[tokio::test]
async fn a_name_that_may_be_a_secret_is_not_repeated() {
    let app = TestApp::start().await;
    let answer = send(&app, r#"{"login":"a","password":"b","My$ecret Passw0rd":"c"}"#).await;
    assert_eq!(fields(&answer), "(unknown) unknown");
    assert!(!answer.body.contains("ecret"), "{answer:?}");
    // The answer stays small, however many unknown members there are.
    let many: serde_json::Map<String, Value> = (0..200)
        .map(|n| {
            (
                format!("field_{}", "x".repeat(n % 20)) + &"y".repeat(n / 20),
                Value::Null,
            )
        })
        .collect();
    let answer = send(&app, Value::Object(many).to_string()).await;
    assert_eq!(answer.brief(), "422 validation.error");
    assert!(answer.body.len() < 4_096, "{}", answer.body.len());
}
