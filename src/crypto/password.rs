//! Password hashes: argon2id (RFC 9106) on a few threads of their own, behind a bounded queue.
//!
//! A hash takes tens of milliseconds and tens of mebibytes. On the executor it would stall every other request; without a bound a flood of sign-ins
//! would take all memory. A hash occupies its thread until it is complete, even if the client has disconnected, so clients that
//! disconnect early cannot cause more hashes at once.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crossbeam_channel::Sender;
use tokio::sync::oneshot;

use super::argon2_filler::{FastPath, Filler};
use super::hash_budget::Budget;
use super::hash_error::HashError;
use super::hash_worker::{Job, Worker};
use super::password_cost::CostShares;
use crate::domain::{Argon2Cost, HashImplementation, Password, PasswordGuess, PasswordHash};
use crate::system::System;

/// How many passwords may wait; further ones are refused. At the default cost, two threads hash this many in about two
/// seconds, or in four if each has a former form ([`PasswordGuess::as_nfc_bytes`]).
const QUEUE: usize = 256;

/// What a guess at a password is compared with.
#[derive(Clone, Debug)]
pub enum Compared {
    With(PasswordHash),
    /// No stored hash: the comparison only does the work of a hash of this cost.
    WithNothing(Argon2Cost),
}

/// Whether a password was right.
#[derive(Debug)]
pub enum Verification {
    /// The password was wrong, or there was no hash to compare it with.
    Wrong,
    Right,
    /// Right, but the stored hash has another cost than new hashes, or was made from the former form of the password. The new hash here is to replace it.
    RightButOutdated(PasswordHash),
}

/// The scheduling priority of the hash threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// The same as other threads: for a command, which has nothing else to do.
    Normal,
    /// After all other threads (`nice 19`): for a server, so that a flood of sign-ins does not slow refreshes.
    Low,
}

/// Hashes and compares passwords.
pub struct PasswordHasher {
    jobs: Sender<Job>,
    cost: Argon2Cost,
    system: System,
    blocks_filled: Arc<AtomicU64>,
}

impl PasswordHasher {
    /// Starts the threads, which end when the hasher is dropped. Hashes that run at the same time share a budget of `memory_kib`: each waits until enough of
    /// it is free, and a stored hash that needs more than all of it runs alone.
    pub fn start(
        cost: Argon2Cost,
        implementation: HashImplementation,
        threads: NonZeroUsize,
        memory_kib: u64,
        priority: Priority,
        system: System,
    ) -> Result<Self, HashError> {
        let (jobs, queue) = crossbeam_channel::bounded(QUEUE);
        let blocks_filled = Arc::default();
        let budget = Arc::new(Budget::new(memory_kib));
        let fast_path = Arc::new(FastPath::new(implementation));
        for number in 0..threads.get() {
            let queue = queue.clone();
            let filler = Filler::new(cost, Arc::clone(&fast_path))?;
            let worker = Worker::new(filler, Arc::clone(&blocks_filled), Arc::clone(&budget));
            let work = move || {
                if priority == Priority::Low {
                    // On Linux each thread has its own niceness. Where it cannot be set, hashing works all the same.
                    let _ = rustix::process::nice(19);
                }
                worker.work(&queue);
            };
            let started = thread::Builder::new().name(format!("hash-{number}")).spawn(work);
            started.map_err(HashError::NoThread)?;
        }
        Ok(Self {
            jobs,
            cost,
            system,
            blocks_filled,
        })
    }

    /// The work of all hashes so far: blocks of memory (1 KiB) times passes over them.
    ///
    /// Tests use it to check that two requests cost the same, which a clock cannot tell on a busy machine.
    #[doc(hidden)]
    pub fn blocks_filled(&self) -> u64 {
        self.blocks_filled.load(Ordering::Relaxed)
    }

    /// The costs of names without a password, derived from the `stored` costs of accounts with one.
    pub fn shares(&self, stored: &[(String, u32)]) -> CostShares {
        CostShares::new(stored, self.cost)
    }

    /// Hashes a new password under a new salt.
    pub async fn hash(&self, password: Password) -> Result<PasswordHash, HashError> {
        let (cost, salt) = (self.cost, self.system.random());
        self.run(move |worker| worker.hash(password.as_bytes(), &salt, cost))
            .await
    }

    /// Compares a password with a stored hash. If it is wrong and has a former form ([`PasswordGuess::as_nfc_bytes`]), that is compared too. Without a
    /// stored hash it does the work of these comparisons, so that the time of a refusal does not tell whether there is one.
    pub async fn verify(&self, guess: PasswordGuess, compared: Compared) -> Result<Verification, HashError> {
        let (cost, salt) = (self.cost, self.system.random());
        self.run(move |worker| {
            let stored = match compared {
                Compared::With(stored) => stored,
                Compared::WithNothing(cost) => {
                    for form in [Some(guess.as_bytes()), guess.as_nfc_bytes()]
                        .into_iter()
                        .flatten()
                    {
                        worker.hash(form, &salt, cost)?;
                    }
                    return Ok(Verification::Wrong);
                }
            };
            let (is_right, stored_cost) = worker.compare(guess.as_bytes(), &stored)?;
            if is_right && stored_cost == cost {
                return Ok(Verification::Right);
            }
            let is_outdated = match guess.as_nfc_bytes() {
                Some(former) if !is_right => worker.compare(former, &stored)?.0,
                _ => is_right,
            };
            if !is_outdated {
                return Ok(Verification::Wrong);
            }
            worker
                .hash(guess.as_bytes(), &salt, cost)
                .map(Verification::RightButOutdated)
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Worker) -> Result<T, HashError> + Send + 'static,
    ) -> Result<T, HashError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |worker| {
            let outcome = job(worker);
            metrics::gauge!("arkloop_hash_queue").decrement(1);
            // The caller may be gone by now.
            let _ = answer.send(outcome);
        });
        let queued = metrics::gauge!("arkloop_hash_queue");
        queued.increment(1);
        if self.jobs.try_send(job).is_err() {
            queued.decrement(1);
            return Err(HashError::QueueFull);
        }
        answered
            .await
            .map_err(|_| HashError::Unusable("a hash thread failed".to_owned()))?
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;
    use crate::crypto::password_cost::CHEAP;
    use crate::domain::MIN_PASSWORD_CHARS;

    fn hasher(cost: Argon2Cost) -> PasswordHasher {
        let started = PasswordHasher::start(
            cost,
            HashImplementation::Auto,
            NonZeroUsize::MIN,
            8,
            Priority::Normal,
            System::machine(),
        );
        started.expect("it starts")
    }

    async fn hash(hasher: &PasswordHasher) -> PasswordHash {
        let password = Password::parse("correct horse", MIN_PASSWORD_CHARS, &[]).expect("it is accepted");
        hasher.hash(password).await.expect("it is hashed")
    }

    async fn verify(
        hasher: &PasswordHasher,
        guess: &str,
        stored: Option<PasswordHash>,
    ) -> Result<Verification, HashError> {
        let compared = stored.map_or(Compared::WithNothing(CHEAP), Compared::With);
        hasher
            .verify(PasswordGuess::parse(guess).expect("it is a guess"), compared)
            .await
    }

    #[tokio::test]
    async fn a_hash_fits_its_password_only() {
        let hasher = hasher(CHEAP);
        let stored = hash(&hasher).await;
        assert!(
            stored.as_str().starts_with("$argon2id$v=19$m=8,t=1,p=1$"),
            "{}",
            stored.as_str()
        );
        assert!(matches!(
            verify(&hasher, "correct horse", Some(stored.clone())).await,
            Ok(Verification::Right)
        ));
        assert!(matches!(
            verify(&hasher, "incorrect horse", Some(stored)).await,
            Ok(Verification::Wrong)
        ));
        assert!(matches!(
            verify(&hasher, "correct horse", None).await,
            Ok(Verification::Wrong)
        ));
    }

    #[tokio::test]
    async fn the_check_of_the_fast_implementation_counts_as_no_work() {
        let hasher = hasher(CHEAP);
        for hashes in 1..=2 {
            hash(&hasher).await;
            assert_eq!(hasher.blocks_filled(), 8 * hashes);
        }
    }

    #[tokio::test]
    async fn a_right_password_brings_an_outdated_hash_up_to_date() {
        let stored = hash(&hasher(CHEAP)).await;
        let today = hasher(Argon2Cost {
            iterations: 2,
            ..CHEAP
        });
        let Ok(Verification::RightButOutdated(renewed)) = verify(&today, "correct horse", Some(stored)).await
        else {
            panic!("the hash is not recognised as outdated");
        };
        assert!(renewed.as_str().contains("m=8,t=2,p=1"));
        assert!(matches!(
            verify(&today, "correct horse", Some(renewed)).await,
            Ok(Verification::Right)
        ));
    }

    #[tokio::test]
    async fn a_stored_cost_above_the_cap_is_refused_and_not_computed() {
        let hasher = hasher(CHEAP);
        let stored = hash(&hasher).await.as_str().replace("m=8,", "m=4194304,");
        let verified = verify(&hasher, "correct horse", Some(PasswordHash::new(stored))).await;
        assert!(matches!(verified, Err(HashError::Unusable(_))));
    }

    #[tokio::test]
    async fn a_stored_hash_of_another_kind_is_refused() {
        let hasher = hasher(CHEAP);
        let stored = hash(&hasher).await;
        for (own, other) in [
            ("$argon2id$", "$argon2i$"),
            ("$argon2id$", "$argon2d$"),
            ("v=19$", "v=16$"),
        ] {
            let stored = stored.as_str().replace(own, other);
            let verified = verify(&hasher, "correct horse", Some(PasswordHash::new(stored))).await;
            assert!(matches!(verified, Err(HashError::Unusable(_))), "{other}");
        }
    }

    #[tokio::test]
    async fn a_full_queue_refuses() {
        let hasher = Arc::new(hasher(CHEAP));
        let (release, hold) = sync_channel::<()>(0);
        let holder = Arc::clone(&hasher);
        let holding = tokio::spawn(async move {
            let hold = move |_: &mut Worker| {
                let _ = hold.recv();
                Ok(())
            };
            holder.run(hold).await
        });
        let mut waiting = Vec::new();
        // One more than fits: the thread itself has taken the first job, or is about to.
        for _ in 0..=QUEUE + 1 {
            let hasher = Arc::clone(&hasher);
            waiting.push(tokio::spawn(async move { hasher.run(|_| Ok(())).await }));
        }
        while waiting.iter().filter(|task| task.is_finished()).count() == 0 {
            tokio::task::yield_now().await;
        }
        drop(release);
        assert!(holding.await.expect("it ran").is_ok());
        let mut refused = 0;
        for task in waiting {
            refused += u32::from(matches!(task.await.expect("it ran"), Err(HashError::QueueFull)));
        }
        assert!(refused >= 1);
    }
}
