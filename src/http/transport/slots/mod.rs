//! Who is connected: how many at once, how many for one client, and who makes way for a newcomer.
//!
//! A connection is *at rest* unless a request of it is being carried out: between two requests, and while its client is
//! still sending one. A newcomer that finds every place taken gets that of the connection which has been at rest the
//! longest, so a client that opens connections and asks nothing cannot keep others out. What is being carried out is
//! never cut off for another client. One newcomer costs one connection at most.
//!
//! A connection counts for the client at its other end. Those of a listed proxy stand for many clients, one after the
//! other: each counts for the client of the request that is on it, from the end of the head until the answer is made,
//! and for none between two requests.

mod table;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use crate::domain::TrustedProxies;
use crate::http::pipeline::client_address::Peer;
use crate::http::pipeline::respond::Cut;
use crate::limits::Subject;
pub(crate) use table::Crowded;
use table::{Occupant, Table};

/// While no connection is at rest: after how long to look again, beside waiting for a place that falls free by itself.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(50);
/// A connection that makes way is gone long before. If its place went to another newcomer, one more makes way.
const LEAVES_WITHIN: Duration = Duration::from_secs(1);
/// How often the log may say that places run out: it lasts while a flood does.
const TELL_AT_MOST_EVERY: Duration = Duration::from_mins(1);
/// How many connections of proxies may wait beside the places for their first head, which a proxy sends at once. Only
/// the head says whose share the connection is of, and so which other one makes way.
const LOBBY: usize = 64;

/// The places of connections.
pub(super) struct Slots {
    most: usize,
    most_for_client: usize,
    free: Arc<Semaphore>,
    lobby: Arc<Semaphore>,
    table: Mutex<Table>,
    told_at: Mutex<Option<Instant>>,
    /// What moments are counted from, so that one fits into an atomic number.
    began_at: Instant,
}

impl Slots {
    /// `most` in all, at least one; `most_for_client` for one IPv4 address or IPv6 network of 64 bits.
    pub(crate) fn new(most: usize, most_for_client: usize) -> Arc<Self> {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        Arc::new(Self {
            most,
            most_for_client,
            free: Arc::new(Semaphore::new(most)),
            lobby: Arc::new(Semaphore::new(LOBBY)),
            table: Mutex::default(),
            told_at: Mutex::default(),
            began_at: Instant::now(),
        })
    }

    /// Finds a slot for a connection of `client`, or of a proxy if that is `None`; waits while all places are taken and
    /// no connection is at rest.
    ///
    /// # Errors
    /// [`Crowded`]: the connection is to be closed.
    pub(crate) async fn admit(self: &Arc<Self>, client: Option<Subject>) -> Result<Slot, Crowded> {
        if client.is_none()
            && self.free.available_permits() == 0
            && let Ok(permit) = Arc::clone(&self.lobby).try_acquire_owned()
        {
            return Ok(self.seat(None, Occupant::in_lobby(), permit));
        }
        let has_made_room = match client {
            Some(client) => self.make_room_for(client, None)?,
            None => false,
        };
        let permit = self.place(has_made_room).await;
        Ok(self.seat(client, Occupant::at_rest(self.now()), permit))
    }

    /// Asks the connection that has been at rest the longest to leave. `false` if there is none.
    pub(super) fn make_room(&self) -> bool {
        self.tell("there are as many connections as there may be");
        self.table().evict(None)
    }

    /// How many connections there are.
    pub(crate) fn taken(&self) -> usize {
        self.table().len()
    }

    /// Waits until there are none.
    pub(super) async fn all_free(&self) {
        for (places, number) in [(&self.free, self.most), (&self.lobby, LOBBY)] {
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            let _ = places.acquire_many(number).await;
        }
    }

    /// Makes room within the share of `client`, and has connection `number`, if there is one yet, count for it.
    /// `true` if another connection makes way.
    fn make_room_for(&self, client: Subject, number: Option<u64>) -> Result<bool, Crowded> {
        let made_room = {
            let mut table = self.table();
            let made_room = table.make_room_for(client, self.most_for_client);
            if let (Ok(_), Some(number)) = (&made_room, number) {
                table.count(number, Some(client));
            }
            made_room
        };
        if made_room != Ok(false) {
            self.tell("a client holds as many connections as one may");
        }
        made_room
    }

    /// Waits for a place. One connection makes way for it, unless one did already.
    async fn place(&self, has_made_room: bool) -> OwnedSemaphorePermit {
        let mut made_room_at = has_made_room.then(Instant::now);
        loop {
            if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
                return permit;
            }
            let is_due = made_room_at.is_none_or(|made_room_at| made_room_at.elapsed() > LEAVES_WITHIN);
            if is_due && self.make_room() {
                made_room_at = Some(Instant::now());
            }
            let freed = Arc::clone(&self.free).acquire_owned();
            if let Ok(permit) = timeout(LOOK_AGAIN_AFTER, freed).await {
                return permit.expect("nothing closes the semaphore");
            }
        }
    }

    fn seat(
        self: &Arc<Self>,
        client: Option<Subject>,
        occupant: Occupant,
        permit: OwnedSemaphorePermit,
    ) -> Slot {
        let occupant = Arc::new(occupant);
        let number = self.table().enter(&occupant, client);
        Slot {
            slots: Arc::clone(self),
            number,
            is_of_proxy: client.is_none(),
            occupant,
            permit: Mutex::new(permit),
        }
    }

    fn tell(&self, what: &'static str) {
        let mut told_at = lock(&self.told_at);
        if told_at.is_none_or(|told_at| told_at.elapsed() >= TELL_AT_MOST_EVERY) {
            *told_at = Some(Instant::now());
            tracing::warn!(
                connections = self.taken(),
                "{what}: those that are at rest make way for new ones"
            );
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began_at.elapsed().as_micros()).unwrap_or_default()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        lock(&self.table)
    }
}

/// Whom a connection counts for, whatever is asked on it; `None` for one of a listed proxy.
pub(super) fn client_of(peer: Peer, trusted: &TrustedProxies) -> Option<Subject> {
    (!peer.is_proxy(trusted)).then(|| Subject::of_address(peer.address()))
}

/// The place of one connection, which falls free when this is dropped.
pub(crate) struct Slot {
    slots: Arc<Slots>,
    number: u64,
    is_of_proxy: bool,
    occupant: Arc<Occupant>,
    /// For a place, or for the lobby until there is one.
    permit: Mutex<OwnedSemaphorePermit>,
}

impl Slot {
    /// The head of a request of `client` was read: from now on a connection of a proxy counts for that client. Waits for
    /// a place if the connection has none yet.
    ///
    /// # Errors
    /// [`Crowded`]: the request is to be refused.
    pub(crate) async fn count_for(&self, client: Subject) -> Result<(), Crowded> {
        if !self.is_of_proxy {
            return Ok(());
        }
        let has_made_room = self.slots.make_room_for(client, Some(self.number))?;
        if self.occupant.is_in_lobby() {
            let place = self.slots.place(has_made_room).await;
            *lock(&self.permit) = place;
            self.occupant.leave_lobby(self.slots.now());
        } else {
            self.occupant.rest(self.slots.now());
        }
        Ok(())
    }

    /// Whether the connection still has no place: its first request was refused, and it may not wait for another.
    pub(super) fn is_in_lobby(&self) -> bool {
        self.occupant.is_in_lobby()
    }

    /// A whole request is there: from now on the connection does not make way.
    ///
    /// # Errors
    /// It was asked to leave before, and nothing of the request may be done: its client will not see the answer.
    pub(crate) fn begin(&self) -> Result<(), Cut> {
        self.occupant.work().then_some(()).ok_or(Cut::SentAway)
    }

    /// A request begins: from now on the connection is at rest.
    pub(crate) fn rest(&self) {
        self.occupant.rest(self.slots.now());
    }

    /// A request is answered: the connection is at rest, and that of a proxy counts for no client.
    pub(crate) fn end(&self) {
        if self.is_of_proxy {
            self.slots.table().count(self.number, None);
            self.occupant.rest_last(self.slots.now());
        } else {
            self.rest();
        }
    }

    /// Waits until the connection is to make way.
    pub(super) async fn sent_away(&self) {
        self.occupant.asked_to_leave().await;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.table().remove(self.number);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
