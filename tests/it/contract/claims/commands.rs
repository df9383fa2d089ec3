//! The executable has every command in the guides, and each command accepts the flags that the guides give it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use super::{Guide, guides};
use crate::support::shown::{commands, leaves};

/// Texts before the name of the program with which a command runs as another user.
const PREFIXES: [&str; 3] = [
    "sudo -u arkloop ",
    "runuser -u arkloop -- ",
    "docker exec arkloop ",
];

/// The flags that the help of a command lists.
fn flags_of(command: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_arkloop"))
        .args(command.split_whitespace())
        .arg("--help")
        .env_clear()
        .output()
        .expect("the executable runs");
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    let words = help.split(|c: char| c.is_whitespace() || ",[]<>|".contains(c));
    words
        .filter(|word| word.len() > 1 && word.starts_with('-'))
        .map(str::to_owned)
        .collect()
}

/// The words of a command after the name of the program, up to the first operator or comment of the shell.
fn words(call: &str) -> Vec<String> {
    let call = call.replace("\\|", " ").replace(['[', ']', '"'], " ");
    call.split_whitespace()
        .take_while(|word| !["|", ">", ">>", "<", "&&", ";", "||", "#"].contains(word))
        .map(|word| word.trim_end_matches([')', ',', ';', '.']).to_owned())
        .collect()
}

/// What is wrong with a call; `None` if nothing is.
fn fault(call: &str, flags: &mut BTreeMap<String, BTreeSet<String>>) -> Option<String> {
    let words = words(call);
    let mut plain = Vec::new();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        match word.as_str() {
            "--config" | "--data-dir" => drop(rest.next()),
            flag if flag.starts_with('-') => {}
            word => plain.push(word),
        }
    }
    let known = commands();
    let count = (0..=plain.len().min(2))
        .rev()
        .find(|count| known.contains(&plain[..*count].join(" ")))?;
    let command = plain[..count].join(" ");
    let is_placeholder = |word: &str| word == "…" || word.starts_with('<') || word == "help";
    // One of its commands must follow a group, unless the text is about all of them.
    let next = plain.get(count);
    if !leaves().contains(command.as_str()) && next.is_some_and(|next| !is_placeholder(next)) {
        return Some(format!("there is no {:?} in {command:?}", next.unwrap_or(&"")));
    }
    let allowed = flags.entry(command.clone()).or_insert_with(|| flags_of(&command));
    let given = words
        .iter()
        .filter(|word| word.starts_with('-') && word.len() > 1);
    let mut names = given.map(|word| word.split('=').next().unwrap_or_default());
    let unknown = names.find(|name| !allowed.contains(*name) && *name != "--" && !name.starts_with("-v"))?;
    Some(format!("{command:?} takes no {unknown}"))
}

/// Every call of the program in a guide, without the text before it.
fn calls(guide: &Guide) -> Vec<String> {
    let is_call = |text: &str| {
        let text = text.trim();
        let text = text.trim_start_matches("$ ");
        let text = PREFIXES
            .iter()
            .find_map(|prefix| text.strip_prefix(prefix))
            .unwrap_or(text);
        let rest = text.strip_prefix("arkloop")?;
        (rest.is_empty() || rest.starts_with(' ')).then(|| rest.to_owned())
    };
    let lines = guide.code(&["sh", "text", "console", ""]);
    // Calls within a line too: `INVITE=$(arkloop …`.
    let inner = lines
        .iter()
        .filter_map(|line| line.split_once("$(").map(|(_, inner)| inner));
    let spans = guide.spans();
    let lines = lines.iter().map(String::as_str);
    lines
        .chain(inner)
        .chain(spans.iter().map(String::as_str))
        .filter_map(is_call)
        .collect()
}

/// The first cells of the table in docs/commands.md, where the name of the program is left out.
fn table(page: &Guide) -> Vec<String> {
    let section = page
        .text
        .split("\n## All of them\n")
        .nth(1)
        .expect("there is such a section");
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.filter_map(|row| row.split(" | ").next());
    let spans = cells.flat_map(|cell| {
        let spans: Vec<String> = cell.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        let noun = spans[0].split(' ').next().unwrap_or_default().to_owned();
        // In `user set-password`, `set-email`, the noun is written only once.
        let has_noun = |span: &str| commands().contains(span.split(' ').next().unwrap_or_default());
        spans.into_iter().map(move |span| {
            if has_noun(&span) {
                span
            } else {
                format!("{noun} {span}")
            }
        })
    });
    spans.collect()
}

#[test]
fn every_command_that_a_guide_names_exists_with_its_flags() {
    let mut flags = BTreeMap::new();
    let mut faults = Vec::new();
    for guide in guides() {
        let mut calls = calls(&guide);
        if guide.name == "docs/commands.md" {
            calls.extend(table(&guide));
        }
        for call in calls {
            if let Some(fault) = fault(&call, &mut flags) {
                faults.push(format!("{}: arkloop {}: {fault}", guide.name, call.trim()));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn the_table_of_commands_has_every_command() {
    let page = guides()
        .into_iter()
        .find(|guide| guide.name == "docs/commands.md");
    let table = table(&page.expect("there is such a page"));
    let named: BTreeSet<&str> = leaves()
        .into_iter()
        .filter(|leaf| {
            let is_it = |call: &String| call == leaf || call.starts_with(&format!("{leaf} "));
            table.iter().any(is_it)
        })
        .collect();
    assert_eq!(named, leaves());
}
