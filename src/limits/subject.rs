//! The subject whose requests a rate limit counts: an address, a session or an account.

use std::net::IpAddr;

use crate::domain::{Limit, SessionId, UserId, network_of};

/// Each subject has a bucket in every class of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// All processes on this machine that connect without a proxy, together.
    Local,
    /// An IPv4 address, or the network of an IPv6 address: see [`network_of`].
    Network(IpAddr),
    Session(SessionId),
    Account(UserId),
}

impl Subject {
    /// The subject of `address`; `None` is a process on this machine.
    pub fn of_address(address: Option<IpAddr>) -> Self {
        address.map_or(Self::Local, |address| Self::Network(network_of(address)))
    }

    /// The limit that a refusal names.
    pub const fn limit(self) -> Limit {
        match self {
            Self::Local | Self::Network(_) => Limit::Address,
            Self::Session(_) => Limit::Session,
            Self::Account(_) => Limit::Account,
        }
    }
}
