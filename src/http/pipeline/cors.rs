//! Which pages may read the answers (Fetch Standard §3.3, CORS protocol).

use poem::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ALLOW, HeaderName, ORIGIN, VARY,
};
use poem::http::{HeaderMap, HeaderValue, Method, StatusCode};
use poem::{IntoResponse as _, Request, Response};

use super::origin::Origins;
use super::routes::{Resource, list};

/// How many bytes of the names of headers are echoed to a page that asks for them: far more than the libraries of an app add.
const MAX_ECHOED_BYTES: usize = 4096;
/// How long the name of a method may be that is echoed: longer than any registered one (RFC 9110 §16.1.1).
const MAX_METHOD_BYTES: usize = 32;
/// What pages may read beyond the plainest headers.
const EXPOSED_HEADERS: HeaderValue =
    HeaderValue::from_static("X-Trace-Id, Retry-After, RateLimit, RateLimit-Policy, WWW-Authenticate");
/// How many seconds a browser may remember a preflight.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");
const TRUE: HeaderValue = HeaderValue::from_static("true");
const ANY: HeaderValue = HeaderValue::from_static("*");
/// What the answer to a preflight depends on beside the origin.
const ASKED: HeaderValue =
    HeaderValue::from_static("Access-Control-Request-Method, Access-Control-Request-Headers");

/// Whose page is asking.
pub(super) enum Access {
    /// It does not matter: everybody may read this.
    Public,
    /// One of a listed origin, with the cookies of its reader.
    Listed(HeaderValue),
    /// None that may read anything.
    None,
}

impl Access {
    /// Judges the `Origin` of a request for a resource.
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

    /// Adds to a response what a browser needs to hand it to the page.
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
        // Also where nothing was added: a cache must not hand this answer to a page of another origin.
        headers.append(VARY, HeaderValue::from_static("Origin"));
    }

    /// Whether the page may read nothing.
    pub(crate) const fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Answers the question of `asked` whether a page may send a request to a resource; `None` is a path where nothing is.
    ///
    /// A listed page may send any method to any path and with any header, since a browser hides a refused preflight from the page and reports a network
    /// error: a header that a library adds for tracing would break every call, and the page would read neither our 404 nor our 405.
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
        headers.insert(VARY, ASKED);
        response
    }
}

/// Answers OPTIONS that is no preflight.
pub(super) fn options(allow: HeaderValue) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.headers_mut().insert(ALLOW, allow);
    response
}

/// Whether a request is the question of a browser whether a page may send another; any other OPTIONS asks for the methods of a path.
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

/// The names of headers that a preflight asks for, in its own spelling, as far as they are names and fit. A star is left out: for some answers it would
/// stand for all names.
fn echo(asked: &HeaderMap) -> Option<HeaderValue> {
    let lines = asked.get_all(ACCESS_CONTROL_REQUEST_HEADERS).iter();
    let items = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let mut echoed = String::new();
    for item in items {
        let Ok(item) = std::str::from_utf8(item) else {
            continue;
        };
        let name = item.trim_matches([' ', '\t']);
        if name == "*" || HeaderName::from_bytes(name.as_bytes()).is_err() {
            continue;
        }
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
