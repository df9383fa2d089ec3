//! The keyring that a process has read last.

use std::sync::Arc;

use parking_lot::RwLock;

use crate::crypto::Keyring;
use crate::fault::Fault;

/// The keyring of a process. It is reloaded when a command has replaced a signing key.
pub(super) struct CurrentKeyring {
    loaded: RwLock<Loaded>,
    /// Logs that the keys cannot be read.
    pub(super) fault: Fault,
}

#[derive(Clone)]
pub(super) struct Loaded {
    pub(super) keyring: Arc<Keyring>,
    /// The value of `Store::foreign_commits` before the keyring was read.
    pub(super) seen: u64,
}

impl CurrentKeyring {
    pub(super) fn new(keyring: Keyring) -> Self {
        // 0 is earlier than any foreign commit, so that the first use reads the keys again if a command has changed them.
        Self {
            loaded: RwLock::new(Loaded {
                keyring: Arc::new(keyring),
                seen: 0,
            }),
            fault: Fault::new("the signing keys cannot be read; the last known ones are published"),
        }
    }

    /// The keyring as it was read last.
    pub(super) fn present(&self) -> Arc<Keyring> {
        self.loaded().keyring
    }

    pub(super) fn loaded(&self) -> Loaded {
        self.loaded.read().clone()
    }

    /// Keeps a keyring that was read when `Store::foreign_commits` was `seen`, unless the present one was read later.
    pub(super) fn replace(&self, keyring: Arc<Keyring>, seen: u64) {
        let mut loaded = self.loaded.write();
        if seen >= loaded.seen {
            *loaded = Loaded { keyring, seen };
        }
    }
}
