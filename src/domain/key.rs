//! The fingerprint of a key file.

use std::fmt;

/// Eight bytes by which people compare key files: `3f:9a:00:c4:1d:77:be:05`. They reveal nothing about the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyFingerprint(pub [u8; 8]);

impl fmt::Display for KeyFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex: Vec<String> = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        f.write_str(&hex.join(":"))
    }
}
