//! `key`: the keys that sign access tokens, and the key file that everything rests on.

use clap::Subcommand;
use serde_json::{Value, json};

use super::ask::Consent;
use super::context::{Context, run_to_end};
use super::error::Refusal;
use super::output::facts;
use crate::app::{self, NewKey};
use crate::service::{Rotation, SigningKeyStage, SigningKeyState};
use crate::system::System;

/// See and replace keys
#[derive(Debug, Subcommand)]
#[command(after_help = "Example: replace the key that signs\n  arkloop key rotate")]
pub(super) enum Command {
    /// Print the key file's fingerprint, and the keys that sign access tokens
    #[command(after_help = "Example:\n  arkloop key list")]
    List,
    /// Make a new signing key
    ///
    /// It is published at once and signs some minutes later, when every service that caches the JWKS has it: see key list. The old one stays published until every
    /// token that it signed has expired. The running server picks it up.
    #[command(
        after_help = "Example: in order\n  arkloop key rotate\n\nExample: the signing key was stolen\n  arkloop key rotate --now"
    )]
    Rotate {
        /// Sign with it at once and drop all others: their tokens are refused, and clients have to refresh
        #[arg(long)]
        now: bool,
    },
    /// Replace the key file by a new one and seal everything in the database anew, while no server runs
    ///
    /// Sessions and one-time codes end; invites, links, queued mail and signing keys go on. The old key file is kept under another name, because backups
    /// from before need it. A crash in the middle does no harm: the next command finishes it.
    #[command(
        after_help = "Example: stop the server, replace the key file, start it\n  systemctl stop arkloop\n  runuser -u arkloop -- arkloop key rekey\n  systemctl start arkloop"
    )]
    Rekey,
    /// Go on with a new key file when the old one is lost, while no server runs
    ///
    /// Accounts stay, with their passwords. Everything else that only the lost key could open or prove ends: sessions, codes, invites, links, queued
    /// mail and signing keys.
    #[command(after_help = "Example:\n  runuser -u arkloop -- arkloop key reset")]
    Reset {
        #[command(flatten)]
        consent: Consent,
    },
}

/// `key …`
pub(super) fn run(command: &Command, context: &Context) -> Result<(), Refusal> {
    let (config, operator) = (&context.config, &context.operator);
    let system = System::machine();
    let rotation = match command {
        Command::List => return list(context),
        Command::Rekey => return tell_new_key(context, app::rekey(config, &system, operator)),
        Command::Reset { consent } => {
            app::find_lost_key(config)?;
            let database = config.database_path();
            consent.to(&format!(
                "end all sessions, invites and links of {}",
                database.display()
            ))?;
            return tell_new_key(context, app::reset_key(config, &system, operator));
        }
        Command::Rotate { now: false } => Rotation::Announced,
        Command::Rotate { now: true } => Rotation::AtOnce,
    };
    context.with_service(async |service| Ok(service.rotate_signing_key(rotation).await?))?;
    list(context)
}

fn list(context: &Context) -> Result<(), Refusal> {
    let (key, keys) = context
        .with_service(async |service| Ok((service.key_fingerprint(), service.list_signing_keys().await?)))?;
    let key_file = context.config.key_path();
    let document = json!({
        "key_file": key_file.to_string_lossy(),
        "key": key.to_string(),
        "signing_keys": keys.iter().map(to_json).collect::<Vec<_>>(),
    });
    context.output.result(&document, || {
        let mut lines = vec![("key file", format!("{key} ({})", key_file.display()))];
        lines.extend(keys.iter().map(|key| (name(key.stage), describe(key))));
        facts(&lines)
    })
}

const fn name(stage: SigningKeyStage) -> &'static str {
    match stage {
        SigningKeyStage::Next => "next",
        SigningKeyStage::Signing => "signing",
        SigningKeyStage::Retired => "retired",
    }
}

fn describe(key: &SigningKeyState) -> String {
    let time = match (key.stage, key.retired_at, key.published_until) {
        (SigningKeyStage::Next, ..) => format!("signs from {} on", key.active_at),
        (_, Some(retired_at), Some(published_until)) => {
            format!("until {retired_at}, published until {published_until}")
        }
        _ => format!("since {}", key.active_at),
    };
    format!("{} {}, {time}", key.algorithm, key.kid)
}

fn to_json(key: &SigningKeyState) -> Value {
    json!({
        "kid": key.kid,
        "algorithm": key.algorithm,
        "status": name(key.stage),
        "created_at": key.created_at.to_string(),
        "active_at": key.active_at.to_string(),
        "retired_at": key.retired_at.map(|moment| moment.to_string()),
        "published_until": key.published_until.map(|moment| moment.to_string()),
    })
}

fn tell_new_key(
    context: &Context,
    replaced: impl Future<Output = Result<NewKey, app::OpenError>>,
) -> Result<(), Refusal> {
    let new = run_to_end(async { Ok(replaced.await?) })?;
    let document = json!({
        "key_file": new.key_file.to_string_lossy(),
        "key": new.key.to_string(),
        "kept": new.kept.as_ref().map(|path| path.to_string_lossy()),
        "sessions_ended": new.ended.sessions,
        "invites_revoked": new.ended.invites,
    });
    context.output.result(&document, || {
        let mut lines = vec![
            ("key file", format!("{} ({})", new.key, new.key_file.display())),
            ("sessions ended", new.ended.sessions.to_string()),
            ("invites revoked", new.ended.invites.to_string()),
        ];
        if let Some(kept) = &new.kept {
            lines.push(("before it", format!("kept as {}", kept.display())));
        }
        facts(&lines)
    })?;
    let backups = match new.kept {
        Some(_) => "Backups from before need the old one",
        None => "Backups from before need the lost one and cannot be restored without it",
    };
    context.output.note(&format!(
        "Keep a copy of the new key file apart from the database. {backups}; make a new backup."
    ));
    Ok(())
}
