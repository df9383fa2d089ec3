//! Handlers that panic, so that tests see what follows.

use std::sync::Arc;

use parking_lot::Mutex;

/// Names the operation whose handler panics; a clone shares the name.
#[derive(Clone, Default)]
pub struct PanicTrigger(Arc<Mutex<Option<String>>>);

impl PanicTrigger {
    /// Makes `operation` panic from now on, or none if `None`.
    pub fn panic_in(&self, operation: Option<&str>) {
        *self.0.lock() = operation.map(str::to_owned);
    }

    /// Panics if `operation` is the one that is named.
    pub fn touch(&self, operation: &str) {
        let is_named = self.0.lock().as_deref() == Some(operation);
        assert!(!is_named, "a test asked for this panic");
    }
}
