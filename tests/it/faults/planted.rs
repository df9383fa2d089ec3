//! The search for secrets finds what is planted: in each form, and in each place that is searched for every test.

use std::collections::BTreeSet;

use rusqlite::Connection;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::secrets::{Haystack, Secrets};
use crate::support::{Engine, Request, TestApp, Workspace};

/// A server that has received `password`, and whose secrets may be found without failing the test.
async fn told(password: &str) -> TestApp {
    let app = TestApp::open().await;
    app.workspace().vault().give_up();
    assert_eq!(app.login("alice", password).await.status, 401);
    app
}

/// The secrets of `app` that are found in everything that was said.
fn said(app: &TestApp) -> BTreeSet<String> {
    let vault = app.workspace().vault();
    vault.find_in(&vault.said())
}

fn is_in(found: &BTreeSet<String>, place: &str) -> bool {
    found
        .iter()
        .any(|found| found.contains(&format!(", in {place}: ")))
}

#[tokio::test]
async fn a_password_in_a_log_line_is_found() {
    let password = "planted in the log";
    let app = told(password).await;
    assert_eq!(said(&app), BTreeSet::new());
    tracing::trace!(password, "a line that nobody should have written");
    let found = said(&app);
    assert!(is_in(&found, "the log of this process"), "{found:#?}");
}

#[tokio::test]
async fn a_password_in_the_database_and_its_backup_is_found() {
    let password = "planted in the database";
    let app = told(password).await;
    let (workspace, vault) = (app.workspace(), app.workspace().vault());
    assert_eq!(vault.find_in(&workspace.files()), BTreeSet::new());
    app.change(&format!(
        "INSERT INTO settings (name, value, updated_at) VALUES ('planted', '{password}', 0)"
    ));
    let found = vault.find_in(&workspace.files());
    let path = app.data_dir().join("arkloop.db").display().to_string();
    let places = match workspace.engine() {
        Engine::Sqlite => vec![format!("{path}-wal"), format!("a backup of {path}")],
        Engine::Postgres => vec!["the tables of the database".to_owned()],
    };
    for place in places {
        assert!(is_in(&found, &place), "{place}: {found:#?}");
    }
}

/// Answers one request with a refusal that repeats it.
async fn repeat_once(listener: TcpListener) {
    let (mut stream, _) = listener.accept().await.expect("somebody comes");
    let mut request = vec![0; 4096];
    let length = stream.read(&mut request).await.expect("the client writes");
    let head = format!("HTTP/1.1 400 Bad Request\r\ncontent-length: {length}\r\n\r\n");
    let answer = [head.as_bytes(), &request[..length]].concat();
    stream.write_all(&answer).await.expect("the client reads");
}

#[tokio::test]
async fn a_token_and_a_code_in_a_refusal_are_found() {
    let app = told("planted in a refusal").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a port");
    let address = listener.local_addr().expect("it listens");
    app.workspace().vault().serve_at(address);
    let repeating = tokio::spawn(repeat_once(listener));
    let token = "cGxhbnRlZCBpbiBhIHJlZnVzYWwsIDMyIGJ5dGVzIGw";
    let request = Request::new(address, "POST", "/planted").bearer(token);
    let answer = request.json(&json!({"otp": "730 519"})).send().await;
    assert_eq!(answer.status, 400);
    repeating.await.expect("it answered");
    let found = said(&app);
    assert!(is_in(&found, "a refusal"), "{found:#?}");
    // With the space that was typed, the code is not a word of six digits.
    assert!(
        !found.iter().any(|found| found.starts_with("a code,")),
        "{found:#?}"
    );
    // Behind a decimal point, it is a part of a number.
    app.workspace()
        .vault()
        .hear("a refusal", "duration_ms=352.730519");
    assert!(!said(&app).iter().any(|found| found.starts_with("a code,")));
    app.workspace().vault().hear("a refusal", "730519: no such code");
    let found = said(&app);
    assert!(
        found
            .iter()
            .any(|found| found.starts_with("a code, in a refusal")),
        "{found:#?}"
    );
}

#[test]
fn what_commands_and_the_executable_write_is_searched() {
    let workspace = Workspace::with_database();
    let vault = workspace.vault();
    vault.give_up();
    // These texts are always written; here they count as secrets.
    for (words, place) in [
        ("No mail waits.", "what a command wrote"),
        ("listening on http://", "the log of the executable"),
    ] {
        vault.gather(|secrets| secrets.add("words", words));
        assert_eq!(vault.find_in(&vault.said()), BTreeSet::new(), "{place}");
        workspace.run(&["mail", "queue"]);
        workspace.serve().stop();
        let found = vault.find_in(&vault.said());
        assert!(is_in(&found, place), "{place}: {found:#?}");
        vault.forget();
    }
}

#[test]
fn what_was_given_as_a_name_too_is_no_secret() {
    let workspace = Workspace::new();
    let body = br#"{"login": "A-name-that-is-a-password", "password": "a-name-that-is-a-password"}"#;
    workspace.vault().gather_request(&[], body);
    let haystack = Haystack::default().with_said("a log", "a-name-that-is-a-password");
    assert_eq!(workspace.vault().find_in(&haystack), BTreeSet::new());
}

/// How `ünd sentinel? >ü` may be written, with the name of the form.
const FORMS: [(&str, &str); 11] = [
    ("raw", "…ünd sentinel? >ü…"),
    ("hex", "c3bc6e642073656e74696e656c3f203ec3bc"),
    ("hex", "C3BC6E642073656E74696E656C3F203EC3BC"),
    // Of the secret alone, and with `x` or `xy` before it and `z` behind it.
    ("base64", "w7xuZCBzZW50aW5lbD8gPsO8"),
    ("base64", "eMO8bmQgc2VudGluZWw/ID7DvHo="),
    ("base64", "eMO8bmQgc2VudGluZWw_ID7DvHo"),
    ("base64", "eHnDvG5kIHNlbnRpbmVsPyA+w7x6"),
    ("base64", "eHnDvG5kIHNlbnRpbmVsPyA-w7x6"),
    ("URL-encoded", "%C3%BCnd%20sentinel%3F%20%3E%C3%BC"),
    ("URL-encoded", "%C3%BCnd+sentinel%3F+%3E%C3%BC"),
    (
        "every byte URL-encoded",
        "%c3%bc%6e%64%20%73%65%6e%74%69%6e%65%6c%3f%20%3e%c3%bc",
    ),
];

fn run(database: &Connection, statement: &str) {
    let done = database.execute_batch(statement);
    done.expect("the statement is right");
}

#[test]
fn a_planted_secret_is_found_in_each_form() {
    let directory = tempfile::tempdir().expect("there is a directory");
    let path = directory.path().join("arkloop.db");
    let database = Connection::open(&path).expect("it opens");
    run(
        &database,
        "PRAGMA journal_mode = WAL; CREATE TABLE planted (value BLOB)",
    );
    let mut secrets = Secrets::default();
    secrets.add("planted", "ünd sentinel? >ü");
    let nothing = Haystack::of_directory(directory.path()).with_said("log", "ünd sentinel?");
    assert_eq!(nothing.find(&secrets), BTreeSet::new());
    for (form, text) in FORMS {
        let in_log = Haystack::default().with_said("log", format!("a line {text} of a log"));
        let found = in_log.find(&secrets);
        let is_found = found
            .iter()
            .any(|found| found.starts_with(&format!("planted, {form}, in log")));
        assert!(is_found, "{text}: {found:?}");
        database
            .execute("INSERT INTO planted VALUES (?1)", [text.as_bytes()])
            .expect("it is planted");
        let found = Haystack::of_directory(directory.path())
            .with_backup(&path)
            .find(&secrets);
        for place in ["-wal", "a backup of"] {
            let is_found = found
                .iter()
                .any(|found| found.contains(&format!("{form}, in ")) && found.contains(place));
            assert!(is_found, "{text} {place}: {found:?}");
        }
        run(
            &database,
            "DELETE FROM planted; PRAGMA wal_checkpoint(TRUNCATE); VACUUM; PRAGMA wal_checkpoint(TRUNCATE)",
        );
    }
}
