//! A server that is told to stop finishes what it has begun, and no client holds it up.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::kill::{CLIENTS, Seen, check_after_restart, set_to_work};
use crate::support::{RawConnection, Workspace};

/// Connections that would never end by themselves: silent, in a head, in a body, idle, and not taking their answers.
async fn stuck_clients(address: SocketAddr) -> Vec<RawConnection> {
    let answers_not_taken = "GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nhost: x\r\n\r\n".repeat(40);
    let beginnings = [
        "",
        "GET /healthz HTTP/1.1\r\nhost: x\r\nx-drip: ",
        "POST /v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{",
        &answers_not_taken,
    ];
    let mut stuck = Vec::new();
    for beginning in beginnings {
        for _ in 0..5 {
            let mut connection = RawConnection::open_narrow(address).await;
            connection.write(beginning.as_bytes()).await;
            stuck.push(connection);
        }
    }
    for _ in 0..5 {
        let mut connection = RawConnection::open(address).await;
        connection.ask().await;
        stuck.push(connection);
    }
    stuck
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_under_load_with_stuck_clients_is_in_order_and_in_time() {
    let mut workspace = Workspace::new();
    workspace.set("ARKLOOP_REGISTRATION__MODE", "open");
    workspace.set("ARKLOOP_RATE_LIMIT__ENABLED", "false");
    let server = workspace.serve();
    let address: SocketAddr = server.address().parse().expect("it is an address");
    let seen = Arc::new(Seen::default());
    let mut clients = set_to_work(address, 0, &seen);
    let _stuck = stuck_clients(address).await;
    while seen.registered.lock().expect("nobody panicked").len() < 2 * CLIENTS {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.signal("TERM");
    let signalled = Instant::now();
    let (status, log) = tokio::task::spawn_blocking(|| server.wait())
        .await
        .expect("it did not panic");
    // Ten seconds of drain, and slack for a machine that runs many tests at once.
    assert!(signalled.elapsed() < Duration::from_secs(30), "{log}");
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("closing connections that did not finish"), "{log}");
    assert!(log.trim_end().ends_with("stopped"), "{log}");
    while let Some(ended) = clients.join_next().await {
        ended.expect("no client saw a wrong answer");
    }
    assert!(
        seen.unanswered.load(Ordering::SeqCst) > 0,
        "the clients went on until it stopped"
    );
    check_after_restart(&workspace, &seen).await;
}
