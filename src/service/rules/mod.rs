//! What use cases share inside one change, one noun a file. Nothing here knows a use case.

pub(super) mod audit;
pub(super) mod mail;
