use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use poem::http::{HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;

/// Thousands of cases even in `cargo test`: it may take one kind of hop at one position to hide a client.
const FEWEST_CASES: u32 = 4_096;
/// The maximum number of bytes that a generated client puts in front of the hops of one header line.
const LONGEST: usize = 5_000;

fn trusted() -> TrustedProxies {
    let networks = ["127.0.0.0/8", "10.0.0.0/8", "2001:db8::/32"];
    TrustedProxies {
        networks: networks
            .map(|network| network.parse().expect("it is a network"))
            .to_vec(),
        unix: true,
    }
}

fn headers(lines: &[Vec<u8>]) -> HeaderMap {
    let name = HeaderName::from_static("x-forwarded-for");
    let lines = lines
        .iter()
        .map(|line| HeaderValue::from_bytes(line).expect("it may stand in a header"));
    lines.map(|line| (name.clone(), line)).collect()
}

/// The client according to the contract, computed in another way than in the code: hops are read from the right of one
/// list; the first unreadable hop ends the list, and the first hop that is not a trusted proxy is the client.
fn expected(peer: Peer, lines: &[Vec<u8>]) -> Option<IpAddr> {
    let mut list = lines.join(&b',');
    let mut found = peer.address();
    if lines.is_empty() {
        return found;
    }
    loop {
        let comma = list.iter().rposition(|byte| *byte == b',');
        let hop = list.split_off(comma.map_or(0, |comma| comma + 1));
        let Some(address) = read(&hop) else { return found };
        found = Some(address);
        let is_ours = match address {
            IpAddr::V4(address) => [10, 127].contains(&address.octets()[0]),
            IpAddr::V6(address) => address.segments()[..2] == [0x2001, 0xdb8],
        };
        if !is_ours || list.pop().is_none() {
            return found;
        }
    }
}

/// Reads a hop character by character.
fn read(hop: &[u8]) -> Option<IpAddr> {
    let is_blank = |byte: &u8| *byte == b' ' || *byte == b'\t';
    let start = hop.iter().position(|byte| !is_blank(byte))?;
    let end = hop.iter().rposition(|byte| !is_blank(byte))?;
    let text: String = hop[start..=end].iter().copied().map(char::from).collect();
    let is_number = |text: &str, most: u64| {
        !text.is_empty()
            && text.chars().all(|c| c.is_ascii_digit())
            && text.chars().fold(0_u64, |sum, c| {
                (sum * 10 + u64::from(c.to_digit(10).unwrap_or(0))).min(u64::from(u32::MAX) + 1)
            }) <= most
    };
    let address = match (text.strip_prefix('['), text.matches(':').count()) {
        (Some(rest), _) => {
            let (inside, behind) = rest.split_once(']')?;
            match (behind.strip_prefix(':'), inside.split_once('%')) {
                (None, None) if behind.is_empty() => {
                    read_ipv4(inside).or_else(|| inside.parse::<Ipv6Addr>().ok().map(IpAddr::V6))?
                }
                (Some(port), None) if is_number(port, 0xffff) => inside.parse::<Ipv6Addr>().ok()?.into(),
                // The zone of a link-local address, which the standard library accepts only before a port.
                (Some(port), Some((inside, zone)))
                    if is_number(port, 0xffff) && is_number(zone, 0xffff_ffff) =>
                {
                    inside.parse::<Ipv6Addr>().ok()?.into()
                }
                _ => return None,
            }
        }
        (None, 0) => read_ipv4(&text)?,
        (None, 1) => {
            let (address, port) = text.split_once(':')?;
            read_ipv4(address).filter(|_| is_number(port, 0xffff))?
        }
        (None, _) => text.parse::<Ipv6Addr>().ok()?.into(),
    };
    let mapped = match address {
        IpAddr::V6(address) if address.segments()[..6] == [0, 0, 0, 0, 0, 0xffff] => {
            let [.., a, b, c, d] = address.octets();
            Some(IpAddr::from([a, b, c, d]))
        }
        _ => None,
    };
    mapped.or(Some(address))
}

fn read_ipv4(text: &str) -> Option<IpAddr> {
    let parts: Vec<&str> = text.split('.').collect();
    let octet = |part: &&str| {
        let is_plain = (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        (is_plain && (!part.starts_with('0') || part.len() == 1)).then(|| part.parse::<u8>().ok())?
    };
    let octets: Vec<u8> = parts.iter().map_while(octet).collect();
    let octets: [u8; 4] = (parts.len() == octets.len()).then_some(octets)?.try_into().ok()?;
    Some(octets.into())
}

/// Any byte that a header may contain; many are not ASCII.
fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![4 => 0x80..=0xff_u8, 4 => 0x20..=0x7e_u8, 1 => Just(b'\t'), 2 => Just(b',')]
}

fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(byte(), 0..=most)
}

/// An address in a spelling that proxies use; most are addresses of trusted proxies.
fn address() -> impl Strategy<Value = String> {
    let ipv4 = any::<Ipv4Addr>().prop_map(IpAddr::V4);
    let ipv6 = any::<Ipv6Addr>().prop_map(IpAddr::V6);
    let mapped = any::<Ipv4Addr>().prop_map(|address| IpAddr::V6(address.to_ipv6_mapped()));
    let own = (prop::sample::select(vec![10, 127]), any::<u16>())
        .prop_map(|(first, rest)| IpAddr::from([first, 0, rest.to_be_bytes()[0], rest.to_be_bytes()[1]]));
    let own_mapped = (0..=255_u8).prop_map(|last| IpAddr::V6(Ipv4Addr::new(10, 0, 0, last).to_ipv6_mapped()));
    let own_ipv6 = any::<u16>().prop_map(|last| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]));
    let any_address =
        prop_oneof![2 => ipv4, 2 => ipv6, 1 => mapped, 6 => own, 2 => own_mapped, 2 => own_ipv6];
    (any_address, any::<u16>(), 0..4_u8).prop_map(|(address, port, spelling)| match (spelling, address) {
        (0, _) => SocketAddr::new(address, port).to_string(),
        (1, IpAddr::V6(_)) => format!("[{address}]"),
        _ => address.to_string(),
    })
}

fn hop() -> impl Strategy<Value = Vec<u8>> {
    let blanks = prop::sample::select(vec!["", "", " ", "\t", "  "]);
    let whole = (blanks.clone(), address(), blanks)
        .prop_map(|(before, address, after)| [before, &address, after].concat().into_bytes());
    // One byte inserted or replaced anywhere.
    let broken = (address(), any::<prop::sample::Index>(), byte(), 0..=1_usize).prop_map(
        |(address, place, byte, dropped)| {
            let mut hop = address.into_bytes();
            let at = place.index(hop.len());
            hop.splice(at..at + dropped, [byte]);
            hop
        },
    );
    prop_oneof![
        8 => whole,
        3 => broken,
        1 => prop::sample::select(vec!["", " ", "unknown", "_hidden", "localhost", "1.2.3.4:99999", "[::1%1]:80", "01.2.3.4"])
            .prop_map(|text| text.as_bytes().to_vec()),
        1 => bytes(12),
    ]
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    let hops = || prop::collection::vec(hop(), 1..6).prop_map(|hops| hops.join(&b','));
    prop_oneof![
        20 => hops(),
        1 => (bytes(12), 0..=LONGEST, hops()).prop_map(|(piece, length, hops)| {
            let long = piece.iter().copied().cycle().take(length).collect();
            [long, hops].join(&b',')
        }),
    ]
}

fn lines() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(line(), 0..4)
}

fn proxy() -> impl Strategy<Value = Peer> {
    prop_oneof![Just(Peer::Address(Ipv4Addr::LOCALHOST.into())), Just(Peer::Unix)]
}

/// An address that is not a trusted proxy.
fn stranger() -> impl Strategy<Value = IpAddr> {
    any::<IpAddr>().prop_map(|address| {
        let address = address.to_canonical();
        if is_trusted(address, &trusted()) {
            Ipv4Addr::new(198, 51, 100, 7).into()
        } else {
            address
        }
    })
}

fn config() -> ProptestConfig {
    let config = ProptestConfig::default();
    ProptestConfig {
        cases: config.cases.max(FEWEST_CASES),
        ..config
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn hops_are_read_as_the_contract_says(peer in proxy(), lines in lines()) {
        prop_assert_eq!(client_address(peer, &headers(&lines), &trusted()), expected(peer, &lines));
    }

    #[test]
    fn nothing_that_a_client_writes_hides_what_the_proxies_wrote(
        peer in proxy(),
        client in stranger(),
        mut forged in lines(),
        tail in bytes(8),
        behind in prop::option::of(0..=255_u8),
        on_a_line_of_its_own: bool,
    ) {
        let honest = behind.map_or(client.to_string(), |last| format!("{client}, 10.0.0.{last}"));
        match forged.last_mut() {
            Some(last) if !on_a_line_of_its_own => {
                last.extend_from_slice(&tail);
                last.extend_from_slice(format!(", {honest}").as_bytes());
            }
            _ => forged.push(honest.into_bytes()),
        }
        prop_assert_eq!(client_address(peer, &headers(&forged), &trusted()), Some(client));
    }

    #[test]
    fn a_peer_that_is_no_proxy_is_the_client(address in stranger(), lines in lines()) {
        let found = client_address(Peer::Address(address), &headers(&lines), &trusted());
        prop_assert_eq!(found, Some(address));
    }

    #[test]
    fn a_hop_is_read_in_every_spelling(address: IpAddr, port: u16) {
        let socket = SocketAddr::new(address, port);
        let bracketed = if address.is_ipv6() { format!("[{address}]") } else { address.to_string() };
        for spelling in [address.to_string(), socket.to_string(), bracketed] {
            prop_assert_eq!(read_hop(spelling.as_bytes()), Some(address.to_canonical()));
        }
    }
}
