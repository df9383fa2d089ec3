//! Links that are mailed, or shown to the operator once: their templates and their tokens.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::FieldError;
use super::newtype::redacted;
use super::typed::{Dashes, secret_of};

/// The templates of links in the configuration. Each may begin with `{app_url}` or `{public_url}`. The names of the fields are those of the keys, and those
/// in the server's record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkTemplates {
    /// The link to verify an address; has `{token}`.
    pub verify: String,
    /// The link to set a password; has `{token}`.
    pub reset: String,
    /// The link to register with an invite; has `{code}`.
    pub invite: String,
    /// The link to confirm a new address; has `{token}`. Versions before 0.2 did not record it.
    #[serde(default = "LinkTemplates::default_change")]
    pub change: String,
    /// The link to undo a change of the address; has `{token}`. Versions before 0.2 did not record it.
    #[serde(default = "LinkTemplates::default_undo")]
    pub undo: String,
}

impl LinkTemplates {
    /// Each template with its configuration key.
    pub fn by_key(&self) -> [(&'static str, &str); 5] {
        [
            ("links.verify", &self.verify),
            ("links.reset", &self.reset),
            ("links.invite", &self.invite),
            ("links.change", &self.change),
            ("links.undo", &self.undo),
        ]
    }

    /// The built-in page, which asks for the password or uses the session of its own browser.
    pub fn default_change() -> String {
        "{public_url}/account#change={token}".to_owned()
    }

    /// The built-in page.
    pub fn default_undo() -> String {
        "{public_url}/account#undo={token}".to_owned()
    }
}

/// What a link is for. The names are those in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr, strum::EnumString)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum LinkPurpose {
    /// To prove an address.
    VerifyEmail,
    /// To set a password. The link is mailed, so using it also proves the address.
    ResetPassword,
    /// To set a password. The operator hands the link over, so using it does not prove the address.
    SetPassword,
    /// To give an account a new address, which is proved by it. Such links have a table of their own.
    ChangeEmail,
    /// To give an account its former address back. Such links have a table of their own.
    UndoChange,
}

impl LinkPurpose {
    /// How long a link works.
    pub const fn ttl(self) -> Duration {
        match self {
            Self::VerifyEmail => Duration::from_hours(24),
            Self::ChangeEmail | Self::ResetPassword => Duration::from_hours(1),
            Self::SetPassword => Duration::from_hours(7 * 24),
            Self::UndoChange => Duration::from_hours(72),
        }
    }
}

/// The secret of a link: 32 random bytes, base64url. `Debug` does not print it.
#[derive(Clone)]
pub struct LinkToken([u8; Self::BYTES]);

impl LinkToken {
    pub const BYTES: usize = 32;
    pub const CHARS: usize = 43;

    pub const fn from_random(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// Reads a token as it was pasted (see `secret_of`). `None` if the text cannot be a token; callers treat this as a wrong token.
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

    /// The token as it is written in a link.
    pub fn reveal(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }
}

redacted!(LinkToken);

/// SHA-256 of a token: the only form in which it is stored.
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
