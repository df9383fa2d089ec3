//! Questions at a terminal: a confirmation before what cannot be undone, and a new password, twice.

use std::fs;

use insta::assert_snapshot;

use crate::support::Workspace;

#[test]
fn an_account_is_deleted_when_the_answer_is_yes() {
    let workspace = Workspace::with_database();
    workspace.create_user("ann");
    let delete = ["user", "delete", "ann"];
    let refused = workspace.run_at_a_terminal(&delete, "n\n");
    assert_snapshot!(refused, @"
    exit: 1
    stderr:
    Really delete ann <ann@example.org>? This cannot be undone. [y/N] error: nothing was done; answer y, or add --yes, to go on
    ");
    assert_eq!(workspace.run_at_a_terminal(&delete, "\n"), refused);
    assert_snapshot!(workspace.run_at_a_terminal(&["--json", "user", "delete", "ann"], "no\n"), @r#"
    exit: 1
    stderr:
    Really delete ann <ann@example.org>? This cannot be undone. [y/N] {"error":"nothing was done","hint":"answer y, or add --yes, to go on"}
    "#);
    assert_snapshot!(workspace.run_at_a_terminal(&delete, "Y\n"), @"
    exit: 0
    stdout:
    ann is deleted
    stderr:
    Really delete ann <ann@example.org>? This cannot be undone. [y/N] 
    ");
    assert_eq!(workspace.json(&["user", "list"]), serde_json::json!([]));
}

#[test]
fn a_database_is_not_replaced_when_the_answer_is_no() {
    let workspace = Workspace::with_database_file();
    workspace.json(&["backup", "copy.db"]);
    assert_snapshot!(workspace.run_at_a_terminal(&["restore", "copy.db"], "n\n"), @"
    exit: 1
    stderr:
    Really replace <dir>/data/arkloop.db by copy.db? The database that is there now is kept beside it, as arkloop.db.before-restore.<time>. [y/N] error: nothing was done; answer y, or add --yes, to go on
    ");
    fs::remove_file(workspace.path().join("data/arkloop.key")).expect("there is a key");
    assert_snapshot!(workspace.run_at_a_terminal(&["key", "reset"], "n\n"), @"
    exit: 1
    stderr:
    Really end all sessions, invites and links of <dir>/data/arkloop.db? This cannot be undone. [y/N] error: nothing was done; answer y, or add --yes, to go on
    ");
}

#[test]
fn a_password_is_typed_twice_alike() {
    let workspace = Workspace::with_database();
    workspace.create_user("ann");
    let set_password = ["user", "set-password", "ann"];
    let typed = "an even better one\nan even butter one\n";
    assert_snapshot!(workspace.run_at_a_terminal(&set_password, typed), @"
    exit: 1
    stderr:
    error: the two passwords differ; run the command again
    ");
    let typed = "an even better one\nan even better one\n";
    assert_snapshot!(workspace.run_at_a_terminal(&set_password, typed), @"
    exit: 0
    stdout:
    ann has a new password, and every session has ended
    ");
    // The account is looked up first, so that the operator types no password for a misspelt name.
    assert_snapshot!(workspace.run_at_a_terminal(&["user", "set-password", "anne"], ""), @r#"
    exit: 1
    stderr:
    error: there is no user "anne"; give a username, an e-mail address or an id; see: arkloop user list
    "#);
}
