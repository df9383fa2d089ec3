//! Who holds a place, whom it counts for, and who makes way first.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

use crate::limits::Subject;

/// Every connection, and how many of them count for each client.
#[derive(Default)]
pub(super) struct Table {
    taken: HashMap<u64, Entry>,
    /// Without the connections that were asked to leave.
    of_client: HashMap<Subject, usize>,
    next_number: u64,
}

struct Entry {
    occupant: Arc<Occupant>,
    counts_for: Option<Subject>,
}

/// A client has its whole share, and all of it is at work.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Crowded;

impl Table {
    /// Enters a connection, and returns its number.
    pub(super) fn enter(&mut self, occupant: &Arc<Occupant>, client: Option<Subject>) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        let entry = Entry {
            occupant: Arc::clone(occupant),
            counts_for: None,
        };
        self.taken.insert(number, entry);
        self.count(number, client);
        number
    }

    /// Takes a connection out. One that was asked to leave counts for no client any more.
    pub(super) fn remove(&mut self, number: u64) {
        self.count(number, None);
        self.taken.remove(&number);
    }

    /// From now on a connection counts for `client`, and for no other. One that was asked to leave counts for none.
    pub(super) fn count(&mut self, number: u64, client: Option<Subject>) {
        let Some(entry) = self.taken.get_mut(&number) else {
            return;
        };
        let client = client.filter(|_| !entry.occupant.is_leaving());
        if let Some(client) = client {
            *self.of_client.entry(client).or_default() += 1;
        }
        let before = std::mem::replace(&mut entry.counts_for, client);
        self.give_back(before);
    }

    /// Makes room for one more connection of `client`, whose share is `most`. `true` if another one of it makes way.
    ///
    /// # Errors
    /// [`Crowded`] if `client` has its whole share and none of it can make way.
    pub(super) fn make_room_for(&mut self, client: Subject, most: usize) -> Result<bool, Crowded> {
        if self.of_client.get(&client).is_none_or(|number| *number < most) {
            return Ok(false);
        }
        if self.evict(Some(client)) {
            Ok(true)
        } else {
            Err(Crowded)
        }
    }

    /// Asks the connection that comes first in the order of [`Occupant`] to leave, of all or of those that count for
    /// `client`. `false` if none can make way.
    ///
    /// Looks at all of them, which for two thousand takes less than accepting one does.
    pub(super) fn evict(&mut self, client: Option<Subject>) -> bool {
        loop {
            let first = self
                .taken
                .values_mut()
                .filter(|entry| client.is_none() || entry.counts_for == client)
                .filter_map(|entry| Some((entry.occupant.rank()?, entry)))
                .min_by_key(|(rank, _)| *rank);
            let Some((rank, entry)) = first else {
                return false;
            };
            // It may have begun a request in this moment; then another one is looked for.
            if entry.occupant.send_away(rank) {
                let client = entry.counts_for.take();
                self.give_back(client);
                return true;
            }
        }
    }

    /// How many connections there are.
    pub(super) fn len(&self) -> usize {
        self.taken.len()
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.taken.is_empty() && self.of_client.is_empty()
    }

    fn give_back(&mut self, client: Option<Subject>) {
        let Some(client) = client else { return };
        if let Some(number) = self.of_client.get_mut(&client) {
            *number -= 1;
            if *number == 0 {
                self.of_client.remove(&client);
            }
        }
    }
}

/// A connection as the others see it: one number, which says whether it can make way, and in which order.
///
/// Below [`LAST`](Self::LAST) it is the time since which the connection is at rest, in microseconds. With this bit it is
/// that time for a connection which a proxy keeps between two requests. It makes way after all others: the proxy may be
/// about to use it, and a request that meets a closing connection would be a 502.
pub(super) struct Occupant {
    state: AtomicU64,
    leave: Notify,
}

impl Occupant {
    const LAST: u64 = 1 << 62;
    const IN_LOBBY: u64 = u64::MAX - 2;
    const BUSY: u64 = u64::MAX - 1;
    const LEAVING: u64 = u64::MAX;

    /// A connection that begins to rest at `now`.
    pub(super) fn at_rest(now: u64) -> Self {
        Self {
            state: AtomicU64::new(now),
            leave: Notify::new(),
        }
    }

    /// A connection that has no place yet, and so none to give up.
    pub(super) fn in_lobby() -> Self {
        Self::at_rest(Self::IN_LOBBY)
    }

    /// Whether it still has no place.
    pub(super) fn is_in_lobby(&self) -> bool {
        self.state.load(Ordering::Acquire) == Self::IN_LOBBY
    }

    /// Takes a place; at rest since `now`.
    pub(super) fn leave_lobby(&self, now: u64) {
        // Nothing else changes the state of a connection in the lobby.
        self.state.store(now, Ordering::Release);
    }

    /// Is at rest since `now`, before a request or within one.
    pub(super) fn rest(&self, now: u64) {
        self.go_on_to(now);
    }

    /// Is kept by a proxy between two requests, since `now`.
    pub(super) fn rest_last(&self, now: u64) {
        self.go_on_to(now | Self::LAST);
    }

    /// Is at work: it does not make way. `false` if it was asked to leave before.
    pub(super) fn work(&self) -> bool {
        self.go_on_to(Self::BUSY)
    }

    /// Waits until it is asked to leave.
    pub(super) async fn asked_to_leave(&self) {
        self.leave.notified().await;
    }

    fn is_leaving(&self) -> bool {
        self.state.load(Ordering::Acquire) == Self::LEAVING
    }

    /// Its place in the order, lowest first; `None` if it cannot make way.
    fn rank(&self) -> Option<u64> {
        Some(self.state.load(Ordering::Acquire)).filter(|state| *state < Self::IN_LOBBY)
    }

    /// Asks it to leave, unless it has moved since it was looked at.
    fn send_away(&self, rank: u64) -> bool {
        let moved = self
            .state
            .compare_exchange(rank, Self::LEAVING, Ordering::AcqRel, Ordering::Acquire)
            .is_ok();
        if moved {
            self.leave.notify_one();
        }
        moved
    }

    /// `false` if it was asked to leave, after which nothing changes. In the lobby nothing changes either.
    fn go_on_to(&self, state: u64) -> bool {
        let found = self
            .state
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |found| {
                (found < Self::IN_LOBBY || found == Self::BUSY).then_some(state)
            });
        found != Err(Self::LEAVING)
    }
}
