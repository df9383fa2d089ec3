//! `session`: lists and ends sessions.

use clap::Subcommand;
use serde_json::json;

use super::arguments::{Limit, Who, id};
use super::context::Context;
use super::error::Refusal;
use super::report::{Report, Row};
use super::times::Times;
use crate::domain::{Paging, Session, SessionEnd, SessionId};
use crate::service::{Error, UserRef};

/// List and end sessions
#[derive(Debug, Subcommand)]
#[command(after_help = "Example: sign a user out everywhere\n  arkloop session revoke --user ann")]
pub(super) enum Command {
    /// List the sessions of a user, including ended ones, the newest first
    #[command(after_help = "Example:\n  arkloop session list ann@example.org")]
    List {
        #[command(flatten)]
        who: Who,
        #[command(flatten)]
        limit: Limit,
        /// Begin after the session with this id, the last one of the previous page
        #[arg(long, value_name = "ID", value_parser = id::<SessionId>("session list"))]
        after: Option<SessionId>,
    },
    /// End one session, all sessions of a user, or all sessions
    ///
    /// Expired sessions are ended too, because a wrong clock may have let them expire. The number counts only sessions that were alive.
    #[command(after_help = "Example: sign all users out\n  arkloop session revoke --all")]
    Revoke(RevokeArguments),
}

/// The sessions to end: exactly one of these is given.
#[derive(clap::Args, Debug)]
#[group(required = true, multiple = false)]
pub(super) struct RevokeArguments {
    /// The id of one session
    #[arg(value_parser = id::<SessionId>("session list"))]
    id: Option<SessionId>,
    /// Every session of this user: a username, an e-mail address or an id
    #[arg(long)]
    user: Option<UserRef>,
    /// Every session of every user
    #[arg(long)]
    all: bool,
}

pub(super) fn run(command: Command, context: &Context) -> Result<Report, Refusal> {
    match command {
        Command::List { who, limit, after } => {
            let limit = limit.rows(context.output);
            list(context, who.user, Paging { after, limit })
        }
        Command::Revoke(arguments) => revoke(context, arguments),
    }
}

fn list(context: &Context, user: UserRef, paging: Paging<SessionId>) -> Result<Report, Refusal> {
    let page = context.with_service(async |service| service.list_sessions_by_age(user, paging).await)?;
    let nothing = match paging.after {
        Some(_) => "No session follows.",
        None => "This user has no sessions.",
    };
    let id = |session: &Session| session.id.to_string();
    Ok(Report::page(&page, to_row, id, context.times(), nothing))
}

fn revoke(context: &Context, arguments: RevokeArguments) -> Result<Report, Refusal> {
    let revoked = context.with_service(async |service| {
        Ok::<_, Error>(match (arguments.id, arguments.user) {
            (Some(id), _) => service.revoke_session(id).await.map(|()| 1)?,
            (None, Some(user)) => service.revoke_sessions_of(user).await?,
            (None, None) => service.revoke_all_sessions().await?,
        })
    })?;
    let text = match revoked {
        1 => "1 session ended".to_owned(),
        number => format!("{number} sessions ended"),
    };
    Ok(Report::new(json!({ "revoked": revoked }), text))
}

/// The network of the last refresh: `192.0.2.0/24`.
pub(super) fn last_network(session: &Session) -> Option<String> {
    let (network, prefix) = session.rotation.moved_by.wide_network()?;
    Some(format!("{network}/{prefix}"))
}

fn to_row(session: &Session, times: Times) -> Row {
    // An expired session counts as ended before the end is recorded.
    let expired = (!session.is_alive(times.now)).then_some((session.expires_at, SessionEnd::Expired));
    let end = session.ended.or(expired);
    let ended = end.map(|(at, reason)| format!("{} ({})", times.show(at), reason.into_str()));
    let address = session.client.address.map(|address| address.to_string());
    let network = last_network(session);
    let document = json!({
        "id": session.id,
        "current": false,
        "created_at": session.created_at,
        "last_used_at": session.last_used_at,
        "ip": address,
        "user_agent": session.client.user_agent,
        "user_id": session.user_id,
        "ended_at": end.map(|(at, _)| at),
        "ended_because": end.map(|(_, reason)| reason.into_str()),
        "last_network": network,
        "last_user_agent": session.rotation.moved_by.user_agent,
    });
    let cells = vec![
        ("ID", session.id.to_string()),
        ("BEGAN", times.show(session.created_at)),
        ("LAST USED", times.show(session.last_used_at)),
        ("ENDED", ended.unwrap_or_default()),
        ("ADDRESS", address.unwrap_or_default()),
        (
            "USER AGENT",
            session.client.user_agent.clone().unwrap_or_default(),
        ),
        ("LAST NETWORK", network.unwrap_or_default()),
    ];
    (document, cells)
}
