//! What a command found or did: one JSON document, the same as text, and notes beside it. `output.rs` prints it.

use std::io;

use serde_json::{Value, json};

use super::layout;
use super::terminal::columns;
use crate::domain::Page;

/// A row of a list: its JSON document, and its cells in the columns of a table.
pub(super) type Row = (Value, Vec<String>);

/// A name and its value.
pub(super) type Fact = (&'static str, String);

/// The result of a command.
pub(super) struct Report {
    pub(super) document: Value,
    /// `None`: only the notes are for people.
    pub(super) text: Option<String>,
    pub(super) notes: Vec<String>,
    /// How many rows a list leaves out, and the flag that shows them: `--after`, and an id.
    pub(super) rest: Option<(u32, &'static str, String)>,
    /// Whether the report goes to standard error, because something else was written to standard output.
    pub(super) is_beside: bool,
    /// Words at the beginning of lines, and their colours on a terminal: numbers of ECMA-48, "Select Graphic Rendition".
    pub(super) colours: &'static [(&'static str, u8)],
}

impl Report {
    pub(super) fn new(document: Value, text: impl Into<String>) -> Self {
        Self {
            document,
            text: Some(text.into()),
            notes: Vec::new(),
            rest: None,
            is_beside: false,
            colours: &[],
        }
    }

    /// A table under `header`, or blocks where the terminal is too narrow. Without rows the text is only the note `nothing`.
    pub(super) fn list(header: &[&str], rows: impl Iterator<Item = Row>, nothing: &str) -> Self {
        let (documents, cells): (Vec<Value>, Vec<Vec<String>>) = rows.unzip();
        if cells.is_empty() {
            let empty = Self::new(json!([]), "").note(nothing);
            return Self { text: None, ..empty };
        }
        let text = layout::records(header, cells, columns(&io::stdout()));
        Self::new(Value::Array(documents), text)
    }

    /// A part of a list; `id` names the last row of it, behind which the rest begins.
    pub(super) fn page<T>(
        page: &Page<T>,
        header: &[&str],
        nothing: &str,
        to_row: impl Fn(&T) -> Row,
        id: impl Fn(&T) -> String,
    ) -> Self {
        let report = Self::list(header, page.rows.iter().map(to_row), nothing);
        report.more(page.more, "--after", page.rows.last().map(id))
    }

    /// Adds a sentence for people.
    #[must_use]
    pub(super) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Adds how many rows are left out, and where they begin.
    #[must_use]
    pub(super) fn more(mut self, rows: u32, flag: &'static str, id: Option<String>) -> Self {
        self.rest = id.filter(|_| rows > 0).map(|id| (rows, flag, id));
        self
    }
}

/// Names and values, a line each, the values aligned; empty values are left out.
pub(super) fn facts(facts: &[(impl AsRef<str>, String)]) -> String {
    layout::aligned(facts, columns(&io::stdout()))
}
