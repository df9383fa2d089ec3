//! Sessions.

use std::net::IpAddr;
use std::str::FromStr;

use rusqlite::types::Type;
use rusqlite::{OptionalExtension, Row, params};

use super::{Reader, StoreError, Tx, user};
use crate::domain::{
    Client, Generation, Rotation, Sender, Session, SessionEnd, SessionId, SessionNonce, Timestamp, User,
    UserId,
};

/// How many ended sessions of an account are kept: far more than an operator reads, few enough that no sign-in writes many rows.
const MAX_ENDED: u32 = 100;
/// How many sessions of an account one write clears away at most. Each sign-in makes one, so that the rest of a large pile goes bit by bit.
const CLEARED_AT_ONCE: u32 = 200;

pub(super) const COLUMNS: &str = "sessions.id AS session_id, sessions.user_id AS session_user_id, generation, presented, moved_at, moved_address, \
                       moved_agent, rotations, nonce, method, \
                       sessions.created_at AS session_created_at, last_used_at, expires_at, ended_at, ended_because, address, \
                       user_agent";

/// A session and whose it is.
#[derive(Clone, Debug)]
pub struct SessionWithUser {
    /// The session.
    pub session: Session,
    /// Its user.
    pub user: User,
}

/// Reads the [`COLUMNS`].
pub(super) fn session_of(row: &Row<'_>) -> rusqlite::Result<Session> {
    Ok(Session {
        id: SessionId::from_bytes(row.get("session_id")?),
        user_id: UserId::from_bytes(row.get("session_user_id")?),
        nonce: SessionNonce(row.get("nonce")?),
        rotation: Rotation {
            generation: Generation(row.get("generation")?),
            presented: row.get::<_, Option<u32>>("presented")?.map(Generation),
            moved_at: Timestamp::from_millis(row.get("moved_at")?),
            moved_by: Sender {
                address: address(row, "moved_address")?,
                user_agent: row.get("moved_agent")?,
            },
            replaced: decode_replaced(row.get_ref("rotations")?.as_blob()?),
        },
        method: named(row, "method")?,
        created_at: Timestamp::from_millis(row.get("session_created_at")?),
        last_used_at: Timestamp::from_millis(row.get("last_used_at")?),
        expires_at: Timestamp::from_millis(row.get("expires_at")?),
        ended: match row.get::<_, Option<i64>>("ended_at")? {
            Some(ended_at) => Some((Timestamp::from_millis(ended_at), named(row, "ended_because")?)),
            None => None,
        },
        client: Client {
            address: address(row, "address")?,
            user_agent: row.get("user_agent")?,
            trace_id: None,
        },
    })
}

fn address(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<IpAddr>> {
    let text: Option<String> = row.get(column)?;
    Ok(text.and_then(|text| text.parse().ok()))
}

/// Generations that were replaced, and when: 4 and 8 bytes each, big-endian.
fn decode_replaced(bytes: &[u8]) -> Vec<(Generation, Timestamp)> {
    let entries = bytes.as_chunks::<12>().0.iter();
    let parts = entries.filter_map(|entry| Some((entry.first_chunk()?, entry.last_chunk()?)));
    parts
        .map(|(generation, at)| {
            (
                Generation(u32::from_be_bytes(*generation)),
                Timestamp::from_millis(i64::from_be_bytes(*at)),
            )
        })
        .collect()
}

fn encode_replaced(replaced: &[(Generation, Timestamp)]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(replaced.len() * 12);
    for (generation, at) in replaced {
        bytes.extend(generation.0.to_be_bytes());
        bytes.extend(at.as_millis().to_be_bytes());
    }
    bytes
}

fn named<T: FromStr>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    let name: String = row.get(column)?;
    name.parse()
        .map_err(|_| rusqlite::Error::InvalidColumnType(0, name, Type::Text))
}

fn count_alive(ended: impl Iterator<Item = rusqlite::Result<bool>>) -> rusqlite::Result<u64> {
    ended.map(|was_alive| was_alive.map(u64::from)).sum()
}

impl Reader<'_> {
    /// The session with this id, living or ended.
    pub fn find_session(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM sessions WHERE id = ?1");
        Ok(self
            .connection
            .prepare_cached(&sql)?
            .query_row([id.as_bytes()], session_of)
            .optional()?)
    }

    /// The session with this id, living or ended, and its user.
    pub fn find_session_with_user(&self, id: SessionId) -> Result<Option<SessionWithUser>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS}, {} FROM sessions JOIN users ON users.id = sessions.user_id WHERE sessions.id = ?1",
            user::columns()
        );
        let found = self
            .connection
            .prepare_cached(&sql)?
            .query_row([id.as_bytes()], |row| {
                Ok(SessionWithUser {
                    session: session_of(row)?,
                    user: user::user_of(row)?,
                })
            });
        Ok(found.optional()?)
    }

    /// The user with this id, and whether the session with that id is theirs and alive; `None` if there is no such user,
    /// or no signing key with the id `kid`: one that was dropped takes its tokens with it.
    pub fn find_user_and_liveness(
        &self,
        user_id: UserId,
        session_id: SessionId,
        kid: &str,
        now: Timestamp,
    ) -> Result<Option<(User, bool)>, StoreError> {
        let sql = format!(
            "SELECT {}, sessions.id IS NOT NULL AS is_alive
             FROM users LEFT JOIN sessions
               ON sessions.id = ?2 AND sessions.user_id = users.id AND ended_at IS NULL AND expires_at > ?3
             WHERE users.id = ?1 AND EXISTS (SELECT 1 FROM signing_keys WHERE kid = ?4)",
            user::columns()
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let found = statement.query_row(
            params![user_id.as_bytes(), session_id.as_bytes(), now.as_millis(), kid],
            |row| Ok((user::user_of(row)?, row.get("is_alive")?)),
        );
        Ok(found.optional()?)
    }

    /// A user's sessions that are alive at `now`, the last used one first.
    pub fn list_live_sessions(&self, user_id: UserId, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM sessions WHERE user_id = ?1 AND ended_at IS NULL AND expires_at > ?2
             ORDER BY last_used_at DESC, id DESC"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let sessions = statement.query_map(params![user_id.as_bytes(), now.as_millis()], session_of)?;
        Ok(sessions.collect::<Result<_, _>>()?)
    }

    /// Accounts with more than `most_unended` sessions that have not ended, or more ended ones than are kept. Reads an
    /// index of all sessions, so it is a question for [`Store::report`](super::Store::report).
    pub fn list_crowded_users(&self, most_unended: u32) -> Result<Vec<UserId>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT user_id FROM sessions GROUP BY user_id
             HAVING count(*) - count(ended_at) > ?1 OR count(ended_at) > ?2",
        )?;
        let ids = statement.query_map([most_unended, MAX_ENDED], |row| row.get(0))?;
        Ok(ids
            .map(|id| id.map(UserId::from_bytes))
            .collect::<Result<_, _>>()?)
    }
}

impl Tx<'_> {
    /// Adds a session.
    pub fn insert_session(&self, session: &Session) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "INSERT INTO sessions (id, user_id, generation, presented, moved_at, moved_address, moved_agent, rotations, nonce,
                                       method, created_at, last_used_at, expires_at, address, user_agent)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
            )?
            .execute(params![
                session.id.as_bytes(),
                session.user_id.as_bytes(),
                session.rotation.generation.0,
                session.rotation.presented.map(|presented| presented.0),
                session.rotation.moved_at.as_millis(),
                session.rotation.moved_by.address.map(|address| address.to_string()),
                session.rotation.moved_by.user_agent,
                encode_replaced(&session.rotation.replaced),
                session.nonce.0,
                session.method.into_str(),
                session.created_at.as_millis(),
                session.last_used_at.as_millis(),
                session.expires_at.as_millis(),
                session.client.address.map(|address| address.to_string()),
                session.client.user_agent,
            ])?;
        Ok(())
    }

    /// Puts a living session, read as `from` in this transaction, into the state of `to`; says whether it did.
    ///
    /// One conditional UPDATE decides, so that a session never forks.
    pub fn move_session(&self, from: &Session, to: &Session) -> Result<bool, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "UPDATE sessions
             SET generation = ?5, presented = ?6, moved_at = ?7, moved_address = ?8, moved_agent = ?9, rotations = ?10,
                 last_used_at = ?11, expires_at = ?12
             WHERE id = ?1 AND generation = ?2 AND presented IS ?3 AND nonce = ?4 AND ended_at IS NULL",
        )?;
        let changed = statement.execute(params![
            from.id.as_bytes(),
            from.rotation.generation.0,
            from.rotation.presented.map(|presented| presented.0),
            from.nonce.0,
            to.rotation.generation.0,
            to.rotation.presented.map(|presented| presented.0),
            to.rotation.moved_at.as_millis(),
            to.rotation.moved_by.address.map(|address| address.to_string()),
            to.rotation.moved_by.user_agent,
            encode_replaced(&to.rotation.replaced),
            to.last_used_at.as_millis(),
            to.expires_at.as_millis(),
        ])?;
        Ok(changed == 1)
    }

    /// Gives a living session another nonce, so that no refresh token minted before is authentic any more; says whether it did.
    pub fn renew_session_nonce(&self, id: SessionId, nonce: SessionNonce) -> Result<bool, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "UPDATE sessions SET nonce = ?2, presented = NULL, rotations = x'' WHERE id = ?1 AND ended_at IS NULL",
        )?;
        Ok(statement.execute(params![id.as_bytes(), nonce.0])? == 1)
    }

    /// Ends a session that has not ended yet, also one whose term is over: that may be for a clock that is set wrong. Says whether it did.
    pub fn end_session(
        &self,
        id: SessionId,
        because: SessionEnd,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "UPDATE sessions SET ended_at = ?2, ended_because = ?3 WHERE id = ?1 AND ended_at IS NULL RETURNING user_id",
        )?;
        let ended = statement.query_row(
            params![id.as_bytes(), now.as_millis(), because.into_str()],
            |row| row.get("user_id"),
        );
        let Some(user_id) = ended.optional()?.map(UserId::from_bytes) else {
            return Ok(false);
        };
        self.delete_ended_surplus(user_id)?;
        Ok(true)
    }

    /// Ends every session of a user but `keep`, also those whose term is over; says how many were alive at `now`.
    pub fn end_sessions_of(
        &self,
        user_id: UserId,
        keep: Option<SessionId>,
        because: SessionEnd,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "UPDATE sessions SET ended_at = ?3, ended_because = ?4 WHERE user_id = ?1 AND id IS NOT ?2 AND ended_at IS NULL
             RETURNING expires_at > ?3 AS was_alive",
        )?;
        let keep = keep.as_ref().map(SessionId::as_bytes);
        let ended = statement.query_map(
            params![user_id.as_bytes(), keep, now.as_millis(), because.into_str()],
            |row| row.get("was_alive"),
        )?;
        let alive = count_alive(ended)?;
        self.delete_ended_surplus(user_id)?;
        Ok(alive)
    }

    /// Lets a user have at most `keep` sessions that have not ended: living ones before those whose term is over, the last refreshed first. The
    /// others end, and those that nobody refreshed in time end as of then. Says how many rows it changed, which are only so many at once.
    pub fn end_surplus_sessions(
        &self,
        user_id: UserId,
        keep: u32,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "UPDATE sessions SET ended_at = min(?3, expires_at), ended_because = iif(expires_at > ?3, ?4, ?5)
             WHERE id IN (SELECT id FROM sessions WHERE user_id = ?1 AND ended_at IS NULL
                          ORDER BY expires_at > ?3 DESC, last_used_at DESC, id DESC LIMIT ?6 OFFSET ?2)",
        )?;
        let ended = statement.execute(params![
            user_id.as_bytes(),
            keep,
            now.as_millis(),
            SessionEnd::TooMany.into_str(),
            SessionEnd::Expired.into_str(),
            CLEARED_AT_ONCE
        ])?;
        Ok(ended + self.delete_ended_surplus(user_id)?)
    }

    /// Removes the ended sessions of a user that ended before the newest [`MAX_ENDED`]; says how many, which are only so many at once.
    fn delete_ended_surplus(&self, user_id: UserId) -> Result<usize, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "DELETE FROM sessions
             WHERE id IN (SELECT id FROM sessions WHERE user_id = ?1 AND ended_at IS NOT NULL
                          ORDER BY ended_at DESC, id DESC LIMIT ?2 OFFSET ?3)",
        )?;
        Ok(statement.execute(params![user_id.as_bytes(), CLEARED_AT_ONCE, MAX_ENDED])?)
    }

    /// Ends up to `limit` sessions of anybody whose id is above `after`, in the order of ids, also those whose term is over; gives the last id it
    /// looked at and how many were alive at `now`, or `None` when there are no more.
    pub fn end_some_sessions(
        &self,
        after: Option<SessionId>,
        limit: u32,
        because: SessionEnd,
        now: Timestamp,
    ) -> Result<Option<(SessionId, u64)>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT max(id) AS last FROM (SELECT id FROM sessions WHERE id > ?1 ORDER BY id LIMIT ?2)",
        )?;
        // The empty blob comes before every id.
        let after = after.as_ref().map_or(&[][..], |id| id.as_bytes().as_slice());
        let last: Option<[u8; 16]> = statement.query_row(params![after, limit], |row| row.get("last"))?;
        let Some(last) = last else { return Ok(None) };
        let mut statement = self.connection.prepare_cached(
            "UPDATE sessions SET ended_at = ?3, ended_because = ?4 WHERE id > ?1 AND id <= ?2 AND ended_at IS NULL
             RETURNING expires_at > ?3 AS was_alive",
        )?;
        let ended = statement
            .query_map(params![after, last, now.as_millis(), because.into_str()], |row| {
                row.get("was_alive")
            })?;
        Ok(Some((SessionId::from_bytes(last), count_alive(ended)?)))
    }

    /// Removes up to `limit` sessions that began before `began_before` and were over before `over_before`; says how many.
    ///
    /// Ids sort by time, so the search is a short walk along the primary key.
    pub fn delete_old_sessions(
        &self,
        began_before: SessionId,
        over_before: Timestamp,
        limit: u32,
    ) -> Result<usize, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "DELETE FROM sessions WHERE id IN (
                 SELECT id FROM sessions WHERE id < ?1 AND coalesce(ended_at, expires_at) < ?2 LIMIT ?3)",
        )?;
        Ok(statement.execute(params![began_before.as_bytes(), over_before.as_millis(), limit])?)
    }
}
