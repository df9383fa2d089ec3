//! `check`: what of this installation should be mended.

use serde_json::{Value, json};

use super::context::{Context, no_runtime};
use super::error::{Refusal, one_line};
use super::output::{Mark, MarkedLine};
use super::progress::Progress;
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
pub(super) fn run(context: &Context) -> Result<(), Refusal> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|cause| no_runtime(&cause))?;
    let progress = Progress::start(context.output, "looking at");
    let mut findings = runtime.block_on(app::check(
        &context.config,
        System::machine(),
        context.operator.clone(),
        &|what| progress.turn_to(what),
    ));
    drop(progress);
    let count = |state| findings.iter().filter(|finding| finding.state == state).count();
    let (faults, warnings) = (count(State::Bad), count(State::Unwise));
    if context.output.is_quiet() {
        findings.retain(|finding| finding.state == State::Bad);
    }
    let document: Vec<Value> = findings.iter().map(to_json).collect();
    let mut lines = to_lines(&findings);
    if !context.output.is_quiet() {
        lines.push(MarkedLine::plain(summary(faults, warnings)));
    }
    context.output.marked(&Value::Array(document), &lines)?;
    match faults {
        0 => Ok(()),
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
    let width = findings
        .iter()
        .map(|finding| finding.subject.len())
        .max()
        .unwrap_or_default();
    let line = |finding: &Finding| {
        let (state, subject) = (finding.state.into_str(), finding.subject);
        let mend = finding.mend.as_ref();
        let mend = mend.map(|mend| format!("; {mend}")).unwrap_or_default();
        MarkedLine {
            mark: match finding.state {
                State::Good => Mark::Good,
                State::Unwise => Mark::Unwise,
                State::Bad => Mark::Bad,
            },
            head: format!("{state:7}  {subject:width$}  "),
            text: one_line(&format!("{}{mend}", finding.seen)),
        }
    };
    findings.iter().map(line).collect()
}
