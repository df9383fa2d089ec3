//! `init`: a data directory, a database, a key.

use serde_json::json;

use super::ask::Consent;
use super::context::Context;
use super::error::Refusal;
use super::output::facts;
use crate::app::{self, Origin, Role};

/// Create the data directory with its database and key, and nothing else
///
/// The server does the same when it starts; use this to prepare a machine, or to see the key file before anything depends on it.
///
/// Where there is a key file and no database, the database may be lost: serve refuses, and this command asks first. Where an orchestrator mounts the key
/// file before the first start, run init --yes once, by hand or in a job of its own. Do not put it into an entrypoint: after the loss of a volume it would
/// make an empty database where a backup should be restored.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example: prepare a directory as the user that will run the server\n  runuser -u arkloop -- arkloop --data-dir /var/lib/arkloop init"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    consent: Consent,
}

/// `init`
pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<(), Refusal> {
    let config = &context.config;
    let (database, key_file) = (config.database_path(), config.key_path());
    let role = if app::lacks_database(config)? && arguments.consent.is_possible() {
        let (database, key_file) = (database.display(), key_file.display());
        arguments.consent.to_with(
            &format!(
                "make a new, empty database {database} for the key file {key_file}, which is there already"
            ),
            "If there was a database, bring it back with arkloop restore FILE instead.",
        )?;
        Role::InitForKey
    } else {
        Role::Init
    };
    let origin = context.open(role, async |app| Ok(app.origin))?;
    let document = json!({
        "data_dir": config.data_dir.to_string_lossy(),
        "database": database.to_string_lossy(),
        "key_file": key_file.to_string_lossy(),
        "created": origin == Origin::Made,
    });
    context.output.result(&document, || {
        facts(&[
            ("database", database.display().to_string()),
            ("key file", key_file.display().to_string()),
        ])
    })?;
    if origin == Origin::Found {
        context
            .output
            .note("The database was there already, and nothing was made.");
        return Ok(());
    }
    context.output.note(
        "Keep a copy of the key file apart from the database: without it, sessions and invites are lost.",
    );
    Ok(())
}
