//! `session`: who is signed in, and how to end it.

use std::net::IpAddr;

use clap::Subcommand;
use serde_json::{Value, json};

use super::context::Context;
use super::error::Refusal;
use super::paging::Limit;
use super::times::Times;
use super::user::parse_user;
use crate::domain::{Paging, Sender, Session, SessionEnd, SessionId, Timestamp, trimmed};
use crate::service::UserRef;

/// See and end sessions
#[derive(Debug, Subcommand)]
#[command(after_help = "Example: sign somebody out everywhere\n  arkloop session revoke --user ann")]
pub(super) enum Command {
    /// List the sessions of a user, ended ones too, the one that began last first
    #[command(after_help = "Example:\n  arkloop session list ann@example.org")]
    List {
        /// A username, an e-mail address or an id
        #[arg(value_parser = parse_user)]
        user: UserRef,
        #[command(flatten)]
        limit: Limit,
        /// Begin behind the session with this id, the last of the part before
        #[arg(long, value_name = "ID", value_parser = parse_id)]
        after: Option<SessionId>,
    },
    /// End one session, all of a user, or all
    ///
    /// Sessions whose term is over are ended too, in case the clock is set wrong; the number counts those that were alive.
    #[command(after_help = "Example: sign everybody out\n  arkloop session revoke --all")]
    Revoke(RevokeArguments),
}

/// Exactly one of them.
#[derive(clap::Args, Debug)]
#[group(required = true, multiple = false)]
pub(super) struct RevokeArguments {
    /// The id of one session
    #[arg(value_parser = parse_id)]
    id: Option<SessionId>,
    /// Every session of this user: a username, an e-mail address or an id
    #[arg(long, value_parser = parse_user)]
    user: Option<UserRef>,
    /// Every session of everybody
    #[arg(long)]
    all: bool,
}

fn parse_id(text: &str) -> Result<SessionId, String> {
    trimmed(text)
        .parse()
        .map_err(|_| "it must be an id as `arkloop session list` prints it".to_owned())
}

/// `session …`
pub(super) fn run(command: Command, context: &Context) -> Result<(), Refusal> {
    match command {
        Command::List { user, limit, after } => {
            let limit = limit.rows(context.output);
            list(context, user, Paging { after, limit })
        }
        Command::Revoke(arguments) => revoke(context, arguments),
    }
}

fn list(context: &Context, user: UserRef, paging: Paging<SessionId>) -> Result<(), Refusal> {
    let (page, now) = context.with_service(async |service| {
        let page = service.list_sessions_by_begin(user, paging).await?;
        Ok((page, service.system().now()))
    })?;
    let (sessions, times) = (&page.rows, context.output.times(now));
    let documents = sessions.iter().map(|session| to_json(session, now)).collect();
    let rows = sessions
        .iter()
        .map(|session| to_row(session, now, times))
        .collect();
    let nothing = match paging.after {
        Some(_) => "No session follows.",
        None => "This user has no sessions.",
    };
    let header = [
        "ID",
        "BEGAN",
        "LAST USED",
        "ENDED",
        "ADDRESS",
        "USER AGENT",
        "LAST NETWORK",
    ];
    context.output.list(documents, &header, rows, nothing)?;
    let last = sessions.last().map(|last| last.id.to_string());
    context
        .output
        .more(page.more, "--after", &last.unwrap_or_default());
    Ok(())
}

fn revoke(context: &Context, arguments: RevokeArguments) -> Result<(), Refusal> {
    let revoked = context.with_service(async |service| {
        Ok(match (arguments.id, arguments.user) {
            (Some(id), _) => service.revoke_session(id).await.map(|()| 1)?,
            (None, Some(user)) => service.revoke_sessions_of(user).await?,
            (None, None) => service.revoke_all_sessions().await?,
        })
    })?;
    context
        .output
        .result(&json!({ "revoked": revoked }), || match revoked {
            1 => "1 session ended".to_owned(),
            number => format!("{number} sessions ended"),
        })
}

/// The network that a session was last refreshed from, as `192.0.2.0/24`.
pub(super) fn shown_network(network: IpAddr) -> String {
    format!("{network}/{}", Sender::prefix_of(network))
}

/// When and why a session ended, by its time or before it.
fn end(session: &Session, now: Timestamp) -> Option<(Timestamp, &'static str)> {
    match session.ended {
        Some((moment, reason)) => Some((moment, reason.into_str())),
        None if session.is_alive(now) => None,
        None => Some((session.expires_at, SessionEnd::Expired.into_str())),
    }
}

fn to_json(session: &Session, now: Timestamp) -> Value {
    let end = end(session, now);
    json!({
        "id": session.id.to_string(),
        "current": false,
        "created_at": session.created_at.to_string(),
        "last_used_at": session.last_used_at.to_string(),
        "ip": session.client.address.map(|address| address.to_string()),
        "user_agent": session.client.user_agent,
        "user_id": session.user_id.to_string(),
        "ended_at": end.map(|(moment, _)| moment.to_string()),
        "ended_because": end.map(|(_, reason)| reason),
        "last_network": session.rotation.moved_by.network().map(shown_network),
        "last_user_agent": session.rotation.moved_by.user_agent,
    })
}

fn to_row(session: &Session, now: Timestamp, times: Times) -> Vec<String> {
    vec![
        session.id.to_string(),
        times.show(session.created_at),
        times.show(session.last_used_at),
        end(session, now)
            .map(|(moment, reason)| format!("{} ({reason})", times.show(moment)))
            .unwrap_or_default(),
        session
            .client
            .address
            .map(|address| address.to_string())
            .unwrap_or_default(),
        session.client.user_agent.clone().unwrap_or_default(),
        session
            .rotation
            .moved_by
            .network()
            .map(shown_network)
            .unwrap_or_default(),
    ]
}
