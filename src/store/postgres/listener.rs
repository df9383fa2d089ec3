//! Hears of changes to the signing keys, which are the only rows that a server keeps in memory.
//!
//! Three ways lead there. A transaction of this process finds the number of the last change under the lock of writers, so what is signed after a change is
//! signed with the keys in force. The listener is notified right after the commit of a change. And it looks at the number each second, because a
//! notification is lost with the connection. What it sees may not be committed yet, and the keys that are read then are those from before: so the other
//! two ways do not depend on what it has seen.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use super::connection::Connector;
use super::engine::Connection;
use crate::store::health::Health;
use crate::store::value::params;
use crate::store::{OpenError, Reader, Result};

/// The number of the last change. Unlike a row, it is seen before the transaction is committed, and never goes back.
const LAST_CHANGE: &str = "SELECT coalesce(pg_sequence_last_value('key_changes'), 0)";

/// How often the listener looks at the number, and how long it waits before it connects again.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Counts how often this process has found that the signing keys were changed.
#[derive(Default)]
pub(super) struct KeyChanges {
    /// The number that the last transaction found.
    last_in_turn: AtomicI64,
    /// The number that the listener found last.
    last_seen: AtomicI64,
    count: Arc<AtomicU64>,
}

impl KeyChanges {
    /// Notes the number of the last change as a transaction has found it, beside which none is being made.
    pub(super) fn note_in_turn(&self, number: i64) {
        self.note(&self.last_in_turn, number);
    }

    fn note(&self, last: &AtomicI64, number: i64) {
        // A number that goes back, in a replica that was promoted, is a change too.
        if last.swap(number, Ordering::AcqRel) != number {
            self.note_change();
        }
    }

    fn note_change(&self) {
        self.count.fetch_add(1, Ordering::Release);
    }

    pub(super) fn count(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.count)
    }
}

/// A thread that listens until this is dropped.
pub(super) struct Listener {
    is_over: Arc<AtomicBool>,
}

impl Listener {
    /// Calls `keep_duties` each second, and tells `health` that the database is away while no connection can be made, so that a server without requests notices it too.
    pub(super) fn start(
        connector: Connector,
        changes: Arc<KeyChanges>,
        health: Arc<Health>,
        keep_duties: impl Fn() + Send + 'static,
    ) -> Result<Self, OpenError> {
        let is_over = Arc::new(AtomicBool::new(false));
        let listener = Self {
            is_over: Arc::clone(&is_over),
        };
        let listen = move || {
            while !is_over.load(Ordering::Acquire) {
                let lost = match connector.connect() {
                    Ok(connection) => listen(&connection, &changes, &is_over, &keep_duties),
                    Err(away) => {
                        health.failed(&away.to_string());
                        Err(away)
                    }
                };
                if let Err(lost) = lost {
                    // A write that is lost is logged.
                    tracing::debug!("the listener has no connection: {lost}");
                    keep_duties();
                    thread::sleep(LOOK_EVERY);
                }
            }
        };
        let thread = thread::Builder::new().name("listener".to_owned()).spawn(listen);
        thread.map_err(|error| OpenError::Unusable(error.to_string()))?;
        Ok(listener)
    }
}

impl Drop for Listener {
    /// The thread ends by itself within [`LOOK_EVERY`]. A server that stops does not wait for it.
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
    }
}

/// Listens until the connection is lost or `is_over`.
fn listen(
    connection: &Connection,
    changes: &KeyChanges,
    is_over: &AtomicBool,
    keep_duties: &impl Fn(),
) -> Result<()> {
    connection.batch("LISTEN key_changes")?;
    while !is_over.load(Ordering::Acquire) {
        keep_duties();
        changes.note(&changes.last_seen, last_change(connection)?);
        if connection.wait_for_notice(LOOK_EVERY)? {
            changes.note_change();
        }
    }
    Ok(())
}

fn last_change(connection: &Connection) -> Result<i64> {
    Reader { engine: connection }.query_one(LAST_CHANGE, params![], |row| row.take())
}
