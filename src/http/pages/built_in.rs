//! The built-in pages: signing in, creating an account, confirming an address, setting a password, the account of the person.
//!
//! They use the public API like any client. What differs between servers, languages and registration modes is filled into their templates once, for the first request, and so is the
//! content security policy, which depends on the captcha. Browsers do not store the pages.

use std::sync::Arc;

use poem::http::header::{CONTENT_SECURITY_POLICY, VARY};
use strum::VariantArray as _;

use super::embedded::{self, REVALIDATE, add_files, html};
use super::home::HOME;
use super::languages::{key, page, page_by_mode};
use super::rendering::{self, Static, Templates};
use crate::domain::{Language, Logo, LogoFormat, RegistrationMode};
use crate::http::ServerSettings;
use crate::http::pipeline::content::Content;
use crate::http::pipeline::contents::Contents;
use crate::http::pipeline::{Operation, Shared};

/// Where Turnstile's script and frame come from (Cloudflare, Turnstile, "Content Security Policy").
const CAPTCHA_ORIGIN: &str = "https://challenges.cloudflare.com";
/// The policy of the logo, which a browser may also open as a page: no scripts, forms or requests, for an origin of its own. The styles, pictures and fonts that
/// are in the file itself are allowed, because Firefox applies the policy of an SVG file also where an `<img>` shows it.
const LOGO_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; \
                           frame-ancestors 'none'; sandbox";
const SWITCH: fn(&ServerSettings) -> bool = |settings| settings.pages;

pub(super) const REGISTER: Operation = page_by_mode("/register", Some(SWITCH));
pub(super) const VERIFY: Operation = page("/verify", Some(SWITCH));
pub(super) const RESET: Operation = page("/reset", Some(SWITCH));
pub(super) const ACCOUNT: Operation = page("/account", Some(SWITCH));
pub(super) const FILES: Operation = embedded::page("/pages/{file}", Some(SWITCH));

/// Adds the pages in each language, those with [`page_by_mode`] for each registration mode, and their files.
pub(super) fn add(contents: &mut Contents, templates: &Arc<Templates>, shared: &Shared) {
    let captcha_on = !shared.service.captcha_site_key().is_empty();
    let every_mode = RegistrationMode::VARIANTS.iter().copied().map(Some).collect();
    let no_mode = vec![None];
    // The pages that never have a captcha hold tokens, so they run no script of another host.
    for (operation, template, has_captcha, modes) in [
        (&HOME, "sign_in.html", captcha_on, &every_mode),
        (&REGISTER, "register.html", captcha_on, &every_mode),
        (&VERIFY, "verify.html", false, &no_mode),
        (&RESET, "reset.html", captcha_on, &no_mode),
        (&ACCOUNT, "account.html", false, &no_mode),
    ] {
        let vary = if operation.is_for_browsers {
            "Accept, Accept-Encoding, Accept-Language"
        } else {
            "Accept-Encoding, Accept-Language"
        };
        for &language in Language::VARIANTS {
            for &mode in modes {
                let templates = Arc::clone(templates);
                contents.add(key(operation.path, language, mode), move || {
                    let page = templates.render(template, language, mode.unwrap_or_default());
                    html(Content::kept(page), &content_security_policy(has_captcha)).with(VARY, vary)
                });
            }
        }
    }
    add_files::<Static>(contents, "/pages/", REVALIDATE);
    if let Some(logo) = shared.settings.logo.clone() {
        contents.add(templates.logo(), move || picture(&logo));
    }
}

/// The file of the operator's logo.
fn picture(logo: &Logo) -> Content {
    let content_type = match logo.format() {
        LogoFormat::Png => "image/png",
        // The file was checked as UTF-8, and a declaration in it must not make browsers read it as anything else.
        LogoFormat::Svg => "image/svg+xml; charset=utf-8",
    };
    Content::file(logo.bytes().to_vec(), content_type, REVALIDATE).with(CONTENT_SECURITY_POLICY, LOGO_POLICY)
}

/// The policy of a page: scripts and requests of this server only, the style sheet that is written into the page, pictures of this server or in `data:` URLs, no
/// inline code. With a captcha, its script and its frame are allowed too.
pub(super) fn content_security_policy(captcha_on: bool) -> String {
    let style = rendering::style_source();
    let (script, frame) = if captcha_on {
        (
            format!(" {CAPTCHA_ORIGIN}"),
            format!("frame-src {CAPTCHA_ORIGIN}; "),
        )
    } else {
        (String::new(), String::new())
    };
    format!(
        "default-src 'none'; script-src 'self'{script}; {frame}style-src '{style}'; img-src 'self' data:; \
         connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    )
}
