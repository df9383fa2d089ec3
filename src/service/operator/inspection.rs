//! What `arkloop check` reads from the database, and the word with which it proves to the running server that it has the key file.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::{SignatureAlgorithm, Timestamp, UserId, Username};
use crate::service::{Error, FailedCodes, Service};
use crate::store::{DatabaseServer, MailTrouble, Reader, Setting, StoreError};

/// How long a word is valid: long enough for the requests of one check.
const CHECK_TOKEN_TTL: Duration = Duration::from_mins(2);

/// The state of the database.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// What SQLite finds wrong; empty if nothing.
    pub faults: Vec<String>,
    /// What PostgreSQL says of itself; `None` if the database is a file.
    pub server: Option<DatabaseServer>,
    /// The size of the database.
    pub bytes: u64,
    /// The latest time of a new account or of a use of a session; `None` if there are neither.
    pub latest_at: Option<Timestamp>,
    /// When the oldest account was created; `None` if there is none.
    pub first_user_at: Option<Timestamp>,
    /// When the last backup was made; `None` if never.
    pub last_backup_at: Option<Timestamp>,
    /// From when on the newest key signs access tokens, and its algorithm; `None` before the server has run.
    pub newest_key: Option<(Timestamp, SignatureAlgorithm)>,
    /// The reasons why mails were tried and still wait. The reason with the most mails comes first.
    pub mail_troubles: Vec<MailTrouble>,
    /// When a mail last expired before the mail server took it; `None` if never.
    pub last_mail_lost_at: Option<Timestamp>,
    /// Usernames that look like an id or an IP address, each with the thing that it may be taken for.
    pub ambiguous_usernames: Vec<(Username, Lookalike)>,
    /// Wrong one-time codes over all accounts.
    pub failed_codes: FailedCodes,
}

/// What a username may be taken for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookalike {
    /// The id, without hyphens, of the account with this username.
    IdOf(Username),
    /// An id without hyphens; no account has it.
    Id,
    /// An IP address.
    Address,
}

/// The usernames among `candidates` that may be taken for something else.
fn ambiguous(
    reader: &Reader<'_>,
    candidates: Vec<Username>,
) -> Result<Vec<(Username, Lookalike)>, StoreError> {
    let mut found = Vec::new();
    for username in candidates {
        let taken_for = match UserId::from_username_before_0_2(&username) {
            Some(id) => reader
                .find_user(id)?
                .map_or(Lookalike::Id, |user| Lookalike::IdOf(user.username)),
            None if username.as_str().parse::<Ipv4Addr>().is_ok() => Lookalike::Address,
            None => continue,
        };
        found.push((username, taken_for));
    }
    // Names that are the id of an account come first, because they are dangerous; many harmless ones may have been registered before them.
    found.sort_by_key(|(_, taken_for)| !matches!(taken_for, Lookalike::IdOf(_)));
    Ok(found)
}

impl Service {
    /// Checks the whole database, which takes a second for some hundred megabytes.
    pub async fn inspect(&self) -> Result<Inspection, Error> {
        let (rules, now) = (Arc::clone(&self.rules), self.system.now());
        self.store
            .report(move |reader| {
                let signing = reader.list_signing_keys()?.into_iter();
                Ok(Inspection {
                    faults: reader.list_faults()?,
                    server: reader.describe_server()?,
                    bytes: reader.database_bytes(),
                    latest_at: reader.find_latest_time()?,
                    first_user_at: reader.find_first_user_time()?,
                    last_backup_at: reader.find_time(Setting::LastBackupAt)?,
                    newest_key: signing
                        .filter(|key| key.retired_at.is_none())
                        .map(|key| (key.active_at, key.algorithm))
                        .max_by_key(|(active_at, _)| *active_at),
                    mail_troubles: reader.list_mail_troubles(now)?,
                    last_mail_lost_at: reader.find_time(Setting::LastMailLostAt)?,
                    ambiguous_usernames: ambiguous(reader, reader.list_digit_usernames()?)?,
                    failed_codes: rules.failed_codes(reader, now)?,
                })
            })
            .await
    }

    /// A word that only the holder of the key file can make, valid once and for two minutes.
    pub fn new_check_token(&self) -> String {
        self.rules.keys.new_check_token(&self.system)
    }

    /// Until when `word` is valid; `None` if it is not valid now, or was not made with this server's key file.
    pub fn check_token_expiry(&self, word: &str) -> Option<Timestamp> {
        let now = self.system.now();
        let made_at = self.rules.keys.open_check_word(word)?;
        (made_at <= now + CHECK_TOKEN_TTL && now <= made_at + CHECK_TOKEN_TTL)
            .then(|| made_at + CHECK_TOKEN_TTL)
    }
}
