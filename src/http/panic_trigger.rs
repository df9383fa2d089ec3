//! Lets tests see what the server does when a handler panics.

use parking_lot::Mutex;

/// Names the operation whose handler panics.
#[derive(Debug, Default)]
pub struct PanicTrigger(Mutex<Option<String>>);

impl PanicTrigger {
    /// Makes `operation` panic from now on, or none if `None`.
    pub fn panic_in(&self, operation: Option<&str>) {
        *self.0.lock() = operation.map(str::to_owned);
    }

    pub(super) fn touch(&self, operation: &str) {
        let is_named = self.0.lock().as_deref() == Some(operation);
        assert!(!is_named, "a test asked for this panic");
    }
}
