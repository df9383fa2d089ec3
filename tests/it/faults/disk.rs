//! The real executable on a disk that is full, for a while or from the beginning.
//!
//! These tests limit the size of files instead of filling a disk: the kernel refuses the writes in the same way, and
//! the limit of a running process can be changed.

use std::fs;

use insta::assert_snapshot;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::json;

use crate::support::{PASSWORD, Served, Workspace, registration};

/// Without this the kernel would end the process instead of refusing the write.
pub(super) const REFUSE_ONLY: &str = "trap '' XFSZ";

/// Limits the size of the server's files to `bytes`; `None` lifts the limit.
pub(super) fn limit_files(server: &Served, bytes: Option<u64>) {
    let pid = i32::try_from(server.id()).ok().and_then(Pid::from_raw);
    let limit = Rlimit {
        current: bytes,
        maximum: None,
    };
    prlimit(pid, Resource::Fsize, limit).expect("the limit may be changed");
}

#[test]
fn a_server_refuses_writes_while_the_disk_is_full_and_goes_on_afterwards() {
    let mut workspace = Workspace::of_sqlite();
    workspace.under(REFUSE_ONLY);
    workspace.set("ARKLOOP_REGISTRATION__MODE", "open");
    let server = workspace.serve();
    let register =
        |login: &str| server.request("POST", "/v1/auth/register", None, Some(&registration(login)));
    let (status, alice) = register("alice");
    assert_eq!(status, 201, "{alice}");
    let wal = fs::metadata(workspace.path().join("data/arkloop.db-wal")).expect("there is one");
    limit_files(&server, Some(wal.len()));
    let (status, refused) = register("bob");
    assert_eq!((status, &refused["code"]), (503, &json!("service.unavailable")));
    let token = alice["access_token"].as_str();
    assert_eq!(
        server.request("GET", "/v1/me", token, None).0,
        200,
        "it can be read"
    );
    limit_files(&server, None);
    let (status, bob) = register("bob");
    assert_eq!(status, 201, "{bob}");
    server.signal("TERM");
    assert_eq!(server.wait().0.code(), Some(0));
    let server = workspace.serve();
    for login in ["alice", "bob"] {
        let body = json!({"login": login, "password": PASSWORD});
        assert_eq!(
            server.request("POST", "/v1/auth/login", None, Some(&body)).0,
            200,
            "{login}"
        );
    }
}

#[test]
fn a_command_on_a_full_disk_changes_nothing() {
    let mut workspace = Workspace::with_database_file();
    workspace.create_user("alice");
    let before = fs::read(workspace.path().join("data/arkloop.db")).expect("there is one");
    workspace.under(&format!("{REFUSE_ONLY}; ulimit -f 0"));
    assert_snapshot!(workspace.run(&["user", "suspend", "alice"]), @"
    exit: 1
    stderr:
    error: <dir>/data/arkloop.db cannot be used: disk I/O error; check that the directory exists, has room and belongs to the user who runs arkloop
    ");
    assert_snapshot!(workspace.run(&["-q", "serve", "--listen", "127.0.0.1:0"]), @"
    exit: 1
    stderr:
    error: <dir>/data/arkloop.db cannot be used: disk I/O error; check that the directory exists, has room and belongs to the user who runs arkloop
    ");
    assert_snapshot!(workspace.run(&["init", "--data-dir", "elsewhere"]), @"
    exit: 1
    stderr:
    error: the key file <dir>/elsewhere/arkloop.key.next cannot be used: File too large (os error 27); check that it is a file which belongs to the user who runs arkloop, and that the disk has room
    ");
    assert_eq!(
        fs::read(workspace.path().join("data/arkloop.db")).expect("there is one"),
        before
    );
    workspace.under("true");
    assert_eq!(workspace.json(&["user", "show", "alice"])["status"], "active");
    // The failed `init` left nothing behind that is in the way.
    assert_snapshot!(workspace.run(&["-q", "init", "--data-dir", "elsewhere"]), @"
    exit: 0
    stdout:
    database  <dir>/elsewhere/arkloop.db
    key file  <dir>/elsewhere/arkloop.key
    ");
}
