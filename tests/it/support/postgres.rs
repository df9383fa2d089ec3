//! A database of PostgreSQL for one test, if `ARKLOOP_TEST_DATABASE_URL` names a server: a superuser's URL, such as
//! `postgres://postgres@/postgres?host=/run/postgresql`.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use arkloop::domain::{DatabaseUrl, Timestamp};
use arkloop::store::create_database;
use postgres::{Client, NoTls};

/// The variable with the URL.
const VARIABLE: &str = "ARKLOOP_TEST_DATABASE_URL";

static MADE: AtomicU32 = AtomicU32::new(0);

/// A database that is removed when this is dropped.
pub struct TestDatabase {
    server: String,
    name: String,
}

impl TestDatabase {
    /// An empty database; `None` if no server is named.
    pub fn new() -> Option<Self> {
        let server = std::env::var(VARIABLE).ok()?;
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("arkloop_test_{}_{number}", std::process::id());
        let database = Self { server, name };
        database.manage(&format!("CREATE DATABASE {} TEMPLATE template0", database.name));
        Some(database)
    }

    /// A database with the tables of arkloop.
    pub fn migrated() -> Option<Self> {
        let database = Self::new()?;
        let made = create_database(&database.parsed_url(), "", Timestamp::from_millis(0));
        made.expect("the migrations apply");
        Some(database)
    }

    /// The URL of the server with the name of this database.
    pub fn url(&self) -> String {
        let (before, parameters) = self.server.split_once('?').unwrap_or((&self.server, ""));
        let (host, _) = before.rsplit_once('/').expect("the URL names a database");
        format!("{host}/{}?{parameters}", self.name)
    }

    pub fn parsed_url(&self) -> DatabaseUrl {
        DatabaseUrl::parse(&self.url()).expect("it is the URL of a database")
    }

    /// Calls `work` with a connection, on a thread where it may wait.
    pub fn with<T: Send>(&self, work: impl FnOnce(&mut Client) -> T + Send) -> T {
        with_client(&self.url(), work)
    }

    fn manage(&self, sql: &str) {
        with_client(&self.server, |client| {
            client.batch_execute(sql).expect("a superuser may do this");
        });
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        self.manage(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

fn with_client<T: Send>(url: &str, work: impl FnOnce(&mut Client) -> T + Send) -> T {
    let worked = thread::scope(|scope| {
        let work = scope.spawn(|| work(&mut Client::connect(url, NoTls).expect("the server answers")));
        work.join()
    });
    worked.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
