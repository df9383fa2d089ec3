//! Conversions between types of the domain and columns. They are here because `domain` does not depend on a database.

use std::net::IpAddr;

use super::value::{FromValue, ToValue, Value, ValueError};
use crate::domain::{
    AddressDigest, AuditEvent, AuditReason, CodeMac, DomainDigest, Email, FailureDigest, FailureKind,
    Generation, InviteDigest, InviteId, InviteUses, LinkDigest, LinkPurpose, Locale, MailBudget, MailId,
    NameDigest, Note, PasswordHash, Sealed, SessionEnd, SessionId, SessionNonce, SignInMethod,
    SignatureAlgorithm, Timestamp, Timezone, TraceId, UserId, UserStatus, Username,
};

/// Each line: `type: column type, |value| expression that writes it, function that reads it;`
macro_rules! columns {
    ($($type:ty: $column:ty, |$value:ident| $write:expr, $read:expr;)*) => {$(
        impl ToValue for $type {
            fn to_value(&self) -> Value<'_> {
                let $value = self;
                Value::from($write)
            }
        }

        impl FromValue for $type {
            fn from_value(value: Value<'_>) -> Result<Self, ValueError> {
                <$column>::from_value(value).map($read)
            }
        }
    )*};
}

columns! {
    InviteId: [u8; 16], |id| &id.as_bytes()[..], Self::from_bytes;
    MailId: [u8; 16], |id| &id.as_bytes()[..], Self::from_bytes;
    SessionId: [u8; 16], |id| &id.as_bytes()[..], Self::from_bytes;
    UserId: [u8; 16], |id| &id.as_bytes()[..], Self::from_bytes;

    AddressDigest: [u8; 32], |digest| &digest.0[..], Self;
    CodeMac: [u8; 32], |mac| &mac.0[..], Self;
    FailureDigest: [u8; 16], |digest| &digest.0[..], Self;
    InviteDigest: [u8; 32], |digest| &digest.0[..], Self;
    LinkDigest: [u8; 32], |digest| &digest.0[..], Self;
    NameDigest: [u8; 32], |digest| &digest.0[..], Self;
    Sealed: Vec<u8>, |sealed| &sealed.0[..], Self;
    SessionNonce: [u8; 16], |nonce| &nonce.0[..], Self;
    TraceId: [u8; 16], |id| &id.0[..], Self;

    DomainDigest: i64, |digest| digest.0, Self;
    Generation: u32, |generation| generation.0, Self;
    Timestamp: i64, |at| at.as_millis(), Self::from_millis;

    Email: String, |email| email.as_str(), Self::from_stored;
    Locale: String, |locale| locale.as_str(), Self::from_stored;
    Note: String, |note| note.as_str(), Self::from_stored;
    PasswordHash: String, |hash| hash.as_str(), Self::new;
    Timezone: String, |timezone| timezone.as_str(), Self::from_stored;
    Username: String, |username| username.as_str(), Self::from_stored;

    FailureKind: bool, |kind| *kind == Self::OfAccount, |is_account| if is_account { Self::OfAccount } else { Self::OfUnknownName };
}

/// Enums, which are stored as their names.
macro_rules! names {
    ($($type:ty;)*) => {$(
        impl ToValue for $type {
            fn to_value(&self) -> Value<'_> {
                Value::from(self.into_str())
            }
        }

        impl FromValue for $type {
            fn from_value(value: Value<'_>) -> Result<Self, ValueError> {
                value.text()?.parse().map_err(|_| ValueError::Name)
            }
        }
    )*};
}

names! {
    AuditEvent;
    AuditReason;
    LinkPurpose;
    SessionEnd;
    SignInMethod;
    SignatureAlgorithm;
    UserStatus;
}

impl ToValue for InviteUses {
    fn to_value(&self) -> Value<'_> {
        Value::from(self.get())
    }
}

impl FromValue for InviteUses {
    fn from_value(value: Value<'_>) -> Result<Self, ValueError> {
        Self::new(u32::from_value(value)?).ok_or(ValueError::Range)
    }
}

/// A network address that is read from text; `None` for NULL, and for text that is no address.
pub(super) struct Address(pub(super) Option<IpAddr>);

impl FromValue for Address {
    fn from_value(value: Value<'_>) -> Result<Self, ValueError> {
        Ok(Self(match value {
            Value::Null => None,
            value => value.text()?.parse().ok(),
        }))
    }
}

/// A network address as [`Address`] reads it.
pub(super) fn address_text(address: Option<IpAddr>) -> Option<String> {
    address.map(|address| address.to_string())
}

impl FromValue for MailBudget {
    fn from_value(value: Value<'_>) -> Result<Self, ValueError> {
        value.bytes().map(|bytes| Self::new(decode_times(bytes)))
    }
}

/// Times in one column: 8 bytes each, big-endian.
pub(super) fn encode_times(times: &[Timestamp]) -> Vec<u8> {
    times.iter().flat_map(|at| at.as_millis().to_be_bytes()).collect()
}

fn decode_times(bytes: &[u8]) -> Vec<Timestamp> {
    let (times, _) = bytes.as_chunks::<8>();
    let read = |at: &[u8; 8]| Timestamp::from_millis(i64::from_be_bytes(*at));
    times.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Client, Rotation, Session, User};
    use crate::store::session::{session_columns, session_of};
    use crate::store::sqlite::in_new_database;
    use crate::store::user::{user_columns, user_of};
    use crate::store::value::params;
    use crate::store::{Result, Tx};

    const AT: fn(i64) -> Timestamp = Timestamp::from_millis;

    fn user() -> User {
        User {
            id: UserId::from_bytes([1; 16]),
            username: Username::from_stored("Alice".to_owned()),
            email: Email::from_stored("Alice@example.org".to_owned()),
            email_verified_at: Some(AT(11)),
            has_password: true,
            status: UserStatus::Suspended,
            locale: Locale::from_stored("de".to_owned()),
            timezone: Some(Timezone::from_stored("Europe/Berlin".to_owned())),
            created_at: AT(12),
            last_sign_in_at: Some(AT(13)),
        }
    }

    fn client(last: u8, user_agent: &str) -> Client {
        Client {
            address: Some(IpAddr::from([192, 0, 2, last])),
            user_agent: Some(user_agent.to_owned()),
            trace_id: None,
        }
    }

    fn session() -> Session {
        Session {
            id: SessionId::from_bytes([2; 16]),
            user_id: user().id,
            nonce: SessionNonce([3; 16]),
            rotation: Rotation {
                generation: Generation(21),
                presented: Some(Generation(22)),
                moved_at: AT(23),
                moved_by: client(24, "the browser that moved it"),
                replaced: vec![(Generation(25), AT(26)), (Generation(27), AT(28))],
            },
            method: SignInMethod::OneTimeCode,
            created_at: AT(31),
            last_used_at: AT(32),
            expires_at: AT(33),
            ended: Some((AT(34), SessionEnd::Revoked)),
            client: client(35, "the browser that began it"),
        }
    }

    /// Adds [`user`] and [`session`]. Every value is written under the name of its column, and no two values are equal.
    fn add_rows(tx: &Tx<'_>) -> Result<()> {
        tx.execute(
            "INSERT INTO users (id, username, username_key, email, email_key, email_verified_at, password_hash, status, locale, timezone,
                                created_at, last_sign_in_at)
             VALUES (?1, 'Alice', 'alice', 'Alice@example.org', 'alice@example.org', 11, '$argon2id$v=19$m=8,t=1,p=1$', 'suspended', 'de', 'Europe/Berlin',
                     12, 13)",
            params![user().id],
        )?;
        tx.execute(
            "INSERT INTO sessions (id, user_id, nonce, generation, presented, moved_at, moved_address, moved_agent, rotations, method,
                                   created_at, last_used_at, expires_at, ended_at, ended_because, address, user_agent)
             VALUES (?1, ?2, ?3, 21, 22, 23, '192.0.2.24', 'the browser that moved it',
                     x'00000019000000000000001a0000001b000000000000001c', 'otp', 31, 32, 33, 34, 'revoked', '192.0.2.35',
                     'the browser that began it')",
            params![session().id, user().id, session().nonce],
        )
    }

    #[test]
    fn a_session_and_its_user_are_read_as_they_were_written() {
        // What reads the columns takes each of them, so that the number comes next.
        in_new_database(|tx| {
            add_rows(tx)?;
            let sql = concat!(
                "SELECT ",
                session_columns!(),
                ", ",
                user_columns!(),
                ", 99 FROM sessions JOIN users ON users.id = user_id"
            );
            let read = tx.query_one(sql, params![], |row| {
                Ok((session_of(row)?, user_of(row)?, row.take()?))
            })?;
            assert_eq!(read, (session(), user(), 99_i64));
            Ok(())
        });
    }
}
