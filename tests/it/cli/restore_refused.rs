//! What `restore` refuses. A refused restore changes nothing.

use std::fs;
use std::path::Path;

use insta::assert_snapshot;

use crate::support::{Workspace, old_database};

/// A workspace with a database and a backup of it.
fn backed_up() -> Workspace {
    let workspace = Workspace::with_database_file();
    workspace.create_user("ann");
    workspace.json(&["backup", "copy.db"]);
    workspace
}

/// Tries to restore `file`, in text and as JSON, and returns the output of both. Fails if the data directory changes.
fn refused(workspace: &Workspace, file: &str) -> String {
    let files = || {
        let mut files: Vec<_> = fs::read_dir(workspace.path().join("data"))
            .expect("the directory can be read")
            .map(|entry| entry.expect("the entry can be read").path())
            .map(|path| (fs::read(&path).unwrap_or_default(), path))
            .collect();
        files.sort_unstable_by(|a, b| a.1.cmp(&b.1));
        files.retain(|(_, path)| {
            path.extension()
                .is_none_or(|extension| extension != "db-shm" && extension != "lock")
        });
        files
    };
    let before = files();
    let said =
        workspace.run(&["restore", file, "--yes"]) + &workspace.run(&["--json", "restore", file, "--yes"]);
    assert!(before == files(), "something was changed");
    said
}

fn edit(file: &Path, sql: &str) {
    let database = rusqlite::Connection::open(file).expect("the database opens");
    database.execute_batch(sql).expect("the SQL is executed");
}

#[test]
fn a_restore_beside_a_server_is_refused() {
    let workspace = backed_up();
    let _server = workspace.serve();
    assert_snapshot!(refused(&workspace, "copy.db"), @r#"
    exit: 1
    stderr:
    error: another arkloop serves <dir>/data/arkloop.db; stop that server first; nothing was changed
    exit: 1
    stderr:
    {"error":"another arkloop serves <dir>/data/arkloop.db","hint":"stop that server first; nothing was changed"}
    "#);
}

#[test]
fn a_restore_beside_a_command_is_refused() {
    let workspace = backed_up();
    let in_use = fs::File::open(workspace.path().join("data/use.lock")).expect("the lock file exists");
    in_use.lock_shared().expect("no other process holds the lock");
    assert_snapshot!(workspace.run_in_both_forms(&["restore", "copy.db", "--yes"]), @r#"
    exit: 1
    stderr:
    error: another arkloop command holds <dir>/data; wait until it has finished, and try again
    exit: 1
    stderr:
    {"error":"another arkloop command holds <dir>/data","hint":"wait until it has finished, and try again"}
    "#);
}

#[test]
fn a_restore_that_nobody_agreed_to_is_refused() {
    let workspace = backed_up();
    assert_snapshot!(workspace.run(&["restore", "copy.db"]), @"
    exit: 1
    stderr:
    error: nobody can be asked whether to replace <dir>/data/arkloop.db by copy.db; add --yes if you are sure
    ");
    assert_snapshot!(workspace.run(&["--json", "restore", "copy.db"]), @r#"
    exit: 1
    stderr:
    {"error":"nobody can be asked whether to replace <dir>/data/arkloop.db by copy.db","hint":"add --yes if you are sure"}
    "#);
}

#[test]
fn a_file_that_is_not_there_is_refused() {
    let unasked = backed_up().run(&["restore", "nothing.db"]);
    assert!(
        unasked.contains("error: nothing.db cannot be used"),
        "before any question: {unasked}"
    );
    assert_snapshot!(refused(&backed_up(), "nothing.db"), @r#"
    exit: 1
    stderr:
    error: nothing.db cannot be used: No such file or directory (os error 2); check that it exists and may be read, and that the data directory has room for it
    exit: 1
    stderr:
    {"error":"nothing.db cannot be used: No such file or directory (os error 2)","hint":"check that it exists and may be read, and that the data directory has room for it"}
    "#);
}

#[test]
fn a_truncated_backup_is_refused() {
    let workspace = backed_up();
    let whole = fs::read(workspace.path().join("copy.db")).expect("the file can be read");
    for (name, length) in [
        ("half.db", whole.len() / 2),
        ("short.db", whole.len() - 4096),
        ("stub.db", 50),
        ("empty.db", 0),
    ] {
        fs::write(workspace.path().join(name), &whole[..length]).expect("the file can be written");
    }
    assert_snapshot!(refused(&workspace, "half.db"), @r#"
    exit: 1
    stderr:
    error: half.db is damaged: database disk image is malformed; take another backup; nothing was changed
    exit: 1
    stderr:
    {"error":"half.db is damaged: database disk image is malformed","hint":"take another backup; nothing was changed"}
    "#);
    assert_snapshot!(refused(&workspace, "short.db"), @r#"
    exit: 1
    stderr:
    error: short.db is damaged: database disk image is malformed; take another backup; nothing was changed
    exit: 1
    stderr:
    {"error":"short.db is damaged: database disk image is malformed","hint":"take another backup; nothing was changed"}
    "#);
    assert_snapshot!(refused(&workspace, "stub.db"), @r#"
    exit: 1
    stderr:
    error: stub.db is damaged: database disk image is malformed; take another backup; nothing was changed
    exit: 1
    stderr:
    {"error":"stub.db is damaged: database disk image is malformed","hint":"take another backup; nothing was changed"}
    "#);
    assert_snapshot!(refused(&workspace, "empty.db"), @r#"
    exit: 1
    stderr:
    error: empty.db is not an arkloop database; name a file that `arkloop backup` made; nothing was changed
    exit: 1
    stderr:
    {"error":"empty.db is not an arkloop database","hint":"name a file that `arkloop backup` made; nothing was changed"}
    "#);
}

#[test]
fn a_backup_with_a_damaged_page_is_refused() {
    let workspace = backed_up();
    let mut bytes = fs::read(workspace.path().join("copy.db")).expect("the file can be read");
    let users = old_database::count(
        &workspace.path().join("copy.db"),
        "SELECT rootpage FROM sqlite_schema WHERE name = 'users'",
    );
    let start = (usize::try_from(users).expect("it is a page") - 1) * 4096;
    bytes[start..start + 4096].fill(0x55);
    fs::write(workspace.path().join("damaged.db"), bytes).expect("the file can be written");
    assert_snapshot!(refused(&workspace, "damaged.db"), @r#"
    exit: 1
    stderr:
    error: damaged.db is damaged: Tree 7 page 7: btreeInitPage() returns error code 11; take another backup; nothing was changed
    exit: 1
    stderr:
    {"error":"damaged.db is damaged: Tree 7 page 7: btreeInitPage() returns error code 11","hint":"take another backup; nothing was changed"}
    "#);
}

#[test]
fn a_foreign_file_is_refused() {
    let workspace = backed_up();
    workspace.write("letter.txt", &"This is no database. ".repeat(1000));
    edit(
        &workspace.path().join("other.db"),
        "CREATE TABLE notes (text TEXT)",
    );
    assert_snapshot!(refused(&workspace, "letter.txt"), @r#"
    exit: 1
    stderr:
    error: letter.txt is not an arkloop database; name a file that `arkloop backup` made; nothing was changed
    exit: 1
    stderr:
    {"error":"letter.txt is not an arkloop database","hint":"name a file that `arkloop backup` made; nothing was changed"}
    "#);
    assert_snapshot!(refused(&workspace, "other.db"), @r#"
    exit: 1
    stderr:
    error: other.db is not an arkloop database; name a file that `arkloop backup` made; nothing was changed
    exit: 1
    stderr:
    {"error":"other.db is not an arkloop database","hint":"name a file that `arkloop backup` made; nothing was changed"}
    "#);
}

#[test]
fn a_backup_of_another_key_is_refused() {
    let [workspace, other] = [backed_up(), backed_up()];
    fs::copy(other.path().join("copy.db"), workspace.path().join("other.db"))
        .expect("the file can be copied");
    assert_snapshot!(refused(&workspace, "other.db"), @r#"
    exit: 1
    stderr:
    error: the key file <dir>/data/arkloop.key is <key>, but other.db needs <key>; put the key file that is needed in its place, or name it with key_file in the configuration; nothing was changed
    exit: 1
    stderr:
    {"error":"the key file <dir>/data/arkloop.key is <key>, but other.db needs <key>","hint":"put the key file that is needed in its place, or name it with key_file in the configuration; nothing was changed"}
    "#);
    fs::remove_file(workspace.path().join("data/arkloop.key")).expect("the file can be removed");
    assert_snapshot!(refused(&workspace, "copy.db"), @r#"
    exit: 1
    stderr:
    error: the key file <dir>/data/arkloop.key does not exist; put the key file of this database there, or name it with key_file in the configuration; if it is lost for good, see `arkloop key reset --help`
    exit: 1
    stderr:
    {"error":"the key file <dir>/data/arkloop.key does not exist","hint":"put the key file of this database there, or name it with key_file in the configuration; if it is lost for good, see `arkloop key reset --help`"}
    "#);
}

#[test]
fn a_backup_of_a_newer_version_is_refused() {
    let workspace = backed_up();
    let copy = workspace.path().join("copy.db");
    edit(
        &copy,
        "PRAGMA user_version = 999; UPDATE settings SET value = '9.8.7' WHERE name = 'schema_made_by'",
    );
    let said = refused(&workspace, "copy.db");
    let known = format!("knows only {}", old_database::newest());
    assert_snapshot!(said.replace(&known, "knows only <n>"), @r#"
    exit: 1
    stderr:
    error: copy.db has schema 999, but this version knows only <n>; use arkloop 9.8.7 or newer; nothing was changed
    exit: 1
    stderr:
    {"error":"copy.db has schema 999, but this version knows only <n>","hint":"use arkloop 9.8.7 or newer; nothing was changed"}
    "#);
}

#[test]
fn a_database_in_use_is_no_backup() {
    let workspace = backed_up();
    let other = Workspace::with_database_file();
    let server = other.serve();
    other.create_user("ben");
    let live = old_database::path(&other);
    assert_snapshot!(refused(&workspace, live.to_str().expect("the path is text")).replace(&other.path().display().to_string(), "<other>"), @r#"
    exit: 1
    stderr:
    error: <other>/data/arkloop.db is a database in use and no backup; make a backup of it with `arkloop backup FILE`, and restore that
    exit: 1
    stderr:
    {"error":"<other>/data/arkloop.db is a database in use and no backup","hint":"make a backup of it with `arkloop backup FILE`, and restore that"}
    "#);
    server.stop();
    assert_snapshot!(refused(&workspace, "data/arkloop.db"), @r#"
    exit: 1
    stderr:
    error: data/arkloop.db is a database in use and no backup; make a backup of it with `arkloop backup FILE`, and restore that
    exit: 1
    stderr:
    {"error":"data/arkloop.db is a database in use and no backup","hint":"make a backup of it with `arkloop backup FILE`, and restore that"}
    "#);
}

#[test]
fn a_restore_says_that_a_server_runs_before_it_asks_and_then_what_becomes_of_the_old_database() {
    let workspace = backed_up();
    let server = workspace.serve();
    assert_snapshot!(workspace.run_at_a_terminal(&["restore", "copy.db"], "y\n"), @"
    exit: 1
    stderr:
    error: another arkloop serves <dir>/data/arkloop.db; stop that server first; nothing was changed
    ");
    server.stop();
    assert_snapshot!(workspace.run_at_a_terminal(&["restore", "copy.db"], "n\n"), @"
    exit: 1
    stderr:
    Really replace <dir>/data/arkloop.db by copy.db? The database that is there now is kept beside it, as arkloop.db.before-restore.<time>. [y/N] error: nothing was done; answer y, or add --yes, to go on
    ");
    fs::remove_file(old_database::path(&workspace)).expect("the file can be removed");
    assert_snapshot!(workspace.run_at_a_terminal(&["restore", "copy.db"], "n\n"), @"
    exit: 1
    stderr:
    Really make copy.db the database <dir>/data/arkloop.db? There is none now. [y/N] error: nothing was done; answer y, or add --yes, to go on
    ");
}
