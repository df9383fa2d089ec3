//! How large request bodies may be, and in which order requests are refused.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::operations::{operations, operations_with};
use crate::support::{Answer, RawConnection, Request, TestApp};

const KIB_16: usize = 16 * 1024;

async fn send(app: &TestApp, body: String) -> Answer {
    app.post("/v1/auth/login")
        .text("application/json", body)
        .send()
        .await
}

#[tokio::test]
async fn sixteen_kib_are_read_and_no_byte_more() {
    let app = TestApp::start().await;
    let padded = |length: usize| format!("{{}}{}", " ".repeat(length - 2));
    assert_eq!(send(&app, padded(KIB_16)).await.brief(), "422 validation.error");
    let answer = send(&app, padded(KIB_16 + 1)).await;
    assert_snapshot!(answer.shown_with_headers(), @r#"
    413

    {
      "code": "request.too_large",
      "message": "The body is larger than 16 KiB.",
      "trace_id": "[trace id]"
    }
    "#);
}

#[tokio::test]
async fn every_operation_refuses_a_body_that_is_declared_too_large() {
    let app = TestApp::open().await;
    let alice = app.register("alice").await;
    let expected = operations_with(413, "request.too_large");
    assert_eq!(expected.len(), operations().len());
    for operation in expected {
        for length in [KIB_16 + 1, 200_000] {
            let request = operation.signed_in(&app, &alice);
            let answer = request.text("application/json", "x".repeat(length)).send().await;
            assert_eq!(answer.brief(), "413 request.too_large", "{operation:?}");
        }
    }
}

#[tokio::test]
async fn every_operation_refuses_a_chunked_body_that_grows_too_large() {
    let app = TestApp::start().await;
    for operation in operations() {
        let mut connection = RawConnection::open(app.address()).await;
        let head = format!(
            "{} {} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
             transfer-encoding: chunked\r\n\r\n",
            operation.method, operation.path
        );
        connection.write(head.as_bytes()).await;
        let chunk = format!("400\r\n{}\r\n", " ".repeat(0x400));
        for _ in 0..17 {
            connection.write(chunk.as_bytes()).await;
        }
        connection.write(b"0\r\n\r\n").await;
        let answer = connection.read_to_end(std::time::Duration::from_secs(5)).await;
        let answer = answer.expect("it is answered");
        assert!(answer.starts_with("HTTP/1.1 413 "), "{operation:?}: {answer}");
        assert!(answer.contains("\"code\":\"request.too_large\""), "{answer}");
    }
}

#[tokio::test]
async fn a_client_that_waits_to_be_asked_for_a_giant_body_is_refused_before_it_sends() {
    let app = TestApp::start().await;
    let mut connection = RawConnection::open(app.address()).await;
    connection
        .write(
            b"POST /v1/auth/login HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
              content-length: 99999999999\r\nexpect: 100-continue\r\n\r\n",
        )
        .await;
    let answer = connection.read_to_end(std::time::Duration::from_secs(5)).await;
    let answer = answer.expect("it is answered");
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn what_takes_no_body_drops_up_to_sixteen_kib_of_anything() {
    let app = TestApp::open().await;
    for operation in operations().iter().filter(|operation| !operation.takes_body) {
        let caller = app
            .post("/v1/auth/register")
            .json(&crate::support::registration(&operation.id.replace('_', "-")))
            .send()
            .await;
        // The registration mailed a link too, so the next one may be asked for a minute later.
        app.advance(Duration::from_mins(1));
        let request = operation
            .signed_in(&app, &caller)
            .text("text/plain", vec![0xff; KIB_16]);
        let expected = match operation.id.as_str() {
            "delete_session" => "404 session.not_found",
            "delete_other_sessions" | "send_verification" => "204 -",
            _ => "200 -",
        };
        assert_eq!(request.send().await.brief(), expected, "{operation:?}");
    }
}

#[tokio::test]
async fn refusals_come_in_one_order() {
    let app = TestApp::open().await;
    let too_large = || "x".repeat(KIB_16 + 1);
    let evil = |request: Request| request.header("origin", "https://evil.example");
    let brief = async |request: Request| request.send().await.brief();
    // The order is: size, path, method, shape, origin, token, fields.
    let nowhere = evil(app.post("/nowhere"));
    assert_eq!(
        brief(nowhere.text("text/plain", too_large())).await,
        "413 request.too_large"
    );
    assert_eq!(brief(evil(app.post("/nowhere"))).await, "404 http.not_found");
    let wrong_method = evil(app.post("/v1/me"));
    assert_eq!(
        brief(wrong_method.text("text/plain", "x")).await,
        "405 http.method_not_allowed"
    );
    let me = || evil(app.patch("/v1/me"));
    assert_eq!(brief(me()).await, "400 request.malformed");
    assert_eq!(
        brief(me().text("text/plain", "x")).await,
        "415 request.unsupported_media_type"
    );
    assert_eq!(
        brief(me().json(&json!({"username": 7}))).await,
        "403 request.origin_forbidden"
    );
    let unknown_caller = app.patch("/v1/me").json(&json!({"username": 7}));
    assert_eq!(brief(unknown_caller).await, "401 auth.missing_token");
    // A registration checks the fields before mode and invite, and these before names that are taken.
    let app = TestApp::start().await;
    let register = async |body: Value| brief(app.post("/v1/auth/register").json(&body)).await;
    let mut body = crate::support::registration("alice");
    body["invite_code"] = json!(app.invite(1).await);
    assert_eq!(register(body.clone()).await, "201 -");
    // Who was registered with this very invite learns that; who has other names learns nothing.
    assert_eq!(register(body.clone()).await, "409 auth.login_exists");
    body["email"] = json!("another@example.org");
    assert_eq!(register(body.clone()).await, "422 auth.invite_code_invalid");
    body["login"] = json!("-");
    assert_eq!(register(body).await, "422 validation.error");
}
