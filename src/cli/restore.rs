//! `restore`: replaces the database by a backup, or finishes a restore by other means.

use std::path::PathBuf;

use serde_json::json;

use super::ask::Consent;
use super::context::{Context, run_to_end};
use super::error::Refusal;
use super::key::report_change;
use super::progress::with_progress;
use super::report::Report;
use crate::app;

/// What a restore does to people.
const UNDONE: &str = "Everybody signs in again. Passwords, suspensions and deletions since the backup are undone: see arkloop user list.";

/// Replace the database by a backup, while no server runs
///
/// Restore the key file first: it must be the one that the backup names. The replaced database is kept under another name. Anything that may have been
/// used or revoked since the backup was made stops working: sessions end, usable invites are revoked, and codes, links, queued mail and signing keys are
/// deleted. The new signing key has the algorithm of the old one, unless tokens.algorithm says otherwise. Passwords, suspensions and deleted accounts
/// are again as they were when the backup was made.
///
/// A database of PostgreSQL comes back by its own tools or a snapshot of its server, and a file also by a snapshot of its disk. Run this with --after-external
/// then, before the server starts: it ends the same, in the database as it is.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example: stop the server, restore, start it\n  systemctl stop arkloop\n  runuser -u arkloop -- arkloop restore /var/backups/arkloop.db\n  systemctl start arkloop\n\nExample: after pg_restore, with the server stopped\n  arkloop restore --after-external"
)]
pub(super) struct Arguments {
    /// A file that arkloop backup has written
    #[arg(required_unless_present = "after_external")]
    file: Option<PathBuf>,
    /// The database was brought back by other means: replace nothing, and end what must not be live again
    #[arg(long, conflicts_with = "file")]
    after_external: bool,
    #[command(flatten)]
    consent: Consent,
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Report, Refusal> {
    let Some(file) = &arguments.file else {
        return end_after_restore(arguments, context);
    };
    let config = &context.config;
    let database = config.database_path();
    let (action, consequence) = if app::is_replaceable(config, file)? {
        (
            format!("replace {} by {}", database.display(), file.display()),
            "The database that is there now is kept beside it, as arkloop.db.before-restore.<time>.",
        )
    } else {
        (
            format!("make {} the database {}", file.display(), database.display()),
            "There is none now.",
        )
    };
    arguments.consent.to_consequence(&action, consequence)?;
    let restored = with_progress(context.output, |progress| {
        progress.say("copying and checking the backup");
        run_to_end(app::restore(config, &context.operator, file))
    })?;
    let document = json!({
        "database": database.to_string_lossy(),
        "kept": restored.kept.as_ref().map(|path| path.to_string_lossy()),
        "taken_at": restored.taken_at,
        "schema_before": restored.schema_before,
        "schema": restored.schema,
        "users": restored.users,
        "sessions_ended": restored.ended.sessions,
        "invites_revoked": restored.ended.invites,
        "key": restored.key.to_string(),
    });
    let taken_at = restored.taken_at.map(|at| at.to_string());
    let schema = if restored.schema_before == restored.schema {
        restored.schema.to_string()
    } else {
        format!("{}, brought up from {}", restored.schema, restored.schema_before)
    };
    let lines = vec![
        ("database", database.display().to_string()),
        (
            "as of",
            taken_at.unwrap_or_else(|| "unknown (no backup that arkloop made)".to_owned()),
        ),
        ("users", restored.users.to_string()),
        ("sessions ended", restored.ended.sessions.to_string()),
        ("invites revoked", restored.ended.invites.to_string()),
        ("schema", schema),
        ("key", restored.key.to_string()),
    ];
    let report = report_change(
        document,
        lines,
        restored.ended.algorithm,
        restored.kept.as_deref(),
    );
    Ok(report.note(UNDONE))
}

/// Ends what must not be live again after the database was restored by other means.
fn end_after_restore(arguments: &Arguments, context: &Context) -> Result<Report, Refusal> {
    let config = &context.config;
    let database = config.database_path().display().to_string();
    app::confirm_not_served(config)?;
    arguments
        .consent
        .to(&format!("end all sessions, invites and links of {database}"))?;
    let after = with_progress(context.output, |progress| {
        progress.say("ending what was live");
        run_to_end(app::end_after_restore(config, &context.operator))
    })?;
    let document = json!({
        "database": database,
        "schema": after.schema,
        "users": after.users,
        "sessions_ended": after.ended.sessions,
        "invites_revoked": after.ended.invites,
        "key": after.key.to_string(),
    });
    let lines = vec![
        ("database", database),
        ("users", after.users.to_string()),
        ("sessions ended", after.ended.sessions.to_string()),
        ("invites revoked", after.ended.invites.to_string()),
        ("schema", after.schema.to_string()),
        ("key", after.key.to_string()),
    ];
    Ok(report_change(document, lines, after.ended.algorithm, None).note(UNDONE))
}
