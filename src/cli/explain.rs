//! `explain`: what happened to somebody, in words that need no manual.

use std::net::{AddrParseError, IpAddr};

use serde_json::{Value, json};

use super::context::Context;
use super::error::{Refusal, one_line};
use super::layout;
use super::output::columns;
use super::sentences::{cause, done, helps, instead_of_a_password, pausing, tried, why_ended};
use super::session::shown_network;
use super::times::Times;
use crate::domain::{
    ACQUAINTED_FOR, Actor, AuditEntry, AuditOutcome, Session, SessionEnd, Timestamp, UserStatus, in_words,
    printable, trimmed,
};
use crate::service::{Explained, Explanation, SignInRules, Wait};

/// Tell what happened to an account or from an address, in plain words
///
/// The oldest comes first: sign-ins and why they failed, codes that did not work, sessions and why they ended, limits that applied. The last lines say what
/// holds now. A trace id in brackets is the one in the answer that the visitor got, and in the log; where a line tells of several, it is that of the first.
/// What the server counts together appears some seconds later. Refusals that have no line of their own, because there were too many, are told by one line for each kind, at the time of the last.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example: why somebody cannot sign in; what came from an address\n  arkloop explain ann@example.org\n  \
                  arkloop explain 203.0.113.7"
)]
#[group(required = true, multiple = false)]
pub(super) struct Arguments {
    /// A username, an e-mail address, an id or an IP address
    #[arg(value_name = "USER|IP")]
    subject: Option<String>,
    /// An IP address, also if an account has it as its username
    #[arg(long, value_parser = parse_ip)]
    ip: Option<IpAddr>,
}

fn parse_ip(text: &str) -> Result<IpAddr, AddrParseError> {
    trimmed(text).parse()
}

/// One thing that happened, in words.
struct Line {
    at: Timestamp,
    text: String,
    trace_id: Option<String>,
}

/// `explain …`
pub(super) fn run(arguments: Arguments, context: &Context) -> Result<(), Refusal> {
    let (explanation, now) = context.with_service(async |service| {
        let subject = match arguments.ip {
            Some(address) => Explained::Address(address),
            None => {
                service
                    .read_subject(&arguments.subject.unwrap_or_default())
                    .await?
            }
        };
        let explanation = service.explain(subject).await?;
        Ok((explanation, service.system().now()))
    })?;
    let mut lines: Vec<Line> = explanation
        .entries
        .iter()
        .map(|entry| of_entry(entry, &explanation))
        .collect();
    lines.extend(
        explanation
            .sessions
            .iter()
            .filter_map(|session| of_session(session, now)),
    );
    lines.sort_by_key(|line| line.at);
    let state = state(&explanation, now);
    let timeline: Vec<Value> = lines
        .iter()
        .map(|line| json!({ "at": line.at.to_string(), "text": line.text, "trace_id": line.trace_id }))
        .collect();
    let document = json!({ "timeline": timeline, "now": state });
    context
        .output
        .result(&document, || to_text(&lines, &state, context.output.times(now)))
}

fn to_text(lines: &[Line], state: &[String], times: Times) -> String {
    let lines = lines.iter().map(|line| {
        let trace_id = line.trace_id.as_ref();
        let trace_id = trace_id.map(|id| format!(" [{id}]")).unwrap_or_default();
        (times.show(line.at), format!("{}{trace_id}", line.text))
    });
    let state = state.iter().map(|text| ("now".to_owned(), text.clone()));
    let lines: Vec<(String, String)> = lines.chain(state).collect();
    let longest = lines.iter().map(|(at, _)| at.len()).max().unwrap_or_default();
    let lines = lines
        .iter()
        .map(|(at, text)| layout::beside(&format!("{at:longest$}  "), &printable(text, &[]), columns()));
    lines.collect::<Vec<_>>().join("\n")
}

/// A row of the audit log as a sentence, or a count, which stands at its last time; where everybody at an address is told of, it says whom it was about.
fn of_entry(entry: &AuditEntry, explanation: &Explanation) -> Line {
    let record = &entry.record;
    let what = match record.outcome {
        AuditOutcome::Done => done(record.event).to_owned(),
        AuditOutcome::Refused(reason) => {
            let ended = explanation.session_of(entry).and_then(|session| session.ended);
            let why = match ended {
                Some((at, end)) => format!("the session had been ended at {at}: {}", why_ended(end)),
                None => cause(reason, &explanation.rules).into_owned(),
            };
            format!("{}: {why}", tried(record.event))
        }
    };
    let from = entry.last_at.map_or("from", |_| "the last from");
    let (by, trace_id) = match &record.actor {
        Actor::Client(client) => (
            client.address.map(|address| format!("{from} {address}")),
            client.trace_id.map(|id| id.to_string()),
        ),
        Actor::Operator(operator) => {
            let name = operator.sudo_user.as_ref();
            let name = name.map(|name| format!(" ({name})")).unwrap_or_default();
            (Some(format!("by the operator{name}")), None)
        }
    };
    let user = match (&explanation.subject, &record.subject) {
        (Explained::Address(_), Some(subject)) => Some(format!("as {}", subject.username)),
        _ => None,
    };
    let since = entry
        .last_at
        .map(|_| format!(" since {}", entry.at))
        .unwrap_or_default();
    let times = match (&explanation.subject, entry.last_at) {
        // A count belongs to an account, and the earlier ones may have come from elsewhere.
        (Explained::Address(_), Some(_)) => {
            Some("the last of those that are counted for this account".to_owned())
        }
        _ => (entry.times > 1).then(|| format!("{} times{since}", entry.times)),
    };
    let parts = [record.detail.clone(), by, user, times].into_iter().flatten();
    let parts = parts.map(|part| format!("; {part}"));
    Line {
        at: entry.last_at.unwrap_or(entry.at),
        text: one_line(&format!("{what}{}.", parts.collect::<String>())),
        trace_id,
    }
}

/// How a session ended; `None` if it lives, or if a row of the audit log tells it.
fn of_session(session: &Session, now: Timestamp) -> Option<Line> {
    let (at, because) = match session.ended {
        Some((_, SessionEnd::SignedOut | SessionEnd::RefreshReused | SessionEnd::RefreshAhead)) => {
            return None;
        }
        Some((at, end)) => (at, why_ended(end)),
        None if session.expires_at <= now => (session.expires_at, why_ended(SessionEnd::Expired)),
        None => return None,
    };
    let network = session.rotation.moved_by.network();
    let from = network.map(|network| format!(", last used from {}", shown_network(network)));
    let text = format!(
        "The session begun at {}{} ended: {because}. Its tokens are refused since then.",
        session.created_at,
        from.unwrap_or_default()
    );
    Some(Line {
        at,
        text,
        trace_id: None,
    })
}

/// What holds now and may be why somebody is refused.
fn state(explanation: &Explanation, now: Timestamp) -> Vec<String> {
    let rules = &explanation.rules;
    let waits = explanation.waits.iter().map(|wait| waiting(wait, rules));
    let Some(user) = &explanation.user else {
        let nobody = match explanation.subject {
            Explained::Account(_) => Some("No account has this name.".to_owned()),
            Explained::Address(address) => explanation
                .entries
                .is_empty()
                .then(|| format!("The audit log has nothing that came from {address}.")),
        };
        return nobody.into_iter().chain(waits).collect();
    };
    let living = explanation
        .sessions
        .iter()
        .filter(|session| session.is_alive(now))
        .count();
    let suspended = (user.status == UserStatus::Suspended)
        .then(|| "The account is suspended; lift it with: arkloop user reactivate.".to_owned());
    let password = (!user.has_password).then(|| {
        format!(
            "The account has no password; {}.",
            instead_of_a_password(rules.ways)
        )
    });
    let unverified = user
        .email_verified_at
        .is_none()
        .then(|| "The address was never verified.".to_owned());
    let codes_locked_until = explanation.codes_locked_until.filter(|_| rules.ways.codes);
    let locked = codes_locked_until.map(|until| {
        format!("Codes are not compared until {until}, because too many were wrong; a sign-in by password or a reset ends that.")
    });
    let mailed = explanation
        .codes_mailed_from
        .filter(|_| rules.ways.codes)
        .map(|from| format!("The next code can be mailed at {from}, because others were mailed before."));
    let sessions = Some(match living {
        0 => "The account is signed in nowhere.".to_owned(),
        1 => "The account is signed in once.".to_owned(),
        number => format!("The account is signed in {number} times."),
    });
    let states = [suspended, password, unverified, locked, mailed];
    let states = states.into_iter().flatten().chain(waits);
    states.chain(sessions).collect()
}

/// Until when wrong passwords make further ones wait.
fn waiting(wait: &Wait, rules: &SignInRules) -> String {
    let whose = wait.username.as_ref();
    let whose = whose.map(|name| format!(" of {name}")).unwrap_or_default();
    let until = wait.until;
    if wait.is_for_everybody {
        return format!(
            "After {}, a password{whose} may be tried again at {until}, and at once from where the account was signed in during the last {}; {} too.",
            pausing(rules.failure_limits),
            in_words(ACQUAINTED_FOR),
            helps(rules.ways)
        );
    }
    let address = wait
        .address
        .map_or("this machine".to_owned(), |address| address.to_string());
    format!(
        "After wrong passwords, {address} may try a password{whose} again at {until}; {} at once.",
        helps(rules.ways)
    )
}
