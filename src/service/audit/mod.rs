//! The audit log: writing and reading it. How many rows strangers can cause is in `budget.rs`.
//!
//! A row is written in the transaction it speaks of. A refusal that has a row is therefore no `Err` inside that transaction, which would roll the row
//! back with the rest: see [`Refused`].

mod budget;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::session::Caller;
use super::user::UserRef;
use super::{Error, Service};
use crate::crypto::Keys;
use crate::domain::{
    AccountName, AuditEntry, AuditEvent, AuditEvents, AuditReason, AuditRecord, Client, Email, NameDigest,
    Operator, Timestamp, network_of,
};
use crate::store::{AuditCount, AuditFilter, AuditTally, StoreError, Tx};
use crate::system::System;
use budget::{Budget, Class, start_of_hour, start_of_minute};

/// What is counted in memory and not yet in the database.
#[derive(Debug, Default)]
struct Noted {
    budgets: [Budget; Class::ALL.len()],
    /// How often since they were last written. A tally of the present minute stays when it was written, so that it takes no second row of the budget.
    tallies: HashMap<AuditTally, AuditCount>,
}

/// Writes the audit log.
pub(super) struct Auditor {
    /// Who runs this process.
    operator: Operator,
    pub(super) keys: Arc<Keys>,
    system: System,
    noted: Mutex<Noted>,
}

impl Auditor {
    pub(super) fn new(operator: Operator, keys: Arc<Keys>, system: System) -> Self {
        Self {
            operator,
            keys,
            system,
            noted: Mutex::default(),
        }
    }

    /// The form in which an address is kept.
    pub(super) fn digest_of(&self, email: &Email) -> Option<NameDigest> {
        self.keys.name_digest(&AccountName::Email(email.clone()))
    }

    /// `event`, done by the operator.
    pub(super) fn by_operator(&self, event: AuditEvent) -> AuditRecord {
        AuditRecord::by_operator(event, &self.operator)
    }

    /// Writes a row, or counts it in the row that stands for the hour when its budget is used up. Both are one write, so that the time tells nothing.
    pub(super) fn write(&self, tx: &Tx<'_>, record: &AuditRecord) -> Result<(), StoreError> {
        self.write_as_of(tx, record, self.system.now())
    }

    fn write_as_of(&self, tx: &Tx<'_>, record: &AuditRecord, now: Timestamp) -> Result<(), StoreError> {
        let has_row =
            Class::of(record).is_none_or(|class| self.noted().budgets[class as usize].take(class, now));
        if has_row {
            return tx.insert_audit(record, now);
        }
        let tally = AuditTally {
            event: record.event,
            reason: record.outcome.reason(),
            address: None,
            subject: None,
            name: None,
            window_at: start_of_hour(now),
        };
        let count = AuditCount {
            times: 1,
            at: now,
            trace_id: None,
        };
        tx.count_audit(&tally, &count)
    }

    /// Writes the row of a refusal, and gives the refusal; a fault has no row and is an error here too.
    pub(super) fn write_refusal(
        &self,
        tx: &Tx<'_>,
        record: AuditRecord,
        refused: Refused,
    ) -> Result<Error, Error> {
        let Refused { error, reason } = refused;
        let Some(reason) = reason else { return Err(error) };
        self.write(tx, &record.refused(reason))?;
        Ok(error)
    }

    /// Counts a refusal by a client that is not worth a write of its own; takes no lock for longer than that.
    pub(super) fn note(&self, record: AuditRecord, client: &Client) {
        let now = self.system.now();
        let mut tally = AuditTally {
            event: record.event,
            reason: record.outcome.reason(),
            address: client.address.map(network_of),
            subject: record.subject,
            name: record.name,
            window_at: start_of_minute(now),
        };
        let mut trace_id = client.trace_id;
        let class = Class::of_tally(tally.event);
        let mut noted = self.noted();
        if !noted.tallies.contains_key(&tally) && !noted.budgets[class as usize].take(class, now) {
            tally = AuditTally {
                address: None,
                subject: None,
                name: None,
                window_at: start_of_hour(now),
                ..tally
            };
            trace_id = None;
        }
        let first = AuditCount {
            times: 0,
            at: now,
            trace_id,
        };
        noted.tallies.entry(tally).or_insert(first).times += 1;
    }

    /// Takes what was counted since the last time.
    fn take_noted(&self) -> Vec<(AuditTally, AuditCount)> {
        let this_minute = start_of_minute(self.system.now());
        let mut noted = self.noted();
        let taken = noted.tallies.iter().filter(|(_, count)| count.times > 0);
        let taken = taken.map(|(tally, count)| (tally.clone(), *count)).collect();
        noted.tallies.retain(|tally, count| {
            count.times = 0;
            tally.window_at >= this_minute
        });
        taken
    }

    fn noted(&self) -> std::sync::MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which rows of the log are wanted.
#[derive(Clone, Debug)]
pub struct AuditQuery {
    /// Only those about this account, also if it is gone or has another name now; or under this name, if it is no account's.
    pub user: Option<UserRef>,
    /// Only these events.
    pub events: Option<AuditEvents>,
    /// Only the last so long.
    pub since: Option<Duration>,
    /// Only those behind the one with this id.
    pub after: Option<i64>,
    /// The most rows; the latest are given.
    pub limit: u32,
}

/// The forms in which rows have an address: as it is, and its network where rows are shared.
pub(super) fn addresses_of(address: IpAddr) -> [IpAddr; 2] {
    [address.to_canonical(), network_of(address)]
}

/// Why a transaction was not carried out: a refusal, whose changes are undone and whose row is written, or a fault, after which nothing is.
#[derive(Debug)]
pub(super) struct Refused {
    error: Error,
    reason: Option<AuditReason>,
}

impl Refused {
    /// The same where there is no account: whatever code is typed for it, that is what is wrong with it.
    pub(super) fn without_account(self) -> Self {
        match self.error {
            Error::CodeInvalid => Error::CodeInvalid.because(AuditReason::UnknownAccount),
            _ => self,
        }
    }
}

impl Error {
    /// This refusal, for a reason that the caller is not told.
    pub(super) fn because(self, reason: AuditReason) -> Refused {
        Refused {
            error: self,
            reason: Some(reason),
        }
    }

    /// The reason, where the refusal has only one.
    fn only_reason(&self) -> Option<AuditReason> {
        Some(match self {
            Self::UserSuspended => AuditReason::Suspended,
            Self::RegistrationDisabled => AuditReason::RegistrationDisabled,
            Self::InviteCodeRequired => AuditReason::InviteMissing,
            Self::LoginExists => AuditReason::UsernameTaken,
            Self::EmailExists => AuditReason::EmailTaken,
            Self::SessionNotFound => AuditReason::NoSuchSession,
            Self::CodeRateLimited { .. } => AuditReason::TooManyMails,
            Self::CodeLocked { .. } => AuditReason::CodesLocked,
            Self::EmailAlreadyVerified => AuditReason::AlreadyVerified,
            Self::ReauthenticationRequired => AuditReason::SignInTooOld,
            _ => return None,
        })
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self {
            reason: error.only_reason(),
            error,
        }
    }
}

impl Refused {
    /// The reason; `None` for what has no row.
    pub(super) const fn reason(&self) -> Option<AuditReason> {
        self.reason
    }
}

/// For where nothing is written, so that the reason has no place.
impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        refused.error
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Error::from(error).into()
    }
}

/// A change with its row. Its refusal is no error inside the transaction, or its row would be rolled back too.
fn audited<T>(
    auditor: Arc<Auditor>,
    mut record: AuditRecord,
    change: impl FnOnce(&Tx<'_>, &mut AuditRecord) -> Result<T, Refused>,
) -> impl FnOnce(&Tx<'_>) -> Result<Result<T, Error>, Error> {
    move |tx| {
        // Before the change, so that what it ends does not end before the row that says why.
        let at = auditor.system.now();
        match tx.attempt(|tx| change(tx, &mut record))? {
            Ok(done) => {
                auditor.write_as_of(tx, &record, at)?;
                Ok(Ok(done))
            }
            Err(refused) => Ok(Err(auditor.write_refusal(tx, record, refused)?)),
        }
    }
}

impl Service {
    /// Changes rows as [`crate::store::Store::write`] does, and writes `record` in the same transaction: what it became through `change`, or the
    /// refusal. A refusal undoes what `change` did, and its row stays.
    pub(super) async fn write_audited<T: Send + 'static>(
        &self,
        record: AuditRecord,
        change: impl FnOnce(&Tx<'_>, &mut AuditRecord) -> Result<T, Refused> + Send + 'static,
    ) -> Result<T, Error> {
        self.store
            .write(audited(Arc::clone(&self.auditor), record, change))
            .await?
    }

    /// The same for a change that queues a mail.
    pub(super) async fn write_audited_and_mail<T: Send + 'static>(
        &self,
        record: AuditRecord,
        change: impl FnOnce(&Tx<'_>, &mut AuditRecord) -> Result<T, Refused> + Send + 'static,
    ) -> Result<T, Error> {
        self.write_and_mail(audited(Arc::clone(&self.auditor), record, change))
            .await?
    }

    /// Writes the row of a refusal that changes nothing else, and gives the refusal.
    pub(super) async fn refuse<T: Send + 'static>(
        &self,
        record: AuditRecord,
        refused: Refused,
    ) -> Result<T, Error> {
        if refused.reason.is_none() {
            return Err(refused.error);
        }
        self.write_audited(record, move |_, _| Err(refused)).await
    }

    /// Counts a request that was refused because there were too many; `reason` is one of the limits. Cheap, and never waits.
    pub fn note_throttled(&self, client: &Client, reason: AuditReason) {
        self.note_refused(AuditEvent::Throttled, reason, client);
    }

    /// The same for whoever is signed in, so that it is told of their account.
    pub fn note_session_throttled(&self, caller: &Caller) {
        let record = caller
            .record(AuditEvent::Throttled)
            .refused(AuditReason::SessionLimit);
        self.auditor.note(record, &caller.client);
    }

    /// Counts a refusal that is about no account.
    pub(super) fn note_refused(&self, event: AuditEvent, reason: AuditReason, client: &Client) {
        let record = AuditRecord::by_client(event, client).refused(reason);
        self.auditor.note(record, client);
    }

    /// Writes what was counted in memory: one row for each event, address and minute.
    pub async fn flush_audit(&self) -> Result<(), Error> {
        let noted = self.auditor.take_noted();
        if noted.is_empty() {
            return Ok(());
        }
        self.store
            .write(move |tx| {
                for (tally, count) in &noted {
                    tx.count_audit(tally, count)?;
                }
                Ok::<_, Error>(())
            })
            .await
    }

    /// The rows that `query` asks for, the oldest first.
    pub async fn list_audit(&self, query: AuditQuery) -> Result<Vec<AuditEntry>, Error> {
        let auditor = Arc::clone(&self.auditor);
        let since = query.since.map(|since| self.system.now() - since);
        self.store
            .report(move |reader| {
                let filter = AuditFilter {
                    events: query.events,
                    since,
                    after: query.after,
                    ..match &query.user {
                        Some(user) => user.audit_filter(reader, &auditor)?,
                        None => AuditFilter::default(),
                    }
                };
                Ok(reader.list_audit(&filter, query.limit)?)
            })
            .await
    }
}
