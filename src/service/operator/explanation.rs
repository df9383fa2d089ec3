//! Gathers the facts that may explain why sign-ins were refused.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::audit::list;
use crate::domain::{
    Actor, AuditEntry, AuditReason, Email, Guessed, MailPurpose, Session, SessionId, Timestamp, User,
    network_of, trimmed,
};
use crate::service::rules::Rules;
use crate::service::{Error, Service, SignInRules, UserRef};
use crate::store::{AuditFilter, Reader};

/// How many rows of the log are gathered: more than a person reads.
const MAX_ROWS: u32 = 200;

/// The account, name or address whose refusals are explained.
#[derive(Clone, Debug)]
pub enum Explained {
    /// An account, or a name that no account has.
    Account(UserRef),
    /// Every client at an address.
    Address(IpAddr),
}

#[derive(Debug)]
pub struct Explanation {
    pub subject: Explained,
    /// Rows of the audit log, the oldest first, followed by counts.
    pub entries: Vec<AuditEntry>,
    /// `None` for an address, or a name that no account has.
    pub user: Option<User>,
    /// The sessions of the account, live and ended.
    pub sessions: Vec<Session>,
    /// The sessions of rows that were refused because their session had ended.
    pub over: HashMap<SessionId, Session>,
    /// Until when codes of the account are refused without a comparison; `None` if they are compared.
    pub codes_locked_until: Option<Timestamp>,
    /// When a code can be mailed to the account again; `None` if at once.
    pub codes_mailed_from: Option<Timestamp>,
    /// The new address of a change that waits for its link, and when the link expires.
    pub pending_change: Option<(Email, Timestamp)>,
    /// The former addresses that can be taken back, each with the end of that time, the oldest first.
    pub undos: Vec<(Email, Timestamp)>,
    /// Guesses that still have to wait after wrong passwords.
    pub waits: Vec<Wait>,
    /// The rules as they are now.
    pub rules: SignInRules,
}

/// Guesses at a password that have to wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// The account's username; `None` if the explanation is about one account or name.
    pub username: Option<String>,
    /// `None` for a process on the same machine.
    pub address: Option<IpAddr>,
    /// Whether every other address has to wait too, except networks from which the account was used lately.
    pub is_for_all_addresses: bool,
    pub until: Timestamp,
}

impl Explanation {
    /// The session of a row, if the row was refused because the session had ended.
    pub fn session_of(&self, entry: &AuditEntry) -> Option<&Session> {
        self.over.get(&entry.record.session_id?)
    }
}

impl Service {
    /// Reads `text` as an IP address, or as the username, e-mail address or id of an account.
    ///
    /// An IPv4 address is a legal username too. If an account has it as its username, the text is refused, because either may be meant.
    ///
    /// # Errors
    /// [`Error::AddressAndUsername`].
    pub async fn read_subject(&self, text: &str) -> Result<Explained, Error> {
        let user = UserRef::parse(text);
        let Ok(address) = trimmed(text).parse() else {
            return Ok(Explained::Account(user));
        };
        let found = self
            .store
            .report(move |reader| user.find_if_there(reader))
            .await?;
        match found {
            Some(user) => Err(Error::AddressAndUsername(user.username.to_string())),
            None => Ok(Explained::Address(address)),
        }
    }

    /// Gathers the events of an account or an address, and the limits that still apply.
    ///
    /// # Errors
    /// [`Error::UserNotFound`] for a name that no account can have.
    pub async fn explain(&self, subject: Explained) -> Result<Explanation, Error> {
        let (rules, now) = (Arc::clone(&self.rules), self.system.now());
        self.store
            .report(move |reader| {
                let user = match &subject {
                    Explained::Account(user) => user.find_if_there(reader)?,
                    Explained::Address(_) => None,
                };
                let filter = match &subject {
                    Explained::Account(user) => user.audit_filter(reader, &rules.keys)?,
                    Explained::Address(address) => AuditFilter {
                        // A row that counts many requests has the network of their addresses.
                        addresses: Some([address.to_canonical(), network_of(*address)]),
                        ..AuditFilter::default()
                    },
                };
                let entries = list(reader, &filter, MAX_ROWS)?.entries;
                let (mut codes_locked_until, mut codes_mailed_from) = (None, None);
                let (mut pending_change, mut undos) = (None, Vec::new());
                let mut sessions = Vec::new();
                if let Some(user) = &user {
                    sessions = reader.list_sessions(user.id)?;
                    let address = rules.keys.address_digest(&user.email);
                    codes_locked_until = reader.find_code_failures(address)?.lock_end(now);
                    let mailbox = rules.keys.mailbox_digest(&user.email);
                    let budget = reader.find_mail_budget(mailbox, MailPurpose::SignIn)?;
                    codes_mailed_from = budget
                        .spend(MailPurpose::SignIn, rules.is_braked(reader, now)?, now)
                        .err()
                        .map(|wait| now + wait);
                    let change = reader.find_email_change_of(user.id)?;
                    let change = change.filter(|change| change.expires_at > now);
                    pending_change = change.map(|change| (change.email, change.expires_at));
                    let living = reader.list_email_undos(user.id, now)?;
                    undos = living
                        .into_iter()
                        .map(|undo| (undo.email, undo.expires_at))
                        .collect();
                }
                Ok(Explanation {
                    over: find_ended_sessions(reader, &entries)?,
                    waits: waits(reader, &rules, now, &subject, user.as_ref(), &entries)?,
                    entries,
                    sessions,
                    user,
                    codes_locked_until,
                    codes_mailed_from,
                    pending_change,
                    undos,
                    subject,
                    rules: rules.settings.sign_in,
                })
            })
            .await
    }
}

/// The sessions of rows that were refused because their session had ended.
fn find_ended_sessions(
    reader: &Reader<'_>,
    entries: &[AuditEntry],
) -> Result<HashMap<SessionId, Session>, Error> {
    let ended = entries.iter().map(|entry| &entry.record);
    let ended = ended.filter(|record| record.refused == Some(AuditReason::SessionEnded));
    let ids: HashSet<SessionId> = ended.filter_map(|record| record.session_id).collect();
    let mut over = HashMap::new();
    for id in ids {
        over.extend(reader.find_session(id)?.map(|session| (id, session)));
    }
    Ok(over)
}

/// The guesses that have to wait after wrong passwords. Wrong passwords are counted under keyed digests of account and address, which cannot be listed, so the
/// pair of each row is looked up.
fn waits(
    reader: &Reader<'_>,
    rules: &Rules,
    now: Timestamp,
    subject: &Explained,
    user: Option<&User>,
    entries: &[AuditEntry],
) -> Result<Vec<Wait>, Error> {
    let Some(limits) = rules.settings.sign_in.failure_limits else {
        return Ok(Vec::new());
    };
    let name = match subject {
        Explained::Account(user) => user.name_key().unwrap_or_default(),
        Explained::Address(_) => String::new(),
    };
    let mut waits = Vec::new();
    for entry in entries {
        let Actor::Client(client) = &entry.record.actor else {
            continue;
        };
        let (guessed, username) = match (subject, user, &entry.record.subject) {
            (Explained::Account(_), Some(user), _) => (Guessed::Account(user.id), None),
            (Explained::Account(_), None, _) => (Guessed::UnknownName(&name), None),
            (Explained::Address(_), _, Some(of)) => (Guessed::Account(of.user_id), Some(of.username.clone())),
            (Explained::Address(_), _, None) => continue,
        };
        let key = rules.keys.failure_key(guessed, client.address);
        let runs = reader.find_failures(key)?;
        let pause = runs.pause(limits, now);
        let from_here = runs.delay(limits, now).max(runs.pause_of_site(key, limits, now));
        let Some(wait) = pause.max(from_here) else {
            continue;
        };
        let wait = Wait {
            username,
            address: client.address,
            is_for_all_addresses: pause.is_some(),
            until: now + wait,
        };
        let is_same = |other: &Wait| {
            other.username == wait.username
                && other.until == wait.until
                && (wait.is_for_all_addresses || other.address == wait.address)
        };
        if !waits.iter().any(is_same) {
            waits.push(wait);
        }
    }
    Ok(waits)
}
