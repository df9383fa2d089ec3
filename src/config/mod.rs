//! The operator's configuration: `arkloop.toml`, overridden by environment variables, overridden by flags.
//!
//! `keys.rs` reads each key once, with its name, format and default. Known keys, `config show` and the errors derive from these calls. `Deserialize` is not
//! derived: environment variables are untyped text, a relative path is resolved against the directory of the file or of the process that gave it,
//! and an error names the key, its location and the accepted format, but not the value, which serde's errors repeat. `arkloop.toml.example`
//! describes the same keys, and a test compares the two.

mod address;
mod check;
mod error;
mod format;
mod keys;
#[cfg(test)]
mod properties;
mod reader;
mod sections;
mod show;
mod smtp;
mod sources;

pub use address::Origin;
pub use error::ConfigError;
pub use sections::{Config, Level};
pub use sources::{Sources, is_config_variable};
