//! Databases of earlier releases, created by the migrations that those releases had.

use std::fs;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use rusqlite::{Connection, params};

use super::Workspace;

/// The schema of the first release.
pub const FIRST_RELEASE: u32 = 2;
/// The schema of version 0.1.
pub const BEFORE_LOST_ANSWERS: u32 = 5;
/// The id `arkl`, which every database of arkloop has.
const APPLICATION_ID: i32 = 0x6172_6b6c;

/// Inserts `?1` accounts. [`SESSIONS`] gives each one an ended session.
const ACCOUNTS: &str = "
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
    INSERT INTO users (id, username, username_key, email, email_key, email_verified_at, password_hash, status, locale, created_at)
    SELECT unhex(printf('%032x', i)), 'User' || i, 'user' || i, 'User' || i || '@example.org', 'user' || i || '@example.org',
        1767225600000, '$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHRzYWx0$' || hex(randomblob(32)), 'active', 'en', 1767225600000 + i
    FROM n";
const SESSIONS: &str = "
    INSERT INTO sessions (id, user_id, nonce, method, created_at, last_used_at, expires_at, ended_at, ended_because)
    SELECT id, id, randomblob(16), 'pwd', created_at, created_at, created_at + 1000, created_at + 500, 'signed_out' FROM users";

/// The migrations in the sources: number, name, text.
fn migrations() -> Vec<(u32, String, String)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut found: Vec<_> = fs::read_dir(directory)
        .expect("there are migrations")
        .map(|entry| entry.expect("the entry can be read").path())
        // The directory has those of the other engine.
        .filter(|path| path.is_file())
        .map(|path| {
            let stem = path
                .file_stem()
                .and_then(|stem| stem.to_str())
                .expect("it has a name");
            let (number, name) = stem.split_once('_').expect("its name has a number");
            let sql = fs::read_to_string(&path).expect("the file can be read");
            (number.parse().expect("it is a number"), name.to_owned(), sql)
        })
        .collect();
    found.sort_unstable();
    found
}

/// The newest schema.
pub fn newest() -> u32 {
    migrations().last().expect("there are migrations").0
}

/// The name of a table that the first release did not have.
pub fn a_newer_table() -> String {
    let newer = migrations()
        .into_iter()
        .filter(|(number, ..)| *number > FIRST_RELEASE);
    let mut names = newer.filter_map(|(_, _, sql)| {
        let (_, rest) = sql.split_once("\nCREATE TABLE ")?;
        Some(rest.split_whitespace().next()?.to_owned())
    });
    names.next_back().expect("a migration creates a table")
}

/// The file of the database in a workspace.
pub fn path(workspace: &Workspace) -> PathBuf {
    workspace.path().join("data/arkloop.db")
}

/// Replaces the database that `init` created by one of schema `version` with so many accounts, for the same key.
pub fn put(workspace: &Workspace, version: u32, accounts: u32) {
    let path = path(workspace);
    let key_check: String = Connection::open(&path)
        .and_then(|new| {
            new.query_row("SELECT value FROM settings WHERE name = 'key_check'", [], |row| {
                row.get(0)
            })
        })
        .expect("init recorded the key");
    fs::remove_file(&path).expect("there is one");
    let database = Connection::open(&path).expect("the database opens");
    make(&database, version, &key_check, accounts).expect("the migrations of that version work");
}

fn make(database: &Connection, version: u32, key_check: &str, accounts: u32) -> rusqlite::Result<()> {
    database.execute_batch(
        "PRAGMA journal_mode = WAL; BEGIN;
         CREATE TABLE migrations (
            version INTEGER PRIMARY KEY, name TEXT NOT NULL, sha256 BLOB NOT NULL, applied_at INTEGER NOT NULL
         ) STRICT",
    )?;
    for (number, name, sql) in migrations() {
        if number > version {
            break;
        }
        database.execute_batch(&sql)?;
        database.execute(
            "INSERT INTO migrations VALUES (?1, ?2, ?3, 1767225600000)",
            params![number, name, digest(&SHA256, sql.as_bytes()).as_ref()],
        )?;
    }
    database.pragma_update(None, "user_version", version)?;
    database.pragma_update(None, "application_id", APPLICATION_ID)?;
    database.execute(
        "INSERT INTO settings (name, value, updated_at) VALUES ('key_check', ?1, 1767225600000)",
        [key_check],
    )?;
    database.execute(ACCOUNTS, [accounts])?;
    database.execute(SESSIONS, [])?;
    database.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)")
}

/// The version of the schema in a file, and the objects in it, by name.
pub fn schema_of(path: &Path) -> (u32, Vec<String>) {
    let database = Connection::open(path).expect("the database opens");
    let version = database
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .expect("it has a version");
    let mut statement = database
        .prepare("SELECT type || ' ' || name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY 1")
        .expect("it has a schema");
    let objects = statement
        .query_map([], |row| row.get(0))
        .expect("the schema is read");
    (
        version,
        objects.collect::<Result<_, _>>().expect("the schema is read"),
    )
}

/// The number that the query `sql` returns.
pub fn count(path: &Path, sql: &str) -> i64 {
    Connection::open(path)
        .and_then(|database| database.query_row(sql, [], |row| row.get(0)))
        .expect("it is one number")
}

/// The result of SQLite's integrity check of a file.
pub fn integrity(path: &Path) -> String {
    Connection::open(path)
        .and_then(|database| database.query_row("PRAGMA integrity_check", [], |row| row.get(0)))
        .expect("it is checked")
}
