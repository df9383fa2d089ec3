//! Invites: their codes and their states.

use super::field::FieldError;
use super::newtype::{redacted, stored_text};
use super::typed::{Dashes, secret_of};
use super::{InviteId, Timestamp, is_unprintable};

/// Crockford's base32: no I, L, O or U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The secret of an invite: 16 characters of Crockford's base32, 80 random bits.
///
/// `Debug` does not print it; [`InviteCode::reveal`] does.
#[derive(Clone, PartialEq, Eq)]
pub struct InviteCode([u8; Self::CHARS]);

impl InviteCode {
    /// The length without dashes.
    pub const CHARS: usize = 16;
    pub const RANDOM_BYTES: usize = 10;

    /// Makes a code from 80 random bits.
    pub fn from_random(bytes: [u8; Self::RANDOM_BYTES]) -> Self {
        let bits = bytes
            .iter()
            .fold(0_u128, |bits, byte| (bits << 8) | u128::from(*byte));
        Self(std::array::from_fn(|i| {
            ALPHABET[(bits >> (75 - 5 * i)) as usize & 31]
        }))
    }

    /// Reads a code as a person typed or pasted it (see `secret_of`): case does not matter, O is 0, I and L are 1.
    ///
    /// # Errors
    /// [`FieldError::Missing`] if the text is empty or only dashes and spaces, otherwise [`FieldError::Invalid`].
    pub fn parse(text: &str) -> Result<Self, FieldError> {
        let secret = secret_of(text, Dashes::Separate);
        if secret.is_empty() {
            return Err(FieldError::Missing);
        }
        let form = "an invite code such as ABCD-EFGH-JKMN-PQRS";
        Self::from_secret(&secret).ok_or(FieldError::Invalid { form })
    }

    fn from_secret(secret: &str) -> Option<Self> {
        let mut symbols = [0; Self::CHARS];
        let mut length = 0;
        for c in secret.chars() {
            let symbol = match c.to_ascii_uppercase() {
                'O' => b'0',
                'I' | 'L' => b'1',
                other => u8::try_from(other).ok().filter(|byte| ALPHABET.contains(byte))?,
            };
            *symbols.get_mut(length)? = symbol;
            length += 1;
        }
        (length == Self::CHARS).then_some(Self(symbols))
    }

    /// The 16 characters without dashes, from which the digest is computed.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The code as `ABCD-EFGH-JKMN-PQRS`.
    pub fn reveal(&self) -> String {
        let groups: Vec<&str> = self
            .0
            .chunks(4)
            .map(|group| std::str::from_utf8(group).unwrap_or_default())
            .collect();
        groups.join("-")
    }
}

redacted!(InviteCode);

/// The keyed digest by which a code is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InviteDigest(pub [u8; 32]);

/// How many accounts an invite admits: 1 to 100 000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InviteUses(u32);

impl InviteUses {
    /// To admit more accounts than this, an operator opens registration instead.
    pub const MAX: u32 = 100_000;

    pub fn new(uses: u32) -> Option<Self> {
        (1..=Self::MAX).contains(&uses).then_some(Self(uses))
    }

    pub const fn get(self) -> u32 {
        self.0
    }
}

/// The operator's note about an invite: one line of at most 200 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note(String);

impl Note {
    pub const MAX_CHARS: usize = 200;

    /// Reads a note; `None` if it is blank.
    pub fn parse(text: &str) -> Result<Option<Self>, FieldError> {
        let text = text.trim();
        if text.contains(is_unprintable) {
            return Err(FieldError::InvalidCharacters {
                allowed: "one line of printable characters",
            });
        }
        if text.chars().count() > Self::MAX_CHARS {
            return Err(FieldError::TooLong { max: Self::MAX_CHARS });
        }
        Ok((!text.is_empty()).then(|| Self(text.to_owned())))
    }
}

stored_text!(Note);

/// Whether an invite admits accounts, and if not, why. The command line prints these names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum InviteStatus {
    Active,
    UsedUp,
    Expired,
    Revoked,
}

/// An invite without its code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invite {
    pub id: InviteId,
    /// How many accounts it has admitted.
    pub uses: u32,
    pub max_uses: InviteUses,
    pub note: Option<Note>,
    pub created_at: Timestamp,
    /// `None` if it does not expire.
    pub expires_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
}

impl Invite {
    pub fn status(&self, now: Timestamp) -> InviteStatus {
        if self.revoked_at.is_some() {
            InviteStatus::Revoked
        } else if self.uses >= self.max_uses.get() {
            InviteStatus::UsedUp
        } else if self.expires_at.is_some_and(|end| end <= now) {
            InviteStatus::Expired
        } else {
            InviteStatus::Active
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_however_it_is_typed() {
        let code = InviteCode::from_random([0, 0x44, 0x32, 0x14, 0xc7, 0x42, 0x54, 0xb6, 0x35, 0xcf]);
        assert_eq!(code.reveal(), "0123-4567-89AB-CDEF");
        for spelling in [
            "0123-4567-89ab-cdef",
            " o1234567 89ABCDEF ",
            "\u{ff10}\u{ff11}23\u{2013}4567\u{2212}89AB\u{200b}-CDEF.",
            "OL23-4567-89AB-CDEF",
            "0i23456789abcdef",
        ] {
            assert!(InviteCode::parse(spelling) == Ok(code.clone()), "{spelling}");
        }
    }

    #[test]
    fn a_malformed_code_is_refused() {
        for text in [
            "",
            "0123-4567-89AB-CDE",
            "0123-4567-89AB-CDEF0",
            "0123-4567-89AB-CDEU",
            "0123-4567.-89AB-CDEF",
        ] {
            assert!(InviteCode::parse(text).is_err(), "{text}");
        }
    }
}
