//! Who is connected: how many at once, how many from one address, and who makes way for a newcomer.
//!
//! A connection is *at rest* unless a request of it is being carried out: between two requests, and while its client is
//! still sending one. A newcomer that finds every slot taken gets that of the connection which has been at rest the
//! longest, so whoever opens connections and asks nothing cannot keep out those who ask. What is being carried out is
//! never cut off for somebody else. Listed proxies and the unix socket have no share of their own and never make way:
//! each of their connections stands for many clients.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::client_address::{self, Peer};
use super::respond::Cut;
use crate::domain::{TrustedProxies, network_of};

/// While nobody is at rest: after how long to look again, beside waiting for a slot that falls free by itself.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(50);
/// How often the log may say that slots run out: it lasts while somebody is at it.
const TELL_AT_MOST_EVERY: Duration = Duration::from_mins(1);

/// The places of connections.
pub(super) struct Slots {
    most: usize,
    most_per_address: usize,
    free: Arc<Semaphore>,
    table: Mutex<Table>,
    /// What moments are counted from, so that one fits into an atomic number.
    began_at: Instant,
}

#[derive(Default)]
struct Table {
    taken: HashMap<u64, Arc<Occupant>>,
    /// How many of them each network has, without those that were asked to leave.
    of_network: HashMap<IpAddr, usize>,
    next_number: u64,
    told_at: Option<Instant>,
}

impl Slots {
    /// `most` in all, at least one; `most_per_address` of one IPv4 address or IPv6 network of 64 bits.
    pub(super) fn new(most: usize, most_per_address: usize) -> Arc<Self> {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        Arc::new(Self {
            most,
            most_per_address,
            free: Arc::new(Semaphore::new(most)),
            table: Mutex::default(),
            began_at: Instant::now(),
        })
    }

    /// Finds a slot for a connection of `network`; waits while all are taken and nobody is at rest.
    ///
    /// `None` if the network has its whole share and none of it is at rest: the connection is to be closed.
    pub(super) async fn admit(self: &Arc<Self>, network: Option<IpAddr>) -> Option<Slot> {
        if let Some(network) = network.filter(|network| self.has_whole_share(*network)) {
            self.tell("an address holds as many connections as one may");
            if !self.send_one_away(|candidate| candidate == network) {
                return None;
            }
        }
        let permit = loop {
            if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
                break permit;
            }
            self.make_room();
            if let Ok(permit) = timeout(LOOK_AGAIN_AFTER, Arc::clone(&self.free).acquire_owned()).await {
                break permit.ok()?;
            }
        };
        Some(self.seat(network, permit))
    }

    /// Asks the connection that has been at rest the longest to leave, if there is one.
    pub(super) fn make_room(&self) {
        self.tell("there are as many connections as there may be");
        self.send_one_away(|_| true);
    }

    /// How many are taken.
    pub(super) fn taken(&self) -> usize {
        self.most - self.free.available_permits()
    }

    /// Waits until none is taken.
    pub(super) async fn all_free(&self) {
        let _ = self
            .free
            .acquire_many(u32::try_from(self.most).unwrap_or(u32::MAX))
            .await;
    }

    fn seat(self: &Arc<Self>, network: Option<IpAddr>, permit: OwnedSemaphorePermit) -> Slot {
        let occupant = Arc::new(Occupant {
            network,
            rests_since: AtomicU64::new(self.now()),
            leave: Notify::new(),
        });
        let mut table = self.table();
        let number = table.next_number;
        table.next_number += 1;
        table.taken.insert(number, Arc::clone(&occupant));
        if let Some(network) = network {
            *table.of_network.entry(network).or_default() += 1;
        }
        drop(table);
        Slot {
            slots: Arc::clone(self),
            number,
            occupant,
            _permit: permit,
        }
    }

    fn has_whole_share(&self, network: IpAddr) -> bool {
        self.table()
            .of_network
            .get(&network)
            .is_some_and(|number| *number >= self.most_per_address)
    }

    /// Looks at all of them, which for two thousand takes less than accepting one does.
    fn send_one_away(&self, is_candidate: impl Fn(IpAddr) -> bool) -> bool {
        let mut table = self.table();
        loop {
            let longest = table
                .taken
                .values()
                .filter_map(|occupant| Some((occupant.rests_since()?, occupant, occupant.network?)))
                .filter(|(_, _, network)| is_candidate(*network))
                .min_by_key(|(since, ..)| *since);
            let Some((since, occupant, network)) = longest else {
                return false;
            };
            // It may have begun a request in this moment; then another one is looked for.
            if occupant.send_away(since) {
                table.give_back(network);
                return true;
            }
        }
    }

    fn tell(&self, what: &'static str) {
        let mut table = self.table();
        if table
            .told_at
            .is_none_or(|told_at| told_at.elapsed() >= TELL_AT_MOST_EVERY)
        {
            table.told_at = Some(Instant::now());
            tracing::warn!(
                connections = self.taken(),
                "{what}: those that are at rest make way for new ones"
            );
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began_at.elapsed().as_micros()).unwrap_or(Occupant::BUSY - 1)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn give_back(&mut self, network: IpAddr) {
        if let Some(number) = self.of_network.get_mut(&network) {
            *number -= 1;
            if *number == 0 {
                self.of_network.remove(&network);
            }
        }
    }
}

/// What the share of a peer is counted by: its address, or the network that a whole IPv6 customer has. `None` for a peer
/// without a share: a listed proxy, or the unix socket.
pub(super) fn share_of(peer: Peer, trusted: &TrustedProxies) -> Option<IpAddr> {
    match peer {
        Peer::Address(address) if !client_address::is_trusted(address, trusted) => Some(network_of(address)),
        Peer::Address(_) | Peer::Unix => None,
    }
}

/// A connection as the others see it.
struct Occupant {
    network: Option<IpAddr>,
    /// In microseconds since the server began, or [`BUSY`](Self::BUSY), or [`SENT_AWAY`](Self::SENT_AWAY).
    rests_since: AtomicU64,
    leave: Notify,
}

impl Occupant {
    const SENT_AWAY: u64 = u64::MAX;
    const BUSY: u64 = u64::MAX - 1;

    /// `None` while it is busy, or asked to leave already.
    fn rests_since(&self) -> Option<u64> {
        Some(self.rests_since.load(Ordering::Acquire)).filter(|since| *since < Self::BUSY)
    }

    /// Asks it to leave, unless it has moved since it was looked at.
    fn send_away(&self, since: u64) -> bool {
        let moved =
            self.rests_since
                .compare_exchange(since, Self::SENT_AWAY, Ordering::AcqRel, Ordering::Acquire);
        if moved.is_ok() {
            self.leave.notify_one();
        }
        moved.is_ok()
    }

    /// Goes on to `state`; `false` if it was asked to leave, after which nothing changes.
    fn enter(&self, state: u64) -> bool {
        let entered = self
            .rests_since
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |found| {
                (found != Self::SENT_AWAY).then_some(state)
            });
        entered.is_ok()
    }
}

/// The place of one connection, which falls free when this is dropped.
pub(super) struct Slot {
    slots: Arc<Slots>,
    number: u64,
    occupant: Arc<Occupant>,
    _permit: OwnedSemaphorePermit,
}

impl Slot {
    /// A whole request is there: from now on the connection does not make way.
    ///
    /// # Errors
    /// It was asked to leave before, and nothing of the request may be done: its client will not see the answer.
    pub(super) fn begin(&self) -> Result<(), Cut> {
        self.occupant
            .enter(Occupant::BUSY)
            .then_some(())
            .ok_or(Cut::SentAway)
    }

    /// From now on the connection is at rest.
    pub(super) fn rest(&self) {
        self.occupant.enter(self.slots.now());
    }

    /// Waits until the connection is to make way.
    pub(super) async fn sent_away(&self) {
        self.occupant.leave.notified().await;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut table = self.slots.table();
        table.taken.remove(&self.number);
        // Of one that was sent away this was done then.
        if let Some(network) = self
            .occupant
            .network
            .filter(|_| self.occupant.enter(Occupant::SENT_AWAY))
        {
            table.give_back(network);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(address: &str, trusted: &[&str]) -> Option<String> {
        let networks = trusted
            .iter()
            .map(|network| network.parse().expect("it is a network"));
        let trusted = TrustedProxies {
            networks: networks.collect(),
            unix: true,
        };
        let peer = address.parse().map_or(Peer::Unix, Peer::Address);
        share_of(peer, &trusted).map(|network| network.to_string())
    }

    #[test]
    fn an_address_or_the_network_of_a_customer_has_one_share() {
        assert_eq!(network("192.0.2.7", &[]).as_deref(), Some("192.0.2.7"));
        assert_eq!(
            network("2001:db8:1:2:3::4", &[]).as_deref(),
            Some("2001:db8:1:2::")
        );
        assert_eq!(network("192.0.2.7", &["192.0.2.0/24"]), None);
        assert_eq!(network("unix", &[]), None);
    }

    fn from(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    async fn is_sent_away(slot: &Slot) -> bool {
        timeout(Duration::ZERO, slot.sent_away()).await.is_ok()
    }

    /// Whether a newcomer is still waiting after a moment that is shorter than it waits before looking again.
    async fn has_to_wait(slots: &Arc<Slots>, network: Option<IpAddr>) -> bool {
        timeout(LOOK_AGAIN_AFTER / 10, slots.admit(network))
            .await
            .is_err()
    }

    #[tokio::test]
    async fn whoever_rests_makes_way_and_nobody_who_is_busy() {
        let slots = Slots::new(3, 3);
        let busy = slots.admit(Some(from(1))).await.expect("it is free");
        busy.begin().expect("nobody sent it away");
        let proxy = slots.admit(None).await.expect("it is free");
        let resting = slots.admit(Some(from(2))).await.expect("it is free");
        assert!(has_to_wait(&slots, Some(from(3))).await, "nobody has left yet");
        assert!(is_sent_away(&resting).await);
        assert!(resting.begin().is_err(), "its request must not be carried out");
        assert!(!is_sent_away(&busy).await && !is_sent_away(&proxy).await);
        drop(resting);
        let newcomer = slots.admit(Some(from(3))).await.expect("it got the slot");
        newcomer.begin().expect("nobody sent it away");
        let leave = async {
            // Nobody is at rest now, until this one is.
            busy.rest();
            busy.sent_away().await;
            drop(busy);
        };
        let (last, ()) = tokio::join!(slots.admit(Some(from(4))), leave);
        assert!(!is_sent_away(&newcomer).await);
        assert_eq!(slots.taken(), 3);
        drop((proxy, newcomer, last));
        assert!(slots.table().taken.is_empty() && slots.table().of_network.is_empty());
        assert_eq!(slots.taken(), 0);
    }

    #[tokio::test]
    async fn the_one_that_rests_longest_makes_way() {
        let slots = Slots::new(3, 3);
        let admit = async |last| {
            let admitted = slots.admit(Some(from(last))).await.expect("it is free");
            tokio::time::sleep(Duration::from_millis(2)).await;
            admitted
        };
        let (first, second, third) = (admit(1).await, admit(2).await, admit(3).await);
        first.rest();
        assert!(has_to_wait(&slots, Some(from(4))).await);
        assert!(is_sent_away(&second).await);
        assert!(!is_sent_away(&first).await && !is_sent_away(&third).await);
    }

    #[tokio::test]
    async fn an_address_with_its_whole_share_replaces_its_own() {
        let slots = Slots::new(10, 2);
        let other = slots.admit(Some(from(2))).await.expect("it is free");
        let first = slots.admit(Some(from(1))).await.expect("it is free");
        first.begin().expect("nobody sent it away");
        let second = slots.admit(Some(from(1))).await.expect("it is free");
        let third = slots
            .admit(Some(from(1)))
            .await
            .expect("the second one makes way");
        assert!(is_sent_away(&second).await && !is_sent_away(&other).await);
        third.begin().expect("nobody sent it away");
        assert!(slots.admit(Some(from(1))).await.is_none(), "both are busy");
        drop((first, second, third));
        assert!(slots.admit(Some(from(1))).await.is_some());
    }
}
