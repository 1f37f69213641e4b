//! Community ID version 1: an identifier of a flow that other tools compute, too.
//!
//! Owns the mapping of a key to the identifier (<https://github.com/corelight/community-id-spec>). Knows no table. Its invariant:
//! an identifier is given only where the key holds everything the specification asks for.

use super::base64::{Code, base64};
use super::digest::{DigestMessage, Words, digest};
use super::icmp::counterpart;
use super::{Direction, FlowKey, IcmpFlow};
use netscope_backends::wide::{Wide, widest};
use std::net::IpAddr;

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const SCTP: u8 = 132;

/// A Community ID of version 1: `1:` and a SHA-1 digest in base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommunityId([u8; Self::LEN]);

impl CommunityId {
    /// Its length as text, in bytes.
    pub const LEN: usize = 2 + 28;
    /// No flow's identifier, where none is asked for.
    pub const BLANK: Self = Self([b' '; Self::LEN]);

    /// As text.
    pub fn as_str(&self) -> &str {
        // Made of ASCII, so the text is never refused.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// As text, byte by byte: ASCII.
    pub fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

/// The Community ID of a flow. `initiator` matters for ICMP echo alone, where the side that requests decides which of the
/// message types 8 and 0 (ICMPv6: 128 and 129) stands first. Protocols the specification gives no ports, UDP-Lite among them, go
/// without.
pub fn community_id(key: &FlowKey, initiator: Direction, seed: u16) -> CommunityId {
    let [id] = community_ids([(key, initiator)], seed);
    id
}

/// [`community_id`] of several flows with the same seed; eight at a time cost little more than one.
pub fn community_ids<const N: usize>(flows: [(&FlowKey, Direction); N], seed: u16) -> [CommunityId; N] {
    let mut words = COMMON.map(|word| [word; N]);
    for (lane, (key, initiator)) in flows.into_iter().enumerate() {
        if let Some(common) = common_words(key, seed) {
            for (words, word) in words.iter_mut().zip(common) {
                words[lane] = word;
            }
        } else {
            for (words, word) in words.iter_mut().zip(message(key, initiator, seed).words()) {
                words[lane] = word;
            }
        }
    }
    let codes = widest(Naming(&words));
    std::array::from_fn(|lane| written(codes.each_ref().map(|words| words[lane])))
}

/// Padded messages become digests and those text, one in each lane.
struct Naming<'a, const N: usize>(&'a [[u32; N]; 16]);

impl<const N: usize> Wide for Naming<'_, N> {
    type Output = [[u32; N]; 7];

    #[inline(always)]
    fn run(self) -> Self::Output {
        let mut digests = [[0; N]; 5];
        for lane in 0..N {
            let digest = digest(self.0.each_ref().map(|words| words[lane]));
            for (words, word) in digests.iter_mut().zip(digest) {
                words[lane] = word;
            }
        }
        let mut codes = [[0; N]; 7];
        for lane in 0..N {
            let code = base64(digests.each_ref().map(|words| words[lane]));
            for (words, word) in codes.iter_mut().zip(code) {
                words[lane] = word;
            }
        }
        codes
    }
}

fn written(code: Code) -> CommunityId {
    let mut text = [0; CommunityId::LEN];
    let (version, characters) = text.split_at_mut(2);
    version.copy_from_slice(b"1:");
    for (place, word) in characters.as_chunks_mut().0.iter_mut().zip(code) {
        *place = word.to_le_bytes();
    }
    CommunityId(text)
}

/// The words of a padded message of 16 bytes, but for the message.
const COMMON: Words = [0, 0, 0, 0, 0x8000_0000, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 16 * 8];

/// The message of nearly every flow, TCP or UDP between IPv4 addresses: what [`message`] would put together byte by byte. `None` for
/// all others.
#[inline(always)]
fn common_words(key: &FlowKey, seed: u16) -> Option<[u32; 4]> {
    let (IpAddr::V4(a), IpAddr::V4(b), TCP | UDP) = (key.a_ip(), key.b_ip(), key.protocol()) else { return None };
    let (a, b) = (a.to_bits(), b.to_bits());
    // Between equal addresses the ports are in order, because those of the key are.
    let ports = u32::from(key.a_port()) << 16 | u32::from(key.b_port());
    Some([u32::from(seed) << 16 | a >> 16, a << 16 | b >> 16, b << 16 | u32::from(key.protocol()) << 8, ports])
}

/// What is hashed.
fn message(key: &FlowKey, initiator: Direction, seed: u16) -> DigestMessage {
    let order = |direction: Direction, ports: (u16, u16)| match direction {
        Direction::AToB => ports,
        Direction::BToA => (ports.1, ports.0),
    };
    let mut one_way = None;
    let ports = match (IcmpFlow::of(key), key.protocol()) {
        (Some(IcmpFlow::Echo(_)), protocol) => Some(order(initiator, if protocol == ICMP { (8, 0) } else { (128, 129) })),
        (Some(IcmpFlow::Pair([a, b])), _) => Some((a.into(), b.into())),
        (Some(IcmpFlow::OneWay { direction, kind, code }), protocol) => Some(match counterpart(protocol, kind) {
            // An echo whose identifier is cut off.
            Some(other) => order(direction, (kind.into(), other.into())),
            None => {
                one_way = Some(direction);
                (kind.into(), code.into())
            }
        }),
        (None, TCP | UDP | SCTP) => Some((key.a_port(), key.b_port())),
        (None, _) => None,
    };
    // What goes in one direction stays as it goes.
    let (a, b) = if one_way == Some(Direction::BToA) { (key.b_ip(), key.a_ip()) } else { (key.a_ip(), key.b_ip()) };
    let mut message = DigestMessage::EMPTY;
    message.push(seed.to_be_bytes());
    for ip in [a, b] {
        match ip {
            IpAddr::V4(ip) => message.push(ip.octets()),
            IpAddr::V6(ip) => message.push(ip.octets()),
        }
    }
    message.push([key.protocol(), 0]);
    if let Some(ports) = ports {
        // The specification orders by address, then port: the order of the key. Between equal addresses the message types decide.
        let is_ordered = a != b || one_way.is_some();
        let (first, second) = if is_ordered { ports } else { (ports.0.min(ports.1), ports.0.max(ports.1)) };
        message.push(u16::to_be_bytes(first));
        message.push(u16::to_be_bytes(second));
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::icmp::icmp_ports;
    use crate::flow::tests::key_of;

    fn text(key: &FlowKey, initiator: Direction, seed: u16) -> String {
        community_id(key, initiator, seed).as_str().to_owned()
    }

    /// From the reference implementation's published tests: source, destination, ports, protocol, seed 0, seed 1.
    #[test]
    fn published_vectors() {
        let vectors = [
            ("128.232.110.120", "66.35.250.204", 34855, 80, 6, "LQU9qZlK+B5F3KDmev6m5PMibrg=", "3V71V58M3Ksw/yuFALMcW0LAHvc="),
            ("10.0.0.1", "10.0.0.2", 10, 11569, 6, "SXBGMX1lBOwhhoDrZynfROxnhnM=", "HmBRGR+fUyXF4t8WEtal7Y0gEAo="),
            ("192.168.1.52", "8.8.8.8", 54585, 53, 17, "d/FP5EW3wiY1vCndhwleRRKHowQ=", "Q9We8WO3piVF8yEQBNJF4uiSVrI="),
            ("192.168.170.8", "192.168.170.56", 7, 80, 132, "jQgCxbku+pNGw8WPbEc/TS/uTpQ=", "Y1/0jQg6e+I3ZwZZ9LP65DNbTXU="),
            ("10.1.24.4", "10.1.12.1", 0, 0, 46, "/nQI4Rh/TtY3mf0R2gJFBkVlgS4=", "BK3BVW3U2eemuwVQVN3zd/GULno="),
            ("192.168.0.89", "192.168.0.1", 77, 77, 1, "X0snYXpgwiv9TZtqg64sgzUn6Dk=", "03g6IloqVBdcZlPyX8r0hgoE7kA="),
        ];
        for (source, destination, source_port, destination_port, protocol, zero, one) in vectors {
            let (key, direction) = key_of(source, destination, source_port, destination_port, protocol);
            assert_eq!(text(&key, direction, 0), format!("1:{zero}"), "{source} {destination}");
            assert_eq!(text(&key, direction, 1), format!("1:{one}"), "{source} {destination}");
        }
    }

    /// From the specification's baseline.
    #[test]
    fn published_vectors_of_ipv6() {
        let (key, direction) = key_of("2001:470:e5bf:dead:4957:2174:e82c:4887", "2607:f8b0:400c:c03::1a", 63943, 25, 6);
        assert_eq!(text(&key, direction, 0), "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4=");
        let (key, direction) = key_of("3ffe:507:0:1:200:86ff:fe05:80da", "3ffe:501:0:1001::2", 9, 9, 58);
        assert_eq!(text(&key, direction, 0), "1:+TW+HtLHvV1xnGhV1lv7XoJrqQg=");
    }

    #[test]
    fn flows_side_by_side_keep_their_own_identifiers() {
        let flows = [("10.0.0.1", 1, 6), ("10.0.0.2", 0, 1), ("10.0.0.3", 3, 17), ("10.0.0.4", 0, 46)]
            .map(|(source, port, protocol)| key_of(source, "10.9.9.9", port, port, protocol));
        let [a, b, c, d] = &flows;
        let ids = community_ids([a, b, c, d].map(|(key, direction)| (key, *direction)), 7);
        assert_eq!(ids, flows.map(|(key, direction)| community_id(&key, direction, 7)));
    }

    /// Made with the reference implementation.
    #[test]
    fn icmp_goes_by_type_and_code() {
        let vectors = [
            ("198.51.100.2", "192.0.2.1", 1, 3, 3, "+skj/HPTXEH/w0V98DqgtY/qa4k="),
            ("203.0.113.1", "192.0.2.1", 1, 11, 0, "3L97LW01hlLMvRPY2Nyvx3XeoL8="),
            ("2001:db8::1", "2001:db8::2", 58, 135, 0, "R9HBIi387RnKhKUU53rFlnl803U="),
            ("2001:db8::2", "2001:db8::1", 58, 136, 0, "R9HBIi387RnKhKUU53rFlnl803U="),
            ("192.168.0.89", "192.168.0.1", 1, 8, 0, "X0snYXpgwiv9TZtqg64sgzUn6Dk="),
            ("192.168.0.1", "192.168.0.89", 1, 0, 0, "X0snYXpgwiv9TZtqg64sgzUn6Dk="),
        ];
        for (source, destination, protocol, kind, code, expected) in vectors {
            let ports = icmp_ports(protocol, kind, code);
            let (key, direction) = key_of(source, destination, ports.source, ports.destination, protocol);
            assert_eq!(text(&key, direction, 0), format!("1:{expected}"), "{source} {destination} {kind} {code}");
        }
    }
}
