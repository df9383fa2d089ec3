//! Bytes that only the key file opens.

/// A nonce and an authenticated ciphertext: the only form in which `store` takes a secret that must be shown again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed(pub Vec<u8>);
