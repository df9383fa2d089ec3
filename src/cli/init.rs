//! `init`: a data directory, a database, a key.

use serde_json::json;

use super::context::Context;
use super::error::Refusal;
use super::output::facts;
use crate::app::Role;

/// Create the data directory with its database and key, and nothing else
///
/// The server does the same when it starts; use this to prepare a machine, or to see the key file before anything depends on it.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example: prepare a directory as the user that will run the server\n  sudo -u arkloop arkloop --data-dir /var/lib/arkloop init"
)]
pub(super) struct Arguments {}

/// `init`
pub(super) fn run(context: &Context) -> Result<(), Refusal> {
    context.open(Role::Init, async |_| Ok(()))?;
    let config = &context.config;
    let (database, key_file) = (config.database_path(), config.key_path());
    let document = json!({
        "data_dir": config.data_dir.to_string_lossy(),
        "database": database.to_string_lossy(),
        "key_file": key_file.to_string_lossy(),
    });
    context.output.result(&document, || {
        facts(&[
            ("database", database.display().to_string()),
            ("key file", key_file.display().to_string()),
        ])
    })?;
    context.output.note(
        "Keep a copy of the key file apart from the database: without it, sessions and invites are lost.",
    );
    Ok(())
}
