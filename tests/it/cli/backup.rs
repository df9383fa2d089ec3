//! `backup`: what it creates, what it prints, and what it refuses.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::{fs, io};

use arkloop::service::{BackupDestination, BackupStep, Copied};
use insta::assert_snapshot;
use parking_lot::Mutex;

use crate::support::{TestApp, Workspace, old_database};

/// A text without the numbers that change with the schema.
pub(super) fn stable(text: &str) -> String {
    let stable = |line: &str| match line.trim_start().split([' ', ':']).next() {
        Some("size" | "schema" | "\"bytes\"" | "\"schema\"" | "\"schema_before\"") => {
            let is_digit = |c: char| c.is_ascii_digit();
            let start = line.find(is_digit).unwrap_or(line.len());
            let end = line[start..]
                .find(|c| !is_digit(c))
                .map_or(line.len(), |end| start + end);
            format!("{}<n>{}", &line[..start], &line[end..])
        }
        _ => line.to_owned(),
    };
    text.lines().map(stable).collect::<Vec<_>>().join("\n")
}

/// The names of the entries of `directory` in the workspace, without its data.
fn names(workspace: &Workspace, directory: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(workspace.path().join(directory))
        .expect("the directory can be read")
        .map(|entry| {
            entry
                .expect("the entry can be read")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn a_backup_is_made_beside_the_running_server_and_names_its_key() {
    let workspace = Workspace::with_database_file();
    workspace.create_user("ann");
    let _server = workspace.serve();
    assert_snapshot!(stable(&workspace.run(&["backup", "copy.db"])), @"
    exit: 0
    stdout:
    backup     <dir>/copy.db
    taken at   <time>
    size       <n> KiB
    users      1
    schema     <n>
    needs key  <key> (not in it)
    stderr:
    The key file <dir>/data/arkloop.key is not in the backup. Keep a copy of it elsewhere: without it the backup cannot be restored.
    ");
    assert_snapshot!(stable(&workspace.run(&["--json", "backup", "again.db"])), @r#"
    exit: 0
    stdout:
    {
      "file": "<dir>/again.db",
      "taken_at": "<time>",
      "bytes": <n>,
      "users": 1,
      "schema": <n>,
      "key": "<key>",
      "key_file": "<dir>/data/arkloop.key",
      "contains_key": false,
      "removed": []
    }
    "#);
    assert_eq!(names(&workspace, "."), ["again.db", "copy.db", "data"]);
    let copy = workspace.path().join("copy.db");
    let mode = fs::metadata(&copy)
        .expect("the entry exists")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(old_database::integrity(&copy), "ok");
    assert_eq!(old_database::count(&copy, "SELECT count(*) FROM users"), 1);
}

#[test]
fn the_moment_of_the_last_backup_is_kept() {
    let workspace = Workspace::with_database_file();
    let moments = "SELECT count(*) FROM settings WHERE name = 'last_backup_at'";
    assert_eq!(old_database::count(&old_database::path(&workspace), moments), 0);
    workspace.json(&["backup", "copy.db"]);
    for file in [old_database::path(&workspace), workspace.path().join("copy.db")] {
        assert_eq!(old_database::count(&file, moments), 1);
    }
}

#[test]
fn a_backup_replaces_no_file() {
    let workspace = Workspace::with_database_file();
    workspace.write("copy.db", "something else");
    assert_snapshot!(workspace.run(&["backup", "copy.db"]), @"
    exit: 1
    stderr:
    error: <dir>/copy.db exists already; a backup replaces no file: name another, or move that one away
    ");
    assert_snapshot!(workspace.run(&["--json", "backup", "copy.db"]), @r#"
    exit: 1
    stderr:
    {"error":"<dir>/copy.db exists already","hint":"a backup replaces no file: name another, or move that one away"}
    "#);
    let left = fs::read_to_string(workspace.path().join("copy.db")).expect("the file can be read");
    assert_eq!(left, "something else");
}

#[test]
fn a_backup_where_none_can_be_made_is_refused_before_the_work() {
    let workspace = Workspace::with_database_file();
    workspace.write("file", "");
    fs::create_dir(workspace.path().join("directory")).expect("the directory can be created");
    std::os::unix::fs::symlink("nowhere.db", workspace.path().join("link")).expect("the link can be created");
    assert_snapshot!(workspace.run_in_both_forms(&["backup", "absent/copy.db"]), @r#"
    exit: 1
    stderr:
    error: there is no directory <dir>/absent; mount what belongs there, or make it, as root, for the USER who runs this: install -d -o USER -m 700 <dir>/absent
    exit: 1
    stderr:
    {"error":"there is no directory <dir>/absent","hint":"mount what belongs there, or make it, as root, for the USER who runs this: install -d -o USER -m 700 <dir>/absent"}
    "#);
    assert_snapshot!(workspace.run(&["backup", "--keep", "3", "absent/too"]), @"
    exit: 1
    stderr:
    error: there is no directory <dir>/absent/too; mount what belongs there, or make it, as root, for the USER who runs this: install -d -o USER -m 700 <dir>/absent/too
    ");
    assert_snapshot!(workspace.run(&["backup", "file/copy.db"]), @"
    exit: 1
    stderr:
    error: <dir>/file is no directory, or one above it is none; name a file in a directory
    ");
    assert_snapshot!(workspace.run(&["backup", "directory"]), @"
    exit: 1
    stderr:
    error: <dir>/directory is a directory; name a file in it, or give --keep N to have the backups in it named by date
    ");
    assert_snapshot!(workspace.run(&["backup", "link"]), @"
    exit: 1
    stderr:
    error: <dir>/link exists already, as a link; a backup replaces no file and follows no link: name another file
    ");
    assert!(!workspace.path().join("absent").exists());
    assert_snapshot!(Workspace::of_sqlite().run(&["backup", "copy.db"]), @"
    exit: 1
    stderr:
    error: there is no database at <dir>/data/arkloop.db; make one with `arkloop init` or `arkloop serve`, or name another data directory with --data-dir DIR
    ");
}

#[test]
fn a_backup_to_standard_output_is_whole_and_alone_there() {
    let workspace = Workspace::with_database_file();
    workspace.create_user("ann");
    for arguments in [
        &["backup", "-"][..],
        &["--json", "backup", "-"],
        &["-q", "backup", "-"],
    ] {
        let output = workspace.output(arguments, "");
        assert!(output.status.success(), "{output:?}");
        let copy = workspace.path().join("copy.db");
        fs::write(&copy, &output.stdout).expect("the file can be written");
        assert_eq!(old_database::integrity(&copy), "ok");
        assert_eq!(old_database::count(&copy, "SELECT count(*) FROM users"), 1);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        match arguments[0] {
            "--json" => {
                let said: serde_json::Value = serde_json::from_str(&said).expect("the text is JSON");
                assert_eq!(
                    (&said["file"], &said["users"]),
                    (&serde_json::Value::Null, &1.into())
                );
                assert_eq!(said["bytes"], output.stdout.len());
            }
            "-q" => assert_eq!(said, ""),
            _ => assert!(
                said.contains("written to standard output") && said.contains("key file"),
                "{said}"
            ),
        }
        let restored = workspace.json(&["restore", "copy.db", "--yes"]);
        assert_eq!(restored["users"], 1);
    }
    assert!(!workspace.path().join("-").exists());
    assert_snapshot!(workspace.run_in_both_forms(&["backup", "--keep", "3", "-"]), @r#"
    exit: 1
    stderr:
    error: --keep names files by date, and standard output is no file; name a directory, or leave --keep out
    exit: 1
    stderr:
    {"error":"--keep names files by date, and standard output is no file","hint":"name a directory, or leave --keep out"}
    "#);
}

#[test]
fn backups_by_date_make_way_and_nothing_else_does() {
    let workspace = Workspace::with_database_file();
    fs::create_dir(workspace.path().join("kept")).expect("the directory can be created");
    let strangers = [
        "arkloop-before-the-move.db",
        "arkloop-20200101T000000.000Z.db.gz",
        "notes",
    ];
    for name in strangers {
        workspace.write(&format!("kept/{name}"), "");
    }
    workspace.json(&["backup", "--keep", "2", "kept"]);
    workspace.json(&["backup", "--keep", "2", "kept"]);
    assert_snapshot!(stable(&workspace.run(&["backup", "--keep", "2", "kept"])), @"
    exit: 0
    stdout:
    backup     <dir>/kept/arkloop-<stamp>.db
    taken at   <time>
    size       <n> KiB
    users      0
    schema     <n>
    needs key  <key> (not in it)
    removed    <dir>/kept/arkloop-<stamp>.db
    stderr:
    The key file <dir>/data/arkloop.key is not in the backup. Keep a copy of it elsewhere: without it the backup cannot be restored.
    ");
    let names = names(&workspace, "kept");
    assert!(
        strangers
            .iter()
            .all(|name| names.iter().any(|found| found == name)),
        "{names:?}"
    );
    assert_eq!(names.len(), strangers.len() + 2, "{names:?}");
    let removed = workspace.json(&["backup", "--keep", "1", "kept"]);
    assert_eq!(removed["removed"].as_array().map(Vec::len), Some(2));
    assert_snapshot!(workspace.run_in_both_forms(&["backup", "--keep", "0", "kept"]), @r#"
    exit: 2
    stderr:
    error: invalid value '0' for '--keep <N>': it must be a number of files from 1 on

    For more information, try '--help'.
    exit: 2
    stderr:
    {"error":"invalid value '0' for '--keep <N>': it must be a number of files from 1 on","hint":"see: arkloop --help"}
    "#);
}

#[test]
fn a_damaged_database_gives_no_backup() {
    let workspace = Workspace::with_database_file();
    let path = old_database::path(&workspace);
    let database = rusqlite::Connection::open(&path).expect("the database opens");
    // An account whose invite is missing: every page of the file is intact, but a foreign key of the schema is violated.
    database
        .execute_batch(
            "PRAGMA foreign_keys = OFF;
             INSERT INTO users (id, username, username_key, email, email_key, status, locale, invite_id, created_at)
             VALUES (zeroblob(16), 'a', 'a', 'a', 'a', 'active', 'en', zeroblob(16), 0)",
        )
        .expect("the SQL is executed");
    drop(database);
    assert_snapshot!(workspace.run_in_both_forms(&["backup", "copy.db"]), @r#"
    exit: 1
    stderr:
    error: the database is damaged: a row of users belongs to one of invites that is gone; no backup was made; restore the last one that is good, and keep it
    exit: 1
    stderr:
    {"error":"the database is damaged: a row of users belongs to one of invites that is gone","hint":"no backup was made; restore the last one that is good, and keep it"}
    "#);
    assert_eq!(names(&workspace, "."), ["data"]);
}

#[test]
fn a_backup_into_a_slow_pipe_shows_how_much_is_written() {
    let workspace = Workspace::with_database_file();
    let screen = workspace.look_at_a_pipe(80, &["backup", "-"], "(sleep 3; cat >copy.db)");
    let shown = screen.text();
    let percent = shown.split_once("writing the copy, ").map(|(_, rest)| rest);
    let percent: Option<u32> = percent.and_then(|rest| rest.split_once(" %\u{2026} ")?.0.parse().ok());
    // A pipe has room for 64 KiB, and the smallest database takes more.
    assert!(percent.is_some_and(|percent| percent < 100), "{shown:?}");
    assert_eq!(workspace.json(&["restore", "copy.db", "--yes"])["users"], 0);
}

#[tokio::test]
async fn a_backup_tells_each_of_its_steps() {
    let app = TestApp::builder().of_sqlite().start().await;
    let steps = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&steps);
    let destination = BackupDestination::Stream(Box::new(io::sink()));
    let backup = app
        .service()
        .back_up(destination, move |step| noted.lock().push(step))
        .await;
    let bytes = backup.expect("it is made").bytes;
    let steps = steps.lock();
    let (begun, rest) = steps.split_first().expect("there are steps");
    assert!(matches!(begun, BackupStep::Copying(Copied { bytes: 0, of }) if *of > 0));
    let checking = rest.iter().position(|step| *step == BackupStep::Checking);
    let (copying, rest) = rest.split_at(checking.expect("it is checked"));
    assert!(matches!(copying.last(), Some(BackupStep::Copying(copied)) if copied.bytes > 0));
    assert_eq!(rest[1], BackupStep::Writing(Copied { bytes: 0, of: bytes }));
    assert_eq!(
        rest.last(),
        Some(&BackupStep::Writing(Copied { bytes, of: bytes }))
    );
}
