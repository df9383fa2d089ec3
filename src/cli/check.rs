//! `check`: finds what is wrong with this installation.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::context::{Context, run_to_end};
use super::error::{Refusal, one_line};
use super::progress::with_progress;
use super::report::{Report, facts};
use crate::app::{self, Finding, State};
use crate::system::System;

/// Colours of ECMA-48: green, yellow and red.
const COLOURS: [(&str, u8); 3] = [
    (State::Good.into_str(), 32),
    (State::Unwise.into_str(), 33),
    (State::Bad.into_str(), 31),
];

pub(super) fn run(context: &Context) -> Result<ExitCode, Refusal> {
    let (output, operator) = (context.output, context.operator.clone());
    let mut findings = with_progress(output, |progress| {
        let turn_to = |subject| progress.say(format!("looking at {subject}"));
        let findings = app::check(&context.config, System::machine(), operator, &turn_to);
        run_to_end(async { Ok::<_, Refusal>(findings.await) })
    })?;
    let count = |state| findings.iter().filter(|finding| finding.state == state).count();
    let (faults, warnings) = (count(State::Bad), count(State::Unwise));
    let text = if output.is_quiet {
        findings.retain(|finding| finding.state == State::Bad);
        (faults > 0).then(|| to_text(&findings))
    } else {
        let summary = format!("{}, {}", counted(faults, "fault"), counted(warnings, "warning"));
        Some(format!("{}\n{summary}", to_text(&findings)))
    };
    let document = findings.iter().map(to_json).collect();
    output.report(&Report {
        text,
        colours: &COLOURS,
        ..Report::new(document, "")
    })?;
    match faults {
        0 => Ok(ExitCode::SUCCESS),
        1 => Err(Refusal::new("one thing must be mended", "its line says how")),
        faults => Err(Refusal::new(
            format!("{faults} things must be mended"),
            "their lines say how",
        )),
    }
}

fn counted(number: usize, name: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {name}{plural}")
}

fn to_json(finding: &Finding) -> Value {
    json!({
        "subject": finding.subject,
        "state": finding.state.into_str(),
        "seen": finding.seen,
        "mend": finding.mend,
    })
}

fn to_text(findings: &[Finding]) -> String {
    let line = |finding: &Finding| {
        let mend = finding.mend.as_ref().map(|mend| format!("; {mend}"));
        let text = one_line(&format!("{}{}", finding.seen, mend.unwrap_or_default()));
        (
            format!("{:7}  {}", finding.state.into_str(), finding.subject),
            text,
        )
    };
    facts(&findings.iter().map(line).collect::<Vec<_>>())
}
