//! Tells browsers which pages may read the answers (Fetch Standard §3.3, CORS protocol).

use poem::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ALLOW, HeaderName, ORIGIN, VARY,
};
use poem::http::{HeaderMap, HeaderValue, Method, StatusCode};
use poem::{IntoResponse as _, Request, Response};

use super::origin::Origins;
use super::routes::{Resource, list};

/// The maximum length in bytes of the header names that the answer to a preflight repeats: far more than the libraries of an app add.
const MAX_ECHOED_BYTES: usize = 4096;
/// The maximum length of the name of a method that the answer repeats: longer than any registered one (RFC 9110 §16.1.1).
const MAX_METHOD_BYTES: usize = 32;
/// The headers that pages may read beyond the safelisted ones.
const EXPOSED_HEADERS: HeaderValue =
    HeaderValue::from_static("X-Trace-Id, Retry-After, RateLimit, RateLimit-Policy, WWW-Authenticate");
/// How many seconds a browser may cache a preflight.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");
const TRUE: HeaderValue = HeaderValue::from_static("true");
const ANY: HeaderValue = HeaderValue::from_static("*");
/// The headers on which the answer to a preflight depends, besides `Origin`.
const VARY_PREFLIGHT: HeaderValue =
    HeaderValue::from_static("Access-Control-Request-Method, Access-Control-Request-Headers");

/// Which pages may read the answer to a request.
pub(super) enum Access {
    /// Pages of every origin.
    Public,
    /// A page of this listed origin, also with cookies.
    Listed(HeaderValue),
    None,
}

impl Access {
    /// Compares the `Origin` of a request with the listed origins, unless the answer is public.
    pub(crate) fn new(headers: &HeaderMap, is_public: bool, origins: &Origins) -> Self {
        if is_public {
            return Self::Public;
        }
        let origin = headers.get(ORIGIN);
        let is_listed = |origin: &&HeaderValue| origin.to_str().is_ok_and(|origin| origins.is_listed(origin));
        origin
            .filter(is_listed)
            .map_or(Self::None, |origin| Self::Listed(origin.clone()))
    }

    /// Adds the headers that let a browser hand a response to the page.
    pub(super) fn apply(&self, headers: &mut HeaderMap) {
        match self {
            Self::Public => {
                headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
                headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS);
                return;
            }
            Self::Listed(origin) => {
                headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
                headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
                headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS);
            }
            Self::None => {}
        }
        // Even if no header was added: a cache must not hand this answer to a page of another origin.
        headers.append(VARY, HeaderValue::from_static("Origin"));
    }

    pub(crate) const fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Answers the preflight with the headers `asked`; `resource` is `None` for an unknown path.
    ///
    /// A listed page may send any method and header to any path. A browser reports a refused preflight to the page as a network error. If the server refused
    /// headers, one that a library adds for tracing would break every call, and the page could read neither our 404 nor our 405.
    pub(super) fn preflight(&self, resource: Option<&Resource>, asked: &HeaderMap) -> Response {
        let mut response = StatusCode::NO_CONTENT.into_response();
        let headers = response.headers_mut();
        headers.extend(resource.map(|resource| (ALLOW, resource.allow())));
        if self.is_none() {
            return response;
        }
        let requested = requested_method(asked);
        let methods = resource.into_iter().flat_map(Resource::methods);
        let methods = Some(list(methods.chain(&requested), "")).filter(|methods| !methods.is_empty());
        headers.extend(methods.map(|methods| (ACCESS_CONTROL_ALLOW_METHODS, methods)));
        headers.extend(echo(asked).map(|names| (ACCESS_CONTROL_ALLOW_HEADERS, names)));
        headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        headers.insert(VARY, VARY_PREFLIGHT);
        response
    }
}

/// Answers OPTIONS that is not a preflight.
pub(super) fn options(allow: HeaderValue) -> Response {
    StatusCode::NO_CONTENT.with_header(ALLOW, allow).into_response()
}

/// Whether a request is a preflight. Any other OPTIONS asks for the methods of a path.
pub(super) fn is_preflight(request: &Request) -> bool {
    let headers = request.headers();
    request.method() == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// The method that a preflight asks for.
pub(super) fn requested_method(asked: &HeaderMap) -> Option<Method> {
    let name = asked.get(ACCESS_CONTROL_REQUEST_METHOD)?.as_bytes();
    Method::from_bytes(name)
        .ok()
        .filter(|_| name.len() <= MAX_METHOD_BYTES)
}

/// The valid header names that a preflight asks for, as it spells them, up to [`MAX_ECHOED_BYTES`]. A star is left out, because in an answer to requests
/// without credentials it would stand for all names.
fn echo(asked: &HeaderMap) -> Option<HeaderValue> {
    let lines = asked.get_all(ACCESS_CONTROL_REQUEST_HEADERS).iter();
    let items = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let is_echoed = |item: &&str| {
        let name = item.trim_matches([' ', '\t']);
        name != "*" && HeaderName::from_bytes(name.as_bytes()).is_ok()
    };
    let mut echoed = String::new();
    for item in items
        .filter_map(|item| std::str::from_utf8(item).ok())
        .filter(is_echoed)
    {
        if echoed.len() + 1 + item.len() > MAX_ECHOED_BYTES {
            break;
        }
        if !echoed.is_empty() {
            echoed.push(',');
        }
        echoed.push_str(item);
    }
    let echoed = echoed.trim();
    HeaderValue::from_str(echoed).ok().filter(|_| !echoed.is_empty())
}
