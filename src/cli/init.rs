//! `init`: creates the data directory, the database and the key file.

use serde_json::json;

use super::ask::Consent;
use super::context::Context;
use super::error::Refusal;
use super::report::{Report, facts};
use crate::app::{self, Origin, Role};

/// Create the data directory with its database and key file, and nothing else
///
/// The server does the same when it starts; use this to prepare a machine, or to see the key file before anything depends on it.
///
/// If there is a key file but no database, the database may be lost: serve refuses to start, and this command asks first. If an orchestrator mounts the
/// key file before the first start, run init --yes once, by hand or in a separate job. Do not put it into an entrypoint: after the loss of a volume it
/// would create an empty database where a backup should be restored.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example: prepare a directory as the user that will run the server\n  runuser -u arkloop -- arkloop --data-dir /var/lib/arkloop init"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    consent: Consent,
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Report, Refusal> {
    let config = &context.config;
    let database = config.database_path().display().to_string();
    let key_file = config.key_path().display().to_string();
    let role = if app::lacks_database(config)? && arguments.consent.is_possible() {
        arguments.consent.to_consequence(
            &format!(
                "make a new, empty database {database} for the key file {key_file}, which is there already"
            ),
            "If there was a database, bring it back with arkloop restore FILE instead.",
        )?;
        Role::InitForKey
    } else {
        Role::Init
    };
    let origin = context.open(role, async |app| Ok::<_, Refusal>(app.origin))?;
    let document = json!({
        "data_dir": config.data_dir.to_string_lossy(),
        "database": database,
        "key_file": key_file,
        "created": origin == Origin::Made,
    });
    let report = Report::new(document, facts(&[("database", database), ("key file", key_file)]));
    Ok(report.note(match origin {
        Origin::Found => "The database exists already, and nothing was created.",
        Origin::Made => {
            "Keep a copy of the key file apart from the database: without it, sessions and invites are lost."
        }
    }))
}
