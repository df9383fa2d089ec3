//! One argon2id hash (RFC 9106) after another, in memory that is kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::constant_time;

use super::hash_queue::Budget;
use super::password::HashError;
use super::password_cost::Argon2Cost;
use crate::domain::PasswordHash;

/// Bytes of salt: RFC 9106 §3.1 recommends 16.
const SALT_BYTES: usize = 16;
/// Bytes of hash: as many as the argon2 crate and the reference give by default.
const HASH_BYTES: usize = 32;
/// The largest cost that a stored hash may demand: a row that somebody wrote into the database must not take all memory or hours.
const MAX_STORED_COST: Argon2Cost = Argon2Cost {
    memory_kib: 1024 * 1024,
    iterations: 32,
    parallelism: 16,
};

/// The least that is asked of the allocator for a hash, in blocks. Allocators give what is so large back to the system when
/// it is freed (glibc what is larger than 32 MiB, `DEFAULT_MMAP_THRESHOLD_MAX`), and may keep what is smaller. Only the
/// blocks that are used become memory.
const LEAST_BLOCKS: usize = 33 * 1024;

/// One thread's memory, which is kept while hashes follow one another: taking it anew each time costs up to a third of a hash.
pub(super) struct Worker {
    memory: Vec<Block>,
    /// The cost of new hashes: what a stored one needs beyond that is not kept.
    usual: Argon2Cost,
    blocks_filled: Arc<AtomicU64>,
    budget: Arc<Budget>,
}

impl Worker {
    /// A worker without memory yet, which adds its work to `blocks_filled`.
    pub(super) const fn new(usual: Argon2Cost, blocks_filled: Arc<AtomicU64>, budget: Arc<Budget>) -> Self {
        Self {
            memory: Vec::new(),
            usual,
            blocks_filled,
            budget,
        }
    }

    /// Whether it has kept the memory of a hash.
    pub(super) const fn holds_memory(&self) -> bool {
        self.memory.capacity() > 0
    }

    /// Gives its memory back to the system.
    pub(super) fn give_back(&mut self) {
        self.memory = Vec::new();
    }

    /// Hashes a password under `salt` at `cost`.
    pub(super) fn hash(
        &mut self,
        password: &[u8],
        salt: &[u8; SALT_BYTES],
        cost: Argon2Cost,
    ) -> Result<PasswordHash, HashError> {
        let params = params(cost)?;
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

    /// Whether a password is the stored one, and at which cost that is stored.
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
                "a stored hash is no argon2id hash".to_owned(),
            ));
        };
        if !is_bearable(cost) || stored.version != Some(Version::V0x13.into()) {
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
                // Freed first, or both would be there for a moment.
                self.give_back();
                self.memory.reserve_exact(blocks.max(LEAST_BLOCKS));
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

/// Whether a stored hash may demand `cost`.
pub(super) const fn is_bearable(cost: Argon2Cost) -> bool {
    cost.memory_kib <= MAX_STORED_COST.memory_kib
        && cost.iterations <= MAX_STORED_COST.iterations
        && cost.parallelism <= MAX_STORED_COST.parallelism
}

pub(super) fn params(cost: Argon2Cost) -> Result<Params, HashError> {
    Params::new(
        cost.memory_kib,
        cost.iterations,
        cost.parallelism,
        Some(HASH_BYTES),
    )
    .map_err(unusable)
}

fn unusable(error: impl std::fmt::Display) -> HashError {
    HashError::Unusable(error.to_string())
}
