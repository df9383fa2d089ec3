//! The keyring that a process has read last.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};

use crate::crypto::Keyring;
use crate::fault::Fault;

/// How long tokens of unknown keys are refused without a look into the database: anyone can forge them.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The keyring of a process. It is reloaded when a command has replaced a signing key.
pub(super) struct CurrentKeyring {
    loaded: RwLock<Loaded>,
    /// When the keys were last looked for because of a token of an unknown key.
    looked_at: Mutex<Option<Instant>>,
    /// Logs that the keys cannot be read.
    pub(super) fault: Fault,
}

#[derive(Clone)]
pub(super) struct Loaded {
    pub(super) keyring: Arc<Keyring>,
    /// The value of `Store::key_epoch` before the keyring was read.
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
            looked_at: Mutex::default(),
            fault: Fault::new("the signing keys cannot be read; the last known ones are published"),
        }
    }

    /// The keyring as it was read last.
    pub(super) fn present(&self) -> Arc<Keyring> {
        self.loaded().keyring
    }

    /// Whether the keys may be looked for once more because of a token of an unknown key. If they may, this counts as a look.
    pub(super) fn may_look_again(&self, now: Instant) -> bool {
        let mut looked_at = self.looked_at.lock();
        let is_due = looked_at.is_none_or(|at| now.duration_since(at) >= LOOK_AGAIN_AFTER);
        if is_due {
            *looked_at = Some(now);
        }
        is_due
    }

    pub(super) fn loaded(&self) -> Loaded {
        self.loaded.read().clone()
    }

    /// Keeps a keyring that was read when `Store::key_epoch` was `seen`, unless the present one was read later.
    pub(super) fn replace(&self, keyring: Arc<Keyring>, seen: u64) {
        let mut loaded = self.loaded.write();
        if seen >= loaded.seen {
            *loaded = Loaded { keyring, seen };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::AccessTokenSettings;

    #[test]
    fn forged_tokens_cause_one_look_a_second() {
        let settings = AccessTokenSettings {
            issuer: String::new(),
            audience: String::new(),
            ttl: Duration::ZERO,
        };
        let (keyring, start) = (
            CurrentKeyring::new(Keyring::new(Vec::new(), settings)),
            Instant::now(),
        );
        let looks =
            (0..2_500_u64).filter(|millis| keyring.may_look_again(start + Duration::from_millis(*millis)));
        assert_eq!(looks.collect::<Vec<_>>(), [0, 1_000, 2_000]);
    }
}
