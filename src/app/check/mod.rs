//! `check`: examines each part of an installation and says how to fix it.
//!
//! `check` changes nothing. A database that cannot be opened is one finding; the other parts are still checked.

mod database;
mod files;
mod finding;
mod outside;
mod permissions;
mod postgresql;

pub use finding::{Finding, State};

use super::capacity::Capacity;
use super::error::OpenError;
use super::listener::recorded_capacity;
use super::logo::read_logo;
use super::open::App;
use super::role::Role;
use crate::config::Config;
use crate::crypto::KeyFileError;
use crate::domain::Operator;
use crate::fault::with_sources;
use crate::system::System;

/// Checks everything that `config` names, and calls `begin` with the name of a part before it checks that part. The most urgent findings come last, where
/// a terminal shows them. Of equally urgent findings, a cause comes before its effects.
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
    } else {
        findings.push(memory(config));
        findings.extend(logo(config));
        findings.extend(database_and_beyond(config, system, operator, begin, &findings).await);
    }
    findings.sort_by_key(|finding| finding.state);
    findings
}

async fn database_and_beyond(
    config: &Config,
    system: System,
    operator: Operator,
    begin: &dyn Fn(&'static str),
    before: &[Finding],
) -> Vec<Finding> {
    begin("the database");
    let opened = App::open(config, system, Role::Check, operator).await;
    let mut findings = match &opened {
        Ok(app) => {
            let mend = "name the server's own with --config FILE";
            let notices = app.notices.iter();
            let mut findings: Vec<_> = notices
                .map(|notice| Finding::unwise("configuration", notice, mend))
                .collect();
            findings.extend(database::check(config, app, config.tokens.algorithm).await);
            findings
        }
        Err(error) => vec![not_opened(error, before)],
    };
    begin("the mail server");
    findings.push(outside::check_mail(config).await);
    begin("Turnstile");
    findings.push(outside::check_turnstile(config).await);
    if let Ok(app) = opened {
        begin("the server");
        findings.extend(outside::check_server(config, &app).await);
    }
    findings
}

fn not_opened(error: &OpenError, before: &[Finding]) -> Finding {
    // The command in the finding about the files also fixes the key file.
    let is_of_key_file = matches!(
        error,
        OpenError::KeyFile(KeyFileError::Io { .. } | KeyFileError::TooOpen { .. })
    );
    let are_files_bad = || {
        before
            .iter()
            .any(|found| found.subject == "files" && found.state == State::Bad)
    };
    let mend = if is_of_key_file && are_files_bad() {
        "mend the files first".to_owned()
    } else {
        error
            .hint()
            .unwrap_or_else(|| "see the log of the server".to_owned())
    };
    Finding::bad("database", error.to_string(), mend)
}

/// Checks whether the server has enough memory. Before its first start, checks the memory of this process instead.
fn memory(config: &Config) -> Finding {
    let capacity = recorded_capacity(config).unwrap_or_else(|| Capacity::of(config));
    match capacity.problem() {
        None => Finding::good("memory", capacity.to_string()),
        Some((seen, mend)) => Finding::unwise("memory", seen, mend),
    }
}

/// Reports a logo that the pages cannot show, with which the server does not start.
fn logo(config: &Config) -> Option<Finding> {
    let error = read_logo(config).err()?;
    Some(Finding::bad("logo", with_sources(&error), error.hint()))
}

/// Reports the warnings about an accepted configuration.
fn configuration(config: &Config) -> Vec<Finding> {
    let warnings = config.warnings();
    if warnings.is_empty() {
        let source = match &config.file {
            Some(file) => file.display().to_string(),
            None => "defaults and environment".to_owned(),
        };
        return vec![Finding::good("configuration", source)];
    }
    let mend = "see `arkloop config show` and arkloop.toml.example";
    let findings = warnings.into_iter();
    findings
        .map(|warning| Finding::unwise("configuration", warning, mend))
        .collect()
}
