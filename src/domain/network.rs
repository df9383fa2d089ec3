//! Where the server listens, and the addresses of its peers.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;

#[derive(Clone, Debug, PartialEq, Eq, derive_more::Display)]
pub enum Listen {
    /// Port 0 lets the system choose one.
    #[display("{_0}")]
    Tcp(SocketAddr),
    /// An absolute path. A stale socket file is replaced; one that a process listens on is not.
    #[display("unix:{}", _0.display())]
    Unix(PathBuf),
}

impl Listen {
    /// Reads `127.0.0.1:8080`, `[::1]:8080` or `unix:/run/arkloop/arkloop.sock`.
    pub fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix("unix:") {
            Some("") => None,
            Some(path) => Some(Self::Unix(path.into())),
            None => text.parse().ok().map(Self::Tcp),
        }
    }

    /// Whether only this machine can connect.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

/// The peers whose `X-Forwarded-For` is trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    pub networks: Vec<IpNet>,
    /// Whether the peers on the unix socket are trusted.
    pub unix: bool,
}

impl TrustedProxies {
    /// Reads networks, single addresses and `unix`.
    pub fn parse(items: &[&str]) -> Option<Self> {
        let mut proxies = Self::default();
        for item in items {
            match *item {
                "unix" => proxies.unix = true,
                network => proxies.networks.push(parse_network(network)?),
            }
        }
        Some(proxies)
    }

    /// The items as [`TrustedProxies::parse`] reads them.
    pub fn items(&self) -> Vec<String> {
        let networks = self.networks.iter().map(ToString::to_string);
        networks.chain(self.unix.then(|| "unix".to_owned())).collect()
    }
}

/// Reads a network. A network of IPv4 addresses that are mapped into IPv6 (RFC 4291 §2.5.5.2) becomes the IPv4 network, because peers are compared as IPv4.
/// If its prefix is shorter than that of the mapping, it would match no IPv4 address, and the result is `None`.
fn parse_network(text: &str) -> Option<IpNet> {
    const MAPPING: u8 = 96;
    let network: IpNet = text.parse().or_else(|_| text.parse().map(IpAddr::into)).ok()?;
    let network = match network.addr() {
        IpAddr::V6(address) if let Some(mapped) = address.to_ipv4_mapped() => {
            IpNet::new(mapped.into(), network.prefix_len().checked_sub(MAPPING)?).ok()?
        }
        _ => network,
    };
    Some(network.trunc())
}

/// The network under which an address is counted: the first 64 bits of an IPv6 address, because a client with one address has that whole network (RFC
/// 6177 §2). An IPv4 address counts by itself, even if it is mapped into IPv6 (RFC 4291 §2.5.5.2).
pub fn network_of(address: IpAddr) -> IpAddr {
    first_bits(address, 64)
}

/// The network under which an address is counted where one attacker may have many networks: the first 48 bits of an IPv6 address, the most that one
/// customer gets (RFC 6177 §2). An IPv4 address counts by itself.
pub fn site_of(address: IpAddr) -> IpAddr {
    first_bits(address, 48)
}

/// The first bits of an IPv6 address followed by zeros; an IPv4 address as it is.
fn first_bits(address: IpAddr, bits: u32) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !0 << (128 - bits)).into(),
        whole @ IpAddr::V4(_) => whole,
    }
}

/// The `SameSite` attribute of the refresh cookie (RFC 6265bis §5.5.7).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, strum::IntoStaticStr, strum::EnumString, strum::VariantArray,
)]
#[strum(serialize_all = "lowercase", const_into_str)]
pub enum SameSite {
    /// Browsers send the cookie only with requests from this site.
    #[default]
    Strict,
    /// Browsers also send it when a user follows a link to this site.
    Lax,
    /// Browsers always send it, but accept it only over https.
    None,
}

impl SameSite {
    /// The value of the cookie's attribute.
    pub const fn attribute(self) -> &'static str {
        match self {
            Self::Strict => "Strict",
            Self::Lax => "Lax",
            Self::None => "None",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_the_first_48_bits() {
        for (address, site) in [
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1::"),
            ("::ffff:198.51.100.7", "198.51.100.7"),
        ] {
            let address: IpAddr = address.parse().expect("it is an address");
            assert_eq!(site_of(address).to_string(), site);
        }
    }

    #[test]
    fn an_ipv6_network_counts_as_one_and_a_mapped_address_as_ipv4() {
        for (address, network, site) in [
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::", "2001:db8:1::"),
            ("2001:db8:1:2::", "2001:db8:1:2::", "2001:db8:1::"),
            ("::1", "::", "::"),
            ("::ffff:198.51.100.7", "198.51.100.7", "198.51.100.7"),
            ("198.51.100.7", "198.51.100.7", "198.51.100.7"),
        ] {
            let address: IpAddr = address.parse().expect("it is an address");
            assert_eq!(network_of(address).to_string(), network);
            assert_eq!(site_of(address).to_string(), site);
        }
    }
}
