//! The data in which secrets are searched for: the files of a directory, and the output of programs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use rusqlite::{Connection, OpenFlags};

use super::Secrets;
use crate::support::Database;

/// How many bytes before and after a secret are shown.
const EXCERPT_BYTES: usize = 60;

/// Bytes to search, each with the name of its source.
#[derive(Default)]
pub struct Haystack {
    files: Vec<(String, Vec<u8>)>,
    said: Vec<(String, Vec<u8>)>,
}

impl Haystack {
    /// Every file of a directory, except mails that were written as files.
    pub fn of_directory(directory: &Path) -> Self {
        Self::of_directory_without(directory, |_| false)
    }

    /// As [`Haystack::of_directory`], without the files for which `is_left_out` is true.
    pub fn of_directory_without(directory: &Path, is_left_out: impl Fn(&Path) -> bool) -> Self {
        let mut files = Vec::new();
        let mut directories = vec![directory.to_owned()];
        while let Some(directory) = directories.pop() {
            // A server that still runs may remove entries meanwhile; errors are ignored.
            for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    directories.push(path);
                } else if !is_mail(&path) && !is_left_out(&path) && path.is_file() {
                    files.push((path.display().to_string(), fs::read(&path).unwrap_or_default()));
                }
            }
        }
        Self {
            files,
            said: Vec::new(),
        }
    }

    /// Adds a backup of the database, which has neither a write-ahead log nor deleted content. A file that is not a database is left out.
    pub fn with_backup(mut self, database: &Path) -> Self {
        if let Some(bytes) = backup(database) {
            self.files
                .push((format!("a backup of {}", database.display()), bytes));
        }
        self
    }

    /// Adds the tables of a database of PostgreSQL.
    pub fn with_content(mut self, database: Option<&Database>) -> Self {
        if let Some(content) = database.and_then(Database::content) {
            self.files
                .push(("the tables of the database".to_owned(), content));
        }
        self
    }

    /// Adds the output of a program.
    pub fn with_said(mut self, place: &str, said: impl Into<Vec<u8>>) -> Self {
        self.said.push((place.to_owned(), said.into()));
        self
    }

    /// The length in bytes of the file whose path ends with `end`; 0 if there is none.
    pub fn len_of_file(&self, end: &str) -> usize {
        let found = self.files.iter().find(|(place, _)| place.ends_with(end));
        found.map_or(0, |(_, bytes)| bytes.len())
    }

    /// The secrets that are found, with their form and their first position in each source.
    pub fn find(&self, secrets: &Secrets) -> BTreeSet<String> {
        let needles = secrets.needles();
        let automaton = AhoCorasick::builder()
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(needles.iter().map(|(_, _, needle)| needle))
            .expect("the automaton can hold all needles");
        let mut found = BTreeMap::new();
        for (place, bytes) in self.files.iter().chain(&self.said) {
            for hit in automaton.find_overlapping_iter(bytes) {
                let (name, form, _) = needles[hit.pattern().as_usize()];
                let what = format!("{name}, {form}, in {place}");
                found
                    .entry(what)
                    .or_insert_with(|| excerpt(bytes, hit.start(), hit.end()));
            }
        }
        for (place, bytes) in &self.said {
            for (start, end) in numbers(bytes) {
                let word = std::str::from_utf8(&bytes[start..end]);
                if word.is_ok_and(|word| secrets.is_short_code(word)) {
                    let what = format!("a code, in {place}");
                    found.entry(what).or_insert_with(|| excerpt(bytes, start, end));
                }
            }
        }
        found
            .into_iter()
            .map(|(what, excerpt)| format!("{what}: {excerpt}"))
            .collect()
    }
}

/// Whether a file is a mail, even if it is not completely written.
fn is_mail(path: &Path) -> bool {
    let is_unfinished = path
        .parent()
        .is_some_and(|directory| directory.ends_with("outbox"))
        && path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(".arkloop-"));
    is_unfinished || path.extension().is_some_and(|extension| extension == "eml")
}

fn backup(database: &Path) -> Option<Vec<u8>> {
    let directory = tempfile::tempdir().expect("the system has a temporary directory");
    let copy = directory.path().join("backup.db");
    let source = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
    source
        .execute("VACUUM INTO ?1", [copy.to_str().expect("the path is text")])
        .ok()?;
    fs::read(copy).ok()
}

/// The start and end of each word of six or seven digits. Digits after a decimal point, as in a duration, are not a word.
fn numbers(text: &[u8]) -> impl Iterator<Item = (usize, usize)> {
    let mut start = 0;
    let words = text.split(|byte| !byte.is_ascii_alphanumeric()).map(move |word| {
        let place = (start, start + word.len());
        start = place.1 + 1;
        (place, word)
    });
    let is_fraction = |start: usize| {
        let before = text[..start].strip_suffix(b".").and_then(|before| before.last());
        before.is_some_and(u8::is_ascii_digit)
    };
    words
        .filter(|(_, word)| matches!(word.len(), 6 | 7) && word.iter().all(u8::is_ascii_digit))
        .map(|(place, _)| place)
        .filter(move |(start, _)| !is_fraction(*start))
}

fn excerpt(bytes: &[u8], start: usize, end: usize) -> String {
    let (from, to) = (
        start.saturating_sub(EXCERPT_BYTES),
        bytes.len().min(end + EXCERPT_BYTES),
    );
    String::from_utf8_lossy(&bytes[from..to]).into_owned()
}
