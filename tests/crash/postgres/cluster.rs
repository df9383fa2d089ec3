//! Servers of PostgreSQL of the harness's own, with fsync on, each on a socket in its directory.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// The directory of the programs of PostgreSQL.
const VARIABLE: &str = "ARKLOOP_CRASH_POSTGRES";

/// Whether a replica has a transaction before it is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replication {
    Synchronous,
    Asynchronous,
}

/// A running server; it is stopped on drop.
pub struct Node {
    programs: PathBuf,
    directory: TempDir,
}

impl Node {
    fn empty() -> Option<Self> {
        let programs = PathBuf::from(std::env::var(VARIABLE).ok()?);
        let directory = tempfile::tempdir().expect("the system has a temporary directory");
        let path = directory.path();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it is our own");
        if is_root() {
            let owned = Command::new("chown").arg("postgres").arg(path).status();
            assert!(
                owned.is_ok_and(|status| status.success()),
                "PostgreSQL has a user"
            );
        }
        Some(Self { programs, directory })
    }

    /// A new primary; `None` if no programs of PostgreSQL are named.
    pub fn primary() -> Option<Self> {
        let node = Self::empty()?;
        let data = node.data();
        node.run(
            "initdb",
            &[
                "-D",
                &data,
                "-A",
                "trust",
                "-U",
                "postgres",
                "-E",
                "UTF8",
                "--locale=C",
            ],
        );
        let access = "local all all trust\nlocal replication all trust\n";
        fs::write(node.path().join("data/pg_hba.conf"), access).expect("the directory is writable");
        node.start();
        Some(node)
    }

    /// A streaming replica of `self`.
    pub fn replica(&self) -> Self {
        let replica = Self::empty().expect("the variable was there before");
        let host = self.path().display().to_string();
        let data = replica.data();
        replica.run(
            "pg_basebackup",
            &[
                "-h", &host, "-U", "postgres", "-D", &data, "-R", "-X", "stream", "-c", "fast",
            ],
        );
        replica.start();
        replica
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    fn data(&self) -> String {
        self.path().join("data").display().to_string()
    }

    pub fn start(&self) {
        let log = self.path().join("log").display().to_string();
        let options = format!(
            "-c listen_addresses= -c max_connections=200 -k '{}'",
            self.path().display()
        );
        self.run(
            "pg_ctl",
            &["-D", &self.data(), "-l", &log, "-w", "-o", &options, "start"],
        );
    }

    /// Ends the server as SIGQUIT does: without a checkpoint, and connections are cut.
    pub fn crash(&self) {
        self.run("pg_ctl", &["-D", &self.data(), "-m", "immediate", "-w", "stop"]);
    }

    pub fn promote(&self) {
        self.run("pg_ctl", &["-D", &self.data(), "-w", "promote"]);
    }

    /// Runs one statement as the superuser; returns what it prints.
    pub fn sql(&self, statement: &str) -> String {
        let host = self.path().display().to_string();
        self.run(
            "psql",
            &["-h", &host, "-U", "postgres", "-d", "postgres", "-Atc", statement],
        )
    }

    /// Waits for replicas from now on, or no longer.
    pub fn replicate(&self, replication: Replication) {
        let names = if replication == Replication::Synchronous {
            "*"
        } else {
            ""
        };
        self.sql(&format!("ALTER SYSTEM SET synchronous_standby_names = '{names}'"));
        self.sql("SELECT pg_reload_conf()");
    }

    fn run(&self, program: &str, arguments: &[&str]) -> String {
        let program = self.programs.join(program);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(&program);
            command
        } else {
            Command::new(&program)
        };
        // A server that keeps the pipe would keep the test waiting.
        let errors = self.path().join("errors");
        let output = fs::File::create(self.path().join("output")).expect("the directory is writable");
        let status = command
            .args(arguments)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(fs::File::create(&errors).expect("the directory is writable"))
            .status();
        let status = status.expect("the programs of PostgreSQL run");
        assert!(
            status.success(),
            "{}: {}",
            program.display(),
            fs::read_to_string(errors).unwrap_or_default()
        );
        fs::read_to_string(self.path().join("output"))
            .unwrap_or_default()
            .trim()
            .to_owned()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.path().join("data/postmaster.pid").exists() {
            self.crash();
        }
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|metadata| std::os::unix::fs::MetadataExt::uid(&metadata) == 0)
}
