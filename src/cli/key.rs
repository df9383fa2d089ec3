//! `key`: the keys that sign access tokens, and the key file that everything rests on.

use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::{Value, json};
use strum::VariantArray;

use super::ask::Consent;
use super::context::{Context, run_to_end};
use super::error::Refusal;
use super::output::{Output, facts};
use crate::app::{self, NewKey};
use crate::domain::SignatureAlgorithm;
use crate::service::{AlgorithmChange, Rotation, SigningKeyStage, SigningKeyState};
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
    /// token that it signed has expired. The running server picks it up. The algorithm stays as it is, unless --algorithm or tokens.algorithm says otherwise.
    #[command(
        after_help = "Example: in order\n  arkloop key rotate\n\nExample: the signing key was stolen\n  arkloop key rotate --now\n\nExample: change the algorithm, when all services accept it\n  arkloop key rotate --algorithm ES256"
    )]
    Rotate {
        /// Sign with it at once and drop all others: their tokens are refused, and clients have to refresh
        #[arg(long)]
        now: bool,
        #[command(flatten)]
        choice: Choice,
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
    /// mail and signing keys. The new signing key has the algorithm of the one before, unless --algorithm or tokens.algorithm says otherwise.
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
    /// How the new key signs
    #[arg(long, value_name = "ALGORITHM", ignore_case = true, value_parser = algorithms())]
    algorithm: Option<SignatureAlgorithm>,
}

fn algorithms() -> impl TypedValueParser<Value = SignatureAlgorithm> {
    PossibleValuesParser::new(SignatureAlgorithm::VARIANTS.iter().map(<&str>::from)).try_map(|name| {
        let is_meant = |algorithm: &SignatureAlgorithm| algorithm.into_str().eq_ignore_ascii_case(&name);
        SignatureAlgorithm::VARIANTS
            .iter()
            .copied()
            .find(is_meant)
            .ok_or("unknown algorithm")
    })
}

impl Choice {
    /// What is asked for by the flag or else by the configuration; `None` keeps what the keys have.
    fn wanted(&self, context: &Context) -> Option<SignatureAlgorithm> {
        let configured = context.config.tokens.algorithm;
        if let (Some(wanted), Some(configured)) = (
            self.algorithm,
            configured.filter(|other| Some(*other) != self.algorithm),
        ) {
            context.output.warning(&format!(
                "tokens.algorithm is \"{}\", so the next start of the server goes back to that; set it to \"{}\"",
                configured.into_str(),
                wanted.into_str(),
            ));
        }
        self.algorithm.or(configured)
    }
}

/// `key …`
pub(super) fn run(command: &Command, context: &Context) -> Result<(), Refusal> {
    let (config, operator) = (&context.config, &context.operator);
    let system = System::machine();
    let (rotation, wanted) = match command {
        Command::List => return list(context),
        Command::Rekey => return tell_new_key(context, app::rekey(config, &system, operator)),
        Command::Reset { choice, consent } => {
            app::find_lost_key(config)?;
            let database = config.database_path();
            consent.to(&format!(
                "end all sessions, invites and links of {}",
                database.display()
            ))?;
            let wanted = choice.wanted(context);
            return tell_new_key(context, app::reset_key(config, wanted, &system, operator));
        }
        Command::Rotate { now: false, choice } => (Rotation::Announced, choice.wanted(context)),
        Command::Rotate { now: true, choice } => (Rotation::AtOnce, choice.wanted(context)),
    };
    let change =
        context.with_service(async |service| Ok(service.rotate_signing_key(rotation, wanted).await?))?;
    let (mut document, mut lines) = look(context)?;
    document["algorithm_changed"] = change_to_json(change);
    lines.extend(change.map(describe_change));
    context.output.result(&document, || facts(&lines))?;
    warn_of_change(context.output, change);
    Ok(())
}

/// A name and its value.
type Fact = (&'static str, String);

/// How the algorithm changed, in JSON; `null` if it did not.
pub(super) fn change_to_json(change: Option<AlgorithmChange>) -> Value {
    json!(change.map(|change| json!({ "from": change.from.into_str(), "to": change.to.into_str() })))
}

/// The same as a line.
pub(super) fn describe_change(change: AlgorithmChange) -> Fact {
    let (from, to) = (change.from.into_str(), change.to.into_str());
    ("algorithm", format!("changed from {from} to {to}"))
}

/// Says what a change of the algorithm means to other services.
pub(super) fn warn_of_change(output: Output, change: Option<AlgorithmChange>) {
    if let Some(AlgorithmChange { from, to }) = change {
        output.note(&format!(
            "Services that accept only {} refuse the tokens of the new key. Let them accept {}.",
            from.into_str(),
            to.into_str(),
        ));
    }
}

fn list(context: &Context) -> Result<(), Refusal> {
    let (document, lines) = look(context)?;
    context.output.result(&document, || facts(&lines))
}

/// The keys, in JSON and as lines.
fn look(context: &Context) -> Result<(Value, Vec<Fact>), Refusal> {
    let (key, keys) = context
        .with_service(async |service| Ok((service.key_fingerprint(), service.list_signing_keys().await?)))?;
    let key_file = context.config.key_path();
    let document = json!({
        "key_file": key_file.to_string_lossy(),
        "key": key.to_string(),
        "signing_keys": keys.iter().map(to_json).collect::<Vec<_>>(),
    });
    let mut lines = vec![("key file", format!("{key} ({})", key_file.display()))];
    lines.extend(keys.iter().map(|key| (name(key.stage), describe(key))));
    Ok((document, lines))
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
        "algorithm_changed": change_to_json(new.ended.algorithm),
    });
    context.output.result(&document, || {
        let mut lines = vec![
            ("key file", format!("{} ({})", new.key, new.key_file.display())),
            ("sessions ended", new.ended.sessions.to_string()),
            ("invites revoked", new.ended.invites.to_string()),
        ];
        lines.extend(new.ended.algorithm.map(describe_change));
        if let Some(kept) = &new.kept {
            lines.push(("before it", format!("kept as {}", kept.display())));
        }
        facts(&lines)
    })?;
    let backups = match new.kept {
        Some(_) => "Backups from before need the old one",
        None => "Backups from before need the lost one and cannot be restored without it",
    };
    warn_of_change(context.output, new.ended.algorithm);
    context.output.note(&format!(
        "Keep a copy of the new key file apart from the database. {backups}; make a new backup."
    ));
    Ok(())
}
