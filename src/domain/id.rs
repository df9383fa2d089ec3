//! Ids: UUIDs of version 7 (RFC 9562 §5.7), one type for each noun so that they cannot be confused.
//!
//! Only the hyphenated form of 36 characters is an id. The forms without hyphens, in braces or with `urn:uuid:` are refused: 32 hexadecimal digits are a
//! valid username.

use std::str::FromStr;

use serde::{Serialize, Serializer};
use uuid::Uuid;

use super::Timestamp;

/// The length of the hyphenated form. A username is shorter, so no id is a valid username.
pub(super) const ID_CHARS: usize = 36;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, derive_more::Display, derive_more::From)]
        #[derive(PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps the 16 bytes of a UUID.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// The 16 bytes of the UUID.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl FromStr for $name {
            type Err = ();

            fn from_str(text: &str) -> Result<Self, ()> {
                let hyphenated = Some(text).filter(|text| text.len() == ID_CHARS);
                let id = hyphenated.and_then(|text| Uuid::try_parse(text).ok());
                id.map(Self).ok_or(())
            }
        }
    };
}

id! {
    /// Identifies an account, also after its names change.
    UserId
}
id! {
    /// Identifies a session; it is in every access token as `sid` and inside every refresh token.
    SessionId
}
id! {
    /// Identifies a mail that waits to be sent.
    MailId
}
id! {
    /// Identifies an invite without revealing its code.
    InviteId
}

impl InviteId {
    /// An id greater than every id in use.
    pub const LAST: Self = Self(Uuid::max());
}

impl SessionId {
    /// The smallest id of a session that began at `time`: the first 48 bits of a version 7 UUID are its time in milliseconds (RFC 9562 §5.7).
    pub fn first_at(time: Timestamp) -> Self {
        let millis = u64::try_from(time.as_millis()).unwrap_or_default();
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
        Self::from_bytes(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Username;

    #[test]
    fn only_the_hyphenated_form_is_an_id() {
        let hyphenated = "01980000-0000-7000-8000-00000000abcd";
        let id: UserId = hyphenated.parse().expect("it is an id");
        assert_eq!(hyphenated.to_uppercase().parse(), Ok(id));
        let bare = hyphenated.replace('-', "");
        let username = Username::parse(&bare).expect("it is a username");
        assert_eq!(UserId::from_username_before_0_2(&username), Some(id));
        for text in [
            bare.clone(),
            format!("{{{hyphenated}}}"),
            format!("urn:uuid:{hyphenated}"),
            format!("{bare}----"),
            format!(" {hyphenated}"),
            hyphenated.replace('-', "_"),
            "é".repeat(18),
        ] {
            assert_eq!(text.parse::<UserId>(), Err(()), "{text}");
        }
    }
}
