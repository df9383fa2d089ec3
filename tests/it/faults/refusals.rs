//! Databases and key files that cannot be used: each is refused with its path, the cause and the fix, and no byte of
//! what is there changes.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};

use arkloop::files::shown_user;
use insta::assert_snapshot;
use rusqlite::Connection;

use crate::support::Workspace;
use crate::support::planting::can_plant_for_others;

/// The id of a user and of a group that own nothing, on any system.
const NOBODY: u32 = 65_534;

/// Everything in the data directory but lock files, which have no content, and what SQLite keeps while it works.
fn files(workspace: &Workspace) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let entries = fs::read_dir(workspace.path().join("data")).expect("there is a directory");
    let paths = entries.map(|entry| entry.expect("it can be read").path());
    let is_content = |path: &PathBuf| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        !matches!(extension, Some("lock" | "db-wal" | "db-shm"))
    };
    paths
        .filter(is_content)
        .map(|path| {
            let mode = path.metadata().expect("it exists").permissions().mode();
            let bytes = fs::read(&path).unwrap_or_default();
            (path, (mode, bytes))
        })
        .collect()
}

/// What a command, the server and `init` say, in this order; `same` where the later ones say what the first one did.
fn sayings(workspace: &Workspace) -> String {
    let commands = [
        &["user", "list"][..],
        &["-q", "serve", "--listen", "127.0.0.1:0"],
        &["init"],
    ];
    let [of_command, of_others @ ..] = commands.map(|arguments| workspace.run(arguments));
    let others = of_others.map(|text| {
        if text == of_command {
            "same\n".to_owned()
        } else {
            text
        }
    });
    format!("{of_command}{}", others.concat())
}

/// [`sayings`], with a check that no file that was there changes.
fn refusals(workspace: &Workspace) -> String {
    let before = files(workspace);
    let text = sayings(workspace);
    assert_unchanged(&before, workspace);
    text
}

fn assert_unchanged(before: &BTreeMap<PathBuf, (u32, Vec<u8>)>, workspace: &Workspace) {
    let after = files(workspace);
    for (path, file) in before {
        assert!(after.get(path) == Some(file), "{} was changed", path.display());
    }
}

fn database(workspace: &Workspace) -> PathBuf {
    workspace.path().join("data/arkloop.db")
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Makes the modes of files count, which root ignores: everything is handed over to a user without rights.
fn without_rights(workspace: &mut Workspace) {
    if !is_root() {
        return;
    }
    let data = workspace.path().join("data");
    let entries = fs::read_dir(&data).expect("there is a directory");
    let paths = entries.map(|entry| entry.expect("it can be read").path());
    for path in paths.chain([data, workspace.path()]) {
        chown(path, Some(NOBODY), Some(NOBODY)).expect("root may");
    }
    workspace.run_as(NOBODY);
}

/// A workspace with a database in which `sql` was run.
fn after(sql: &str) -> Workspace {
    let workspace = Workspace::with_database_file();
    let database = Connection::open(database(&workspace)).expect("it is a database");
    database.execute_batch(sql).expect("it can be changed");
    database.close().expect("it is closed");
    workspace
}

#[test]
fn the_database_of_another_program_is_refused() {
    assert_snapshot!(refusals(&after("PRAGMA application_id = 7")), @"
    exit: 1
    stderr:
    error: <dir>/data/arkloop.db is not an arkloop database; name another data directory with --data-dir DIR; nothing was changed
    same
    same
    ");
    let workspace = Workspace::with_database_file();
    fs::remove_file(database(&workspace)).expect("there is one");
    let other = Connection::open(database(&workspace)).expect("it is made");
    other.execute_batch("CREATE TABLE a (b)").expect("it is made");
    other.close().expect("it is closed");
    assert_snapshot!(refusals(&workspace), @"
    exit: 1
    stderr:
    error: <dir>/data/arkloop.db is not an arkloop database; name another data directory with --data-dir DIR; nothing was changed
    same
    same
    ");
    fs::write(database(&workspace), "Dear diary,\n".repeat(500)).expect("it is ours");
    assert_snapshot!(refusals(&workspace), @"
    exit: 1
    stderr:
    error: <dir>/data/arkloop.db is not an arkloop database; name another data directory with --data-dir DIR; nothing was changed
    same
    same
    ");
}

#[test]
fn a_damaged_database_is_refused() {
    let workspace = Workspace::with_database_file();
    let mut bytes = fs::read(database(&workspace)).expect("there is one");
    bytes[100..4096].fill(0xa5);
    fs::write(database(&workspace), bytes).expect("it is ours");
    assert_snapshot!(refusals(&workspace), @"
    exit: 1
    stderr:
    error: <dir>/data/arkloop.db is damaged: database disk image is malformed; put a backup in its place; nothing was changed
    same
    same
    ");
    let workspace = Workspace::with_database_file();
    let bytes = fs::read(database(&workspace)).expect("there is one");
    fs::write(database(&workspace), &bytes[..5000]).expect("it is ours");
    assert_snapshot!(refusals(&workspace), @"
    exit: 1
    stderr:
    error: <dir>/data/arkloop.db is damaged: database disk image is malformed; put a backup in its place; nothing was changed
    same
    same
    ");
}

#[test]
fn a_database_of_a_newer_version_is_refused() {
    let newest: u32 = Connection::open(database(&Workspace::with_database_file()))
        .and_then(|database| database.pragma_query_value(None, "user_version", |row| row.get(0)))
        .expect("it is a database");
    let text = refusals(&after("PRAGMA user_version = 9999"));
    let text = text
        .replace(&format!("only {newest};"), "only <newest>;")
        .replace(env!("CARGO_PKG_VERSION"), "<version>");
    assert_snapshot!(text, @"
    exit: 1
    stderr:
    error: <dir>/data/arkloop.db has schema 9999, but this version knows only <newest>; use arkloop <version> or newer
    same
    same
    ");
}

#[test]
fn a_database_that_another_program_has_locked_is_refused() {
    let workspace = Workspace::with_database_file();
    let before = files(&workspace);
    // Nothing may read the file meanwhile in this process: closing it would let go of the lock (POSIX).
    let holder = Connection::open(database(&workspace)).expect("it is a database");
    holder
        .execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE")
        .expect("nobody else has it");
    assert_snapshot!(sayings(&workspace), @"
    exit: 1
    stderr:
    error: another program has locked <dir>/data/arkloop.db; close that program (a shell of SQLite, a backup tool), and try again
    same
    same
    ");
    drop(holder);
    assert_unchanged(&before, &workspace);
    let holder = Connection::open(database(&workspace)).expect("it is a database");
    holder
        .execute_batch("BEGIN IMMEDIATE")
        .expect("nobody else has it");
    assert_snapshot!(workspace.run(&["registration", "set", "open"]), @"
    exit: 1
    stderr:
    error: nothing was changed: database is locked; try again in a moment; if it stays so, see whether the disk is full or another program has locked the database
    ");
}

#[test]
fn a_database_that_cannot_be_written_is_refused() {
    let mut workspace = Workspace::with_database_file();
    without_rights(&mut workspace);
    set_mode(&database(&workspace), 0o400);
    assert_snapshot!(refusals(&workspace), @"
    exit: 1
    stderr:
    error: <dir>/data/arkloop.db cannot be used: permission denied; check that the directory exists, has room and belongs to the user who runs arkloop
    same
    same
    ");
    set_mode(&database(&workspace), 0o600);
    let data = workspace.path().join("data");
    set_mode(&data, 0o500);
    let text = workspace.run(&["registration", "set", "open"]);
    set_mode(&data, 0o700);
    assert_snapshot!(text, @"
    exit: 1
    stderr:
    error: nothing was changed: attempt to write a readonly database; try again in a moment; if it stays so, see whether the disk is full or another program has locked the database
    ");
}

#[test]
fn a_key_file_that_cannot_be_trusted_is_refused() {
    let mut workspace = Workspace::with_database();
    set_mode(&workspace.key_file(), 0o640);
    assert_snapshot!(refusals(&workspace), @"
    exit: 1
    stderr:
    error: the key file <dir>/data/arkloop.key can be read by others (mode 0640); run: chmod 600 <dir>/data/arkloop.key
    same
    same
    ");
    set_mode(&workspace.key_file(), 0o600);
    let key = fs::read(workspace.key_file()).expect("there is one");
    fs::write(workspace.key_file(), &key[..31]).expect("it is ours");
    assert_snapshot!(refusals(&workspace), @"
    exit: 1
    stderr:
    error: the key file <dir>/data/arkloop.key has 31 bytes, but a key has 32; put the right key file there; it was not changed
    same
    same
    ");
    fs::write(workspace.key_file(), key).expect("it is ours");
    without_rights(&mut workspace);
    set_mode(&workspace.key_file(), 0o000);
    assert_snapshot!(refusals(&workspace), @"
    exit: 1
    stderr:
    error: the key file <dir>/data/arkloop.key cannot be used: Permission denied (os error 13); check that it is a file which belongs to the user who runs arkloop, and that the disk has room
    same
    same
    ");
    fs::remove_file(workspace.key_file()).expect("it is ours");
    fs::create_dir(workspace.key_file()).expect("the name is free");
    set_mode(&workspace.key_file(), 0o700);
    if is_root() {
        chown(workspace.key_file(), Some(NOBODY), Some(NOBODY)).expect("root may");
    }
    assert_snapshot!(refusals(&workspace), @"
    exit: 1
    stderr:
    error: the key file <dir>/data/arkloop.key cannot be used: Is a directory (os error 21); check that it is a file which belongs to the user who runs arkloop, and that the disk has room
    same
    same
    ");
}

#[test]
fn whoever_does_not_own_the_database_is_told_who_does() {
    let mut workspace = Workspace::with_database_file();
    set_mode(&workspace.path(), 0o755);
    if is_root() {
        workspace.run_as(NOBODY);
    } else {
        // Without root, the test cannot create a file of root's, but can link to one.
        fs::remove_file(database(&workspace)).expect("it is ours");
        symlink("/etc/passwd", database(&workspace)).expect("the name is free");
    }
    let runner = rustix::process::geteuid().as_raw();
    let runner = shown_user(if runner == 0 { NOBODY } else { runner });
    set_mode(&workspace.path().join("data"), 0o755);
    assert_snapshot!(refusals(&workspace).replace(&runner, "<runner>"), @"
    exit: 1
    stderr:
    error: <dir>/data/arkloop.db belongs to root, but this is run by <runner>; run it as root; nothing was changed
    same
    same
    ");
    if is_root() {
        // The owner of the database cannot be seen, because the directory is closed.
        set_mode(&workspace.path().join("data"), 0o700);
        assert_snapshot!(refusals(&workspace).replace(&runner, "<runner>"), @"
        exit: 1
        stderr:
        error: the directory <dir>/data is closed to <runner>; run it as the user who runs the server; nothing was changed
        same
        same
        ");
    }
}

#[test]
fn even_root_does_not_touch_the_database_of_another_user() {
    let mut workspace = Workspace::with_database_file();
    if !can_plant_for_others("the database of another user") {
        return;
    }
    without_rights(&mut workspace);
    workspace.run_as(0);
    assert_snapshot!(refusals(&workspace), @"
    exit: 1
    stderr:
    error: <dir>/data/arkloop.db belongs to nobody (id 65534), but this is run by root; run: runuser -u nobody -- <command>; nothing was changed
    same
    same
    ");
}
