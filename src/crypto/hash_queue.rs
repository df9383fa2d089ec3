//! The jobs that wait for a hash thread, and the memory that hashes may take together.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::hash_worker::Worker;

/// How many passwords may wait. At the default cost two threads work this off in about two seconds, or in four if each
/// has a former form (`PasswordHasher::verify`); a later one is refused.
pub(super) const QUEUE: usize = 256;
/// How long an idle thread keeps the memory of its last hash. Taking it anew costs up to a third of a hash, which matters
/// only while hashes follow one another.
const KEPT: Duration = Duration::from_secs(2);

pub(super) type Job = Box<dyn FnOnce(&mut Worker) + Send>;

/// Jobs, first come, first served.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    is_closed: bool,
}

impl Queue {
    /// Adds a job, unless too many wait already.
    pub(super) fn push(&self, job: Job) -> Result<(), Job> {
        let mut waiting = lock(&self.waiting);
        if waiting.jobs.len() >= QUEUE {
            return Err(job);
        }
        waiting.jobs.push_back(job);
        drop(waiting);
        self.changed.notify_one();
        Ok(())
    }

    /// Lets the threads end when nothing waits any more.
    pub(super) fn close(&self) {
        lock(&self.waiting).is_closed = true;
        self.changed.notify_all();
    }

    /// Carries out one job after the other, and gives the memory of `worker` back while there are none.
    pub(super) fn work(&self, mut worker: Worker) {
        while let Some(job) = self.next(&mut worker) {
            job(&mut worker);
        }
    }

    fn next(&self, worker: &mut Worker) -> Option<Job> {
        let mut waiting = lock(&self.waiting);
        loop {
            if let Some(job) = waiting.jobs.pop_front() {
                return Some(job);
            }
            if waiting.is_closed {
                return None;
            }
            if !worker.holds_memory() {
                waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let waited = self.changed.wait_timeout(waiting, KEPT);
            let (after, timed) = waited.unwrap_or_else(PoisonError::into_inner);
            waiting = after;
            if timed.timed_out() {
                worker.give_back();
            }
        }
    }
}

/// The memory that the hashes of all threads take at once, in KiB. Stored hashes may demand more than new ones, so the
/// number of threads alone bounds nothing.
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

    /// Carries out `work` when there are `kib` left for it; what needs more than there is has all of it for itself.
    pub(super) fn spend<T>(&self, kib: u64, work: impl FnOnce() -> T) -> T {
        let kib = kib.min(self.most);
        let left = lock(&self.left);
        let enough = self.freed.wait_while(left, |left| *left < kib);
        *enough.unwrap_or_else(PoisonError::into_inner) -= kib;
        let _spent = Spent { budget: self, kib };
        work()
    }
}

/// Gives back what was spent, also when the work panics.
struct Spent<'b> {
    budget: &'b Budget,
    kib: u64,
}

impl Drop for Spent<'_> {
    fn drop(&mut self) {
        *lock(&self.budget.left) += self.kib;
        self.budget.freed.notify_all();
    }
}

/// What these locks hold is whole between any two statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
