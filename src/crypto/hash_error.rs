//! Errors of password hashing.

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

pub(super) fn unusable(error: impl std::fmt::Display) -> HashError {
    HashError::Unusable(error.to_string())
}
