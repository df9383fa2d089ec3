//! The page at `/`, and the pages behind the links that are mailed or handed out: making an account, confirming an address, setting a password.
//!
//! They are static files that use the public API like any client. What differs from server to server is decided once, at
//! the start: the policy, by whether there is a captcha, the least length of a password, and the name of the service. Browsers
//! do not store the pages, and ask each time whether a file of theirs changed, so that a page never meets the scripts of another
//! version.

use minijinja::HtmlEscape;
use poem::Request;
use poem_openapi::payload::Html;
use poem_openapi::{ApiResponse, OpenApi};
use rust_embed::RustEmbed;

use super::docs::FileName;
use super::home::{self, Home};
use crate::http::pipeline::exchange::Shared;
use crate::http::pipeline::kept::{FileResponse, Files, Kept};

/// Where Turnstile's script and frame come from (Cloudflare, Turnstile, "Content Security Policy").
const CAPTCHA_ORIGIN: &str = "https://challenges.cloudflare.com";
/// Keep it, and ask each time whether it changed.
const REVALIDATE: &str = "no-cache";
/// What the pages say of the least length of a password, in the place of what this server asks for.
const LEAST_LENGTH: &str = r#"minlength="8""#;
/// What the pages say in the place of the name of the service.
const SERVICE_NAME: &str = "{service}";

/// The pages, their scripts, their styles and their icon.
#[derive(RustEmbed)]
#[folder = "src/http/pages/static"]
struct Static;

/// The pages. The document does not list them: they are for people.
pub(crate) struct PagesApi {
    /// Of the pages that may show a captcha.
    policy: String,
    register: Kept,
    verify: Kept,
    reset: Kept,
    files: Files,
    home: Home,
}

impl PagesApi {
    /// The pages as they are for `shared`.
    pub(crate) fn new(shared: &Shared) -> Self {
        let service = &shared.service;
        let least_length = format!(r#"minlength="{}""#, service.password_policy().min_length);
        let service_name = HtmlEscape(service.name().as_str()).to_string();
        let files = Files::of::<Static>();
        let page = |name: &str| {
            let text = files.page(name).replace(LEAST_LENGTH, &least_length);
            Kept::new(text.replace(SERVICE_NAME, &service_name))
        };
        Self {
            policy: content_security_policy(!service.captcha_site_key().is_empty()),
            register: page("register.html"),
            verify: page("verify.html"),
            reset: page("reset.html"),
            files,
            home: Home::new(shared),
        }
    }
}

impl PageResponse {
    fn new(page: &Kept, policy: &str) -> Self {
        Self::Ok(page.clone(), policy.to_owned(), "same-origin".to_owned())
    }
}

/// The policy of a page: scripts, styles, pictures and requests of this server only, nothing inline; with a captcha,
/// its script and its frame besides.
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

#[derive(ApiResponse)]
enum PageResponse {
    #[oai(status = 200, actual_type = "Html<String>")]
    Ok(
        Kept,
        #[oai(header = "Content-Security-Policy")] String,
        #[oai(header = "Cross-Origin-Opener-Policy")] String,
    ),
}

#[derive(ApiResponse)]
enum HomeResponse {
    #[oai(status = 200)]
    Ok(
        Html<String>,
        #[oai(header = "Content-Security-Policy")] String,
        #[oai(header = "Cross-Origin-Opener-Policy")] String,
        #[oai(header = "Vary")] String,
    ),
}

#[OpenApi]
impl PagesApi {
    /// Not there for whoever asks for no HTML: see [`home::is_hidden`].
    #[oai(path = "/", method = "get", hidden = true)]
    #[expect(clippy::unused_async, reason = "poem-openapi takes only async handlers")]
    async fn home_page(&self, request: &Request) -> HomeResponse {
        HomeResponse::Ok(
            Html(self.home.page(request.headers()).to_owned()),
            home::POLICY.to_owned(),
            "same-origin".to_owned(),
            home::VARY.to_owned(),
        )
    }

    #[oai(path = "/register", method = "get", hidden = true)]
    #[expect(clippy::unused_async, reason = "poem-openapi takes only async handlers")]
    async fn register_page(&self) -> PageResponse {
        PageResponse::new(&self.register, &self.policy)
    }

    #[oai(path = "/verify", method = "get", hidden = true)]
    #[expect(clippy::unused_async, reason = "poem-openapi takes only async handlers")]
    async fn verify_page(&self) -> PageResponse {
        // Nothing on it asks for a captcha, and it holds a token that is worth something.
        PageResponse::new(&self.verify, &content_security_policy(false))
    }

    #[oai(path = "/reset", method = "get", hidden = true)]
    #[expect(clippy::unused_async, reason = "poem-openapi takes only async handlers")]
    async fn reset_page(&self) -> PageResponse {
        PageResponse::new(&self.reset, &self.policy)
    }

    #[oai(path = "/pages/:file", method = "get", hidden = true)]
    #[expect(clippy::unused_async, reason = "poem-openapi takes only async handlers")]
    async fn pages_file(&self, name: FileName) -> poem::Result<FileResponse> {
        Ok(self.files.answer(&name.0, REVALIDATE)?)
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    fn text(name: &str) -> String {
        Files::of::<Static>().page(name).into_owned()
    }

    fn names(extension: &str) -> Vec<String> {
        let names = Static::iter().map(Cow::into_owned);
        names.filter(|name| name.ends_with(extension)).collect()
    }

    /// What stands between `start` and the next `end`, wherever it occurs.
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
