//! `db copy`: the whole database on the other engine, after an interruption too, and what is refused. What needs a PostgreSQL runs if there is one
//! (`support::postgres`).

use std::fs;
use std::thread;
use std::time::Duration;

use arkloop::domain::Timestamp;
use arkloop::store::create_database;
use insta::assert_snapshot;
use postgres::Client;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::postgres::TestDatabase;
use crate::support::{Workspace, old_database};

const URL: &str = "ARKLOOP_DATABASE__URL";
const TO_POSTGRES: [&str; 4] = ["db", "copy", "sqlite", "postgres"];
const TO_SQLITE: [&str; 4] = ["db", "copy", "postgres", "sqlite"];

/// Values that one engine could lose: numbers at both ends, NUL in a text, a text and bytes that are empty and not NULL.
const EXTREMES: &str = "
    INSERT INTO audit_events (at, event, detail, operator_uid, operator_command) VALUES
        (9223372036854775807, 'user.created', 'a' || char(0) || 'b', -9223372036854775808, ''),
        (-9223372036854775808, 'user.created', NULL, 9223372036854775807, '\u{10ffff}');
    INSERT INTO mail_budgets (address_digest, purpose, sends, last_sent_at) VALUES (zeroblob(32), '', x'', 0);
    INSERT INTO password_failures (is_account, number, guessed, network, length, last_failed_at)
        VALUES (0, -9223372036854775808, zeroblob(16), x'', 1, 0);
";

fn edit(workspace: &Workspace, sql: &str) {
    let database = Connection::open(old_database::path(workspace)).expect("the database opens");
    database.execute_batch(sql).expect("the SQL is executed");
}

/// Moves the database file away.
fn put_aside(workspace: &Workspace) {
    let path = old_database::path(workspace);
    fs::rename(&path, path.with_extension("aside")).expect("the file is there");
}

/// A workspace with an account, its session, an invite, and rows of [`EXTREMES`]; and the access token of the session.
fn lived_in() -> (Workspace, String) {
    let workspace = Workspace::with_database_file();
    workspace.create_user("ann");
    workspace.json(&["invite", "create", "--note", ""]);
    let server = workspace.serve();
    let token = server.sign_in("ann");
    let ask = json!({ "email": "ann@example.org" });
    let (status, _) = server.request("POST", "/v1/auth/email/otp/send", None, Some(&ask));
    assert_eq!(status, 204);
    server.stop();
    edit(&workspace, EXTREMES);
    (workspace, token)
}

/// The digest of each table, in a report of `db copy`.
fn digests(report: &Value) -> Vec<(String, u64, String)> {
    let tables = report["tables"].as_array().expect("it is a list").iter();
    let digest = |table: &Value| {
        let text = |key: &str| table[key].as_str().expect("it is a text").to_owned();
        (
            text("table"),
            table["rows"].as_u64().expect("it is a number"),
            text("sha256"),
        )
    };
    tables.map(digest).collect()
}

/// The names of all tables with rows in a file, and how many they have.
fn rows_of_file(workspace: &Workspace) -> Vec<(String, u64)> {
    let database = Connection::open(old_database::path(workspace)).expect("the database opens");
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'migrations'";
    let mut statement = database.prepare(sql).expect("it has a schema");
    let names = statement.query_map([], |row| row.get(0)).expect("it is read");
    let names: Vec<String> = names.collect::<Result<_, _>>().expect("it is read");
    let count = |name: String| {
        let sql = format!("SELECT count(*) FROM {name}");
        let rows = database.query_row(&sql, [], |row| row.get(0));
        (name, rows.expect("it is counted"))
    };
    names.into_iter().map(count).collect()
}

#[test]
fn a_database_goes_to_postgresql_and_back_and_loses_nothing() {
    let Some(database) = TestDatabase::new() else {
        return;
    };
    let (mut workspace, token) = lived_in();
    let mut before = rows_of_file(&workspace);
    before.sort();
    workspace.set(URL, &database.url());
    let there = workspace.json(&TO_POSTGRES);
    assert_eq!(there["replaced_texts"], 1);
    let mut copied: Vec<(String, u64)> = digests(&there)
        .into_iter()
        .map(|(name, rows, _)| (name, rows))
        .collect();
    copied.sort();
    assert_eq!(copied, before);
    // Nothing was written since, so that the way back gives the same digests.
    put_aside(&workspace);
    let back = workspace.json(&TO_SQLITE);
    assert_eq!(digests(&back), digests(&there));
    assert_eq!(back["replaced_texts"], 0);
    assert_eq!(old_database::integrity(&old_database::path(&workspace)), "ok");
    // The session goes on, and new rows get new numbers, first there and then in the file.
    for url in [database.url(), String::new()] {
        workspace.set(URL, &url);
        let server = workspace.serve();
        assert_eq!(server.request("GET", "/v1/me", Some(&token), None).0, 200);
        server.sign_in("ann");
        server.stop();
        let logged = workspace.json(&["audit", "--event", "sign_in.password"]);
        assert_eq!(logged.as_array().map(Vec::len), Some(2), "{logged:#}");
    }
}

#[test]
fn the_report_names_the_tables_and_what_to_do_next() {
    let Some(database) = TestDatabase::new() else {
        return;
    };
    let mut workspace = Workspace::with_database_file();
    let url = database.url();
    workspace.set(URL, &url);
    let shown = database.parsed_url().shown().to_owned();
    let report = |text: String| {
        let lines = text.replace(&shown, "<url>");
        // The digest of the settings differs from run to run.
        let lines = lines.lines().filter(|line| !line.starts_with("settings "));
        lines.collect::<Vec<_>>().join("\n")
    };
    assert_snapshot!(report(workspace.run(&TO_POSTGRES)), @"
    exit: 0
    stdout:
    TABLE              ROWS  SHA-256
    audit_counts       0     e3b0c44298fc1c14
    audit_events       0     e3b0c44298fc1c14
    failed_codes       0     e3b0c44298fc1c14
    invites            0     e3b0c44298fc1c14
    mail_budgets       0     e3b0c44298fc1c14
    password_costs     0     e3b0c44298fc1c14
    password_failures  0     e3b0c44298fc1c14
    signing_keys       0     e3b0c44298fc1c14
    users              0     e3b0c44298fc1c14
    email_changes      0     e3b0c44298fc1c14
    email_undos        0     e3b0c44298fc1c14
    former_addresses   0     e3b0c44298fc1c14
    link_tokens        0     e3b0c44298fc1c14
    one_time_codes     0     e3b0c44298fc1c14
    outbox             0     e3b0c44298fc1c14
    sessions           0     e3b0c44298fc1c14
    stderr:
    <url> has the same rows as <dir>/data/arkloop.db.
    Start the server with database.url as it is now, and the same key file. When all is well, move <dir>/data/arkloop.db away: it is out of date from then on.
    ");
    put_aside(&workspace);
    let back = report(workspace.run(&TO_SQLITE));
    let (_, notes) = back.split_once("stderr:").expect("it says what to do");
    assert_snapshot!(notes.trim_start(), @"
    <dir>/data/arkloop.db has the same rows as <url>.
    Take database.url out of the configuration, and start the server with the same key file. <url> is out of date from then on.
    ");
    fs::remove_file(old_database::path(&workspace)).expect("it is the copy");
    let told = workspace.run(&["--json", "db", "copy", "postgres", "sqlite"]);
    assert!(told.starts_with("exit: 0"), "{told}");
}

#[test]
fn a_copy_that_was_killed_goes_on_or_begins_again() {
    for change in [
        None,
        Some("UPDATE users SET locale = 'zh' WHERE username = 'User7'"),
    ] {
        let Some(database) = TestDatabase::new() else {
            return;
        };
        let mut workspace = Workspace::with_database_file();
        old_database::put(&workspace, old_database::newest(), 3_000);
        workspace.set(URL, &database.url());
        kill_at_the_sessions(&workspace, &database);
        let said = workspace.run(&["user", "list"]);
        let refused = "is not complete; run the same `arkloop db copy` again, which finishes it\n";
        assert!(said.starts_with("exit: 1\n") && said.ends_with(refused), "{said}");
        let served = workspace.output(&["serve"], "");
        assert_eq!(served.status.code(), Some(1), "an unfinished copy is not served");
        if let Some(change) = change {
            edit(&workspace, change);
        }
        let report = workspace.json(&TO_POSTGRES);
        match change {
            None => assert!(report["resumed_after"].as_u64() > Some(3_000), "{report}"),
            Some(_) => assert_eq!(report["resumed_after"], Value::Null),
        }
        let users = workspace.json(&["user", "list"]);
        assert_eq!(users.as_array().map(Vec::len), Some(3_000));
        let costs = "SELECT sum(accounts)::bigint FROM password_costs";
        assert_eq!(database.with(|client| number(client, costs)), 3_000);
        // The counts are kept by the trigger again.
        workspace.json(&["user", "delete", "user7", "--yes"]);
        assert_eq!(database.with(|client| number(client, costs)), 2_999);
    }
}

fn number(client: &mut Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).expect("it returns a row").get(0)
}

/// Starts a copy, and kills it when all accounts are copied and it copies sessions.
fn kill_at_the_sessions(workspace: &Workspace, database: &TestDatabase) {
    let made = create_database(&database.parsed_url(), "", Timestamp::from_millis(0));
    made.expect("the migrations apply");
    database.with(|client| {
        // What an interrupted copy leaves, and a constraint that waits for this test.
        let sql = "
            CREATE TABLE unfinished_copy (begun_at BIGINT NOT NULL);
            CREATE FUNCTION wait_for_test() RETURNS boolean LANGUAGE plpgsql AS $$
            BEGIN
                PERFORM pg_advisory_xact_lock_shared(1);
                RETURN true;
            END; $$;
            ALTER TABLE sessions ADD CONSTRAINT wait_for_test CHECK (wait_for_test());
            SELECT pg_advisory_lock(1)";
        client.batch_execute(sql).expect("a superuser may do this");
        let mut copy = workspace.spawn(&TO_POSTGRES);
        let waiting = "SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock' AND wait_event = 'advisory'";
        while number(client, waiting) == 0 {
            assert!(
                copy.try_wait().expect("it is asked").is_none(),
                "the copy has ended"
            );
            thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(number(client, "SELECT count(*) FROM users"), 3_000);
        copy.kill().expect("it runs");
        copy.wait().expect("it ends");
        let sql = "SELECT pg_advisory_unlock(1); ALTER TABLE sessions DROP CONSTRAINT wait_for_test";
        client.batch_execute(sql).expect("a superuser may do this");
    });
}

#[test]
fn a_copy_into_a_file_that_was_killed_goes_on() {
    let Some(database) = TestDatabase::new() else {
        return;
    };
    let mut workspace = Workspace::with_database_file();
    old_database::put(&workspace, old_database::newest(), 3_000);
    workspace.set(URL, &database.url());
    let there = workspace.json(&TO_POSTGRES);
    put_aside(&workspace);
    // The rows that a command which was killed has left, as another one left them: sessions are missing.
    let path = old_database::path(&workspace);
    let unfinished = path.with_file_name("arkloop.db.copy");
    fs::copy(path.with_extension("aside"), &unfinished).expect("it is copied");
    let missing = "PRAGMA foreign_keys = ON; DELETE FROM sessions WHERE hex(id) > printf('%032X', 1500)";
    let begun = Connection::open(&unfinished).expect("it opens");
    begun.execute_batch(missing).expect("the SQL is executed");
    drop(begun);
    assert_snapshot!(workspace.set(URL, "").run(&["-q", "serve"]), @"
    exit: 1
    stderr:
    error: the copy into <dir>/data/arkloop.db is not complete; run the same `arkloop db copy` again, which finishes it
    ");
    workspace.set(URL, &database.url());
    let back = workspace.json(&TO_SQLITE);
    assert!(back["resumed_after"].as_u64() > Some(4_500), "{back}");
    assert_eq!(digests(&back), digests(&there));
    assert!(!unfinished.exists());
}

#[test]
fn a_copy_takes_two_engines_and_the_url_of_one() {
    let mut workspace = Workspace::with_database_file();
    assert_snapshot!(workspace.run(&TO_POSTGRES), @"
    exit: 1
    stderr:
    error: database.url is not set, so there is no database of PostgreSQL; set it, or its variable ARKLOOP_DATABASE__URL; the file is that of the data directory
    ");
    assert_snapshot!(workspace.run(&[&["--json"], &TO_POSTGRES[..]].concat()), @r#"
    exit: 1
    stderr:
    {"error":"database.url is not set, so there is no database of PostgreSQL","hint":"set it, or its variable ARKLOOP_DATABASE__URL; the file is that of the data directory"}
    "#);
    assert_snapshot!(workspace.run(&["db", "copy", "sqlite", "sqlite"]), @"
    exit: 1
    stderr:
    error: a copy goes from one engine to the other; give sqlite and postgres, in the order of the copy; for a copy of the file see: arkloop backup --help
    ");
    // A URL is no argument, because other users of the machine can see arguments.
    assert_snapshot!(workspace.run(&["db", "copy", "sqlite", "postgres://db/auth"]), @"
    exit: 2
    stderr:
    error: invalid value 'postgres://db/auth' for '<TO>'
      [possible values: sqlite, postgres]

      tip: a similar value exists: 'postgres'

    For more information, try '--help'.
    ");
    let server = workspace.serve();
    workspace.set(URL, "postgres://arkloop@/arkloop?host=/nonexistent");
    assert_snapshot!(workspace.run(&TO_POSTGRES), @"
    exit: 1
    stderr:
    error: another arkloop serves <dir>/data/arkloop.db; stop that one first, or name another data directory with --data-dir DIR
    ");
    drop(server);
    let mut empty = Workspace::of_sqlite();
    empty.set(URL, "postgres://arkloop@/arkloop?host=/nonexistent");
    assert_snapshot!(empty.run(&TO_POSTGRES), @"
    exit: 1
    stderr:
    error: there is no database at <dir>/data/arkloop.db; make one with `arkloop init` or `arkloop serve`, or name another data directory with --data-dir DIR
    ");
}

#[test]
fn a_database_in_use_or_of_another_key_is_not_copied_and_none_is_replaced() {
    let Some(database) = TestDatabase::new() else {
        return;
    };
    let mut workspace = Workspace::with_database_file();
    workspace.set(URL, &database.url());
    let said = |workspace: &Workspace, call: &[&str]| {
        workspace
            .run(call)
            .replace(database.parsed_url().shown(), "<url>")
    };
    // Nothing to copy, and then nothing to copy into.
    assert_snapshot!(said(&workspace, &TO_SQLITE), @"
    exit: 1
    stderr:
    error: there is no database at <url>; make one with `arkloop init` or `arkloop serve`, or name another data directory with --data-dir DIR
    ");
    workspace.json(&TO_POSTGRES);
    assert_snapshot!(said(&workspace, &TO_POSTGRES), @"
    exit: 1
    stderr:
    error: <url> is there already, and a copy replaces nothing; move it away, or name another; nothing was changed
    ");
    assert_snapshot!(said(&workspace, &TO_SQLITE), @"
    exit: 1
    stderr:
    error: <dir>/data/arkloop.db is there already, and a copy replaces nothing; move it away, or name another; nothing was changed
    ");
    put_aside(&workspace);
    let server = workspace.serve();
    assert_snapshot!(said(&workspace, &TO_SQLITE), @"
    exit: 1
    stderr:
    error: another arkloop serves <url>; stop that one first, or name another data directory with --data-dir DIR
    ");
    server.stop();
    let other = Workspace::with_database_file();
    fs::copy(other.key_file(), workspace.key_file()).expect("there is a key");
    assert_snapshot!(said(&workspace, &TO_SQLITE), @"
    exit: 1
    stderr:
    error: the key file <dir>/data/arkloop.key is <key>, but <url> needs <key>; put the key file that is needed in its place, or name it with key_file in the configuration; nothing was changed
    ");
}
