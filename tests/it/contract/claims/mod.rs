//! Compares the pages for people (README, SECURITY.md, `docs/`, the example configuration) with the program: every command, key and number in them exists,
//! and they do not deny anything that exists.

mod brand;
mod commands;
mod denials;
mod facts;
mod keys;
mod numbers;

use std::fs;
use std::path::Path;

/// A page with its text.
pub struct Guide {
    pub name: String,
    pub text: String,
}

/// Every page for people who use or operate the program.
pub fn guides() -> Vec<Guide> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut names: Vec<String> = [
        "README.md",
        "SECURITY.md",
        "CONTRIBUTING.md",
        "arkloop.toml.example",
    ]
    .map(str::to_owned)
    .into();
    let docs = fs::read_dir(root.join("docs")).expect("there is a directory");
    let docs = docs.map(|entry| entry.expect("the entry can be read").file_name());
    names.extend(docs.map(|name| format!("docs/{}", name.to_string_lossy())));
    names.sort();
    names
        .into_iter()
        .filter(|name| !name.starts_with("docs/") || name.strip_suffix(".md").is_some())
        .map(|name| Guide::of(&name))
        .collect()
}

/// The files with the texts of the built-in pages in a language.
pub fn texts_of_pages(language: &str) -> Vec<Guide> {
    const FOLDER: &str = "src/http/pages/static";
    let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER));
    let entries = entries.expect("there is a directory");
    let names = entries.map(|entry| entry.expect("it is readable").file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    names
        .filter(|name| name.starts_with(language) && name[language.len()..].starts_with(['-', '.']))
        .map(|name| Guide::of(&format!("{FOLDER}/{name}")))
        .collect()
}

impl Guide {
    /// Reads a page; `name` is its path in the repository.
    pub fn of(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        Self {
            name: name.to_owned(),
            text: fs::read_to_string(path).expect("the file can be read"),
        }
    }

    /// The texts between backticks in prose, without code blocks.
    pub fn spans(&self) -> Vec<String> {
        let mut prose = String::new();
        let mut in_block = false;
        for line in self.text.lines() {
            if line.trim_start().starts_with("```") {
                in_block = !in_block;
            } else if !in_block {
                prose.push_str(line);
                prose.push('\n');
            }
        }
        let spans = prose.split('`').skip(1).step_by(2);
        spans
            .map(|span| span.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect()
    }

    /// The lines of the code blocks in one of `languages`. A line that ends with a backslash is joined with the next one.
    pub fn code(&self, languages: &[&str]) -> Vec<String> {
        let mut lines = Vec::new();
        let mut is_wanted = false;
        let mut in_block = false;
        for line in self.text.replace("\\\n", " ").lines() {
            if let Some(language) = line.trim_start().strip_prefix("```") {
                in_block = !in_block;
                is_wanted = in_block && languages.contains(&language.trim());
            } else if is_wanted {
                lines.push(line.to_owned());
            }
        }
        lines
    }

    /// The text as one line, without backticks and stars.
    pub fn flat(&self) -> String {
        let text = self.text.replace(['`', '*'], "");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}
