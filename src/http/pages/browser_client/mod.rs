//! `arkloop.js`: the client for web pages that this server offers to apps and uses in its own pages, and its types.

use std::collections::HashMap;

use poem::http::header::{CACHE_CONTROL, CONTENT_TYPE};

use super::embedded::{REVALIDATE, page};
use crate::http::pipeline::Operation;
use crate::http::pipeline::content::Content;

pub(super) const SCRIPT: Operation = page("/arkloop.js", None);
pub(super) const TYPES: Operation = page("/arkloop.d.ts", None);

/// Adds both files.
pub(super) fn add(contents: &mut HashMap<String, Content>) {
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
        let content = Content::kept(text)
            .with(CONTENT_TYPE, content_type)
            .with(CACHE_CONTROL, REVALIDATE);
        contents.insert(operation.path.to_owned(), content);
    }
}
