//! `check`: what of this installation should be mended.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::context::{Context, run_to_end};
use super::error::{Refusal, one_line};
use super::output::{Colour, MarkedLine};
use super::progress::with_progress;
use crate::app::{self, Finding, State};
use crate::system::System;

/// Look at everything that this server needs, and say what to mend
///
/// A line each for configuration, files, disk, database, clock, keys, mail, Turnstile, the running server and the proxy; what must be mended
/// stands last. It changes nothing, sends no mail, and can run beside the server, in whose log it leaves no warning. The exit code is 1 if
/// something must be mended. With --quiet only that is printed. Run by another user than the owner of the files, it looks at owners and
/// modes only.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Examples: after an installation; and each night, by cron, which mails what it prints\n  arkloop check\n  arkloop --quiet check"
)]
pub(super) struct Arguments {}

/// `check`
pub(super) fn run(context: &Context) -> Result<ExitCode, Refusal> {
    let (output, operator) = (context.output, context.operator.clone());
    let mut findings = with_progress(output, "looking at", |turn_to| {
        let findings = app::check(&context.config, System::machine(), operator, turn_to);
        run_to_end(async { Ok::<_, Refusal>(findings.await) })
    })?;
    let count = |state| findings.iter().filter(|finding| finding.state == state).count();
    let (faults, warnings) = (count(State::Bad), count(State::Unwise));
    let mut summary = Some(summary(faults, warnings));
    if output.is_quiet {
        findings.retain(|finding| finding.state == State::Bad);
        summary = None;
    }
    let mut lines = to_lines(&findings);
    lines.extend(summary.map(|text| MarkedLine {
        colour: None,
        head: String::new(),
        text,
    }));
    output.marked(&findings.iter().map(to_json).collect(), &lines)?;
    match faults {
        0 => Ok(ExitCode::SUCCESS),
        1 => Err(Refusal::new("one thing must be mended", "its line says how")),
        faults => Err(Refusal::new(
            format!("{faults} things must be mended"),
            "their lines say how",
        )),
    }
}

fn summary(faults: usize, warnings: usize) -> String {
    let count = |number: usize, name: &str| match number {
        1 => format!("1 {name}"),
        number => format!("{number} {name}s"),
    };
    format!("{}, {}", count(faults, "fault"), count(warnings, "warning"))
}

fn to_json(finding: &Finding) -> Value {
    json!({
        "subject": finding.subject,
        "state": finding.state.into_str(),
        "seen": finding.seen,
        "mend": finding.mend,
    })
}

fn to_lines(findings: &[Finding]) -> Vec<MarkedLine> {
    let subjects = findings.iter().map(|finding| finding.subject.len());
    let width = subjects.max().unwrap_or_default();
    let line = |finding: &Finding| {
        let (state, subject) = (finding.state.into_str(), finding.subject);
        let mend = finding.mend.as_ref().map(|mend| format!("; {mend}"));
        MarkedLine {
            colour: Some(match finding.state {
                State::Good => Colour::Green,
                State::Unwise => Colour::Yellow,
                State::Bad => Colour::Red,
            }),
            head: format!("{state:7}  {subject:width$}  "),
            text: one_line(&format!("{}{}", finding.seen, mend.unwrap_or_default())),
        }
    };
    findings.iter().map(line).collect()
}
