//! The audit log: writing it. How many rows strangers can cause is in `budget.rs`, what memory counts in `noted.rs`.
//!
//! A row is written in the transaction it speaks of. A refusal that has a row is therefore no `Err` inside that transaction, which would roll the row
//! back with the rest: see [`super::Unit::audited`].

mod budget;
mod noted;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Caller;
use crate::crypto::Keys;
use crate::domain::{
    AccountName, AuditEvent, AuditReason, AuditRecord, Client, Email, NameDigest, Timestamp,
};
use crate::service::{Error, Service};
use crate::store::{AuditCount, StoreError, Tx};
use crate::system::System;

use budget::{Class, HOUR};
use noted::{Noted, kind_of, one, shared_tally};

/// How many counts one write takes, so that no request waits long behind it.
const CHUNK: usize = 1_000;

/// Writes the audit log.
pub(in crate::service) struct Auditor {
    pub(in crate::service) keys: Arc<Keys>,
    system: System,
    noted: Arc<Mutex<Noted>>,
}

impl Auditor {
    pub(in crate::service) fn new(keys: Arc<Keys>, system: System) -> Self {
        Self {
            keys,
            system,
            noted: Arc::default(),
        }
    }

    /// The form in which an address is kept.
    pub(in crate::service) fn digest_of(&self, email: &Email) -> Option<NameDigest> {
        self.keys.name_digest(&AccountName::Email(email.clone()))
    }

    /// Writes a row, or counts it in the row that stands for the hour when its budget is used up; counts it in place too if it has a budget. It is the same
    /// number of writes in each case, so that the time tells nothing.
    pub(in crate::service) fn write(
        &self,
        tx: &Tx<'_>,
        record: &AuditRecord,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let Some(class) = Class::of(record) else {
            return tx.insert_audit(record, now);
        };
        let taken = self.noted().budgets.take(class, record, now);
        if let Some(taken) = taken {
            let noted = Arc::clone(&self.noted);
            tx.if_undone(move || lock(&noted).budgets.give_back(taken));
            tx.insert_audit(record, now)?;
        } else {
            let count = AuditCount {
                times: 1,
                at: now,
                trace_id: None,
            };
            tx.count_audit(&shared_tally(record, now), &count)?;
        }
        if is_answered_as_done(record) {
            return Ok(());
        }
        tx.count_audit_kind(&kind_of(record), &one(record, now, taken.is_some()))
    }

    /// Counts a refresh token that came again from elsewhere: one row for each session, outcome and hour.
    pub(in crate::service) fn write_repeated(
        &self,
        tx: &Tx<'_>,
        record: &AuditRecord,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if tx.count_repeated(record, now.start_of(HOUR))? {
            return tx.count_audit_kind(&kind_of(record), &one(record, now, true));
        }
        self.write(tx, record, now)
    }

    /// Counts a refusal by a client that is not worth a write of its own; takes no lock for longer than that.
    pub(in crate::service) fn note(&self, record: &AuditRecord, client: &Client) {
        let now = self.system.now();
        self.noted().note(record, client, now);
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        lock(&self.noted)
    }
}

fn lock(noted: &Mutex<Noted>) -> MutexGuard<'_, Noted> {
    noted.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether mail was asked for under an address without an account. It is answered like mail to one that has one, and costs the same writes: that one is not
/// counted in place, since mails have budgets.
fn is_answered_as_done(record: &AuditRecord) -> bool {
    matches!(record.event, AuditEvent::CodeSent | AuditEvent::ResetSent)
        && record.outcome.reason() == Some(AuditReason::UnknownAccount)
}

impl Service {
    /// Counts a request that was refused because there were too many; `reason` is one of the limits. Cheap, and never waits.
    pub fn note_throttled(&self, client: &Client, reason: AuditReason) {
        self.note_refused(AuditEvent::Throttled, reason, client);
    }

    /// The same for whoever is signed in, so that it is told of their account.
    pub fn note_caller_throttled(&self, caller: &Caller, reason: AuditReason) {
        let record = caller.record(AuditEvent::Throttled).refused(reason);
        self.rules.auditor.note(&record, &caller.client);
    }

    /// Counts a refusal that is about no account.
    pub(in crate::service) fn note_refused(&self, event: AuditEvent, reason: AuditReason, client: &Client) {
        let record = AuditRecord::by_client(event, client).refused(reason);
        self.rules.auditor.note(&record, client);
    }

    /// Writes what was counted in memory: one row for each event, address, account and minute, and what is counted in place.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; what was not written is written the next time.
    pub async fn flush_audit(&self) -> Result<(), Error> {
        let (tallies, kinds) = self.rules.auditor.noted().take(self.system.now());
        let mut rest = kinds.as_slice();
        let mut unwritten = tallies;
        while !(rest.is_empty() && unwritten.is_empty()) {
            let (chunk, later) = rest.split_at(rest.len().min(CHUNK));
            let (tallies, kinds) = (unwritten.clone(), chunk.to_vec());
            let written = self.store.write(move |tx| {
                for (tally, count) in &tallies {
                    tx.count_audit(tally, count)?;
                }
                for (kind, count) in &kinds {
                    tx.count_audit_kind(kind, count)?;
                }
                Ok::<_, Error>(())
            });
            if let Err(error) = written.await {
                self.rules.auditor.noted().put_back(unwritten, rest);
                return Err(error);
            }
            (rest, unwritten) = (later, Vec::new());
        }
        Ok(())
    }
}
