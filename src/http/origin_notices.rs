//! What the log says of pages that were refused, so that an operator who forgot one learns which line to add.

use std::sync::{Mutex, PoisonError};

use poem::http::header::ORIGIN;
use poem::http::{HeaderMap, Method};

/// Enough for the apps that an operator may have forgotten, and too few for strangers to fill the log or the memory.
const MAX_NOTICES: usize = 16;
/// The name of a host has at most 253 characters (RFC 1035 §2.3.4), before it a scheme and behind it a port.
const MAX_ORIGIN_CHARS: usize = 300;

/// Whether it has the form that the configuration takes. "null", which a page in a sandbox sends, does not, nor do the words of a stranger, which the log is
/// not to repeat.
fn is_origin(text: &str) -> bool {
    let is_host = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    host.is_some_and(|host| host.contains(char::is_alphanumeric) && host.chars().all(is_host))
}

/// The origins of which the log has said that their pages were refused.
#[derive(Default)]
pub(super) struct OriginNotices(Mutex<Vec<String>>);

impl OriginNotices {
    /// Logs it the first time that pages of an origin are refused; `listed` is what the configuration lists.
    pub(super) fn look(&self, method: &Method, headers: &HeaderMap, listed: &[String]) {
        let Some(origin) = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok()) else {
            return;
        };
        let origin = origin.to_ascii_lowercase();
        let is_listable = origin.len() <= MAX_ORIGIN_CHARS && is_origin(&origin);
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_listable || noted.len() == MAX_NOTICES || noted.contains(&origin) {
            return;
        }
        let list = listed
            .iter()
            .chain([&origin])
            .map(|origin| format!("\"{origin}\""));
        let list = list.collect::<Vec<_>>().join(", ");
        // Of no request: it is about how the server is set up.
        tracing::warn!(
            parent: None,
            "a {method} from a page of {origin} was refused; if that is your app, set in [server]: allowed_origins = [{list}]; if it is \
             this server under another name, set public_url to that"
        );
        noted.push(origin);
        if noted.len() == MAX_NOTICES {
            tracing::warn!(parent: None, "pages of {MAX_NOTICES} origins were refused; further origins are not logged until the next start");
        }
    }
}
