//! The audit log.

use std::net::IpAddr;
use std::str::FromStr;

use rusqlite::types::Type;
use rusqlite::{OptionalExtension, Row, named_params, params};

use super::{CountPlace, Reader, StoreError, Tx};
use crate::domain::{
    Actor, AuditEntry, AuditEvent, AuditEvents, AuditOutcome, AuditReason, AuditRecord, AuditSubject, Client,
    NameDigest, Operator, Page, SessionId, Timestamp, TraceId, UserId,
};

/// Happenings of one kind that share a row.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AuditTally {
    /// What happened.
    pub event: AuditEvent,
    /// Why it was refused; `None` if it was done.
    pub reason: Option<AuditReason>,
    /// From where; `None` for all addresses together.
    pub address: Option<IpAddr>,
    /// At which account; `None` if at none, or for all together.
    pub subject: Option<AuditSubject>,
    /// Under which name; `None` if under none, or for all together.
    pub name: Option<NameDigest>,
    /// When the span began that the row stands for.
    pub window_at: Timestamp,
}

/// Happenings that are counted into one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditCount {
    /// How many.
    pub times: u64,
    /// When the first of them was.
    pub at: Timestamp,
    /// The trace id of the first.
    pub trace_id: Option<TraceId>,
}

/// Which rows of the log are asked for; `None` asks for all.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Rows about this account.
    pub user_id: Option<UserId>,
    /// Rows about whatever account had this username, in lower case, at the time.
    pub username_key: Option<String>,
    /// Rows under this name or address, and rows about the accounts that had it.
    pub name: Option<NameDigest>,
    /// Rows from one of these addresses.
    pub addresses: Option<[IpAddr; 2]>,
    /// Rows of these events.
    pub events: Option<AuditEvents>,
    /// Rows of this moment and later ones.
    pub since: Option<Timestamp>,
    /// Rows behind the one with this id; the first of them are given then, else the last.
    pub after: Option<i64>,
    /// Rows before the one with this id.
    pub before: Option<i64>,
    /// Counts that changed behind this place.
    pub counts_after: Option<CountPlace>,
}

impl AuditFilter {
    /// Whether the rows about one account or name are asked for.
    pub fn is_about_one(&self) -> bool {
        self.user_id.is_some() || self.username_key.is_some() || self.name.is_some()
    }

    /// The addresses as they are stored.
    pub(super) fn address_texts(&self) -> [Option<String>; 2] {
        match self.addresses {
            Some(addresses) => addresses.map(|address| Some(address.to_string())),
            None => [None, None],
        }
    }
}

/// How far the log was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditPlace {
    /// The id of the last row; 0 if there was none.
    pub row: i64,
    /// The last of the counts.
    pub counts: CountPlace,
}

/// The accounts that a filter is about. One that was renamed or deleted is found by a name it had: rows about it say its username, and some the digest of
/// its address.
pub(super) const AUDITED_ACCOUNTS: &str = "
            WITH wanted (user_id) AS (
                SELECT :user_id WHERE :user_id IS NOT NULL
                UNION SELECT user_id FROM audit_events
                      WHERE user_id IS NOT NULL AND (lower(username) = :username_key OR name_digest = :name)
                UNION SELECT subject FROM audit_counts WHERE is_account = 1 AND lower(username) = :username_key
            ),";

fn entry_of(row: &Row<'_>) -> rusqlite::Result<AuditEntry> {
    let actor = match row.get::<_, Option<String>>("operator_command")? {
        Some(command) => Actor::Operator(Operator {
            uid: row.get("operator_uid")?,
            sudo_user: row.get("operator_sudo_user")?,
            command,
        }),
        None => Actor::Client(Client {
            address: row
                .get::<_, Option<String>>("address")?
                .and_then(|text| text.parse().ok()),
            user_agent: row.get("user_agent")?,
            trace_id: row
                .get::<_, Option<[u8; 16]>>("trace_id")?
                .map(TraceId::from_bytes),
        }),
    };
    let (user_id, username): (Option<[u8; 16]>, Option<String>) = (row.get("user_id")?, row.get("username")?);
    let record = AuditRecord {
        event: word(row.get("event")?)?,
        outcome: match row.get::<_, Option<String>>("refused_because")? {
            None => AuditOutcome::Done,
            Some(reason) => AuditOutcome::Refused(word(reason)?),
        },
        actor,
        subject: user_id.map(|id| AuditSubject {
            user_id: UserId::from_bytes(id),
            username: username.unwrap_or_default(),
        }),
        name: row.get::<_, Option<[u8; 32]>>("name_digest")?.map(NameDigest),
        session_id: row
            .get::<_, Option<[u8; 16]>>("session_id")?
            .map(SessionId::from_bytes),
        detail: row.get("detail")?,
    };
    Ok(AuditEntry {
        id: Some(row.get("id")?),
        at: Timestamp::from_millis(row.get("at")?),
        last_at: None,
        record,
        times: row.get::<_, i64>("times")?.unsigned_abs(),
    })
}

pub(super) fn word<T: FromStr>(name: String) -> rusqlite::Result<T> {
    name.parse()
        .map_err(|_| rusqlite::Error::InvalidColumnType(0, name, Type::Text))
}

/// The rows that a filter asks for.
const FOUND: &str = "
            found AS (
                SELECT * FROM audit_events
                WHERE id > coalesce(:after, 0)
                  AND (:before IS NULL OR id < :before)
                  AND (:since IS NULL OR at >= :since)
                  AND (:address IS NULL OR address IN (:address, :network))
                  AND (:event IS NULL OR event = :event OR substr(event, 1, length(:event) + 1) = :event || '.')
                  AND ((:user_id IS NULL AND :username_key IS NULL AND :name IS NULL)
                       OR name_digest = :name OR user_id IN (SELECT user_id FROM wanted))
            )";

impl Reader<'_> {
    /// The last `limit` rows that `filter` asks for, or the first behind its place, the oldest first; and how many it asks for beside
    /// these.
    ///
    /// It looks at every row of the log, so it is a question for [`super::Store::report`].
    pub fn list_audit(&self, filter: &AuditFilter, limit: u32) -> Result<Page<AuditEntry>, StoreError> {
        let order = if filter.after.is_some() { "ASC" } else { "DESC" };
        let sql = format!(
            "{AUDITED_ACCOUNTS} {FOUND},
             part AS (SELECT * FROM found ORDER BY id {order} LIMIT :limit)
             SELECT id, at, event, refused_because, user_id, username, name_digest, session_id, detail, address, user_agent,
                    trace_id, operator_uid, operator_sudo_user, operator_command, times
             FROM part ORDER BY id"
        );
        let [address, network] = filter.address_texts();
        let values = named_params! {
            ":user_id": filter.user_id.as_ref().map(UserId::as_bytes),
            ":username_key": filter.username_key,
            ":name": filter.name.map(|name| name.0),
            ":address": address,
            ":network": network,
            ":event": filter.events.as_ref().map(AuditEvents::as_str),
            ":since": filter.since.map(Timestamp::as_millis),
            ":after": filter.after,
            ":before": filter.before,
            ":limit": limit,
        };
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows = statement.query_map(values, entry_of)?;
        let rows: Vec<AuditEntry> = rows.collect::<Result<_, _>>()?;
        if rows.len() < usize::try_from(limit).unwrap_or(usize::MAX) {
            return Ok(Page { rows, more: 0 });
        }
        let sql = format!("{AUDITED_ACCOUNTS} {FOUND} SELECT count(*) FROM found");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let found: u32 = statement.query_row(&values[..values.len() - 1], |row| row.get(0))?;
        let more = found.saturating_sub(limit);
        Ok(Page { rows, more })
    }

    /// When the row with this id was written, or the last before it; `None` if these were cleared away.
    pub fn find_audit_moment(&self, id: i64) -> Result<Option<Timestamp>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT at FROM audit_events WHERE id <= ?1 ORDER BY id DESC LIMIT 1")?;
        let at: Option<i64> = statement.query_row([id], |row| row.get("at")).optional()?;
        Ok(at.map(Timestamp::from_millis))
    }

    /// The id of the last row; 0 if there is none.
    pub fn find_last_audit_id(&self) -> Result<i64, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT coalesce(max(id), 0) AS last FROM audit_events")?;
        Ok(statement.query_row([], |row| row.get("last"))?)
    }
}

impl Tx<'_> {
    /// Adds a row of its own.
    pub fn insert_audit(&self, record: &AuditRecord, at: Timestamp) -> Result<(), StoreError> {
        let (client, operator) = match &record.actor {
            Actor::Client(client) => (Some(client), None),
            Actor::Operator(operator) => (None, Some(operator)),
        };
        let subject = record.subject.as_ref();
        self.connection
            .prepare_cached(
                "INSERT INTO audit_events (at, event, refused_because, user_id, username, name_digest, session_id, detail,
                                           address, user_agent, trace_id, operator_uid, operator_sudo_user, operator_command)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
            )?
            .execute(params![
                at.as_millis(),
                record.event.into_str(),
                record.outcome.reason().map(<&str>::from),
                subject.map(|subject| *subject.user_id.as_bytes()),
                subject.map(|subject| subject.username.as_str()),
                record.name.map(|name| name.0),
                record.session_id.as_ref().map(SessionId::as_bytes),
                record.detail,
                client.and_then(|client| client.address).map(|address| address.to_string()),
                client.and_then(|client| client.user_agent.as_deref()),
                client.and_then(|client| client.trace_id).map(|trace_id| *trace_id.as_bytes()),
                operator.map(|operator| operator.uid),
                operator.and_then(|operator| operator.sudo_user.as_deref()),
                operator.map(|operator| operator.command.as_str()),
            ])?;
        Ok(())
    }

    /// Adds happenings to the one row of their kind. If it is not there it is added, with the moment and the trace id of the first.
    pub fn count_audit(&self, tally: &AuditTally, count: &AuditCount) -> Result<(), StoreError> {
        let subject = tally.subject.as_ref();
        self.connection
            .prepare_cached(
                "INSERT INTO audit_events (at, event, refused_because, address, user_id, username, name_digest, trace_id, times, window_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
                 ON CONFLICT (window_at, event, ifnull(refused_because, ''), ifnull(address, ''), ifnull(user_id, x''), ifnull(name_digest, x''))
                 WHERE window_at IS NOT NULL
                 DO UPDATE SET times = times + excluded.times",
            )?
            .execute(params![
                count.at.as_millis(),
                tally.event.into_str(),
                tally.reason.map(<&str>::from),
                tally.address.map(|address| address.to_string()),
                subject.map(|subject| *subject.user_id.as_bytes()),
                subject.map(|subject| subject.username.as_str()),
                tally.name.map(|name| name.0),
                count.trace_id.map(|trace_id| *trace_id.as_bytes()),
                i64::try_from(count.times).unwrap_or(i64::MAX),
                tally.window_at.as_millis(),
            ])?;
        Ok(())
    }

    /// Adds one to the row of this event, outcome and session that was written since `since`, if there is one; says whether there is.
    pub fn count_repeated(&self, record: &AuditRecord, since: Timestamp) -> Result<bool, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "UPDATE audit_events SET times = times + 1
             WHERE event = 'refresh.repeated' AND session_id = ?1 AND at >= ?2 AND refused_because IS ?3",
        )?;
        let counted = statement.execute(params![
            record.session_id.as_ref().map(SessionId::as_bytes),
            since.as_millis(),
            record.outcome.reason().map(<&str>::from),
        ])?;
        Ok(counted > 0)
    }

    /// Removes rows from before `before` among the `limit` oldest; says how many.
    ///
    /// Ids follow the time, so that no index of times is needed. (Where a clock was set back a few rows stay a little longer.)
    pub fn delete_old_audit(&self, before: Timestamp, limit: u32) -> Result<usize, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "DELETE FROM audit_events WHERE at < ?1 AND id IN (SELECT id FROM audit_events ORDER BY id LIMIT ?2)",
        )?;
        Ok(statement.execute(params![before.as_millis(), limit])?)
    }
}
