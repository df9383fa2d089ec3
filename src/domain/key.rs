//! How a key file is named.

use std::fmt;

/// Eight bytes that tell key files apart, as people compare them: `3f:9a:00:c4:1d:77:be:05`. They say nothing about the key itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyFingerprint([u8; 8]);

impl KeyFingerprint {
    /// Wraps the bytes.
    pub const fn new(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for KeyFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex: Vec<String> = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        f.write_str(&hex.join(":"))
    }
}
