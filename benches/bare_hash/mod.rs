//! Password hashes at the default cost with nothing around them: the baseline for the cost of a whole sign-in.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use arkloop::domain::Argon2Cost;

/// Hashes one password repeatedly in the same memory, as a hash thread of the server does.
pub(crate) struct BareHash {
    argon2: Argon2<'static>,
    memory: Vec<Block>,
}

impl BareHash {
    /// Allocates the memory in advance, so that the first hash costs as much as every other.
    pub(crate) fn new() -> Self {
        let cost = Argon2Cost::default();
        let params = Params::new(cost.memory_kib, cost.iterations, cost.parallelism, None);
        let params = params.expect("argon2 accepts the default cost");
        let memory = vec![Block::new(); params.block_count()];
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let mut hash = Self { argon2, memory };
        hash.compute();
        hash
    }

    /// Computes one hash.
    pub(crate) fn compute(&mut self) -> [u8; 32] {
        let mut output = [0; 32];
        self.argon2
            .hash_password_into_with_memory(b"correct horse", &[7; 16], &mut output, &mut self.memory)
            .expect("the password, the salt and the memory fit the cost");
        output
    }
}
