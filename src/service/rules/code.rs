//! Comparing one-time codes.

use super::Unit;
use super::mail_budget::{failures_unless_locked, kind_of};
use crate::crypto::is_same_code;
use crate::domain::{AddressDigest, AuditReason, Email, OneTimeCode, User, UserStatus};
use crate::service::error::{Error, Refused};
use crate::store::{CountedCode, StoreError};

impl Unit<'_> {
    /// Compares a code that was mailed to `email`, uses it up if it is right, and returns the account. The comparison is counted before it is made, by one
    /// conditional UPDATE that also decides whether the code may be compared at all.
    ///
    /// A refusal changes counts, which the caller must not roll back.
    ///
    /// # Errors
    /// [`Error::CodeInvalid`], [`Error::CodeLocked`], [`Error::UserSuspended`] after a right code.
    pub(crate) fn compare_code(&self, email: &Email, code: &OneTimeCode) -> Result<User, Refused> {
        let address = self.rules.keys.address_digest(email);
        let failures = failures_unless_locked(self, address, self.now)?;
        let Some(counted) = self.count_code_attempt(address, self.now)? else {
            return Err(Error::CodeInvalid.because(self.why_not_compared(address)?));
        };
        let mac = self.rules.keys.code_mac(address, counted.created_at, code);
        let is_right = is_same_code(counted.mac, mac);
        // Without an account, a made-up id is looked up, which takes as long.
        let id = counted.user_id.unwrap_or_else(|| self.rules.system.new_id());
        let user = self.find_user(id)?;
        let user = user.filter(|user| user.email.key() == email.key());
        let kind = kind_of(user.as_ref());
        let Some(user) = user.filter(|_| is_right) else {
            self.put_code_failures(address, failures.with_failure(self.now))?;
            self.count_wrong_code(kind)?;
            return Err(Error::CodeInvalid.because(self.why_wrong(address, code, &counted)));
        };
        self.use_code(address, self.now)?;
        if user.status == UserStatus::Suspended {
            return Err(Error::UserSuspended.into());
        }
        Ok(user)
    }

    /// Why a code is wrong. A code that was mailed before the last one is a mistake of the owner and not a guess of a stranger.
    fn why_wrong(&self, address: AddressDigest, code: &OneTimeCode, counted: &CountedCode) -> AuditReason {
        let is_older = counted.older.is_some_and(|(mac, created_at)| {
            is_same_code(mac, self.rules.keys.code_mac(address, created_at, code))
        });
        if is_older {
            AuditReason::OlderCode
        } else {
            AuditReason::WrongCode
        }
    }

    /// Why the code of an address may not be compared.
    fn why_not_compared(&self, address: AddressDigest) -> Result<AuditReason, StoreError> {
        Ok(match self.find_code_times(address)? {
            None => AuditReason::NoCode,
            Some((Some(_used_at), _)) => AuditReason::UsedCode,
            Some((None, expires_at)) if expires_at <= self.now => AuditReason::ExpiredCode,
            Some(_) => AuditReason::AttemptsUsedUp,
        })
    }
}
