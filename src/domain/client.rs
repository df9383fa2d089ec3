//! The client of a request, as far as a server can tell.

use std::net::IpAddr;

use super::{TraceId, is_unprintable};

/// How much of a `User-Agent` is kept: enough to tell devices apart, too little to fill a disk. It is counted in bytes, because a character may have four.
pub const MAX_USER_AGENT_BYTES: usize = 200;

/// The address and the user agent of a client, and the id of its request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// The address after `trusted_proxies` were taken into account; `None` for a unix socket without a proxy, or the command line.
    pub address: Option<IpAddr>,
    /// At most 200 bytes of the `User-Agent` header, all of them printable.
    pub user_agent: Option<String>,
    /// The trace id of the request; `None` where the client of a session is read from the database.
    pub trace_id: Option<TraceId>,
}

impl Client {
    /// A process on the same machine.
    pub const LOCAL: Self = Self {
        address: None,
        user_agent: None,
        trace_id: None,
    };

    /// The client of a request, at `address`, that called itself `user_agent`, which is cut and cleaned.
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
}
