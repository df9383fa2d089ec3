//! Conversions between types of the domain and columns. They are here because `domain` does not depend on a database.

use std::net::IpAddr;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, Null, ToSql, ToSqlOutput, ValueRef};

use crate::domain::{
    AddressDigest, AuditEvent, AuditReason, CodeMac, DomainDigest, Email, FailureDigest, FailureKind,
    Generation, InviteDigest, InviteId, InviteUses, LinkDigest, LinkPurpose, Locale, MailBudget, MailId,
    NameDigest, Note, PasswordHash, Sealed, SessionEnd, SessionId, SessionNonce, SignInMethod,
    SignatureAlgorithm, Timestamp, Timezone, TraceId, UserId, UserStatus, Username,
};

/// Each line: `type: column type, |value| expression that writes it, function that reads it;`
macro_rules! columns {
    ($($type:ty: $column:ty, |$value:ident| $write:expr, $read:expr;)*) => {$(
        impl ToSql for $type {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                let $value = self;
                Ok(ToSqlOutput::from($write))
            }
        }

        impl FromSql for $type {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                <$column>::column_result(value).map($read)
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
    MailBudget: Vec<u8>, |budget| encode_times(budget.newest_first()), |bytes| Self::new(decode_times(&bytes));
}

/// Enums, which are stored as their names.
macro_rules! names {
    ($($type:ty;)*) => {$(
        impl ToSql for $type {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(ToSqlOutput::from(self.into_str()))
            }
        }

        impl FromSql for $type {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                value.as_str()?.parse().map_err(FromSqlError::other)
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

impl ToSql for InviteUses {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.get()))
    }
}

impl FromSql for InviteUses {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let uses = u32::column_result(value)?;
        Self::new(uses).ok_or(FromSqlError::OutOfRange(uses.into()))
    }
}

/// A network address as text; `None` for NULL, and for text that is no address.
pub(super) struct Address(pub(super) Option<IpAddr>);

impl ToSql for Address {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            Some(address) => address.to_string().into(),
            None => Null.into(),
        })
    }
}

impl FromSql for Address {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let text = value.as_str_or_null()?;
        Ok(Self(text.and_then(|text| text.parse().ok())))
    }
}

/// Times in one column: 8 bytes each, big-endian.
fn encode_times(times: &[Timestamp]) -> Vec<u8> {
    times.iter().flat_map(|at| at.as_millis().to_be_bytes()).collect()
}

fn decode_times(bytes: &[u8]) -> Vec<Timestamp> {
    let (times, _) = bytes.as_chunks::<8>();
    let read = |at: &[u8; 8]| Timestamp::from_millis(i64::from_be_bytes(*at));
    times.iter().map(read).collect()
}
