//! Runs the real executable in a directory of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use arkloop::config::{Config, Sources};
use serde_json::Value;
use tempfile::TempDir;

use super::Served;
use super::database::{Database, Engine};
use super::postgres::TestDatabase;
use super::secrets::{Haystack, Vault};
use super::smtp::{Mailbox, SmtpServer};

/// A working directory, and the environment of the commands that run in it. On drop, the directory is searched for secrets.
pub struct Workspace {
    directory: TempDir,
    variables: BTreeMap<String, String>,
    /// What the shell runs before it becomes the command.
    prelude: Option<String>,
    user: Option<u32>,
    vault: Arc<Vault>,
    /// The files that the test wrote.
    written: Mutex<BTreeSet<PathBuf>>,
    engine: Engine,
    /// Made when it is first used.
    database: OnceLock<Database>,
}

/// The variable with the URL of a database.
const DATABASE_URL: &str = "ARKLOOP_DATABASE__URL";

impl Workspace {
    /// An empty directory, and an environment with the cheapest password hash and a fixed public address.
    pub fn new() -> Self {
        Self::on(Engine::of_run())
    }

    /// As [`Workspace::new`], for tests of what only SQLite has, such as its file: they run on it in every run.
    pub fn of_sqlite() -> Self {
        Self::on(Engine::Sqlite)
    }

    fn on(engine: Engine) -> Self {
        let variables = [
            ("ARKLOOP_PASSWORD__ARGON2_MEMORY_KIB", "8"),
            ("ARKLOOP_PASSWORD__ARGON2_ITERATIONS", "1"),
            // The default depends on the port, which differs between the server of a test and the commands.
            ("ARKLOOP_SERVER__PUBLIC_URL", "http://localhost:8080"),
        ];
        let variables = variables
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Self {
            directory: tempfile::tempdir().expect("the system has a temporary directory"),
            variables,
            prelude: None,
            user: None,
            vault: Arc::default(),
            written: Mutex::default(),
            engine,
            database: OnceLock::new(),
        }
    }

    /// A directory in which `init` has run.
    pub fn with_database() -> Self {
        Self::new().initialized()
    }

    /// As [`Workspace::with_database`], for tests of what only SQLite has.
    pub fn with_database_file() -> Self {
        Self::of_sqlite().initialized()
    }

    fn initialized(self) -> Self {
        assert!(self.output(&["init"], "").status.success(), "init works");
        self
    }

    /// The engine of the database.
    pub fn engine(&self) -> Engine {
        match self.database() {
            Database::File(_) => Engine::Sqlite,
            Database::Own(_) | Database::Given(_) => Engine::Postgres,
        }
    }

    /// Uses SQLite in every run.
    pub fn use_sqlite(&mut self) {
        self.engine = Engine::Sqlite;
        self.database = OnceLock::new();
    }

    /// The database, past the program.
    pub fn database(&self) -> &Database {
        self.database.get_or_init(|| {
            if let Some(url) = self.variables.get(DATABASE_URL) {
                Engine::Postgres.note();
                return Database::Given(url.clone());
            }
            self.engine.note();
            match self.engine {
                Engine::Sqlite => Database::File(self.path().join("data/arkloop.db")),
                Engine::Postgres => Database::Own(TestDatabase::of_workspace().expect("there is a server")),
            }
        })
    }

    /// The environment of commands.
    fn environment(&self) -> BTreeMap<String, String> {
        let mut variables = self.variables.clone();
        if let Database::Own(database) = self.database() {
            variables.insert(DATABASE_URL.to_owned(), database.url());
        }
        variables
    }

    /// The directory.
    pub fn path(&self) -> PathBuf {
        self.directory
            .path()
            .canonicalize()
            .expect("the directory exists")
    }

    /// The path of the key file.
    pub fn key_file(&self) -> PathBuf {
        self.path().join("data/arkloop.key")
    }

    /// Writes a file of that name.
    pub fn write(&self, name: &str, text: &str) -> &Self {
        let path = self.path().join(name);
        fs::write(&path, text).expect("the directory is writable");
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.insert(path);
        drop(written);
        self
    }

    /// Sets a variable of the environment.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        if name.ends_with("SMTP_PASSWORD") || name.ends_with("SECRET_KEY") {
            self.vault.gather(|secrets| secrets.add_typed(name, value));
        }
        if let Some(mailbox) = Mailbox::at(value) {
            self.vault.watch_mailbox(mailbox);
        }
        self
    }

    /// Sends mail through `server`.
    pub fn send_mail_through(&mut self, server: &SmtpServer) -> &mut Self {
        if let Some(authority) = server.authority() {
            self.write("authority.pem", authority);
            self.set("ARKLOOP_MAIL__CA_FILE", "authority.pem");
        }
        self.set("ARKLOOP_MAIL__TRANSPORT", "smtp")
            .set("ARKLOOP_MAIL__SMTP_URL", &server.url())
    }

    /// The secrets of this workspace.
    pub fn vault(&self) -> &Arc<Vault> {
        &self.vault
    }

    /// Every file that the program has created here, and a backup of the database.
    pub fn files(&self) -> Haystack {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let directory = self.path();
        Haystack::of_directory_without(&directory, |path| written.contains(path))
            .with_backup(&directory.join("data/arkloop.db"))
            .with_content(self.database.get())
    }

    /// Runs commands after `prelude` in the same process, such as `ulimit -n 80`.
    pub fn under(&mut self, prelude: &str) -> &mut Self {
        self.prelude = Some(prelude.to_owned());
        self
    }

    /// Runs commands as another user, which only root can.
    pub fn run_as(&mut self, user: u32) -> &mut Self {
        self.user = Some(user);
        self
    }

    /// The configuration that a command reads if it is run here.
    pub fn config(&self) -> Config {
        let sources = Sources {
            env: self.environment(),
            cwd: self.path(),
            ..Sources::default()
        };
        Config::load(&sources).expect("the configuration of the test is right")
    }

    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        const EXECUTABLE: &str = env!("CARGO_BIN_EXE_arkloop");
        let mut command = Command::new(self.prelude.as_ref().map_or(EXECUTABLE, |_| "/bin/sh"));
        if let Some(prelude) = &self.prelude {
            command.args(["-c", &format!("{prelude}; exec \"$0\" \"$@\""), EXECUTABLE]);
        }
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .envs(self.environment());
        command
    }

    /// Starts a command, and does not wait for its end.
    pub fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the executable runs")
    }

    /// Starts a command whose standard error is a pipe without a reader.
    pub fn spawn_logging_into_a_closed_pipe(&self, arguments: &[&str]) -> Child {
        let (reader, writer) = std::io::pipe().expect("the system has pipes");
        drop(reader);
        self.command(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(writer)
            .spawn()
            .expect("the executable runs")
    }

    /// Runs a command with `input` on its standard input.
    pub fn output(&self, arguments: &[&str], input: impl AsRef<[u8]>) -> Output {
        let input = input.as_ref();
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the executable runs");
        let mut stdin = child.stdin.take().expect("it is piped");
        // A command that does not read may have ended already.
        let _ = stdin.write_all(input);
        drop(stdin);
        let output = child.wait_with_output().expect("the command ends");
        self.vault
            .gather_command(arguments, &String::from_utf8_lossy(input), &output);
        output
    }

    /// Runs a command with `--json`, which must succeed, and returns its document.
    pub fn json(&self, arguments: &[&str]) -> Value {
        self.json_with_input(arguments, "")
    }

    /// Runs a command with `--json` and with `input` on standard input; it must succeed. Returns its document.
    pub fn json_with_input(&self, arguments: &[&str], input: &str) -> Value {
        let output = self.output(&[&["--json"], arguments].concat(), input);
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).expect("standard output is one JSON document")
    }

    /// Waits until the running server has tried each waiting mail so often, and returns the waiting mails.
    pub fn wait_for_attempts(&self, attempts: u64) -> Vec<Value> {
        loop {
            let queue = self.json(&["mail", "queue"]);
            let queue = queue.as_array().expect("the value is a list").clone();
            if queue
                .iter()
                .all(|mail| mail["attempts"].as_u64() >= Some(attempts))
            {
                return queue;
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Creates an account with the password `a decent password`, and returns its id.
    pub fn create_user(&self, login: &str) -> String {
        let email = format!("{login}@example.org");
        let arguments = ["user", "create", login, "--email", &email, "--password-stdin"];
        let user = self.json_with_input(&arguments, "a decent password\n");
        user["id"].as_str().expect("an id is a text").to_owned()
    }

    /// Starts the server on a free port and waits until it listens.
    pub fn serve(&self) -> Served {
        self.serve_on("127.0.0.1:0")
    }

    /// Starts the server on `listen` and waits until it listens.
    pub fn serve_on(&self, listen: &str) -> Served {
        let mut child = self
            .command(&["serve", "--listen", listen])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the executable runs");
        let mut stderr = BufReader::new(child.stderr.take().expect("it is piped"));
        let (found, address) = mpsc::channel();
        // The log is read to its end, because a server with a full pipe would wait for a reader.
        let log = thread::spawn(move || {
            let mut log = String::new();
            let mut start = 0;
            while stderr.read_line(&mut log).is_ok_and(|length| length > 0) {
                if let Some((_, rest)) = log[start..].split_once("listening on http://") {
                    let _ = found.send(rest.split([';', '\n']).next().unwrap_or_default().to_owned());
                }
                start = log.len();
            }
            log
        });
        let mut server = Served {
            child,
            log: Some(log),
            address: String::new(),
            path: self.path(),
            vault: Arc::clone(&self.vault),
        };
        let Ok(address) = address.recv() else {
            panic!("the server ended before it listened: {}", server.wait().1);
        };
        if let Ok(address) = address.parse::<SocketAddr>() {
            self.vault.serve_at(address);
        }
        server.address = address;
        server
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        let outbox = self.path().join("data/outbox");
        self.vault.gather_written_mails(&outbox);
        self.vault.search(&self.files());
    }
}
