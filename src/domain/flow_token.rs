//! Flow tokens: they identify the account that a client resolved, when the client asks for a code and signs in with it.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::newtype::redacted;
use super::typed::trimmed;
use super::{AddressDigest, FieldError, Sealed, Timestamp, UserId};

/// How long a flow token works: as long as the code that it is used for.
pub const FLOW_TTL: Duration = super::CODE_TTL;
/// How far in the future a flow token may have been made. An adjusted clock jumps by less, and a token that was made under a wrong clock does not work for long.
const FLOW_LEEWAY: Duration = Duration::from_mins(1);

/// A sealed [`Flow`], which only the server that made it can read. `Debug` does not print it.
///
/// It identifies an account and is no credential: a sign-in also needs the mailed code.
#[derive(Clone)]
pub struct FlowToken(Sealed);

impl FlowToken {
    pub const fn new(sealed: Sealed) -> Self {
        Self(sealed)
    }

    /// Reads a token. `None` if the text cannot be one; callers treat this as a wrong token.
    ///
    /// # Errors
    /// [`FieldError::Missing`] if it is blank.
    pub fn parse(text: &str) -> Result<Option<Self>, FieldError> {
        let text = trimmed(text);
        if text.is_empty() {
            return Err(FieldError::Missing);
        }
        Ok(URL_SAFE_NO_PAD.decode(text).ok().map(Sealed).map(Self))
    }

    pub const fn sealed(&self) -> &Sealed {
        &self.0
    }

    /// The token as clients get it.
    pub fn reveal(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.0.0)
    }
}

redacted!(FlowToken);

/// What a flow token says: which account an identity named, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    pub user_id: UserId,
    /// The address that the account had. After a change of the address the token does not work.
    pub address: AddressDigest,
    pub made_at: Timestamp,
}

impl Flow {
    const BYTES: usize = 16 + 32 + 8;

    /// Whether its token still works.
    pub fn is_current(&self, now: Timestamp) -> bool {
        now < self.made_at + FLOW_TTL && self.made_at <= now + FLOW_LEEWAY
    }

    /// The bytes to seal.
    pub fn to_bytes(self) -> Vec<u8> {
        let made_at = self.made_at.as_millis().to_be_bytes();
        [self.user_id.as_bytes().as_slice(), &self.address.0, &made_at].concat()
    }

    /// Reads what [`Flow::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::BYTES] = bytes.try_into().ok()?;
        let (user_id, rest) = bytes.split_first_chunk()?;
        let (address, made_at) = rest.split_first_chunk()?;
        Some(Self {
            user_id: UserId::from_bytes(*user_id),
            address: AddressDigest(*address),
            made_at: Timestamp::from_millis(i64::from_be_bytes(made_at.try_into().ok()?)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

    fn made_at(made_at: Timestamp) -> Flow {
        Flow {
            user_id: UserId::from_bytes([7; 16]),
            address: AddressDigest([9; 32]),
            made_at,
        }
    }

    #[test]
    fn a_flow_is_current_for_ten_minutes_and_hardly_before_it_was_made() {
        for (passed, is_current) in [
            (-60_001, false),
            (-60_000, true),
            (0, true),
            (599_999, true),
            (600_000, false),
            (i64::MAX, false),
        ] {
            let now = Timestamp::from_millis(NOW.as_millis().saturating_add(passed));
            assert_eq!(made_at(NOW).is_current(now), is_current, "{passed}");
        }
    }

    #[test]
    fn a_flow_is_read_back_and_nothing_else_is_one() {
        let bytes = made_at(NOW).to_bytes();
        assert_eq!(Flow::from_bytes(&bytes), Some(made_at(NOW)));
        assert_eq!(Flow::from_bytes(&bytes[1..]), None);
        assert_eq!(Flow::from_bytes(&[&bytes[..], &[0]].concat()), None);
    }

    #[test]
    fn a_blank_token_is_missing_and_an_unreadable_one_is_wrong() {
        assert_eq!(FlowToken::parse(" \u{200b}").err(), Some(FieldError::Missing));
        assert!(FlowToken::parse("no token").is_ok_and(|token| token.is_none()));
        let token = FlowToken::new(Sealed(vec![7; 40])).reveal();
        let read = FlowToken::parse(&format!(" {token}\n")).ok().flatten();
        assert_eq!(read.expect("it is a token").reveal(), token);
    }
}
