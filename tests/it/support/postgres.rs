//! Databases of PostgreSQL for tests, if `ARKLOOP_TEST_DATABASE_URL` names a server: a superuser's URL, such as
//! `postgres://postgres@/postgres?host=/run/postgresql`.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use arkloop::domain::{DatabaseUrl, Timestamp};
use arkloop::store::create_database;
use arkloop::system::{Machine as _, ThisMachine};
use parking_lot::Mutex;
use postgres::{Client, NoTls};

/// The variable with the URL.
const VARIABLE: &str = "ARKLOOP_TEST_DATABASE_URL";
/// What the names of the databases of tests begin with. The number of the process follows, and the number of the database.
const PREFIX: &str = "arkloop_test_";
/// The class of the advisory locks that processes with tests hold.
const LOCKS: i32 = 702_010_523;

static MADE: AtomicU32 = AtomicU32::new(0);

/// The server, which this process has told that it runs.
static SERVER: LazyLock<Option<Server>> = LazyLock::new(|| {
    let url = std::env::var(VARIABLE).ok()?;
    Some(Server::of(url))
});

/// The server that the variable names.
struct Server {
    url: String,
    /// A random number, because ids of processes are the same in other containers.
    process: i32,
    /// Holds the lock of this process until it ends.
    _holder: Mutex<Client>,
}

impl Server {
    /// Takes the lock of this process, and removes what killed processes have left: the databases whose process holds no lock.
    fn of(url: String) -> Self {
        let mut bytes = [0; 4];
        ThisMachine.fill(&mut bytes);
        let process = i32::from_ne_bytes(bytes) & i32::MAX;
        let holder = on_own_thread(|| {
            let mut client = connect(&url);
            lock(&mut client, process);
            let sql = "SELECT datname::text FROM pg_database WHERE datname LIKE $1 || '%'";
            for row in client.query(sql, &[&PREFIX]).expect("a superuser may do this") {
                let name: String = row.get(0);
                let number = name[PREFIX.len()..].split('_').next().unwrap_or_default();
                let Ok(owner) = number.parse::<i32>() else {
                    continue;
                };
                if owner != process && lock(&mut client, owner) {
                    // Another process may remove it at the same time.
                    let _ = client.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
                    client
                        .execute("SELECT pg_advisory_unlock($1, $2)", &[&LOCKS, &owner])
                        .expect("it is held");
                }
            }
            client
        });
        Self {
            url,
            process,
            _holder: Mutex::new(holder),
        }
    }

    fn manage(&self, sql: &str) {
        with_client(&self.url, |client| {
            client.batch_execute(sql).expect("a superuser may do this");
        });
    }
}

fn lock(client: &mut Client, process: i32) -> bool {
    let found = client.query_one("SELECT pg_try_advisory_lock($1, $2)", &[&LOCKS, &process]);
    found.expect("it can be asked").get(0)
}

/// Whether the tests run on PostgreSQL.
pub fn is_there() -> bool {
    std::env::var_os(VARIABLE).is_some()
}

/// A database that is removed when this is dropped.
pub struct TestDatabase {
    server: &'static Server,
    name: String,
}

impl TestDatabase {
    /// An empty database; `None` if no server is named.
    pub fn new() -> Option<Self> {
        Self::named("")
    }

    /// An empty database for a workspace, with a name that the placeholders for its output know.
    pub fn of_workspace() -> Option<Self> {
        Self::named("_workspace")
    }

    fn named(end: &str) -> Option<Self> {
        let server = SERVER.as_ref()?;
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}_{number}{end}", server.process);
        server.manage(&format!("CREATE DATABASE {name} TEMPLATE template0"));
        Some(Self { server, name })
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
        let (before, parameters) = self.server.url.split_once('?').unwrap_or((&self.server.url, ""));
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
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        self.server
            .manage(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
    }
}

/// Calls `work` with a connection to the database at `url`, on a thread where it may wait.
pub fn with_client<T: Send>(url: &str, work: impl FnOnce(&mut Client) -> T + Send) -> T {
    on_own_thread(|| work(&mut connect(url)))
}

/// As [`with_client`]; `None` if there is no database at `url`.
pub fn if_connected<T: Send>(url: &str, work: impl FnOnce(&mut Client) -> T + Send) -> Option<T> {
    on_own_thread(|| Some(work(&mut Client::connect(url, NoTls).ok()?)))
}

fn connect(url: &str) -> Client {
    Client::connect(url, NoTls).expect("the server answers")
}

fn on_own_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let worked = thread::scope(|scope| scope.spawn(work).join());
    worked.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
