//! The sessions of an account, listed.

use rusqlite::params;

use super::session::{COLUMNS, session_of};
use super::{Reader, StoreError};
use crate::domain::{Page, Paging, Session, SessionId, Timestamp, UserId};

impl Reader<'_> {
    /// A user's sessions, living and ended, the last used one first.
    pub fn list_sessions(&self, user_id: UserId) -> Result<Vec<Session>, StoreError> {
        let sql =
            format!("SELECT {COLUMNS} FROM sessions WHERE user_id = ?1 ORDER BY last_used_at DESC, id DESC");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let sessions = statement.query_map([user_id.as_bytes()], session_of)?;
        Ok(sessions.collect::<Result<_, _>>()?)
    }

    /// A part of a user's sessions, living and ended, the one begun last first: an order that does not change while it is read. It begins
    /// behind a session that was begun at a moment and has an id.
    pub fn list_sessions_by_begin(
        &self,
        user_id: UserId,
        paging: Paging<(Timestamp, SessionId)>,
    ) -> Result<Page<Session>, StoreError> {
        const WANTED: &str =
            "FROM sessions WHERE user_id = ?1 AND (?2 IS NULL OR (sessions.created_at, id) < (?2, ?3))";
        let place = |place: Option<(Timestamp, SessionId)>| {
            place.map_or((None, None), |(moment, id)| {
                (Some(moment.as_millis()), Some(*id.as_bytes()))
            })
        };
        let (begun_at, id) = place(paging.after);
        let sql = format!("SELECT {COLUMNS} {WANTED} ORDER BY sessions.created_at DESC, id DESC LIMIT ?4");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows = statement.query_map(
            params![user_id.as_bytes(), begun_at, id, paging.limit],
            session_of,
        )?;
        let rows: Vec<Session> = rows.collect::<Result<_, _>>()?;
        let last = rows.last().map(|session| (session.created_at, session.id));
        let (begun_at, id) = place(last.or(paging.after));
        let mut statement = self
            .connection
            .prepare_cached(&format!("SELECT count(*) {WANTED}"))?;
        let more = statement.query_row(params![user_id.as_bytes(), begun_at, id], |row| row.get(0))?;
        Ok(Page { rows, more })
    }
}
