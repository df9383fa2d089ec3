//! Events that are counted in memory until they are written.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use super::budget::{Budgets, Class, HOUR, MINUTE};
use crate::domain::{AuditRecord, Timestamp, network_of};
use crate::store::{AuditCount, AuditKind, AuditTally, KindCount};

/// The maximum number of kinds that are counted between two writes, and of tallies that are put back after a failed write. Events of further kinds are
/// counted only in their tally; further tallies are lost.
const MOST: usize = 10_000;

/// Tallies that are to be written.
pub(crate) type Tallies = Vec<(AuditTally, AuditCount)>;
/// Counts of kinds that are to be written.
pub(crate) type Kinds = Vec<(AuditKind, KindCount)>;

/// The counts of a process, shared with the closures that give a row back to the budgets when a change is undone.
#[derive(Clone, Default)]
pub(crate) struct SharedCounts(Arc<Mutex<PendingCounts>>);

impl SharedCounts {
    pub(crate) fn lock(&self) -> MutexGuard<'_, PendingCounts> {
        self.0.lock()
    }
}

/// Counts that are not yet in the database.
#[derive(Debug, Default)]
pub(crate) struct PendingCounts {
    pub(super) budgets: Budgets,
    /// The counts since the last write. A tally of the present minute stays after a write, so that it takes no second row of the budget.
    tallies: HashMap<AuditTally, AuditCount>,
    /// The counts of kinds since the last write.
    kinds: HashMap<AuditKind, KindCount>,
}

impl PendingCounts {
    /// Counts a refusal by a client.
    pub(crate) fn note(&mut self, record: &AuditRecord, now: Timestamp) {
        let client = record.actor.client();
        let mut tally = AuditTally {
            kind: kind_of(record),
            address: client.address.map(network_of),
            window_at: now.start_of(MINUTE),
        };
        let mut trace_id = client.trace_id;
        let class = Class::of_tally(record.event);
        let is_listed = self.tallies.contains_key(&tally) || self.budgets.take(class, record, now).is_some();
        if !is_listed {
            tally = shared_tally(record, now);
            trace_id = None;
        }
        let first = AuditCount {
            times: 0,
            at: now,
            trace_id,
        };
        self.tallies.entry(tally).or_insert(first).times += 1;
        if record.subject.is_some() || record.name.is_some() {
            self.count(kind_of(record), one(record, now, is_listed));
        }
    }

    /// Takes the counts since the last call, to write them.
    pub(crate) fn take(&mut self, now: Timestamp) -> (Tallies, Kinds) {
        let this_minute = now.start_of(MINUTE);
        let taken = self.tallies.iter().filter(|(_, count)| count.times > 0);
        let taken = taken.map(|(tally, count)| (tally.clone(), *count)).collect();
        self.tallies.retain(|tally, count| {
            count.times = 0;
            tally.window_at >= this_minute
        });
        (taken, self.kinds.drain().collect())
    }

    /// Puts back counts that could not be written.
    pub(crate) fn put_back(&mut self, tallies: Tallies, kinds: &[(AuditKind, KindCount)]) {
        for (tally, count) in tallies {
            let is_known = self.tallies.contains_key(&tally);
            if is_known || self.tallies.len() < MOST {
                let first = AuditCount { times: 0, ..count };
                self.tallies.entry(tally).or_insert(first).times += count.times;
            }
        }
        for (kind, count) in kinds {
            self.count(kind.clone(), *count);
        }
    }

    fn count(&mut self, kind: AuditKind, count: KindCount) {
        if self.kinds.len() >= MOST && !self.kinds.contains_key(&kind) {
            return;
        }
        let pending = self.kinds.entry(kind).or_insert(KindCount { times: 0, ..count });
        let is_later = count.last_at >= pending.last_at;
        *pending = KindCount {
            times: pending.times + count.times,
            first_at: pending.first_at.min(count.first_at),
            last_at: pending.last_at.max(count.last_at),
            network: if is_later { count.network } else { pending.network },
            is_listed: pending.is_listed && count.is_listed,
        };
    }
}

/// The tally of the hour, for events without a row of their own.
pub(super) fn shared_tally(record: &AuditRecord, now: Timestamp) -> AuditTally {
    AuditTally {
        kind: AuditKind {
            subject: None,
            name: None,
            ..kind_of(record)
        },
        address: None,
        window_at: now.start_of(HOUR),
    }
}

/// The kind under which a record is counted.
pub(super) fn kind_of(record: &AuditRecord) -> AuditKind {
    AuditKind {
        event: record.event,
        reason: record.refused,
        subject: record.subject.clone(),
        name: record.name,
    }
}

/// A record as a count of one; `is_listed` says whether it has a row that names its account.
pub(super) fn one(record: &AuditRecord, now: Timestamp, is_listed: bool) -> KindCount {
    KindCount {
        times: 1,
        first_at: now,
        last_at: now,
        network: record.actor.client().address.map(network_of),
        is_listed,
    }
}
