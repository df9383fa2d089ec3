//! What only a whole run of the tests shows: every answer that the document lists was seen, and each command in every way it ends. A process of its
//! own reads the record of the run: `ARKLOOP_RECORD=record cargo test`, then `ARKLOOP_RECORD=record cargo test --test whole_run`.

#![expect(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "the tests of the other binary use the rest of what both share"
)]

mod support;

use std::collections::BTreeSet;
use std::fs;

use support::record::{Observation, Seen, documented};
use support::shown::{Form, Shown, leaves};
use support::{Statistics, refused_by_postgres, scans};

/// What the run has recorded.
fn recorded() -> BTreeSet<Seen> {
    let path = std::env::var_os("ARKLOOP_RECORD");
    let path = path.expect("ARKLOOP_RECORD names the record that `cargo test` has written");
    let lines = fs::read_to_string(path).expect("the record is text");
    let seen = lines.lines().map(serde_json::from_str::<Seen>);
    seen.collect::<Result<_, _>>()
        .expect("each line is an observation")
}

#[test]
fn every_listed_answer_was_observed() {
    let answer = |seen| match seen {
        Seen::Answer(answer) => Some(answer),
        _ => None,
    };
    let (listed, seen): (_, BTreeSet<Observation>) =
        (documented(), recorded().into_iter().filter_map(answer).collect());
    let missing: BTreeSet<&Observation> = listed.difference(&seen).collect();
    assert!(missing.is_empty(), "listed, but never seen: {missing:#?}");
}

#[test]
fn every_command_was_shown_done_refused_and_misused_in_text_and_as_json() {
    let of_command = |command: &'static str| {
        let forms = [Form::Text, Form::Json].into_iter();
        forms.flat_map(move |form| [0, 1, 2].map(|code| (command.to_owned(), form, code)))
    };
    let wanted: BTreeSet<Shown> = leaves().into_iter().flat_map(of_command).collect();
    // A server has a log and no result, so there is nothing that could be JSON.
    let exempt = ("serve".to_owned(), Form::Json, 0);
    let command = |seen| match seen {
        Seen::Command(shown) => Some(shown),
        _ => None,
    };
    let commands = recorded().into_iter().filter_map(command);
    let shown: BTreeSet<Shown> = commands.chain([exempt]).collect();
    let missing: Vec<&Shown> = wanted.difference(&shown).collect();
    assert!(
        missing.is_empty(),
        "never shown with this exit code: {missing:#?}"
    );
}

/// The statements that servers have sent.
fn statements() -> BTreeSet<String> {
    let statement = |seen| match seen {
        Seen::Statement(text) => Some(text),
        _ => None,
    };
    let statements: BTreeSet<String> = recorded().into_iter().filter_map(statement).collect();
    assert!(!statements.is_empty(), "servers have sent statements");
    statements
}

#[test]
fn postgresql_knows_every_statement() {
    let refused = refused_by_postgres(&statements());
    assert!(refused.is_empty(), "{refused:#?}");
}

#[test]
fn no_statement_but_the_known_ones_reads_a_whole_table() {
    let statements = statements();
    let scans = scans(&statements, Statistics::Absent);
    assert!(scans.is_empty(), "these read a whole table: {scans:#?}");
}

#[test]
fn no_secret_lay_about() {
    let secrets = recorded()
        .into_iter()
        .filter(|seen| matches!(seen, Seen::Secret(_)));
    let secrets: Vec<Seen> = secrets.collect();
    assert!(secrets.is_empty(), "secrets lie about: {secrets:#?}");
}
