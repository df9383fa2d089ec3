//! The audit log.

use std::net::IpAddr;

use super::audit_count::AuditKind;
use super::audit_filter::{AUDITED_ACCOUNTS, subject_of};
use super::columns::{Address, address_text};
use super::engine::{Forms, Row};
use super::value::params;
use super::{AuditFilter, Reader, Result, Tx};
use crate::domain::{
    Actor, AuditEntry, AuditRecord, Client, More, Operator, Page, Timestamp, TraceId, UserId,
};

/// Events that share a row of the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AuditTally {
    /// In the row that all accounts and names share, the kind has neither subject nor name.
    pub kind: AuditKind,
    /// The address or network of the clients; `None` in the row that all addresses share.
    pub address: Option<IpAddr>,
    /// The start of the minute or hour that the row covers.
    pub window_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditCount {
    pub times: u64,
    /// When the first event happened.
    pub at: Timestamp,
    /// The trace id of the first event.
    pub trace_id: Option<TraceId>,
}

fn entry_of(row: &mut Row<'_>) -> Result<AuditEntry> {
    let actor = match row.get("operator_command")? {
        Some(command) => Actor::Operator(Operator {
            uid: row.get("operator_uid")?,
            sudo_user: row.get("operator_sudo_user")?,
            command,
        }),
        None => Actor::Client(Client {
            address: row.get::<Address>("address")?.0,
            user_agent: row.get("user_agent")?,
            trace_id: row.get("trace_id")?,
        }),
    };
    let record = AuditRecord {
        event: row.get("event")?,
        refused: row.get("refused_because")?,
        actor,
        subject: subject_of(row.get("user_id")?, row)?,
        name: row.get("name_digest")?,
        session_id: row.get("session_id")?,
        detail: row.get("detail")?,
    };
    Ok(AuditEntry {
        id: Some(row.get("id")?),
        at: row.get("at")?,
        last_at: None,
        record,
        times: row.get("times")?,
    })
}

/// What [`entry_of`] reads of a row.
const COLUMNS: &str =
    "id, at, event, refused_because, user_id, username, name_digest, session_id, detail, address, user_agent,
                       trace_id, operator_uid, operator_sudo_user, operator_command, times";

/// The rows that match a filter.
const FOUND: &str = "
            found AS (
                SELECT * FROM audit_events
                WHERE id > ?8 AND id < ?9 AND at >= ?7
                  AND (CAST(?4 AS TEXT) IS NULL OR address IN (?4, ?5))
                  AND (CAST(?6 AS TEXT) IS NULL OR event = ?6 OR substr(event, 1, length(?6) + 1) = ?6 || '.')";

/// The further condition of a filter about one account or name. Each part of it is found by an index.
const ABOUT_ONE: &str = "
                  AND id IN (SELECT id FROM audit_events WHERE name_digest = ?3
                             UNION SELECT id FROM audit_events WHERE user_id IN (SELECT user_id FROM wanted))";

macro_rules! insert_tally {
    () => {
        "INSERT INTO audit_events (at, event, refused_because, address, user_id, username, name_digest, trace_id, times, window_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
             "
    };
}

macro_rules! add_times {
    () => {
        "
             WHERE window_at IS NOT NULL
             DO UPDATE SET times = audit_events.times + excluded.times"
    };
}

/// Adds to the row of a tally. The conflict is about an index of expressions, and no literal of an empty byte string is known to both engines.
pub(super) const ADD_TO_TALLY: Forms = Forms {
    sqlite: concat!(
        insert_tally!(),
        "ON CONFLICT (window_at, event, ifnull(refused_because, ''), ifnull(address, ''), ifnull(user_id, x''), ifnull(name_digest, x''))",
        add_times!()
    ),
    postgres: concat!(
        insert_tally!(),
        "ON CONFLICT (window_at, event, coalesce(refused_because, ''), coalesce(address, ''), coalesce(user_id, ''), coalesce(name_digest, ''))",
        add_times!()
    ),
};

/// The beginning of a statement that selects from `found`.
fn with_found(filter: &AuditFilter) -> String {
    let about = if filter.is_about_one() { ABOUT_ONE } else { "" };
    format!("{AUDITED_ACCOUNTS} {FOUND} {about})")
}

impl Reader<'_> {
    /// The last `limit` rows that match `filter`, or the first ones after `filter.after`, and how many more match. The oldest row comes first.
    ///
    /// Unless the filter is about one account or name, it reads rows until enough match, which may be the whole log. So call it through
    /// [`super::Store::report`].
    pub fn list_audit(&self, filter: &AuditFilter, limit: u32) -> Result<Page<AuditEntry>> {
        let order = if filter.after.is_some() { "ASC" } else { "DESC" };
        let sql = format!(
            "{},
             part AS (SELECT * FROM found ORDER BY id {order} LIMIT ?10)
             SELECT {COLUMNS} FROM part ORDER BY id",
            with_found(filter)
        );
        let shared = filter.values();
        let (after, before) = (filter.after.unwrap_or(0), filter.before.unwrap_or(i64::MAX));
        let rows = self.query(&sql, &shared.and(params![after, before, limit]), entry_of)?;
        if rows.len() < usize::try_from(limit).unwrap_or(usize::MAX) {
            return Ok(Page {
                rows,
                more: More::default(),
            });
        }
        let sql = format!(
            "{} SELECT count(*) FROM (SELECT 1 FROM found LIMIT ?10) AS counted",
            with_found(filter)
        );
        let most = limit.saturating_add(More::LOOKED_FOR);
        let values = shared.and(params![after, before, most]);
        let found: u32 = self.query_one(&sql, &values, |row| row.take())?;
        let more = More::of(found.saturating_sub(limit));
        Ok(Page { rows, more })
    }

    /// The last `limit` rows about an account, the oldest of them first, and how many more there are. Unlike [`Reader::list_audit`], it reads no other rows.
    pub fn list_audit_of_account(&self, user_id: UserId, limit: u32) -> Result<(Vec<AuditEntry>, u32)> {
        let sql = format!("SELECT {COLUMNS} FROM audit_events WHERE user_id = ?1 ORDER BY id DESC LIMIT ?2");
        let mut rows = self.query(&sql, params![user_id, limit], entry_of)?;
        rows.reverse();
        let sql = "SELECT count(*) FROM audit_events WHERE user_id = ?1";
        let found: u32 = self.query_one(sql, params![user_id], |row| row.take())?;
        Ok((rows, found.saturating_sub(limit)))
    }

    /// The time of the row with this id, or of the last row before it; `None` if no row up to this id is left.
    pub fn find_audit_time(&self, id: i64) -> Result<Option<Timestamp>> {
        let sql = "SELECT at FROM audit_events WHERE id <= ?1 ORDER BY id DESC LIMIT 1";
        self.query_opt(sql, params![id], |row| row.get("at"))
    }

    /// The id of the last row; 0 if there is none.
    pub fn last_audit_id(&self) -> Result<i64> {
        self.query_one(
            "SELECT coalesce(max(id), 0) FROM audit_events",
            params![],
            |row| row.take(),
        )
    }
}

impl Tx<'_> {
    /// Adds a row for one event.
    pub fn insert_audit(&self, record: &AuditRecord, at: Timestamp) -> Result<()> {
        let (client, operator) = match &record.actor {
            Actor::Client(client) => (Some(client), None),
            Actor::Operator(operator) => (None, Some(operator)),
        };
        let subject = record.subject.as_ref();
        let sql = "INSERT INTO audit_events (at, event, refused_because, user_id, username, name_digest, session_id, detail,
                                       address, user_agent, trace_id, operator_uid, operator_sudo_user, operator_command)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
        let values = params![
            at,
            record.event,
            record.refused,
            subject.map(|subject| subject.user_id),
            subject.map(|subject| &subject.username),
            record.name,
            record.session_id,
            record.detail,
            address_text(client.and_then(|client| client.address)),
            client.and_then(|client| client.user_agent.as_ref()),
            client.and_then(|client| client.trace_id),
            operator.map(|operator| operator.uid),
            operator.and_then(|operator| operator.sudo_user.as_ref()),
            operator.map(|operator| &operator.command),
        ];
        self.execute(sql, values)
    }

    /// Adds events to the row that they share. A new row gets the time and the trace id of the first event.
    pub fn add_to_tally(&self, tally: &AuditTally, count: &AuditCount) -> Result<()> {
        let AuditKind {
            event,
            reason,
            subject,
            name,
        } = &tally.kind;
        let values = params![
            count.at,
            event,
            reason,
            address_text(tally.address),
            subject.as_ref().map(|subject| subject.user_id),
            subject.as_ref().map(|subject| &subject.username),
            name,
            count.trace_id,
            i64::try_from(count.times).unwrap_or(i64::MAX),
            tally.window_at,
        ];
        self.execute(self.engine.form(&ADD_TO_TALLY), values)
    }

    /// Adds one to the `refresh.repeated` row of this session and outcome since `since`; returns whether there is such a row.
    pub fn count_repeated(&self, record: &AuditRecord, since: Timestamp) -> Result<bool> {
        let sql = "UPDATE audit_events SET times = times + 1
             WHERE event = 'refresh.repeated' AND session_id = ?1 AND at >= ?2 AND refused_because IS NOT DISTINCT FROM ?3";
        let counted = self.execute_counted(sql, params![record.session_id, since, record.refused])?;
        Ok(counted > 0)
    }

    /// Removes rows from before `before` among the `limit` oldest; returns their number.
    ///
    /// Ids rise with the time, so no index of times is needed. If a clock was set back, a few rows stay a little longer.
    pub fn delete_old_audit(&self, before: Timestamp, limit: u32) -> Result<usize> {
        let sql = "DELETE FROM audit_events WHERE at < ?1 AND id IN (SELECT id FROM audit_events ORDER BY id LIMIT ?2)";
        self.execute_counted(sql, params![before, limit])
    }
}
