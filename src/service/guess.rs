//! Guesses at a password: what becomes of one that is wrong or has to wait.

use super::error::Refused;
use super::{Error, Service};
use crate::domain::{AuditEvent, AuditRecord, Client, FailureKey};

impl Service {
    /// Counts a wrong password and writes the row of its refusal, in one transaction. Gives the refusal, which is another one if the guess has to wait by
    /// now.
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

    /// The refusal of a guess that has to wait, which would have become `record`. It is counted in memory: a client that waits must not cause a write by
    /// asking.
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
