//! The id with which a request is found in the log.

use std::fmt;

/// 16 random bytes that identify a request, shown as 32 lower-case hexadecimal digits. A client cannot choose them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId(pub [u8; 16]);

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
