//! `db`: carries the database from one engine to the other.

use std::io;

use clap::Subcommand;
use clap::ValueEnum;
use serde_json::json;

use super::context::Context;
use super::error::Refusal;
use super::layout::{self, Fact, columns};
use super::progress::with_progress;
use super::report::Report;
use crate::app::{self, CopyDirection, CopyProgress, CopyStart, CopyStep, DatabaseCopy};

/// How many hexadecimal digits of a digest are printed for people.
const SHOWN_DIGITS: usize = 16;

/// Move the database between SQLite and PostgreSQL
#[derive(Debug, Subcommand)]
#[command(after_help = "Example: from the file to PostgreSQL\n  arkloop db copy sqlite postgres")]
pub(super) enum Command {
    /// Copy the whole database to the other engine, while no server runs, and verify the copy
    ///
    /// One of FROM and TO is sqlite, the file arkloop.db in the data directory, and the other is postgres, the database that database.url names: set that
    /// first. The key file fits both and stays as it is. TO must be empty, and
    /// nothing can open it before the copy is complete. If the command is interrupted, run it again: it goes on where it stopped, or begins again if
    /// FROM has changed. At the end it reads both databases anew, and prints for each table the number of rows and the digest, which are the same in
    /// both. FROM stays as it is.
    #[command(
        after_help = "Example: stop the server, move it to PostgreSQL, start it\n  systemctl stop arkloop\n  createdb --owner arkloop --template template0 --encoding UTF8 arkloop\n  runuser -u arkloop -- arkloop db copy sqlite postgres\n  systemctl start arkloop\n\nExample: back to the file; then take database.url out of the configuration\n  arkloop db copy postgres sqlite"
    )]
    Copy {
        /// The database to copy
        from: Engine,
        /// The database to make, of the other engine
        to: Engine,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Engine {
    /// The file arkloop.db in the data directory
    Sqlite,
    /// The database that database.url names
    Postgres,
}

pub(super) fn run(command: &Command, context: &Context) -> Result<Report, Refusal> {
    let Command::Copy { from, to } = *command;
    let direction = match (from, to) {
        (Engine::Sqlite, Engine::Postgres) => CopyDirection::ToPostgres,
        (Engine::Postgres, Engine::Sqlite) => CopyDirection::ToSqlite,
        _ => {
            return Err(Refusal::new(
                "a copy goes from one engine to the other",
                "give sqlite and postgres, in the order of the copy; for a copy of the file see: arkloop backup --help",
            ));
        }
    };
    let copy = with_progress(context.output, |progress| {
        app::copy(&context.config, direction, &|copied| {
            progress.say(to_text(copied));
        })
    })?;
    Ok(report(&copy, direction, context))
}

fn report(copy: &DatabaseCopy, direction: CopyDirection, context: &Context) -> Report {
    let file = context.config.database_file().display().to_string();
    let server = context.config.database_path().display().to_string();
    let (from, to) = match direction {
        CopyDirection::ToPostgres => (&file, &server),
        CopyDirection::ToSqlite => (&server, &file),
    };
    let tables = copy.tables.iter();
    let documents: Vec<_> = tables
        .clone()
        .map(|(name, digest)| json!({ "table": name, "rows": digest.rows, "sha256": digest.sha256 }))
        .collect();
    let resumed = match copy.start {
        CopyStart::Resumed(rows) => Some(rows),
        CopyStart::New | CopyStart::Again => None,
    };
    let document = json!({
        "from": from,
        "to": to,
        "schema": copy.schema,
        "rows": copy.tables.iter().map(|(_, digest)| digest.rows).sum::<u64>(),
        "resumed_after": resumed,
        "replaced_texts": copy.replaced,
        "tables": documents,
    });
    let rows: Vec<Vec<Fact>> = tables
        .map(|(name, digest)| {
            vec![
                ("TABLE", name.clone()),
                ("ROWS", digest.rows.to_string()),
                ("SHA-256", digest.sha256.chars().take(SHOWN_DIGITS).collect()),
            ]
        })
        .collect();
    let mut report = Report::new(document, layout::records(&rows, columns(&io::stdout())));
    report.notes.extend(match copy.start {
        CopyStart::New => None,
        CopyStart::Resumed(rows) => Some(format!("{rows} rows were there from an interrupted copy.")),
        CopyStart::Again => {
            Some("An interrupted copy was dropped, because its source had changed since.".to_owned())
        }
    });
    if copy.replaced > 0 {
        report = report.note(format!(
            "{} texts contain NUL, which PostgreSQL cannot store; the copy has U+FFFD in its place.",
            copy.replaced
        ));
    }
    report.note(format!("{to} has the same rows as {from}.")).note(match direction {
        CopyDirection::ToPostgres => format!(
            "Start the server with database.url as it is now, and the same key file. When all is well, move {file} away: it is out of date from then on."
        ),
        CopyDirection::ToSqlite => format!(
            "Take database.url out of the configuration, and start the server with the same key file. {server} is out of date from then on."
        ),
    })
}

/// What a copy does now, for the line of progress.
fn to_text(progress: CopyProgress) -> String {
    let doing = match progress.step {
        CopyStep::Comparing => "comparing what an interrupted copy has left",
        CopyStep::Copying => "copying the database",
        CopyStep::Checking => "checking the copy",
    };
    match progress.percent() {
        Some(percent) => format!("{doing}, {percent} %"),
        None => doing.to_owned(),
    }
}
