//! The echo probe: the server tells `arkloop check`, and no other client, which peer and client address it sees. So an operator learns whether a proxy is
//! trusted too much or too little.
//!
//! `check` sends a word that it derives from the key file, which proves that it can read that file. Its requests cause no warning.

use std::net::IpAddr;

use parking_lot::Mutex;
use poem::http::header::{HeaderMap, HeaderValue};

use super::client_address::Peer;
use crate::domain::Timestamp;
use crate::service::Service;

/// The header of the request that carries the word.
pub const X_ARKLOOP_CHECK: &str = "x-arkloop-check";
const X_ARKLOOP_PEER: &str = "x-arkloop-peer";
const X_ARKLOOP_CLIENT: &str = "x-arkloop-client";
const X_ARKLOOP_HOPS: &str = "x-arkloop-hops";

/// The words that were used. Each word is valid only once, so an intercepted one is worthless.
#[derive(Default)]
pub(super) struct CheckWords(Mutex<Vec<(String, Timestamp)>>);

impl CheckWords {
    /// Whether `word` is valid and was not used before. Only valid words are remembered, until they expire, so that other clients cannot fill the memory.
    fn take(&self, word: &str, service: &Service) -> bool {
        let Some(good_until) = service.check_token_expiry(word) else {
            return false;
        };
        let now = service.system().now();
        let mut used = self.0.lock();
        used.retain(|(_, end)| *end >= now);
        let is_new = used.iter().all(|(other, _)| other != word);
        if is_new {
            used.push((word.to_owned(), good_until));
        }
        is_new
    }
}

/// How the server sees a request.
pub struct EchoProbe {
    /// The connected peer: an address, or `unix`.
    pub peer: String,
    /// The client as the server sees it: an address, or `nobody`.
    pub client: String,
    /// How many hops `X-Forwarded-For` names.
    pub hops: usize,
}

impl EchoProbe {
    /// `None` if the word of the request is missing or not valid.
    pub(super) fn new(
        headers: &HeaderMap,
        peer: Peer,
        client: Option<IpAddr>,
        used: &CheckWords,
        service: &Service,
    ) -> Option<Self> {
        let word = headers.get(X_ARKLOOP_CHECK)?.to_str().ok()?;
        if !used.take(word, service) {
            return None;
        }
        let hops = headers
            .get_all("x-forwarded-for")
            .iter()
            .map(|line| line.as_bytes().split(|byte| *byte == b',').count())
            .sum();
        Some(Self {
            peer: peer.to_string(),
            client: client.map_or_else(|| "nobody".to_owned(), |address| address.to_string()),
            hops,
        })
    }

    /// Adds the headers of the probe to an answer.
    pub(super) fn write(&self, headers: &mut HeaderMap) {
        for (name, text) in [
            (X_ARKLOOP_PEER, self.peer.as_str()),
            (X_ARKLOOP_CLIENT, &self.client),
            (X_ARKLOOP_HOPS, &self.hops.to_string()),
        ] {
            if let Ok(value) = HeaderValue::from_str(text) {
                headers.insert(name, value);
            }
        }
    }

    /// Reads the probe from the headers of an answer. `None` if they are missing, because another server answered.
    pub fn read<'a>(header: impl Fn(&str) -> Option<&'a str>) -> Option<Self> {
        Some(Self {
            peer: header(X_ARKLOOP_PEER)?.to_owned(),
            client: header(X_ARKLOOP_CLIENT)?.to_owned(),
            hops: header(X_ARKLOOP_HOPS)?.parse().ok()?,
        })
    }
}
