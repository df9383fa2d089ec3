//! Who may create an account.

use std::fmt;
use std::str::FromStr;

/// Who may create an account over HTTP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RegistrationMode {
    /// Anybody.
    Open,
    /// Whoever has a usable invite: the default of a new server.
    #[default]
    InviteOnly,
    /// Nobody, not even with an invite.
    Disabled,
}

impl RegistrationMode {
    /// Every mode, in the order of the documentation.
    pub const ALL: [Self; 3] = [Self::Open, Self::InviteOnly, Self::Disabled];

    /// The name on the wire, in the database, on the command line and in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::InviteOnly => "invite_only",
            Self::Disabled => "disabled",
        }
    }
}

impl fmt::Display for RegistrationMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no registration mode.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("a registration mode is one of open, invite_only, disabled")]
pub struct UnknownMode;

impl FromStr for RegistrationMode {
    type Err = UnknownMode;

    fn from_str(text: &str) -> Result<Self, UnknownMode> {
        Self::ALL
            .into_iter()
            .find(|mode| mode.as_str() == text)
            .ok_or(UnknownMode)
    }
}
