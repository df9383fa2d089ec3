//! The memory that hashes may take together.

use parking_lot::{Condvar, Mutex};

/// The memory that the hashes of all threads may take at once, in KiB. Stored hashes may demand more memory than new ones,
/// so the number of threads alone does not bound it.
pub(super) struct Budget {
    most: u64,
    left: Mutex<u64>,
    freed: Condvar,
}

impl Budget {
    pub(super) const fn new(most: u64) -> Self {
        Self {
            most,
            left: Mutex::new(most),
            freed: Condvar::new(),
        }
    }

    /// Runs `work` once `kib` are free. Work that needs more than the whole budget gets all of it and runs alone.
    pub(super) fn spend<T>(&self, kib: u64, work: impl FnOnce() -> T) -> T {
        let kib = kib.min(self.most);
        let mut left = self.left.lock();
        self.freed.wait_while(&mut left, |left| *left < kib);
        *left -= kib;
        drop(left);
        let _spent = Spent { budget: self, kib };
        work()
    }
}

/// Returns the spent memory to the budget when it is dropped, even if the work panics.
struct Spent<'b> {
    budget: &'b Budget,
    kib: u64,
}

impl Drop for Spent<'_> {
    fn drop(&mut self) {
        *self.budget.left.lock() += self.kib;
        self.budget.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn hashes_never_take_more_memory_together_than_there_is() {
        let (budget, spent, most) = (Budget::new(40), AtomicU64::new(0), AtomicU64::new(0));
        let work = |kib: u64| {
            budget.spend(kib, || {
                let now = spent.fetch_add(kib.min(40), Ordering::SeqCst) + kib.min(40);
                most.fetch_max(now, Ordering::SeqCst);
                thread::yield_now();
                spent.fetch_sub(kib.min(40), Ordering::SeqCst);
            });
        };
        thread::scope(|scope| {
            for kib in [19, 19, 1, 64, 30] {
                let work = &work;
                scope.spawn(move || (0..200).for_each(|_| work(kib)));
            }
        });
        assert!(most.into_inner() <= 40);
    }
}
