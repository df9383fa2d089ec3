//! Runs a command at a terminal, as a person does.

use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Output, Stdio};

use super::Workspace;
use super::redact::redact;

impl Workspace {
    /// As [`Workspace::run`], at a terminal of its own, into which `typed` is typed.
    ///
    /// `script` (util-linux) creates the terminal. The prompt for a password is written to the terminal and is not in the result.
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
            .expect("the command script is installed");
        let mut keyboard = terminal.stdin.take().expect("it is piped");
        keyboard
            .write_all(typed.as_bytes())
            .expect("it takes a few lines");
        drop(keyboard);
        let code = terminal.wait().expect("the process ends").code().unwrap_or(-1);
        let output = Output {
            // In the format of `wait`, the exit code is the second byte.
            status: ExitStatus::from_raw(code << 8),
            stdout: fs::read(stdout).unwrap_or_default(),
            stderr: fs::read(stderr).unwrap_or_default(),
        };
        self.tell(arguments, &output)
    }
}

/// The screen after a command has written to it, without placeholders.
pub struct Screen {
    columns: usize,
    text: String,
    directory: PathBuf,
}

impl Screen {
    /// Everything that the command wrote to both streams.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text with placeholders for values that differ between runs.
    pub fn redacted(&self) -> String {
        let text = redact(&self.text, &self.directory);
        let just_now = (0..90).rev().map(|seconds| format!("{seconds} s ago"));
        just_now.fold(text, |text, ago| text.replace(&ago, "<ago>"))
    }

    /// Panics if a line is wider than the terminal, unless the line is a single word.
    pub fn fits(&self) -> &Self {
        for line in self.text.lines() {
            let is_one_word = !line.trim().contains(' ');
            assert!(
                without_colours(line).chars().count() <= self.columns || is_one_word,
                "{:?} is wider than {} columns:\n{}",
                line,
                self.columns,
                self.text
            );
        }
        self
    }
}

fn without_colours(line: &str) -> String {
    let colours = [0, 31, 32, 33].map(|number| format!("\u{1b}[{number}m"));
    colours
        .iter()
        .fold(line.to_owned(), |line, colour| line.replace(colour, ""))
}

impl Workspace {
    /// Runs a command whose output goes to a terminal of that width, and returns the screen.
    pub fn look_at_a_terminal(&self, columns: usize, arguments: &[&str]) -> Screen {
        self.look(columns, arguments, "")
    }

    /// Runs a command whose standard output `reader`, a command of the shell, reads. Its standard error goes to a terminal.
    pub fn look_at_a_pipe(&self, columns: usize, arguments: &[&str], reader: &str) -> Screen {
        self.look(columns, arguments, &format!("| {reader}"))
    }

    fn look(&self, columns: usize, arguments: &[&str], pipe: &str) -> Screen {
        let command = self.command(arguments);
        let words = command.get_args().map(|word| format!("'{}'", word.display()));
        let line = format!(
            "stty cols {columns} rows 24; '{}' {} {pipe}",
            command.get_program().display(),
            words.collect::<Vec<_>>().join(" ")
        );
        let variables = command.get_envs();
        let output = Command::new("script")
            .args(["--quiet", "--return", "--command", &line, "/dev/null"])
            .current_dir(self.path())
            .env_clear()
            .envs(variables.filter_map(|(name, value)| Some((name, value?))))
            .env("SHELL", "/bin/sh")
            .stdin(Stdio::null())
            .output()
            .expect("the command script is installed");
        self.tell(arguments, &output);
        Screen {
            columns,
            text: String::from_utf8_lossy(&output.stdout).replace('\r', ""),
            directory: self.path(),
        }
    }
}
