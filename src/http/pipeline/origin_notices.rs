//! Logs requests that were refused because of their origin, so that an operator who forgot to list an origin learns which line to add.

use std::net::IpAddr;

use parking_lot::Mutex;
use poem::http::header::ORIGIN;
use poem::http::{HeaderMap, Method};

use super::origin::host_and_port;
use crate::domain::{parse_app_origin, site_of};

/// How many origins are logged for one network: more than an operator forgets to list, and so few that one attacker does not use up the notices of all
/// networks.
const MAX_PER_NETWORK: usize = 16;
/// How many origins are logged in all: too few for attackers in many networks to fill the log or the memory.
const MAX_NOTICES: usize = 64;
/// The maximum length of an origin that is logged: a host name has at most 253 characters (RFC 1035 §2.3.4), and scheme and port are added.
const MAX_ORIGIN_CHARS: usize = 300;
/// The methods that the log names. Any other is text that an attacker chooses.
const LOGGED_METHODS: [Method; 5] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
];

/// Whether `text` has the form that the configuration accepts for a web site.
fn is_web_origin(text: &str) -> bool {
    let is_host = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    host_and_port(text).is_some_and(|host| host.contains(char::is_alphanumeric) && host.chars().all(is_host))
}

/// The origins that were logged, each with the network of the client, which is `None` for a unix socket.
#[derive(Default)]
pub(crate) struct OriginNotices(Mutex<Vec<(Option<IpAddr>, String)>>);

impl OriginNotices {
    /// Logs an origin the first time that it is refused. `listed` are the `allowed_origins`.
    ///
    /// "null", which a page in a sandbox sends, cannot be listed and is not logged. Other text that is not an origin is not logged either, since an attacker
    /// chooses it.
    pub(crate) fn note_refused(
        &self,
        address: Option<IpAddr>,
        method: &Method,
        headers: &HeaderMap,
        listed: &[String],
    ) {
        let Some(origin) = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok()) else {
            return;
        };
        let origin = origin.to_ascii_lowercase();
        let is_web = is_web_origin(&origin);
        if origin.len() > MAX_ORIGIN_CHARS || !(is_web || parse_app_origin(&origin).is_some()) {
            return;
        }
        let network = address.map(site_of);
        let mut noted = self.0.lock();
        let of_network = noted.iter().filter(|(other, _)| *other == network).count();
        let is_noted = noted.iter().any(|(_, other)| *other == origin);
        if is_noted || of_network == MAX_PER_NETWORK || noted.len() == MAX_NOTICES {
            return;
        }
        let list = listed
            .iter()
            .chain([&origin])
            .map(|origin| format!("\"{origin}\""));
        let list = list.collect::<Vec<_>>().join(", ");
        let method = if LOGGED_METHODS.contains(method) {
            method.as_str()
        } else {
            "request"
        };
        let or_own = if is_web {
            "; if it is this server under another name, set public_url to that"
        } else {
            ""
        };
        // Outside of the request's span, because the warning is about the configuration.
        tracing::warn!(
            parent: None,
            "a {method} from a page of {origin} was refused; if that is your app, set in [server]: allowed_origins = [{list}]{or_own}"
        );
        noted.push((network, origin));
        if of_network + 1 == MAX_PER_NETWORK || noted.len() == MAX_NOTICES {
            let origins = noted.len();
            tracing::warn!(
                parent: None,
                "pages of {origins} origins were refused; further origins, of this network or of all, are not logged until the next start"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use poem::http::HeaderValue;

    use super::*;

    #[test]
    fn one_network_does_not_use_up_the_notices_of_another() {
        let notices = OriginNotices::default();
        let note = |network: u8, origin: &str| {
            let headers = HeaderMap::from_iter([(
                ORIGIN,
                HeaderValue::from_str(origin).expect("it is a header value"),
            )]);
            let address = IpAddr::from(Ipv4Addr::new(192, 0, 2, network));
            notices.note_refused(Some(address), &Method::POST, &headers, &[]);
            notices.0.lock().len()
        };
        for number in 0..100 {
            note(1, &format!("https://{number}.evil.example"));
        }
        assert_eq!(note(1, "https://another.evil.example"), MAX_PER_NETWORK);
        assert_eq!(note(2, "https://app.example.org"), MAX_PER_NETWORK + 1);
        assert_eq!(
            note(3, "https://app.example.org"),
            MAX_PER_NETWORK + 1,
            "once for each origin"
        );
        for network in 3..100 {
            note(network, &format!("https://{network}.example.org"));
        }
        assert_eq!(note(200, "https://late.example.org"), MAX_NOTICES);
    }
}
