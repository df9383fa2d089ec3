//! Requests that two servers might read differently: this server refuses them and closes the connection, and never
//! takes the body of a request for another request (RFC 9112 §11.2).

use std::time::Duration;

use crate::support::{RawConnection, TestApp};

const PATIENCE: Duration = Duration::from_secs(20);
/// What would be served if the bytes behind a refused request were taken for the next one.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n";

/// Sends bytes as they are; the statuses of all answers in their order. The server must close the connection.
async fn statuses(app: &TestApp, bytes: &[u8]) -> String {
    let mut connection = RawConnection::open(app.address()).await;
    connection.write(bytes).await;
    let answers = connection.read_to_end(PATIENCE).await;
    let answers = answers.unwrap_or_else(|| panic!("it stays open after {}", bytes.escape_ascii()));
    // A body does not end with a line break, so the text is not split by lines.
    let answers = answers.split("HTTP/1.").skip(1);
    answers
        .map(|answer| answer.split(' ').nth(1).unwrap_or_default())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Expects that each of `requests` is answered with 400 and nothing behind it is served.
async fn are_refused(requests: &[&str]) {
    let app = TestApp::start().await;
    for request in requests {
        let bytes = [request.as_bytes(), SMUGGLED.as_bytes()].concat();
        assert_eq!(statuses(&app, &bytes).await, "400", "{}", request.escape_debug());
        // After a valid request, that one is answered and the bad one is refused all the same.
        let bytes = [b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n", bytes.as_slice()].concat();
        assert_eq!(
            statuses(&app, &bytes).await,
            "200 400",
            "{}",
            request.escape_debug()
        );
    }
}

/// Expects the same of a POST with these header lines and this body.
async fn are_refused_as_post(parts: &[(&str, &str)]) {
    let posts: Vec<String> = parts
        .iter()
        .map(|(lines, body)| {
            format!("POST /v1/auth/check HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{lines}\r\n\r\n{body}")
        })
        .collect();
    are_refused(&posts.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

#[tokio::test]
async fn a_body_with_two_lengths_is_refused() {
    are_refused_as_post(&[
        ("content-length: 5\r\ntransfer-encoding: chunked", "0\r\n\r\n"),
        ("transfer-encoding: chunked\r\ncontent-length: 5", "0\r\n\r\n"),
        (
            "Transfer-Encoding: chunked\r\na: b\r\nContent-Length: 0",
            "0\r\n\r\n",
        ),
        ("content-length: 2\r\ncontent-length: 3", "{}"),
        ("content-length: 2\r\ncontent-length: 2", "{}"),
        ("content-length: 2, 2", "{}"),
        ("content-length: 2\r\ncontent-length:", "{}"),
    ])
    .await;
}

#[tokio::test]
async fn a_length_that_is_no_number_is_refused() {
    are_refused_as_post(&[
        ("content-length: -2", "{}"),
        ("content-length: +2", "{}"),
        ("content-length: 0x2", "{}"),
        ("content-length: 2 2", "{}"),
        ("content-length: 2.0", "{}"),
        ("content-length:", "{}"),
        ("content-length: 18446744073709551616", "{}"),
        ("content-length: 99999999999999999999999999999999", "{}"),
    ])
    .await;
}

#[tokio::test]
async fn a_transfer_coding_other_than_chunked_is_refused() {
    are_refused_as_post(&[
        ("transfer-encoding: chunked, identity", "0\r\n\r\n"),
        ("transfer-encoding: identity, chunked", "0\r\n\r\n"),
        ("transfer-encoding: gzip, chunked", "0\r\n\r\n"),
        ("transfer-encoding: chunked, chunked", "0\r\n\r\n"),
        (
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
            "0\r\n\r\n",
        ),
        (
            "transfer-encoding: chunked\r\ntransfer-encoding: identity",
            "0\r\n\r\n",
        ),
        ("transfer-encoding: xchunked", "0\r\n\r\n"),
        ("transfer-encoding: chunked;q=1", "0\r\n\r\n"),
        ("transfer-encoding: \"chunked\"", "0\r\n\r\n"),
        ("transfer-encoding: \u{b}chunked", "0\r\n\r\n"),
        ("transfer-encoding: identity", ""),
        ("transfer-encoding:", "0\r\n\r\n"),
    ])
    .await;
    // HTTP/1.0 has no transfer codings (RFC 9112 §6.1).
    are_refused(&["POST /v1/auth/check HTTP/1.0\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"])
        .await;
}

#[tokio::test]
async fn chunks_that_are_none_are_refused() {
    let chunked = "transfer-encoding: chunked";
    are_refused_as_post(&[
        (chunked, "ffffffffffffffffff\r\n{}\r\n0\r\n\r\n"),
        (chunked, "10000000000000002\r\n{}\r\n0\r\n\r\n"),
        (chunked, "-2\r\n{}\r\n0\r\n\r\n"),
        (chunked, "+2\r\n{}\r\n0\r\n\r\n"),
        (chunked, "0x2\r\n{}\r\n0\r\n\r\n"),
        (chunked, " 2\r\n{}\r\n0\r\n\r\n"),
        (chunked, "\r\n{}\r\n0\r\n\r\n"),
        (chunked, "2\n{}\r\n0\r\n\r\n"),
        (chunked, "2;a\nb\r\n{}\r\n0\r\n\r\n"),
        (chunked, "2\r\n{}0\r\n\r\n"),
        (chunked, "1\r\n{}\r\n0\r\n\r\n"),
        (chunked, "2\r\n{}\n0\r\n\r\n"),
        (chunked, "2\r\n{}\r\n0\r\na: b\nc: d\r\n\r\n"),
        (chunked, "2\r\n{}\r\n0\r\nno trailer\r\n\r\n"),
    ])
    .await;
}

#[tokio::test]
async fn lines_that_may_be_split_otherwise_are_refused() {
    are_refused(&[
        "GET /healthz HTTP/1.1\nhost: x\n\n",
        "GET /healthz HTTP/1.1\nhost: x\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nhost: x\na: b\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nhost: x\r\na: b\n\r\n",
        "GET /healthz HTTP/1.1\r\nhost: x\r\n\n",
        "GET /healthz HTTP/1.1\r\nhost: x\r\na: b\rc: d\r\n\r\n",
        "GET /healthz HTTP/1.1\rhost: x\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nhost: x\r\na: b\r\n c\r\n\r\n",
        "POST /v1/auth/check HTTP/1.1\r\nhost: x\r\ntransfer-encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
        "GET /healthz HTTP/1.1\r\n host: x\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nhost: x\r\na: b\0c\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nhost: x\r\na\0: b\r\n\r\n",
        "POST /v1/auth/check HTTP/1.1\r\nhost: x\r\ncontent-length : 2\r\n\r\n{}",
        "POST /v1/auth/check HTTP/1.1\r\nhost: x\r\ntransfer-encoding\t: chunked\r\n\r\n0\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nhost: x\r\n: b\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nhost: x\r\nno colon\r\n\r\n",
    ])
    .await;
}

#[tokio::test]
async fn a_target_or_a_host_that_is_not_clear_is_refused() {
    are_refused(&[
        "GET /healthz HTTP/1.1\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nhost: x\r\nhost: x\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nhost:\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nhost: a@x\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nhost: x/y\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nhost: x y\r\n\r\n",
        "GET http://y/healthz HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET http://x/healthz HTTP/1.1\r\n\r\n",
        "GET x:80 HTTP/1.1\r\nhost: x\r\n\r\n",
        "CONNECT x:80 HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET * HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET healthz HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET /healthz /readyz HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET  /healthz HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET\t/healthz\tHTTP/1.1\r\nhost: x\r\n\r\n",
    ])
    .await;
}

#[tokio::test]
async fn other_versions_are_refused() {
    are_refused(&[
        "GET /healthz\r\n\r\n",
        "GET /healthz HTTP/0.9\r\nhost: x\r\n\r\n",
        "GET /healthz HTTP/1.2\r\nhost: x\r\n\r\n",
        "GET /healthz HTTP/2.0\r\nhost: x\r\n\r\n",
        "GET /healthz http/1.1\r\nhost: x\r\n\r\n",
    ])
    .await;
    // A client that speaks HTTP/2 could not read an answer in HTTP/1.1.
    let app = TestApp::start().await;
    let preface = format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{SMUGGLED}");
    assert_eq!(statuses(&app, preface.as_bytes()).await, "");
}

#[tokio::test]
async fn heads_are_limited_in_number_and_size() {
    let app = TestApp::start().await;
    let with_headers = |number: usize| {
        let headers: Vec<String> = (2..=number).map(|number| format!("a{number}: b\r\n")).collect();
        let headers = headers.concat();
        format!("GET /healthz HTTP/1.1\r\nconnection: close\r\nhost: x\r\n{headers}\r\n{SMUGGLED}")
    };
    assert_eq!(statuses(&app, with_headers(99).as_bytes()).await, "200");
    assert_eq!(statuses(&app, with_headers(100).as_bytes()).await, "431");
    let large = format!(
        "GET /healthz HTTP/1.1\r\nhost: x\r\na: {}\r\n\r\n",
        "b".repeat(33_000)
    );
    assert_eq!(statuses(&app, large.as_bytes()).await, "431");
    // Trailers after a body have the limits of a head.
    let trailers = format!(
        "POST /v1/auth/check HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\na: {}\r\n\r\n",
        "b".repeat(33_000)
    );
    assert_eq!(statuses(&app, trailers.as_bytes()).await, "400");
}

#[tokio::test]
async fn what_follows_a_request_in_order_is_answered_in_order() {
    let app = TestApp::start().await;
    let post = |lines: &str, body: &str| {
        format!(
            "POST /v1/auth/check HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{lines}\r\n\r\n{body}"
        )
    };
    let get = |path: &str, lines: &str| format!("GET {path} HTTP/1.1\r\nhost: x\r\n{lines}\r\n");
    let last = get("/nowhere", "connection: close\r\n");
    let followed =
        async |request: String| statuses(&app, format!("{request}{last}{SMUGGLED}").as_bytes()).await;
    assert_eq!(
        followed(get("/healthz", "") + &get("/v1/me", "")).await,
        "200 401 404"
    );
    // A body that looks like a request is still a body.
    let length = format!("content-length: {}", SMUGGLED.len());
    assert_eq!(followed(post(&length, SMUGGLED)).await, "400 404");
    let chunk = format!(
        "{:x};a=b\r\n{SMUGGLED}\r\n0\r\ncontent-length: 7\r\nhost: y\r\n\r\n",
        SMUGGLED.len()
    );
    assert_eq!(
        followed(post("transfer-encoding: chunked", &chunk)).await,
        "400 404"
    );
    assert_eq!(
        followed(get("/healthz", &format!("{length}\r\n")) + SMUGGLED).await,
        "200 404"
    );
    // Requests for an upgrade are ignored.
    for protocol in ["h2c", "websocket"] {
        let lines = format!(
            "connection: upgrade, http2-settings\r\nupgrade: {protocol}\r\nhttp2-settings: AAMAAABkAAQA\r\n"
        );
        assert_eq!(followed(get("/healthz", &lines)).await, "200 404", "{protocol}");
    }
    // The full URL of this host is a target too (RFC 9112 §3.2.2), and an empty line before a request is skipped.
    assert_eq!(followed(get("http://x/healthz", "")).await, "200 404");
    assert_eq!(followed(format!("\r\n{}", get("/healthz", ""))).await, "200 404");
    assert_eq!(
        followed("OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n".to_owned()).await,
        "204 404"
    );
    // HTTP/1.0 needs no host, and its connection is closed after one request.
    assert_eq!(followed("GET /healthz HTTP/1.0\r\n\r\n".to_owned()).await, "200");
}

#[tokio::test]
async fn a_body_that_waits_to_be_asked_for_is_asked_for() {
    let app = TestApp::start().await;
    let mut connection = RawConnection::open(app.address()).await;
    let head = "POST /v1/auth/check HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
                content-length: 2\r\nexpect: 100-continue\r\n\r\n";
    connection.write(head.as_bytes()).await;
    let interim = connection.read_some(1024, PATIENCE).await;
    assert_eq!(interim, "HTTP/1.1 100 Continue\r\n\r\n");
    connection.write(b"{}").await;
    let answer = connection.read_to_end(PATIENCE).await.expect("it is closed");
    assert!(answer.starts_with("HTTP/1.1 422 "), "{answer}");
}
