//! Rate limits: to whom they apply, which requests they count together, and how many they allow.

#![expect(
    clippy::too_many_arguments,
    reason = "the table that strum derives has a constructor with one argument per class"
)]

use std::num::NonZeroU32;
use std::time::Duration;

use super::AuditReason;
use super::duration::{format_duration, parse_duration};

/// Whose limit was reached. The names are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Limit {
    /// The limit of a client's address, over all accounts.
    Address,
    /// The limit of an account, over all clients.
    Account,
    /// The limit of the session that the access token or the refresh cookie names.
    Session,
}

impl From<Limit> for AuditReason {
    fn from(limit: Limit) -> Self {
        match limit {
            Limit::Address => Self::AddressLimit,
            Limit::Account => Self::AccountLimit,
            Limit::Session => Self::SessionLimit,
        }
    }
}

/// The size of a bucket in requests, and the time in which an empty one fills up evenly. In [`super::FailureLimits`] the two are a number of failures and
/// the longest pause after them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, derive_more::Display)]
#[display("{requests}/{}", format_duration(*per))]
pub struct Rate {
    requests: NonZeroU32,
    per: Duration,
}

impl Rate {
    /// The maximum size of a bucket: more than a server of this kind answers in any window.
    pub const MOST_REQUESTS: u32 = 1_000_000;
    /// The shortest window: clients learn in whole seconds how long to wait.
    pub const SHORTEST: Duration = Duration::from_secs(1);
    /// The longest window. A refusal can last that long, but a restart ends it, because buckets are kept in memory. Limits that must outlast a restart
    /// belong in the database.
    pub const LONGEST: Duration = Duration::from_hours(24);

    /// `requests` per `per`; `None` if one is outside of the bounds above, or if `per` is not in whole seconds.
    pub fn new(requests: u32, per: Duration) -> Option<Self> {
        let requests = NonZeroU32::new(requests).filter(|requests| requests.get() <= Self::MOST_REQUESTS)?;
        let is_window = (Self::SHORTEST..=Self::LONGEST).contains(&per) && per.subsec_nanos() == 0;
        is_window.then_some(Self { requests, per })
    }

    /// Reads a rate such as `30/1m`.
    pub fn parse(text: &str) -> Option<Self> {
        let (requests, per) = text.split_once('/')?;
        // `u32::from_str` accepts a sign.
        if !requests.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        Self::new(requests.parse().ok()?, parse_duration(per)?)
    }

    pub(super) const fn per_minutes(requests: u32, minutes: u64) -> Self {
        match NonZeroU32::new(requests) {
            Some(requests) => Self {
                requests,
                per: Duration::from_mins(minutes),
            },
            None => panic!("a rate allows something"),
        }
    }

    /// The size of a full bucket.
    pub const fn requests(self) -> NonZeroU32 {
        self.requests
    }

    /// The time in which an empty bucket fills up, in whole seconds.
    pub const fn per(self) -> Duration {
        self.per
    }

    /// The part of each of so many servers, rounded up to whole requests.
    #[must_use]
    pub const fn shared_by(self, servers: NonZeroU32) -> Self {
        Self {
            requests: match NonZeroU32::new(self.requests.get().div_ceil(servers.get())) {
                Some(requests) => requests,
                None => NonZeroU32::MIN,
            },
            per: self.per,
        }
    }

    /// The time in which a bucket gains one request.
    pub fn interval(self) -> Duration {
        self.per / self.requests.get()
    }
}

/// Requests that are counted together: each class has its own buckets. Its name is its key in `[rate_limit]`, and clients see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray, strum::EnumTable)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum LimitClass {
    /// Signing in with a password.
    Login,
    /// Registering.
    Register,
    /// Asking whether an account exists.
    Check,
    /// Asking for a one-time code, which sends a mail.
    #[strum(serialize = "otp_send")]
    SendCode,
    /// Asking for a verification link, which sends a mail.
    #[strum(serialize = "verify_send")]
    SendVerification,
    /// Asking for a link to set a password, which sends a mail.
    #[strum(serialize = "reset_send")]
    SendReset,
    /// Signing in with a one-time code.
    #[strum(serialize = "otp_verify")]
    VerifyCode,
    /// Using a verification link.
    #[strum(serialize = "verify_confirm")]
    ConfirmVerification,
    /// Setting a password through a link.
    #[strum(serialize = "reset_confirm")]
    ConfirmReset,
    /// Refreshing: counted by session, or by address if no cookie is authentic.
    Refresh,
    /// Changing the username: counted by account. The answer says whether the new name is taken, so refused changes count too.
    Rename,
    /// Changing the address, deleting and exporting the account: counted by account, after the caller has proved to be its owner.
    OwnAccount,
    /// Everything else.
    Other,
}

impl LimitClass {
    /// The limits suit a school behind one address: 60 sign-ins a minute, and 30 pupils who register at once.
    pub const fn default_rate(self) -> Rate {
        match self {
            Self::Login => Rate::per_minutes(60, 1),
            Self::Check | Self::VerifyCode | Self::ConfirmVerification | Self::ConfirmReset => {
                Rate::per_minutes(20, 1)
            }
            Self::Register | Self::SendCode | Self::SendVerification | Self::SendReset => {
                Rate::per_minutes(30, 10)
            }
            Self::Refresh => Rate::per_minutes(300, 1),
            Self::Rename => Rate::per_minutes(5, 60),
            Self::OwnAccount => Rate::per_minutes(10, 60),
            Self::Other => Rate::per_minutes(600, 1),
        }
    }
}

/// The rate of each class.
pub type Rates = LimitClassTable<Rate>;

#[cfg(test)]
mod tests {
    use strum::VariantArray;

    use super::*;

    #[test]
    fn a_rate_allows_something_in_whole_seconds() {
        let minute = Duration::from_mins(1);
        assert!(Rate::new(0, minute).is_none());
        assert!(Rate::new(Rate::MOST_REQUESTS + 1, minute).is_none());
        assert!(Rate::new(1, Duration::ZERO).is_none());
        assert!(Rate::new(1, Duration::from_millis(1500)).is_none());
        assert!(Rate::new(1, Duration::from_secs(86_401)).is_none());
        let shared = |requests, servers| {
            let servers = NonZeroU32::new(servers).expect("there are servers");
            let rate = Rate::new(requests, minute).expect("it is a rate");
            rate.shared_by(servers).requests().get()
        };
        assert_eq!(
            [shared(60, 1), shared(60, 2), shared(5, 2), shared(1, 3)],
            [60, 30, 3, 1]
        );
        let most = Rate::new(Rate::MOST_REQUESTS, Rate::SHORTEST).expect("it is a rate");
        assert_eq!(most.interval(), Duration::from_micros(1));
    }

    #[test]
    fn each_class_keeps_its_own_rate() {
        let mut rates = Rates::from_closure(LimitClass::default_rate);
        let rate = Rate::new(7, Duration::from_secs(7)).expect("it is a rate");
        rates[LimitClass::Refresh] = rate;
        for class in LimitClass::VARIANTS {
            let is_set = rates[*class] == rate;
            assert_eq!(is_set, *class == LimitClass::Refresh, "{class:?}");
        }
        assert_eq!(rates[LimitClass::Other].requests().get(), 600);
    }
}
