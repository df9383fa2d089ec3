//! `key rekey` and `key reset` on PostgreSQL, and what is cut off in between. These tests run if there is a server for them (`support::postgres`).

use std::fs;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::Workspace;
use crate::support::postgres::TestDatabase;

/// A workspace whose database is `database`, with an account that was signed in and an invite. Returns the access token and the code too.
fn in_use(database: &TestDatabase) -> (Workspace, String, String) {
    let mut workspace = Workspace::new();
    workspace.set("ARKLOOP_DATABASE__URL", &database.url());
    assert!(workspace.output(&["init"], "").status.success());
    workspace.create_user("ann");
    let invite = workspace.json(&["invite", "create"])["code"].clone();
    let server = workspace.serve();
    let token = server.sign_in("ann");
    server.stop();
    let invite = invite.as_str().expect("a code is a text").to_owned();
    (workspace, token, invite)
}

fn registration(login: &str, invite: &str) -> Value {
    json!({ "login": login, "email": format!("{login}@example.org"), "password": "a decent password", "invite_code": invite })
}

#[test]
fn a_new_key_file_of_a_database_of_postgresql_ends_sessions_and_keeps_the_rest() {
    let Some(database) = TestDatabase::new() else {
        return;
    };
    let (workspace, token, invite) = in_use(&database);
    let lists = |workspace: &Workspace| {
        let signing = workspace.json(&["key", "list"])["signing_keys"].clone();
        let (invites, mails) = (&["invite", "list"], &["mail", "queue"]);
        (signing, workspace.json(invites), workspace.json(mails))
    };
    let server = workspace.serve();
    let refused = workspace.run(&["key", "rekey"]);
    assert_snapshot!(refused.replace(database.parsed_url().shown(), "<url>"), @"
    exit: 1
    stderr:
    error: another arkloop serves <url>; stop that one first, or name another data directory with --data-dir DIR
    ");
    server.stop();
    workspace.json(&["invite", "create", "--email", "zoe@example.org"]);
    let before = lists(&workspace);
    let old = fs::read(workspace.key_file()).expect("there is a key");
    assert_snapshot!(workspace.run(&["key", "rekey"]), @"
    exit: 0
    stdout:
    key file         <key> (<dir>/data/arkloop.key)
    sessions ended   1
    invites revoked  0
    before it        kept as <dir>/data/arkloop.key.replaced.<stamp>
    stderr:
    Keep a copy of the new key file apart from the database. Backups from before need the old one; make a new backup.
    Servers of this database on other machines need the new key file before they start.
    ");
    assert_ne!(fs::read(workspace.key_file()).expect("there is a key"), old);
    assert_eq!(lists(&workspace), before);
    let server = workspace.serve();
    assert_eq!(server.request("GET", "/v1/me", Some(&token), None).0, 401);
    server.sign_in("ann");
    let ben = registration("ben", &invite);
    assert_eq!(
        server.request("POST", "/v1/auth/register", None, Some(&ben)).0,
        201
    );
}

#[test]
fn a_replacement_that_was_cut_off_is_finished_by_the_next_command_on_postgresql() {
    let Some(database) = TestDatabase::new() else {
        return;
    };
    let (workspace, ..) = in_use(&database);
    let kept = workspace.json(&["key", "rekey"])["kept"].clone();
    let new = fs::read(workspace.key_file()).expect("there is a key");
    // This is the state after the commit: the new key is still beside the old one.
    let next = workspace.path().join("data/arkloop.key.next");
    fs::rename(workspace.key_file(), &next).expect("it is moved");
    fs::rename(kept.as_str().expect("the old one is kept"), workspace.key_file()).expect("it is moved");
    assert_eq!(
        workspace.json(&["invite", "list"]).as_array().map(Vec::len),
        Some(1)
    );
    assert_eq!(fs::read(workspace.key_file()).expect("there is a key"), new);
    assert!(!next.exists());
}

#[test]
fn a_database_of_postgresql_goes_on_without_a_lost_key() {
    let Some(database) = TestDatabase::new() else {
        return;
    };
    let (workspace, token, invite) = in_use(&database);
    fs::remove_file(workspace.key_file()).expect("there is a key");
    let said = workspace.run(&["key", "reset", "--yes"]);
    assert_snapshot!(said, @"
    exit: 0
    stdout:
    key file         <key> (<dir>/data/arkloop.key)
    sessions ended   1
    invites revoked  1
    stderr:
    Keep a copy of the new key file apart from the database. Backups from before need the lost one and cannot be restored without it; make a new backup.
    Servers of this database on other machines need the new key file before they start.
    ");
    let server = workspace.serve();
    assert_eq!(server.request("GET", "/v1/me", Some(&token), None).0, 401);
    server.sign_in("ann");
    let ben = registration("ben", &invite);
    assert_eq!(
        server.request("POST", "/v1/auth/register", None, Some(&ben)).0,
        422
    );
}

#[test]
fn a_replacement_takes_the_time_that_it_needs() {
    let Some(database) = TestDatabase::new() else {
        return;
    };
    let (workspace, ..) = in_use(&database);
    // Requests are given up after ten seconds.
    let slow = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN PERFORM pg_sleep(11); RETURN NULL; END; $$;
        CREATE TRIGGER slow AFTER UPDATE ON signing_keys FOR EACH STATEMENT EXECUTE FUNCTION slow()";
    database.with(|client| client.batch_execute(slow).expect("a superuser may do this"));
    let next = workspace.path().join("data/arkloop.key.next");
    assert_eq!(workspace.json(&["key", "rekey"])["sessions_ended"], 1);
    assert!(!next.exists());
}
