//! The state of the buckets, in a bounded amount of memory.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::ShrinkableKeyedStateStore;
use parking_lot::{Mutex, MutexGuard};

use super::subject::Subject;

/// The number of locks: so many that requests hardly ever wait for one another.
const SHARDS: usize = 64;
/// How many entries a table of 1024 slots holds before it grows. All shards of a class take about 2 MiB.
const SHARD_CAPACITY: usize = 896;
/// How many buckets are dropped at once: so many that the search is rare, and adds next to nothing to the cost of a request.
const EVICTED: usize = SHARD_CAPACITY / 8;

/// For each subject, when its bucket is full again.
///
/// When a shard has no room for a new subject, the buckets that are nearest to full are dropped, which forgets the few
/// requests that were taken from them. So a client cannot empty its bucket and then make the server forget it by a flood:
/// the bucket is dropped only when seven eighths of its shard are at least as empty, and clients do not know the shards.
/// Such a flood takes tens of thousands of addresses that send as many requests each. A client that has so many addresses
/// can send its requests from them directly.
#[derive(Debug)]
pub(super) struct Buckets {
    shards: Vec<Mutex<Shard>>,
    hasher: RandomState,
}

type Shard = HashMap<Subject, Nanos>;

impl Buckets {
    /// The most buckets of one class.
    #[cfg(test)]
    pub(super) const CAPACITY: usize = SHARDS * SHARD_CAPACITY;

    fn shard_of(&self, subject: &Subject) -> MutexGuard<'_, Shard> {
        let hash = self.hasher.hash_one(subject);
        self.shards[usize::try_from(hash % SHARDS as u64).unwrap_or_default()].lock()
    }

    fn shards(&self) -> impl Iterator<Item = MutexGuard<'_, Shard>> {
        self.shards.iter().map(Mutex::lock)
    }
}

impl Default for Buckets {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
        }
    }
}

impl StateStore for Buckets {
    type Key = Subject;

    fn measure_and_replace<T, F, E>(&self, subject: &Subject, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut shard = self.shard_of(subject);
        if let Some(full_at) = shard.get_mut(subject) {
            let (outcome, next) = decide(Some(*full_at))?;
            *full_at = next;
            return Ok(outcome);
        }
        let (outcome, next) = decide(None)?;
        if shard.len() >= SHARD_CAPACITY {
            make_room(&mut shard);
        }
        shard.insert(*subject, next);
        Ok(outcome)
    }
}

impl ShrinkableKeyedStateStore<Subject> for Buckets {
    fn retain_recent(&self, drop_below: Nanos) {
        for mut shard in self.shards() {
            shard.retain(|_, full_at| *full_at > drop_below);
        }
    }

    fn shrink_to_fit(&self) {
        for mut shard in self.shards() {
            shard.shrink_to_fit();
        }
    }

    fn len(&self) -> usize {
        self.shards().map(|shard| shard.len()).sum()
    }

    fn is_empty(&self) -> bool {
        self.shards().all(|shard| shard.is_empty())
    }
}

/// Drops the [`EVICTED`] buckets that are nearest to full.
fn make_room(shard: &mut Shard) {
    let mut all: Vec<Nanos> = shard.values().copied().collect();
    let (earlier, last, _) = all.select_nth_unstable(EVICTED - 1);
    let mut ties = 1 + earlier.iter().filter(|time| *time == last).count();
    let mut must_go = |full_at: Nanos| {
        let is_tie = full_at == *last && ties > 0;
        ties -= usize::from(is_tie);
        full_at < *last || is_tie
    };
    // The kept ones move to a new table, because removed entries leave marks in the old one, which make it grow.
    let mut kept = Shard::with_capacity(SHARD_CAPACITY);
    kept.extend(shard.drain().filter(|(_, full_at)| !must_go(*full_at)));
    *shard = kept;
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    fn subject(number: u64) -> Subject {
        Subject::Network(Ipv6Addr::from_bits(u128::from(number) << 64).into())
    }

    #[test]
    fn those_nearest_to_full_make_way() {
        let mut shard: Shard = (0..896)
            .map(|number| (subject(number), Nanos::from(number)))
            .collect();
        make_room(&mut shard);
        assert_eq!(shard.len(), SHARD_CAPACITY - EVICTED);
        let mut left: Vec<u64> = shard.into_values().map(u64::from).collect();
        left.sort_unstable();
        assert_eq!(left.first().zip(left.last()), Some((&112, &895)));
    }

    #[test]
    fn of_equals_no_more_make_way_than_must() {
        let mut shard: Shard = (0..896).map(|number| (subject(number), Nanos::from(7))).collect();
        shard.insert(subject(0), Nanos::from(8));
        make_room(&mut shard);
        assert_eq!(shard.len(), SHARD_CAPACITY - EVICTED);
        assert!(shard.contains_key(&subject(0)));
    }

    #[test]
    fn a_table_does_not_grow_beyond_its_capacity() {
        let buckets = Buckets::default();
        for number in 0..200_000_u64 {
            let taken: Result<(), ()> =
                buckets.measure_and_replace(&subject(number), |_| Ok(((), Nanos::from(number))));
            taken.expect("it is decided so");
        }
        assert!(buckets.len() <= Buckets::CAPACITY);
        for shard in buckets.shards() {
            assert_eq!(shard.capacity(), SHARD_CAPACITY);
        }
    }
}
