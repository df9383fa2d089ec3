//! Clients that drip, or send nothing, lose their connection; other clients notice nothing.

use std::time::{Duration, Instant};

use arkloop::http::Deadlines;
use tokio::task::JoinSet;

use crate::support::{RawConnection, TestApp};

const CLIENTS: usize = 500;

fn quick() -> Deadlines {
    Deadlines {
        header: Duration::from_secs(2),
        body: Duration::from_secs(2),
        idle: Duration::from_secs(2),
        response: Duration::from_secs(2),
        drain: Duration::from_secs(1),
    }
}

/// Sends the beginning of a request and then one byte at a time for as long as the server accepts it; returns how long that was.
async fn drip(mut connection: RawConnection, beginning: &'static [u8]) -> Duration {
    let started = Instant::now();
    connection.write(beginning).await;
    while started.elapsed() < Duration::from_secs(30) {
        if beginning.is_empty() {
            return match connection.read_to_end(Duration::from_secs(30)).await {
                Some(_) => started.elapsed(),
                None => Duration::MAX,
            };
        }
        if connection.is_closed_within(Duration::from_millis(100)).await || !connection.write(b"a").await {
            return started.elapsed();
        }
    }
    Duration::MAX
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_dripping_clients_are_closed_while_others_are_served() {
    let app = TestApp::builder().open().deadlines(quick()).start().await;
    let token = app.register("alice").await.access_token();
    let mut drips = JoinSet::new();
    for number in 0..CLIENTS {
        // From five addresses, since one may not have so many.
        let last = u8::try_from(2 + number % 5).expect("it is small");
        let connection = RawConnection::open_from(last, app.address()).await;
        drips.spawn(drip(
            connection,
            match number % 3 {
                0 => b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-drip: ",
                1 => b"POST /v1/auth/login HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 9999\r\n\r\n",
                _ => b"",
            },
        ));
    }
    let mut served = 0;
    while !drips.is_empty() {
        assert_eq!(app.me(&token).await.status, 200);
        served += 1;
        while let Some(closed_after) = drips.try_join_next() {
            let closed_after = closed_after.expect("it did not panic");
            // The deadline, and slack for a machine that runs many tests at once.
            assert!(closed_after < Duration::from_secs(12), "{closed_after:?}");
        }
    }
    assert!(served > 50, "others were served {served} times meanwhile");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_its_answer_byte_by_byte_is_closed() {
    let app = TestApp::builder().deadlines(quick()).start().await;
    let mut connection = RawConnection::open_narrow(app.address()).await;
    // Far more than the system would hold for a client that does not read.
    let request = "GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nhost: x\r\n\r\n";
    connection.write(request.repeat(40).as_bytes()).await;
    let started = Instant::now();
    let mut taken = 0;
    while connection.write(b"\r\n").await {
        taken += connection.read_some(1, Duration::from_millis(100)).await.len();
        assert!(started.elapsed() < Duration::from_secs(30), "it is still served");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(taken > 10, "it took {taken} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_answers_what_is_in_flight_and_is_not_held_up_by_the_silent() {
    let mut app = TestApp::builder().open().deadlines(quick()).start().await;
    let _silent = RawConnection::open(app.address()).await;
    let gate = crate::support::Gate::close(app.store_probe());
    let in_flight = tokio::spawn(
        app.post("/v1/auth/register")
            .json(&crate::support::registration("alice"))
            .send(),
    );
    gate.wait_until_reached().await;
    let stopping = tokio::spawn(async move {
        app.stop().await;
        app
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    gate.open();
    assert_eq!(in_flight.await.expect("it did not panic").status, 201);
    stopping.await.expect("it stopped");
}
