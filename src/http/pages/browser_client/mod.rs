//! `arkloop.js`, the client library for web pages, and its types. Apps may load it, and the built-in pages use it.

use super::embedded::{REVALIDATE, page};
use crate::http::pipeline::Operation;
use crate::http::pipeline::content::Content;
use crate::http::pipeline::contents::Contents;

pub(super) const SCRIPT: Operation = page("/arkloop.js", None);
pub(super) const TYPES: Operation = page("/arkloop.d.ts", None);

/// Adds the library and its types.
pub(super) fn add(contents: &mut Contents) {
    for (operation, text, content_type) in [
        (
            &SCRIPT,
            include_str!("arkloop.js"),
            "text/javascript; charset=utf-8",
        ),
        (
            &TYPES,
            include_str!("arkloop.d.ts"),
            "application/typescript; charset=utf-8",
        ),
    ] {
        contents.add(operation.path, move || {
            Content::file(text, content_type, REVALIDATE)
        });
    }
}
