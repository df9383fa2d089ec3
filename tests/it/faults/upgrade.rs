//! Upgrades from the schema of the first release to that of this one: whole, or not at all.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use insta::assert_snapshot;

use crate::support::planting::let_go;
use crate::support::{Workspace, old_database};
use old_database::{FIRST_RELEASE, count, integrity, newest, schema_of};

/// The number of accounts in the upgrade that is measured.
const MANY: u32 = 100_000;
const KILLS: u32 = 10;

fn workspace_with(accounts: u32) -> Workspace {
    let workspace = Workspace::with_database_file();
    old_database::put(&workspace, FIRST_RELEASE, accounts);
    workspace
}

/// The copies beside the database that were made before its schema changed.
fn copies(workspace: &Workspace) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(workspace.path().join("data"))
        .expect("it is there")
        .map(|entry| entry.expect("it is read").path())
        .filter(|path| path.display().to_string().contains("arkloop.db.schema-"))
        .collect();
    found.sort_unstable();
    found
}

/// A text without the numbers of schemas.
fn without_versions(text: &str) -> String {
    text.replace(&format!("schema {FIRST_RELEASE}"), "schema <old>")
        .replace(&format!("needs {}", newest()), "needs <new>")
        .replace(&format!("only {}", newest()), "only <new>")
}

#[test]
fn an_older_database_is_copied_before_its_schema_changes() {
    let workspace = workspace_with(10);
    let (_, old_schema) = schema_of(&old_database::path(&workspace));
    assert!(workspace.output(&["init"], "").status.success());
    let copies = copies(&workspace);
    assert_eq!(copies.len(), 1, "{copies:?}");
    assert_eq!(schema_of(&copies[0]), (FIRST_RELEASE, old_schema));
    assert_eq!(integrity(&copies[0]), "ok");
    assert_eq!(count(&copies[0], "SELECT count(*) FROM users"), 10);
    assert_eq!(schema_of(&old_database::path(&workspace)).0, newest());
    assert_eq!(
        workspace.json(&["user", "list"]).as_array().map(Vec::len),
        Some(10)
    );
    // Nothing is left to do, so nothing is copied.
    workspace.serve().stop();
    assert_eq!(copies.len(), 1);
}

#[test]
fn a_change_of_the_schema_that_fails_leaves_the_database_as_it_was() {
    let workspace = workspace_with(10);
    let path = old_database::path(&workspace);
    let obstacle = format!("CREATE TABLE {} (obstacle TEXT)", old_database::a_newer_table());
    rusqlite::Connection::open(&path)
        .and_then(|database| database.execute_batch(&obstacle))
        .expect("it is made");
    let before = fs::read(&path).expect("it is there");
    for _ in 0..2 {
        let output = workspace.output(&["init"], "");
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("already exists"), "{said}");
        assert!(fs::read(&path).expect("it is there") == before, "it was changed");
        assert!(
            copies(&workspace).is_empty(),
            "a copy of what was not changed is left"
        );
    }
}

#[test]
fn a_database_that_cannot_be_copied_keeps_its_schema() {
    let workspace = workspace_with(1);
    let path = old_database::path(&workspace);
    let orphan = "PRAGMA foreign_keys = OFF; UPDATE users SET invite_id = zeroblob(16)";
    rusqlite::Connection::open(&path)
        .and_then(|database| database.execute_batch(orphan))
        .expect("it is written");
    assert_snapshot!(without_versions(&workspace.run(&["init"])), @"
    exit: 1
    stderr:
    error: <dir>/data/arkloop.db has an older schema and was not brought up to date, because it cannot be copied first: <dir>/data/arkloop.db is damaged: a row of users belongs to one of invites that is gone; mend that, and start again; nothing was changed
    ");
    assert_eq!(schema_of(&path).0, FIRST_RELEASE);
}

#[test]
fn a_database_of_another_key_keeps_its_schema() {
    let workspace = workspace_with(1);
    let path = old_database::path(&workspace);
    let other = Workspace::with_database_file();
    fs::copy(
        other.path().join("data/arkloop.key"),
        workspace.path().join("data/arkloop.key"),
    )
    .expect("it is copied");
    assert_eq!(workspace.output(&["init"], "").status.code(), Some(1));
    assert_eq!(schema_of(&path).0, FIRST_RELEASE);
    assert!(copies(&workspace).is_empty());
}

#[test]
fn three_copies_before_the_same_change_are_kept() {
    let workspace = workspace_with(1);
    for stamp in [
        "20200101T000000.000Z",
        "20210101T000000.000Z",
        "20220101T000000.000Z",
    ] {
        workspace.write(&format!("data/arkloop.db.schema-{FIRST_RELEASE}.{stamp}"), "");
    }
    assert!(workspace.output(&["init"], "").status.success());
    let copies = copies(&workspace);
    assert_eq!(copies.len(), 3, "{copies:?}");
    assert!(copies[0].display().to_string().ends_with("20210101T000000.000Z"));
}

#[test]
fn an_older_program_names_the_version_to_use() {
    let workspace = Workspace::with_database_file();
    let newer =
        "PRAGMA user_version = 999; UPDATE settings SET value = '9.8.7' WHERE name = 'schema_made_by'";
    rusqlite::Connection::open(old_database::path(&workspace))
        .and_then(|database| database.execute_batch(newer))
        .expect("it is changed");
    assert_snapshot!(without_versions(&workspace.run(&["user", "list"])), @"
    exit: 1
    stderr:
    error: <dir>/data/arkloop.db has schema 999, but this version knows only <new>; use arkloop 9.8.7 or newer
    ");
    assert!(workspace.run(&["serve"]).contains("use arkloop 9.8.7 or newer"));
}

#[test]
fn a_new_command_beside_an_old_server_changes_nothing_and_says_why() {
    let workspace = workspace_with(1);
    let path = old_database::path(&workspace);
    // To a command, an old server is its lock, its shared lock of the database, and its schema.
    let [server, in_use] = ["server.lock", "use.lock"].map(|name| {
        let lock = fs::File::create(workspace.path().join("data").join(name));
        lock.expect("it is made")
    });
    server.lock().expect("nobody holds it");
    in_use.lock_shared().expect("nobody holds it otherwise");
    let before = fs::read(&path).expect("it is there");
    assert_snapshot!(without_versions(&workspace.run(&["invite", "create"])), @"
    exit: 1
    stderr:
    error: <dir>/data/arkloop.db has schema <old>, but this version needs <new>; a server of the older version runs on it, so nothing was changed; stop every such server, and start this version
    ");
    assert_snapshot!(without_versions(&workspace.run(&["--json", "invite", "create"])), @r#"
    exit: 1
    stderr:
    {"error":"<dir>/data/arkloop.db has schema <old>, but this version needs <new>","hint":"a server of the older version runs on it, so nothing was changed; stop every such server, and start this version"}
    "#);
    assert_snapshot!(workspace.run(&["init"]), @"
    exit: 1
    stderr:
    error: another arkloop serves <dir>/data/arkloop.db; stop that one first, or name another data directory with --data-dir DIR
    ");
    assert!(fs::read(&path).expect("it is there") == before, "it was changed");
    [server, in_use].iter().for_each(let_go);
    assert_snapshot!(without_versions(&workspace.run(&["invite", "create"])), @"
    exit: 1
    stderr:
    error: <dir>/data/arkloop.db has schema <old>, but this version needs <new>; run `arkloop init` or restart `arkloop serve` to bring it up to date
    ");
}

#[test]
fn a_hundred_thousand_accounts_are_brought_up_whole_or_not_at_all() {
    let workspace = workspace_with(MANY);
    let path = old_database::path(&workspace);
    let original = workspace.path().join("original.db");
    fs::copy(&path, &original).expect("it is copied");
    let (_, old_schema) = schema_of(&original);
    let began = Instant::now();
    assert!(workspace.output(&["init"], "").status.success());
    let took = began.elapsed();
    println!("{MANY} accounts: {} ms", took.as_millis());
    let (_, new_schema) = schema_of(&path);
    assert_eq!(count(&path, "SELECT count(*) FROM users"), i64::from(MANY));
    for kill in 0..KILLS {
        put_back(&original, &path);
        for copy in copies(&workspace) {
            fs::remove_file(copy).expect("it is removed");
        }
        // There is a kill in each tenth of the time, at a random moment in it.
        let nanos = std::time::UNIX_EPOCH
            .elapsed()
            .expect("it is past 1970")
            .subsec_nanos();
        let within = took / KILLS;
        let mut migrating = workspace.spawn(&["init"]);
        std::thread::sleep(within * kill + within.mul_f64(f64::from(nanos % 1000) / 1000.0));
        let _ = migrating.kill();
        migrating.wait().expect("it ends");
        let (version, schema) = schema_of(&path);
        let expected = if version == FIRST_RELEASE {
            &old_schema
        } else {
            &new_schema
        };
        assert!(version == FIRST_RELEASE || version == newest(), "{version}");
        assert_eq!(&schema, expected);
        assert_eq!(integrity(&path), "ok");
        assert_eq!(count(&path, "SELECT count(*) FROM users"), i64::from(MANY));
    }
    assert!(workspace.output(&["init"], "").status.success());
    assert_eq!(schema_of(&path).0, newest());
    let data = fs::read_dir(path.parent().expect("it has one")).expect("it is there");
    let left = data.filter(|entry| {
        entry
            .as_ref()
            .is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with('.'))
    });
    assert_eq!(
        left.count(),
        0,
        "what a cut-off copy left is cleared away by the next"
    );
}

/// Puts the old database back in its place, without the log of the one that was there.
fn put_back(original: &Path, path: &Path) {
    for suffix in ["-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{suffix}", path.display()));
    }
    fs::copy(original, path).expect("it is put back");
}
