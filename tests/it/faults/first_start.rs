//! The first start: it may be cut off at any step, and a lost database is not mistaken for a first start.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::time::Duration;

use insta::{allow_duplicates, assert_snapshot};

use crate::support::{Workspace, old_database};

/// A private name, in the form that the program gives it.
const PRIVATE: &str = ".arkloop-0123456789abcdef0123456789abcdef";

/// Turns a whole installation into an incomplete one; gets the path of its data directory or database.
type Step = fn(&Path);

#[test]
fn a_first_start_that_was_cut_off_at_any_step_leaves_a_next_start_that_works() {
    let steps: [(&str, Step); 6] = [
        ("an empty directory", |data| {
            fs::remove_file(data.join("arkloop.key")).expect("it is there");
            fs::remove_file(data.join("arkloop.db")).expect("it is there");
        }),
        ("a key under a private name", |data| {
            fs::rename(data.join("arkloop.key"), data.join(PRIVATE)).expect("it is moved");
            fs::remove_file(data.join("arkloop.db")).expect("it is there");
        }),
        ("a key beside its place", |data| {
            fs::rename(data.join("arkloop.key"), data.join("arkloop.key.next")).expect("it is moved");
            fs::remove_file(data.join("arkloop.db")).expect("it is there");
        }),
        ("an empty database under a private name", |data| {
            fs::rename(data.join("arkloop.key"), data.join("arkloop.key.next")).expect("it is moved");
            make_private(&data.join(PRIVATE));
            fs::write(data.join(PRIVATE).join("arkloop.db"), "").expect("it is written");
            fs::remove_file(data.join("arkloop.db")).expect("it is there");
        }),
        ("a whole database under a private name", |data| {
            fs::rename(data.join("arkloop.key"), data.join("arkloop.key.next")).expect("it is moved");
            make_private(&data.join(PRIVATE));
            fs::rename(data.join("arkloop.db"), data.join(PRIVATE).join("arkloop.db")).expect("it is moved");
        }),
        ("a database in place, whose key is beside its place", |data| {
            fs::rename(data.join("arkloop.key"), data.join("arkloop.key.next")).expect("it is moved");
        }),
    ];
    for (left, lay_out) in steps {
        let workspace = Workspace::with_database_file();
        let data = workspace.path().join("data");
        lay_out(&data);
        let server = workspace.serve();
        workspace.create_user("ann");
        server.sign_in("ann");
        let names = names(&data);
        let unexpected = |name: &&String| name.starts_with(PRIVATE) || *name == "arkloop.key.next";
        assert_eq!(names.iter().find(unexpected), None, "{left}: {names:?}");
    }
}

#[test]
fn a_lost_database_is_not_taken_for_a_first_start() {
    let losses: [(&str, Step); 3] = [
        ("missing", |database| {
            fs::remove_file(database).expect("it is there");
        }),
        ("empty", |database| {
            fs::write(database, "").expect("it is written");
        }),
        // Release 0.1 left it like this when its first start was killed.
        ("without tables", |database| {
            fs::remove_file(database).expect("it is there");
            let connection = rusqlite::Connection::open(database).expect("it opens");
            let wal = connection.pragma_update(None, "journal_mode", "WAL");
            wal.expect("it becomes one page");
        }),
    ];
    for (loss, lose) in losses {
        let workspace = Workspace::with_database_file();
        let database = old_database::path(&workspace);
        let key = fs::read(workspace.path().join("data/arkloop.key")).expect("there is a key");
        lose(&database);
        let before = fs::read(&database).ok();
        for arguments in [
            &["serve", "-q", "--listen", "127.0.0.1:0"][..],
            &["init", "-q"],
            &["user", "list"],
            &["key", "rekey"],
        ] {
            let refused = workspace.run_in_both_forms(arguments);
            allow_duplicates!(assert_snapshot!(refused, @r#"
            exit: 1
            stderr:
            error: the key file <dir>/data/arkloop.key is there, but its database <dir>/data/arkloop.db is missing or empty; bring it back with `arkloop restore FILE`; only if there never was one, because the key file was put there first, make a new, empty one once with `arkloop init --yes`; or name another data directory with --data-dir DIR
            exit: 1
            stderr:
            {"error":"the key file <dir>/data/arkloop.key is there, but its database <dir>/data/arkloop.db is missing or empty","hint":"bring it back with `arkloop restore FILE`; only if there never was one, because the key file was put there first, make a new, empty one once with `arkloop init --yes`; or name another data directory with --data-dir DIR"}
            "#));
        }
        let checked = workspace.run(&["check"]);
        assert!(
            checked.contains("bring it back with `arkloop restore FILE`"),
            "{checked}"
        );
        assert_eq!(fs::read(&database).ok(), before, "{loss}: nothing was changed");
        assert_eq!(workspace.json(&["init", "--yes"])["created"], true, "{loss}");
        assert_eq!(workspace.json(&["init", "--yes"])["created"], false, "{loss}");
        workspace.create_user("ann");
        workspace.serve().sign_in("ann");
        assert_eq!(
            fs::read(workspace.path().join("data/arkloop.key")).expect("there is a key"),
            key
        );
    }
}

#[test]
fn an_empty_database_without_a_key_is_a_first_start() {
    let workspace = Workspace::of_sqlite();
    fs::create_dir(workspace.path().join("data")).expect("it is made");
    workspace.write("data/arkloop.db", "");
    workspace.serve().stop();
    workspace.create_user("ann");
}

#[test]
fn init_asks_before_it_makes_a_database_for_a_key_that_is_there() {
    let workspace = Workspace::with_database_file();
    fs::remove_file(old_database::path(&workspace)).expect("it is there");
    assert_snapshot!(workspace.run_at_a_terminal(&["init"], "n\n"), @"
    exit: 1
    stderr:
    Really make a new, empty database <dir>/data/arkloop.db for the key file <dir>/data/arkloop.key, which is there already? If there was a database, bring it back with arkloop restore FILE instead. [y/N] error: nothing was done; answer y, or add --yes, to go on
    ");
    assert_snapshot!(workspace.run_at_a_terminal(&["init", "-q"], "y\n"), @"
    exit: 0
    stdout:
    database  <dir>/data/arkloop.db
    key file  <dir>/data/arkloop.key
    stderr:
    Really make a new, empty database <dir>/data/arkloop.db for the key file <dir>/data/arkloop.key, which is there already? If there was a database, bring it back with arkloop restore FILE instead. [y/N]
    ");
}

#[test]
fn what_a_lost_database_left_in_its_log_is_kept_and_not_read_into_a_new_one() {
    let workspace = Workspace::with_database_file();
    let server = workspace.serve();
    workspace.create_user("ann");
    server.kill();
    let (database, data) = (old_database::path(&workspace), workspace.path().join("data"));
    let log = fs::read(data.join("arkloop.db-wal")).expect("a killed server leaves its log");
    assert!(!log.is_empty());
    fs::write(&database, "").expect("it is written");
    workspace.json(&["init", "--yes"]);
    assert_eq!(old_database::integrity(&database), "ok");
    assert_eq!(old_database::count(&database, "SELECT count(*) FROM users"), 0);
    let kept = names(&data)
        .into_iter()
        .find(|name| name.starts_with("arkloop.db-wal.left."))
        .expect("the log is kept");
    assert_eq!(fs::read(data.join(kept)).expect("it is there"), log);
}

#[test]
fn a_start_says_that_it_made_the_installation_or_how_many_accounts_it_found() {
    let workspace = Workspace::new();
    let log = workspace.serve().stop();
    assert!(log.contains("made a new, empty installation in "), "{log}");
    assert!(!log.contains(" account"), "{log}");
    for told in ["the database has 0 accounts", "the database has 1 account"] {
        // The accounts are counted once the server listens, which takes a moment, and on a busy machine longer.
        let mut logs = [50, 500, 5_000].into_iter().map(|milliseconds| {
            let server = workspace.serve();
            std::thread::sleep(Duration::from_millis(milliseconds));
            server.stop()
        });
        let log = logs.find(|log| log.lines().any(|line| line.ends_with(told)));
        let log = log.expect(told);
        assert!(!log.contains("installation"), "{log}");
        workspace.create_user(&format!("user-{}", told.len()));
    }
}

fn make_private(directory: &Path) {
    let made = fs::DirBuilder::new().mode(0o700).create(directory);
    made.expect("it is made");
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("it is a directory");
    entries
        .map(|entry| {
            entry
                .expect("it is read")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect()
}
