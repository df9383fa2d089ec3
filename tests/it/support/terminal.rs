//! Runs a command at a terminal, as a person does.

use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Output, Stdio};

use super::Workspace;

impl Workspace {
    /// Runs a command at a terminal of its own, into which `typed` is typed; the text is as from [`Workspace::run`].
    ///
    /// `script` (util-linux) makes the terminal. What a password is asked with goes there, and is not in the text.
    pub fn run_at_a_terminal(&self, arguments: &[&str], typed: &str) -> String {
        let streams = tempfile::tempdir().expect("the system has a temporary directory");
        let [stdout, stderr] = ["stdout", "stderr"].map(|name| streams.path().join(name));
        let command = self.command(arguments);
        let words = command.get_args().map(|word| format!("'{}'", word.display()));
        let line = format!(
            "exec '{}' {} >'{}' 2>'{}'",
            command.get_program().display(),
            words.collect::<Vec<_>>().join(" "),
            stdout.display(),
            stderr.display()
        );
        let variables = command.get_envs();
        let mut terminal = Command::new("script")
            .args(["--quiet", "--return", "--command", &line, "/dev/null"])
            .current_dir(self.path())
            .env_clear()
            .envs(variables.filter_map(|(name, value)| Some((name, value?))))
            .env("SHELL", "/bin/sh")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("script is there");
        let mut keyboard = terminal.stdin.take().expect("it is piped");
        keyboard
            .write_all(typed.as_bytes())
            .expect("it takes a few lines");
        drop(keyboard);
        let code = terminal.wait().expect("it ends").code().unwrap_or(-1);
        let output = Output {
            // As `wait` would have it: the exit code is the second byte.
            status: ExitStatus::from_raw(code << 8),
            stdout: fs::read(stdout).unwrap_or_default(),
            stderr: fs::read(stderr).unwrap_or_default(),
        };
        self.tell(arguments, &output)
    }
}
