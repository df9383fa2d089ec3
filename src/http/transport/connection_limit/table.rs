//! The open connections: the client that each counts for, and which one is evicted first.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::limits::Subject;

/// Every connection, and how many of them count for each client.
#[derive(Default)]
pub(super) struct Table {
    connections: HashMap<u64, Connection>,
    /// Without evicted connections.
    of_client: HashMap<Subject, usize>,
    next_number: u64,
}

struct Connection {
    state: State,
    counts_for: Option<Subject>,
    eviction: Arc<Notify>,
}

/// What a connection is doing, as far as eviction depends on it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It has no place yet, so evicting it would free none.
    InLobby,
    /// It waits for a request or receives one.
    AtRest(Instant),
    /// A proxy keeps it between two requests. It is evicted after those at rest: the proxy may be about to use it, and a request on a connection that the
    /// server is closing becomes a 502.
    KeptByProxy(Instant),
    /// A request is carried out on it.
    Busy,
    Evicted,
}

impl State {
    /// The rank in the order of eviction, lowest first. `None` if the connection cannot be evicted.
    const fn rank(self) -> Option<(bool, Instant)> {
        match self {
            Self::AtRest(since) => Some((false, since)),
            Self::KeptByProxy(since) => Some((true, since)),
            Self::InLobby | Self::Busy | Self::Evicted => None,
        }
    }
}

/// The client has its whole share of connections, and all of them are busy.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ShareExhausted;

impl Table {
    /// Adds a connection. Returns its number, and the [`Notify`] that wakes it when it is evicted.
    pub(super) fn enter(&mut self, state: State, client: Option<Subject>) -> (u64, Arc<Notify>) {
        let number = self.next_number;
        self.next_number += 1;
        let eviction = Arc::new(Notify::new());
        let connection = Connection {
            state,
            counts_for: None,
            eviction: Arc::clone(&eviction),
        };
        self.connections.insert(number, connection);
        self.count(number, client);
        (number, eviction)
    }

    pub(super) fn remove(&mut self, number: u64) {
        self.count(number, None);
        self.connections.remove(&number);
    }

    pub(super) fn state(&self, number: u64) -> State {
        self.connections[&number].state
    }

    /// Changes the state of a connection, unless it is in the lobby. `false` if the connection is evicted.
    pub(super) fn go_on_to(&mut self, number: u64, state: State) -> bool {
        let Some(connection) = self.connections.get_mut(&number) else {
            return false;
        };
        match connection.state {
            State::Evicted => return false,
            State::InLobby => {}
            _ => connection.state = state,
        }
        true
    }

    /// Moves a connection that has got a place out of the lobby.
    pub(super) fn leave_lobby(&mut self, number: u64) {
        if let Some(connection) = self.connections.get_mut(&number) {
            connection.state = State::AtRest(Instant::now());
        }
    }

    /// Counts a connection for `client` and no other. An evicted connection has already given its share back.
    pub(super) fn count(&mut self, number: u64, client: Option<Subject>) {
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        let client = client.filter(|_| connection.state != State::Evicted);
        if let Some(client) = client {
            *self.of_client.entry(client).or_default() += 1;
        }
        let before = std::mem::replace(&mut connection.counts_for, client);
        self.give_back(before);
    }

    /// Makes room for one more connection of `client`, whose share is `most`. `true` if one of its connections was evicted.
    pub(super) fn make_room_for(&mut self, client: Subject, most: usize) -> Result<bool, ShareExhausted> {
        if self.of_client.get(&client).is_none_or(|number| *number < most) {
            Ok(false)
        } else if self.evict(Some(client)) {
            Ok(true)
        } else {
            Err(ShareExhausted)
        }
    }

    /// Evicts the connection that is first in the order of eviction, among all or among those that count for `client`. `false` if none can be evicted.
    ///
    /// It looks at all connections, which takes less time for two thousand of them than accepting one.
    pub(super) fn evict(&mut self, client: Option<Subject>) -> bool {
        let first = self
            .connections
            .values_mut()
            .filter(|connection| client.is_none() || connection.counts_for == client)
            .filter_map(|connection| Some((connection.state.rank()?, connection)))
            .min_by_key(|(rank, _)| *rank);
        let Some((_, connection)) = first else {
            return false;
        };
        connection.state = State::Evicted;
        connection.eviction.notify_one();
        let client = connection.counts_for.take();
        self.give_back(client);
        true
    }

    pub(super) fn len(&self) -> usize {
        self.connections.len()
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.connections.is_empty() && self.of_client.is_empty()
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
