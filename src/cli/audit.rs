//! `audit`: prints the audit log.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use super::arguments::{Limit, expecting};
use super::context::{Context, no_runtime};
use super::error::{Refusal, one_line};
use super::output::{Output, print};
use super::report::{Report, Row};
use super::times::Times;
use crate::domain::{Actor, AuditEntry, AuditEvents, parse_duration, printable_json};
use crate::fault::Fault;
use crate::service::{AuditPage, AuditPart, AuditQuery, Error, Service, UserRef};

/// How often `--follow` looks for new rows.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Show who did what and when, and why it was refused
///
/// The oldest row comes first. Requests refused by a rate limit or a captcha are counted: one row for each address and minute. Rows are kept for the time in
/// audit.keep, even if their account was deleted.
///
/// The number of rows of refusals is limited for each account and each network, in a minute and in an hour. All refusals are also counted under their
/// account: one count for each event and reason, with the times of the first and the last refusal and the network of the last. Counts that include refusals
/// without a row of their own follow the rows. They have no id, and --follow prints a count again when it has changed.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Examples: what happened to an account; the refused sign-ins of the last hour; everything from now on\n  \
                  arkloop audit --user ann@example.org\n  arkloop audit --event sign_in --since 1h\n  arkloop audit --follow"
)]
pub(super) struct Arguments {
    /// Only rows about this account: its id, or a present or former username or e-mail address
    #[arg(long, value_name = "USER")]
    user: Option<UserRef>,
    #[arg(
        long,
        value_name = "EVENT",
        value_parser = parse_events,
        help = "Only this event, such as sign_in.password, or all of a kind, such as sign_in"
    )]
    event: Option<AuditEvents>,
    /// Only rows that are not older than this, such as 30m, 1h or 7d
    #[arg(long, value_name = "TIME", value_parser = expecting("a time such as 30m, 1h or 7d", parse_since))]
    since: Option<Duration>,
    #[command(flatten)]
    limit: Limit,
    /// Only rows after the one with this id, beginning with the first of them; 0 begins with the oldest row
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(i64).range(0..))]
    after: Option<i64>,
    /// Only rows before the one with this id, ending with the last of them
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(i64).range(1..), conflicts_with_all = ["after", "follow"])]
    before: Option<i64>,
    /// Keep printing new rows, each as one line of JSON, until SIGINT, SIGTERM or a closed pipe
    #[arg(long)]
    pub(super) follow: bool,
}

fn parse_events(text: &str) -> Result<AuditEvents, String> {
    AuditEvents::parse(text).ok_or_else(|| {
        let by_noun = AuditEvents::by_noun();
        let lines = by_noun.values().map(|names| format!("\n  {}", names.join(", ")));
        format!("it must be one of these:{}", lines.collect::<String>())
    })
}

fn parse_since(text: &str) -> Option<Duration> {
    parse_duration(text).filter(|since| *since >= Duration::from_secs(1))
}

impl Arguments {
    fn query(&self, output: Output) -> AuditQuery {
        AuditQuery {
            user: self.user.clone(),
            events: self.event.clone(),
            since: self.since,
            part: match (self.after, self.before) {
                (Some(id), _) => AuditPart::After(id),
                (None, Some(id)) => AuditPart::Before(id),
                (None, None) => AuditPart::Last,
            },
            limit: match (self.follow, self.after) {
                (false, _) => self.limit.rows(output),
                // `--follow --after ID` prints every row after that one.
                (true, Some(_)) => u32::MAX,
                (true, None) => self.limit.first_rows(),
            },
        }
    }

    /// The flag that prints more rows, and the id to give it.
    fn rest(&self, page: &AuditPage) -> (&'static str, Option<String>) {
        let rows = &page.entries[..page.rows];
        let (flag, last) = match self.after {
            Some(_) => ("--after", rows.last()),
            None => ("--before", rows.first()),
        };
        (flag, last.and_then(|row| row.id).map(|id| id.to_string()))
    }
}

pub(super) fn list(arguments: &Arguments, context: &Context) -> Result<Report, Refusal> {
    let query = arguments.query(context.output);
    let page = context.with_service(async |service| service.list_audit(query).await)?;
    let (flag, id) = arguments.rest(&page);
    let nothing = "Nothing of this is in the audit log.";
    Ok(Report::list(&page.entries, to_row, context.times(), nothing).more(page.more, flag, id))
}

pub(super) fn follow(arguments: &Arguments, context: &Context) -> Result<ExitCode, Refusal> {
    let query = arguments.query(context.output);
    context.with_service(async |service| print_new_rows(service, query).await)?;
    Ok(ExitCode::SUCCESS)
}

/// Polls the log, because other processes also write to it.
async fn print_new_rows(service: &Service, mut query: AuditQuery) -> Result<(), Refusal> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|cause| no_runtime(&cause))?;
    let mut terminate = signal(SignalKind::terminate()).map_err(|cause| no_runtime(&cause))?;
    let fault = Fault::new("the audit log cannot be read");
    loop {
        let pause = match service.list_audit(query.clone()).await {
            Ok(page) => {
                fault.ended();
                query.part = AuditPart::AfterCursor(page.end);
                for entry in page.entries {
                    let document = printable_json(&to_json(&entry).to_string(), &[]).into_owned();
                    if !print(&(document + "\n"))? {
                        return Ok(());
                    }
                }
                // The limit applies only to the rows that existed at the start.
                query.limit = u32::MAX;
                POLL_INTERVAL
            }
            Err(error @ Error::Unavailable { .. }) => fault.failed(&error),
            Err(error) => return Err(error.into()),
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
        }
    }
}

fn to_json(entry: &AuditEntry) -> Value {
    let record = &entry.record;
    let (client, operator) = match &record.actor {
        Actor::Client(client) => (Some(client), None),
        Actor::Operator(operator) => (None, Some(operator)),
    };
    json!({
        "id": entry.id,
        "at": entry.at,
        "last_at": entry.last_at,
        "event": record.event.into_str(),
        "result": record.result(),
        "reason": record.refused.map(<&str>::from),
        "times": entry.times,
        "user_id": record.subject.as_ref().map(|subject| subject.user_id),
        "username": record.subject.as_ref().map(|subject| &subject.username),
        "session_id": record.session_id,
        "detail": record.detail,
        "ip": client.and_then(|client| client.address).map(|address| address.to_string()),
        "user_agent": client.and_then(|client| client.user_agent.as_deref()),
        "trace_id": client.and_then(|client| client.trace_id).map(|id| id.to_string()),
        "operator": operator,
    })
}

fn to_row(entry: &AuditEntry, times: Times) -> Row {
    let record = &entry.record;
    let (by, trace_id) = match &record.actor {
        Actor::Client(client) => (
            client.address.map(|address| address.to_string()),
            client.trace_id.map(|id| id.to_string()),
        ),
        Actor::Operator(operator) => {
            let name = operator.sudo_user.as_ref().map(|name| format!(" ({name})"));
            let name = name.unwrap_or_default();
            (Some(format!("operator {}{name}", operator.uid)), None)
        }
    };
    let until = entry.last_at.map(|at| format!(" until {}", times.show(at)));
    let until = until.unwrap_or_default();
    let repeated = (entry.times > 1).then(|| format!("{} times{until}", entry.times));
    let detail: Vec<String> = [repeated, record.detail.clone()].into_iter().flatten().collect();
    let result = match record.refused {
        Some(reason) => format!("refused: {}", reason.into_str()),
        None => record.result().to_owned(),
    };
    let user = record.subject.as_ref().map(|subject| subject.username.clone());
    let cells = vec![
        ("TIME", times.show(entry.at)),
        ("EVENT", record.event.into_str().to_owned()),
        ("RESULT", result),
        ("USER", user.unwrap_or_default()),
        ("BY", by.unwrap_or_default()),
        ("DETAIL", one_line(&detail.join(", "))),
        ("TRACE ID", trace_id.unwrap_or_default()),
    ];
    (to_json(entry), cells)
}
