//! Counts of audit events by account and by name, beside the rows of the audit log. An event that shares a row of the log still counts for its
//! account or name.

use std::net::IpAddr;

use super::audit_filter::{AUDITED_ACCOUNTS, AuditCursor, subject_of};
use super::bounded::BoundedTable;
use super::columns::{Address, address_text};
use super::engine::Row;
use super::value::params;
use super::{AuditFilter, Reader, Result, Tx};
use crate::domain::{
    Actor, AuditEntry, AuditEvent, AuditReason, AuditRecord, AuditSubject, Client, NameDigest, Timestamp,
    UserId,
};

const TABLE: BoundedTable = BoundedTable {
    name: "audit_counts",
    changed_at: "last_at",
};
/// The maximum number of counts for names without an account: more than an operator reads, and about 3 MB with their index.
pub const MAX_NAME_COUNTS: u32 = 10_000;
/// Larger than the number of any row, so that every row of an account stays.
const NO_LIMIT: i64 = i64::MAX;

/// Events that are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AuditKind {
    pub event: AuditEvent,
    /// Why the events were refused; `None` if they were not.
    pub reason: Option<AuditReason>,
    pub subject: Option<AuditSubject>,
    /// The name that was given, if no account has it.
    pub name: Option<NameDigest>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KindCount {
    pub times: u64,
    pub first_at: Timestamp,
    pub last_at: Timestamp,
    /// The network of the last event.
    pub network: Option<IpAddr>,
    /// Whether each event has a row in the log that names the account.
    pub is_listed: bool,
}

/// Reads a count as an entry of the log, and whether every event that it counts has a row in the log.
fn entry_of(row: &mut Row<'_>) -> Result<(AuditEntry, bool)> {
    let subject: Vec<u8> = row.get("subject")?;
    let user_id = subject.as_slice().try_into().ok().map(UserId::from_bytes);
    let record = AuditRecord {
        event: row.get("event")?,
        refused: row.get("reason")?,
        actor: Actor::Client(Client {
            address: row.get::<Address>("last_network")?.0,
            user_agent: None,
            trace_id: None,
        }),
        subject: subject_of(user_id, row)?,
        name: subject.as_slice().try_into().ok().map(NameDigest),
        session_id: None,
        detail: None,
    };
    let entry = AuditEntry {
        id: None,
        at: row.get("first_at")?,
        last_at: Some(row.get("last_at")?),
        record,
        times: row.get("times")?,
    };
    Ok((entry, row.get("is_listed")?))
}

impl Reader<'_> {
    /// The last `limit` counts that `filter` selects, in the order of their last change; with each, whether every event that it counts has a row in the
    /// log. With a cursor, it returns only counts to which an event without a row was added after the cursor.
    ///
    /// Unless the filter is about one account or name, it returns only counts that include an event without a row.
    pub fn list_audit_counts(&self, filter: &AuditFilter, limit: u32) -> Result<Vec<(AuditEntry, bool)>> {
        let wanted = if filter.is_about_one() {
            "(subject = ?3 OR subject IN (SELECT user_id FROM wanted))"
        } else {
            "unlisted IS NOT NULL"
        };
        let sql = format!(
            "{AUDITED_ACCOUNTS}
            found AS (
                SELECT * FROM audit_counts
                WHERE {wanted}
                  AND (CAST(?8 AS BIGINT) IS NULL OR unlisted > CASE is_account WHEN 0 THEN ?8 ELSE CAST(?9 AS BIGINT) END)
                  AND last_at >= ?7
                  AND (CAST(?4 AS TEXT) IS NULL OR last_network IN (?4, ?5))
                  AND (CAST(?6 AS TEXT) IS NULL OR event = ?6 OR substr(event, 1, length(?6) + 1) = ?6 || '.')
                ORDER BY last_at DESC, number DESC LIMIT ?10
            )
            SELECT subject, username, event, nullif(refused_because, '') AS reason, times, first_at, last_at, last_network, unlisted IS NULL AS is_listed
            FROM found ORDER BY last_at, number"
        );
        let after = filter.counts_after;
        let (names, accounts) = after.map(|cursor| (cursor.names, cursor.accounts)).unzip();
        let shared = filter.values();
        self.query(&sql, &shared.and(params![names, accounts, limit]), entry_of)
    }

    /// The cursor that is before the first row of the log and after the last count.
    pub fn end_of_counts(&self) -> Result<AuditCursor> {
        let sql = "SELECT coalesce((SELECT max(number) FROM audit_counts WHERE is_account = 0), 0) AS names,
                    coalesce((SELECT max(number) FROM audit_counts WHERE is_account = 1), 0) AS accounts";
        self.query_one(sql, params![], |row| {
            Ok(AuditCursor {
                row: 0,
                names: row.get("names")?,
                accounts: row.get("accounts")?,
            })
        })
    }
}

impl Tx<'_> {
    /// Adds to the count of a kind.
    pub fn count_audit_kind(&self, kind: &AuditKind, count: &KindCount) -> Result<()> {
        let (is_account, most, subject): (_, _, &[u8]) = match (&kind.subject, &kind.name) {
            (Some(account), _) => (true, NO_LIMIT, account.user_id.as_bytes()),
            (None, Some(name)) => (false, i64::from(MAX_NAME_COUNTS), &name.0),
            (None, None) => (false, i64::from(MAX_NAME_COUNTS), &[]),
        };
        // SQLite takes the greatest number from the index only in a subquery of its own; elsewhere it reads every row.
        let sql = "INSERT INTO audit_counts (is_account, number, subject, username, event, refused_because, times, first_at, last_at,
                                       last_network, unlisted)
             SELECT ?1, next, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, CASE WHEN ?10 = 1 THEN NULL ELSE next END
             FROM (SELECT 1 + coalesce((SELECT max(number) FROM audit_counts WHERE is_account = ?1), 0) AS next) AS numbers WHERE true
             ON CONFLICT (subject, event, refused_because) DO UPDATE SET
                 number = excluded.number, username = excluded.username, times = audit_counts.times + excluded.times,
                 last_at = excluded.last_at, last_network = excluded.last_network,
                 unlisted = coalesce(excluded.unlisted, audit_counts.unlisted)";
        let values = params![
            is_account,
            subject,
            kind.subject.as_ref().map(|subject| subject.username.as_str()),
            kind.event,
            kind.reason.map_or("", <&str>::from),
            i64::try_from(count.times).unwrap_or(i64::MAX),
            count.first_at,
            count.last_at,
            address_text(count.network),
            count.is_listed,
        ];
        self.execute_counted(sql, values)?;
        // For an account this removes nothing. It runs all the same, so that the time of an answer does not tell whether there is an account.
        TABLE.trim(self, is_account, most)
    }

    /// Removes counts whose last change was before `before`, among the `limit` oldest of accounts and the `limit` oldest of names; returns their number.
    pub fn delete_old_audit_counts(&self, before: Timestamp, limit: u32) -> Result<usize> {
        TABLE.delete_old(self, before, limit)
    }
}
