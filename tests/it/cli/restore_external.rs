//! `restore --after-external`: after the database came back by other means, nothing that was live in it lives again.

use std::fs;
use std::process::Command;

use insta::assert_snapshot;
use serde_json::json;

use super::backup::stable;
use crate::support::postgres::TestDatabase;
use crate::support::{Workspace, old_database};

const AFTER: [&str; 3] = ["restore", "--after-external", "--yes"];
const URL: &str = "ARKLOOP_DATABASE__URL";

/// Gives a workspace with a database an account that is signed in, an invite, and a mailed code. Returns the access token.
fn live_in(workspace: &Workspace) -> String {
    workspace.create_user("ann");
    workspace.json(&["invite", "create"]);
    let server = workspace.serve();
    let token = server.sign_in("ann");
    let ask = json!({ "email": "ann@example.org" });
    let (status, _) = server.request("POST", "/v1/auth/email/otp/send", None, Some(&ask));
    assert_eq!(status, 204);
    server.stop();
    token
}

/// Fails unless everything that was live has ended, and people can sign in.
fn expect_all_ended(workspace: &Workspace, token: &str) {
    let server = workspace.serve();
    assert_eq!(server.request("GET", "/v1/me", Some(token), None).0, 401);
    server.sign_in("ann");
    server.stop();
    let invites = workspace.json(&["invite", "list", "--all"]);
    assert_eq!(invites[0]["status"], "revoked");
    assert_eq!(workspace.json(&["mail", "queue"]), json!([]));
    let logged = workspace.json(&["audit", "--event", "backup.restored"]);
    assert_eq!(logged.as_array().map(Vec::len), Some(1), "{logged:#}");
    assert_eq!(workspace.json(&["user", "show", "ann"])["sessions"], 1);
}

#[test]
fn a_file_that_was_copied_back_has_nothing_live() {
    let workspace = Workspace::with_database_file();
    let token = live_in(&workspace);
    let path = old_database::path(&workspace);
    let copy = path.with_extension("snapshot");
    fs::copy(&path, &copy).expect("it is copied");
    workspace.json(&["user", "suspend", "ann"]);
    fs::rename(&copy, &path).expect("it is moved back");
    assert_snapshot!(stable(&workspace.run(&AFTER)), @"
    exit: 0
    stdout:
    database         <dir>/data/arkloop.db
    users            1
    sessions ended   1
    invites revoked  1
    schema           <n>
    key              <key>
    stderr:
    Everybody signs in again. Passwords, suspensions and deletions since the backup are undone: see arkloop user list.
    ");
    expect_all_ended(&workspace, &token);
    assert_snapshot!(stable(&workspace.run(&[&["--json"], &AFTER[..]].concat())), @r#"
    exit: 0
    stdout:
    {
      "database": "<dir>/data/arkloop.db",
      "schema": <n>,
      "users": 1,
      "sessions_ended": 1,
      "invites_revoked": 0,
      "key": "<key>",
      "algorithm_changed": null
    }
    "#);
}

#[test]
fn a_database_that_pg_restore_brought_back_has_nothing_live() {
    let Some(database) = TestDatabase::new() else {
        return;
    };
    let mut workspace = Workspace::of_sqlite();
    workspace.set(URL, &database.url());
    assert!(workspace.output(&["init"], "").status.success());
    let token = live_in(&workspace);
    let dump = workspace.path().join("arkloop.dump");
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output();
        let output = output.expect("the clients of PostgreSQL are installed");
        assert!(output.status.success(), "{program}: {output:?}");
    };
    let dump_text = dump.display().to_string();
    run(
        "pg_dump",
        &["-Fc", "--file", &dump_text, "--dbname", &database.url()],
    );
    workspace.json(&["user", "suspend", "ann"]);
    // A backup is restored into an empty database.
    let empty = TestDatabase::new().expect("there is a server");
    let into = empty.url();
    run(
        "pg_restore",
        &["--exit-on-error", "--no-owner", "--dbname", &into, &dump_text],
    );
    fs::remove_file(&dump).expect("it is there");
    workspace.set(URL, &into);
    let shown = empty.parsed_url().shown().to_owned();
    assert_snapshot!(stable(&workspace.run(&AFTER)).replace(&shown, "<url>"), @"
    exit: 0
    stdout:
    database         <url>
    users            1
    sessions ended   1
    invites revoked  1
    schema           <n>
    key              <key>
    stderr:
    Everybody signs in again. Passwords, suspensions and deletions since the backup are undone: see arkloop user list.
    ");
    assert_eq!(workspace.json(&["user", "show", "ann"])["status"], "active");
    expect_all_ended(&workspace, &token);
    let server = workspace.serve();
    assert_snapshot!(stable(&workspace.run(&AFTER)).replace(&shown, "<url>"), @"
    exit: 1
    stderr:
    error: another arkloop serves <url>; stop that one first, or name another data directory with --data-dir DIR
    ");
    server.stop();
    // A file is of no use here.
    assert_snapshot!(workspace.run(&["backup", "copy.db"]), @"
    exit: 1
    stderr:
    error: the database is PostgreSQL, which makes its own backups; use pg_dump -Fc, or snapshots of the server; after bringing one back, run: arkloop restore --after-external
    ");
    workspace.write("copy.db", "");
    assert_snapshot!(workspace.run(&["restore", "copy.db", "--yes"]), @"
    exit: 1
    stderr:
    error: a file cannot replace the database, which is PostgreSQL; bring the database back with pg_restore or a snapshot, and then run: arkloop restore --after-external
    ");
}

#[test]
fn what_ends_is_agreed_to_first_and_not_beside_a_server() {
    let workspace = Workspace::with_database_file();
    assert_snapshot!(workspace.run(&["restore", "--after-external"]), @"
    exit: 1
    stderr:
    error: nobody can be asked whether to end all sessions, invites and links of <dir>/data/arkloop.db; add --yes if you are sure
    ");
    assert_snapshot!(workspace.run(&["restore", "copy.db", "--after-external"]), @"
    exit: 2
    stderr:
    error: the argument '[FILE]' cannot be used with '--after-external'

    Usage: arkloop restore <FILE>

    For more information, try '--help'.
    ");
    assert_snapshot!(workspace.run(&["restore"]), @"
    exit: 2
    stderr:
    error: the following required arguments were not provided:
      <FILE>

    Usage: arkloop restore <FILE>

    For more information, try '--help'.
    ");
    let _server = workspace.serve();
    assert_snapshot!(stable(&workspace.run(&AFTER)), @"
    exit: 1
    stderr:
    error: another arkloop serves <dir>/data/arkloop.db; stop that one first, or name another data directory with --data-dir DIR
    ");
}
