//! The algorithms that sign access tokens.

/// An algorithm that signs access tokens.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, strum::IntoStaticStr, strum::EnumString, strum::VariantArray,
)]
#[strum(const_into_str)]
pub enum SignatureAlgorithm {
    /// ECDSA on P-256 with SHA-256 (RFC 7518 §3.4). The default, because every common library verifies it.
    #[default]
    #[strum(serialize = "ES256")]
    Es256,
    /// Ed25519 (RFC 8037), which some libraries lack. RFC 9864 deprecates this name for it.
    #[strum(serialize = "EdDSA")]
    EdDsa,
}
