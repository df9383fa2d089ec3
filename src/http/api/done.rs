//! The body of answers that say only that a request was carried out.

use poem_openapi::Object;
use serde::Serialize;

use crate::http::pipeline::Success;

/// The request was carried out.
#[derive(Object, Serialize)]
pub(super) struct Done {
    /// Always `true`.
    pub(super) ok: bool,
}

pub(super) const DONE: Success = Success::json::<Done>("", r#"{ "ok": true }"#);
