//! Replaces values that differ between runs by placeholders.

use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

/// Shapes of values that differ between runs: h is a hexadecimal digit, d a decimal digit, C a character of an invite code.
const SHAPES: [(&str, &str); 7] = [
    ("hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh", "<id>"),
    ("hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh", "<trace id>"),
    ("dddd-dd-ddTdd:dd:dd.ddddddZ", "<time>"),
    ("dddd-dd-ddTdd:dd:ddZ", "<time>"),
    ("CCCC-CCCC-CCCC-CCCC", "<code>"),
    ("hh:hh:hh:hh:hh:hh:hh:hh", "<key>"),
    ("ddddddddTdddddd.dddZ", "<stamp>"),
];

/// What the program calls a database of PostgreSQL that a workspace has in place of a file.
static DATABASE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new("postgres://[^/ ]*/arkloop_test_[0-9]+_[0-9]+_workspace").expect("it is an expression")
});

/// Replaces `directory`, the capacity of the machine, and every value of a known [shape](SHAPES).
pub fn redact(text: &str, directory: &Path) -> String {
    let text = redact_called(text).replace(&directory.display().to_string(), "<dir>");
    // One snapshot serves both engines.
    let text = DATABASE.replace_all(&text, "<dir>/data/arkloop.db");
    let mut text = redact_capacity(&text);
    for (shape, name) in SHAPES {
        text = redact_shape(&text, shape, name);
    }
    text
}

/// Replaces each proposed command that begins with the path of the executable.
fn redact_called(text: &str) -> String {
    let mut parts = text.split(env!("CARGO_BIN_EXE_arkloop"));
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let end = part.find([';', '"', '\n']).unwrap_or(part.len());
        text + "<command>" + &part[end..]
    })
}

/// Replaces how many passwords are hashed at once, which depends on the cores, the memory and the limits of the machine.
fn redact_capacity(text: &str) -> String {
    let lines = text
        .split_inclusive('\n')
        .map(|line| match line.split_once("at most ") {
            Some((before, rest)) if rest.contains(" hashed at once (") => {
                let end = rest.find(['\n', '"']).map_or("", |at| &rest[at..]);
                format!("{before}<capacity>{end}")
            }
            _ => line.to_owned(),
        });
    lines.collect()
}

fn redact_shape(text: &str, shape: &str, name: &str) -> String {
    let is_of_shape = |candidate: &str| {
        candidate
            .chars()
            .zip(shape.chars())
            .all(|(c, symbol)| match symbol {
                'h' => c.is_ascii_hexdigit(),
                'd' => c.is_ascii_digit(),
                'C' => c.is_ascii_digit() || c.is_ascii_uppercase(),
                symbol => c == symbol,
            })
    };
    let mut redacted = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if rest.get(..shape.len()).is_some_and(is_of_shape) {
            redacted.push_str(name);
            rest = &rest[shape.len()..];
        } else {
            redacted.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    redacted
}
