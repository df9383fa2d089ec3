//! Wrong passwords and wrong codes: they are counted, and they make the next guess wait.
//!
//! A guess that has to wait is not compared. This is checked before the password is hashed, and again in the transaction that follows. Transactions run one
//! after the other, so the second check limits how many simultaneous guesses learn whether they were right. A right password among them may have to wait
//! too. A guess counts only once it is known to be wrong, so that programs of one owner can sign in at the same time.

use std::num::NonZeroU32;

use super::{Rules, Unit};
use crate::domain::{
    Acquaintance, AuditReason, CodeFailures, FailedCode, FailureKey, FailureKind, Guessed, Limit,
    MAX_FAILURE_ROWS, Timestamp, User, site_of,
};
use crate::service::error::{Error, Refused};
use crate::store::{Reader, StoreError};

impl Rules {
    /// Refuses a guess that has to wait.
    ///
    /// # Errors
    /// [`Error::RateLimited`] for the account.
    pub(crate) fn refuse_waiting(
        &self,
        reader: &Reader<'_>,
        key: FailureKey,
        now: Timestamp,
    ) -> Result<(), Refused> {
        let Some(limits) = self.settings.sign_in.failure_limits else {
            return Ok(());
        };
        let runs = reader.find_failures(key)?;
        let delay = runs.delay(limits, now);
        let (of_account, of_site) = (runs.pause(limits, now), runs.pause_of_site(key, limits, now));
        let pause = match of_account.max(of_site) {
            // The sessions of a name without an account are looked up too, although it has none, so that its refusal costs the same.
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

    /// Whether codes are mailed more slowly, to every address, because codes of many accounts are being guessed. Wrong codes at addresses without an
    /// account do not count, so that made-up addresses slow nothing down.
    pub(crate) fn is_braked(&self, reader: &Reader<'_>, now: Timestamp) -> Result<bool, StoreError> {
        let threshold = self.settings.spray_threshold;
        threshold.map_or(Ok(false), |threshold| {
            reader.has_more_failed_codes(threshold, now)
        })
    }

    /// The wrong codes of the last hour.
    pub(crate) fn failed_codes(
        &self,
        reader: &Reader<'_>,
        now: Timestamp,
    ) -> Result<FailedCodes, StoreError> {
        let is_braked = self.is_braked(reader, now)?;
        Ok(FailedCodes {
            of_accounts: reader.count_failed_codes(FailureKind::OfAccount, now)?,
            of_unknown: reader.count_failed_codes(FailureKind::OfUnknownName, now)?,
            exceeded: self.settings.spray_threshold.filter(|_| is_braked),
        })
    }
}

impl Unit<'_> {
    /// Counts a wrong password. If the guess has to wait, it is refused and not counted, so no delay grows. Reading and writing the count is atomic because
    /// the one writer runs one change after the other.
    ///
    /// # Errors
    /// [`Error::RateLimited`] for the account.
    pub(crate) fn count_wrong_password(&self, key: FailureKey) -> Result<(), Refused> {
        self.rules.refuse_waiting(self, key, self.now)?;
        if let Some(limits) = self.rules.settings.sign_in.failure_limits {
            let runs = self.find_failures(key)?;
            let runs = runs.with_failure(key, limits, self.now);
            self.put_failures(key, runs, MAX_FAILURE_ROWS)?;
        }
        Ok(())
    }

    /// Counts a wrong code in the count over all accounts.
    pub(crate) fn count_wrong_code(&self, kind: FailureKind) -> Result<(), StoreError> {
        let Some(threshold) = self.rules.settings.spray_threshold else {
            return Ok(());
        };
        let failed = FailedCode {
            kind,
            network: self.actor.client().address.map(site_of),
            at: self.now,
        };
        self.count_failed_code(&failed, threshold.get() + 1)
    }

    /// Forgets the wrong passwords and codes of an account: its owner signed in, or the operator vouches for it.
    pub(crate) fn forgive_guesses(&self, user: &User) -> Result<(), Error> {
        let key = self.rules.keys.failure_key(Guessed::Account(user.id), None);
        self.delete_failures(key.guessed)?;
        let address = self.rules.keys.address_digest(&user.email);
        self.put_code_failures(address, CodeFailures::default())?;
        Ok(())
    }
}

/// Whether the sessions of the guessed account were lately used from the network or site of the guess.
fn acquaintance(reader: &Reader<'_>, key: FailureKey, now: Timestamp) -> Result<Acquaintance, StoreError> {
    let since = Acquaintance::forgotten_before(now);
    let addresses = reader.list_session_addresses(key.user_id, since)?;
    Ok(Acquaintance::of(key.address, &addresses))
}

/// Wrong codes of the last hour, as far as they are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailedCodes {
    pub of_accounts: u32,
    /// At addresses without an account.
    pub of_unknown: u32,
    /// The threshold, if `of_accounts` exceeds it, so that codes are mailed more slowly.
    pub exceeded: Option<NonZeroU32>,
}
