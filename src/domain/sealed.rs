//! Encrypted secrets.

/// A nonce and an authenticated ciphertext under a key of the key file: the only form in which `store` accepts a secret that must be shown again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed(pub Vec<u8>);
