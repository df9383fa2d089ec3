//! Clients behind a listed proxy: each has the share of an address, whatever their uploads do to the proxy's connections.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::Child;
use std::time::{Duration, Instant};

use arkloop::http::Deadlines;
use serde_json::json;
use tokio::task::JoinSet;

use crate::api::operations::operations_with;
use crate::support::{Gate, RawConnection, Request, TestApp, Workspace, registration};

const PATIENCE: Duration = Duration::from_secs(20);
const A: &str = "198.51.100.1";
const B: &str = "198.51.100.2";
const C: &str = "198.51.100.3";

/// A server behind a proxy at 127.0.0.1, which closes no connection for being slow. Other addresses of this machine are clients.
async fn behind_a_proxy(most: &str, most_per_address: &str) -> TestApp {
    let hour = Duration::from_hours(1);
    let deadlines = Deadlines {
        header: hour,
        body: hour,
        idle: hour,
        response: hour,
        drain: Duration::from_secs(1),
    };
    TestApp::builder()
        .open()
        .deadlines(deadlines)
        .set("SERVER__TRUSTED_PROXIES", "127.0.0.1")
        .set("SERVER__MAX_CONNECTIONS", most)
        .set("SERVER__MAX_CONNECTIONS_PER_ADDRESS", most_per_address)
        .start()
        .await
}

/// A connection of the proxy with an upload of `client` of which only the first byte has come.
async fn upload(app: &TestApp, client: &str) -> RawConnection {
    let mut connection = RawConnection::open(app.address()).await;
    begin_upload(&mut connection, client).await;
    connection
}

async fn begin_upload(connection: &mut RawConnection, client: &str) {
    let head = format!(
        "POST /v1/auth/login HTTP/1.1\r\nhost: x\r\nx-forwarded-for: {client}\r\ncontent-type: application/json\r\n\
         content-length: 9999\r\nexpect: 100-continue\r\n\r\n"
    );
    assert!(connection.write(head.as_bytes()).await);
    // The server asks for the body only when it has begun to read the request.
    let answer = connection.read_some(4096, PATIENCE).await;
    assert!(answer.starts_with("HTTP/1.1 100 "), "{answer}");
    assert!(connection.write(b"{").await);
}

fn healthz(client: &str) -> String {
    format!("GET /healthz HTTP/1.1\r\nhost: x\r\nx-forwarded-for: {client}\r\n\r\n")
}

/// A whole request of `client` on a connection of the proxy.
async fn ask(connection: &mut RawConnection, client: &str) {
    assert!(connection.write(healthz(client).as_bytes()).await);
    let answer = connection.read_some(4096, PATIENCE).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

async fn is_open(connection: &mut RawConnection) -> bool {
    !connection.is_closed_within(Duration::from_millis(100)).await
}

fn of(request: Request, client: &str) -> Request {
    request.header("x-forwarded-for", client)
}

#[tokio::test(flavor = "multi_thread")]
async fn dripping_uploads_through_a_proxy_leave_the_others_served() {
    let app = behind_a_proxy("40", "10").await;
    let mut kept = RawConnection::open(app.address()).await;
    ask(&mut kept, B).await;
    let mut drips = Vec::new();
    for number in 0..200 {
        // The first hundred uploads are of one client, the others of as many as it takes to fill every place.
        let client = if number < 100 {
            A.to_owned()
        } else {
            format!("203.0.113.{number}")
        };
        drips.push(upload(&app, &client).await);
        if number % 20 == 0 {
            assert_eq!(of(app.get("/healthz"), B).send().await.status, 200);
            ask(&mut kept, C).await;
            let mut direct = RawConnection::open_from(2, app.address()).await;
            direct.ask().await;
        }
    }
    let mut open = 0;
    for mut drip in drips {
        open += usize::from(!drip.is_closed_within(Duration::from_millis(5)).await);
    }
    assert!((30..=40).contains(&open), "{open} of 200 are still open");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_not_whole_makes_way_oldest_first_also_through_a_proxy() {
    let app = behind_a_proxy("4", "4").await;
    let mut kept = RawConnection::open(app.address()).await;
    ask(&mut kept, A).await;
    let mut body = upload(&app, A).await;
    let mut head = RawConnection::open(app.address()).await;
    let whole = healthz(B);
    head.write(&whole.as_bytes()[..whole.len() - 2]).await;
    let mut second_head = RawConnection::open(app.address()).await;
    ask(&mut second_head, C).await;
    second_head.write(b"GET /healthz HT").await;
    let mut newcomers = Vec::new();
    for holder in [&mut body, &mut head, &mut second_head] {
        assert!(is_open(holder).await);
        newcomers.push(upload(&app, C).await);
        assert!(holder.is_closed_within(PATIENCE).await);
    }
    // A connection that is kept between two requests would make way last.
    ask(&mut kept, A).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_behind_a_proxy_has_the_share_of_an_address() {
    let app = behind_a_proxy("100", "2").await;
    let mut neighbour = upload(&app, B).await;
    for client in [A, "2001:db8:1:2::1"] {
        let mut first = upload(&app, client).await;
        let mut second = upload(&app, client).await;
        // The same network, or the same address written otherwise.
        let again = match client {
            A => "::ffff:198.51.100.1",
            _ => "2001:db8:1:2:ffff::9",
        };
        let mut third = upload(&app, again).await;
        assert!(first.is_closed_within(PATIENCE).await, "{client}");
        for connection in [&mut second, &mut third, &mut neighbour] {
            assert!(is_open(connection).await, "{client}");
        }
    }
    // A request that names no client counts for the share of the proxy.
    let nameless = async || {
        let mut connection = RawConnection::open(app.address()).await;
        begin_upload(&mut connection, "\u{ff}").await;
        connection
    };
    let (mut first, mut second, mut third) = (nameless().await, nameless().await, nameless().await);
    assert!(first.is_closed_within(PATIENCE).await);
    assert!(is_open(&mut second).await && is_open(&mut third).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_connection_counts_for_the_client_of_each_request_and_for_none_between() {
    let app = behind_a_proxy("100", "1").await;
    let mut kept = RawConnection::open(app.address()).await;
    for client in [A, B, A] {
        ask(&mut kept, client).await;
    }
    let mut of_a = upload(&app, A).await;
    let mut of_b = upload(&app, B).await;
    ask(&mut kept, C).await;
    assert!(is_open(&mut of_a).await && is_open(&mut of_b).await);
    begin_upload(&mut kept, B).await;
    assert!(of_b.is_closed_within(PATIENCE).await);
    assert!(is_open(&mut of_a).await && is_open(&mut kept).await);
    upload(&app, B).await;
    assert!(kept.is_closed_within(PATIENCE).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_through_a_proxy_costs_one_connection_when_all_places_are_taken() {
    let app = behind_a_proxy("4", "2").await;
    let mut others = [upload(&app, B).await, upload(&app, B).await];
    let mut own = [upload(&app, A).await, upload(&app, A).await];
    let mut newcomer = RawConnection::open(app.address()).await;
    ask(&mut newcomer, A).await;
    assert!(own[0].is_closed_within(PATIENCE).await);
    for connection in others.iter_mut().chain([&mut own[1], &mut newcomer]) {
        assert!(is_open(connection).await);
    }
    ask(&mut newcomer, C).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_whose_share_is_at_work_is_refused_everywhere_and_others_are_served() {
    let app = behind_a_proxy("100", "2").await;
    let alice = app.register("alice").await;
    let gate = Gate::close(app.store_probe());
    let mut at_work = JoinSet::new();
    at_work.spawn(of(app.post("/v1/auth/register").json(&registration("bob")), A).send());
    gate.wait_until_reached().await;
    at_work.spawn(of(app.post("/v1/auth/register").json(&registration("carol")), A).send());
    app.wait_for_waiting_writes(1).await;
    let before = app.rows().await;
    let operations = operations_with(503, "service.unavailable");
    assert_eq!(operations.len(), 36);
    for operation in operations {
        let refused = of(operation.whole(&app, &alice), A).send().await;
        assert_eq!(refused.brief(), "503 service.unavailable", "{operation:?}");
        assert_eq!(refused.header("retry-after"), Some("1"));
        assert_eq!(refused.header("set-cookie"), None);
        assert_eq!(of(app.get("/healthz"), B).send().await.status, 200);
    }
    assert_eq!(app.rows().await, before);
    gate.open();
    while let Some(answer) = at_work.join_next().await {
        assert_eq!(answer.expect("it did not panic").status, 201);
    }
    let login = json!({"login": "alice", "password": crate::support::PASSWORD});
    let signed_in = of(app.post("/v1/auth/login").json(&login), A).send().await;
    assert_eq!(signed_in.status, 200);
}

/// A process that is killed at the end.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_client_behind_the_unix_socket_has_a_share_also_one_that_cannot_be_named() {
    for trusted in ["unix", ""] {
        let mut workspace = Workspace::new();
        workspace
            .set("ARKLOOP_SERVER__TRUSTED_PROXIES", trusted)
            .set("ARKLOOP_SERVER__MAX_CONNECTIONS_PER_ADDRESS", "1");
        let _server = Killed(workspace.spawn(&["serve", "--listen", "unix:socket"]));
        let started = Instant::now();
        let upload = |client: &[u8]| {
            let mut stream = loop {
                match UnixStream::connect(workspace.path().join("socket")) {
                    Ok(stream) => break stream,
                    Err(error) => assert!(started.elapsed() < PATIENCE, "{error}"),
                }
                std::thread::sleep(Duration::from_millis(20));
            };
            let head = b"POST /v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\nexpect: 100-continue\r\nx-forwarded-for: ";
            let head = [head, client, b"\r\n\r\n"].concat();
            stream.write_all(&head).expect("it reads");
            stream
                .set_read_timeout(Some(PATIENCE))
                .expect("it is a length of time");
            let mut answer = [0; 25];
            stream.read_exact(&mut answer).expect("it asks for the body");
            assert_eq!(answer, *b"HTTP/1.1 100 Continue\r\n\r\n");
            stream
        };
        let is_closed = |stream: &mut UnixStream, within| {
            stream
                .set_read_timeout(Some(within))
                .expect("it is a length of time");
            matches!(stream.read(&mut [0; 9]), Ok(0))
        };
        // Both of each pair count as one client: that of the same address, or one that cannot be named.
        for (client, again) in [
            (&b"\xff"[..], &b"unknown"[..]),
            (b"198.51.100.1, \x80", b""),
            (b"\xff\xfe, 198.51.100.2", b"6.6.6.6\xe9,198.51.100.2"),
        ] {
            let mut first = upload(client);
            let mut neighbour = (trusted == "unix").then(|| upload(b"198.51.100.9"));
            let mut second = upload(again);
            assert!(is_closed(&mut first, PATIENCE), "{client:?} {trusted}");
            for open in [&mut second].into_iter().chain(&mut neighbour) {
                assert!(!is_closed(open, Duration::from_millis(50)), "{again:?} {trusted}");
            }
        }
    }
}
