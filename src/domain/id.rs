//! Ids: UUIDs of version 7 (RFC 9562 §5.7), one type for each noun so that they cannot be confused.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use super::Timestamp;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
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

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                Uuid::try_parse(text).map(Self)
            }
        }
    };
}

id! {
    /// Identifies an account for ever, whatever its names become.
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
    /// Identifies an invite; its code does not.
    InviteId
}

impl SessionId {
    /// The smallest id that a session begun at `moment` can have: the first 48 bits of a version 7 UUID are its milliseconds (RFC 9562 §5.7).
    pub fn first_at(moment: Timestamp) -> Self {
        let millis = u64::try_from(moment.as_millis()).unwrap_or_default();
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
        Self::from_bytes(bytes)
    }
}
