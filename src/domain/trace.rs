//! The id with which a request is found in the log.

use std::fmt;

use uuid::Uuid;

/// 16 random bytes that identify a request, shown as 32 lower-case hexadecimal digits. A client cannot choose them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId(pub [u8; 16]);

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The digits of a UUID: they are looked up in a table and written at once, twice for each request.
        fmt::Display::fmt(&Uuid::from_bytes(self.0).simple(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_id_is_32_lower_case_digits() {
        let id = TraceId([
            0x00, 0x01, 0x10, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0xff, 0x80, 0x7f, 0xf0, 0x0f, 0x0a,
        ]);
        assert_eq!(id.to_string(), "00011023456789abcdefff807ff00f0a");
    }
}
