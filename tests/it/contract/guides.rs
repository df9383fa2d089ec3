//! Compares the pages of `docs/` with what they describe.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::support::documented;

const TROUBLESHOOTING: &str = include_str!("../../../docs/troubleshooting.md");

/// The codes in the headings of the page, with the status after them.
fn explained() -> BTreeSet<(u16, String)> {
    let headings = TROUBLESHOOTING
        .lines()
        .filter_map(|line| line.strip_prefix("### "));
    headings
        .flat_map(|heading| {
            let (codes, status) = heading.split_once(" (").expect("a heading names a status");
            let status = status
                .trim_end_matches(')')
                .parse()
                .expect("a status is a number");
            codes
                .split(", ")
                .map(move |code| (status, code.trim_matches('`').to_owned()))
        })
        .collect()
}

#[test]
fn every_code_is_explained() {
    // The document does not list the refusal of a wrong method, because that belongs to no operation.
    let not_allowed = (405, "http.method_not_allowed".to_owned());
    let listed: BTreeSet<(u16, String)> = documented()
        .iter()
        .filter(|(_, status, _)| *status >= 400)
        .map(|(_, status, code)| (*status, code.clone()))
        .chain([not_allowed])
        .collect();
    assert_eq!(explained(), listed);
}

#[test]
fn every_mail_has_a_row() {
    let page = include_str!("../../../docs/mail.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    let listed: BTreeSet<&str> = rows.filter_map(|row| row.split('`').next()).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/mail/templates/en");
    let entries = fs::read_dir(folder).expect("the templates are there");
    let entries = entries.map(|entry| entry.expect("the entry can be read"));
    let mails = entries.filter(|entry| entry.path().is_dir());
    let mails: BTreeSet<String> = mails
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    let mails: BTreeSet<&str> = mails.iter().map(String::as_str).collect();
    assert_eq!(listed, mails);
}
