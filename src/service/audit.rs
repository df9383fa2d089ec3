//! Refusals in the audit log: written as rows at once, or counted in memory and written later.

use super::error::Refused;
use super::rules::Caller;
use super::{Error, Service};
use crate::domain::{AuditEvent, AuditReason, AuditRecord, Client, FailureKey};

/// How many counts by account or name are written in one transaction, so that no request waits long for its turn.
const CHUNK: usize = 1_000;

impl Service {
    /// Counts a request that was refused because there were too many; `reason` is one of the limits. Cheap, and never waits.
    pub fn note_throttled(&self, client: &Client, reason: AuditReason) {
        self.note_refused(AuditEvent::Throttled, reason, client);
    }

    /// As [`Service::note_throttled`], for a request of a signed-in caller: the log names their account.
    pub fn note_caller_throttled(&self, caller: &Caller, reason: AuditReason) {
        let record = caller.record(AuditEvent::Throttled).refused(reason);
        self.rules.note(&record);
    }

    /// Counts a refusal that is about no account.
    pub(super) fn note_refused(&self, event: AuditEvent, reason: AuditReason, client: &Client) {
        let record = AuditRecord::by_client(event, client).refused(reason);
        self.rules.note(&record);
    }

    /// Counts a wrong password and writes the row of its refusal, in one transaction. Returns the refusal. If other guesses were counted
    /// meanwhile and this one has to wait, the refusal says so and the password is not counted.
    pub(super) async fn refuse_guess<T>(
        &self,
        record: AuditRecord,
        refused: Refused,
        key: FailureKey,
    ) -> Result<T, Error> {
        let Refused { error, reason } = refused;
        let Some(reason) = reason else { return Err(error) };
        let waiting = self.change(record.actor.clone(), move |unit| {
            match unit.count_wrong_password(key) {
                Ok(()) => {
                    unit.audit(&record.clone().refused(reason))?;
                    Ok(None)
                }
                Err(waiting) => Ok(Some(unit.audit_refusal(record.clone(), waiting)?)),
            }
        });
        Err(waiting.await?.unwrap_or(error))
    }

    /// Returns the refusal of a guess that has to wait; `record` is the record of the guess. The refusal is counted in memory, because a client that has to
    /// wait must not cause writes.
    pub(super) fn note_waiting(&self, record: &AuditRecord, refused: Refused) -> Error {
        if let Some(reason) = refused.reason {
            let record = AuditRecord {
                event: AuditEvent::Throttled,
                ..record.clone()
            };
            self.rules.note(&record.refused(reason));
        }
        refused.error
    }

    /// Writes the counts in memory: one row for each event, address, account and minute, and the counts by account or name.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; the counts that were not written are written the next time.
    pub async fn flush_audit(&self) -> Result<(), Error> {
        let (tallies, kinds) = self.rules.pending.lock().take(self.system.now());
        let mut rest = kinds.as_slice();
        let mut unwritten = tallies;
        while !(rest.is_empty() && unwritten.is_empty()) {
            let (chunk, later) = rest.split_at(rest.len().min(CHUNK));
            let (tallies, kinds) = (unwritten.clone(), chunk.to_vec());
            let written = self.store.write(move |tx| {
                for (tally, count) in &tallies {
                    tx.add_to_tally(tally, count)?;
                }
                for (kind, count) in &kinds {
                    tx.count_audit_kind(kind, count)?;
                }
                Ok::<_, Error>(())
            });
            if let Err(error) = written.await {
                self.rules.pending.lock().put_back(unwritten, rest);
                return Err(error);
            }
            (rest, unwritten) = (later, Vec::new());
        }
        Ok(())
    }
}
