//! What only a whole run of the tests shows: every answer that the document lists was seen, and each command in every way it ends. A process of its
//! own reads the record of the run: `ARKLOOP_RECORD=record cargo test`, then `ARKLOOP_RECORD=record cargo test --test whole_run`.

#![expect(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "the tests of the other binary use the rest of what both share"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use support::record::{Observation, Seen, documented};
use support::shown::{Form, Shown, leaves};
use support::{Engine, Statistics, refused_by_postgres, scans, scans_on_postgres};

/// What runs on SQLite in a run on PostgreSQL too: the beginning of the names of tests, and why.
const ON_SQLITE_ALONE: &[(&str, &str)] = &[
    (
        "api::email_undo_limits::neither_a_restore",
        "it restores a backup",
    ),
    ("cli::audit::a_backup_and_a_restore", "it restores a backup"),
    ("cli::backup::", "a backup is a copy of the file"),
    ("cli::check::", "`check` looks at the file and its backups"),
    ("cli::check_owners::", "the owners of files"),
    (
        "cli::check_server::the_server_is_asked",
        "`check` says more of PostgreSQL",
    ),
    (
        "cli::check_server::what_must_be_mended",
        "`check` warns of what the PostgreSQL of the tests is set to",
    ),
    (
        "cli::config_show::config_show_",
        "the URL of the database is a variable, which it shows",
    ),
    ("cli::db_copy::", "it begins with a file"),
    ("cli::restore_external::a_file", "it begins with a file"),
    (
        "cli::every_command::",
        "files that are no database of this program",
    ),
    ("cli::init::", "where the file is"),
    (
        "cli::key_algorithm::a",
        "a backup, and a database of the version before",
    ),
    ("cli::key_file::", "the key file is replaced in the database file"),
    (
        "cli::key_mounted::",
        "the key file is replaced in the database file",
    ),
    ("cli::metrics::every_figure", "the age of a backup is a figure"),
    ("cli::monitoring::", "the age of a backup is a figure"),
    ("cli::owners::", "the owners of files"),
    ("cli::restore", "a backup takes the place of the file"),
    (
        "cli::serve::a_second_server",
        "several may serve a database of PostgreSQL",
    ),
    (
        "cli::terminal::a_database_is_not_replaced",
        "it restores a backup",
    ),
    (
        "contract::engines::",
        "what SQLite has is compared with PostgreSQL",
    ),
    ("contract::plans::", "how SQLite finds rows"),
    ("contract::statements::", "what a request asks SQLite"),
    ("faults::audit::rows_and_counts", "the size of rows in the file"),
    ("faults::backup::", "a backup is a copy of the file"),
    ("faults::costs::an_upgrade", "a file of an older version"),
    ("faults::disk::", "a file that cannot grow"),
    (
        "faults::ended_sessions::twenty_thousand",
        "the work of SQLite is counted",
    ),
    ("faults::first_start::", "files of a start that was cut off"),
    ("faults::grown::a_page", "the work of SQLite is counted"),
    (
        "faults::mail::a_database_has_one_worker",
        "several may serve a database of PostgreSQL",
    ),
    ("faults::planted_", "files and directories of others"),
    ("faults::readiness::a_", "a file that is full or was replaced"),
    ("faults::refusals::", "files that cannot be trusted"),
    ("faults::rekey::", "the key file is replaced in the database file"),
    ("faults::retries::a_", "a file that cannot grow"),
    ("faults::upgrade", "files of older versions"),
    (
        "faults::writer::",
        "what the connections of SQLite are set to, and a file that cannot grow",
    ),
    ("faults::wrong_clock::a_restored_backup", "it restores a backup"),
];

#[test]
fn every_test_ran_on_the_engine_of_the_run_but_those_about_sqlite() {
    let mut engines: BTreeMap<String, BTreeSet<Engine>> = BTreeMap::new();
    let [mut on_sqlite_in_all, mut on_postgres_in_all] = [BTreeSet::new(), BTreeSet::new()];
    for seen in recorded() {
        let Seen::Ran(of_run, engine, test) = seen else {
            continue;
        };
        match engine {
            Engine::Sqlite => on_sqlite_in_all.insert(test.clone()),
            Engine::Postgres => on_postgres_in_all.insert(test.clone()),
        };
        if (of_run, engine) != (Engine::Sqlite, Engine::Sqlite) {
            engines.entry(test).or_default().insert(engine);
        }
    }
    println!(
        "tests with a database of SQLite: {}; of PostgreSQL: {}",
        on_sqlite_in_all.len(),
        on_postgres_in_all.len()
    );
    let on_sqlite = engines
        .iter()
        .filter(|(_, used)| !used.contains(&Engine::Postgres));
    let on_sqlite: Vec<&String> = on_sqlite.map(|(test, _)| test).collect();
    let reason = |test: &str| ON_SQLITE_ALONE.iter().find(|(start, _)| test.starts_with(start));
    let without: Vec<_> = on_sqlite.iter().filter(|test| reason(test).is_none()).collect();
    assert!(without.is_empty(), "why do these run on SQLite? {without:#?}");
    let is_used = |start: &str| on_sqlite.iter().any(|test| test.starts_with(start));
    let mut unused = ON_SQLITE_ALONE.iter().filter(|(start, _)| !is_used(start));
    // A run on SQLite needs no reasons.
    assert!(
        on_sqlite.is_empty() || unused.next().is_none(),
        "these no longer run on SQLite alone: {unused:#?}"
    );
}

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
    let mut exempt = vec![("serve".to_owned(), Form::Json, 0)];
    // A copy needs both engines.
    let is_of_run = |engine| move |seen: &Seen| matches!(seen, Seen::Ran(of_run, ..) if *of_run == engine);
    if !recorded().iter().any(is_of_run(Engine::Postgres)) {
        exempt.extend([Form::Text, Form::Json].map(|form| ("db copy".to_owned(), form, 0)));
    }
    let command = |seen| match seen {
        Seen::Command(shown) => Some(shown),
        _ => None,
    };
    let commands = recorded().into_iter().filter_map(command);
    let shown: BTreeSet<Shown> = commands.chain(exempt).collect();
    let missing: Vec<&Shown> = wanted.difference(&shown).collect();
    assert!(
        missing.is_empty(),
        "never shown with this exit code: {missing:#?}"
    );
}

/// The statements that servers have sent to an engine.
fn statements_of(engine: Engine) -> BTreeSet<String> {
    let statement = |seen| match seen {
        Seen::Statement(of, text) if of == engine => Some(text),
        _ => None,
    };
    recorded().into_iter().filter_map(statement).collect()
}

fn statements() -> BTreeSet<String> {
    let statements = statements_of(Engine::Sqlite);
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
    let scans = scans_on_postgres(&statements_of(Engine::Postgres));
    assert!(
        scans.is_empty(),
        "these read a whole table of PostgreSQL: {scans:#?}"
    );
}

#[test]
fn no_secret_lay_about() {
    let secrets = recorded()
        .into_iter()
        .filter(|seen| matches!(seen, Seen::Secret(_)));
    let secrets: Vec<Seen> = secrets.collect();
    assert!(secrets.is_empty(), "secrets lie about: {secrets:#?}");
}
