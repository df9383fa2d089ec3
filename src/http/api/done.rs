//! The body of answers that say only that it was done.

use poem_openapi::Object;
use poem_openapi::types::Example;

/// It was done.
#[derive(Object)]
#[oai(example = true)]
pub(super) struct Done {
    /// Always `true`.
    pub(super) ok: bool,
}

impl Example for Done {
    fn example() -> Self {
        Self { ok: true }
    }
}
