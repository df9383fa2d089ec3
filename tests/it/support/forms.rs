//! What comes out of a command as one text to compare, in each form in which it can be asked.

use std::fmt::Write as _;
use std::fs;
use std::process::{Output, Stdio};

use super::Workspace;
use super::redact::redact;
use super::shown::show;

impl Workspace {
    /// Runs a command; exit code and both streams as one text, with what differs from run to run replaced.
    pub fn run(&self, arguments: &[&str]) -> String {
        self.run_with_input(arguments, "")
    }

    /// Runs a command with `input` on its standard input; the text is as from [`Workspace::run`].
    pub fn run_with_input(&self, arguments: &[&str], input: impl AsRef<[u8]>) -> String {
        self.tell(arguments, &self.output(arguments, input))
    }

    /// Runs a command, which changes nothing, in text and then with `--json`; both texts are as from [`Workspace::run`].
    pub fn run_in_both_forms(&self, arguments: &[&str]) -> String {
        self.run_in_both_forms_with_input(arguments, "")
    }

    /// The same with `input` on the standard input of both.
    pub fn run_in_both_forms_with_input(&self, arguments: &[&str], input: impl AsRef<[u8]>) -> String {
        let as_json = [&["--json"], arguments].concat();
        self.run_with_input(arguments, &input) + &self.run_with_input(&as_json, &input)
    }

    /// Runs a command whose results cannot be written anywhere; the text is as from [`Workspace::run`].
    pub fn run_onto_a_full_disk(&self, arguments: &[&str]) -> String {
        let full = fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .expect("Linux has it");
        let output = self
            .command(arguments)
            .stdin(Stdio::null())
            .stdout(full)
            .output()
            .expect("the executable runs");
        self.tell(arguments, &output)
    }

    /// What came out of a command, as one text; it is recorded as shown.
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
