//! `explain`: the audit log of an account or an address in sentences.

use std::net::{AddrParseError, IpAddr};

use serde_json::json;

use super::context::Context;
use super::error::{Refusal, one_line};
use super::messages::{cause, done, helps, instead_of_a_password, pausing, refused, why_ended};
use super::report::{Report, facts};
use super::session::last_network;
use crate::domain::{
    ACQUAINTED_FOR, Actor, AuditEntry, Session, SessionEnd, Timestamp, UserStatus, in_words, trimmed,
};
use crate::service::{Explained, Explanation, SignInRules, Wait};

/// Tell what happened to an account or from an address, in plain words
///
/// The oldest event comes first: sign-ins and why they failed, codes that did not work, sessions and why they ended, limits that applied. The last lines
/// describe the present state. A trace id in brackets is also in the answer that the visitor got, and in the log; if a line counts several requests, it is
/// that of the first. Events that the server counts appear some seconds later. If there were too many refusals, those without a line of their own share one
/// line for each kind, at the time of the last.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example: why a person cannot sign in; what came from an address\n  arkloop explain ann@example.org\n  \
                  arkloop explain 203.0.113.7"
)]
#[group(required = true, multiple = false)]
pub(super) struct Arguments {
    /// A username, an e-mail address, an id or an IP address
    #[arg(value_name = "USER|IP")]
    subject: Option<String>,
    /// An IP address, even if it is also the username of an account
    #[arg(long, value_parser = parse_ip)]
    ip: Option<IpAddr>,
}

fn parse_ip(text: &str) -> Result<IpAddr, AddrParseError> {
    trimmed(text).parse()
}

#[derive(serde::Serialize)]
struct Line {
    at: Timestamp,
    text: String,
    trace_id: Option<String>,
}

pub(super) fn run(arguments: Arguments, context: &Context) -> Result<Report, Refusal> {
    let explanation = context.with_service(async |service| {
        let subject = match (arguments.ip, arguments.subject) {
            (Some(address), _) => Explained::Address(address),
            (None, subject) => service.read_subject(&subject.unwrap_or_default()).await?,
        };
        service.explain(subject).await
    })?;
    let times = context.times();
    let entries = explanation
        .entries
        .iter()
        .map(|entry| of_entry(entry, &explanation));
    let ends = explanation
        .sessions
        .iter()
        .filter_map(|session| of_session(session, times.now));
    let mut lines: Vec<Line> = entries.chain(ends).collect();
    lines.sort_by_key(|line| line.at);
    let state = state(&explanation, times.now);
    let document = json!({ "timeline": lines, "now": state });
    let events = lines.into_iter().map(|line| {
        let trace_id = line.trace_id.map(|id| format!(" [{id}]"));
        (times.show(line.at), line.text + &trace_id.unwrap_or_default())
    });
    let state = state.into_iter().map(|text| ("now".to_owned(), text));
    let text = facts(&events.chain(state).collect::<Vec<_>>());
    Ok(Report::new(document, text))
}

/// The sentence for a row of the audit log. A count has the time of its last request. If the subject is an address, the sentence names the account.
fn of_entry(entry: &AuditEntry, explanation: &Explanation) -> Line {
    let record = &entry.record;
    let what = match record.refused {
        None => done(record.event).to_owned(),
        Some(reason) => {
            let ended = explanation.session_of(entry).and_then(|session| session.ended);
            let why = match ended {
                Some((at, end)) => format!("the session had been ended at {at}: {}", why_ended(end)),
                None => cause(reason, &explanation.rules),
            };
            format!("{}: {why}", refused(record.event))
        }
    };
    let is_about_address = matches!(explanation.subject, Explained::Address(_));
    let (by, trace_id) = match &record.actor {
        Actor::Client(client) => {
            let from = entry.last_at.map_or("from", |_| "the last from");
            let by = client.address.map(|address| format!("{from} {address}"));
            (by, client.trace_id.map(|id| id.to_string()))
        }
        Actor::Operator(operator) => {
            let name = operator.sudo_user.as_ref().map(|name| format!(" ({name})"));
            (Some(format!("by the operator{}", name.unwrap_or_default())), None)
        }
    };
    let account = record.subject.as_ref().filter(|_| is_about_address);
    let account = account.map(|account| format!("as {}", account.username));
    let times = match entry.last_at {
        // A count is kept for an account, so its earlier requests may have come from another address.
        Some(_) if is_about_address => {
            Some("the last of the requests that are counted for this account".to_owned())
        }
        Some(_) if entry.times > 1 => Some(format!("{} times since {}", entry.times, entry.at)),
        None if entry.times > 1 => Some(format!("{} times", entry.times)),
        _ => None,
    };
    let parts = [record.detail.clone(), by, account, times].into_iter().flatten();
    let parts = parts.map(|part| format!("; {part}"));
    Line {
        at: entry.last_at.unwrap_or(entry.at),
        text: one_line(&format!("{what}{}.", parts.collect::<String>())),
        trace_id,
    }
}

/// The end of a session; `None` if it is alive or if the audit log has a row for its end.
fn of_session(session: &Session, now: Timestamp) -> Option<Line> {
    let (at, end) = match session.ended {
        Some((_, SessionEnd::SignedOut | SessionEnd::RefreshReused | SessionEnd::RefreshAhead)) => {
            return None;
        }
        Some(ended) => ended,
        None if session.is_alive(now) => return None,
        None => (session.expires_at, SessionEnd::Expired),
    };
    let from = last_network(session).map(|network| format!(", last used from {network}"));
    let text = format!(
        "The session begun at {}{} ended: {}. Its tokens are refused since then.",
        session.created_at,
        from.unwrap_or_default(),
        why_ended(end)
    );
    Some(Line {
        at,
        text,
        trace_id: None,
    })
}

/// The present state of the account and of its limits, which may cause refusals.
fn state(explanation: &Explanation, now: Timestamp) -> Vec<String> {
    let rules = &explanation.rules;
    let waits = explanation.waits.iter().map(|wait| waiting(wait, rules));
    let Some(user) = &explanation.user else {
        let nothing = match explanation.subject {
            Explained::Account(_) => Some("No account has this name.".to_owned()),
            Explained::Address(address) => explanation
                .entries
                .is_empty()
                .then(|| format!("The audit log has nothing that came from {address}.")),
        };
        return nothing.into_iter().chain(waits).collect();
    };
    let mut state = Vec::new();
    if user.status == UserStatus::Suspended {
        state.push("The account is suspended; lift it with: arkloop user reactivate.".to_owned());
    }
    if !user.has_password {
        let way = instead_of_a_password(rules);
        state.push(format!("The account has no password; {way}."));
    }
    if user.email_verified_at.is_none() {
        state.push("The address was never verified.".to_owned());
    }
    state.extend(explanation.pending_change.iter().map(|(email, until)| {
        format!("A change of the address to {email} waits for its link until {until}.")
    }));
    state.extend(explanation.undos.iter().map(|(email, until)| {
        format!(
            "The former address {email} can be taken back until {until} by the link that was mailed to it; no other account can have it until then."
        )
    }));
    if rules.codes {
        state.extend(explanation.codes_locked_until.map(|until| {
            format!("Codes are not compared until {until}, because too many were wrong; a sign-in by password or a reset lifts this.")
        }));
        state.extend(explanation.codes_mailed_from.map(|from| {
            format!("The next code can be mailed at {from}, because others were mailed before.")
        }));
    }
    state.extend(waits);
    let alive = explanation
        .sessions
        .iter()
        .filter(|session| session.is_alive(now));
    state.push(match alive.count() {
        0 => "The account is signed in nowhere.".to_owned(),
        1 => "The account is signed in once.".to_owned(),
        number => format!("The account is signed in {number} times."),
    });
    state
}

/// How long further passwords are refused after wrong ones.
fn waiting(wait: &Wait, rules: &SignInRules) -> String {
    let whose = wait.username.as_ref();
    let whose = whose.map(|name| format!(" of {name}")).unwrap_or_default();
    let until = wait.until;
    if wait.is_for_all_addresses {
        return format!(
            "After {}, a password{whose} may be tried again at {until}, and at once from where the account was signed in during the last {}; {} too.",
            pausing(rules.failure_limits),
            in_words(ACQUAINTED_FOR),
            helps(rules)
        );
    }
    let address = wait
        .address
        .map_or("this machine".to_owned(), |address| address.to_string());
    format!(
        "After wrong passwords, {address} may try a password{whose} again at {until}; {} at once.",
        helps(rules)
    )
}
