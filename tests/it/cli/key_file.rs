//! `key rekey` and `key reset`: what they change, and what they refuse.

use std::fs;
use std::path::PathBuf;

use insta::assert_snapshot;
use serde_json::json;

use super::former_addresses::put_address_rows;
use crate::support::{Workspace, old_database};

/// A workspace with an account that was signed in, an invite for one account, and a mail that waits.
fn in_use() -> (Workspace, String, String) {
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
    server.stop();
    workspace.json(&["invite", "create", "--email", "zoe@example.org"]);
    put_address_rows(&workspace);
    (
        workspace,
        token,
        invite.as_str().expect("a code is a text").to_owned(),
    )
}

fn registration(login: &str, invite: &str) -> serde_json::Value {
    json!({"login": login, "email": format!("{login}@example.org"), "password": "a decent password", "invite_code": invite})
}

#[test]
fn a_new_key_file_ends_sessions_and_keeps_the_rest() {
    let (workspace, token, invite) = in_use();
    let old = fs::read(workspace.key_file()).expect("there is a key");
    let signing = workspace.json(&["key", "list"])["signing_keys"].clone();
    let invites = workspace.json(&["invite", "list"]);
    let mails = workspace.json(&["mail", "queue"]);
    assert_snapshot!(workspace.run(&["key", "rekey"]), @"
    exit: 0
    stdout:
    key file         <key> (<dir>/data/arkloop.key)
    sessions ended   1
    invites revoked  0
    before it        kept as <dir>/data/arkloop.key.replaced.<stamp>
    stderr:
    Keep a copy of the new key file apart from the database. Backups from before need the old one; make a new backup.
    ");
    assert_ne!(fs::read(workspace.key_file()).expect("there is a key"), old);
    assert_eq!(workspace.json(&["key", "list"])["signing_keys"], signing);
    assert_eq!(workspace.json(&["invite", "list"]), invites);
    assert_eq!(workspace.json(&["mail", "queue"]), mails);
    assert_eq!(mails.as_array().map(Vec::len), Some(1));
    let rows = |table: &str| {
        old_database::count(
            &old_database::path(&workspace),
            &format!("SELECT count(*) FROM {table}"),
        )
    };
    assert_eq!((rows("email_changes"), rows("email_undos")), (1, 1));
    assert_eq!(rows("former_addresses"), 1);
    let server = workspace.serve();
    assert_eq!(server.request("GET", "/v1/me", Some(&token), None).0, 401);
    server.sign_in("ann");
    assert_eq!(
        server
            .request(
                "POST",
                "/v1/auth/register",
                None,
                Some(&registration("ben", &invite))
            )
            .0,
        201
    );
}

#[test]
fn a_new_key_file_is_told_as_json_and_the_old_one_is_kept() {
    let (workspace, ..) = in_use();
    let old = fs::read(workspace.key_file()).expect("there is a key");
    assert_snapshot!(workspace.run(&["--json", "key", "rekey"]), @r#"
    exit: 0
    stdout:
    {
      "key_file": "<dir>/data/arkloop.key",
      "key": "<key>",
      "kept": "<dir>/data/arkloop.key.replaced.<stamp>",
      "sessions_ended": 1,
      "invites_revoked": 0,
      "algorithm_changed": null
    }
    "#);
    let kept: Vec<PathBuf> = fs::read_dir(workspace.path().join("data"))
        .expect("the directory can be read")
        .map(|entry| entry.expect("the entry can be read").path())
        .filter(|path| path.display().to_string().contains("arkloop.key."))
        .collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(fs::read(&kept[0]).expect("the file can be read"), old);
}

#[test]
fn the_key_file_is_not_replaced_beside_a_server() {
    let workspace = Workspace::with_database_file();
    let _server = workspace.serve();
    assert_snapshot!(workspace.run(&["key", "rekey"]), @"
    exit: 1
    stderr:
    error: another arkloop serves <dir>/data/arkloop.db; stop that one first, or name another data directory with --data-dir DIR
    ");
    assert_snapshot!(workspace.run(&["--json", "key", "rekey"]), @r#"
    exit: 1
    stderr:
    {"error":"another arkloop serves <dir>/data/arkloop.db","hint":"stop that one first, or name another data directory with --data-dir DIR"}
    "#);
    fs::remove_file(workspace.key_file()).expect("there is a key");
    assert_snapshot!(workspace.run_in_both_forms(&["key", "reset", "--yes"]), @r#"
    exit: 1
    stderr:
    error: another arkloop serves <dir>/data/arkloop.db; stop that one first, or name another data directory with --data-dir DIR
    exit: 1
    stderr:
    {"error":"another arkloop serves <dir>/data/arkloop.db","hint":"stop that one first, or name another data directory with --data-dir DIR"}
    "#);
}

#[test]
fn the_key_file_is_not_replaced_beside_a_command() {
    let workspace = Workspace::with_database_file();
    let in_use = fs::File::open(workspace.path().join("data/use.lock")).expect("the lock file exists");
    in_use.lock_shared().expect("no other process holds the lock");
    assert_snapshot!(workspace.run_in_both_forms(&["key", "rekey"]), @r#"
    exit: 1
    stderr:
    error: another arkloop command holds <dir>/data; wait until it has finished, and try again
    exit: 1
    stderr:
    {"error":"another arkloop command holds <dir>/data","hint":"wait until it has finished, and try again"}
    "#);
    fs::remove_file(workspace.key_file()).expect("there is a key");
    assert_snapshot!(workspace.run_in_both_forms(&["key", "reset", "--yes"]), @r#"
    exit: 1
    stderr:
    error: another arkloop command holds <dir>/data; wait until it has finished, and try again
    exit: 1
    stderr:
    {"error":"another arkloop command holds <dir>/data","hint":"wait until it has finished, and try again"}
    "#);
    assert!(!workspace.key_file().exists());
}

#[test]
fn a_key_that_does_not_fit_is_not_replaced() {
    let [workspace, other] = [Workspace::with_database_file(), Workspace::with_database_file()];
    fs::copy(other.key_file(), workspace.key_file()).expect("there is a key");
    assert_snapshot!(workspace.run(&["key", "rekey"]), @"
    exit: 1
    stderr:
    error: the key file <dir>/data/arkloop.key is <key>, but <dir>/data/arkloop.db needs <key>; put the key file that is needed in its place, or name it with key_file in the configuration; nothing was changed
    ");
    assert_snapshot!(workspace.run(&["--json", "key", "rekey"]), @r#"
    exit: 1
    stderr:
    {"error":"the key file <dir>/data/arkloop.key is <key>, but <dir>/data/arkloop.db needs <key>","hint":"put the key file that is needed in its place, or name it with key_file in the configuration; nothing was changed"}
    "#);
}

#[test]
fn without_the_lost_key_accounts_go_on() {
    let (workspace, token, invite) = in_use();
    workspace.json(&["backup", "before.db"]);
    fs::remove_file(workspace.key_file()).expect("there is a key");
    assert_snapshot!(workspace.run(&["user", "list"]), @"
    exit: 1
    stderr:
    error: the key file <dir>/data/arkloop.key does not exist; put the key file of this database there, or name it with key_file in the configuration; if it is lost for good, see `arkloop key reset --help`
    ");
    assert_snapshot!(workspace.run(&["key", "reset", "--yes"]), @"
    exit: 0
    stdout:
    key file         <key> (<dir>/data/arkloop.key)
    sessions ended   1
    invites revoked  2
    stderr:
    Keep a copy of the new key file apart from the database. Backups from before need the lost one and cannot be restored without it; make a new backup.
    ");
    let invites = workspace.json(&["invite", "list", "--all"]);
    let statuses: Vec<_> = invites
        .as_array()
        .expect("the value is a list")
        .iter()
        .map(|invite| &invite["status"])
        .collect();
    assert_eq!(statuses, [&json!("revoked"), &json!("revoked")]);
    assert_eq!(workspace.json(&["mail", "queue"]), json!([]));
    let server = workspace.serve();
    assert_eq!(server.request("GET", "/v1/me", Some(&token), None).0, 401);
    server.sign_in("ann");
    assert_eq!(
        server
            .request(
                "POST",
                "/v1/auth/register",
                None,
                Some(&registration("ben", &invite))
            )
            .0,
        422
    );
    server.stop();
    assert_snapshot!(workspace.run(&["restore", "before.db", "--yes"]), @"
    exit: 1
    stderr:
    error: the key file <dir>/data/arkloop.key is <key>, but before.db needs <key>; put the key file that is needed in its place, or name it with key_file in the configuration; nothing was changed
    ");
}

#[test]
fn a_reset_says_what_ended_as_json() {
    let (workspace, ..) = in_use();
    fs::remove_file(workspace.key_file()).expect("there is a key");
    assert_snapshot!(workspace.run(&["--json", "key", "reset", "--yes"]), @r#"
    exit: 0
    stdout:
    {
      "key_file": "<dir>/data/arkloop.key",
      "key": "<key>",
      "kept": null,
      "sessions_ended": 1,
      "invites_revoked": 2,
      "algorithm_changed": null
    }
    "#);
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
        assert_eq!(
            old_database::count(&database, &format!("SELECT count(*) FROM {table}")),
            0,
            "{table}"
        );
    }
    let former = old_database::count(&database, "SELECT count(*) FROM former_addresses");
    assert_eq!(former, 1);
}

#[test]
fn a_key_that_is_there_is_never_reset() {
    let [workspace, other] = [Workspace::with_database_file(), Workspace::with_database_file()];
    assert_snapshot!(workspace.run(&["key", "reset", "--yes"]), @"
    exit: 1
    stderr:
    error: the key file <dir>/data/arkloop.key is not lost; if it fits, arkloop key rekey replaces it; if it is of another database, move it away and run this again
    ");
    fs::copy(other.key_file(), workspace.key_file()).expect("there is a key");
    assert_snapshot!(workspace.run(&["--json", "key", "reset", "--yes"]), @r#"
    exit: 1
    stderr:
    {"error":"the key file <dir>/data/arkloop.key is not lost","hint":"if it fits, arkloop key rekey replaces it; if it is of another database, move it away and run this again"}
    "#);
    assert_eq!(
        fs::read(workspace.key_file()).ok(),
        fs::read(other.key_file()).ok()
    );
}

#[test]
fn a_reset_that_nobody_agreed_to_is_refused() {
    let workspace = Workspace::with_database_file();
    fs::remove_file(workspace.key_file()).expect("there is a key");
    assert_snapshot!(workspace.run(&["key", "reset"]), @"
    exit: 1
    stderr:
    error: nobody can be asked whether to end all sessions, invites and links of <dir>/data/arkloop.db; add --yes if you are sure
    ");
    assert_snapshot!(workspace.run(&["--json", "key", "reset"]), @r#"
    exit: 1
    stderr:
    {"error":"nobody can be asked whether to end all sessions, invites and links of <dir>/data/arkloop.db","hint":"add --yes if you are sure"}
    "#);
    assert!(!workspace.key_file().exists());
    let unasked = Workspace::of_sqlite().run(&["key", "reset"]);
    assert!(
        unasked.contains("error: there is no database at"),
        "before any question: {unasked}"
    );
    assert_snapshot!(Workspace::of_sqlite().run(&["key", "reset", "--yes"]), @"
    exit: 1
    stderr:
    error: there is no database at <dir>/data/arkloop.db; make one with `arkloop init` or `arkloop serve`, or name another data directory with --data-dir DIR
    ");
}
