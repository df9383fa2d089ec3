//! The program reads every key of the configuration that the guides name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use arkloop::config::{Config, Sources};
use arkloop::domain::AuditEvent;
use strum::VariantArray;

use super::guides;
use crate::support::documented;

/// Every key with its default.
static DEFAULTS: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| {
    let directory = tempfile::tempdir().expect("the system has a temporary directory");
    let file = directory.path().join("arkloop.toml");
    std::fs::write(&file, "").expect("the directory is writable");
    let sources = Sources {
        config_flag: Some(file),
        cwd: directory.path().to_owned(),
        ..Sources::default()
    };
    let config = Config::load(&sources).expect("the defaults are right");
    let entries = config.entries().into_iter();
    entries
        .map(|(key, value)| (key, value.to_string().trim_matches('"').to_owned()))
        .collect()
});

/// The default of a key, as written in the configuration.
pub fn defaults(key: &str) -> &'static str {
    DEFAULTS
        .get(key)
        .unwrap_or_else(|| panic!("there is no key {key}"))
}

/// Every key, and `<key>_file` of each secret.
pub fn keys() -> BTreeSet<String> {
    let mut keys: BTreeSet<String> = DEFAULTS.keys().cloned().collect();
    for secret in ["database.url", "mail.smtp_password", "turnstile.secret_key"] {
        assert!(keys.contains(secret), "{secret}");
        keys.insert(format!("{secret}_file"));
    }
    keys
}

/// Dotted names that are not keys although their first part is the name of a section: codes of refusals, and events of the audit log.
fn other_names() -> BTreeSet<String> {
    let codes = documented().into_iter().map(|(_, _, code)| code);
    let events = AuditEvent::VARIANTS
        .iter()
        .map(|event| event.into_str().to_owned());
    codes.chain(events).collect()
}

/// Whether `name` is a key, a prefix of keys with a star (`password.argon2_*`), or one of `others`.
fn is_known(name: &str, keys: &BTreeSet<String>, others: &BTreeSet<String>) -> bool {
    if let Some(prefix) = name.strip_suffix('*') {
        return keys.iter().any(|key| key.starts_with(prefix));
    }
    keys.contains(name) || others.contains(name)
}

/// `section.key` if a span begins with it.
fn dotted<'a>(span: &'a str, sections: &BTreeSet<&str>) -> Option<&'a str> {
    let name = span.split([' ', '=']).next()?;
    let (section, key) = name.split_once('.')?;
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '*';
    (sections.contains(section) && !key.is_empty() && key.chars().all(is_name)).then_some(name)
}

/// Variables that are no keys: one names the file, some are for tests, and one is of Arkloop's own web client.
const OTHER_VARIABLES: [&str; 7] = [
    "CONFIG",
    "REFRESHES",
    "API_PROXY_TARGET",
    "TEST_DATABASE_URL",
    "CRASH_SECONDS",
    "CRASH_SEED",
    "CRASH_POSTGRES",
];

#[test]
fn every_key_that_a_guide_names_exists() {
    let (keys, others) = (keys(), other_names());
    let sections: BTreeSet<&str> = keys
        .iter()
        .filter_map(|key| key.split_once('.'))
        .map(|(section, _)| section)
        .collect();
    let (mut faults, mut count) = (Vec::new(), 0);
    for guide in guides() {
        for span in guide.spans() {
            if let Some(name) = dotted(&span, &sections) {
                count += 1;
                // In CONTRIBUTING.md, a dotted name may also be a file or a module of the tests.
                if !is_known(name, &keys, &others) && !guide.name.starts_with("CONTRIBUTING") {
                    faults.push(format!("{}: `{span}`", guide.name));
                }
            }
            if let Some(variable) = span
                .strip_prefix("ARKLOOP_")
                .and_then(|rest| rest.split(['=', ' ']).next())
            {
                let key = variable.to_lowercase().replace("__", ".");
                let is_pattern = variable.contains('<') || OTHER_VARIABLES.contains(&variable);
                if !is_pattern && !keys.contains(&key) {
                    faults.push(format!("{}: `{span}`", guide.name));
                }
            }
            let section = span.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
            let is_name = |section: &&str| {
                !section.is_empty()
                    && section
                        .bytes()
                        .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
            };
            if section
                .filter(is_name)
                .is_some_and(|section| !sections.contains(section))
            {
                faults.push(format!("{}: `{span}`", guide.name));
            }
        }
        let mut section = String::new();
        for line in guide.code(&["toml"]) {
            let line = line.trim().trim_start_matches(['#', ' ']);
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
                section = format!("{name}.");
            } else if let Some((key, _)) = line.split_once(" = ") {
                count += 1;
                let in_any = || keys.iter().any(|known| known.rsplit('.').next() == Some(key));
                let is_there = if section.is_empty() {
                    in_any()
                } else {
                    keys.contains(&format!("{section}{key}"))
                };
                if !is_there && !keys.contains(key) {
                    faults.push(format!("{}: {section}{key}", guide.name));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(count > 100, "{count} keys");
}
