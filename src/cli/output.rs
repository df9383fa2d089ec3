//! The only place that writes to standard output and standard error. What is unprintable is written out here, whatever it is part of.

use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::os::fd::AsFd;

use serde_json::{Value, json};

use super::error::Refusal;
use super::layout;
use super::times::Times;
use crate::domain::{Timestamp, printable, printable_json};

/// The width of a terminal that does not say how wide it is.
const USUAL_COLUMNS: usize = 80;

/// How results and refusals look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// For people.
    Text,
    /// One JSON document.
    Json,
}

/// How much is said beside the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Volume {
    /// Notes and warnings are shown.
    Normal,
    /// Only refusals are.
    Quiet,
}

impl From<bool> for Volume {
    fn from(is_quiet: bool) -> Self {
        if is_quiet { Self::Quiet } else { Self::Normal }
    }
}

/// Both streams, in the style that was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    style: Style,
    volume: Volume,
}

impl Output {
    /// Writes in `style`, and as much as `volume` says.
    pub(super) const fn new(style: Style, volume: Volume) -> Self {
        Self { style, volume }
    }

    /// Prints a result: `document` with `--json`, `text` otherwise. The text gets its newline here.
    pub(super) fn result(self, document: &Value, text: impl FnOnce() -> String) -> Result<(), Refusal> {
        match self.style {
            Style::Json => print(&format!(
                "{}\n",
                printable_json(&format!("{document:#}"), &['\n'])
            )),
            Style::Text => {
                let text = text();
                let text = printable(text.trim_end_matches('\n'), &['\n']);
                print(&format!("{}\n", layout::wrap(&text, columns())))
            }
        }
    }

    /// Whether only what matters most is said.
    pub(super) const fn is_quiet(self) -> bool {
        matches!(self.volume, Volume::Quiet)
    }

    /// Prints lines with a mark before each, in its colour on a terminal that has colours.
    pub(super) fn marked(self, document: &Value, lines: &[MarkedLine]) -> Result<(), Refusal> {
        if self.style == Style::Json {
            return self.result(document, String::new);
        }
        let has_colours = io::stdout().is_terminal() && has_colours();
        let shown = lines.iter().map(|line| {
            let text = layout::beside(&line.head, &printable(&line.text, &[]), columns());
            match (line.mark.colour(), text.split_once(' ')) {
                (Some(colour), Some((mark, rest))) if has_colours => {
                    format!("\u{1b}[{colour}m{mark}\u{1b}[0m {rest}\n")
                }
                _ => text + "\n",
            }
        });
        print(&shown.collect::<String>())
    }

    /// Whether the progress of long work can be shown: to a person, on a terminal where it can be erased again.
    pub(super) fn shows_progress(self) -> bool {
        self.style == Style::Text && !self.is_quiet() && io::stderr().is_terminal() && !is_dumb()
    }

    /// Whether the result is a text on a terminal.
    pub(super) fn is_for_a_terminal(self) -> bool {
        self.style == Style::Text && io::stdout().is_terminal()
    }

    /// How times read in a text of this moment.
    pub(super) fn times(self, now: Timestamp) -> Times {
        if self.is_for_a_terminal() {
            Times::From(now)
        } else {
            Times::Exact
        }
    }

    /// Says that a list has `more` rows than were printed, and the flag that shows them, such as `--after ID`.
    pub(super) fn more(self, more: u32, flag: &str, place: &str) {
        match (more, self.volume, self.style) {
            (0, _, _) | (_, Volume::Quiet, _) => {}
            (_, _, Style::Text) => {
                write_stderr(&format!("{more} more; go on with {flag} {place}"));
            }
            (_, _, Style::Json) => {
                write_json_to_stderr(&json!({ "more": more, flag.trim_start_matches('-'): place }));
            }
        }
    }

    /// Prints a list as a table under `header`, or as blocks where the terminal is too narrow; without rows only `nothing` is said, beside the result.
    pub(super) fn list(
        self,
        documents: Vec<Value>,
        header: &[&str],
        rows: Vec<Vec<String>>,
        nothing: &str,
    ) -> Result<(), Refusal> {
        if self.style == Style::Text && rows.is_empty() {
            self.note(nothing);
            return Ok(());
        }
        self.result(&Value::Array(documents), || {
            layout::records(header, rows, columns())
        })
    }

    /// Says what [`Output::result`] would print, where standard output is taken by something else.
    pub(super) fn beside(self, document: &Value, text: impl FnOnce() -> String) {
        match (self.style, self.volume) {
            (Style::Json, _) => write_json_to_stderr(document),
            (Style::Text, Volume::Normal) => write_stderr(&text()),
            (Style::Text, Volume::Quiet) => {}
        }
    }

    /// Says something useful beside the result; only to people.
    pub(super) fn note(self, text: &str) {
        if self.style == Style::Text && self.volume == Volume::Normal {
            write_stderr(text);
        }
    }

    /// Warns.
    pub(super) fn warning(self, text: &str) {
        match (self.volume, self.style) {
            (Volume::Quiet, _) => {}
            (Volume::Normal, Style::Text) => write_stderr(&format!("warning: {text}")),
            (Volume::Normal, Style::Json) => write_json_to_stderr(&json!({ "warning": text })),
        }
    }

    /// Says why a command was refused or failed, and what to do: one line.
    pub(super) fn refusal(self, refusal: &Refusal) {
        match self.style {
            Style::Text => write_stderr(&refusal.to_line()),
            Style::Json => {
                write_json_to_stderr(&json!({ "error": refusal.problem(), "hint": refusal.hint() }));
            }
        }
    }
}

/// How good is what a line tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// As it should be.
    Good,
    /// Worth a look.
    Unwise,
    /// To be mended.
    Bad,
    /// It is no verdict.
    None,
}

impl Mark {
    /// The number of its colour (ECMA-48, "Select Graphic Rendition").
    const fn colour(self) -> Option<u8> {
        match self {
            Self::Good => Some(32),
            Self::Unwise => Some(33),
            Self::Bad => Some(31),
            Self::None => None,
        }
    }
}

/// A line that begins with the word of its mark.
#[derive(Clone, Debug)]
pub(super) struct MarkedLine {
    pub(super) mark: Mark,
    /// What stands before the text.
    pub(super) head: String,
    /// What it tells.
    pub(super) text: String,
}

impl MarkedLine {
    /// A line without a mark.
    pub(super) const fn plain(text: String) -> Self {
        Self {
            mark: Mark::None,
            head: String::new(),
            text,
        }
    }
}

/// Whether the terminal has colours and its user wants them (<https://no-color.org>).
fn has_colours() -> bool {
    let is_unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !is_unwanted && !is_dumb()
}

fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb")
}

/// Writes over the last line of the terminal on standard error, or erases it.
pub(super) fn overwrite(text: &str) {
    let _ = write!(io::stderr().lock(), "\r{}\u{1b}[K", printable(text, &[]));
}

/// Whether somebody reads what is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readers {
    /// Somebody does.
    Some,
    /// The pipe is closed: whoever read has seen enough, as in `arkloop user list | head`.
    Gone,
}

/// Standard output for bytes that are no text.
///
/// # Errors
/// If it is a terminal.
pub(super) fn stream() -> Result<File, Refusal> {
    let stdout = io::stdout();
    if stdout.is_terminal() {
        return Err(Refusal::new(
            "this is no text for a terminal",
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

/// Prints `text` to standard output as it is, byte for byte.
pub(super) fn print(text: &str) -> Result<(), Refusal> {
    print_to_readers(text).map(|_| ())
}

/// Prints one document on a line of its own; says whether there is a point in going on.
pub(super) fn print_line(document: &Value) -> Result<Readers, Refusal> {
    print_to_readers(&format!("{}\n", printable_json(&document.to_string(), &[])))
}

fn print_to_readers(text: &str) -> Result<Readers, Refusal> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(cause) if cause.kind() == ErrorKind::BrokenPipe => Ok(Readers::Gone),
        Err(cause) => Err(Refusal::new(
            format!("the result cannot be written: {cause}"),
            "the command itself was carried out",
        )),
        Ok(()) => Ok(Readers::Some),
    }
}

/// Prints the message of wrong usage.
pub(super) fn usage(text: &str) {
    write_stderr(text.trim_end());
}

/// Asks a question, leaving the cursor behind it and a blank.
pub(super) fn question(text: &str) {
    // With room for the blank and a letter of the answer.
    let columns = columns_of(&io::stderr()).map(|columns| columns.saturating_sub(2));
    let text = layout::wrap(&printable(text, &[]), columns);
    let _ = write!(io::stderr().lock(), "{text} ");
}

fn write_stderr(text: &str) {
    // When standard error is gone there is nobody left to tell.
    let text = layout::wrap(&printable(text, &['\n']), columns_of(&io::stderr()));
    let _ = writeln!(io::stderr().lock(), "{text}");
}

fn write_json_to_stderr(document: &Value) {
    let _ = writeln!(
        io::stderr().lock(),
        "{}",
        printable_json(&document.to_string(), &[])
    );
}

/// Names and values, a line each, the values aligned.
pub(super) fn facts(facts: &[(&str, String)]) -> String {
    let lines: Vec<_> = facts
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    layout::aligned(&lines, columns())
}

/// How wide the terminal is that standard output leads to; `None` for a pipe or a file.
pub(super) fn columns() -> Option<usize> {
    columns_of(&io::stdout())
}

fn columns_of(stream: &(impl IsTerminal + AsFd)) -> Option<usize> {
    let told = || std::env::var("COLUMNS").ok()?.parse().ok();
    stream.is_terminal().then(|| {
        // A serial line does not know its size and says 0.
        let size = rustix::termios::tcgetwinsize(stream).ok();
        let columns = size
            .map(|size| usize::from(size.ws_col))
            .filter(|columns| *columns > 0);
        columns.or_else(told).unwrap_or(USUAL_COLUMNS)
    })
}
