//! The brake on guessing one-time codes of many accounts at once, a few tries each.
//!
//! It slows down how often codes are mailed, for every address alike, and only that: verification and resets go on, and so do the codes themselves. What
//! was tried at addresses without an account is counted apart and slows nothing down: made-up addresses do not pull the brake.

use std::num::NonZeroU32;
use std::sync::PoisonError;

use super::{Error, Service};
use crate::domain::{Client, FailedCode, FailureKind, MailPace, Timestamp, site_of};
use crate::store::{Reader, StoreError, Tx};

/// When codes are mailed more slowly. It is shared with transactions.
#[derive(Clone, Copy)]
pub(super) struct SprayBrake {
    /// After more wrong codes than this in an hour; `None` if never.
    pub(super) threshold: Option<NonZeroU32>,
}

impl SprayBrake {
    /// How fast codes are mailed now.
    pub(super) fn pace(self, reader: &Reader<'_>, now: Timestamp) -> Result<MailPace, StoreError> {
        let Some(threshold) = self.threshold else {
            return Ok(MailPace::Usual);
        };
        let is_spraying = reader.has_more_failed_codes(threshold, now)?;
        Ok(if is_spraying {
            MailPace::Braked
        } else {
            MailPace::Usual
        })
    }

    /// Counts a code that was compared and wrong.
    pub(super) fn count(
        self,
        tx: &Tx<'_>,
        kind: FailureKind,
        client: &Client,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let Some(threshold) = self.threshold else {
            return Ok(());
        };
        let failed = FailedCode {
            kind,
            network: client.address.map(site_of),
            at: now,
        };
        tx.count_failed_code(&failed, threshold.get() + 1)
    }
}

/// Wrong codes of the last hour, as far as they are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailedCodes {
    /// At accounts.
    pub of_accounts: u32,
    /// At addresses that no account has.
    pub of_nobody: u32,
    /// The threshold that those at accounts exceed, so that codes are mailed more slowly; `None` if they do not.
    pub exceeded: Option<NonZeroU32>,
}

impl FailedCodes {
    pub(super) fn of(reader: &Reader<'_>, brake: SprayBrake, now: Timestamp) -> Result<Self, StoreError> {
        let is_braked = brake.pace(reader, now)? == MailPace::Braked;
        Ok(Self {
            of_accounts: reader.count_failed_codes(FailureKind::OfAccount, now)?,
            of_nobody: reader.count_failed_codes(FailureKind::OfNobody, now)?,
            exceeded: brake.threshold.filter(|_| is_braked),
        })
    }
}

impl Service {
    /// Warns, once in an hour, while codes are mailed more slowly.
    pub(super) async fn warn_of_spraying(&self) -> Result<(), Error> {
        let (brake, now) = (self.brake, self.system.now());
        let pace = self
            .store
            .read(move |reader| brake.pace(reader, now).map_err(Error::from));
        let (MailPace::Braked, Some(threshold)) = (pace.await?, brake.threshold) else {
            return Ok(());
        };
        let (an_hour_ago, _) = FailedCode::hour_around(now);
        let mut warned_at = self
            .spraying_warned_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if warned_at.is_none_or(|at| at <= an_hour_ago) {
            *warned_at = Some(now);
            let per_hour = MailPace::Braked.per_hour();
            tracing::warn!(
                "one-time codes of many accounts are being guessed: more than {threshold} were wrong within an hour. Until it is quiet, {per_hour} in an hour are \
                 mailed for each mailbox; see who it is with `arkloop audit --event sign_in.code`"
            );
        }
        Ok(())
    }
}
