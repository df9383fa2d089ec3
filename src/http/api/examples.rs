//! Values in the examples of the document.

pub(super) const EXAMPLE_UUID: &str = "019abd3a-6f00-7c3e-9a51-4f0e6d2b8c17";
pub(super) const EXAMPLE_TIME: &str = "2026-11-22T10:00:00Z";
/// The beginning of an access token.
pub(super) const EXAMPLE_TOKEN: &str = "eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCJ9…";
