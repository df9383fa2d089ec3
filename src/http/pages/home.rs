//! The page at `/`, which tells a browser what this server is. Every other client finds nothing there.

use minijinja::{Environment, context};
use poem::http::header::{ACCEPT, ACCEPT_LANGUAGE};
use poem::http::{HeaderMap, Method};
use strum::VariantArray;

use crate::domain::Language;
use crate::http::pipeline::exchange::Shared;
use crate::http::pipeline::weights::weighted;

/// Where it is.
const PATH: &str = "/";
/// It runs nothing and sends nothing.
pub(super) const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; \
                                 form-action 'none'; frame-ancestors 'none'";
/// On what the answer depends.
pub(crate) const VARY: &str = "Accept, Accept-Language";

/// Whether `path` is not there for whoever sent a request with these headers: it is the page's, and no browser asks for it.
pub(crate) fn is_hidden(path: &str, method: &Method, headers: &HeaderMap) -> bool {
    let is_read = matches!(*method, Method::GET | Method::HEAD);
    path == PATH && !(is_read && wants_html(headers))
}

/// The page in each language.
pub(super) struct Home(Vec<(Language, String)>);

impl Home {
    /// The pages as they are for `shared`.
    pub(crate) fn new(shared: &Shared) -> Self {
        let mut templates = Environment::new();
        templates
            .add_template("home.html", include_str!("home.html"))
            .expect("the template is compiled in, and every test that starts a server parses it");
        let template = templates.get_template("home.html").expect("it was added above");
        let page = |language: Language| {
            let context = context! {
                language => language.tag(),
                service => shared.service.name().as_str(),
                app => shared.settings.app_origin.as_deref(),
                has_pages => shared.settings.pages,
                has_docs => shared.settings.docs,
            };
            template
                .render(context)
                .expect("it names only what the context has")
        };
        Self(
            Language::VARIANTS
                .iter()
                .map(|language| (*language, page(*language)))
                .collect(),
        )
    }

    /// The page in the language that the client likes best.
    pub(crate) fn page(&self, headers: &HeaderMap) -> &str {
        let wanted = preferred(headers);
        let found = self.0.iter().find(|(language, _)| *language == wanted);
        found.map_or("", |(_, page)| page)
    }
}

/// Whether a client names HTML among what it takes, as browsers do and programs do not.
fn wants_html(headers: &HeaderMap) -> bool {
    let accepted = weighted(headers, ACCEPT);
    accepted
        .iter()
        .any(|(kind, weight)| kind == "text/html" && *weight > 0.0)
}

/// The language that a client likes best; English for those who like neither.
fn preferred(headers: &HeaderMap) -> Language {
    let mut wanted = weighted(headers, ACCEPT_LANGUAGE);
    wanted.retain(|(_, weight)| *weight > 0.0);
    // Stable, so that of two alike the first counts.
    wanted.sort_by(|(_, left), (_, right)| right.total_cmp(left));
    let nearest = wanted.iter().find_map(|(tag, _)| Language::nearest(tag));
    nearest.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderValue;
    use poem::http::header::HeaderName;

    use super::*;

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        let value = HeaderValue::from_str(value).expect("it is a value");
        HeaderMap::from_iter([(name, value)])
    }

    #[test]
    fn only_who_names_html_gets_the_page() {
        for (accept, is_browser) in [
            (
                "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
                true,
            ),
            ("Text/HTML; q=0.5", true),
            ("*/*", false),
            ("text/*", false),
            ("application/json, text/plain, */*", false),
            ("text/html;q=0, */*", false),
            ("", false),
        ] {
            assert_eq!(wants_html(&headers(ACCEPT, accept)), is_browser, "{accept}");
        }
        assert!(!wants_html(&HeaderMap::new()));
    }

    #[test]
    fn the_language_is_the_one_with_the_greatest_weight() {
        for (accept, language) in [
            ("zh-CN,zh;q=0.9,en;q=0.8", Language::Chinese),
            ("de, en;q=0.5, zh;q=0.7", Language::Chinese),
            ("en-GB, zh", Language::English),
            ("zh;q=0, de", Language::English),
            ("zh;q=x", Language::English),
            ("de, zh_TW", Language::Chinese),
            ("", Language::English),
        ] {
            assert_eq!(preferred(&headers(ACCEPT_LANGUAGE, accept)), language, "{accept}");
        }
    }
}
