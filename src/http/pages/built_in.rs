//! The pages behind the links that are mailed or handed out: creating an account, confirming an address, setting a password.
//!
//! They are static files that use the public API like any client. What differs between servers is filled in once, at the start: the minimum length of a
//! password, the name of the service, and the content security policy, which depends on the captcha. Browsers do not store the pages.

use std::collections::HashMap;

use minijinja::HtmlEscape;
use rust_embed::RustEmbed;

use super::embedded::{self, REVALIDATE, add_files, html, page};
use crate::http::ServerSettings;
use crate::http::pipeline::content::Content;
use crate::http::pipeline::{Operation, Shared};

/// Where Turnstile's script and frame come from (Cloudflare, Turnstile, "Content Security Policy").
const CAPTCHA_ORIGIN: &str = "https://challenges.cloudflare.com";
/// The text in the pages that is replaced to set the minimum length of a password.
const LEAST_LENGTH: &str = r#"minlength="8""#;
/// The placeholder in the pages for the name of the service.
const SERVICE_NAME: &str = "{service}";
const SWITCH: fn(&ServerSettings) -> bool = |settings| settings.pages;

/// The pages, their scripts, their styles and their icon.
#[derive(RustEmbed)]
#[folder = "src/http/pages/static"]
struct Static;

pub(super) const REGISTER: Operation = page("/register", Some(SWITCH));
pub(super) const VERIFY: Operation = page("/verify", Some(SWITCH));
pub(super) const RESET: Operation = page("/reset", Some(SWITCH));
pub(super) const FILES: Operation = page("/pages/{file}", Some(SWITCH));

/// Adds the pages, filled in for `shared`, and their files.
pub(super) fn add(contents: &mut HashMap<String, Content>, shared: &Shared) {
    let service = &shared.service;
    let least_length = format!(r#"minlength="{}""#, service.password_min_length());
    let service_name = HtmlEscape(service.name().as_str()).to_string();
    let policy = content_security_policy(!service.captcha_site_key().is_empty());
    // This page needs no captcha and holds a token, so it runs no script of another host.
    let verify_policy = content_security_policy(false);
    for (operation, name, policy) in [
        (&REGISTER, "register.html", &policy),
        (&VERIFY, "verify.html", &verify_policy),
        (&RESET, "reset.html", &policy),
    ] {
        let text = embedded::text::<Static>(name).replace(LEAST_LENGTH, &least_length);
        let page = Content::kept(text.replace(SERVICE_NAME, &service_name));
        contents.insert(operation.path.to_owned(), html(page, policy));
    }
    add_files::<Static>(contents, "/pages/", REVALIDATE);
}

/// The policy of a page: scripts, styles and requests of this server only, pictures of this server or in `data:` URLs, no inline code. With a captcha, its
/// script and its frame are allowed too.
fn content_security_policy(captcha_on: bool) -> String {
    let (script, frame) = if captcha_on {
        (
            format!(" {CAPTCHA_ORIGIN}"),
            format!("frame-src {CAPTCHA_ORIGIN}; "),
        )
    } else {
        (String::new(), String::new())
    };
    format!(
        "default-src 'none'; script-src 'self'{script}; {frame}style-src 'self'; img-src 'self' data:; \
         connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    fn text(name: &str) -> String {
        embedded::text::<Static>(name)
    }

    fn names(extension: &str) -> Vec<String> {
        let names = Static::iter().map(Cow::into_owned);
        names.filter(|name| name.ends_with(extension)).collect()
    }

    /// Every text between a `start` and the next `end`.
    fn between<'a>(text: &'a str, start: &str, end: char) -> BTreeSet<&'a str> {
        let pieces = text.split(start).skip(1);
        pieces.filter_map(|piece| piece.split(end).next()).collect()
    }

    /// The texts of a language by their keys.
    fn texts(source: &str) -> BTreeMap<&str, &str> {
        let lines = source.lines().filter_map(|line| line.strip_prefix("  "));
        let entries = lines.filter_map(|line| line.split_once(": \""));
        entries.map(|(key, text)| (key.trim_matches('"'), text)).collect()
    }

    #[test]
    fn only_a_captcha_opens_the_policy_and_only_to_its_own_host() {
        assert_eq!(
            content_security_policy(false),
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
             form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        );
        assert_eq!(
            content_security_policy(true),
            "default-src 'none'; script-src 'self' https://challenges.cloudflare.com; \
             frame-src https://challenges.cloudflare.com; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
             form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        );
    }

    #[test]
    fn every_file_that_is_asked_for_is_there() {
        for name in names(".html") {
            for asked in between(&text(&name), "/pages/", '"') {
                assert!(Static::get(asked).is_some(), "{name} asks for {asked}");
            }
        }
        for name in names(".js") {
            for asked in between(&text(&name), " from \"./", '"') {
                assert!(Static::get(asked).is_some(), "{name} asks for {asked}");
            }
        }
    }

    #[test]
    fn the_pages_hold_nothing_that_the_policy_forbids() {
        for name in names(".html") {
            let page = text(&name);
            for forbidden in ["<style", " style=", "javascript:", "//"] {
                assert!(!page.contains(forbidden), "{name} has {forbidden}");
            }
            let is_handler = |word: &str| word.starts_with("on") && word.contains('=');
            assert!(!page.split_whitespace().any(is_handler), "{name} has a handler");
            let scripts = page.matches("<script").count();
            let modules = page.matches("<script type=\"module\" src=").count();
            assert_eq!(scripts, modules, "{name} has a script of its own");
        }
    }

    #[test]
    fn both_languages_have_the_same_texts_with_the_same_gaps() {
        let (english, chinese) = (text("en.js"), text("zh.js"));
        let (english, chinese) = (texts(&english), texts(&chinese));
        assert!(english.len() > 80, "{}", english.len());
        assert_eq!(
            english.keys().collect::<Vec<_>>(),
            chinese.keys().collect::<Vec<_>>()
        );
        for (key, said) in &english {
            assert_eq!(between(said, "{", '}'), between(chinese[key], "{", '}'), "{key}");
        }
        for name in names(".html") {
            let page = text(&name);
            let asked = between(&page, "data-text=\"", '"');
            for key in asked.union(&between(&page, "data-label=\"", '"')) {
                assert!(english.contains_key(key), "{name} asks for {key}");
            }
        }
    }

    #[test]
    fn every_page_says_what_the_service_is_called() {
        for name in names(".html") {
            assert_eq!(text(&name).matches(SERVICE_NAME).count(), 3, "{name}");
        }
    }

    #[test]
    fn a_password_field_names_the_length_that_the_server_puts_in() {
        for name in ["register.html", "reset.html"] {
            assert_eq!(text(name).matches(LEAST_LENGTH).count(), 1, "{name}");
        }
    }
}
