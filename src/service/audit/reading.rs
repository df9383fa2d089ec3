//! Reading the audit log.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::{AuditEntry, AuditEvents, network_of};
use crate::service::{Error, Service, UserRef};
use crate::store::{AuditFilter, AuditPlace, Reader};

/// Which rows of the log are wanted.
#[derive(Clone, Debug)]
pub struct AuditQuery {
    /// Only those about this account, also if it is gone or has another name now; or under this name, if it is no account's.
    pub user: Option<UserRef>,
    /// Only these events.
    pub events: Option<AuditEvents>,
    /// Only the last so long.
    pub since: Option<Duration>,
    /// Only what came behind this place.
    pub after: Option<AuditPlace>,
    /// The most rows; the latest are given.
    pub limit: u32,
}

/// A part of the log.
#[derive(Clone, Debug)]
pub struct AuditPage {
    /// Rows, the oldest first; behind them the counts in place that tell what these rows do not, the one that changed last at the end.
    pub entries: Vec<AuditEntry>,
    /// How many of these are rows.
    pub rows: usize,
    /// The place behind it.
    pub end: AuditPlace,
}

/// The forms in which rows have an address: as it is, and its network where rows are shared.
pub(in crate::service) fn addresses_of(address: IpAddr) -> [IpAddr; 2] {
    [address.to_canonical(), network_of(address)]
}

/// The part of the log that a filter asks for, of at most `limit` rows; of the whole log no more counts either.
pub(in crate::service) fn list(
    reader: &Reader<'_>,
    filter: &AuditFilter,
    limit: u32,
) -> Result<AuditPage, Error> {
    // Before the rows, so that what comes meanwhile is behind the place and not lost.
    let end = reader.find_count_place()?;
    let filter = AuditFilter {
        after: filter.after.map(|place| AuditPlace {
            counts: place.counts.or_start_before(end),
            ..place
        }),
        ..filter.clone()
    };
    let mut entries = reader.list_audit(&filter, limit)?;
    let rows = entries.len();
    let is_cut = rows == usize::try_from(limit).unwrap_or(usize::MAX);
    // Who asks for the last rows of the whole log does not ask for what was counted long before them.
    let oldest = entries.first().filter(|_| is_cut && !filter.is_about_one());
    let since = filter.since.or(oldest.map(|entry| entry.at));
    // All of one account are few.
    let most = if filter.is_about_one() { u32::MAX } else { limit };
    let counts = reader.list_audit_counts(
        &AuditFilter {
            since,
            ..filter.clone()
        },
        most,
    )?;
    let untold = counts.into_iter().filter(|count| {
        !count.is_listed || is_cut && filter.is_about_one() && !is_told(&count.entry, &entries)
    });
    let untold: Vec<AuditEntry> = untold.map(|count| count.entry).collect();
    let last = entries.iter().rev().find_map(|entry| entry.id);
    entries.extend(untold);
    Ok(AuditPage {
        entries,
        rows,
        end: AuditPlace {
            row: last.or(filter.after.map(|place| place.row)).unwrap_or_default(),
            counts: end,
        },
    })
}

/// Whether rows tell everything that was counted.
fn is_told(count: &AuditEntry, rows: &[AuditEntry]) -> bool {
    let counted = &count.record;
    let is_same = |row: &&AuditEntry| {
        let is_at_same = match (&row.record.subject, &counted.subject) {
            (Some(of), Some(subject)) => of.user_id == subject.user_id,
            (None, None) => row.record.name == counted.name,
            _ => false,
        };
        is_at_same && row.record.event == counted.event && row.record.outcome == counted.outcome
    };
    rows.iter().filter(is_same).map(|row| row.times).sum::<u64>() >= count.times
}

impl Service {
    /// The part of the log that `query` asks for.
    ///
    /// # Errors
    /// [`Error::UserNotFound`] for a name that no account can have.
    pub async fn list_audit(&self, query: AuditQuery) -> Result<AuditPage, Error> {
        let auditor = Arc::clone(&self.auditor);
        let since = query.since.map(|since| self.system.now() - since);
        self.store
            .report(move |reader| {
                let filter = AuditFilter {
                    events: query.events,
                    since,
                    after: query.after,
                    ..match &query.user {
                        Some(user) => user.audit_filter(reader, &auditor)?,
                        None => AuditFilter::default(),
                    }
                };
                list(reader, &filter, query.limit)
            })
            .await
    }
}
