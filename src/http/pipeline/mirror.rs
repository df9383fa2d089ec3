//! How the server sees whoever asks: told only to `arkloop check`, which proves with a word made from the key file that
//! it runs on this machine. Its requests cause no warning. It is how an operator finds out that a proxy is believed too much or too little.

use std::sync::{Mutex, PoisonError};

use poem::http::header::{HeaderMap, HeaderName, HeaderValue};

use super::client_address::{Peer, client_address};
use super::exchange::Shared;
use crate::domain::Timestamp;
use crate::service::Service;

/// The word of whoever asks.
const X_ARKLOOP_CHECK: HeaderName = HeaderName::from_static("x-arkloop-check");
/// Who is connected: an address, or `unix`.
const X_ARKLOOP_PEER: HeaderName = HeaderName::from_static("x-arkloop-peer");
/// Whom the server takes for the client: an address, or `nobody`.
const X_ARKLOOP_CLIENT: HeaderName = HeaderName::from_static("x-arkloop-client");
/// How many hops `X-Forwarded-For` named.
const X_ARKLOOP_HOPS: HeaderName = HeaderName::from_static("x-arkloop-hops");

/// The words that were used: each is good once, so that who hears one on its way cannot use it again.
#[derive(Default)]
pub(super) struct CheckWords(Mutex<Vec<(String, Timestamp)>>);

impl CheckWords {
    /// Whether `word` is good, which it is not a second time. Only good ones are remembered, until they are too old: strangers cannot
    /// fill the memory.
    fn take(&self, word: &str, service: &Service) -> bool {
        let Some(good_until) = service.check_word_end(word) else {
            return false;
        };
        let now = service.system().now();
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        used.retain(|(_, end)| *end >= now);
        let is_new = used.iter().all(|(other, _)| other != word);
        if is_new {
            used.push((word.to_owned(), good_until));
        }
        is_new
    }
}

/// What is told.
pub(super) struct Mirrored {
    peer: String,
    client: String,
    hops: usize,
}

impl Mirrored {
    /// How a request is seen, if its word is good.
    pub(crate) fn new(headers: &HeaderMap, peer: Peer, shared: &Shared) -> Option<Self> {
        let word = headers.get(X_ARKLOOP_CHECK)?.to_str().ok()?;
        if !shared.check_words.take(word, &shared.service) {
            return None;
        }
        let client = client_address(peer, headers, &shared.settings.trusted_proxies);
        let hops = headers
            .get_all("x-forwarded-for")
            .iter()
            .map(|line| line.as_bytes().split(|byte| *byte == b',').count())
            .sum();
        Some(Self {
            peer: match peer {
                Peer::Address(address) => address.to_string(),
                Peer::Unix => "unix".to_owned(),
            },
            client: client.map_or_else(|| "nobody".to_owned(), |address| address.to_string()),
            hops,
        })
    }

    /// Tells it.
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        let texts = [
            (X_ARKLOOP_PEER, self.peer.clone()),
            (X_ARKLOOP_CLIENT, self.client.clone()),
            (X_ARKLOOP_HOPS, self.hops.to_string()),
        ];
        for (name, text) in texts {
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(name, value);
            }
        }
    }
}
