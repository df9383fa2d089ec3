//! The algorithms that sign access tokens.

/// An algorithm that signs access tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignatureAlgorithm {
    /// ECDSA on P-256 with SHA-256 (RFC 7518 §3.4). The default, because every common library verifies it.
    #[default]
    Es256,
    /// Ed25519 (RFC 8037), which some libraries lack. RFC 9864 deprecates this name for it.
    EdDsa,
}

impl SignatureAlgorithm {
    /// Every algorithm.
    pub const ALL: [Self; 2] = [Self::Es256, Self::EdDsa];

    /// The name in tokens, keys, the database and the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
        }
    }

    /// The algorithm of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name)
    }
}
