//! Compares `arkloop.toml.example` with the defaults in the code, because people copy the example and expect the defaults.
//!
//! In the example, a key without a default is written as `#key = …` with an example value; prose begins with `# `.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use arkloop::config::{Config, Sources};
use serde_json::Value;

const EXAMPLE: &str = include_str!("../../../arkloop.toml.example");

fn load(text: &str) -> Config {
    let directory = tempfile::tempdir().expect("the system has a temporary directory");
    let file = directory.path().join("arkloop.toml");
    fs::write(&file, text).expect("the directory is writable");
    let sources = Sources {
        config_flag: Some(file),
        cwd: directory.path().to_owned(),
        ..Sources::default()
    };
    let mut config = Config::load(&sources).unwrap_or_else(|error| panic!("{error}; {}", error.hint));
    // Paths are relative to the file, which is in a temporary directory here.
    let data_dir = config
        .data_dir
        .strip_prefix(directory.path())
        .expect("it is beside the file")
        .to_owned();
    config.data_dir = PathBuf::from("/").join(data_dir);
    config
}

/// The keys of the example in their order, with the values; `None` for those that are commented out.
fn keys(text: &str) -> Vec<(String, Option<String>)> {
    let mut section = String::new();
    let mut keys = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = format!("{}.", name.trim_end_matches(']'));
        } else if let Some((key, value)) = line.split_once(" = ").filter(|_| !line.starts_with("# ")) {
            let is_set = !key.starts_with('#');
            keys.push((
                format!("{section}{}", key.trim_start_matches('#')),
                is_set.then(|| value.to_owned()),
            ));
        }
    }
    keys
}

#[test]
fn the_example_changes_nothing() {
    let [example, default]: [BTreeMap<_, _>; 2] =
        [EXAMPLE, ""].map(|text| load(text).entries().into_iter().collect());
    assert_eq!(example, default);
}

#[test]
fn the_example_has_every_key_in_order_and_a_value_where_there_is_a_default() {
    let entries = load("").entries();
    // The defaults of these depend on other keys.
    let is_derived = |key: &str| {
        [
            "key_file",
            "server.name",
            "server.public_url",
            "mail.transport",
            "mail.helo_name",
        ]
        .contains(&key)
    };
    let expected: Vec<(String, bool)> = entries
        .iter()
        .map(|(key, value)| (key.clone(), !is_derived(key) && *value != Value::Null))
        .collect();
    let found: Vec<(String, bool)> = keys(EXAMPLE)
        .into_iter()
        .map(|(key, value)| (key, value.is_some()))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn what_is_commented_out_is_accepted_where_this_release_has_it() {
    let lines = EXAMPLE.lines().map(|line| match line.strip_prefix('#') {
        Some(rest) if !rest.starts_with(' ') => rest,
        _ => line,
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    let config = load(&text.replace("smtp_url = \"\"", "smtp_url = \"smtp://mail.example.org\""));
    assert_eq!(config.public_url(), "https://auth.example.org");
}

#[test]
fn lines_fit_a_terminal() {
    for line in EXAMPLE.lines() {
        assert!(line.chars().count() <= 120, "{line}");
    }
}
