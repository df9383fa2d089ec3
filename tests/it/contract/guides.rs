//! Compares the pages of `docs/` with what they describe.

use std::collections::BTreeSet;

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
