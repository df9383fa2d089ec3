//! One-time codes, and how often one may be asked for and guessed at.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::typed::{Dashes, secret_of};
use super::{FailureKind, FieldError, Timestamp};

/// How long a code can be used.
pub const CODE_TTL: Duration = Duration::from_mins(10);
/// How often one code is compared (NIST SP 800-63B-4 §3.1.3.1 asks for a limit; five of a million leave a guess one chance in 200 000).
pub const MAX_CODE_ATTEMPTS: u32 = 5;
/// After so many failed comparisons in a row over all codes of an address, none is compared for [`CODE_LOCK`].
pub const MAX_CODE_FAILURES: u32 = 100;
/// How long an address stays locked.
pub const CODE_LOCK: Duration = Duration::from_hours(24);
/// The most codes, and the most mail budgets, that are kept for addresses without an account, so that strangers cannot fill the disk. The newest stay: to
/// push one out costs as many requests, and what is pushed out protects nobody.
pub const MAX_NOBODY_ROWS: u32 = 100_000;

/// How many digits codes have: 6 to 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeLength(u8);

impl CodeLength {
    /// The fewest digits.
    pub const MIN: u8 = 6;
    /// The most digits.
    pub const MAX: u8 = 8;

    /// Takes the nearest length that is allowed.
    pub fn clamped(digits: u8) -> Self {
        Self(digits.clamp(Self::MIN, Self::MAX))
    }

    /// How many different codes there are.
    const fn codes(self) -> u64 {
        10_u64.pow(self.0 as u32)
    }
}

/// A code of decimal digits; it may begin with 0. `Debug` does not print it.
#[derive(Clone)]
pub struct OneTimeCode(SecretString);

impl OneTimeCode {
    /// The code that uniform random bits pick. (64 bits over at most 10⁸ codes: no code is more than 10⁻¹¹ likelier than another.)
    pub fn from_random(bits: [u8; 8], length: CodeLength) -> Self {
        let number = u64::from_be_bytes(bits) % length.codes();
        Self(format!("{number:0width$}", width = usize::from(length.0)).into())
    }

    /// Reads a code as a person typed or pasted it (see `secret_of`).
    ///
    /// Of that, 1 to 64 characters are read, also those that can be no code: they are merely wrong.
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

impl fmt::Debug for OneTimeCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OneTimeCode(…)")
    }
}

/// Wrong codes in a row, over all codes of an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CodeFailures {
    pub in_a_row: u32,
    /// The end of the last lock, also when it is over.
    pub locked_until: Option<Timestamp>,
}

impl CodeFailures {
    /// Until when no code of the address is compared; `None` if codes are compared. A later end than a lock can have comes from a clock that was set wrong
    /// when the lock began, and locks nothing.
    pub fn lock(self, now: Timestamp) -> Option<Timestamp> {
        self.locked_until
            .filter(|until| now < *until && *until <= now + CODE_LOCK)
    }

    /// The failures after one more: the last of [`MAX_CODE_FAILURES`] locks the address, and the count begins anew.
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

/// The keyed digest of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressDigest(pub [u8; 32]);

/// The beginning of the keyed digest of an address's domain: long enough that two domains hardly ever share one, and no harm is done if they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DomainDigest(pub i64);

/// The MAC of a code: the only form in which it is stored.
#[derive(Clone, Copy, Debug)]
pub struct CodeMac(pub [u8; 32]);

/// A code that was compared and wrong.
#[derive(Clone, Copy, Debug)]
pub struct FailedCode {
    /// Whether an account has the address.
    pub kind: FailureKind,
    /// From where, as [`site_of`](super::site_of) says; `None` if it is unknown.
    pub network: Option<IpAddr>,
    /// When.
    pub at: Timestamp,
}

impl FailedCode {
    /// The most that one network adds to the count of an hour: more than an office mistypes, few enough that guessing on takes many networks.
    pub const MOST_OF_NETWORK: u32 = 20;

    /// After and until when a failure is counted as one of the last hour. A clock that was set back may have left some in the future: those of the next
    /// hour count too, and no others, which would count until the clock has caught up.
    pub fn hour_around(now: Timestamp) -> (Timestamp, Timestamp) {
        const HOUR: Duration = Duration::from_hours(1);
        (now - HOUR, now + HOUR)
    }
}

/// How fast mail of one purpose is sent to one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailPace {
    /// As ever.
    Usual,
    /// While somebody guesses codes of many accounts.
    Braked,
}

impl MailPace {
    /// The most mails of an hour.
    pub const fn per_hour(self) -> usize {
        match self {
            Self::Usual => 5,
            Self::Braked => 2,
        }
    }
}

/// What is asked to be mailed; each has a budget of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum MailPurpose {
    /// A one-time code.
    SignIn,
    /// A link to verify the address.
    Verify,
    /// A link to set a password.
    Reset,
    /// Word of a change that its maker did not ask to be mailed.
    Notice,
}

/// When mail of one purpose was asked for last for one mailbox, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailBudget(Vec<Timestamp>);

impl MailBudget {
    /// How long to wait between two mails.
    pub const PAUSE: Duration = Duration::from_mins(1);
    /// The most mails of a day.
    pub const PER_DAY: usize = 10;

    /// The budget after mails at these times, newest first.
    pub fn new(mut newest_first: Vec<Timestamp>) -> Self {
        newest_first.truncate(Self::PER_DAY);
        Self(newest_first)
    }

    /// The times, newest first.
    pub fn newest_first(&self) -> &[Timestamp] {
        &self.0
    }

    /// The budget after one more mail at `now`.
    ///
    /// # Errors
    /// The time until one more is allowed: at most 5 in an hour (2 while [`MailPace::Braked`]) and 10 in a day, and 60 s after the last but for notices.
    pub fn spend(&self, purpose: MailPurpose, pace: MailPace, now: Timestamp) -> Result<Self, Duration> {
        let rules = [
            (pace.per_hour(), Duration::from_hours(1)),
            (Self::PER_DAY, Duration::from_hours(24)),
            (1, Self::PAUSE),
        ];
        // Two changes may follow one another, and the second may be a thief's.
        let rules = match purpose {
            MailPurpose::Notice => &rules[..2],
            _ => &rules[..],
        };
        let wait = rules
            .iter()
            .filter_map(|(most, window)| {
                // A clock that was set back leaves times in the future; they would count until it has caught up.
                let mut recent = self.0.iter().filter(|at| at.since(now) <= *window);
                recent
                    .nth(*most - 1)
                    .map(|earlier| window.saturating_sub(now.since(*earlier)))
            })
            .max()
            .unwrap_or_default();
        if wait > Duration::ZERO {
            Err(wait)
        } else {
            Ok(Self::new(
                std::iter::once(now).chain(self.0.iter().copied()).collect(),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_000_000_000);

    fn at(seconds: u64) -> Timestamp {
        START + Duration::from_secs(seconds)
    }

    #[test]
    fn a_code_has_its_digits_and_may_begin_with_zero() {
        let code =
            |bits: u64, digits| OneTimeCode::from_random(bits.to_be_bytes(), CodeLength::clamped(digits));
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

    #[test]
    fn a_minute_lies_between_two_mails() {
        let budget = MailBudget::default().spend(MailPurpose::Reset, MailPace::Usual, at(0));
        let budget = budget.expect("it is the first");
        assert_eq!(
            budget.spend(MailPurpose::Reset, MailPace::Usual, at(59)).err(),
            Some(Duration::from_secs(1))
        );
        assert!(budget.spend(MailPurpose::Reset, MailPace::Usual, at(60)).is_ok());
    }

    #[test]
    fn five_in_an_hour_and_ten_in_a_day_are_allowed() {
        let mut budget = MailBudget::default();
        let mut sent = Vec::new();
        for minute in 0..48 * 60 {
            if let Ok(spent) = budget.spend(MailPurpose::Reset, MailPace::Usual, at(minute * 60)) {
                budget = spent;
                sent.push(minute);
            }
        }
        let hour: Vec<u64> = (0..5).collect();
        assert_eq!(sent[..5], hour);
        assert_eq!(sent[5..10], [60, 61, 62, 63, 64]);
        assert_eq!(sent[10], 24 * 60);
    }

    #[test]
    fn while_braked_two_in_an_hour_are_allowed_also_of_those_from_before() {
        let mut budget = MailBudget::default();
        for second in [0, 60, 120] {
            budget = budget
                .spend(MailPurpose::SignIn, MailPace::Usual, at(second))
                .expect("five an hour are allowed");
        }
        let wait = budget.spend(MailPurpose::SignIn, MailPace::Braked, at(180)).err();
        assert_eq!(wait, Some(Duration::from_mins(58)));
        assert!(
            budget
                .spend(MailPurpose::SignIn, MailPace::Braked, at(3600 + 60))
                .is_ok()
        );
    }
}
