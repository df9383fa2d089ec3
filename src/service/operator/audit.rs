//! Reading the audit log.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::{AuditEntry, AuditEvents, More, Page};
use crate::service::{Error, Service, UserRef};
use crate::store::{AuditCursor, AuditFilter, Reader};

/// The rows of the log that the operator asks for.
#[derive(Clone, Debug)]
pub struct AuditQuery {
    /// Only rows about this account, even if it was renamed or deleted. If no account has this name: only rows under the name.
    pub user: Option<UserRef>,
    pub events: Option<AuditEvents>,
    /// Only rows that are no older than this.
    pub since: Option<Duration>,
    pub part: AuditPart,
    pub limit: u32,
}

/// Which part of the log is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditPart {
    /// Its last rows.
    Last,
    /// The first rows after the row with this id; 0 for the beginning of the log.
    After(i64),
    /// The last rows before the row with this id.
    Before(i64),
    /// Everything after a position in the log.
    AfterCursor(AuditCursor),
}

/// A part of the log, as it was read.
#[derive(Clone, Debug)]
pub struct AuditPage {
    /// Rows, the oldest first; then counts that include events without a row, in the order of their last change.
    pub entries: Vec<AuditEntry>,
    /// The number of rows among the entries.
    pub rows: usize,
    /// How many other rows match: later ones if the part begins after a row, else earlier ones.
    pub more: More,
    /// The position after this part.
    pub end: AuditCursor,
}

/// Reads the part of the log that a filter asks for: at most `limit` rows, and at most as many counts unless the filter is about one account or name.
pub(super) fn list(reader: &Reader<'_>, filter: &AuditFilter, limit: u32) -> Result<AuditPage, Error> {
    // Read before the rows, so that a count that changes meanwhile is read the next time.
    let mut end = reader.end_of_counts()?;
    let Page { rows, more } = reader.list_audit(filter, limit)?;
    let last = rows.iter().rev().find_map(|entry| entry.id);
    end.row = last.or(filter.after).unwrap_or_default();
    let mut page = AuditPage {
        rows: rows.len(),
        more,
        end,
        entries: rows,
    };
    // Counts follow the last row of the log.
    let is_end = filter.before.is_none() && (filter.after.is_none() || more.rows == 0);
    if is_end {
        let counts = counts_to_list(reader, filter, &page, limit)?;
        page.entries.extend(counts);
    }
    Ok(page)
}

/// The counts that follow the rows of a page.
fn counts_to_list(
    reader: &Reader<'_>,
    filter: &AuditFilter,
    page: &AuditPage,
    limit: u32,
) -> Result<Vec<AuditEntry>, Error> {
    let is_cut = page.more.rows > 0;
    // If older rows of the whole log are left out, counts that last changed before the first row here are left out too.
    let oldest = page.entries.first().filter(|_| is_cut && !filter.is_about_one());
    let since = match (filter.after, filter.counts_after) {
        // A list that begins after a row leaves out counts that last changed before that row.
        (Some(id), None) => reader.find_audit_time(id)?,
        _ => oldest.map(|entry| entry.at),
    };
    // An account or a name has few counts, so all of them are listed.
    let most = if filter.is_about_one() { u32::MAX } else { limit };
    let counts = reader.list_audit_counts(
        &AuditFilter {
            since: filter.since.or(since),
            counts_after: filter.counts_after.map(|cursor| cursor.or_start_before(page.end)),
            ..filter.clone()
        },
        most,
    )?;
    let counts_to_list = counts.into_iter().filter(|(count, is_listed)| {
        !is_listed || is_cut && filter.is_about_one() && !is_told(count, &page.entries)
    });
    Ok(counts_to_list.map(|(count, _)| count).collect())
}

/// Whether `rows` show every event that `count` includes.
fn is_told(count: &AuditEntry, rows: &[AuditEntry]) -> bool {
    let counted = &count.record;
    let is_same = |row: &&AuditEntry| {
        let is_at_same = match (&row.record.subject, &counted.subject) {
            (Some(of), Some(subject)) => of.user_id == subject.user_id,
            (None, None) => row.record.name == counted.name,
            _ => false,
        };
        is_at_same && row.record.event == counted.event && row.record.refused == counted.refused
    };
    rows.iter().filter(is_same).map(|row| row.times).sum::<u64>() >= count.times
}

impl Service {
    /// Reads the part of the log that `query` asks for.
    ///
    /// # Errors
    /// [`Error::UserNotFound`] for a name that no account can have; [`Error::NotInList`] for the id of a row that was never written.
    pub async fn list_audit(&self, query: AuditQuery) -> Result<AuditPage, Error> {
        let rules = Arc::clone(&self.rules);
        let since = query.since.map(|since| self.system.now() - since);
        self.store
            .report(move |reader| {
                let (after, before, counts_after) = match query.part {
                    AuditPart::Last => (None, None, None),
                    AuditPart::After(id) => (Some(id), None, None),
                    AuditPart::Before(id) => (None, Some(id), None),
                    AuditPart::AfterCursor(cursor) => (Some(cursor.row), None, Some(cursor)),
                };
                // Rows with smaller ids may have been swept; a list can begin at such an id all the same.
                if let AuditPart::After(id) | AuditPart::Before(id) = query.part
                    && id > reader.last_audit_id()?
                {
                    return Err(Error::NotInList(id.to_string()));
                }
                let filter = AuditFilter {
                    events: query.events,
                    since,
                    after,
                    before,
                    counts_after,
                    ..match &query.user {
                        Some(user) => user.audit_filter(reader, &rules.keys)?,
                        None => AuditFilter::default(),
                    }
                };
                list(reader, &filter, query.limit)
            })
            .await
    }
}
