//! What an operator should mend: each part of an installation looked at, with what was found and how to mend it.
//!
//! Nothing is changed. What needs the database is asked through the service; where it cannot be opened, that is the
//! finding, and the rest is looked at all the same.

mod database;
mod files;
mod mending;
mod outside;

pub(super) use files::open_to_others;

use super::listener::recorded_capacity;
use super::{App, Capacity, OpenError, Role};
use crate::config::Config;
use crate::crypto::KeyFileError;
use crate::domain::Operator;
use crate::system::System;

/// How something was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// As it should be.
    Good,
    /// It works, and something else would be wiser.
    Unwise,
    /// It must be mended.
    Bad,
}

impl State {
    /// The word in front of a line and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Unwise => "warning",
            Self::Bad => "mend",
        }
    }
}

/// What was found out about one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at: one word.
    pub subject: &'static str,
    /// How it is.
    pub state: State,
    /// What was seen.
    pub seen: String,
    /// What to do about it; `None` if nothing.
    pub mend: Option<String>,
}

impl Finding {
    fn good(subject: &'static str, seen: impl Into<String>) -> Self {
        Self {
            subject,
            state: State::Good,
            seen: seen.into(),
            mend: None,
        }
    }

    fn unwise(subject: &'static str, seen: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            state: State::Unwise,
            mend: Some(mend.into()),
            ..Self::good(subject, seen)
        }
    }

    fn bad(subject: &'static str, seen: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            state: State::Bad,
            ..Self::unwise(subject, seen, mend)
        }
    }
}

/// Looks at everything that `config` names; `operator` is who asks, and `begin` is told what is looked at. What must be mended stands
/// last, in the order in which a fault causes others.
pub async fn check(
    config: &Config,
    system: System,
    operator: Operator,
    begin: &dyn Fn(&'static str),
) -> Vec<Finding> {
    let mut findings = configuration(config);
    begin("the files");
    findings.extend(files::check(config));
    if let Some(finding) = files::of_another_user(config) {
        findings.push(finding);
        findings.sort_by_key(|finding| finding.state);
        return findings;
    }
    findings.push(memory(config));
    begin("the database");
    match App::open(config, system, Role::Check, operator).await {
        Ok(app) => {
            findings.extend(app.notices().iter().map(|notice| {
                Finding::unwise(
                    "configuration",
                    notice.clone(),
                    "name the server's own with --config FILE",
                )
            }));
            findings.extend(database::check(&app, config.tokens.algorithm).await);
            findings.extend(check_services(config, begin).await);
            begin("the server");
            findings.extend(outside::check_server(config, &app).await);
        }
        Err(error) => {
            // The key file is among the files, whose one command mends it too.
            let is_told = matches!(
                error,
                OpenError::KeyFile(KeyFileError::Io { .. } | KeyFileError::TooOpen { .. })
            ) && findings
                .iter()
                .any(|finding| finding.subject == "files" && finding.state == State::Bad);
            let mend = if is_told {
                "mend the files first".to_owned()
            } else {
                error
                    .hint()
                    .unwrap_or_else(|| "see the log of the server".to_owned())
            };
            findings.push(Finding::bad("database", error.to_string(), mend));
            findings.extend(check_services(config, begin).await);
        }
    }
    findings.sort_by_key(|finding| finding.state);
    findings
}

/// What is asked over the network, whatever the database says.
async fn check_services(config: &Config, begin: &dyn Fn(&'static str)) -> [Finding; 2] {
    begin("the mail server");
    let mail = outside::check_mail(config).await;
    begin("Turnstile");
    [mail, outside::check_turnstile(config).await]
}

/// Whether the memory of the server does; before its first start, that of this process.
fn memory(config: &Config) -> Finding {
    let capacity = recorded_capacity(config).unwrap_or_else(|| Capacity::of(config));
    match capacity.problem() {
        None => Finding::good("memory", capacity.to_string()),
        Some((seen, mend)) => Finding::unwise("memory", seen, mend),
    }
}

/// What the configuration itself says of its own wisdom; that it can be read at all is known by now.
fn configuration(config: &Config) -> Vec<Finding> {
    let warnings = config.warnings();
    if warnings.is_empty() {
        let place = config.file.as_ref().map_or_else(
            || "defaults and environment".to_owned(),
            |file| file.display().to_string(),
        );
        return vec![Finding::good("configuration", place)];
    }
    let unwise = |warning: &String| {
        Finding::unwise(
            "configuration",
            warning.clone(),
            "see `arkloop config show` and arkloop.toml.example",
        )
    };
    warnings.iter().map(unwise).collect()
}
