//! The last tests of the run: everything that the document lists was seen, each command in every way it ends, and no secret.
//!
//! That nothing else was seen, `support/record.rs` holds at each answer; that no secret lies about, `support/secrets` at the end of each test. The name
//! of this file makes its tests the last that start.

use std::collections::BTreeSet;

use crate::support::secrets::summary;
use crate::support::shown::{Form, Shown, leaves, shown};
use crate::support::{Observation, documented, observed, scans, statements, wait_for_other_tests};

/// Whether this run leaves tests out.
fn is_partial(mut arguments: impl Iterator<Item = String>) -> bool {
    while let Some(argument) = arguments.next() {
        let (name, has_value) = argument
            .split_once('=')
            .map_or((argument.as_str(), false), |(name, _)| (name, true));
        match name {
            "--skip" | "--ignored" | "--list" => return true,
            // These take the next argument along, so that it is no filter.
            "--test-threads" | "--color" | "--format" | "--logfile" | "--report-time" | "-Z"
            | "--shuffle-seed"
                if !has_value =>
            {
                arguments.next();
            }
            name if name.starts_with('-') => {}
            _ => return true,
        }
    }
    false
}

#[test]
fn every_listed_answer_was_observed() {
    if is_partial(std::env::args().skip(1)) {
        eprintln!("only some tests run: that every documented answer is seen is not asked");
        return;
    }
    wait_for_other_tests();
    let (listed, seen) = (documented(), observed());
    let missing: BTreeSet<&Observation> = listed.difference(&seen).collect();
    let unlisted: BTreeSet<&Observation> = seen.difference(&listed).collect();
    assert!(missing.is_empty(), "listed, but never seen: {missing:#?}");
    assert!(unlisted.is_empty(), "seen, but not listed: {unlisted:#?}");
}

#[test]
fn every_command_was_shown_done_refused_and_misused_in_text_and_as_json() {
    if is_partial(std::env::args().skip(1)) {
        return;
    }
    wait_for_other_tests();
    let of_command = |command: &'static str| {
        let forms = [Form::Text, Form::Json].into_iter();
        forms.flat_map(move |form| [0, 1, 2].map(|code| (command.to_owned(), form, code)))
    };
    let wanted: BTreeSet<Shown> = leaves().into_iter().flat_map(of_command).collect();
    // A server has a log and no result, so there is nothing that could be JSON.
    let exempt = BTreeSet::from([("serve".to_owned(), Form::Json, 0)]);
    let shown = &shown() | &exempt;
    let missing: Vec<&Shown> = wanted.difference(&shown).collect();
    assert!(
        missing.is_empty(),
        "never shown with this exit code: {missing:#?}"
    );
}

#[test]
fn no_statement_but_the_known_ones_read_a_whole_table() {
    if is_partial(std::env::args().skip(1)) && std::env::var("HACK").is_err() {
        return;
    }
    wait_for_other_tests();
    let scans = scans(&statements());
    assert!(scans.is_empty(), "these read a whole table: {scans:#?}");
}

#[test]
fn no_secret_lay_about_in_the_whole_run() {
    if is_partial(std::env::args().skip(1)) {
        return;
    }
    wait_for_other_tests();
    let summary = summary();
    eprintln!(
        "{} searches, {} secrets, {} bytes",
        summary.searches, summary.secrets, summary.bytes
    );
    assert!(
        summary.found.is_empty(),
        "secrets lie about: {:#?}",
        summary.found
    );
    // If this is less, something is not searched any more.
    assert!(summary.searches > 500, "{summary:?}");
    assert!(summary.secrets > 5_000, "{summary:?}");
    assert!(summary.bytes > 50_000_000, "{summary:?}");
}

#[test]
fn a_partial_run_is_told_from_a_whole_one() {
    let is_partial = |line: &str| is_partial(line.split_whitespace().map(str::to_owned));
    for whole in [
        "",
        "--test-threads=2",
        "--test-threads 2",
        "--nocapture --color always",
        "-q --format=terse",
    ] {
        assert!(!is_partial(whole), "{whole}");
    }
    for partial in [
        "api",
        "--test-threads 2 api",
        "--skip api",
        "--skip=api",
        "--exact a::b",
    ] {
        assert!(is_partial(partial), "{partial}");
    }
}
