//! The output of a command as one text that tests compare, in plain text and in JSON.

use std::fmt::Write as _;
use std::fs;
use std::process::{Output, Stdio};

use super::Workspace;
use super::redact::redact;
use super::shown::show;

impl Workspace {
    /// Runs a command. Returns exit code and both streams as one text, with placeholders for values that differ between runs.
    pub fn run(&self, arguments: &[&str]) -> String {
        self.run_with_input(arguments, "")
    }

    /// As [`Workspace::run`], with `input` on the standard input.
    pub fn run_with_input(&self, arguments: &[&str], input: impl AsRef<[u8]>) -> String {
        self.tell(arguments, &self.output(arguments, input))
    }

    /// As [`Workspace::run`], in plain text and then with `--json`, for a command that changes nothing.
    pub fn run_in_both_forms(&self, arguments: &[&str]) -> String {
        self.run_in_both_forms_with_input(arguments, "")
    }

    /// As [`Workspace::run_in_both_forms`], with `input` on the standard input of both.
    pub fn run_in_both_forms_with_input(&self, arguments: &[&str], input: impl AsRef<[u8]>) -> String {
        let as_json = [&["--json"], arguments].concat();
        self.run_with_input(arguments, &input) + &self.run_with_input(&as_json, &input)
    }

    /// As [`Workspace::run`], with a standard output that cannot be written.
    pub fn run_onto_a_full_disk(&self, arguments: &[&str]) -> String {
        let full = fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .expect("Linux has the file");
        let output = self
            .command(arguments)
            .stdin(Stdio::null())
            .stdout(full)
            .output()
            .expect("the executable runs");
        self.tell(arguments, &output)
    }

    /// The output of a command as one text. The command is recorded as shown.
    pub(super) fn tell(&self, arguments: &[&str], output: &Output) -> String {
        let code = output.status.code().unwrap_or(-1);
        show(arguments, code);
        let mut text = format!("exit: {code}\n");
        for (name, stream) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
            if !stream.is_empty() {
                let stream = String::from_utf8_lossy(stream);
                let _ = write!(text, "{name}:\n{}", redact(&stream, &self.path()));
            }
        }
        text
    }
}
