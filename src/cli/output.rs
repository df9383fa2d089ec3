//! Writes to standard output and standard error; except for the log, no other file does. Unprintable characters are escaped.

use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::os::fd::AsFd;

use serde_json::{Value, json};

use super::error::Refusal;
use super::layout::{self, can_rewrite, columns, has_colours};
use super::report::Report;
use crate::domain::{More, printable, printable_json};

#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    /// Prints one JSON document instead of text.
    pub(super) is_json: bool,
    /// Prints no notes and no warnings.
    pub(super) is_quiet: bool,
}

impl Output {
    /// Prints the result of a command, then its notes.
    pub(super) fn report(self, report: &Report) -> Result<(), Refusal> {
        match &report.text {
            _ if self.is_json && report.is_on_stderr => write_json_to_stderr(&report.document),
            _ if self.is_json => {
                let document = format!("{:#}\n", report.document);
                print(&printable_json(&document, &['\n']))?;
            }
            Some(text) if report.is_on_stderr => self.note(text),
            Some(text) => {
                let text = printable(text.trim_end_matches('\n'), &['\n']);
                let text = layout::wrap(&text, columns(&io::stdout()));
                print(&format!("{}\n", coloured(text, report.colours)))?;
            }
            None => {}
        }
        for note in &report.notes {
            self.note(note);
        }
        if let Some((more, flag, id)) = report.rest.as_ref().filter(|_| !self.is_quiet) {
            let More { rows, is_at_least } = more;
            let document = json!({ "more": rows, "at_least": is_at_least, flag.trim_start_matches('-'): id });
            let than = if *is_at_least { "more than " } else { "" };
            self.say(&document, &format!("{than}{rows} more; go on with {flag} {id}"));
        }
        Ok(())
    }

    /// Whether a line of progress can be shown and erased.
    pub(super) fn shows_progress(self) -> bool {
        !self.is_json && !self.is_quiet && can_rewrite(&io::stderr())
    }

    /// Whether results are printed as text on a terminal.
    pub(super) fn is_for_a_terminal(self) -> bool {
        !self.is_json && io::stdout().is_terminal()
    }

    fn note(self, text: &str) {
        if !self.is_json && !self.is_quiet {
            write_stderr(text);
        }
    }

    pub(super) fn warning(self, text: &str) {
        if !self.is_quiet {
            self.say(&json!({ "warning": text }), &format!("warning: {text}"));
        }
    }

    /// Prints in one line why a command was refused or failed, and the hint.
    pub(super) fn refusal(self, refusal: &Refusal) {
        let document = json!({ "error": refusal.problem, "hint": refusal.hint });
        self.say(&document, &refusal.to_line());
    }

    /// Writes to standard error: `document` with `--json`, otherwise `text`.
    fn say(self, document: &Value, text: &str) {
        if self.is_json {
            write_json_to_stderr(document);
        } else {
            write_stderr(text);
        }
    }
}

/// Colours the words of `colours` at the beginning of lines, if the terminal has colours.
fn coloured(text: String, colours: &[(&str, u8)]) -> String {
    if colours.is_empty() || !has_colours(&io::stdout()) {
        return text;
    }
    let lines = text.lines().map(|line| {
        let colour = |(word, colour): &(&str, u8)| {
            let rest = line.strip_prefix(word).filter(|rest| rest.starts_with(' '))?;
            Some(format!("\u{1b}[{colour}m{word}\u{1b}[0m{rest}"))
        };
        colours.iter().find_map(colour).unwrap_or_else(|| line.to_owned())
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Overwrites the current line on standard error. An empty text erases it.
pub(super) fn overwrite(text: &str) {
    let _ = write!(io::stderr().lock(), "\r{}\u{1b}[K", printable(text, &[]));
}

/// Standard output for binary data.
///
/// # Errors
/// If it is a terminal.
pub(super) fn stream() -> Result<File, Refusal> {
    let stdout = io::stdout();
    if stdout.is_terminal() {
        return Err(Refusal::new(
            "a backup is binary data, which a terminal cannot show",
            "send it into a file or a program: arkloop backup - > FILE",
        ));
    }
    let descriptor = stdout.as_fd().try_clone_to_owned();
    descriptor.map(File::from).map_err(|cause| {
        Refusal::new(
            format!("standard output cannot be used: {cause}"),
            "name a file instead",
        )
    })
}

/// Prints `text` to standard output unchanged. Returns `false` if the reader has closed the pipe, as in `arkloop user list | head`; that is no error.
pub(super) fn print(text: &str) -> Result<bool, Refusal> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(cause) if cause.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(cause) => Err(Refusal::new(
            format!("the result cannot be written: {cause}"),
            "the command itself was carried out",
        )),
        Ok(()) => Ok(true),
    }
}

/// Prints a question and a space, and leaves the cursor on the line.
pub(super) fn question(text: &str) {
    // The space and a letter of the answer need two columns.
    let columns = columns(&io::stderr()).map(|columns| columns.saturating_sub(2));
    let text = layout::wrap(&printable(text, &[]), columns);
    let _ = write!(io::stderr().lock(), "{text} ");
}

pub(super) fn write_stderr(text: &str) {
    let text = layout::wrap(&printable(text, &['\n']), columns(&io::stderr()));
    // If standard error is closed, there is no other place to write to.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

fn write_json_to_stderr(document: &Value) {
    let document = document.to_string();
    let _ = writeln!(io::stderr().lock(), "{}", printable_json(&document, &[]));
}
