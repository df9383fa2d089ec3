//! The pages for people: the built-in pages, the reference, and the client for pages of other apps.

mod browser_client;
mod built_in;
mod docs;
mod embedded;
mod home;
mod languages;
mod rendering;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::pipeline::contents::Contents;
use super::pipeline::{Operation, Shared};
use rendering::{Facts, Templates};

/// Every page and every file. The `OpenAPI` document lists only itself and `/docs`.
pub(super) static OPERATIONS: [&Operation; 11] = [
    &docs::OPENAPI_DOCUMENT,
    &docs::DOCS,
    &docs::FILES,
    &home::HOME,
    &built_in::REGISTER,
    &built_in::VERIFY,
    &built_in::RESET,
    &built_in::ACCOUNT,
    &built_in::FILES,
    &browser_client::SCRIPT,
    &browser_client::TYPES,
];

/// The contents of all pages and files, filled in for `shared`. `document` makes the `OpenAPI` document.
pub(super) fn contents(shared: &Shared, document: fn() -> String) -> Contents {
    let mut contents = Contents::default();
    let templates = Arc::new(Templates::new(Facts::of(shared)));
    docs::add(&mut contents, document);
    if shared.settings.pages {
        built_in::add(&mut contents, &templates, shared);
    } else {
        home::add(&mut contents, &templates);
    }
    browser_client::add(&mut contents);
    contents
}
