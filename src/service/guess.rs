//! Guesses at a password: how a wrong one is counted, and how one that has to wait is refused.

use super::error::Refused;
use super::{Error, Service};
use crate::domain::{AuditEvent, AuditRecord, Client, FailureKey};

impl Service {
    /// Counts a wrong password and writes the row of its refusal, in one transaction. Gives the refusal: if other guesses came first, that the guess has to
    /// wait.
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

    /// Gives the refusal of a guess that has to wait; `record` is that of the guess. The refusal is counted in memory, because a client that has to wait must
    /// not cause writes.
    pub(super) fn note_waiting(&self, record: &AuditRecord, client: &Client, refused: Refused) -> Error {
        if let Some(reason) = refused.reason {
            let record = AuditRecord {
                event: AuditEvent::Throttled,
                ..record.clone()
            };
            self.rules.note(&record.refused(reason), client);
        }
        refused.error
    }
}
