//! The headers of every response.

use poem::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};

const X_TRACE_ID: HeaderName = HeaderName::from_static("x-trace-id");
/// The policy of all responses except pages: nothing may be loaded, run or embedded.
const NO_CONTENT_POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
/// One year, as the preload lists require. Without subdomains, which may belong to other services.
const ONE_YEAR_OF_HTTPS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Adds the headers that every response has, where the operation has not set its own.
pub(super) fn add_common(headers: &mut HeaderMap, trace_id: &str, is_secure: bool) {
    if let Ok(trace_id) = HeaderValue::from_str(trace_id) {
        headers.insert(X_TRACE_ID, trace_id);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    let policy = headers.entry(CONTENT_SECURITY_POLICY);
    policy.or_insert(NO_CONTENT_POLICY);
    let cache = headers.entry(CACHE_CONTROL);
    cache.or_insert(HeaderValue::from_static("no-store"));
    if is_secure {
        headers.insert(STRICT_TRANSPORT_SECURITY, ONE_YEAR_OF_HTTPS);
    }
}
