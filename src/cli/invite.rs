//! `invite`: codes that admit people.

use std::num::NonZeroU16;
use std::time::Duration;

use clap::Subcommand;
use serde_json::{Value, json};

use super::context::Context;
use super::error::{Refusal, describe};
use super::mail::queued;
use super::output::facts;
use super::paging::Limit;
use super::times::Times;
use super::user::{parse_email, parse_locale};
use crate::config::parse_duration;
use crate::domain::{Email, InviteCode, InviteUses, Locale, Note, Paging, Timestamp, trimmed};
use crate::service::{Error, InviteDraft, InviteRef, InviteWithCode, WhichInvites};

/// The longest time that `--expires-in` takes: ten years. Whoever means longer says `--never-expires`.
const MAX_EXPIRES_IN: Duration = Duration::from_hours(24 * 3_660);

/// The most invites of one command: they are made in one transaction, which the running server waits for.
const MAX_COUNT: NonZeroU16 = NonZeroU16::new(1_000).expect("it is not zero");

/// Make, see and take back invites
#[derive(Subcommand)]
#[command(
    after_help = "Example: invite five people within three days\n  arkloop invite create --uses 5 --expires-in 3d --note \"the band\""
)]
pub(super) enum Command {
    /// Make an invite; prints its code, and its link if there is a page to register on
    #[command(
        after_help = "Examples: one for a person; twenty for a class, a code and a link on each line\n  arkloop invite create --note \"for Ann\"\n  arkloop invite create --count 20 --note \"the class\" > invites.txt"
    )]
    Create {
        /// How many accounts it admits
        #[arg(long, value_name = "N", default_value = "1", value_parser = parse_uses)]
        uses: InviteUses,
        /// How long it can be used: a whole number and one of the units s, m, h, d
        #[arg(long, value_name = "TIME", default_value = "7d", value_parser = parse_expires_in)]
        expires_in: Duration,
        /// Let it be usable until it is used up or revoked
        #[arg(long, conflicts_with = "expires_in")]
        never_expires: bool,
        /// What to remember about it, one line
        #[arg(long, value_name = "TEXT", value_parser = parse_note)]
        note: Option<OptionalNote>,
        /// Make so many alike, all or none: 1 to 1000
        #[arg(long, value_name = "N", conflicts_with = "email", value_parser = parse_count)]
        count: Option<NonZeroU16>,
        /// Mail it to this address as well: it is queued, and the server sends it
        #[arg(long, value_name = "ADDRESS", value_parser = parse_email)]
        email: Option<Email>,
        /// The language of that mail, such as en or zh-CN [default: mail.locale]
        #[arg(long, value_name = "LANGUAGE", requires = "email", value_parser = parse_locale)]
        locale: Option<Locale>,
    },
    /// List the invites that still admit an account, the newest first
    #[command(
        after_help = "Example: the codes of all that were ever made\n  arkloop --json invite list --all | jq -r '.[].code'"
    )]
    List {
        /// Also the used up, expired and revoked ones
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        limit: Limit,
        /// Begin behind this invite, the last of the part before: its code, or the id that is printed where the list is cut
        #[arg(long, value_name = "CODE|ID")]
        after: Option<String>,
    },
    /// Print one invite
    #[command(after_help = "Example:\n  arkloop invite show ABCD-EFGH-JKMN-PQRS")]
    Show {
        /// Its code as it was typed or pasted; case, dashes and spaces do not matter
        code: String,
    },
    /// Take an invite back; accounts that it admitted stay
    #[command(after_help = "Example:\n  arkloop invite revoke ABCD-EFGH-JKMN-PQRS")]
    Revoke {
        /// Its code as it was typed or pasted; case, dashes and spaces do not matter
        code: String,
    },
}

/// A note that may be blank, which is none.
type OptionalNote = std::option::Option<Note>;

fn parse_uses(text: &str) -> Result<InviteUses, String> {
    let uses = text
        .parse()
        .map_err(|_| "it must be a number from 1 to 100000".to_owned())?;
    InviteUses::new(uses).map_err(|_| format!("it must be a number from 1 to {}", InviteUses::MAX))
}

fn parse_expires_in(text: &str) -> Result<Duration, String> {
    let duration =
        parse_duration(text).filter(|duration| (Duration::from_secs(1)..=MAX_EXPIRES_IN).contains(duration));
    duration.ok_or_else(|| {
        "it must be a whole number and one of the units s, m, h, d, such as 7d, at most 3660d".to_owned()
    })
}

fn parse_count(text: &str) -> Result<NonZeroU16, String> {
    let count = text.parse().ok().filter(|count| *count <= MAX_COUNT);
    count.ok_or_else(|| format!("it must be a number from 1 to {MAX_COUNT}"))
}

fn parse_note(text: &str) -> Result<OptionalNote, String> {
    Note::parse(text).map_err(|error| format!("it {}", describe(error)))
}

/// `invite …`
pub(super) fn run(command: Command, context: &Context) -> Result<(), Refusal> {
    match command {
        Command::Create {
            uses,
            expires_in,
            never_expires,
            note,
            count,
            email,
            locale,
        } => {
            let draft = InviteDraft {
                max_uses: uses,
                expires_in: (!never_expires).then_some(expires_in),
                note: note.flatten(),
                mail_to: email,
                locale,
            };
            create(context, &draft, count)
        }
        Command::List { all, limit, after } => {
            let which = if all {
                WhichInvites::All
            } else {
                WhichInvites::Active
            };
            list(context, which, after.as_deref(), limit.rows(context.output))
        }
        Command::Show { code } => {
            let (invite, now) = context.with_service(async |service| {
                Ok((
                    service.find_invite(&parse_code(&code)?).await?,
                    service.system().now(),
                ))
            })?;
            context
                .output
                .result(&to_json(&invite, now), || to_facts(&invite, now, context.times()))
        }
        Command::Revoke { code } => {
            let (invite, now) = context.with_service(async |service| {
                Ok((
                    service.revoke_invite(&parse_code(&code)?).await?,
                    service.system().now(),
                ))
            })?;
            context.output.result(&to_json(&invite, now), || {
                format!("{} is revoked", invite.code.reveal())
            })
        }
    }
}

/// What can be no code is no invite's code: the same refusal.
fn parse_code(text: &str) -> Result<InviteCode, Error> {
    InviteCode::parse(text).map_err(|_| Error::InviteNotFound)
}

/// Makes one invite, or with a `count` as many, which are listed then even if it is one.
fn create(context: &Context, draft: &InviteDraft, count: Option<NonZeroU16>) -> Result<(), Refusal> {
    let (made, now, medium) = context.with_service(async |service| {
        let made = service
            .create_invites(draft, count.unwrap_or(NonZeroU16::MIN))
            .await?;
        Ok((made, service.system().now(), service.mail_medium()))
    })?;
    let document = match (count, made.as_slice()) {
        (None, [invite]) => to_json(invite, now),
        _ => made.iter().map(|invite| to_json(invite, now)).collect(),
    };
    let between = if count.is_some() { "  " } else { "\n" };
    let to_text = |invite: &InviteWithCode| {
        let parts = std::iter::once(invite.code.reveal()).chain(invite.link.clone());
        parts.collect::<Vec<_>>().join(between)
    };
    context.output.result(&document, || {
        made.iter().map(to_text).collect::<Vec<_>>().join("\n")
    })?;
    tell_about(context, draft, &made);
    if let Some(address) = &draft.mail_to {
        context.output.note(&queued(context, "it", address, medium));
    }
    Ok(())
}

/// Says beside the result what the invites are good for.
fn tell_about(context: &Context, draft: &InviteDraft, made: &[InviteWithCode]) {
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
    context.output.note(&format!("{subject} {uses} {until}."));
}

fn list(context: &Context, which: WhichInvites, after: Option<&str>, limit: u32) -> Result<(), Refusal> {
    let (page, now) = context.with_service(async |service| {
        let by_id = |text: &str| trimmed(text).parse().ok().map(InviteRef::Id);
        let after = after.map(|text| by_id(text).map_or_else(|| parse_code(text).map(InviteRef::Code), Ok));
        let after = after.transpose()?;
        let page = service.list_invites(which, Paging { after, limit }).await?;
        Ok((page, service.system().now()))
    })?;
    let (invites, times) = (&page.rows, context.output.times(now));
    let documents = invites.iter().map(|invite| to_json(invite, now)).collect();
    let rows = invites.iter().map(|invite| to_row(invite, now, times)).collect();
    let nothing = match which {
        _ if after.is_some() => "No invite follows.",
        WhichInvites::All => "There is no invite.",
        WhichInvites::Active => "No invite can be used now; see the others with --all.",
    };
    context.output.list(
        documents,
        &["CODE", "STATUS", "USES", "EXPIRES", "NOTE"],
        rows,
        nothing,
    )?;
    let last = invites.last().map(|last| last.invite.id.to_string());
    context
        .output
        .more(page.more, "--after", &last.unwrap_or_default());
    Ok(())
}

fn to_json(InviteWithCode { invite, code, link }: &InviteWithCode, now: Timestamp) -> Value {
    json!({
        "code": code.reveal(),
        "link": link,
        "uses": invite.uses,
        "max_uses": invite.max_uses.get(),
        "status": invite.status(now).into_str(),
        "note": invite.note.as_ref().map(Note::as_str),
        "created_at": invite.created_at.to_string(),
        "expires_at": invite.expires_at.as_ref().map(ToString::to_string),
        "revoked_at": invite.revoked_at.as_ref().map(ToString::to_string),
    })
}

fn to_row(InviteWithCode { invite, code, .. }: &InviteWithCode, now: Timestamp, times: Times) -> Vec<String> {
    vec![
        code.reveal(),
        invite.status(now).into_str().to_owned(),
        format!("{}/{}", invite.uses, invite.max_uses.get()),
        invite
            .expires_at
            .map_or_else(|| "never".to_owned(), |end| times.show(end)),
        invite
            .note
            .as_ref()
            .map(|note| note.as_str().to_owned())
            .unwrap_or_default(),
    ]
}

fn to_facts(InviteWithCode { invite, code, link }: &InviteWithCode, now: Timestamp, times: Times) -> String {
    let mut lines = vec![("code", code.reveal())];
    lines.extend(link.clone().map(|link| ("link", link)));
    lines.push(("status", invite.status(now).into_str().to_owned()));
    lines.push(("uses", format!("{} of {}", invite.uses, invite.max_uses.get())));
    lines.extend(
        invite
            .note
            .as_ref()
            .map(|note| ("note", note.as_str().to_owned())),
    );
    lines.push(("created", times.show_both(invite.created_at)));
    lines.push((
        "expires",
        invite
            .expires_at
            .map_or_else(|| "never".to_owned(), |end| times.show_both(end)),
    ));
    lines.extend(invite.revoked_at.map(|end| ("revoked", times.show_both(end))));
    facts(&lines)
}
