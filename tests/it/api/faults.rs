//! Faults on the server's side, and the answer of every operation that can meet them.

use std::sync::mpsc::{Sender, channel};
use std::thread::{JoinHandle, available_parallelism};
use std::time::Duration;

use arkloop::store::StoreError;
use insta::assert_snapshot;
use tokio::task::JoinSet;

use super::operations::{operations, operations_with};
use crate::support::{Engine, PASSWORD, TestApp};

/// Holds every connection that the server reads with, until it is dropped.
struct HeldReaders {
    release: Vec<Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

impl HeldReaders {
    /// Takes all of them: there are as many as processors, and with PostgreSQL at least eight.
    fn take(app: &TestApp) -> Self {
        let processors = available_parallelism().map_or(1, usize::from);
        let number = match app.workspace().engine() {
            Engine::Sqlite => processors,
            Engine::Postgres => processors.max(8),
        };
        let (taken, is_taken) = channel();
        let mut held = Self {
            release: Vec::new(),
            threads: Vec::new(),
        };
        for _ in 0..number {
            let (release, is_released) = channel::<()>();
            let (service, taken) = (std::sync::Arc::clone(app.service()), taken.clone());
            let runtime = tokio::runtime::Handle::current();
            held.threads.push(std::thread::spawn(move || {
                let read = service.store().read(move |_| {
                    taken.send(()).expect("the test waits");
                    let _ = is_released.recv();
                    Ok::<_, StoreError>(())
                });
                runtime.block_on(read).expect("it is read");
            }));
            held.release.push(release);
        }
        for _ in 0..number {
            let patience = Duration::from_secs(10);
            is_taken.recv_timeout(patience).expect("every reader is taken");
        }
        held
    }
}

impl Drop for HeldReaders {
    fn drop(&mut self) {
        self.release.clear();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_that_reads_is_503_while_the_database_does_not_answer() {
    let app = TestApp::open().await;
    let alice = app.register("alice").await;
    let mut expected = operations_with(503, "service.unavailable");
    // These operations only write.
    let only_write = [
        "sign_in_by_code",
        "confirm_verification",
        "reject_verification",
        "undo_email_change",
    ];
    // These are refused with 503 only if a client has its whole share of connections.
    // `readyz` knows its answer from the last write.
    let need_no_database = [
        "captcha_config",
        "jwks",
        "healthz",
        "openapi_document",
        "docs",
        "readyz",
    ];
    // These read only for a flow token of this server.
    let need_a_flow_token = ["send_resolved_code", "sign_in_by_resolved_code"];
    let others = [&only_write[..], &need_no_database, &need_a_flow_token].concat();
    expected.retain(|operation| !others.contains(&operation.id.as_str()));
    assert_eq!(expected.len(), 24);
    let held = HeldReaders::take(&app);
    let mut requests = JoinSet::new();
    for operation in &expected {
        let (id, request) = (operation.id.clone(), operation.whole(&app, &alice));
        requests.spawn(async move { (id, request.send().await) });
    }
    for (id, answer) in requests.join_all().await {
        assert_eq!(answer.brief(), "503 service.unavailable", "{id}");
        assert_eq!(answer.header("retry-after"), Some("2"), "{id}");
        assert_eq!(answer.header("set-cookie"), None, "{id}");
        assert_eq!(answer.header("www-authenticate"), None, "{id}");
    }
    // Operations that need no database are served meanwhile.
    for operation in operations() {
        if !need_no_database.contains(&operation.id.as_str()) {
            continue;
        }
        assert_eq!(operation.bare(&app).send().await.status, 200, "{operation:?}");
    }
    drop(held);
    assert_eq!(app.me(&alice.access_token()).await.status, 200);
    assert_eq!(app.get("/readyz").send().await.status, 200);
}

#[tokio::test]
async fn every_operation_that_writes_is_503_while_nothing_can_be_committed() {
    let app = TestApp::open().await;
    let alice = app.register("alice").await;
    // The registration mailed a link too: the next one a minute later.
    app.advance(Duration::from_mins(1));
    let before = app.rows().await;
    app.store_probe().on_commit(|| false);
    let writes = [
        "register",
        "login",
        "refresh",
        "logout",
        "update_me",
        "delete_other_sessions",
        "send_verification",
        "send_code",
        "sign_in_by_code",
        "change_password",
        "send_reset",
        "change_email",
        "export_account",
        "delete_account",
    ];
    for operation in operations() {
        if !writes.contains(&operation.id.as_str()) {
            continue;
        }
        let answer = operation.whole(&app, &alice).send().await;
        assert_eq!(answer.brief(), "503 service.unavailable", "{operation:?}");
        assert_eq!(answer.header("retry-after"), Some("2"), "{operation:?}");
        assert_eq!(answer.header("set-cookie"), None, "{operation:?}");
        // A failed logout must not look like a success.
        assert_eq!(answer.json().get("ok"), None);
    }
    app.store_probe().let_commits_through();
    assert_eq!(app.rows().await, before);
    assert_eq!(app.login("alice", PASSWORD).await.status, 200);
    assert_eq!(app.refresh(&alice.cookie()).await.status, 200);
}

#[tokio::test]
async fn every_operation_survives_a_panic() {
    let app = TestApp::open().await;
    let alice = app.register("alice").await;
    let expected = operations_with(500, "internal.error");
    assert_eq!(expected.len(), operations().len());
    for operation in expected {
        app.panic_trigger().panic_in(Some(&operation.id));
        let answer = operation.whole(&app, &alice).send().await;
        assert_eq!(answer.brief(), "500 internal.error", "{operation:?}");
        assert_eq!(answer.header("set-cookie"), None, "{operation:?}");
        assert!(!answer.body.contains("panic"), "{answer:?}");
        if operation.id == "login" {
            assert_snapshot!(answer.shown_with_headers(), @r#"
            500

            {
              "code": "internal.error",
              "message": "Something went wrong here; the log has the cause under this trace id.",
              "trace_id": "[trace id]"
            }
            "#);
        }
        // The other operations are served, and so is this one afterwards.
        app.panic_trigger().panic_in(None);
        assert_eq!(app.me(&alice.access_token()).await.status, 200);
    }
    assert_eq!(app.login("alice", PASSWORD).await.status, 200);
}
