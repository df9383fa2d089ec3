//! The client of a request, as far as the server knows it.

use std::net::{IpAddr, Ipv4Addr};

use super::{TraceId, is_unprintable, site_of};

/// How much of a `User-Agent` is kept: enough to tell devices apart, too little to fill a disk. The limit is in bytes, because a character may have four.
pub const MAX_USER_AGENT_BYTES: usize = 200;

/// The address and the user agent of a client, and the id of its request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// The address after `trusted_proxies` were taken into account; `None` for a unix socket without a proxy, or the command line.
    pub address: Option<IpAddr>,
    /// At most 200 bytes of the `User-Agent` header, all of them printable.
    pub user_agent: Option<String>,
    /// The trace id of the request; `None` for a client that was read from the database.
    pub trace_id: Option<TraceId>,
}

impl Client {
    /// A process on the same machine.
    pub const LOCAL: Self = Self {
        address: None,
        user_agent: None,
        trace_id: None,
    };

    /// The client of a request. `user_agent` is cut, and unprintable characters are removed from it.
    pub fn new(address: Option<IpAddr>, user_agent: Option<&str>, trace_id: TraceId) -> Self {
        let user_agent = user_agent
            .map(|text| {
                let shown = text.chars().filter(|c| !is_unprintable(*c));
                shown
                    .scan(0, |bytes, c| {
                        *bytes += c.len_utf8();
                        (*bytes <= MAX_USER_AGENT_BYTES).then_some(c)
                    })
                    .collect::<String>()
            })
            .filter(|text| !text.trim().is_empty());
        Self {
            address,
            user_agent,
            trace_id: Some(trace_id),
        }
    }

    /// The network of one site or of one provider's pool, with the length of its prefix: the /24 of an IPv4 address (even if it is mapped into
    /// IPv6), or the /48 of an IPv6 address. It is wider than the networks that limits count, because a client that moves within it is not a sign of theft.
    pub fn wide_network(&self) -> Option<(IpAddr, u8)> {
        self.address.map(|address| match site_of(address) {
            IpAddr::V4(address) => (Ipv4Addr::from_bits(address.to_bits() & !0 << 8).into(), 24),
            site @ IpAddr::V6(_) => (site, 48),
        })
    }

    pub(super) fn shares_network_with(&self, other: &Self) -> bool {
        self.wide_network() == other.wide_network()
    }

    pub(super) fn shares_user_agent_with(&self, other: &Self) -> bool {
        self.user_agent == other.user_agent
    }

    /// Whether the user agents differ in digits at most: an update of a browser changes only those.
    pub(super) fn shares_product_with(&self, other: &Self) -> bool {
        let product = |client: &Self| {
            let agent = client.user_agent.as_ref()?;
            Some(agent.replace(|c: char| c.is_ascii_digit(), ""))
        };
        product(self) == product(other)
    }
}
