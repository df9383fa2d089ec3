//! `check`: what of this installation should be mended.

use serde_json::{Value, json};

use super::context::{Context, no_runtime};
use super::error::Refusal;
use crate::app::{self, Finding, State};
use crate::system::System;

/// Look at everything that this server needs, and say what to mend
///
/// A line each for configuration, files, disk, database, clock, keys, mail, Turnstile and the proxy. It changes nothing, sends no mail, and can run beside
/// the server. The exit code is 1 if something must be mended.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Examples: after an installation; and each night, for whoever reads the mails of cron\n  arkloop check\n  arkloop --json check | jq '.[] | select(.state == \"mend\")'"
)]
pub(super) struct Arguments {}

/// `check`
pub(super) fn run(context: &Context) -> Result<(), Refusal> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|cause| no_runtime(&cause))?;
    let findings = runtime.block_on(app::check(
        &context.config,
        System::machine(),
        context.operator.clone(),
    ));
    let document: Vec<Value> = findings.iter().map(to_json).collect();
    context
        .output
        .result(&Value::Array(document), || to_text(&findings))?;
    match findings
        .iter()
        .filter(|finding| finding.state == State::Bad)
        .count()
    {
        0 => Ok(()),
        1 => Err(Refusal::new("one thing must be mended", "its line says how")),
        count => Err(Refusal::new(
            format!("{count} things must be mended"),
            "their lines say how",
        )),
    }
}

fn to_json(finding: &Finding) -> Value {
    json!({
        "subject": finding.subject,
        "state": finding.state.as_str(),
        "seen": finding.seen,
        "mend": finding.mend,
    })
}

fn to_text(findings: &[Finding]) -> String {
    let width = findings
        .iter()
        .map(|finding| finding.subject.len())
        .max()
        .unwrap_or_default();
    let line = |finding: &Finding| {
        let (state, subject) = (finding.state.as_str(), finding.subject);
        let mend = finding
            .mend
            .as_ref()
            .map(|mend| format!("; {mend}"))
            .unwrap_or_default();
        super::error::one_line(&format!("{state:7}  {subject:width$}  {}{mend}", finding.seen))
    };
    findings.iter().map(line).collect::<Vec<_>>().join("\n")
}
