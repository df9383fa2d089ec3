//! What a test may do to the writer. A program that is not under test has no probe.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

/// Decides whether a COMMIT goes through; it may wait, which holds the COMMIT.
type CommitRule = Box<dyn FnMut() -> bool + Send>;

/// Faults planted in the writer: a COMMIT that waits or fails, a file that may not grow.
#[doc(hidden)]
#[derive(Default)]
pub struct Probe {
    commit_rule: Mutex<Option<CommitRule>>,
    page_limit: AtomicU32,
}

impl Probe {
    /// From now on `rule` is asked inside every COMMIT; `false` makes it fail.
    pub fn on_commit(&self, rule: impl FnMut() -> bool + Send + 'static) {
        *self.commit_rule.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(rule));
    }

    /// From now on every COMMIT goes through.
    pub fn let_commits_through(&self) {
        *self.commit_rule.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Limits the database to so many pages, which makes SQLite answer FULL; 0 takes the limit away.
    pub fn limit_pages(&self, pages: u32) {
        self.page_limit.store(pages, Ordering::SeqCst);
    }

    pub(super) fn commit_goes_through(&self) -> bool {
        self.commit_rule
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_mut()
            .is_none_or(|rule| rule())
    }

    /// The most pages the file may have: SQLite's own maximum unless a test says otherwise.
    pub(super) fn page_limit(&self) -> u32 {
        match self.page_limit.load(Ordering::SeqCst) {
            0 => u32::MAX - 1,
            pages => pages,
        }
    }
}
