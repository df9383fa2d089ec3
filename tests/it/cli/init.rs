//! `init`, and commands that run before it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use insta::assert_snapshot;

use crate::support::Workspace;

#[test]
fn init_makes_a_directory_a_database_and_a_key() {
    let workspace = Workspace::of_sqlite();
    assert_snapshot!(workspace.run(&["init"]), @"
    exit: 0
    stdout:
    database  <dir>/data/arkloop.db
    key file  <dir>/data/arkloop.key
    stderr:
    Keep a copy of the key file apart from the database: without it, sessions and invites are lost.
    ");
    let mode = |name: &str| {
        let metadata = fs::metadata(workspace.path().join(name)).expect("the entry exists");
        format!("{:o}", metadata.permissions().mode() & 0o777)
    };
    assert_eq!(
        [mode("data"), mode("data/arkloop.db"), mode("data/arkloop.key")],
        ["700", "600", "600"]
    );
}

#[test]
fn init_says_where_things_are_as_json() {
    assert_snapshot!(Workspace::of_sqlite().run(&["--json", "init", "--data-dir", "elsewhere"]), @r#"
    exit: 0
    stdout:
    {
      "data_dir": "<dir>/elsewhere",
      "database": "<dir>/elsewhere/arkloop.db",
      "key_file": "<dir>/elsewhere/arkloop.key",
      "created": true
    }
    "#);
}

#[test]
fn a_second_init_changes_nothing() {
    let workspace = Workspace::with_database();
    let key = fs::read(workspace.path().join("data/arkloop.key")).expect("there is a key");
    assert_snapshot!(workspace.run(&["init", "-q"]), @"
    exit: 0
    stdout:
    database  <dir>/data/arkloop.db
    key file  <dir>/data/arkloop.key
    ");
    assert_eq!(
        fs::read(workspace.path().join("data/arkloop.key")).expect("there is a key"),
        key
    );
}

#[test]
fn a_command_without_a_database_makes_none() {
    let workspace = Workspace::of_sqlite();
    assert_snapshot!(workspace.run(&["user", "list"]), @"
    exit: 1
    stderr:
    error: there is no database at <dir>/data/arkloop.db; make one with `arkloop init` or `arkloop serve`, or name another data directory with --data-dir DIR
    ");
    assert_snapshot!(workspace.run(&["--json", "invite", "list", "--data-dir", "elsewhere"]), @r#"
    exit: 1
    stderr:
    {"error":"there is no database at <dir>/elsewhere/arkloop.db","hint":"make one with `arkloop init` or `arkloop serve`, or name another data directory with --data-dir DIR"}
    "#);
    assert!(!workspace.path().join("data").exists() && !workspace.path().join("elsewhere").exists());
}

#[test]
fn a_database_without_its_key_is_refused() {
    let workspace = Workspace::with_database();
    fs::remove_file(workspace.path().join("data/arkloop.key")).expect("there is a key");
    assert_snapshot!(workspace.run(&["user", "list"]), @"
    exit: 1
    stderr:
    error: the key file <dir>/data/arkloop.key does not exist; put the key file of this database there, or name it with key_file in the configuration; if it is lost for good, see `arkloop key reset --help`
    ");
    assert_snapshot!(workspace.run(&["init"]), @"
    exit: 1
    stderr:
    error: the key file <dir>/data/arkloop.key does not exist; put the key file of this database there, or name it with key_file in the configuration; if it is lost for good, see `arkloop key reset --help`
    ");
}

#[test]
fn the_key_of_another_database_is_refused() {
    let [workspace, other] = [Workspace::with_database(), Workspace::with_database()];
    let key = |workspace: &Workspace| workspace.path().join("data/arkloop.key");
    fs::copy(key(&other), key(&workspace)).expect("there is a key");
    assert_snapshot!(workspace.run(&["user", "list"]), @"
    exit: 1
    stderr:
    error: the key file <dir>/data/arkloop.key is <key>, but <dir>/data/arkloop.db needs <key>; put the key file that is needed in its place, or name it with key_file in the configuration; nothing was changed
    ");
}

#[test]
fn a_directory_that_cannot_be_made_is_refused_with_the_reason() {
    let workspace = Workspace::of_sqlite();
    workspace.write("file", "");
    assert_snapshot!(workspace.run_in_both_forms(&["init", "--data-dir", "file/data"]), @r#"
    exit: 1
    stderr:
    error: <dir>/file/data/arkloop.db cannot be used: Not a directory (os error 20); check that the directory exists, has room and belongs to the user who runs arkloop
    exit: 1
    stderr:
    {"error":"<dir>/file/data/arkloop.db cannot be used: Not a directory (os error 20)","hint":"check that the directory exists, has room and belongs to the user who runs arkloop"}
    "#);
    assert_snapshot!(workspace.run_in_both_forms(&["user", "list", "--data-dir", "file"]), @r#"
    exit: 1
    stderr:
    error: <dir>/file/arkloop.db cannot be used: Not a directory (os error 20); check that the directory exists, has room and belongs to the user who runs arkloop
    exit: 1
    stderr:
    {"error":"<dir>/file/arkloop.db cannot be used: Not a directory (os error 20)","hint":"check that the directory exists, has room and belongs to the user who runs arkloop"}
    "#);
}
