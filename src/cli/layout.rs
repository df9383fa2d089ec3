//! Finds out what a terminal can show, and fits text to it: wraps lines between words, and prints records as a table or as blocks.
//!
//! `columns` is the width of the terminal; it is `None` for a pipe or a file, where each record is one line.

use std::env;
use std::io::IsTerminal;
use std::os::fd::AsFd;

use comfy_table::{Table, presets};
use textwrap::core::{Word, display_width};
use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};

use crate::domain::printable;

/// Narrower terminals print each record as a block, because a row of ids, times and addresses does not fit.
const MIN_TABLE_COLUMNS: usize = 90;
/// Wrapped text that is narrower than this is hard to read.
const LEAST_TEXT_COLUMNS: usize = 24;
/// The name of a column or line, and a value in it.
pub(super) type Fact = (&'static str, String);

/// The width that is assumed if the terminal does not report one.
const USUAL_COLUMNS: usize = 80;
/// The indentation of a value that does not fit beside its name.
const INDENT: &str = "  ";

/// The width of the terminal; `None` for a pipe or a file.
pub(super) fn columns(stream: &(impl IsTerminal + AsFd)) -> Option<usize> {
    if !stream.is_terminal() {
        return None;
    }
    // A serial line does not know its size and reports 0.
    let size = rustix::termios::tcgetwinsize(stream).ok();
    let columns = size
        .map(|size| usize::from(size.ws_col))
        .filter(|columns| *columns > 0);
    let told = || env::var("COLUMNS").ok()?.parse().ok();
    columns.or_else(told).or(Some(USUAL_COLUMNS))
}

/// Whether the terminal has colours and the user wants them (<https://no-color.org>).
pub(super) fn has_colours(stream: &impl IsTerminal) -> bool {
    let is_unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !is_unwanted && can_rewrite(stream)
}

/// Whether `stream` is a terminal that can overwrite a line.
pub(super) fn can_rewrite(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && env::var_os("TERM").is_none_or(|terminal| terminal != "dumb")
}

/// Wraps lines that are longer than the terminal. Continuation lines keep the indentation.
pub(super) fn wrap(text: &str, columns: Option<usize>) -> String {
    let Some(columns) = columns else {
        return text.to_owned();
    };
    let wrapped = text.split('\n').map(|line| {
        if display_width(line) <= columns {
            return line.to_owned();
        }
        let words = line.trim_start_matches(' ');
        let indent = &line[..line.len() - words.len()];
        fill(words, columns, indent, indent)
    });
    wrapped.collect::<Vec<_>>().join("\n")
}

/// Puts `text` after `head`, with its continuation lines aligned.
pub(super) fn beside(head: &str, text: &str, columns: Option<usize>) -> String {
    let Some(columns) = columns else {
        return format!("{head}{text}").trim_end().to_owned();
    };
    let widest = separate(text).map(|word| display_width(word.trim_end())).max();
    let width = display_width(head);
    let left = columns.saturating_sub(width);
    let fits = display_width(text) <= left;
    if fits || left >= LEAST_TEXT_COLUMNS && widest.unwrap_or_default() <= left {
        return fill(text, columns, head, &" ".repeat(width));
    }
    format!("{}\n{}", head.trim_end(), fill(text, columns, INDENT, INDENT))
}

fn fill(text: &str, columns: usize, first: &str, rest: &str) -> String {
    let options = Options::new(columns)
        .initial_indent(first)
        .subsequent_indent(rest)
        .break_words(false)
        .word_separator(WordSeparator::Custom(|line| Box::new(separate(line))))
        .word_splitter(WordSplitter::NoHyphenation)
        .wrap_algorithm(WrapAlgorithm::FirstFit);
    textwrap::fill(text, options)
}

/// The words of a line, each with the spaces after it. East Asian scripts have no spaces, so each character that is two columns wide is a word.
fn separate(line: &str) -> impl Iterator<Item = Word<'_>> {
    let is_wide = |c: char| display_width(c.encode_utf8(&mut [0; 4])) == 2;
    let mut rest = line;
    std::iter::from_fn(move || {
        let pairs = rest.char_indices().zip(rest.char_indices().skip(1));
        let end = pairs
            .filter(|((_, last), (_, c))| *c != ' ' && (*last == ' ' || is_wide(*last) || is_wide(*c)))
            .map(|(_, (at, _))| at)
            .next();
        let (word, left) = rest.split_at(end.unwrap_or(rest.len()));
        rest = left;
        (!word.is_empty()).then(|| Word::from(word))
    })
}

/// Prints records as a table if it fits, otherwise as one block of names and values for each.
pub(super) fn records(rows: &[Vec<Fact>], columns: Option<usize>) -> String {
    let Some(columns) = columns else {
        return table(rows);
    };
    let fits = |table: &String| table.lines().all(|line| display_width(line) <= columns);
    let table = (columns >= MIN_TABLE_COLUMNS).then(|| table(rows));
    table.filter(fits).unwrap_or_else(|| {
        let blocks = rows.iter().map(|row| block(row, columns));
        blocks.collect::<Vec<_>>().join("\n\n")
    })
}

/// A table without rules, so that other programs can split its columns.
fn table(rows: &[Vec<Fact>]) -> String {
    let mut table = Table::new();
    let header = rows.iter().take(1).flatten().map(|(name, _)| *name);
    table.load_preset(presets::NOTHING).set_header(header);
    for row in rows {
        table.add_row(row.iter().map(|(_, cell)| printable(cell, &[])));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

/// One record, with one line for each value.
fn block(row: &[Fact], columns: usize) -> String {
    let lines = row
        .iter()
        .map(|(name, value)| (format!("{}:", name.to_lowercase()), value));
    aligned(&lines.collect::<Vec<_>>(), Some(columns))
}

/// One line for each name and value, with the values aligned and without empty ones.
pub(super) fn aligned(lines: &[(impl AsRef<str>, impl AsRef<str>)], columns: Option<usize>) -> String {
    let lines = lines.iter().map(|(name, value)| (name.as_ref(), value.as_ref()));
    let lines: Vec<(&str, &str)> = lines.filter(|(_, value)| !value.is_empty()).collect();
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let lines = lines
        .iter()
        .map(|(name, value)| beside(&format!("{name:width$}  "), &printable(value, &[]), columns));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_between_words_and_never_inside_one() {
        assert_eq!(wrap("error: one two three", Some(12)), "error: one\ntwo three");
        assert_eq!(wrap("  one two", Some(6)), "  one\n  two");
        let id = "018f3c5e-0000-7000-8000-000000000000";
        assert_eq!(wrap(&format!("of {id} it"), Some(20)), format!("of\n{id}\nit"));
        assert_eq!(wrap("one two", None), "one two");
    }

    #[test]
    fn wide_characters_count_two_and_may_end_a_line() {
        assert_eq!(
            wrap("\u{6c49}\u{5b57}\u{6c49}\u{5b57}", Some(4)),
            "\u{6c49}\u{5b57}\n\u{6c49}\u{5b57}"
        );
        let row = |a: &str, b: &str| vec![("A", a.to_owned()), ("B", b.to_owned())];
        let rows = [row("\u{6c49}\u{5b57}", "1"), row("abcd", "2")];
        assert_eq!(records(&rows, None), "A     B\n\u{6c49}\u{5b57}  1\nabcd  2");
    }

    #[test]
    fn a_value_that_does_not_fit_beside_its_name_stands_below_it() {
        assert_eq!(beside("name:  ", "0123456789", Some(12)), "name:\n  0123456789");
        assert_eq!(beside("name:  ", "one two", Some(11)), "name:\n  one two");
        let long = "one two three four five six";
        assert_eq!(
            beside("name:  ", long, Some(31)),
            "name:  one two three four five\n       six"
        );
    }

    #[test]
    fn records_are_columns_only_where_these_fit() {
        let rows = [vec![
            ("A", "x".repeat(50)),
            ("B", String::new()),
            ("C", "y".repeat(50)),
        ]];
        let table = records(&rows, Some(200));
        assert_eq!(table.lines().count(), 2);
        assert_eq!(records(&rows, None), table);
        let block = format!("a:  {}\nc:  {}", "x".repeat(50), "y".repeat(50));
        for columns in [89, 95] {
            assert_eq!(records(&rows, Some(columns)), block);
        }
    }
}
