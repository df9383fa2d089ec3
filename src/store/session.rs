//! Sessions.

use super::columns::{Address, address_text};
use super::engine::{Forms, Row};
use super::reader::PageQuery;
use super::user::{user_columns, user_of};
use super::value::{FromValue, Params, Value, ValueError, params};
use super::{Reader, Result, Tx};
use crate::domain::{
    Client, Generation, Page, Paging, Rotation, Session, SessionEnd, SessionId, SessionNonce, Timestamp,
    User, UserId,
};

/// The number of ended sessions that stay per account: far more than an operator reads, and few enough that no sign-in writes many rows.
const MAX_ENDED: u32 = 100;
/// The maximum number of sessions of an account that one write ends, and of ended sessions that it removes. The hourly sweep repeats such writes until no
/// surplus is left.
const MAX_CHANGED_AT_ONCE: u32 = 200;
/// The number of sessions that one read of the sweep looks at: they take a few milliseconds.
const MOST_LOOKED_AT: u32 = 10_000;

/// What [`session_of`] takes, in this order.
macro_rules! session_columns {
    () => {
        "sessions.id, sessions.user_id, generation, presented, moved_at, moved_address, moved_agent, rotations, nonce, method, \
         sessions.created_at, last_used_at, expires_at, ended_at, ended_because, address, user_agent"
    };
}
#[cfg(test)]
pub(super) use session_columns;

/// Takes the columns of a session. Rust evaluates the fields in the order in which they are written here.
pub(super) fn session_of(row: &mut Row<'_>) -> Result<Session> {
    Ok(Session {
        id: row.take()?,
        user_id: row.take()?,
        rotation: Rotation {
            generation: row.take()?,
            presented: row.take()?,
            moved_at: row.take()?,
            moved_by: client_of(row)?,
            replaced: row.take::<Replaced>()?.0,
        },
        nonce: row.take()?,
        method: row.take()?,
        created_at: row.take()?,
        last_used_at: row.take()?,
        expires_at: row.take()?,
        ended: Option::zip(row.take()?, row.take()?),
        client: client_of(row)?,
    })
}

fn client_of(row: &mut Row<'_>) -> Result<Client> {
    Ok(Client {
        address: row.take::<Address>()?.0,
        user_agent: row.take()?,
        trace_id: None,
    })
}

/// The column `rotations`.
struct Replaced(Vec<(Generation, Timestamp)>);

impl FromValue for Replaced {
    fn from_value(value: Value<'_>) -> Result<Self, ValueError> {
        value.bytes().map(decode_replaced).map(Self)
    }
}

/// Reads replaced generations and the times of their replacement: 4 and 8 bytes each, big-endian.
fn decode_replaced(bytes: &[u8]) -> Vec<(Generation, Timestamp)> {
    let (entries, _) = bytes.as_chunks::<12>();
    let read = |&[a, b, c, d, ref at @ ..]: &[u8; 12]| {
        let generation = Generation(u32::from_be_bytes([a, b, c, d]));
        (generation, Timestamp::from_millis(i64::from_be_bytes(*at)))
    };
    entries.iter().map(read).collect()
}

fn encode_replaced(replaced: &[(Generation, Timestamp)]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(replaced.len() * 12);
    for (generation, at) in replaced {
        bytes.extend(generation.0.to_be_bytes());
        bytes.extend(at.as_millis().to_be_bytes());
    }
    bytes
}

impl Reader<'_> {
    /// The session with this id, live or ended.
    pub fn find_session(&self, id: SessionId) -> Result<Option<Session>> {
        const SQL: &str = concat!("SELECT ", session_columns!(), " FROM sessions WHERE id = ?1");
        self.query_opt(SQL, params![id], session_of)
    }

    /// The session with this id, live or ended, and its user.
    pub fn find_session_with_user(&self, id: SessionId) -> Result<Option<(Session, User)>> {
        const SQL: &str = concat!(
            "SELECT ",
            session_columns!(),
            ", ",
            user_columns!(),
            " FROM sessions JOIN users ON users.id = sessions.user_id WHERE sessions.id = ?1"
        );
        self.query_opt(SQL, params![id], |row| Ok((session_of(row)?, user_of(row)?)))
    }

    /// The user with this id, and whether the session belongs to that user and is alive. `None` if there is no such user, or no signing key with the id
    /// `kid`: without its key a token is no longer valid.
    pub fn find_user_and_liveness(
        &self,
        user_id: UserId,
        session_id: SessionId,
        kid: &str,
        now: Timestamp,
    ) -> Result<Option<(User, bool)>> {
        const SQL: &str = concat!(
            "SELECT ",
            user_columns!(),
            ", sessions.id IS NOT NULL AS is_alive
             FROM users LEFT JOIN sessions
               ON sessions.id = ?2 AND sessions.user_id = users.id AND ended_at IS NULL AND expires_at > ?3
             WHERE users.id = ?1 AND EXISTS (SELECT 1 FROM signing_keys WHERE kid = ?4)"
        );
        self.query_opt(SQL, params![user_id, session_id, now, kid], |row| {
            Ok((user_of(row)?, row.take()?))
        })
    }

    /// A user's sessions that are alive at `now`, the last used one first.
    pub fn list_live_sessions(&self, user_id: UserId, now: Timestamp) -> Result<Vec<Session>> {
        const SQL: &str = concat!(
            "SELECT ",
            session_columns!(),
            " FROM sessions WHERE user_id = ?1 AND ended_at IS NULL AND expires_at > ?2
             ORDER BY last_used_at DESC, id DESC"
        );
        self.query(SQL, params![user_id, now], session_of)
    }

    /// A user's sessions, live and ended, the last used one first.
    pub fn list_sessions(&self, user_id: UserId) -> Result<Vec<Session>> {
        const SQL: &str = concat!(
            "SELECT ",
            session_columns!(),
            " FROM sessions WHERE user_id = ?1 ORDER BY last_used_at DESC, id DESC"
        );
        self.query(SQL, params![user_id], session_of)
    }

    /// A page of a user's sessions, live and ended, the newest first. This order does not change between pages. The cursor is the time at which a session
    /// began, and its id.
    pub fn list_sessions_by_age(
        &self,
        user_id: UserId,
        paging: Paging<(Timestamp, SessionId)>,
    ) -> Result<Page<Session>> {
        let (begun_at, id) = paging.after.unzip();
        let query = PageQuery {
            columns: session_columns!(),
            wanted: "FROM sessions WHERE user_id = ?1 AND (CAST(?2 AS BIGINT) IS NULL OR (sessions.created_at, id) < (?2, ?3))",
            values: params![user_id, begun_at, id],
            column_values: params![],
            order: "ORDER BY sessions.created_at DESC, id DESC",
        };
        self.query_page(&query, paging.limit, session_of)
    }

    /// Looks at the next `MOST_LOOKED_AT` sessions in the order of their accounts, after the account `after`. Returns the accounts that have more than
    /// `most_unended` sessions that have not ended, or more than `MAX_ENDED` ended ones, and the last account; `None` if there are no more.
    pub fn list_crowded_users(
        &self,
        most_unended: u32,
        after: Option<UserId>,
    ) -> Result<(Vec<UserId>, Option<UserId>)> {
        // The empty blob comes before every id.
        let after = after.as_ref().map_or(&[][..], |id| id.as_bytes());
        let sql = "SELECT user_id FROM sessions WHERE user_id > ?1 ORDER BY user_id LIMIT 1 OFFSET ?2";
        let last: Option<UserId> = self.query_opt(sql, params![after, MOST_LOOKED_AT], |row| row.take())?;
        // No id begins with this byte, so it comes after every id.
        let end = last.as_ref().map_or(&[0xff][..], |id| id.as_bytes());
        let sql = "SELECT user_id FROM sessions WHERE user_id > ?1 AND user_id <= ?2 GROUP BY user_id
             HAVING count(*) - count(ended_at) > ?3 OR count(ended_at) > ?4";
        let crowded = self.query(sql, params![after, end, most_unended, MAX_ENDED], |row| {
            row.take()
        })?;
        Ok((crowded, last))
    }

    /// Looks at the next `MOST_LOOKED_AT` sessions after the id `after` whose id is below `began_before`. Returns those that ended or expired before
    /// `over_before`, and the last one that it looked at; `None` if there are no more.
    ///
    /// Ids sort by time, so it reads only the beginning of the primary key.
    pub fn list_old_sessions(
        &self,
        after: Option<SessionId>,
        began_before: SessionId,
        over_before: Timestamp,
    ) -> Result<(Vec<SessionId>, Option<SessionId>)> {
        let after = after.as_ref().map_or(&[][..], |id| id.as_bytes());
        let sql = "SELECT id FROM sessions WHERE id > ?1 AND id < ?2 ORDER BY id LIMIT 1 OFFSET ?3";
        let last = self.query_opt(sql, params![after, began_before, MOST_LOOKED_AT], |row| {
            row.take()
        })?;
        let sql =
            "SELECT id FROM sessions WHERE id > ?1 AND id <= ?2 AND coalesce(ended_at, expires_at) < ?3";
        let values = params![after, last.unwrap_or(began_before), over_before];
        let old = self.query(sql, values, |row| row.take())?;
        Ok((old, last))
    }
}

/// Moves a session from one state to another. The form of SQLite waits for the row in PostgreSQL.
const MOVE: Forms = Forms {
    sqlite: "UPDATE sessions
         SET generation = ?5, presented = ?6, moved_at = ?7, moved_address = ?8, moved_agent = ?9, rotations = ?10,
             last_used_at = ?11, expires_at = ?12
         WHERE id = ?1 AND generation = ?2 AND presented IS NOT DISTINCT FROM ?3 AND nonce = ?4 AND ended_at IS NULL",
    postgres: "UPDATE sessions
         SET generation = ?5, presented = ?6, moved_at = ?7, moved_address = ?8, moved_agent = ?9, rotations = ?10,
             last_used_at = ?11, expires_at = ?12
         WHERE id = (SELECT id FROM sessions WHERE id = ?1 FOR UPDATE SKIP LOCKED)
             AND generation = ?2 AND presented IS NOT DISTINCT FROM ?3 AND nonce = ?4 AND ended_at IS NULL",
};

impl Tx<'_> {
    pub fn insert_session(&self, session: &Session) -> Result<()> {
        let rotation = &session.rotation;
        let sql = "INSERT INTO sessions (id, user_id, generation, presented, moved_at, moved_address, moved_agent, rotations, nonce,
                                   method, created_at, last_used_at, expires_at, address, user_agent)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";
        let values = params![
            session.id,
            session.user_id,
            rotation.generation,
            rotation.presented,
            rotation.moved_at,
            address_text(rotation.moved_by.address),
            rotation.moved_by.user_agent,
            encode_replaced(&rotation.replaced),
            session.nonce,
            session.method,
            session.created_at,
            session.last_used_at,
            session.expires_at,
            address_text(session.client.address),
            session.client.user_agent,
        ];
        self.execute(sql, values)
    }

    /// Moves a live session from the state `from`, which this transaction has read, to the state `to`; returns whether it did.
    ///
    /// One conditional UPDATE decides, so that two refreshes never continue the same generation.
    pub fn move_session(&self, from: &Session, to: &Session) -> Result<bool> {
        self.move_by(MOVE.sqlite, from, to)
    }

    /// As [`Tx::move_session`], beside transactions of other servers that move sessions ([`Store::write_session`](super::Store::write_session)). Also returns
    /// false if one of them is moving this session: it waits for no row, because two of them could wait for each other.
    pub fn move_session_beside_others(&self, from: &Session, to: &Session) -> Result<bool> {
        self.move_by(self.engine.form(&MOVE), from, to)
    }

    fn move_by(&self, sql: &str, from: &Session, to: &Session) -> Result<bool> {
        let values = params![
            from.id,
            from.rotation.generation,
            from.rotation.presented,
            from.nonce,
            to.rotation.generation,
            to.rotation.presented,
            to.rotation.moved_at,
            address_text(to.rotation.moved_by.address),
            to.rotation.moved_by.user_agent,
            encode_replaced(&to.rotation.replaced),
            to.last_used_at,
            to.expires_at,
        ];
        let changed = self.execute_counted(sql, values)?;
        Ok(changed == 1)
    }

    /// Replaces the nonce of a live session, so that earlier refresh tokens are no longer authentic; returns whether it did.
    pub fn renew_session_nonce(&self, id: SessionId, nonce: SessionNonce) -> Result<bool> {
        let sql = "UPDATE sessions SET nonce = ?2, presented = NULL, rotations = ?3 WHERE id = ?1 AND ended_at IS NULL";
        let renewed = self.execute_counted(sql, params![id, nonce, encode_replaced(&[])])?;
        Ok(renewed == 1)
    }

    /// Ends a session that has not ended yet, even if it has expired, because the clock may be wrong. Returns false if there is no such session.
    pub fn end_session(&self, id: SessionId, because: SessionEnd, now: Timestamp) -> Result<bool> {
        let sql = "UPDATE sessions SET ended_at = ?2, ended_because = ?3 WHERE id = ?1 AND ended_at IS NULL RETURNING user_id";
        let user_id = self.query_opt(sql, params![id, now, because], |row| row.get("user_id"))?;
        let Some(user_id) = user_id else {
            return Ok(false);
        };
        self.delete_ended_surplus(user_id)?;
        Ok(true)
    }

    /// Ends every session of a user but `keep`, even expired ones; returns how many were alive at `now`.
    pub fn end_sessions_of(
        &self,
        user_id: UserId,
        keep: Option<SessionId>,
        because: SessionEnd,
        now: Timestamp,
    ) -> Result<u64> {
        let sql = "UPDATE sessions SET ended_at = ?3, ended_because = ?4 WHERE user_id = ?1 AND id IS DISTINCT FROM ?2 AND ended_at IS NULL
             RETURNING expires_at > ?3 AS was_alive";
        let alive = self.count_alive(sql, params![user_id, keep, now, because])?;
        self.delete_ended_surplus(user_id)?;
        Ok(alive)
    }

    /// Makes room for a new session of a user: ends all but `keep` sessions, as [`Tx::end_surplus_sessions`] does, and removes surplus ended sessions only
    /// if it has ended one. Otherwise there is no new surplus, and the sweep removes an older one.
    pub fn make_room_for_session(&self, user_id: UserId, keep: u32, now: Timestamp) -> Result<()> {
        if self.end_all_but(user_id, keep, now)? > 0 {
            self.delete_ended_surplus(user_id)?;
        }
        Ok(())
    }

    /// Ends all but `keep` sessions of a user, at most `MAX_CHANGED_AT_ONCE` of them, and removes surplus ended sessions. Returns the number of changed and
    /// removed rows.
    pub fn end_surplus_sessions(&self, user_id: UserId, keep: u32, now: Timestamp) -> Result<usize> {
        let ended = self.end_all_but(user_id, keep, now)?;
        Ok(ended + self.delete_ended_surplus(user_id)?)
    }

    /// Ends all but `keep` sessions of a user, at most `MAX_CHANGED_AT_ONCE` of them; returns how many. Live sessions are kept rather than expired ones, and
    /// then the sessions that were used last. An expired session gets its expiry as the time of its end.
    fn end_all_but(&self, user_id: UserId, keep: u32, now: Timestamp) -> Result<usize> {
        let sql = "UPDATE sessions SET ended_at = CASE WHEN expires_at > ?3 THEN ?3 ELSE expires_at END,
                                 ended_because = CASE WHEN expires_at > ?3 THEN ?4 ELSE ?5 END
             WHERE id IN (SELECT id FROM sessions WHERE user_id = ?1 AND ended_at IS NULL
                          ORDER BY expires_at > ?3 DESC, last_used_at DESC, id DESC LIMIT ?6 OFFSET ?2)";
        let values = params![
            user_id,
            keep,
            now,
            SessionEnd::TooMany,
            SessionEnd::Expired,
            MAX_CHANGED_AT_ONCE
        ];
        self.execute_counted(sql, values)
    }

    /// Removes all ended sessions of a user but the newest `MAX_ENDED`, at most `MAX_CHANGED_AT_ONCE` of them; returns the number of removed rows.
    fn delete_ended_surplus(&self, user_id: UserId) -> Result<usize> {
        let sql = "DELETE FROM sessions
             WHERE id IN (SELECT id FROM sessions WHERE user_id = ?1 AND ended_at IS NOT NULL
                          ORDER BY ended_at DESC, id DESC LIMIT ?2 OFFSET ?3)";
        self.execute_counted(sql, params![user_id, MAX_CHANGED_AT_ONCE, MAX_ENDED])
    }

    /// Reads the next `limit` sessions of all users after the id `after`, and ends those that have not ended, even expired ones. Returns the id of the last
    /// session that was read, and how many were alive at `now`; `None` when there are no more sessions.
    pub fn end_some_sessions(
        &self,
        after: Option<SessionId>,
        limit: u32,
        because: SessionEnd,
        now: Timestamp,
    ) -> Result<Option<(SessionId, u64)>> {
        // The empty blob comes before every id.
        let after = after.as_ref().map_or(&[][..], |id| id.as_bytes());
        let sql = "SELECT id FROM (SELECT id FROM sessions WHERE id > ?1 ORDER BY id LIMIT ?2) AS next ORDER BY id DESC LIMIT 1";
        let last: Option<SessionId> = self.query_opt(sql, params![after, limit], |row| row.take())?;
        let Some(last) = last else { return Ok(None) };
        let sql = "UPDATE sessions SET ended_at = ?3, ended_because = ?4 WHERE id > ?1 AND id <= ?2 AND ended_at IS NULL
             RETURNING expires_at > ?3 AS was_alive";
        Ok(Some((
            last,
            self.count_alive(sql, params![after, last, now, because])?,
        )))
    }

    /// Runs an UPDATE that returns `was_alive` for each session that it ends; returns how many were alive.
    fn count_alive(&self, sql: &str, values: Params<'_>) -> Result<u64> {
        let were_alive: Vec<u64> = self.query(sql, values, |row| row.get("was_alive"))?;
        Ok(were_alive.iter().sum())
    }

    /// Removes a session if it ended or expired before `over_before`; returns the number of removed rows.
    pub fn delete_old_session(&self, id: SessionId, over_before: Timestamp) -> Result<usize> {
        let sql = "DELETE FROM sessions WHERE id = ?1 AND coalesce(ended_at, expires_at) < ?2";
        self.execute_counted(sql, params![id, over_before])
    }
}
