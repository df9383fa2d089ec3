//! The algorithms that sign access tokens.

/// An algorithm. Its name is used in tokens, keys, the database and the configuration.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, strum::IntoStaticStr, strum::EnumString, strum::VariantArray,
)]
#[strum(const_into_str)]
pub enum SignatureAlgorithm {
    /// ECDSA on P-256 with SHA-256 (RFC 7518 §3.4). The default, because all common libraries verify it.
    #[default]
    #[strum(serialize = "ES256")]
    Es256,
    /// Ed25519 (RFC 8037), which some libraries lack. RFC 9864 deprecates the name `EdDSA` for it.
    #[strum(serialize = "EdDSA")]
    EdDsa,
}
