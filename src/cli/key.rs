//! `key`: the keys that sign access tokens, and the key file, which seals the secrets in the database.

use std::path::Path;

use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::{Value, json};
use strum::VariantArray;

use super::ask::Consent;
use super::context::{Context, run_to_end};
use super::error::Refusal;
use super::layout::Fact;
use super::report::{Report, facts};
use crate::app::{self, NewKey};
use crate::config::Config;
use crate::domain::SignatureAlgorithm;
use crate::service::{AlgorithmChange, Error, KeyRotation, SigningKeyStage, SigningKeyState};

/// See and replace keys
#[derive(Debug, Subcommand)]
#[command(after_help = "Example: replace the key that signs\n  arkloop key rotate")]
pub(super) enum Command {
    /// Print the key file's fingerprint, and the keys that sign access tokens
    #[command(after_help = "Example:\n  arkloop key list")]
    List,
    /// Create a new signing key
    ///
    /// The new key is published at once and signs some minutes later, when every service that caches the JWKS has it: see key list. The old key stays
    /// published until every token that it signed has expired. A running server picks up the new key. The algorithm stays the same, unless --algorithm or
    /// tokens.algorithm says otherwise.
    #[command(
        after_help = "Example: in steps\n  arkloop key rotate\n\nExample: the signing key was stolen\n  arkloop key rotate --now\n\nExample: change the algorithm, when all services accept it\n  arkloop key rotate --algorithm ES256"
    )]
    Rotate {
        /// Sign with the new key at once and drop all others: their tokens are refused, and clients have to refresh
        #[arg(long)]
        now: bool,
        #[command(flatten)]
        choice: Choice,
    },
    /// Replace the key file by a new one and seal the database with it, while no server runs
    ///
    /// Sessions and one-time codes end; invites, links, queued mail and signing keys go on. The old key file is kept under another name, because older
    /// backups need it. A crash in the middle does no harm: the next command finishes the replacement.
    #[command(
        after_help = "Example: stop the server, replace the key file, start it\n  systemctl stop arkloop\n  runuser -u arkloop -- arkloop key rekey\n  systemctl start arkloop"
    )]
    Rekey,
    /// Replace a lost key file by a new one, while no server runs
    ///
    /// Accounts stay, with their passwords. Everything else that only the lost key could open or prove ends: sessions, codes, invites, links, queued
    /// mail and signing keys. The new signing key has the algorithm of the old one, unless --algorithm or tokens.algorithm says otherwise.
    #[command(after_help = "Example:\n  runuser -u arkloop -- arkloop key reset")]
    Reset {
        #[command(flatten)]
        choice: Choice,
        #[command(flatten)]
        consent: Consent,
    },
}

#[derive(clap::Args, Debug)]
pub(super) struct Choice {
    /// The algorithm of the new key
    #[arg(long, value_name = "ALGORITHM", ignore_case = true, value_parser = algorithms())]
    algorithm: Option<SignatureAlgorithm>,
}

fn algorithms() -> impl TypedValueParser<Value = SignatureAlgorithm> {
    let names = SignatureAlgorithm::VARIANTS.iter().map(<&str>::from);
    PossibleValuesParser::new(names).map(|name| {
        let is_named = |algorithm: &&SignatureAlgorithm| algorithm.into_str().eq_ignore_ascii_case(&name);
        let algorithm = SignatureAlgorithm::VARIANTS.iter().find(is_named);
        *algorithm.expect("clap lets only these names through")
    })
}

impl Choice {
    /// The algorithm from the flag or the configuration; `None` keeps the present one.
    fn wanted(&self, context: &Context) -> Option<SignatureAlgorithm> {
        let configured = context.config.tokens.algorithm;
        if let (Some(wanted), Some(configured)) = (self.algorithm, configured)
            && wanted != configured
        {
            context.output.warning(&format!(
                "tokens.algorithm is \"{}\", so the next start of the server goes back to that; set it to \"{}\"",
                configured.into_str(),
                wanted.into_str(),
            ));
        }
        self.algorithm.or(configured)
    }
}

pub(super) fn run(command: &Command, context: &Context) -> Result<Report, Refusal> {
    let (config, operator) = (&context.config, &context.operator);
    match command {
        Command::List => {
            let (document, lines) = look(context)?;
            Ok(Report::new(document, facts(&lines)))
        }
        Command::Rotate { now, choice } => {
            let rotation = if *now {
                KeyRotation::AtOnce
            } else {
                KeyRotation::Announced
            };
            let wanted = choice.wanted(context);
            let change =
                context.with_service(async |service| service.rotate_signing_key(rotation, wanted).await)?;
            let (document, lines) = look(context)?;
            Ok(report_change(document, lines, change, None))
        }
        Command::Rekey => replace(config, app::rekey(config, operator)),
        Command::Reset { choice, consent } => {
            app::confirm_key_lost(config)?;
            let database = config.database_path();
            consent.to(&format!(
                "end all sessions, invites and links of {}",
                database.display()
            ))?;
            let wanted = choice.wanted(context);
            replace(config, app::reset_key(config, wanted, operator))
        }
    }
}

/// Adds to `document` and `lines` how the algorithm changed, and to `lines` the path where the replaced file is `kept`.
pub(super) fn report_change(
    mut document: Value,
    mut lines: Vec<Fact>,
    change: Option<AlgorithmChange>,
    kept: Option<&Path>,
) -> Report {
    let change = change.map(|change| (change.from.into_str(), change.to.into_str()));
    document["algorithm_changed"] = json!(change.map(|(from, to)| json!({ "from": from, "to": to })));
    lines.extend(change.map(|(from, to)| ("algorithm", format!("changed from {from} to {to}"))));
    lines.extend(kept.map(|kept| ("before it", format!("kept as {}", kept.display()))));
    let mut report = Report::new(document, facts(&lines));
    report.notes.extend(change.map(|(from, to)| {
        format!("Services that accept only {from} refuse the tokens of the new key. Let them accept {to}.")
    }));
    report
}

/// Reads the keys, and returns them in JSON and as facts.
fn look(context: &Context) -> Result<(Value, Vec<Fact>), Refusal> {
    let (key, keys) = context.with_service(async |service| {
        let keys = service.list_signing_keys().await?;
        Ok::<_, Error>((service.key_fingerprint(), keys))
    })?;
    let key_file = context.config.key_path();
    let document = json!({
        "key_file": key_file.to_string_lossy(),
        "key": key.to_string(),
        "signing_keys": keys.iter().map(to_json).collect::<Vec<_>>(),
    });
    let mut lines = vec![("key file", format!("{key} ({})", key_file.display()))];
    lines.extend(keys.iter().map(|key| (key.stage.into_str(), describe(key))));
    Ok((document, lines))
}

fn describe(state: &SigningKeyState) -> String {
    let key = &state.key;
    let time = match (state.stage, key.retired_at, state.published_until) {
        (SigningKeyStage::Next, ..) => format!("signs from {} on", key.active_at),
        (_, Some(retired_at), Some(published_until)) => {
            format!("until {retired_at}, published until {published_until}")
        }
        _ => format!("since {}", key.active_at),
    };
    format!("{} {}, {time}", key.algorithm.into_str(), key.kid)
}

fn to_json(state: &SigningKeyState) -> Value {
    let key = &state.key;
    json!({
        "kid": key.kid,
        "algorithm": key.algorithm.into_str(),
        "status": state.stage.into_str(),
        "created_at": key.created_at,
        "active_at": key.active_at,
        "retired_at": key.retired_at,
        "published_until": state.published_until,
    })
}

/// Runs `work`, which replaces the key file, and reports the result.
fn replace(
    config: &Config,
    work: impl Future<Output = Result<NewKey, app::OpenError>>,
) -> Result<Report, Refusal> {
    let NewKey { key, kept, ended } = run_to_end(work)?;
    let key_file = config.key_path();
    let document = json!({
        "key_file": key_file.to_string_lossy(),
        "key": key.to_string(),
        "kept": kept.as_ref().map(|path| path.to_string_lossy()),
        "sessions_ended": ended.sessions,
        "invites_revoked": ended.invites,
    });
    let backups = match kept {
        Some(_) => "Backups from before need the old one",
        None => "Backups from before need the lost one and cannot be restored without it",
    };
    let lines = vec![
        ("key file", format!("{key} ({})", key_file.display())),
        ("sessions ended", ended.sessions.to_string()),
        ("invites revoked", ended.invites.to_string()),
    ];
    let report = report_change(document, lines, ended.algorithm, kept.as_deref());
    let report = report.note(format!(
        "Keep a copy of the new key file apart from the database. {backups}; make a new backup."
    ));
    if config.database_url.is_none() {
        return Ok(report);
    }
    Ok(report.note("Servers of this database on other machines need the new key file before they start."))
}
