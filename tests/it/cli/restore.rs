//! `restore`: what it brings back, and what must not come back.

use std::fs;

use insta::assert_snapshot;
use serde_json::json;

use super::backup::stable;
use super::former_addresses::put_address_rows;
use crate::support::{Workspace, old_database};

/// A workspace with an account that was signed in, an invite, and a backup of both. After the backup, the account was suspended and the invite used up.
fn backed_up() -> (Workspace, String, String) {
    let workspace = Workspace::with_database_file();
    workspace.create_user("ann");
    let invite = workspace.json(&["invite", "create"])["code"].clone();
    let server = workspace.serve();
    let token = server.sign_in("ann");
    let guess = json!({"login": "ann", "password": "a wrong password"});
    assert_eq!(
        server.request("POST", "/v1/auth/login", None, Some(&guess)).0,
        401
    );
    let ask = json!({"email": "ann@example.org"});
    assert_eq!(
        server
            .request("POST", "/v1/auth/email/otp/send", None, Some(&ask))
            .0,
        204
    );
    put_address_rows(&workspace);
    workspace.json(&["backup", "copy.db"]);
    let ben = json!({"login": "ben", "email": "ben@example.org", "password": "a decent password", "invite_code": invite});
    assert_eq!(
        server.request("POST", "/v1/auth/register", None, Some(&ben)).0,
        201
    );
    workspace.json(&["user", "suspend", "ann"]);
    server.stop();
    (
        workspace,
        token,
        invite.as_str().expect("a code is a text").to_owned(),
    )
}

#[test]
fn a_restore_brings_accounts_back_and_nothing_that_was_live() {
    let (workspace, token, invite) = backed_up();
    assert_snapshot!(stable(&workspace.run(&["restore", "copy.db", "--yes"])), @"
    exit: 0
    stdout:
    database         <dir>/data/arkloop.db
    as of            <time>
    users            1
    sessions ended   1
    invites revoked  1
    schema           <n>
    key              <key>
    before it        kept as <dir>/data/arkloop.db.before-restore.<stamp>
    stderr:
    Everybody signs in again. Passwords, suspensions and deletions since the backup are undone: see arkloop user list.
    ");
    assert_snapshot!(workspace.run(&["user", "list"]), @"
    exit: 0
    stdout:
    USERNAME  E-MAIL           STATUS  SESSIONS  CREATED               ID
    ann       ann@example.org  active  0         <time>  <id>
    ");
    assert_snapshot!(workspace.run(&["invite", "list", "--all"]), @"
    exit: 0
    stdout:
    CODE                 STATUS   USES  EXPIRES               NOTE
    <code>  revoked  0/1   <time>
    ");
    let database = old_database::path(&workspace);
    for table in [
        "one_time_codes",
        "link_tokens",
        "outbox",
        "mail_budgets",
        "password_failures",
        "email_changes",
        "email_undos",
    ] {
        let rows = old_database::count(&database, &format!("SELECT count(*) FROM {table}"));
        assert_eq!(rows, 0, "{table}");
    }
    // Else a thief's address would get an undo when the owner leaves it.
    let former = old_database::count(&database, "SELECT count(*) FROM former_addresses");
    assert_eq!(former, 1);
    let server = workspace.serve();
    assert_eq!(server.request("GET", "/v1/me", Some(&token), None).0, 401);
    let ben = json!({"login": "ben", "email": "ben@example.org", "password": "a decent password", "invite_code": invite});
    assert_eq!(
        server.request("POST", "/v1/auth/register", None, Some(&ben)).0,
        422
    );
    server.sign_in("ann");
    let sessions = workspace.json(&["session", "list", "ann"]);
    let reasons: Vec<_> = sessions
        .as_array()
        .expect("a list")
        .iter()
        .map(|session| &session["ended_because"])
        .collect();
    assert_eq!(reasons, [&json!(null), &json!("restored")]);
}

#[test]
fn a_restore_says_what_came_back_as_json() {
    let (workspace, ..) = backed_up();
    assert_snapshot!(stable(&workspace.run(&["--json", "restore", "copy.db", "--yes"])), @r#"
    exit: 0
    stdout:
    {
      "database": "<dir>/data/arkloop.db",
      "kept": "<dir>/data/arkloop.db.before-restore.<stamp>",
      "taken_at": "<time>",
      "schema_before": <n>,
      "schema": <n>,
      "users": 1,
      "sessions_ended": 1,
      "invites_revoked": 1,
      "key": "<key>",
      "algorithm_changed": null
    }
    "#);
}

#[test]
fn the_database_that_was_replaced_is_kept_and_can_be_restored_itself() {
    let (workspace, ..) = backed_up();
    let kept = workspace.json(&["restore", "copy.db", "--yes"])["kept"].clone();
    let kept = kept.as_str().expect("there was one");
    assert_eq!(
        old_database::count(kept.as_ref(), "SELECT count(*) FROM users"),
        2
    );
    assert_snapshot!(stable(&workspace.run(&["restore", kept, "--yes"])), @"
    exit: 0
    stdout:
    database         <dir>/data/arkloop.db
    as of            unknown (no backup that arkloop made)
    users            2
    sessions ended   1
    invites revoked  0
    schema           <n>
    key              <key>
    before it        kept as <dir>/data/arkloop.db.before-restore.<stamp>
    stderr:
    Everybody signs in again. Passwords, suspensions and deletions since the backup are undone: see arkloop user list.
    ");
    assert_eq!(
        workspace.json(&["user", "list"]).as_array().map(Vec::len),
        Some(2)
    );
}

#[test]
fn a_killed_server_leaves_a_log_that_does_not_reach_the_restored_database() {
    let (workspace, ..) = backed_up();
    let server = workspace.serve();
    workspace.create_user("zoe");
    server.kill();
    let log = workspace.path().join("data/arkloop.db-wal");
    assert!(
        fs::metadata(&log).is_ok_and(|log| log.len() > 0),
        "a killed server leaves its log"
    );
    let kept = workspace.json(&["restore", "copy.db", "--yes"])["kept"].clone();
    assert!(!log.exists());
    let database = old_database::path(&workspace);
    assert_eq!(old_database::integrity(&database), "ok");
    assert_eq!(old_database::count(&database, "SELECT count(*) FROM users"), 1);
    let kept = kept.as_str().expect("there was one");
    assert_eq!(
        old_database::count(kept.as_ref(), "SELECT count(*) FROM users"),
        3
    );
}

#[test]
fn a_backup_and_its_key_are_enough_on_a_new_machine() {
    let (workspace, ..) = backed_up();
    let fresh = Workspace::of_sqlite();
    fs::create_dir(fresh.path().join("data")).expect("the directory can be created");
    fs::copy(
        workspace.path().join("data/arkloop.key"),
        fresh.path().join("data/arkloop.key"),
    )
    .expect("the file can be copied");
    fs::copy(workspace.path().join("copy.db"), fresh.path().join("copy.db")).expect("the file can be copied");
    assert_snapshot!(stable(&fresh.run(&["restore", "copy.db", "--yes"])), @"
    exit: 0
    stdout:
    database         <dir>/data/arkloop.db
    as of            <time>
    users            1
    sessions ended   1
    invites revoked  1
    schema           <n>
    key              <key>
    stderr:
    Everybody signs in again. Passwords, suspensions and deletions since the backup are undone: see arkloop user list.
    ");
    fresh.serve().sign_in("ann");
}

#[test]
fn an_older_backup_is_brought_up_to_date() {
    let workspace = Workspace::with_database_file();
    old_database::put(&workspace, old_database::FIRST_RELEASE, 3);
    fs::rename(old_database::path(&workspace), workspace.path().join("old.db"))
        .expect("the entry can be moved");
    let restored = workspace.json(&["restore", "old.db", "--yes"]);
    assert_eq!(
        [
            &restored["schema_before"],
            &restored["schema"],
            &restored["users"]
        ],
        [
            &json!(old_database::FIRST_RELEASE),
            &json!(old_database::newest()),
            &json!(3)
        ]
    );
    assert_eq!(
        workspace.json(&["user", "list"]).as_array().map(Vec::len),
        Some(3)
    );
}
