//! `arkloop.js`, the client library for web pages, and its types. Apps may load it, and the built-in pages use it.

use std::collections::HashMap;

use super::embedded::{REVALIDATE, page};
use crate::http::pipeline::Operation;
use crate::http::pipeline::content::Content;

pub(super) const SCRIPT: Operation = page("/arkloop.js", None);
pub(super) const TYPES: Operation = page("/arkloop.d.ts", None);

/// Adds the library and its types.
pub(super) fn add(contents: &mut HashMap<String, Content>) {
    let script = include_str!("arkloop.js");
    let script = Content::file(script, "text/javascript; charset=utf-8", REVALIDATE);
    let types = include_str!("arkloop.d.ts");
    let types = Content::file(types, "application/typescript; charset=utf-8", REVALIDATE);
    contents.insert(SCRIPT.path.to_owned(), script);
    contents.insert(TYPES.path.to_owned(), types);
}
