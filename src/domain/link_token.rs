//! Links that are mailed, or shown to the operator once.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::FieldError;
use super::typed::{Dashes, secret_of};

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr, strum::EnumString)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum LinkPurpose {
    /// To prove that one receives mail at an address.
    VerifyEmail,
    /// To set a password; mailed, so using it proves the address.
    ResetPassword,
    /// To set a first password; handed over by the operator, so it proves no address.
    SetPassword,
}

impl LinkPurpose {
    /// How long a link can be used.
    pub const fn ttl(self) -> Duration {
        match self {
            Self::VerifyEmail => Duration::from_hours(24),
            Self::ResetPassword => Duration::from_hours(1),
            Self::SetPassword => Duration::from_hours(7 * 24),
        }
    }
}

/// The secret of a link: 32 random bytes, base64url. `Debug` does not print it.
#[derive(Clone)]
pub struct LinkToken([u8; Self::BYTES]);

impl LinkToken {
    /// How many random bytes there are.
    pub const BYTES: usize = 32;
    /// How many characters a token has.
    pub const CHARS: usize = 43;

    /// The token of random bytes.
    pub const fn from_random(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// Reads a token as it was pasted (see `secret_of`). `None` is what can be no token, and so is merely wrong.
    ///
    /// # Errors
    /// [`FieldError::Missing`] if it is blank.
    pub fn parse(text: &str) -> Result<Option<Self>, FieldError> {
        let token = secret_of(text, Dashes::Count);
        if token.is_empty() {
            return Err(FieldError::Missing);
        }
        Ok(URL_SAFE_NO_PAD
            .decode(token)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self))
    }

    /// The bytes to digest.
    pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// The token as it stands in a link.
    pub fn reveal(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }
}

impl fmt::Debug for LinkToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkToken(…)")
    }
}

/// SHA-256 of a link's secret: the only form in which it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkDigest(pub [u8; 32]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_back() {
        let token = LinkToken::from_random([7; 32]);
        assert_eq!(token.reveal().len(), LinkToken::CHARS);
        let read = LinkToken::parse(&token.reveal())
            .ok()
            .flatten()
            .expect("it is a token");
        assert_eq!(read.as_bytes(), token.as_bytes());
        assert!(LinkToken::parse("no token").is_ok_and(|token| token.is_none()));
        assert_eq!(LinkToken::parse(" ").err(), Some(FieldError::Missing));
    }
}
