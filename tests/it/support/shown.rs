//! The commands that the executable lists, and the record of which outcomes tests have shown.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::record::{Seen, record};

/// The form in which a command printed its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Form {
    /// Text for people.
    Text,
    /// JSON, with `--json`.
    Json,
}

/// A command, its form, and the exit code that a test has seen.
pub type Shown = (String, Form, i32);

/// Every command and every group, by its words, as read from the help of each group.
static COMMANDS: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let mut found = BTreeSet::new();
    let mut left = vec![String::new()];
    while let Some(command) = left.pop() {
        let names = listed_in_help_of(&command);
        left.extend(
            names
                .iter()
                .map(|name| format!("{command} {name}").trim().to_owned()),
        );
        found.insert(command);
    }
    found
});

/// The names under `Commands:` in a help, without `help` itself.
fn listed_in_help_of(command: &str) -> Vec<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_arkloop"))
        .args(command.split_whitespace())
        .arg("-h")
        .env_clear()
        .output()
        .expect("the executable runs");
    let help = String::from_utf8_lossy(&output.stdout);
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let lines = lines.take_while(|line| !line.is_empty());
    // The second line of a description is indented further.
    let names = lines.filter_map(|line| line.strip_prefix("  ")?.split(' ').next().map(str::to_owned));
    names.filter(|name| !name.is_empty() && name != "help").collect()
}

/// Every command and every group, beginning with the program itself (`""`).
pub fn commands() -> &'static BTreeSet<String> {
    &COMMANDS
}

/// Every command that does something itself, without groups such as `invite`.
pub fn leaves() -> BTreeSet<&'static str> {
    let is_group = |command: &str| {
        let prefix = format!("{command} ");
        command.is_empty() || COMMANDS.iter().any(|other| other.starts_with(&prefix))
    };
    let commands = COMMANDS.iter().map(String::as_str);
    commands.filter(|command| !is_group(command)).collect()
}

/// The command that the arguments name, if any.
pub fn command_of(arguments: &[&str]) -> Option<&'static str> {
    let mut words = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match *argument {
            "--config" | "--data-dir" => drop(arguments.next()),
            flag if flag.starts_with('-') => {}
            word => words.push(word),
        }
    }
    let named = |count| COMMANDS.get(&words.get(..count)?.join(" "));
    (1..=2).rev().find_map(named).map(String::as_str)
}

/// Records that a test has seen a command end with `code`.
pub fn show(arguments: &[&str], code: i32) {
    let form = if arguments.contains(&"--json") {
        Form::Json
    } else {
        Form::Text
    };
    if let Some(command) = command_of(arguments) {
        record(Seen::Command((command.to_owned(), form, code)));
    }
}
