//! The page at `/`, which tells a browser what this server is. Other clients find nothing there.

use std::collections::HashMap;
use std::future::ready;

use minijinja::{Environment, context};
use poem::Response;
use poem::http::HeaderMap;
use poem::http::header::{ACCEPT_LANGUAGE, VARY};
use strum::VariantArray as _;

use super::embedded::html;
use crate::domain::Language;
use crate::http::pipeline::content::Content;
use crate::http::pipeline::weights::weighted;
use crate::http::pipeline::{Code, Exchange, Operation, Refusal, Shared};

/// The page runs nothing and sends nothing.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

pub(super) const HOME: Operation = Operation {
    path: "/",
    limit: None,
    is_for_browsers: true,
    ..Operation::open(|exchange| Box::pin(ready(home(&exchange))))
};

fn home(exchange: &Exchange) -> Result<Response, Refusal> {
    let language = preferred(&exchange.headers);
    let page = exchange.shared.contents.get(&name(language));
    let page = page.ok_or_else(|| Refusal::new(Code::NotFound))?;
    Ok(page.answer(&exchange.headers))
}

/// The key of the page in a language. It is not a path, so no request finds the page by it.
fn name(language: Language) -> String {
    format!("home.{}", language.tag())
}

/// Adds the page in each language, filled in for `shared`.
pub(super) fn add(contents: &mut HashMap<String, Content>, shared: &Shared) {
    let templates = Environment::new();
    for &language in Language::VARIANTS {
        let context = context! {
            language => language.tag(),
            service => shared.service.name().as_str(),
            app => shared.settings.app_origin.as_deref(),
            has_pages => shared.settings.pages,
            has_docs => shared.settings.docs,
        };
        // The ending of the name makes minijinja escape every value.
        let text = templates.render_named_str("home.html", include_str!("home.html"), context);
        let text = text.expect("the template is compiled in, and uses only values of the context");
        let page = html(Content::new(text), POLICY).with(VARY, "Accept, Accept-Language");
        contents.insert(name(language), page);
    }
}

/// The language that a client prefers, or English if the client accepts no language of the server.
fn preferred(headers: &HeaderMap) -> Language {
    let mut wanted = weighted(headers, ACCEPT_LANGUAGE);
    wanted.retain(|(_, weight)| *weight > 0.0);
    // The sort is stable, so the first of two languages with the same weight is preferred.
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
