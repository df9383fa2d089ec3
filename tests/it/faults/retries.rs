//! Loops whose work fails: they wait longer and longer, log the failure once, and go on when the cause is gone.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arkloop::app::App;
use serde_json::Value;

use super::disk::{REFUSE_ONLY, limit_files};
use super::mail::{fail_all_but_one_commit, wait_for_empty_outbox, workspace};
use crate::support::smtp::{Fault, SmtpServer, Stage};
use crate::support::{Served, TestApp, Workspace, registration};

/// Longer than the first two pauses together, and shorter than the first three.
const A_WHILE: Duration = Duration::from_millis(4500);
/// How often a loop tries in that time, and once more for a slow machine.
const A_FEW: usize = 4;

/// A server with one mail that was refused, on a disk that is full from now on; the mail is due.
async fn due_on_a_full_disk(smtp: &SmtpServer) -> (Workspace, Served) {
    smtp.always(Stage::Greeting, Fault::Answer("421 4.3.2 not now"));
    let mut workspace = workspace(smtp);
    workspace.use_sqlite();
    workspace.under(REFUSE_ONLY);
    let server = workspace.serve();
    let body = registration("alice");
    assert_eq!(
        server.request("POST", "/v1/auth/register", None, Some(&body)).0,
        201
    );
    let attempts = || workspace.json(&["mail", "queue"])[0]["attempts"].as_u64();
    while attempts() != Some(1) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let wal = fs::metadata(workspace.path().join("data/arkloop.db-wal")).expect("there is one");
    limit_files(&server, Some(wal.len()));
    // The operator's own process is not limited, and takes what room there is.
    assert_eq!(workspace.json(&["mail", "retry"])["retried"], 1);
    (workspace, server)
}

fn times_told(log: &str, text: &str) -> usize {
    log.lines().filter(|line| line.contains(text)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_beside_a_refusing_mail_server_makes_no_loop_spin() {
    let smtp = SmtpServer::start();
    let (workspace, server) = due_on_a_full_disk(&smtp).await;
    tokio::time::sleep(A_WHILE).await;
    let tries = smtp.times_reached(Stage::Greeting);
    assert!(tries <= 1 + A_FEW, "{tries} tries");
    limit_files(&server, None);
    smtp.heal();
    wait_for_empty_outbox(&workspace).await;
    assert_eq!(smtp.received().len(), 1);
    let log = server.stop();
    for what in [
        "the outbox cannot be worked off",
        "mail cannot be sent",
        "writes are lost",
    ] {
        assert_eq!(times_told(&log, &format!(" {what}: ")), 1, "{what}: {log}");
        assert_eq!(times_told(&log, &format!(" over: {what}")), 1, "{what}: {log}");
    }
    assert!(log.lines().count() < 30, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_was_taken_is_sent_once_while_the_disk_is_full() {
    let smtp = SmtpServer::start();
    let (workspace, server) = due_on_a_full_disk(&smtp).await;
    smtp.heal();
    assert_eq!(workspace.json(&["mail", "retry"])["retried"], 1);
    smtp.wait_until_reached(Stage::Told).await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(smtp.received().len(), 1);
    limit_files(&server, None);
    wait_for_empty_outbox(&workspace).await;
    assert_eq!(smtp.received().len(), 1);
    let log = server.stop();
    assert_eq!(times_told(&log, " the outbox cannot be worked off: "), 1, "{log}");
    assert!(log.lines().count() < 30, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_that_cannot_be_sent_is_told_once_however_much_waits() {
    let mut smtp = SmtpServer::refusing();
    let workspace = workspace(&smtp);
    let server = workspace.serve();
    for number in 0..5 {
        let body = registration(&format!("user-{number}"));
        assert_eq!(
            server.request("POST", "/v1/auth/register", None, Some(&body)).0,
            201
        );
    }
    let tried = |mail: &Value| mail["attempts"].as_u64() > Some(0);
    let are_all_tried = || {
        let queue = workspace.json(&["mail", "queue"]);
        queue.as_array().is_some_and(|queue| queue.iter().all(tried))
    };
    while !are_all_tried() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    smtp.listen();
    workspace.json(&["mail", "retry"]);
    wait_for_empty_outbox(&workspace).await;
    let log = server.stop();
    assert_eq!(times_told(&log, " mail cannot be sent: "), 1, "{log}");
    assert_eq!(times_told(&log, " over: mail cannot be sent"), 1, "{log}");
    assert_eq!(times_told(&log, "mail was not sent"), 0, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_that_fails_is_tried_again_after_longer_and_longer_pauses() {
    let app = TestApp::open().await;
    let (failed, works) = fail_all_but_one_commit(&app);
    app.register("alice").await;
    let housekeeping = tokio::spawn(App::housekeep(Arc::clone(app.service())));
    tokio::time::sleep(A_WHILE).await;
    let tries = failed.load(Ordering::SeqCst);
    // While writes fail, the server also tries a small one each second.
    let trials = usize::try_from(A_WHILE.as_secs()).expect("it is a few seconds");
    assert!((2..=A_FEW + trials).contains(&tries), "{tries} tries");
    works.store(true, Ordering::SeqCst);
    housekeeping.abort();
    let _ = housekeeping.await;
}

/// The size of the two copies of the header of the index to the write-ahead log.
const INDEX_HEADER: [u8; 96] = [0xff; 96];

#[test]
fn a_follower_outlives_a_database_that_does_not_answer() {
    let workspace = Workspace::with_database_file();
    workspace.create_user("alice");
    let log = workspace.path().join("follower.log");
    let mut follower = workspace.follow_into(&["audit", "--follow"], &log);
    assert_eq!(follower.line()["event"], "user.created");
    // Readers find a damaged index, and cannot repair it while another process writes.
    let database = rusqlite::Connection::open(workspace.path().join("data/arkloop.db")).expect("it opens");
    database.execute_batch("BEGIN IMMEDIATE").expect("it is free");
    let index = OpenOptions::new()
        .write(true)
        .open(workspace.path().join("data/arkloop.db-shm"))
        .expect("there is one");
    index.write_all_at(&INDEX_HEADER, 0).expect("it is written");
    let told = || fs::read_to_string(&log).unwrap_or_default();
    let tells = || {
        std::thread::sleep(Duration::from_millis(20));
        told().contains("the audit log cannot be read")
    };
    assert!((0..1000).any(|_| tells()), "{}", told());
    std::thread::sleep(A_WHILE);
    database.execute_batch("ROLLBACK").expect("it ends");
    drop(database);
    workspace.create_user("bob");
    assert_eq!(follower.line()["username"], "bob");
    assert_eq!(
        times_told(&told(), " the audit log cannot be read: "),
        1,
        "{}",
        told()
    );
    assert_eq!(
        times_told(&told(), " over: the audit log cannot be read"),
        1,
        "{}",
        told()
    );
}
