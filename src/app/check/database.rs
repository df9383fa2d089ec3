//! Checks of the database, and of the clock, the keys, the mail, the codes, the backups and the usernames that it records.

use std::time::Duration;

use super::super::open::App;
use super::super::servers::has_differing;
use super::finding::Finding;
use super::postgresql;
use crate::config::Config;
use crate::domain::{MailBudget, SignatureAlgorithm, Timestamp, Username, in_words};
use crate::service::{Inspection, Lookalike};

/// How far the clock may be behind the newest stored time. The clocks of two machines that share a backup differ by less.
const CLOCK_SLACK: Duration = Duration::from_mins(2);
/// The time of the first release of arkloop. A clock that shows an earlier time was never set.
const FIRST_RELEASE: Timestamp = Timestamp::from_millis(1_764_547_200_000);
/// A backup should be younger than this.
const BACKUP_AGE: Duration = Duration::from_hours(24 * 7);
/// A signing key that is older than this should be replaced, so that a leaked copy becomes useless.
const SIGNING_KEY_AGE: Duration = Duration::from_hours(24 * 365);
/// For how long `check` reports that a mail has expired.
const MAIL_LOST_OF_LATE: Duration = Duration::from_hours(24);
/// The maximum number of usernames in one report, because strangers can register any number of them.
const NAMED_USERNAMES: usize = 10;
const RESTORE: &str = "stop the server and restore a backup: arkloop restore FILE";

/// Inspects the database. `wanted` is the configured algorithm of access tokens.
pub(super) async fn check(config: &Config, app: &App, wanted: Option<SignatureAlgorithm>) -> Vec<Finding> {
    let inspected = app.service.inspect().await;
    let now = app.service.system().now();
    match inspected {
        Ok(inspection) => {
            let mut findings = match &inspection.server {
                Some(server) => postgresql::check(config, &inspection, server, now),
                None => vec![check_integrity(&inspection)],
            };
            findings.extend([
                check_clock(&inspection, now),
                check_signing(&inspection, wanted, now),
                check_outbox(&inspection, now),
                check_codes(&inspection),
                check_backup(&inspection, now),
            ]);
            findings.extend(check_usernames(&inspection));
            findings.extend(check_servers(app).await);
            findings
        }
        Err(error) => {
            let mend = match config.database_url {
                Some(_) => "see the log of PostgreSQL",
                None => RESTORE,
            };
            vec![Finding::bad(
                "database",
                format!("it cannot be read: {error}"),
                mend,
            )]
        }
    }
}

/// Reports servers over one database that answer requests differently.
async fn check_servers(app: &App) -> Option<Finding> {
    let differ = has_differing(app.service.store()).await.ok()?;
    differ.then(|| {
        Finding::unwise(
            "servers",
            "those that run over this database have different configurations",
            "compare `arkloop config show` on their machines, and restart those that are behind",
        )
    })
}

fn check_integrity(inspection: &Inspection) -> Finding {
    match inspection.faults.as_slice() {
        [] => Finding::good("database", "whole, and of the schema that this version knows"),
        faults => Finding::bad("database", faults.join("; "), RESTORE),
    }
}

fn check_clock(inspection: &Inspection, now: Timestamp) -> Finding {
    const MEND: &str = "set the clock and keep it set: timedatectl set-ntp true";
    if now < FIRST_RELEASE {
        return Finding::bad("clock", format!("it says {now}, before arkloop was made"), MEND);
    }
    match inspection.latest_at {
        Some(latest) if now + CLOCK_SLACK < latest => {
            let seen = format!("it says {now}, and the database knows of {latest}");
            Finding::bad("clock", seen, MEND)
        }
        _ => Finding::good("clock", now.to_string()),
    }
}

fn check_signing(inspection: &Inspection, wanted: Option<SignatureAlgorithm>, now: Timestamp) -> Finding {
    let Some((since, algorithm)) = inspection.newest_key else {
        return Finding::good(
            "keys",
            "the key file is the database's; the first start makes a signing key",
        );
    };
    let signing = if since > now {
        format!("a new key signs access tokens from {since} on")
    } else {
        format!("access tokens are signed with a key since {since}")
    };
    let seen = format!(
        "the key file is the database's; {signing}, with {}",
        algorithm.into_str()
    );
    if let Some(other) = wanted.filter(|wanted| *wanted != algorithm) {
        return Finding::unwise(
            "keys",
            format!("{seen}; tokens.algorithm is {}", other.into_str()),
            "change it in order before the next start does it at once: arkloop key rotate",
        );
    }
    if now.since(since) > SIGNING_KEY_AGE {
        let age = in_words(SIGNING_KEY_AGE);
        let mend = format!("replace a key that is older than {age}: arkloop key rotate");
        return Finding::unwise("keys", seen, mend);
    }
    Finding::good("keys", seen)
}

fn check_backup(inspection: &Inspection, now: Timestamp) -> Finding {
    const MEND: &str =
        "make one each night with a timer: arkloop backup --keep 14 DIR, and take it to another machine";
    if inspection.server.is_some() {
        return Finding::good(
            "backup",
            "PostgreSQL's own, which is not seen from here: see that pg_dump or snapshots run, and try one out",
        );
    }
    let seen = match (inspection.last_backup_at, inspection.first_user_at) {
        (Some(at), _) => format!("the last one is of {at}"),
        (None, Some(_)) => "there is none".to_owned(),
        (None, None) => "there is none, and no account either".to_owned(),
    };
    // Without a backup, a loss of the database loses everything since the first account.
    let unsaved_since = inspection.last_backup_at.or(inspection.first_user_at);
    if unsaved_since.is_some_and(|since| now.since(since) > BACKUP_AGE) {
        return Finding::bad("backup", seen, MEND);
    }
    Finding::good("backup", seen)
}

fn check_codes(inspection: &Inspection) -> Finding {
    let failed = inspection.failed_codes;
    let Some(threshold) = failed.exceeded else {
        let (known, unknown) = (failed.of_accounts, failed.of_unknown);
        let seen = format!("wrong in the last hour at accounts: {known}, at unknown addresses: {unknown}");
        return Finding::good("codes", seen);
    };
    Finding::unwise(
        "codes",
        format!(
            "more than {threshold} were wrong within an hour over all accounts, so that {} in an hour are mailed for each mailbox until it is quiet",
            MailBudget::PER_HOUR_BRAKED
        ),
        "see who guesses with `arkloop audit --event sign_in.code --since 1h`, and keep those networks out; raise otp.spray_threshold only if these are people",
    )
}

fn check_outbox(inspection: &Inspection, now: Timestamp) -> Finding {
    const SUBJECT: &str = "outbox";
    const MEND: &str = "see which with `arkloop mail queue`; when the cause is mended, have them tried again: arkloop mail retry";
    // Refused mails are no fault, because the operator cannot correct an address that a stranger mistyped.
    let (refused, troubles): (Vec<_>, Vec<_>) = inspection
        .mail_troubles
        .iter()
        .partition(|trouble| trouble.is_refused);
    if let Some(most) = troubles.first() {
        let mails: usize = troubles.iter().map(|trouble| trouble.mails).sum();
        let more = match mails - most.mails {
            0 => String::new(),
            others => format!(" ({} of them; {others} for other reasons)", most.mails),
        };
        let last = &most.error;
        let seen = format!("mails that were tried and still wait: {mails}; the last try: {last}{more}");
        let hint = most.hint.as_ref().map(|hint| format!("{hint}; "));
        return Finding::bad(SUBJECT, seen, hint.unwrap_or_default() + MEND);
    }
    match inspection.last_mail_lost_at {
        Some(at) if now.since(at) < MAIL_LOST_OF_LATE => Finding::unwise(
            SUBJECT,
            format!("a mail expired at {at} before the mail server took it, and nothing waits now"),
            "see why in the log; people who wait for a mail have to ask for another one",
        ),
        _ if refused.is_empty() => Finding::good(SUBJECT, "no mail waits that was tried"),
        _ => {
            let mails: usize = refused.iter().map(|trouble| trouble.mails).sum();
            let seen = format!(
                "mails to addresses that take none, as the mail server says: {mails}; see: arkloop mail queue"
            );
            Finding::good(SUBJECT, seen)
        }
    }
}

/// Reports usernames that have the form of an id or an IP address. Commands of versions before 0.2 read such a
/// username as the id, and `explain` cannot tell it from the address.
fn check_usernames(inspection: &Inspection) -> impl Iterator<Item = Finding> {
    let names = &inspection.ambiguous_usernames;
    let more = names.len().saturating_sub(NAMED_USERNAMES);
    let more = (more > 0).then(|| {
        Finding::unwise(
            "usernames",
            format!("{more} more have the form of an id or of an IP address"),
            "see: arkloop user list",
        )
    });
    names.iter().take(NAMED_USERNAMES).map(check_username).chain(more)
}

fn check_username((username, taken_for): &(Username, Lookalike)) -> Finding {
    match taken_for {
        Lookalike::IdOf(other) => Finding::bad(
            "usernames",
            format!("an account calls itself {username}, which is the id of {other} without its hyphens"),
            format!(
                "a command of version 0.1 given that name was carried out on {other}: see `arkloop audit --user {other}`, and whether to suspend the \
                 other: arkloop user suspend {username}"
            ),
        ),
        Lookalike::Id => Finding::unwise(
            "usernames",
            format!("{username} is a username in the form of an id without hyphens"),
            format!("read it as a name only: arkloop user show {username}"),
        ),
        Lookalike::Address => Finding::unwise(
            "usernames",
            format!("{username} is a username in the form of an IP address"),
            format!("for what came from that address say: arkloop explain --ip {username}"),
        ),
    }
}
