//! Conversions between types of the domain and columns. They are here because `domain` does not depend on a database.

use std::net::IpAddr;

use rusqlite::Row;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, Null, ToSql, ToSqlOutput, ValueRef};

use crate::domain::{
    AddressDigest, AuditEvent, AuditReason, CodeMac, DomainDigest, Email, FailureDigest, FailureKind,
    Generation, InviteDigest, InviteId, InviteUses, LinkDigest, LinkPurpose, Locale, MailBudget, MailId,
    NameDigest, Note, PasswordHash, Sealed, SessionEnd, SessionId, SessionNonce, SignInMethod,
    SignatureAlgorithm, Timestamp, Timezone, TraceId, UserId, UserStatus, Username,
};

/// The columns of a row, taken from left to right. SQLite finds a column by its number at once, and by its name only by comparing the names one by one.
pub(super) struct Fields<'row> {
    row: &'row Row<'row>,
    pub(super) taken: usize,
}

impl<'row> Fields<'row> {
    pub(super) fn of(row: &'row Row<'row>) -> Self {
        Self { row, taken: 0 }
    }

    /// The next column.
    pub(super) fn take<T: FromSql>(&mut self) -> rusqlite::Result<T> {
        let value = self.row.get(self.taken)?;
        self.taken += 1;
        Ok(value)
    }
}

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

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use rusqlite::params;

    use super::*;
    use crate::domain::{Client, Rotation, Session, User};
    use crate::store::session::{session_columns, session_of};
    use crate::store::sqlite::in_new_database;
    use crate::store::user::{user_columns, user_of};

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
    fn add_rows(connection: &rusqlite::Connection) -> rusqlite::Result<()> {
        connection.execute(
            "INSERT INTO users (id, username, username_key, email, email_key, email_verified_at, password_hash, status, locale, timezone,
                                created_at, last_sign_in_at)
             VALUES (?1, 'Alice', 'alice', 'Alice@example.org', 'alice@example.org', 11, '$argon2id$v=19$m=8,t=1,p=1$', 'suspended', 'de', 'Europe/Berlin',
                     12, 13)",
            [user().id],
        )?;
        connection.execute(
            "INSERT INTO sessions (id, user_id, nonce, generation, presented, moved_at, moved_address, moved_agent, rotations, method,
                                   created_at, last_used_at, expires_at, ended_at, ended_because, address, user_agent)
             VALUES (?1, ?2, ?3, 21, 22, 23, '192.0.2.24', 'the browser that moved it',
                     x'00000019000000000000001a0000001b000000000000001c', 'otp', 31, 32, 33, 34, 'revoked', '192.0.2.35',
                     'the browser that began it')",
            params![session().id, user().id, session().nonce],
        )?;
        Ok(())
    }

    #[test]
    fn a_session_and_its_user_are_read_as_they_were_written() {
        let widths = Cell::new((0, 0));
        in_new_database(|connection| {
            add_rows(connection)?;
            let sql = concat!(
                "SELECT ",
                session_columns!(),
                ", ",
                user_columns!(),
                " FROM sessions JOIN users ON users.id = user_id"
            );
            let read = connection.query_row(sql, [], |row| {
                let mut fields = Fields::of(row);
                let read = (session_of(&mut fields)?, user_of(&mut fields)?);
                widths.set((fields.taken, row.as_ref().column_count()));
                Ok(read)
            })?;
            assert_eq!(read, (session(), user()));
            Ok(())
        });
        let (taken, selected) = widths.get();
        assert_eq!(taken, selected, "what reads the columns takes each of them");
    }
}
