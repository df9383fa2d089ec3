//! A thread that computes argon2id hashes (RFC 9106) one after another and keeps its memory between them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use argon2::password_hash::phc;
use argon2::{Algorithm, Params, Version};
use aws_lc_rs::constant_time;
use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::argon2_filler::Filler;
use super::hash_budget::Budget;
use super::hash_error::{HashError, unusable};
use super::password_cost::HASH_BYTES;
use crate::domain::{Argon2Cost, PasswordHash};

/// Bytes of salt: RFC 9106 §3.1 recommends 16.
const SALT_BYTES: usize = 16;
/// How long an idle thread keeps the memory of its last hash. Allocating it again takes up to a third of the time of a hash,
/// which matters only while hashes follow one another.
const KEPT: Duration = Duration::from_secs(2);

pub(super) type Job = Box<dyn FnOnce(&mut Worker) + Send>;

/// The state of one thread.
pub(super) struct Worker {
    filler: Filler,
    blocks_filled: Arc<AtomicU64>,
    budget: Arc<Budget>,
}

impl Worker {
    /// A worker that adds its work to `blocks_filled`.
    pub(super) const fn new(filler: Filler, blocks_filled: Arc<AtomicU64>, budget: Arc<Budget>) -> Self {
        Self {
            filler,
            blocks_filled,
            budget,
        }
    }

    /// Runs jobs until the queue is closed, and frees its memory when no job comes for a while.
    pub(super) fn work(mut self, jobs: &Receiver<Job>) {
        loop {
            let job = if self.filler.holds_memory() {
                jobs.recv_timeout(KEPT)
            } else {
                jobs.recv().map_err(RecvTimeoutError::from)
            };
            match job {
                Ok(job) => job(&mut self),
                Err(RecvTimeoutError::Timeout) => self.filler.give_back(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Hashes a password under `salt` at `cost`.
    pub(super) fn hash(
        &mut self,
        password: &[u8],
        salt: &[u8; SALT_BYTES],
        cost: Argon2Cost,
    ) -> Result<PasswordHash, HashError> {
        let params = cost.params().map_err(unusable)?;
        let mut output = [0; HASH_BYTES];
        self.fill(params.clone(), password, salt, &mut output)?;
        let phc = phc::PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: phc::ParamsString::try_from(&params).map_err(unusable)?,
            salt: Some(phc::Salt::new(salt).map_err(unusable)?),
            hash: Some(phc::Output::new(&output).map_err(unusable)?),
        };
        Ok(PasswordHash::new(phc.to_string()))
    }

    /// Returns whether the password fits the stored hash, and the cost of that hash.
    pub(super) fn compare(
        &mut self,
        password: &[u8],
        stored: &PasswordHash,
    ) -> Result<(bool, Argon2Cost), HashError> {
        let stored = phc::PasswordHash::new(stored.as_str()).map_err(unusable)?;
        let params = Params::try_from(&stored).map_err(unusable)?;
        let cost = Argon2Cost {
            memory_kib: params.m_cost(),
            iterations: params.t_cost(),
            parallelism: params.p_cost(),
        };
        let (Some(salt), Some(hash), true) = (
            &stored.salt,
            &stored.hash,
            stored.algorithm == Algorithm::Argon2id.ident(),
        ) else {
            return Err(HashError::Unusable(
                "a stored hash is not an argon2id hash".to_owned(),
            ));
        };
        if !cost.is_acceptable() || stored.version != Some(Version::V0x13.into()) {
            return Err(HashError::Unusable(
                "a stored hash demands another version or too high a cost".to_owned(),
            ));
        }
        let mut output = vec![0; hash.len()];
        self.fill(params, password, salt.as_ref(), &mut output)?;
        Ok((
            constant_time::verify_slices_are_equal(&output, hash.as_bytes()).is_ok(),
            cost,
        ))
    }

    fn fill(
        &mut self,
        params: Params,
        password: &[u8],
        salt: &[u8],
        output: &mut [u8],
    ) -> Result<(), HashError> {
        let memory_kib = u64::from(params.m_cost());
        let work = memory_kib * u64::from(params.t_cost());
        self.blocks_filled.fetch_add(work, Ordering::Relaxed);
        self.budget
            .spend(memory_kib, || self.filler.fill(params, password, salt, output))
    }
}
