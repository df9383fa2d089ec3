//! A command that prints lines of JSON until it is stopped.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Arc;

use serde_json::Value;

use super::Workspace;
use super::secrets::Vault;
use super::served::send_signal;

/// A running command that prints lines of JSON. It is killed on drop.
pub struct Follower {
    child: Child,
    lines: Option<BufReader<ChildStdout>>,
    vault: Arc<Vault>,
}

impl Workspace {
    /// Starts a command that keeps printing.
    pub fn follow(&self, arguments: &[&str]) -> Follower {
        self.follow_with(self.command(arguments))
    }

    /// Starts a command that keeps printing, with standard error in a file.
    pub fn follow_into(&self, arguments: &[&str], errors: &Path) -> Follower {
        let errors = File::create(errors).expect("the directory is writable");
        let mut command = self.command(arguments);
        command.stderr(errors);
        self.follow_with(command)
    }

    fn follow_with(&self, mut command: Command) -> Follower {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the executable runs");
        let lines = child.stdout.take().map(BufReader::new);
        Follower {
            child,
            lines,
            vault: Arc::clone(self.vault()),
        }
    }
}

impl Follower {
    /// Waits for the next line, and returns it.
    pub fn line(&mut self) -> Value {
        let mut line = String::new();
        let lines = self.lines.as_mut().expect("the pipe is open");
        lines.read_line(&mut line).expect("it is text");
        self.vault.hear("what a command wrote", &line);
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("the line is not JSON ({error}): {line:?}"))
    }

    /// Closes the pipe from the command.
    pub fn close(&mut self) {
        self.lines = None;
    }

    /// Sends SIGINT, and waits until the command ends.
    pub fn interrupt(self) -> ExitStatus {
        send_signal(self.child.id(), "INT");
        self.wait()
    }

    /// Waits until the command ends.
    pub fn wait(mut self) -> ExitStatus {
        self.child.wait().expect("the process ends")
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
