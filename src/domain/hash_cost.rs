//! What a password hash costs (argon2id, RFC 9106), and what computes it.

/// Memory in KiB and iterations that the OWASP Password Storage Cheat Sheet calls equally strong.
const OWASP_COSTS: [(u32, u32); 5] = [(47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5)];

/// The cost of one hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argon2Cost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over that memory.
    pub iterations: u32,
    /// Lanes.
    pub parallelism: u32,
}

impl Default for Argon2Cost {
    /// `m=19456, t=2, p=1`: the first choice of the OWASP Password Storage Cheat Sheet.
    fn default() -> Self {
        Self {
            memory_kib: 19_456,
            iterations: 2,
            parallelism: 1,
        }
    }
}

impl Argon2Cost {
    /// Whether the cost is at least as high as one of the `OWASP_COSTS`.
    pub fn meets_owasp(self) -> bool {
        OWASP_COSTS
            .into_iter()
            .any(|(memory_kib, iterations)| self.memory_kib >= memory_kib && self.iterations >= iterations)
    }
}

/// What computes password hashes. The hashes are the same.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, strum::IntoStaticStr, strum::EnumString, strum::VariantArray,
)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum HashImplementation {
    /// The faster implementation for hashes of the configured cost, once it has computed known hashes correctly.
    #[default]
    Auto,
    /// The portable implementation for all hashes.
    Portable,
}
