//! The path `/`, which only browsers find: the sign-in page or, without the built-in pages, a page that says what this server is.

use std::sync::Arc;

use poem::http::header::VARY;
use strum::VariantArray as _;

use super::embedded::html;
use super::languages::{key, page_by_mode};
use super::rendering::Templates;
use crate::domain::{Language, RegistrationMode};
use crate::http::pipeline::Operation;
use crate::http::pipeline::content::Content;
use crate::http::pipeline::contents::Contents;

/// The page runs nothing and sends nothing.
const POLICY: &str =
    "default-src 'none'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(super) const HOME: Operation = Operation {
    is_for_browsers: true,
    ..page_by_mode("/", None)
};

/// Adds the page of a server without built-in pages, in each language.
pub(super) fn add(contents: &mut Contents, templates: &Arc<Templates>) {
    for &language in Language::VARIANTS {
        for &mode in RegistrationMode::VARIANTS {
            let templates = Arc::clone(templates);
            contents.add(key(HOME.path, language, Some(mode)), move || {
                let text = templates.render("home.html", language, mode);
                html(Content::new(text), POLICY).with(VARY, "Accept, Accept-Language")
            });
        }
    }
}
