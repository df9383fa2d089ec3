//! Limits on simultaneous connections, in all and of one address, and which connection is closed for a new one.

use std::time::Duration;

use arkloop::http::Deadlines;

use crate::support::{Gate, RawConnection, TestApp, registration};

const PATIENCE: Duration = Duration::from_secs(20);

/// Deadlines under which no connection is closed for being slow.
fn patient() -> Deadlines {
    let hour = Duration::from_hours(1);
    Deadlines {
        header: hour,
        body: hour,
        idle: hour,
        response: hour,
        drain: Duration::from_secs(1),
    }
}

/// A connection from `127.0.0.<last>` on which one request was answered.
async fn rested(app: &TestApp, last: u8) -> RawConnection {
    let mut connection = RawConnection::open_from(last, app.address()).await;
    connection.ask().await;
    connection
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_takes_the_place_of_whoever_rested_longest() {
    let app = TestApp::builder()
        .set("SERVER__MAX_CONNECTIONS", "3")
        .start()
        .await;
    let (mut first, mut second, mut third) = (
        rested(&app, 1).await,
        rested(&app, 1).await,
        rested(&app, 1).await,
    );
    first.ask().await;
    let mut newcomer = rested(&app, 1).await;
    assert!(second.is_closed_within(PATIENCE).await);
    for connection in [&mut third, &mut first, &mut newcomer] {
        connection.ask().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_not_sent_a_whole_request_makes_way() {
    let app = TestApp::builder()
        .deadlines(patient())
        .set("SERVER__MAX_CONNECTIONS", "3")
        .start()
        .await;
    let beginnings = [
        "",
        "GET /healthz HTTP/1.1\r\nhost: x\r\nx-drip: ",
        "POST /v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{",
    ];
    let mut holders = Vec::new();
    for beginning in beginnings {
        let mut connection = RawConnection::open(app.address()).await;
        connection.write(beginning.as_bytes()).await;
        holders.push(connection);
    }
    for mut holder in holders {
        assert_eq!(app.get("/healthz").send().await.status, 200);
        // The request above has freed its place again, so it takes these connections to close the holder.
        let _kept = (
            rested(&app, 1).await,
            rested(&app, 1).await,
            rested(&app, 1).await,
        );
        assert!(holder.is_closed_within(PATIENCE).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_being_carried_out_makes_way_for_nobody() {
    let app = TestApp::builder()
        .open()
        .set("SERVER__MAX_CONNECTIONS", "2")
        .start()
        .await;
    let gate = Gate::close(app.store_probe());
    let register = |login: &str| app.post("/v1/auth/register").json(&registration(login)).send();
    let first = tokio::spawn(register("alice"));
    gate.wait_until_reached().await;
    let second = tokio::spawn(register("bob"));
    app.wait_for_waiting_writes(1).await;
    let newcomer = tokio::spawn(app.get("/healthz").send());
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!newcomer.is_finished(), "both places are taken");
    gate.open();
    for answer in [first.await, second.await] {
        assert_eq!(answer.expect("it did not panic").status, 201);
    }
    assert_eq!(newcomer.await.expect("it did not panic").status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_with_its_whole_share_makes_way_for_itself() {
    let app = TestApp::builder()
        .open()
        .set("SERVER__MAX_CONNECTIONS_PER_ADDRESS", "2")
        .start()
        .await;
    let mut neighbour = rested(&app, 9).await;
    let (mut first, mut second) = (rested(&app, 1).await, rested(&app, 1).await);
    let mut third = rested(&app, 1).await;
    assert!(first.is_closed_within(PATIENCE).await);
    for connection in [&mut second, &mut third, &mut neighbour] {
        connection.ask().await;
    }
    // The next two connections of this address are being served, so neither can be closed for a third.
    drop((second, third));
    let gate = Gate::close(app.store_probe());
    let register = |login: &str| app.post("/v1/auth/register").json(&registration(login)).send();
    let alice = tokio::spawn(register("alice"));
    gate.wait_until_reached().await;
    let bob = tokio::spawn(register("bob"));
    app.wait_for_waiting_writes(1).await;
    let mut refused = RawConnection::open(app.address()).await;
    assert_eq!(refused.read_to_end(PATIENCE).await.as_deref(), Some(""));
    neighbour.ask().await;
    rested(&app, 8).await;
    gate.open();
    for answer in [alice.await, bob.await] {
        assert_eq!(answer.expect("it did not panic").status, 201);
    }
    rested(&app, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_proxy_keeps_between_two_requests_counts_for_no_client_and_makes_way_last() {
    let app = TestApp::builder()
        .set("SERVER__TRUSTED_PROXIES", "127.0.0.1")
        .set("SERVER__MAX_CONNECTIONS", "4")
        .set("SERVER__MAX_CONNECTIONS_PER_ADDRESS", "1")
        .start()
        .await;
    let mut of_proxy = [
        rested(&app, 1).await,
        rested(&app, 1).await,
        rested(&app, 1).await,
    ];
    let mut stranger = rested(&app, 2).await;
    let mut newcomer = rested(&app, 3).await;
    assert!(stranger.is_closed_within(PATIENCE).await);
    for connection in of_proxy.iter_mut().chain([&mut newcomer]) {
        connection.ask().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_takes_one_place_and_never_two() {
    let app = TestApp::builder()
        .set("SERVER__MAX_CONNECTIONS", "4")
        .set("SERVER__MAX_CONNECTIONS_PER_ADDRESS", "2")
        .start()
        .await;
    // The neighbours have been at rest longer than all others.
    let mut neighbours = [rested(&app, 9).await, rested(&app, 9).await];
    let mut own = [rested(&app, 1).await, rested(&app, 1).await];
    let mut newcomer = rested(&app, 1).await;
    assert!(own[0].is_closed_within(PATIENCE).await);
    for connection in neighbours.iter_mut().chain([&mut own[1], &mut newcomer]) {
        connection.ask().await;
    }
}
