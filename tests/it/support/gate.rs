//! A gate in the writer's COMMIT: a test closes it, lets requests pile up behind it, and opens it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::store_probe::StoreProbe;

#[derive(Default)]
struct State {
    open: Mutex<bool>,
    opened: Condvar,
    reached: AtomicBool,
    fails: AtomicBool,
}

/// Holds every COMMIT until the gate is opened. Dropping the gate opens it.
pub struct Gate(Arc<State>);

impl Gate {
    pub fn close(store_probe: &StoreProbe) -> Self {
        let state = Arc::new(State::default());
        let rule = Arc::clone(&state);
        store_probe.on_commit(move || {
            rule.reached.store(true, Ordering::SeqCst);
            let mut open = rule.open.lock().expect("the lock is not poisoned");
            while !*open {
                open = rule.opened.wait(open).expect("the lock is not poisoned");
            }
            !rule.fails.load(Ordering::SeqCst)
        });
        Self(state)
    }

    /// Waits until a COMMIT waits at the gate.
    pub async fn wait_until_reached(&self) {
        while !self.0.reached.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Lets the COMMIT that waits and all later ones through.
    pub fn open(&self) {
        *self.0.open.lock().expect("the lock is not poisoned") = true;
        self.0.opened.notify_all();
    }

    /// Makes the COMMIT that waits and all later ones fail.
    pub fn fail_from_now_on(&self) {
        self.0.fails.store(true, Ordering::SeqCst);
        self.open();
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.open();
    }
}
