//! The database of one test, past the program: a file of SQLite, or a database of PostgreSQL.

use std::io::Read as _;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::thread;

use regex::Regex;
use serde::{Deserialize, Serialize};

use super::postgres::{TestDatabase, if_connected, is_there, with_client};
use super::record::{Seen, record};

/// The engine that a test runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Engine {
    Sqlite,
    Postgres,
}

impl Engine {
    /// PostgreSQL if there is a server for the tests.
    pub fn of_run() -> Self {
        if is_there() { Self::Postgres } else { Self::Sqlite }
    }

    /// Records that the test which calls this runs on the engine.
    pub fn note(self) {
        // libtest runs each test on a thread with its name.
        if let Some(test) = thread::current().name().filter(|name| name.contains("::")) {
            record(Seen::Ran(Self::of_run(), self, test.to_owned()));
        }
    }
}

/// The database of one test.
pub enum Database {
    /// The file, which the program makes.
    File(PathBuf),
    /// A database of PostgreSQL, which is removed when this is dropped.
    Own(TestDatabase),
    /// The URL of a database that the test has made itself.
    Given(String),
}

impl Database {
    pub fn url(&self) -> Option<String> {
        match self {
            Self::File(_) => None,
            Self::Own(database) => Some(database.url()),
            Self::Given(url) => Some(url.clone()),
        }
    }

    /// `sqlite` or `postgres`: the form of a statement for this database.
    pub fn form<'a>(&self, sqlite: &'a str, postgres: &'a str) -> &'a str {
        match self {
            Self::File(_) => sqlite,
            Self::Own(_) | Self::Given(_) => postgres,
        }
    }

    /// Runs statements without results.
    pub fn change(&self, sql: &str) {
        match self.url() {
            None => self.open().execute_batch(sql).expect("the SQL is executed"),
            Some(url) => with_client(&url, |client| {
                client
                    .batch_execute(&translated(sql))
                    .expect("the SQL is executed");
            }),
        }
    }

    /// The number that a SELECT returns; a truth value is 0 or 1.
    pub fn count(&self, sql: &str) -> i64 {
        if let Self::File(_) = self {
            let number = self.open().query_row(sql, [], |row| row.get(0));
            return number.expect("it is one number");
        }
        match &*self.text(sql) {
            "true" => 1,
            "false" => 0,
            number => number.parse().expect("it is one number"),
        }
    }

    /// The text that a SELECT returns; empty if it is NULL.
    pub fn text(&self, sql: &str) -> String {
        let text: Option<String> = match self.url() {
            None => self
                .open()
                .query_row(sql, [], |row| row.get(0))
                .expect("it is one row"),
            Some(url) => with_client(&url, |client| {
                let sql = format!("SELECT ({})::text", translated(sql));
                client.query_one(&sql, &[]).expect("it is one row").get(0)
            }),
        };
        text.unwrap_or_default()
    }

    /// The content of all tables of a database of PostgreSQL, with texts and bytes as they are. A test may have named one that is not there.
    pub fn content(&self) -> Option<Vec<u8>> {
        if_connected(&self.url()?, |client| {
            let tables = "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'";
            let mut content = Vec::new();
            for row in client.query(tables, &[]).expect("it is one query") {
                let table: String = row.get(0);
                let copy = format!("COPY {table} TO STDOUT (FORMAT binary)");
                let mut rows = client.copy_out(&copy).expect("the table is read");
                rows.read_to_end(&mut content).expect("the table is read");
            }
            content
        })
    }

    fn open(&self) -> rusqlite::Connection {
        let Self::File(path) = self else {
            panic!("the database is no file");
        };
        rusqlite::Connection::open(path).expect("the database opens")
    }
}

/// What tests write in the words of SQLite, and PostgreSQL has in others.
static WORDS: LazyLock<[(Regex, &str); 8]> = LazyLock::new(|| {
    let words = [
        (r"\bx'", r"'\x"),
        (r"\bgroup_concat\(([^()]+)\)", "string_agg($1, ',')"),
        (r"\brandomblob\(16\)", "uuid_send(gen_random_uuid())"),
        (
            r"\brandomblob\(32\)",
            "uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())",
        ),
        (r"\bzeroblob\(32\)", "decode(repeat('00', 32), 'hex')"),
        (r"\bhex\(([a-z_.]+)\)", "encode($1, 'hex')"),
        (
            r"\bunhex\(printf\('%012x%020x', ([^,]+), ([^)]+)\)\)",
            "decode(lpad(to_hex($1), 12, '0') || lpad(to_hex($2), 20, '0'), 'hex')",
        ),
        (
            r"\bunhex\(printf\('%032x', ([^)]+)\)\)",
            "decode(lpad(to_hex($1), 32, '0'), 'hex')",
        ),
    ];
    words.map(|(sqlite, postgres)| (Regex::new(sqlite).expect("it is an expression"), postgres))
});

/// The statement in the words of PostgreSQL.
fn translated(sql: &str) -> String {
    let words = WORDS.iter();
    words.fold(sql.to_owned(), |sql, (sqlite, postgres)| {
        sqlite.replace_all(&sql, *postgres).into_owned()
    })
}

/// Bytes as they are written in the statements of tests.
pub fn literal(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("x'{}'", digits.concat())
}
