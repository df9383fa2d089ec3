//! The address of a client: that of the connected peer, or the one that a trusted proxy names.
//!
//! `Forwarded` and `X-Real-IP` are never read, and `X-Forwarded-For` counts only from a listed proxy, since any client can send these headers. poem's `RealIp`
//! accepts them from every peer.

#[cfg(test)]
mod properties;

use std::net::IpAddr;

use parking_lot::Mutex;
use poem::http::HeaderMap;
use poem::http::header::USER_AGENT;

use crate::domain::{Client, TraceId, TrustedProxies};

/// The headers by which proxies name their client.
const FORWARDING_HEADERS: [&str; 3] = ["x-forwarded-for", "forwarded", "x-real-ip"];
/// The maximum number of peers that are logged: enough for the proxies that an operator may have forgotten, and too few for attackers to fill the log.
const MAX_NOTICES: usize = 8;

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, derive_more::Display)]
pub(crate) enum Peer {
    /// An address. An IPv4 address has its IPv4 form even if the socket is an IPv6 socket.
    #[display("{_0}")]
    Address(IpAddr),
    /// A process on this machine, through the unix socket.
    #[display("unix")]
    Unix,
}

impl Peer {
    /// Whether the peer is a listed proxy.
    pub(crate) fn is_proxy(self, trusted: &TrustedProxies) -> bool {
        match self {
            Self::Address(address) => is_trusted(address, trusted),
            Self::Unix => trusted.unix,
        }
    }

    /// The address of the peer; `None` for a process behind the unix socket.
    pub(crate) const fn address(self) -> Option<IpAddr> {
        match self {
            Self::Address(address) => Some(address),
            Self::Unix => None,
        }
    }
}

/// The peers that were logged because they send forwarding headers and are not listed. Most are proxies that the operator forgot, so that all their clients
/// share one limit; some are clients that made the headers up.
#[derive(Default)]
pub(super) struct ForwardingNotices(Mutex<Vec<Peer>>);

impl ForwardingNotices {
    /// Logs `peer` the first time that it sends such a header.
    pub(crate) fn look(&self, peer: Peer, headers: &HeaderMap, trusted: &TrustedProxies) {
        if peer.is_proxy(trusted) {
            return;
        }
        let Some(header) = FORWARDING_HEADERS
            .iter()
            .find(|name| headers.contains_key(**name))
        else {
            return;
        };
        let mut noticed = self.0.lock();
        if noticed.len() == MAX_NOTICES || noticed.contains(&peer) {
            return;
        }
        noticed.push(peer);
        // Outside of the request's span, because the warning is about the configuration.
        tracing::warn!(
            parent: None,
            "{header} came from {peer}, which server.trusted_proxies does not list: it is not believed, and all clients behind \
             {peer} count as one client; if that is your proxy, add \"{peer}\" to server.trusted_proxies"
        );
    }
}

/// The client at `address`, with its user agent.
pub(crate) fn client(address: Option<IpAddr>, headers: &HeaderMap, trace_id: TraceId) -> Client {
    let user_agent = headers
        .get(USER_AGENT)
        .map(|value| String::from_utf8_lossy(value.as_bytes()));
    Client::new(address, user_agent.as_deref(), trace_id)
}

/// The address that sent a request: the right-most hop that is no trusted proxy.
///
/// The hops to the left of it were written by a peer that is not trusted. Reading stops at an unreadable hop: the address is then the hop to the right of
/// it, or else the proxy that connected. `None` means that the request came through the unix socket without the address of a client; all such requests count
/// as one client.
pub(crate) fn client_address(peer: Peer, headers: &HeaderMap, trusted: &TrustedProxies) -> Option<IpAddr> {
    let mut nearest = peer.address();
    if !peer.is_proxy(trusted) {
        return nearest;
    }
    // Several lines are one list (RFC 9110 §5.2). It is split as bytes: a byte that is not text makes only its own hop unreadable, so that a client cannot hide
    // what the proxy wrote about it.
    let lines = headers.get_all("x-forwarded-for").iter().rev();
    for hop in lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b',')) {
        let Some(address) = read_hop(hop.trim_ascii()) else {
            break;
        };
        nearest = Some(address);
        if !is_trusted(address, trusted) {
            break;
        }
    }
    nearest
}

/// Whether a listed proxy has this address.
fn is_trusted(address: IpAddr, trusted: &TrustedProxies) -> bool {
    trusted.networks.iter().any(|network| network.contains(&address))
}

/// Reads an address as proxies write it: bare, with a port, or in brackets.
fn read_hop(hop: &[u8]) -> Option<IpAddr> {
    let hop = std::str::from_utf8(hop).ok()?;
    let bare = hop.parse::<IpAddr>().ok();
    let with_port = || hop.parse::<std::net::SocketAddr>().ok().map(|socket| socket.ip());
    let bracketed = || hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    bare.or_else(with_port)
        .or_else(bracketed)
        .map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderValue;

    use super::*;

    fn resolve(peer: &str, hops: &[&'static str], networks: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in hops {
            headers.append("x-forwarded-for", HeaderValue::from_static(line));
        }
        let networks = networks
            .iter()
            .map(|network| network.parse().expect("it is a network"))
            .collect();
        let trusted = TrustedProxies { networks, unix: true };
        let peer = peer.parse().map_or(Peer::Unix, Peer::Address);
        client_address(peer, &headers, &trusted).map_or("nobody".to_owned(), |address| address.to_string())
    }

    #[test]
    fn a_stranger_cannot_name_another_address() {
        assert_eq!(
            resolve("203.0.113.9", &["198.51.100.1"], &["127.0.0.0/8"]),
            "203.0.113.9"
        );
        assert_eq!(resolve("203.0.113.9", &["198.51.100.1"], &[]), "203.0.113.9");
    }

    #[test]
    fn the_right_most_hop_that_is_no_proxy_counts() {
        let networks = ["127.0.0.0/8", "10.0.0.0/8"];
        assert_eq!(
            resolve("127.0.0.1", &["6.6.6.6, 198.51.100.1, 10.0.0.7"], &networks),
            "198.51.100.1"
        );
        assert_eq!(
            resolve("127.0.0.1", &["6.6.6.6", "198.51.100.1", "10.0.0.7"], &networks),
            "198.51.100.1"
        );
        assert_eq!(
            resolve("127.0.0.1", &["10.0.0.8, 10.0.0.7"], &networks),
            "10.0.0.8"
        );
        assert_eq!(resolve("127.0.0.1", &[], &networks), "127.0.0.1");
    }

    #[test]
    fn nothing_is_believed_of_an_unreadable_hop() {
        assert_eq!(
            resolve("127.0.0.1", &["198.51.100.1, x, 127.0.0.2"], &["127.0.0.0/8"]),
            "127.0.0.2"
        );
        assert_eq!(
            resolve("127.0.0.1", &["198.51.100.1, unknown"], &["127.0.0.0/8"]),
            "127.0.0.1"
        );
    }

    #[test]
    fn every_spelling_of_an_address_is_one_address() {
        let networks = ["127.0.0.0/8"];
        assert_eq!(
            resolve("127.0.0.1", &["::ffff:198.51.100.1"], &networks),
            "198.51.100.1"
        );
        assert_eq!(
            resolve("127.0.0.1", &["198.51.100.1:4711"], &networks),
            "198.51.100.1"
        );
        assert_eq!(
            resolve("127.0.0.1", &["[2001:db8::1]:4711"], &networks),
            "2001:db8::1"
        );
        assert_eq!(resolve("127.0.0.1", &["[2001:db8::1]"], &networks), "2001:db8::1");
    }

    #[test]
    fn a_unix_peer_is_a_proxy_only_if_the_operator_says_so() {
        assert_eq!(resolve("unix", &["198.51.100.1"], &[]), "198.51.100.1");
        assert_eq!(resolve("unix", &[], &[]), "nobody");
    }
}
