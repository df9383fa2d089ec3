//! `/readyz` is true: 503 while nothing can be written, and for good when the database file was replaced under the server.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::disk::{REFUSE_ONLY, limit_files};
use crate::support::Served;
use crate::support::{TestApp, Workspace, registration};

/// What the metrics listener says of the readiness: head and body.
fn details(workspace: &Workspace) -> (String, Value) {
    let mut stream = UnixStream::connect(workspace.path().join("metrics.sock")).expect("it listens");
    let request = "GET /readyz HTTP/1.1\r\nhost: metrics\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers in text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    (head.to_owned(), serde_json::from_str(body).expect("it is JSON"))
}

fn watched() -> Workspace {
    let mut workspace = Workspace::of_sqlite();
    workspace
        .set("ARKLOOP_METRICS__LISTEN", "unix:metrics.sock")
        // An outbox of files would create the data directory anew at its old path.
        .set("ARKLOOP_MAIL__TRANSPORT", "off")
        .set("ARKLOOP_REGISTRATION__MODE", "open");
    workspace
}

fn readiness(server: &Served) -> u16 {
    server.request("GET", "/readyz", None, None).0
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started_at = Instant::now();
    while !is_so() {
        assert!(started_at.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_not_ready_from_a_commit_that_fails_to_one_that_does_not() {
    let app = TestApp::open().await;
    app.store_probe().on_commit(|| false);
    let refused = app
        .post("/v1/auth/register")
        .json(&registration("alice"))
        .send()
        .await;
    assert_eq!(refused.brief(), "503 service.unavailable");
    let answer = app.get("/readyz").send().await;
    assert_eq!(answer.brief(), "503 service.unavailable");
    assert!(!answer.body.contains("COMMIT"), "{answer:?}");
    assert_eq!(app.get("/healthz").send().await.status, 200);
    // `/readyz` itself touches no database.
    app.store_probe().let_commits_through();
    assert_eq!(app.get("/readyz").send().await.status, 503);
    app.register("alice").await;
    assert_eq!(app.get("/readyz").send().await.status, 200);
}

#[test]
fn a_full_disk_is_told_and_the_server_itself_finds_out_when_there_is_room_again() {
    let mut workspace = watched();
    workspace.under(REFUSE_ONLY);
    let server = workspace.serve();
    assert_eq!(readiness(&server), 200);
    let log = fs::metadata(workspace.path().join("data/arkloop.db-wal")).expect("there is one");
    limit_files(&server, Some(log.len()));
    let register = || {
        let alice = registration("alice");
        server.request("POST", "/v1/auth/register", None, Some(&alice)).0
    };
    assert_eq!(register(), 503);
    assert_eq!(readiness(&server), 503);
    let (head, body) = details(&workspace);
    assert!(head.starts_with("HTTP/1.1 503"), "{head}");
    assert_eq!(head.to_lowercase().matches("content-type:").count(), 1, "{head}");
    let cause = body["cause"].as_str().unwrap_or_default();
    assert!(cause.contains("disk"), "{body}");
    // More than a second later the server has tried again, in vain.
    std::thread::sleep(Duration::from_millis(1200));
    assert_eq!(readiness(&server), 503);
    limit_files(&server, None);
    wait_until("it is ready again", || readiness(&server) == 200);
    assert_eq!(details(&workspace).1["cause"], Value::Null);
    assert_eq!(register(), 201);
}

/// Replaces or removes something in a data directory.
type Loss = fn(&Path);

#[test]
fn a_database_that_is_replaced_or_removed_under_the_server_stops_writes_for_good() {
    let losses: [(&str, Loss); 5] = [
        ("arkloop.db", |data| {
            fs::remove_file(data.join("arkloop.db")).expect("it is there");
        }),
        ("arkloop.db", |data| {
            fs::copy(data.join("arkloop.db"), data.join("copy")).expect("it is copied");
            fs::rename(data.join("copy"), data.join("arkloop.db")).expect("it is moved");
        }),
        ("arkloop.db", |data| {
            fs::rename(data.join("arkloop.db"), data.join("moved")).expect("it is moved");
            std::os::unix::fs::symlink("moved", data.join("arkloop.db")).expect("it is made");
        }),
        ("arkloop.db", |data| {
            fs::rename(data, data.with_extension("moved")).expect("it is moved");
        }),
        ("arkloop.db-wal", |data| {
            fs::remove_file(data.join("arkloop.db-wal")).expect("it is there");
        }),
    ];
    std::thread::scope(|scope| {
        for (name, lose) in losses {
            scope.spawn(move || stops_for_good(name, lose));
        }
    });
}

fn stops_for_good(name: &str, lose: Loss) {
    let workspace = watched();
    let server = workspace.serve();
    let register = |login: &str| {
        let body = registration(login);
        server.request("POST", "/v1/auth/register", None, Some(&body)).0
    };
    assert_eq!(register("alice"), 201, "{name}");
    let data = workspace.path().join("data");
    let kept = workspace.path().join("kept");
    let database = data.join("arkloop.db");
    fs::hard_link(&database, &kept).expect("it gets a second name");
    lose(&data);
    assert_eq!(register("ben"), 503, "{name}: refused at once");
    wait_until("it is certain", || {
        let cause = details(&workspace).1["cause"].clone();
        cause
            .as_str()
            .is_some_and(|cause| cause.contains("nothing is written any more"))
    });
    assert_eq!(readiness(&server), 503);
    if name == "arkloop.db" {
        // It is too late to put the right file back: what was written meanwhile without the server is not known.
        let _ = fs::rename(data.with_extension("moved"), &data);
        let _ = fs::remove_file(&database);
        fs::rename(&kept, &database).expect("it is moved");
    }
    assert_eq!((register("cem"), readiness(&server)), (503, 503), "{name}");
    let cause = details(&workspace).1["cause"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    assert!(
        cause.contains(&format!("{} was replaced or removed", data.join(name).display())),
        "{cause}"
    );
    let log = server.stop();
    assert!(
        !log.contains("operation=\"readyz\""),
        "a question that anybody may ask, and without a limit, fills no log: {log}"
    );
    assert!(
        log.lines()
            .any(|line| line.contains("ERROR") && line.contains(&cause[cause.find('/').unwrap_or(0)..])),
        "{log}"
    );
    let server = workspace.serve();
    assert_eq!(readiness(&server), 200, "{name}");
    let body = json!({"login": "alice", "password": crate::support::PASSWORD});
    assert_eq!(
        server.request("POST", "/v1/auth/login", None, Some(&body)).0,
        200,
        "{name}"
    );
}

#[test]
fn a_server_whose_database_was_replaced_leaves_the_log_of_the_other_one_alone() {
    let [workspace, other] = [watched(), Workspace::with_database_file()];
    let server = workspace.serve();
    let running = other.serve();
    other.create_user("ann");
    running.kill();
    let data = workspace.path().join("data");
    let log = fs::read(other.path().join("data/arkloop.db-wal")).expect("a killed server leaves its log");
    for name in ["arkloop.db", "arkloop.db-wal"] {
        fs::remove_file(data.join(name)).expect("it is there");
        fs::copy(other.path().join("data").join(name), data.join(name)).expect("it is copied");
    }
    wait_until("it is noticed", || readiness(&server) == 503);
    server.stop();
    assert_eq!(fs::read(data.join("arkloop.db-wal")).expect("it is there"), log);
}
