//! Computes argon2id hashes (RFC 9106) with one of two implementations.
//!
//! `argon2-rust` is faster than `argon2`, but young and unaudited. So it computes hashes of the configured cost only, and only after it has computed
//! known hashes of that cost as `argon2` does. Every other hash, such as one of an older cost, is computed by `argon2`. Which of the two computes a hash
//! thus depends on its cost alone, and never on the account.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Once, OnceLock};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use argon2_rust::params::{Memory, TagLen};
use argon2_rust::{Backend, Hasher};

use super::hash_error::{HashError, unusable};
use super::password_cost::HASH_BYTES;
use crate::domain::{Argon2Cost, HashImplementation};

/// The smallest allocation for a hash, in blocks. Allocators return so large an allocation to the system when it is freed
/// (glibc above 32 MiB, `DEFAULT_MMAP_THRESHOLD_MAX`), and may keep a smaller one. Blocks that are never used take no memory.
const MIN_BLOCKS: usize = 33 * 1024;
/// Passwords and salts that both implementations hash before the fast one is used: a password that fits into one block of the initial hash (128 bytes), and one that does not.
const KNOWN: [(&[u8], &[u8]); 2] = [(b"a harbour", &[0xa5; 16]), (&[0x5a; 128], &[0x3c; 16])];

/// Computes a hash of the cost that a [`Hasher`] has. A test passes one that is wrong.
type Compute = fn(&mut Hasher, &[u8], &[u8], &mut [u8]) -> Result<(), argon2_rust::Error>;

/// The fast implementation, and whether it is used. All hash threads share it, so the check runs once in a process.
pub(super) struct FastPath {
    compute: Compute,
    /// Not set before the check.
    is_used: OnceLock<bool>,
    failure_is_logged: Once,
}

impl FastPath {
    pub(super) fn new(implementation: HashImplementation) -> Self {
        Self {
            compute: Hasher::hash_into,
            is_used: match implementation {
                // `argon2-rust` declares `mmap` as 64-bit systems have it.
                HashImplementation::Auto if cfg!(target_pointer_width = "64") => OnceLock::new(),
                HashImplementation::Auto | HashImplementation::Portable => OnceLock::from(false),
            },
            failure_is_logged: Once::new(),
        }
    }

    /// Computes a hash into `output`, or says why it did not. A panic would end the hash thread, so it is an error as well.
    fn compute(
        &self,
        hasher: &mut Hasher,
        password: &[u8],
        salt: &[u8],
        output: &mut [u8],
    ) -> Result<(), String> {
        // After a failure the memory of the hasher is given back, and the output is overwritten.
        match catch_unwind(AssertUnwindSafe(|| {
            (self.compute)(hasher, password, salt, output)
        })) {
            Ok(computed) => computed.map_err(|error| error.to_string()),
            Err(_) => Err("it panicked".to_owned()),
        }
    }
}

/// Computes the hashes of one thread, and keeps the memory of one hash between them.
pub(super) struct Filler {
    /// The memory of the portable implementation; empty while the fast one holds memory.
    blocks: Vec<Block>,
    /// The fast implementation with its memory.
    hasher: Hasher,
    /// The parameters of new hashes. Memory that a stored hash needs beyond that is not kept.
    usual: Params,
    fast_path: Arc<FastPath>,
}

impl Filler {
    /// A filler without memory.
    pub(super) fn new(usual: Argon2Cost, fast_path: Arc<FastPath>) -> Result<Self, HashError> {
        let params = argon2_rust::Params::builder()
            .memory(Memory::kib(usual.memory_kib.into()))
            .passes(usual.iterations)
            .lanes(usual.parallelism)
            // Lanes are computed one after another; the feature `parallel` is off.
            .threads(1)
            .tag_len(TagLen::bytes(HASH_BYTES as u64))
            .build()
            .map_err(unusable)?;
        let (algorithm, version) = (argon2_rust::Algorithm::Argon2id, argon2_rust::Version::V0x13);
        Ok(Self {
            blocks: Vec::new(),
            hasher: argon2_rust::Argon2::new(algorithm, version, params).hasher(),
            usual: usual.params().map_err(unusable)?,
            fast_path,
        })
    }

    pub(super) fn holds_memory(&self) -> bool {
        self.blocks.capacity() > 0 || self.hasher.reserved_blocks() > 0
    }

    pub(super) fn give_back(&mut self) {
        self.blocks = Vec::new();
        self.hasher.clear();
    }

    /// Computes a hash into `output`.
    pub(super) fn fill(
        &mut self,
        params: Params,
        password: &[u8],
        salt: &[u8],
        output: &mut [u8],
    ) -> Result<(), HashError> {
        let fast_path = Arc::clone(&self.fast_path);
        if params == self.usual && *fast_path.is_used.get_or_init(|| self.agrees()) {
            self.blocks = Vec::new();
            match fast_path.compute(&mut self.hasher, password, salt, output) {
                Ok(()) => return Ok(()),
                Err(error) => fast_path.failure_is_logged.call_once(|| {
                    tracing::warn!(
                        "argon2-rust did not compute a password hash, so argon2 computes it: {error}"
                    );
                }),
            }
        }
        self.hasher.clear();
        self.fill_portably(params, password, salt, output)
    }

    /// Whether both implementations compute the same hashes of the usual cost. They do so one after the other, in the memory of one hash.
    fn agrees(&mut self) -> bool {
        let portable = known_hashes(|password, salt, output| {
            self.fill_portably(self.usual.clone(), password, salt, output)
                .ok()
        });
        self.blocks = Vec::new();
        let fast = known_hashes(|password, salt, output| {
            let computed = self.fast_path.compute(&mut self.hasher, password, salt, output);
            computed.ok()
        });
        let agrees = portable.is_some() && portable == fast;
        let backend = argon2_rust::detected_backend();
        if !agrees {
            tracing::warn!(
                "argon2-rust ({backend}) does not compute the password hashes that argon2 computes, so argon2 is used: report this, with the model \
                 of the processor"
            );
        } else if !matches!(backend, Backend::Avx512 | Backend::Avx2 | Backend::Neon) {
            tracing::info!("the processor has none of AVX-512, AVX2 and NEON: password hashes take longer");
        }
        agrees
    }

    fn fill_portably(
        &mut self,
        params: Params,
        password: &[u8],
        salt: &[u8],
        output: &mut [u8],
    ) -> Result<(), HashError> {
        let blocks = params.block_count();
        let is_kept = params.m_cost() <= self.usual.m_cost();
        if self.blocks.len() < blocks {
            // Freed first, so that the old and the new memory do not exist together.
            self.blocks = Vec::new();
            self.blocks.reserve_exact(blocks.max(MIN_BLOCKS));
            self.blocks.resize(blocks, Block::new());
        }
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let filled =
            argon2.hash_password_into_with_memory(password, salt, output, &mut self.blocks[..blocks]);
        if !is_kept {
            self.blocks = Vec::new();
        }
        filled.map_err(unusable)
    }
}

/// The hashes of the [`KNOWN`] passwords; `None` if one is not computed.
fn known_hashes(
    mut compute: impl FnMut(&[u8], &[u8], &mut [u8]) -> Option<()>,
) -> Option<Vec<[u8; HASH_BYTES]>> {
    let hashes = KNOWN.into_iter().map(|(password, salt)| {
        let mut output = [0; HASH_BYTES];
        compute(password, salt, &mut output).map(|()| output)
    });
    hashes.collect()
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read};
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::crypto::password_cost::CHEAP;

    const OLDER: Argon2Cost = Argon2Cost {
        memory_kib: 16,
        ..CHEAP
    };
    const SALT: &[u8] = &[7; 16];

    fn filler(compute: Compute) -> Filler {
        let fast_path = FastPath {
            compute,
            ..FastPath::new(HashImplementation::Auto)
        };
        Filler::new(CHEAP, Arc::new(fast_path)).expect("the cost is allowed")
    }

    fn fill(filler: &mut Filler, cost: Argon2Cost) -> [u8; HASH_BYTES] {
        let (params, mut output) = (cost.params().expect("the cost is allowed"), [0; HASH_BYTES]);
        let outcome = filler.fill(params, b"correct horse", SALT, &mut output);
        outcome.expect("it is computed");
        output
    }

    /// The hash as `argon2` computes it.
    fn expected(cost: Argon2Cost) -> [u8; HASH_BYTES] {
        let argon2 = Argon2::new(
            Algorithm::Argon2id,
            Version::V0x13,
            cost.params().expect("the cost is allowed"),
        );
        let mut output = [0; HASH_BYTES];
        let computed = argon2.hash_password_into(b"correct horse", SALT, &mut output);
        computed.expect("it is computed");
        output
    }

    /// The lines that are logged at `warn` while `work` runs.
    fn warnings_of(work: impl FnOnce()) -> Vec<String> {
        let (mut reader, writer) = io::pipe().expect("the system makes a pipe");
        let log = tracing_subscriber::fmt().with_max_level(tracing::Level::WARN);
        tracing::subscriber::with_default(log.with_writer(Arc::new(writer)).finish(), work);
        let mut lines = String::new();
        reader.read_to_string(&mut lines).expect("the log is text");
        lines.lines().map(str::to_owned).collect()
    }

    #[test]
    fn the_fast_implementation_computes_hashes_of_the_usual_cost() {
        static COMPUTED: AtomicU32 = AtomicU32::new(0);
        let mut filler = filler(|hasher, password, salt, output| {
            COMPUTED.fetch_add(1, Ordering::Relaxed);
            hasher.hash_into(password, salt, output)
        });
        assert_eq!(fill(&mut filler, CHEAP), expected(CHEAP));
        // The known hashes, and the one that was asked for.
        assert_eq!(COMPUTED.load(Ordering::Relaxed), 3);
        assert_eq!(fill(&mut filler, OLDER), expected(OLDER));
        assert_eq!(COMPUTED.load(Ordering::Relaxed), 3);
        assert_eq!(fill(&mut filler, CHEAP), expected(CHEAP));
        assert_eq!(COMPUTED.load(Ordering::Relaxed), 4);
    }

    #[test]
    fn a_hash_of_another_length_is_computed_portably() {
        let mut filler = filler(|_, _, _, _| panic!("the hash is not of the usual length"));
        let params = Params::new(8, 1, 1, Some(64)).expect("the cost is allowed");
        let mut output = [0; 64];
        let outcome = filler.fill(params, b"correct horse", SALT, &mut output);
        outcome.expect("it is computed");
        assert_ne!(output, [0; 64]);
    }

    #[test]
    fn the_portable_implementation_can_be_demanded() {
        let fast_path = FastPath {
            compute: |_, _, _, _| panic!("the configuration demands the portable implementation"),
            ..FastPath::new(HashImplementation::Portable)
        };
        let mut filler = Filler::new(CHEAP, Arc::new(fast_path)).expect("the cost is allowed");
        assert_eq!(fill(&mut filler, CHEAP), expected(CHEAP));
    }

    #[test]
    fn a_wrong_fast_hash_is_never_used() {
        static COMPUTED: AtomicU32 = AtomicU32::new(0);
        let mut filler = filler(|hasher, password, salt, output| {
            COMPUTED.fetch_add(1, Ordering::Relaxed);
            let computed = hasher.hash_into(password, salt, output);
            // Only the longer password has a wrong hash.
            output[31] ^= u8::from(password.len() == 128);
            computed
        });
        let warnings = warnings_of(|| {
            for _ in 0..2 {
                assert_eq!(fill(&mut filler, CHEAP), expected(CHEAP));
            }
        });
        assert_eq!(COMPUTED.load(Ordering::Relaxed), 2);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains("so argon2 is used"), "{warnings:?}");
    }

    #[test]
    fn a_fast_implementation_that_cannot_compute_is_never_used() {
        let failures: [Compute; 2] = [
            |_, _, _, _| Err(argon2_rust::Error::MemoryAllocationError),
            |_, _, _, _| panic!("the test asks for a panic"),
        ];
        for compute in failures {
            let mut filler = filler(compute);
            let warnings = warnings_of(|| assert_eq!(fill(&mut filler, CHEAP), expected(CHEAP)));
            assert_eq!(warnings.len(), 1, "{warnings:?}");
            assert!(warnings[0].contains("so argon2 is used"), "{warnings:?}");
        }
    }

    #[test]
    fn a_fast_hash_that_fails_is_computed_portably() {
        let failures: [Compute; 2] = [
            |hasher, password, salt, output| match password {
                b"correct horse" => {
                    output.fill(1);
                    Err(argon2_rust::Error::MemoryAllocationError)
                }
                _ => hasher.hash_into(password, salt, output),
            },
            |hasher, password, salt, output| {
                assert_ne!(password, b"correct horse", "the test asks for a panic");
                hasher.hash_into(password, salt, output)
            },
        ];
        for compute in failures {
            let mut filler = filler(compute);
            let warnings = warnings_of(|| {
                for _ in 0..2 {
                    assert_eq!(fill(&mut filler, CHEAP), expected(CHEAP));
                }
            });
            assert_eq!(warnings.len(), 1, "{warnings:?}");
            assert!(warnings[0].contains("did not compute"), "{warnings:?}");
        }
    }

    #[test]
    fn a_thread_holds_the_memory_of_one_implementation_until_it_gives_it_back() {
        let mut filler = filler(Hasher::hash_into);
        assert!(!filler.holds_memory());
        let held = |filler: &Filler| (filler.hasher.reserved_blocks(), filler.blocks.len());
        fill(&mut filler, CHEAP);
        assert_eq!(held(&filler), (8, 0));
        // The memory of a stored hash of a higher cost is not kept, that of a lower one is.
        fill(&mut filler, OLDER);
        assert!(!filler.holds_memory());
        let mut raised = Filler::new(OLDER, Arc::clone(&filler.fast_path)).expect("the cost is allowed");
        fill(&mut raised, OLDER);
        fill(&mut raised, CHEAP);
        assert_eq!(held(&raised), (0, 8));
        raised.give_back();
        assert!(!raised.holds_memory());
        fill(&mut filler, CHEAP);
        filler.give_back();
        assert!(!filler.holds_memory());
    }
}
