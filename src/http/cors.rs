//! Which pages may read the answers (Fetch Standard §3.3, CORS protocol).

use poem::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, ALLOW, ORIGIN, VARY,
};
use poem::http::{HeaderMap, HeaderValue, Method, StatusCode};
use poem::{Request, Response};

use super::origin::Origins;
use super::routes::Resource;

/// What pages may send beyond the plainest requests.
const ALLOWED_HEADERS: HeaderValue = HeaderValue::from_static("authorization, content-type, x-client-app");
/// What pages may read beyond the plainest headers.
const EXPOSED_HEADERS: HeaderValue =
    HeaderValue::from_static("X-Trace-Id, Retry-After, RateLimit, RateLimit-Policy, WWW-Authenticate");
/// How many seconds a browser may remember a preflight.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");
const TRUE: HeaderValue = HeaderValue::from_static("true");
const ANY: HeaderValue = HeaderValue::from_static("*");

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
    pub(super) fn new(headers: &HeaderMap, is_public: bool, origins: &Origins) -> Self {
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

    /// Answers the question whether a page may send a request to `resource`.
    pub(super) fn preflight(&self, resource: &Resource) -> Response {
        let mut response = Response::builder()
            .status(StatusCode::NO_CONTENT)
            .header(ALLOW, resource.allow())
            .finish();
        if !matches!(self, Self::None) {
            let headers = response.headers_mut();
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, resource.methods());
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS);
            headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        }
        response
    }
}

/// Whether a request is that question; any other OPTIONS is a method that no path has.
pub(super) fn is_preflight(request: &Request) -> bool {
    let headers = request.headers();
    request.method() == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}
