//! Passwords, access tokens, refresh tokens, sealing, and the key file.
//!
//! No other module uses the crates `argon2`, `argon2-rust` and `jsonwebtoken`.

mod access_token;
mod argon2_filler;
mod hash_budget;
mod hash_error;
mod hash_worker;
mod key_file;
mod keys;
mod password;
mod password_cost;
#[cfg(test)]
mod properties;
mod refresh_token;
mod signing_key;

pub use access_token::{AccessClaims, AccessTokenError, AccessTokenSettings, Keyring, PublishedKey};
pub use hash_error::HashError;
pub use key_file::{
    KeyFileError, adopt_successor, check_replaceable, create_successor, find_successor,
    read as read_key_file, remove_successor,
};
pub use keys::{Keys, SealError, SealedFor, fingerprint_of, is_same_code, link_digest, text_digest};
pub use password::{Compared, PasswordHasher, Priority, Verification};
pub use password_cost::CostShares;
pub use refresh_token::{PresentedRefreshToken, RefreshTokens};
pub use signing_key::{SigningKey, SigningKeyError};
