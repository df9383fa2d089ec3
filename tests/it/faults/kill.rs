//! A server that is killed has kept everything that it acknowledged.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{Answer, PASSWORD, Request, Workspace, registration};

/// How many clients are at work: each has one request in flight all the time.
pub const CLIENTS: usize = 48;
const ROUNDS: u64 = 5;

/// What the clients saw.
#[derive(Default)]
pub struct Seen {
    in_flight: AtomicUsize,
    pub registered: Mutex<Vec<String>>,
    /// The newest cookie that each refreshing client got.
    cookies: Mutex<Vec<String>>,
    pub unanswered: AtomicUsize,
}

impl Seen {
    /// Sends a request; `None` if no answer came, which is what a killed server gives.
    async fn send(&self, request: Request) -> Option<Answer> {
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        let answer = request.try_send().await;
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
        if answer.is_err() {
            self.unanswered.fetch_add(1, Ordering::SeqCst);
        }
        answer.ok()
    }

    async fn register(&self, address: SocketAddr, login: String) -> Option<String> {
        let request = Request::new(address, "POST", "/v1/auth/register").json(&registration(&login));
        let answer = self.send(request).await?;
        assert_eq!(answer.status, 201, "{answer:?}");
        self.registered.lock().expect("nobody panicked").push(login);
        Some(answer.cookie())
    }
}

/// Half of the clients register one account after the other, half refresh one session again and again, until the server is gone.
pub fn set_to_work(address: SocketAddr, round: u64, seen: &Arc<Seen>) -> JoinSet<()> {
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let seen = Arc::clone(seen);
        clients.spawn(async move {
            let Some(mut cookie) = seen.register(address, format!("r{round}-c{client}")).await else {
                return;
            };
            for number in 0.. {
                if client % 2 == 0 {
                    if seen
                        .register(address, format!("r{round}-c{client}-{number}"))
                        .await
                        .is_none()
                    {
                        return;
                    }
                } else if let Some(answer) = seen
                    .send(Request::new(address, "POST", "/v1/auth/refresh").cookie(&cookie))
                    .await
                {
                    assert_eq!(answer.status, 200, "{answer:?}");
                    cookie = answer.cookie();
                } else {
                    seen.cookies.lock().expect("nobody panicked").push(cookie);
                    return;
                }
            }
        });
    }
    clients
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_kill_9() {
    let mut workspace = Workspace::new();
    workspace.set("ARKLOOP_REGISTRATION__MODE", "open");
    workspace.set("ARKLOOP_RATE_LIMIT__ENABLED", "false");
    for round in 0..ROUNDS {
        let server = workspace.serve();
        let address: SocketAddr = server.address().parse().expect("it is an address");
        let seen = Arc::new(Seen::default());
        let mut clients = set_to_work(address, round, &seen);
        while seen.registered.lock().expect("nobody panicked").len() < CLIENTS {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // The moment is arbitrary, and another one in each round.
        let nanos = std::time::UNIX_EPOCH
            .elapsed()
            .expect("it is past 1970")
            .subsec_nanos();
        tokio::time::sleep(Duration::from_millis(300 + u64::from(nanos % 400))).await;
        while seen.in_flight.load(Ordering::SeqCst) < 32 {
            tokio::task::yield_now().await;
        }
        let in_flight = seen.in_flight.load(Ordering::SeqCst);
        server.kill();
        while clients
            .join_next()
            .await
            .transpose()
            .expect("no client saw a wrong answer")
            .is_some()
        {}
        assert!(in_flight >= 32, "{in_flight}");
        assert!(
            seen.unanswered.load(Ordering::SeqCst) > 0,
            "every request of round {round} was answered"
        );
        check_after_restart(&workspace, &seen).await;
    }
}

/// Checks that the next server has everything that was acknowledged.
pub async fn check_after_restart(workspace: &Workspace, seen: &Seen) {
    let server = workspace.serve();
    let address: SocketAddr = server.address().parse().expect("it is an address");
    let registered = std::mem::take(&mut *seen.registered.lock().expect("nobody panicked"));
    let cookies = std::mem::take(&mut *seen.cookies.lock().expect("nobody panicked"));
    assert!(
        registered.len() >= CLIENTS / 2 && !cookies.is_empty(),
        "{} {}",
        registered.len(),
        cookies.len()
    );
    for login in &registered {
        let body = json!({"login": login, "password": PASSWORD});
        let answer = Request::new(address, "POST", "/v1/auth/login")
            .json(&body)
            .send()
            .await;
        assert_eq!(answer.status, 200, "{login}: {answer:?}");
    }
    for cookie in &cookies {
        let answer = Request::new(address, "POST", "/v1/auth/refresh")
            .cookie(cookie)
            .send()
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    server.kill();
    let integrity = rusqlite::Connection::open(workspace.path().join("data/arkloop.db")).expect("it opens");
    let integrity: String = integrity
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .expect("it is checked");
    assert_eq!(integrity, "ok");
}
