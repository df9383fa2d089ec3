//! Makes handlers panic, so that tests see the consequences.

use std::sync::Arc;

use parking_lot::Mutex;

/// Names the operation whose handler panics; a clone shares the name.
#[derive(Clone, Default)]
pub struct PanicTrigger(Arc<Mutex<Option<String>>>);

impl PanicTrigger {
    /// Makes only `operation` panic from now on, or no operation if `None`.
    pub fn panic_in(&self, operation: Option<&str>) {
        *self.0.lock() = operation.map(str::to_owned);
    }

    /// Panics if `operation` is the one that must panic.
    pub fn touch(&self, operation: &str) {
        let is_named = self.0.lock().as_deref() == Some(operation);
        assert!(!is_named, "a test asked for this panic");
    }
}
