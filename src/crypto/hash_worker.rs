//! A thread that computes argon2id hashes (RFC 9106) one after another and keeps its memory between them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::constant_time;
use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::hash_budget::Budget;
use super::password_cost::HASH_BYTES;
use crate::domain::{Argon2Cost, PasswordHash};

/// Bytes of salt: RFC 9106 §3.1 recommends 16.
const SALT_BYTES: usize = 16;
/// How long an idle thread keeps the memory of its last hash. Allocating it again takes up to a third of the time of a hash,
/// which matters only while hashes follow one another.
const KEPT: Duration = Duration::from_secs(2);

/// The smallest allocation for a hash, in blocks. Allocators return so large an allocation to the system when it is freed
/// (glibc above 32 MiB, `DEFAULT_MMAP_THRESHOLD_MAX`), and may keep a smaller one. Blocks that are never used take no memory.
const MIN_BLOCKS: usize = 33 * 1024;

/// Why no hash was computed or compared.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    #[error("too many passwords wait to be hashed")]
    QueueFull,
    /// Argon2 does not allow the cost, or the stored hash cannot be read or is too costly.
    #[error("a password cannot be hashed: {0}")]
    Unusable(String),
    #[error("the system cannot start a thread to hash passwords on")]
    NoThread(#[source] std::io::Error),
}

pub(super) type Job = Box<dyn FnOnce(&mut Worker) + Send>;

/// The state of one thread.
pub(super) struct Worker {
    memory: Vec<Block>,
    /// The cost of new hashes. Memory that a stored hash needs beyond that is not kept.
    usual: Argon2Cost,
    blocks_filled: Arc<AtomicU64>,
    budget: Arc<Budget>,
}

impl Worker {
    /// A worker that adds its work to `blocks_filled`. It allocates memory for its first job.
    pub(super) const fn new(usual: Argon2Cost, blocks_filled: Arc<AtomicU64>, budget: Arc<Budget>) -> Self {
        Self {
            memory: Vec::new(),
            usual,
            blocks_filled,
            budget,
        }
    }

    /// Runs jobs until the queue is closed, and frees its memory when no job comes for a while.
    pub(super) fn work(mut self, jobs: &Receiver<Job>) {
        loop {
            let job = if self.memory.capacity() > 0 {
                jobs.recv_timeout(KEPT)
            } else {
                jobs.recv().map_err(RecvTimeoutError::from)
            };
            match job {
                Ok(job) => job(&mut self),
                Err(RecvTimeoutError::Timeout) => self.give_back(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Frees its memory.
    fn give_back(&mut self) {
        self.memory = Vec::new();
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
        let blocks = params.block_count();
        let work = u64::from(params.m_cost()) * u64::from(params.t_cost());
        self.blocks_filled.fetch_add(work, Ordering::Relaxed);
        let is_usual = params.m_cost() <= self.usual.memory_kib;
        let budget = Arc::clone(&self.budget);
        budget.spend(u64::from(params.m_cost()), || {
            if self.memory.len() < blocks {
                // Freed first, so that the old and the new memory do not exist together.
                self.give_back();
                self.memory.reserve_exact(blocks.max(MIN_BLOCKS));
                self.memory.resize(blocks, Block::new());
            }
            let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
            let filled =
                argon2.hash_password_into_with_memory(password, salt, output, &mut self.memory[..blocks]);
            if !is_usual {
                self.give_back();
            }
            filled.map_err(unusable)
        })
    }
}

pub(super) fn unusable(error: impl std::fmt::Display) -> HashError {
    HashError::Unusable(error.to_string())
}
