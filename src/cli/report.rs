//! The result of a command as a JSON document and as text, with notes for people. `output.rs` prints it.

use std::io;

use serde_json::{Value, json};

use super::layout::{self, Fact, columns};
use super::times::Times;
use crate::domain::{More, Page};

/// A row of a list: its JSON document, and its cells in the table, each with the name of its column.
pub(super) type Row = (Value, Vec<Fact>);

#[must_use]
pub(super) struct Report {
    pub(super) document: Value,
    /// `None` prints only the notes.
    pub(super) text: Option<String>,
    pub(super) notes: Vec<String>,
    /// The number of rows that are not printed, and the flag and id that print them: `--after` and the last id.
    pub(super) rest: Option<(More, &'static str, String)>,
    /// Whether the report goes to standard error, because standard output has other data.
    pub(super) is_on_stderr: bool,
    /// Colours of words at the beginning of lines on a terminal: numbers of ECMA-48, "Select Graphic Rendition".
    pub(super) colours: &'static [(&'static str, u8)],
}

impl Report {
    pub(super) fn new(document: Value, text: impl Into<String>) -> Self {
        Self {
            document,
            text: Some(text.into()),
            notes: Vec::new(),
            rest: None,
            is_on_stderr: false,
            colours: &[],
        }
    }

    /// A table, or blocks if the terminal is too narrow. Without rows it prints only the note `nothing`.
    pub(super) fn list<T>(rows: &[T], to_row: fn(&T, Times) -> Row, times: Times, nothing: &str) -> Self {
        let rows = rows.iter().map(|row| to_row(row, times));
        let (documents, cells): (Vec<Value>, Vec<Vec<Fact>>) = rows.unzip();
        if cells.is_empty() {
            let empty = Self::new(json!([]), "").note(nothing);
            return Self { text: None, ..empty };
        }
        let text = layout::records(&cells, columns(&io::stdout()));
        Self::new(Value::Array(documents), text)
    }

    /// A page of a list. `id` returns the id of a row, which is printed for the last row as the argument of `--after`.
    pub(super) fn page<T>(
        page: &Page<T>,
        to_row: fn(&T, Times) -> Row,
        id: fn(&T) -> String,
        times: Times,
        nothing: &str,
    ) -> Self {
        let report = Self::list(&page.rows, to_row, times, nothing);
        report.more(page.more, "--after", page.rows.last().map(id))
    }

    /// Adds a sentence for people.
    pub(super) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Adds how many rows are not printed, and the `flag` and `id` with which a further call prints them.
    pub(super) fn more(mut self, more: More, flag: &'static str, id: Option<String>) -> Self {
        self.rest = id.filter(|_| more.rows > 0).map(|id| (more, flag, id));
        self
    }
}

/// One line for each name and value. Values are aligned, and empty values are left out.
pub(super) fn facts(facts: &[(impl AsRef<str>, String)]) -> String {
    layout::aligned(facts, columns(&io::stdout()))
}
