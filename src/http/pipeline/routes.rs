//! Finds the operation that a request is for.

use std::collections::{BTreeSet, HashMap};

use poem::http::header::ACCEPT;
use poem::http::{HeaderMap, HeaderValue, Method};

use super::operation::Operation;
use super::report::Meter;
use super::weights::weighted;
use crate::http::ServerSettings;

/// Every path that is served.
pub(crate) struct Routes {
    literal: HashMap<&'static str, Resource>,
    /// Paths that end in a parameter, by the text before it.
    templated: HashMap<&'static str, Resource>,
}

/// The operations of one path.
#[derive(Default)]
pub(crate) struct Resource(Vec<Route>);

/// An operation that is served, and its metrics.
struct Route {
    operation: &'static Operation,
    meter: Meter,
}

impl Routes {
    /// The table of those `operations` that `settings` turn on.
    pub(crate) fn new(
        operations: impl Iterator<Item = &'static Operation>,
        settings: &ServerSettings,
    ) -> Self {
        let mut routes = Self {
            literal: HashMap::new(),
            templated: HashMap::new(),
        };
        for operation in operations {
            if operation.switch.is_some_and(|is_on| !is_on(settings)) {
                continue;
            }
            let resource = match operation.path.split_once('{') {
                Some((prefix, _)) => routes.templated.entry(prefix),
                None => routes.literal.entry(operation.path),
            };
            resource.or_default().0.push(Route {
                operation,
                meter: Meter::new(operation.id),
            });
        }
        routes
    }

    /// Every method that at least one path has, for `OPTIONS *` (RFC 9110 §9.3.7).
    pub(crate) fn allow(&self) -> HeaderValue {
        let resources = self.literal.values().chain(self.templated.values());
        list(resources.flat_map(Resource::methods), "HEAD, OPTIONS")
    }

    /// The resource at `path`; `None` if there is none for this request.
    pub(crate) fn find(&self, path: &str, method: &Method, headers: &HeaderMap) -> Option<&Resource> {
        let resource = self.literal.get(path).or_else(|| {
            let (before, parameter) = path.split_at(path.rfind('/')? + 1);
            let resource = self.templated.get(before)?;
            (!parameter.is_empty()).then_some(resource)
        });
        resource.filter(|resource| resource.is_there(method, headers))
    }
}

impl Resource {
    /// The operation that `method` stands for. HEAD is GET without a body.
    pub(crate) fn operation(&self, method: &Method) -> Option<&'static Operation> {
        self.route(method).map(|route| route.operation)
    }

    /// The metrics of that operation.
    pub(super) fn meter(&self, method: &Method) -> Option<&Meter> {
        self.route(method).map(|route| &route.meter)
    }

    fn route(&self, method: &Method) -> Option<&Route> {
        let method = if *method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        self.0.iter().find(|route| route.operation.method == method)
    }

    /// The documented methods.
    pub(crate) fn methods(&self) -> impl Iterator<Item = &Method> {
        self.0.iter().map(|route| route.operation.method)
    }

    /// Every method that is answered, for `Allow`.
    pub(crate) fn allow(&self) -> HeaderValue {
        let head = self
            .operation(&Method::HEAD)
            .map_or("OPTIONS", |_| "HEAD, OPTIONS");
        list(self.methods(), head)
    }

    /// Whether pages of every origin may read the resource.
    pub(crate) fn is_public(&self) -> bool {
        self.0.iter().any(|route| route.operation.is_public)
    }

    /// Whether the resource exists for a request with these headers. Only clients that accept HTML find a page at `/`.
    fn is_there(&self, method: &Method, headers: &HeaderMap) -> bool {
        let is_read = matches!(*method, Method::GET | Method::HEAD);
        !self.0.iter().any(|route| route.operation.is_for_browsers) || is_read && wants_html(headers)
    }
}

/// The names of `methods`, each once, and `more` after them.
pub(crate) fn list<'a>(methods: impl Iterator<Item = &'a Method>, more: &'a str) -> HeaderValue {
    let names: BTreeSet<&str> = methods.map(Method::as_str).collect();
    let names = names.into_iter().chain((!more.is_empty()).then_some(more));
    let names: Vec<&str> = names.collect();
    HeaderValue::from_str(&names.join(", ")).unwrap_or(HeaderValue::from_static(""))
}

/// Whether a client accepts HTML by name, as browsers do and other programs do not.
fn wants_html(headers: &HeaderMap) -> bool {
    let accepted = weighted(headers, ACCEPT);
    accepted
        .iter()
        .any(|(kind, weight)| kind == "text/html" && *weight > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_clients_that_accept_html_get_the_page() {
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
            let value = HeaderValue::from_str(accept).expect("it is a value");
            let headers = HeaderMap::from_iter([(ACCEPT, value)]);
            assert_eq!(wants_html(&headers), is_browser, "{accept}");
        }
        assert!(!wants_html(&HeaderMap::new()));
    }
}
