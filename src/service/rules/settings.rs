//! The settings of the rules.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::domain::{FailureLimits, RegistrationMode, SessionRules};

pub struct RuleSettings {
    /// The registration mode that the configuration pins; `None` leaves it to the database.
    pub pinned_mode: Option<RegistrationMode>,
    pub password_min_length: usize,
    pub sessions: SessionRules,
    /// The length of one-time codes in digits; `None` turns codes off.
    pub code_digits: Option<u8>,
    /// If all accounts together have more wrong codes in an hour than this, codes are mailed more slowly; `None` turns this off.
    pub spray_threshold: Option<NonZeroU32>,
    /// How long rows of the audit log are kept.
    pub audit_keep: Duration,
    pub sign_in: SignInRules,
}

/// How wrong passwords delay a sign-in, and which ways to sign in there are without the password.
#[derive(Clone, Copy, Debug)]
pub struct SignInRules {
    /// `None` turns the delays off, and the counting with them.
    pub failure_limits: Option<FailureLimits>,
    /// Whether the account's owner can sign in by a mailed code.
    pub codes: bool,
    /// Whether the account's owner can set a new password through a mailed link.
    pub resets: bool,
}
