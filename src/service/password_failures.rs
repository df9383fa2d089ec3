//! Wrong passwords: they are counted, and make the next guess wait.
//!
//! A guess that has to wait is not compared. That is asked before the password is hashed, and once more in the transaction that follows: only there, where
//! one follows the other, is it decided how many guesses of a crowd are told whether they were right. A right password that comes too late in such a crowd
//! is told to wait like the others. A guess takes no try away before it is known to be wrong, so that somebody's programs may sign in together.

use std::sync::Arc;

use super::error::Refused;
use super::{Error, Service};
use crate::crypto::Keys;
use crate::domain::{
    Acquaintance, AuditEvent, AuditReason, AuditRecord, Client, FailureKey, FailureLimits, Guessed, Limit,
    MAX_FAILURE_ROWS, Timestamp, User,
};
use crate::store::{Reader, Tx};
use crate::system::System;

/// The counts of wrong passwords. It is shared with transactions.
#[derive(Clone)]
pub(super) struct PasswordFailures {
    pub(super) keys: Arc<Keys>,
    /// `None` where the operator turned the limits off: then nothing is counted.
    pub(super) limits: Option<FailureLimits>,
    pub(super) system: System,
}

impl PasswordFailures {
    /// What a guess of `client` is counted under.
    pub(super) fn key(&self, guessed: Guessed<'_>, client: &Client) -> FailureKey {
        self.keys.failure_key(guessed, client.address)
    }

    /// Refuses a guess that has to wait.
    ///
    /// # Errors
    /// [`Error::RateLimited`] for the account.
    pub(super) fn refuse_waiting(&self, reader: &Reader<'_>, key: FailureKey) -> Result<(), Refused> {
        let Some(limits) = self.limits else {
            return Ok(());
        };
        let (runs, now) = (reader.find_failures(key)?, self.system.now());
        let delay = runs.delay(limits, now);
        let (of_account, of_site) = (runs.pause(limits, now), runs.pause_of_site(key, limits, now));
        let pause = match of_account.max(of_site) {
            // A name without an account is looked for alike, and known from nowhere.
            Some(_) => match acquaintance(reader, key, now)? {
                Acquaintance::None => of_account.max(of_site),
                Acquaintance::Site => of_site,
                Acquaintance::Network => None,
            },
            None => None,
        };
        let reason = match pause {
            Some(_) => AuditReason::AccountPause,
            None => AuditReason::AccountLimit,
        };
        delay.max(pause).map_or(Ok(()), |retry_after| {
            let refusal = Error::RateLimited {
                limit: Limit::Account,
                retry_after,
            };
            Err(refusal.because(reason))
        })
    }

    /// Counts a wrong password, unless the guess had to wait: then nothing is counted, and no delay grows.
    ///
    /// # Errors
    /// [`Error::RateLimited`] for the account.
    fn count(&self, tx: &Tx<'_>, key: FailureKey) -> Result<(), Refused> {
        self.refuse_waiting(tx, key)?;
        if let Some(limits) = self.limits {
            let runs = tx.find_failures(key)?;
            let runs = runs.with_failure(key, limits, self.system.now());
            tx.put_failures(key, runs, MAX_FAILURE_ROWS)?;
        }
        Ok(())
    }

    /// Forgets what was guessed wrong about an account, passwords and codes: its owner was here, or the operator vouches for them.
    pub(super) fn forgive(&self, tx: &Tx<'_>, user: &User) -> Result<(), Error> {
        let key = self.keys.failure_key(Guessed::Account(user.id), None);
        tx.delete_failures(key.guessed)?;
        tx.forgive_code_failures(self.keys.address_digest(&user.email))?;
        Ok(())
    }
}

/// How well the account that is guessed at knows where the guess comes from.
fn acquaintance(reader: &Reader<'_>, key: FailureKey, now: Timestamp) -> Result<Acquaintance, Error> {
    let since = Acquaintance::forgotten_before(now);
    let addresses = reader.list_session_addresses(key.holder, since)?;
    Ok(Acquaintance::of(key.address, &addresses))
}

impl Service {
    /// Counts a wrong password and writes the row of its refusal, in one transaction; gives the refusal, which is another if the guess was not to be
    /// compared any more.
    pub(super) async fn refuse_guess<T>(
        &self,
        record: AuditRecord,
        refused: Refused,
        key: FailureKey,
    ) -> Result<T, Error> {
        let (auditor, failures) = (Arc::clone(&self.rules.auditor), self.failures.clone());
        let written = self.store.write(move |tx| {
            let refused = failures.count(tx, key).err().unwrap_or(refused);
            auditor.write_refusal(tx, record, refused)
        });
        Err(written.await?)
    }

    /// The refusal of a guess that had to wait, which would have become `record`. It is counted in memory: whoever waits must not cause a write by asking.
    pub(super) fn note_waiting(&self, record: &AuditRecord, client: &Client, refused: Refused) -> Error {
        if let Some(reason) = refused.reason() {
            let record = AuditRecord {
                event: AuditEvent::Throttled,
                ..record.clone()
            };
            self.rules.auditor.note(&record.refused(reason), client);
        }
        refused.into()
    }
}
