//! A way for tests to see what the server does when a handler panics.

use std::sync::{Mutex, PoisonError};

/// Names the operation whose handler panics.
#[derive(Debug, Default)]
pub struct Probe(Mutex<Option<String>>);

impl Probe {
    /// Makes `operation` panic from now on, or nothing if `None`.
    pub fn panic_in(&self, operation: Option<&str>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = operation.map(str::to_owned);
    }

    /// Panics if it was told so of `operation`.
    pub(super) fn touch(&self, operation: &str) {
        let is_named = self.0.lock().unwrap_or_else(PoisonError::into_inner).as_deref() == Some(operation);
        assert!(!is_named, "a test asked for this panic");
    }
}
