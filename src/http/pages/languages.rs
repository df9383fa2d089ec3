//! Pages that exist in each language: a browser gets the one in the language that it prefers.

use std::future::ready;

use poem::Response;
use poem::http::HeaderMap;
use poem::http::header::ACCEPT_LANGUAGE;

use crate::domain::{Language, RegistrationMode};
use crate::http::ServerSettings;
use crate::http::pipeline::weights::weighted;
use crate::http::pipeline::{Code, Exchange, Operation, Refusal};

/// A GET operation for the page at `path`, whose contents have the keys that [`key`] makes.
pub(super) const fn page(path: &'static str, switch: Option<fn(&ServerSettings) -> bool>) -> Operation {
    Operation {
        path,
        limit: None,
        switch,
        ..Operation::open(|exchange| Box::pin(ready(find(&exchange, None))))
    }
}

/// Like [`page`], for a page that also depends on who may register.
pub(super) const fn page_by_mode(
    path: &'static str,
    switch: Option<fn(&ServerSettings) -> bool>,
) -> Operation {
    Operation {
        path,
        limit: None,
        switch,
        ..Operation::open(|exchange| {
            Box::pin(async move {
                // While the database does not answer, the page is there all the same: its forms say what does not work.
                let mode = exchange.shared.service.registration_mode().await;
                let mode = mode.map_or_else(|_| RegistrationMode::default(), |(mode, _)| mode);
                find(&exchange, Some(mode))
            })
        })
    }
}

fn find(exchange: &Exchange, mode: Option<RegistrationMode>) -> Result<Response, Refusal> {
    let key = key(&exchange.path, preferred(&exchange.headers), mode);
    let page = exchange.shared.contents.get(&key);
    let page = page.ok_or_else(|| Refusal::new(Code::NotFound))?;
    Ok(page.answer(&exchange.headers))
}

/// The key of the page at `path` in a language and, if it depends on it, for a registration mode. It contains a blank, so no request has this path, and the
/// operations that serve files do not find the page.
pub(super) fn key(path: &str, language: Language, mode: Option<RegistrationMode>) -> String {
    format!(
        "{path} {} {}",
        language.tag(),
        mode.map_or("", |mode| mode.into_str())
    )
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
