//! Limits how many connections are open at once, in all and for one client, and chooses which connection is evicted for a new one.
//!
//! A connection is *busy* while one of its requests is carried out, and *at rest* otherwise: between two requests, and while its client still sends one. A new
//! connection that finds every place taken evicts the one that has been at rest the longest, so a client that opens connections and sends nothing cannot keep
//! others out. A busy connection is never evicted. A new connection evicts one other, and another only if the place has not become free after a second.
//!
//! A connection counts for the client at its other end. A connection of a listed proxy carries requests of many clients, one after the other: it counts for
//! the client of its present request, from the end of the head until the answer is ready, and for no client between two requests.

mod table;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use crate::domain::TrustedProxies;
use crate::http::pipeline::client_address::Peer;
use crate::limits::Subject;
pub(super) use table::ShareExhausted;
use table::{State, Table};

/// How long to wait for a free place before looking again for a connection at rest.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// How long to wait for the place of an evicted connection, which closes much sooner. If no place is free by then, another new connection has taken it, and
/// one more is evicted.
const EVICTION_TIMEOUT: Duration = Duration::from_secs(1);
/// The shortest time between two warnings that connections are evicted. During a flood every new connection would log one.
const WARN_AT_MOST_EVERY: Duration = Duration::from_mins(1);
/// How many connections of proxies may wait without a place for their first head, which a proxy sends at once. Only the head says which client the
/// connection counts for, and so which other connection to evict.
const MAX_IN_LOBBY: usize = 64;

pub(super) struct ConnectionLimit {
    most: usize,
    most_for_client: usize,
    places: Arc<Semaphore>,
    lobby: Arc<Semaphore>,
    table: Mutex<Table>,
    warned_at: Mutex<Option<Instant>>,
}

impl ConnectionLimit {
    /// Allows `most` connections in all, but at least one, and `most_for_client` for one IPv4 address or IPv6 network of 64 bits.
    pub(super) fn new(most: usize, most_for_client: usize) -> Arc<Self> {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        Arc::new(Self {
            most,
            most_for_client,
            places: Arc::new(Semaphore::new(most)),
            lobby: Arc::new(Semaphore::new(MAX_IN_LOBBY)),
            table: Mutex::default(),
            warned_at: Mutex::default(),
        })
    }

    /// Admits a connection of `client`, or of a proxy if `client` is `None`. Waits while all places are taken and no connection is at rest.
    ///
    /// # Errors
    /// [`ShareExhausted`]: the connection is to be closed.
    pub(super) async fn admit(
        self: &Arc<Self>,
        client: Option<Subject>,
    ) -> Result<Admission, ShareExhausted> {
        if client.is_none()
            && self.places.available_permits() == 0
            && let Ok(permit) = Arc::clone(&self.lobby).try_acquire_owned()
        {
            return Ok(self.enter(State::InLobby, None, permit));
        }
        let has_evicted = match client {
            Some(client) => self.make_room_for(client, None)?,
            None => false,
        };
        let permit = self.wait_for_place(has_evicted).await;
        Ok(self.enter(State::AtRest(Instant::now()), client, permit))
    }

    /// Evicts the connection that is first in the order of eviction. `false` if none can be evicted.
    pub(super) fn make_room(&self) -> bool {
        self.warn("the limit of connections is reached");
        self.table.lock().evict(None)
    }

    pub(super) fn len(&self) -> usize {
        self.table.lock().len()
    }

    /// Waits until no connection is left.
    pub(super) async fn all_gone(&self) {
        for (places, number) in [(&self.places, self.most), (&self.lobby, MAX_IN_LOBBY)] {
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            let _ = places.acquire_many(number).await;
        }
    }

    /// Makes room within the share of `client`, and counts connection `number` for that client, if it has a number yet. `true` if another connection was
    /// evicted.
    fn make_room_for(&self, client: Subject, number: Option<u64>) -> Result<bool, ShareExhausted> {
        let made_room = {
            let mut table = self.table.lock();
            let made_room = table.make_room_for(client, self.most_for_client);
            if let (Ok(_), Some(number)) = (&made_room, number) {
                table.count(number, Some(client));
            }
            made_room
        };
        if made_room != Ok(false) {
            self.warn("a client has reached its limit of connections");
        }
        made_room
    }

    /// Waits for a free place and takes it. While there is none, it evicts a connection, and another after each [`EVICTION_TIMEOUT`]. With `has_evicted`, the
    /// first was evicted just before.
    async fn wait_for_place(&self, has_evicted: bool) -> OwnedSemaphorePermit {
        let mut evicted_at = has_evicted.then(Instant::now);
        loop {
            if let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() {
                return permit;
            }
            let is_due = evicted_at.is_none_or(|evicted_at| evicted_at.elapsed() > EVICTION_TIMEOUT);
            if is_due && self.make_room() {
                evicted_at = Some(Instant::now());
            }
            let freed = Arc::clone(&self.places).acquire_owned();
            if let Ok(permit) = timeout(POLL_INTERVAL, freed).await {
                return permit.expect("nothing closes the semaphore");
            }
        }
    }

    fn enter(
        self: &Arc<Self>,
        state: State,
        client: Option<Subject>,
        permit: OwnedSemaphorePermit,
    ) -> Admission {
        let (number, eviction) = self.table.lock().enter(state, client);
        Admission {
            limit: Arc::clone(self),
            number,
            is_of_proxy: client.is_none(),
            eviction,
            permit: Mutex::new(permit),
        }
    }

    fn warn(&self, reason: &'static str) {
        let mut warned_at = self.warned_at.lock();
        if warned_at.is_none_or(|warned_at| warned_at.elapsed() >= WARN_AT_MOST_EVERY) {
            *warned_at = Some(Instant::now());
            tracing::warn!(
                connections = self.len(),
                "{reason}: new connections evict those at rest"
            );
        }
    }
}

/// The client that a connection counts for. `None` for a connection of a listed proxy, which counts for the client of each request.
pub(super) fn client_of(peer: Peer, trusted: &TrustedProxies) -> Option<Subject> {
    (!peer.is_proxy(trusted)).then(|| Subject::of_address(peer.address()))
}

/// An admitted connection. Dropping it frees its place.
pub(super) struct Admission {
    limit: Arc<ConnectionLimit>,
    number: u64,
    is_of_proxy: bool,
    eviction: Arc<Notify>,
    /// The permit for a place, or for the lobby until a place is free.
    permit: Mutex<OwnedSemaphorePermit>,
}

impl Admission {
    /// Called when the head of a request of `client` was read: a connection of a proxy counts for that client now. Waits for a place if the connection has
    /// none yet.
    ///
    /// # Errors
    /// [`ShareExhausted`]: the request is to be refused.
    pub(super) async fn count_for(&self, client: Subject) -> Result<(), ShareExhausted> {
        if !self.is_of_proxy {
            return Ok(());
        }
        let has_evicted = self.limit.make_room_for(client, Some(self.number))?;
        if self.is_in_lobby() {
            let place = self.limit.wait_for_place(has_evicted).await;
            *self.permit.lock() = place;
            self.limit.table.lock().leave_lobby(self.number);
        } else {
            self.rest();
        }
        Ok(())
    }

    /// Whether the connection still has no place: its first request was refused, and it may not wait for another.
    pub(super) fn is_in_lobby(&self) -> bool {
        self.limit.table.lock().state(self.number) == State::InLobby
    }

    /// Called when the whole request has arrived: the connection is busy. `false` if it was evicted before. Then the request must not be carried out,
    /// because its client would not see the response.
    #[must_use]
    pub(super) fn begin_request(&self) -> bool {
        self.limit.table.lock().go_on_to(self.number, State::Busy)
    }

    /// Called when a request begins to arrive: the connection is at rest from now on.
    pub(super) fn rest(&self) {
        let state = State::AtRest(Instant::now());
        self.limit.table.lock().go_on_to(self.number, state);
    }

    /// Called when the request is answered: the connection is at rest, and a connection of a proxy counts for no client.
    pub(super) fn end_request(&self) {
        if self.is_of_proxy {
            let state = State::KeptByProxy(Instant::now());
            let mut table = self.limit.table.lock();
            table.count(self.number, None);
            table.go_on_to(self.number, state);
        } else {
            self.rest();
        }
    }

    /// Waits until the connection is evicted.
    pub(super) async fn evicted(&self) {
        self.eviction.notified().await;
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.limit.table.lock().remove(self.number);
    }
}
