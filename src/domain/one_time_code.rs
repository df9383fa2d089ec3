//! One-time codes, and how often clients may guess them.

use std::net::IpAddr;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::newtype::redacted;
use super::typed::{Dashes, secret_of};
use super::{FailureKind, FieldError, Timestamp};

/// How long a code can be used: enough for a slow mail server, and the most that NIST SP 800-63B-4 §3.1.3 allows.
pub const CODE_TTL: Duration = Duration::from_mins(10);
/// The most attempts at one code. NIST SP 800-63B-4 §3.1.3.1 asks for a limit; five guesses at one of a million codes succeed with a chance of 1 in 200 000.
pub const MAX_CODE_ATTEMPTS: u32 = 5;
/// After this many failed comparisons in a row, over all codes of an address, the codes of the address are locked for [`CODE_LOCK`].
pub const MAX_CODE_FAILURES: u32 = 100;
/// How long no code of a locked address is compared. An attacker thus has [`MAX_CODE_FAILURES`] guesses a day, each at one of a million codes. A sign-in by
/// password or a reset ends the lock at once.
pub const CODE_LOCK: Duration = Duration::from_hours(24);
/// The most rows of addresses without an account in each of two tables, codes and mail budgets, so that clients cannot fill the disk. The oldest rows go
/// first. An attacker needs this many requests to displace a row, and gains nothing: such a row protects no account.
pub const MAX_ROWS_WITHOUT_ACCOUNT: u32 = 100_000;

/// A code of decimal digits; it may begin with 0. `Debug` does not print it.
#[derive(Clone)]
pub struct OneTimeCode(SecretString);

impl OneTimeCode {
    /// The fewest and the most digits of a code that is mailed.
    pub const MIN_DIGITS: u8 = 6;
    pub const MAX_DIGITS: u8 = 8;

    /// Makes a code of `digits` digits from uniform random bits. (With 64 bits for at most 10⁸ codes, no code is more than 10⁻¹¹ likelier than another.)
    pub fn from_random(bits: [u8; 8], digits: u8) -> Self {
        let number = u64::from_be_bytes(bits) % 10_u64.pow(digits.into());
        Self(format!("{number:0width$}", width = usize::from(digits)).into())
    }

    /// Reads a code as a person typed or pasted it (see `secret_of`).
    ///
    /// Accepts 1 to 64 characters. A text that cannot be a code is accepted too, and fails the comparison.
    pub fn parse(text: &str) -> Result<Self, FieldError> {
        const MOST: usize = 64;
        let code = secret_of(text, Dashes::Separate);
        if code.is_empty() {
            return Err(FieldError::Missing);
        }
        if code.chars().count() > MOST {
            return Err(FieldError::TooLong { max: MOST });
        }
        Ok(Self(code.into()))
    }

    /// The digits, for the mail and for the MAC.
    pub fn reveal(&self) -> &str {
        self.0.expose_secret()
    }
}

redacted!(OneTimeCode);

/// Wrong codes in a row, over all codes of an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CodeFailures {
    pub in_a_row: u32,
    /// When the last lock ends or ended.
    pub locked_until: Option<Timestamp>,
}

impl CodeFailures {
    /// When the lock of the address ends; `None` if its codes are compared. If the end is further away than [`CODE_LOCK`], the clock was wrong when it was
    /// stored, and the lock is ignored.
    pub fn lock_end(self, now: Timestamp) -> Option<Timestamp> {
        self.locked_until
            .filter(|until| now < *until && *until <= now + CODE_LOCK)
    }

    /// The state after one more failure. The last of [`MAX_CODE_FAILURES`] failures locks the address, and the count begins anew.
    #[must_use]
    pub fn with_failure(self, now: Timestamp) -> Self {
        let in_a_row = self.in_a_row + 1;
        if in_a_row < MAX_CODE_FAILURES {
            return Self { in_a_row, ..self };
        }
        Self {
            in_a_row: 0,
            locked_until: Some(now + CODE_LOCK),
        }
    }
}

/// The keyed digest of a mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressDigest(pub [u8; 32]);

/// The first bytes of the keyed digest of an address's domain. A collision of two domains is rare and harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DomainDigest(pub i64);

/// The MAC of a code: the only form in which it is stored.
#[derive(Clone, Copy, Debug)]
pub struct CodeMac(pub [u8; 32]);

/// A comparison with a wrong code.
#[derive(Clone, Copy, Debug)]
pub struct FailedCode {
    pub kind: FailureKind,
    /// The client's [`site_of`](super::site_of); `None` if it is unknown.
    pub network: Option<IpAddr>,
    pub at: Timestamp,
}

impl FailedCode {
    /// The most wrong codes of one network that are counted in an hour: more than an office mistypes, but few enough that an attacker needs many networks
    /// to raise the count.
    pub const MAX_PER_NETWORK: u32 = 20;

    /// The range of times that counts as the last hour. It reaches one hour into the future, because failures may carry a later time if the clock was set back.
    /// Later times are ignored, because they would count until the clock has caught up.
    pub fn hour_around(now: Timestamp) -> (Timestamp, Timestamp) {
        const HOUR: Duration = Duration::from_hours(1);
        (now - HOUR, now + HOUR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_its_digits_and_may_begin_with_zero() {
        let code = |bits: u64, digits| OneTimeCode::from_random(bits.to_be_bytes(), digits);
        assert_eq!(code(42, 6).reveal(), "000042");
        assert_eq!(code(1_234_567_890, 8).reveal(), "34567890");
        assert_eq!(format!("{:?}", code(42, 6)), "OneTimeCode(…)");
    }

    #[test]
    fn spaces_in_a_typed_code_do_not_matter() {
        assert_eq!(
            OneTimeCode::parse(" 123 456 ").map(|code| code.reveal().to_owned()),
            Ok("123456".to_owned())
        );
        assert_eq!(OneTimeCode::parse("  ").err(), Some(FieldError::Missing));
    }
}
