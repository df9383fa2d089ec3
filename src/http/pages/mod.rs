//! What people see: the built-in pages, the reference, and the client for pages of other apps.

pub(super) mod browser_client;
pub(super) mod built_in;
pub(super) mod docs;
pub(super) mod home;
