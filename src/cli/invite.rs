//! `invite`: codes with which people register.

use std::num::NonZeroU16;
use std::time::Duration;

use clap::Subcommand;
use serde_json::{Value, json};

use super::account::parse_locale;
use super::arguments::{Limit, expecting, field};
use super::context::Context;
use super::error::Refusal;
use super::mail::queued;
use super::report::{Report, Row, facts};
use super::times::Times;
use crate::domain::{
    Email, InviteCode, InviteUses, Locale, Note, Paging, Timestamp, parse_duration, trimmed,
};
use crate::service::{Error, InviteDraft, InviteRef, InviteWithCode};

/// The maximum of `--expires-in`: ten years. `--never-expires` is for longer times.
const MAX_EXPIRES_IN: Duration = Duration::from_hours(24 * 3_660);

const EXPIRES_IN: &str = "a whole number and one of the units s, m, h, d, such as 7d, at most 3660d";

/// The maximum of `--count`. One transaction creates all the invites, and the writes of the running server wait for it.
const MAX_COUNT: NonZeroU16 = NonZeroU16::new(1_000).expect("it is not zero");

/// Create, show and revoke invites
#[derive(Subcommand)]
#[command(
    after_help = "Example: invite five people within three days\n  arkloop invite create --uses 5 --expires-in 3d --note \"the band\""
)]
pub(super) enum Command {
    /// Create an invite; prints its code, and its link if there is a page to register on
    #[command(
        after_help = "Examples: one for a person; twenty for a class, a code and a link on each line\n  arkloop invite create --note \"for Ann\"\n  arkloop invite create --count 20 --note \"the class\" > invites.txt"
    )]
    Create(NewInvite),
    /// List the invites that still admit an account, the newest first
    #[command(
        after_help = "Example: the codes of all invites ever created\n  arkloop --json invite list --all | jq -r '.[].code'"
    )]
    List {
        /// Also list used up, expired and revoked invites
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        limit: Limit,
        /// Begin after this invite, the last one of the previous page: its code, or the id that is printed where the list is cut
        #[arg(long, value_name = "CODE|ID")]
        after: Option<String>,
    },
    /// Print one invite
    #[command(after_help = "Example:\n  arkloop invite show ABCD-EFGH-JKMN-PQRS")]
    Show(Code),
    /// Revoke an invite; accounts that it admitted stay
    #[command(after_help = "Example:\n  arkloop invite revoke ABCD-EFGH-JKMN-PQRS")]
    Revoke(Code),
}

#[derive(clap::Args)]
pub(super) struct Code {
    /// The code of the invite; case, dashes and spaces do not matter
    code: String,
}

#[derive(clap::Args)]
pub(super) struct NewInvite {
    /// How many accounts it admits
    #[arg(long, value_name = "N", default_value = "1", value_parser = expecting(format!("a number from 1 to {}", InviteUses::MAX), parse_uses))]
    uses: InviteUses,
    /// How long it can be used: a whole number and one of the units s, m, h, d
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = expecting(EXPIRES_IN, parse_expires_in))]
    expires_in: Duration,
    /// Let it never expire: it can be used until it is used up or revoked
    #[arg(long, conflicts_with = "expires_in")]
    never_expires: bool,
    /// A note about it, one line
    #[arg(long, value_name = "TEXT", value_parser = field(Note::parse))]
    note: Option<OptionalNote>,
    /// Create this many with the same settings, all or none: 1 to 1000
    #[arg(long, value_name = "N", conflicts_with = "email", value_parser = expecting(format!("a number from 1 to {MAX_COUNT}"), parse_count))]
    count: Option<NonZeroU16>,
    /// Mail it to this address as well: it is queued, and the server sends it
    #[arg(long, value_name = "ADDRESS", value_parser = field(Email::parse))]
    email: Option<Email>,
    /// The language of that mail, such as en or zh-CN [default: mail.locale]
    #[arg(long, value_name = "LANGUAGE", requires = "email", value_parser = field(parse_locale))]
    locale: Option<Locale>,
}

/// `None` is a blank note. The alias hides the inner `Option` from clap, which reads `Option<Option<Note>>` as a flag whose value may be missing.
type OptionalNote = std::option::Option<Note>;

fn parse_uses(text: &str) -> Option<InviteUses> {
    InviteUses::new(text.parse().ok()?)
}

fn parse_expires_in(text: &str) -> Option<Duration> {
    parse_duration(text).filter(|duration| (Duration::from_secs(1)..=MAX_EXPIRES_IN).contains(duration))
}

fn parse_count(text: &str) -> Option<NonZeroU16> {
    text.parse().ok().filter(|count| *count <= MAX_COUNT)
}

pub(super) fn run(command: Command, context: &Context) -> Result<Report, Refusal> {
    match command {
        Command::Create(new) => create(context, new),
        Command::List { all, limit, after } => {
            list(context, all, after.as_deref(), limit.rows(context.output))
        }
        Command::Show(Code { code }) => {
            let invite = context.with_service(async |service| {
                let code = parse_code(&code)?;
                service.find_invite(&code).await
            })?;
            let times = context.times();
            Ok(Report::new(to_json(&invite, times.now), facts_of(&invite, times)))
        }
        Command::Revoke(Code { code }) => {
            let invite = context.with_service(async |service| {
                let code = parse_code(&code)?;
                service.revoke_invite(&code).await
            })?;
            let text = format!("{} is revoked", invite.code.reveal());
            Ok(Report::new(to_json(&invite, context.times().now), text))
        }
    }
}

/// Parses a code. A malformed code gets the same refusal as an unknown one.
fn parse_code(text: &str) -> Result<InviteCode, Error> {
    InviteCode::parse(text).map_err(|_| Error::InviteNotFound)
}

/// Creates one invite, or as many as `--count` says. With `--count`, the document is a list, even of one invite.
fn create(context: &Context, new: NewInvite) -> Result<Report, Refusal> {
    let draft = InviteDraft {
        max_uses: new.uses,
        expires_in: (!new.never_expires).then_some(new.expires_in),
        note: new.note.flatten(),
        mail_to: new.email,
        locale: new.locale,
    };
    let count = new.count.unwrap_or(NonZeroU16::MIN);
    let (made, mail_transport) = context.with_service(async |service| {
        let made = service.create_invites(&draft, count).await?;
        Ok::<_, Error>((made, service.mail_transport()))
    })?;
    let now = context.times().now;
    let (document, between) = match (new.count, made.as_slice()) {
        (None, [invite]) => (to_json(invite, now), "\n"),
        _ => (made.iter().map(|invite| to_json(invite, now)).collect(), "  "),
    };
    let lines = made.iter().map(|InviteWithCode { code, link, .. }| {
        let parts = std::iter::once(code.reveal()).chain(link.clone());
        parts.collect::<Vec<_>>().join(between)
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    let report = Report::new(document, text).note(validity(&draft, &made));
    Ok(match &draft.mail_to {
        Some(address) => report.note(queued(context, "it", address, mail_transport)),
        None => report,
    })
}

/// How many accounts the invites admit, and until when.
fn validity(draft: &InviteDraft, made: &[InviteWithCode]) -> String {
    let subject = if made.len() == 1 {
        "It admits"
    } else {
        "Each admits"
    };
    let uses = match draft.max_uses.get() {
        1 => "one account".to_owned(),
        uses => format!("{uses} accounts"),
    };
    let end = made.first().and_then(|made| made.invite.expires_at);
    let until = end.map_or_else(|| "and never expires".to_owned(), |end| format!("until {end}"));
    format!("{subject} {uses} {until}.")
}

fn list(context: &Context, all: bool, after: Option<&str>, limit: u32) -> Result<Report, Refusal> {
    let page = context.with_service(async |service| {
        let after = after.map(parse_ref).transpose()?;
        service.list_invites(all, Paging { after, limit }).await
    })?;
    let nothing = match (after, all) {
        (Some(_), _) => "No invite follows.",
        (None, true) => "There is no invite.",
        (None, false) => "No invite can be used now; see the others with --all.",
    };
    let id = |made: &InviteWithCode| made.invite.id.to_string();
    Ok(Report::page(&page, to_row, id, context.times(), nothing))
}

fn parse_ref(text: &str) -> Result<InviteRef, Error> {
    match trimmed(text).parse() {
        Ok(id) => Ok(InviteRef::Id(id)),
        Err(()) => parse_code(text).map(InviteRef::Code),
    }
}

fn to_json(InviteWithCode { invite, code, link }: &InviteWithCode, now: Timestamp) -> Value {
    json!({
        "code": code.reveal(),
        "link": link,
        "uses": invite.uses,
        "max_uses": invite.max_uses.get(),
        "status": invite.status(now).into_str(),
        "note": invite.note.as_ref().map(Note::as_str),
        "created_at": invite.created_at,
        "expires_at": invite.expires_at,
        "revoked_at": invite.revoked_at,
    })
}

fn to_row(made: &InviteWithCode, times: Times) -> Row {
    let invite = &made.invite;
    let cells = vec![
        ("CODE", made.code.reveal()),
        ("STATUS", invite.status(times.now).into_str().to_owned()),
        ("USES", format!("{}/{}", invite.uses, invite.max_uses.get())),
        ("EXPIRES", times.show(invite.expires_at)),
        ("NOTE", invite.note.as_ref().map_or("", Note::as_str).to_owned()),
    ];
    (to_json(made, times.now), cells)
}

fn facts_of(InviteWithCode { invite, code, link }: &InviteWithCode, times: Times) -> String {
    let revoked = invite.revoked_at.map(|at| times.show_both(at));
    facts(&[
        ("code", code.reveal()),
        ("link", link.clone().unwrap_or_default()),
        ("status", invite.status(times.now).into_str().to_owned()),
        ("uses", format!("{} of {}", invite.uses, invite.max_uses.get())),
        ("note", invite.note.as_ref().map_or("", Note::as_str).to_owned()),
        ("created", times.show_both(invite.created_at)),
        ("expires", times.show_both(invite.expires_at)),
        ("revoked", revoked.unwrap_or_default()),
    ])
}
