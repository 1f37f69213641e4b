//! What a flow's packets mean to the host that gets them: asked for, or not.
//!
//! Owns the classes, the reflectors' ports, and who asked whom. Knows no rate and no threshold. Invariant: a packet is of one class, and only those
//! that nobody asked for are of any.

use crate::detect::EvidenceKey;
use crate::flow::{Direction, FlowGrowth, HostAddress};

/// IANA protocol numbers.
const ICMP: u8 = 1;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;

/// Who gets no more than so many packets for each one it sends takes part in the conversation. Of what is acknowledged least often, QUIC with rare
/// acknowledgments, a receiver says something each 25 ms.
const PACKETS_PER_ANSWER: u64 = 1000;

/// Services that answer small questions from anybody with large answers, by UDP port (IANA; CISA alert TA14-017A).
const REFLECTORS: [(u16, &str); 24] = [
    (17, "qotd"),
    (19, "chargen"),
    (53, "dns"),
    (111, "portmap"),
    (123, "ntp"),
    (137, "netbios"),
    (161, "snmp"),
    (177, "xdmcp"),
    (389, "cldap"),
    (427, "slp"),
    (520, "rip"),
    (623, "ipmi"),
    (1434, "mssql"),
    (1900, "ssdp"),
    (3283, "ard"),
    (3478, "stun"),
    (3702, "wsd"),
    (5353, "mdns"),
    (5683, "coap"),
    (10_001, "ubiquiti"),
    (11_211, "memcached"),
    (27_015, "source_engine"),
    (32_414, "plex"),
    (37_810, "dvr"),
];

/// What a flood consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FloodClass {
    /// Datagrams.
    Udp,
    /// ICMP messages of both versions.
    Icmp,
    /// Fragments without the rest of their datagrams.
    Fragments,
    /// Answers of reflectors.
    Amplification,
}

impl FloodClass {
    /// All of them, in the order of their numbers in keys.
    pub const ALL: [Self; 4] = [Self::Udp, Self::Icmp, Self::Fragments, Self::Amplification];

    /// What is flooded in this class; `port` is the reflectors'.
    pub const fn key(self, host: HostAddress, port: u16) -> EvidenceKey {
        EvidenceKey { host, port, protocol: self as u8, ..EvidenceKey::NONE }
    }

    /// The class of what a key is about.
    pub fn of(key: &EvidenceKey) -> Self {
        Self::ALL[usize::from(key.protocol).min(Self::ALL.len() - 1)]
    }

    /// The variant of its alerts.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Icmp => "icmp",
            Self::Fragments => "fragments",
            Self::Amplification => "amplification",
        }
    }

    /// The technique of an alert about this key.
    pub fn technique(key: &EvidenceKey) -> Option<&'static str> {
        match Self::of(key) {
            Self::Udp => Some("udp"),
            Self::Icmp => Some("icmp"),
            Self::Fragments => Some("fragment"),
            Self::Amplification => reflector(key.port),
        }
    }

    /// Its keys in the configuration: of packets, of bits.
    pub const fn floor_names(self) -> [&'static str; 2] {
        match self {
            Self::Udp => ["udp_packets_per_sec", "udp_bits_per_sec"],
            Self::Icmp => ["icmp_packets_per_sec", "icmp_bits_per_sec"],
            Self::Fragments => ["fragment_packets_per_sec", "fragment_bits_per_sec"],
            Self::Amplification => ["amplification_packets_per_sec", "amplification_bits_per_sec"],
        }
    }
}

/// The reflectors' protocol of a port.
fn reflector(port: u16) -> Option<&'static str> {
    REFLECTORS.binary_search_by_key(&port, |(port, _)| *port).ok().map(|at| REFLECTORS[at].1)
}

/// Packets and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct VolumeCount {
    pub packets: u64,
    pub bytes: u64,
}

/// An IP packet is no larger than 64 KiB, and its headers before it are smaller; what a capture says beyond is forged.
const PACKET_BYTES_MAX: u64 = 1 << 17;

impl VolumeCount {
    /// So many packets and their bytes, as far as packets can be so large.
    pub const fn new(packets: u64, bytes: u64) -> Self {
        let bytes_max = packets.saturating_mul(PACKET_BYTES_MAX);
        Self { packets, bytes: if bytes < bytes_max { bytes } else { bytes_max } }
    }

    /// Adds others.
    pub const fn add(&mut self, other: Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
    }

    /// Without these.
    pub const fn less(self, other: Self) -> Self {
        Self { packets: self.packets.saturating_sub(other.packets), bytes: self.bytes.saturating_sub(other.bytes) }
    }

    /// So many of these packets, of the mean length.
    pub fn part(self, packets: u64) -> Self {
        let bytes = u128::from(self.bytes) * u128::from(packets) / u128::from(self.packets.max(1));
        Self { packets, bytes: u64::try_from(bytes).unwrap_or(u64::MAX) }
    }
}

/// What a flow that grew means to the host that did not begin it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GrowthMeaning {
    /// It got packets that it had not asked for.
    Unasked(VolumeCount),
    /// It has answered by now: what it got before was asked for after all.
    Excused(VolumeCount),
}

/// True when somebody who sent so many packets takes part in a conversation.
const fn takes_part(received: u64, sent: u64) -> bool {
    sent > 0 && sent.saturating_mul(PACKETS_PER_ANSWER) >= received
}

/// Which way packets go that may be unasked: those of who began the flow, as who begins asks. Where that one has sent nothing, as of echo replies
/// alone, those of the other.
fn unasked_direction(flow: &FlowGrowth) -> Direction {
    if flow.packets_total[flow.initiator.index()] == 0 { flow.initiator.reverse() } else { flow.initiator }
}

/// What is flooded by a flow that grew, in which class, and how. The first answer excuses, once, and no more than the flow can have in a window.
pub(super) fn meaning_of(flow: &FlowGrowth, window_ns: u64) -> Option<(EvidenceKey, GrowthMeaning)> {
    let protocol = flow.key.protocol();
    if !matches!(protocol, UDP | ICMP | ICMPV6) {
        return None;
    }
    let direction = unasked_direction(flow);
    let (to, back) = (direction.index(), direction.reverse().index());
    let grown = VolumeCount::new(flow.packets[to], flow.bytes[to]);
    let meaning = if protocol == UDP && takes_part(flow.packets_total[to], flow.packets_total[back]) {
        let total = VolumeCount::new(flow.packets_total[to], flow.bytes_total[to]);
        let before = total.less(grown);
        let answered_before = flow.packets_total[back] > flow.packets[back];
        if before.packets == 0 || answered_before {
            return None;
        }
        let age_ns = flow.last_seen.since(flow.first_seen).max(window_ns).max(1);
        let in_window = u128::from(before.packets) * u128::from(window_ns) / u128::from(age_ns);
        GrowthMeaning::Excused(before.part(u64::try_from(in_window).unwrap_or(u64::MAX)))
    } else {
        GrowthMeaning::Unasked(grown)
    };
    if grown.packets == 0 && matches!(meaning, GrowthMeaning::Unasked(_)) {
        return None;
    }
    let ((_, from_port), (host, to_port)) = (flow.key.source(direction), flow.key.destination(direction));
    // A group's members answer datagrams in flows of their own.
    let is_group = protocol == UDP && host.is_group();
    (!is_group).then(|| (key_of(protocol, host, to_port, from_port), meaning))
}

fn key_of(protocol: u8, host: HostAddress, to_port: u16, from_port: u16) -> EvidenceKey {
    if protocol != UDP {
        return FloodClass::Icmp.key(host, 0);
    }
    // Between two servers of the same service either may have asked.
    match reflector(from_port) {
        Some(_) if from_port != to_port => FloodClass::Amplification.key(host, from_port),
        _ => FloodClass::Udp.key(host, 0),
    }
}

/// Who sent what may be unasked.
pub(super) fn sender(flow: &FlowGrowth) -> HostAddress {
    flow.key.source(unasked_direction(flow)).0
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW_NS: u64 = 5_000_000_000;
    use crate::flow::FlowKey;
    use crate::wire::{IpVersion, Network, Ports};
    use netscope_backends::Timestamp;

    const SERVER: [u8; 4] = [192, 0, 2, 80];
    const CLIENT: [u8; 4] = [198, 51, 100, 7];

    fn network(protocol: u8, source: [u8; 16], destination: [u8; 16]) -> Network {
        Network { version: IpVersion::V4, protocol, ttl: 64, traffic_class: 0, source, destination, fragment: None }
    }

    /// A flow between these ports of client and server: packets of 100 bytes that the client, who began, and the server sent before and now.
    fn grown(protocol: u8, ports: (u16, u16), before: [u64; 2], now: [u64; 2]) -> FlowGrowth {
        let padded = |address: [u8; 4]| {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&address);
            bytes
        };
        let network = network(protocol, padded(CLIENT), padded(SERVER));
        let (key, initiator) = FlowKey::new(&network, Ports { source: ports.0, destination: ports.1 });
        let mut flow = FlowGrowth {
            key,
            initiator,
            packets: [0; 2],
            bytes: [0; 2],
            packets_total: [0; 2],
            bytes_total: [0; 2],
            first_seen: Timestamp(0),
            last_seen: Timestamp(0),
            first_packet: 1,
        };
        for (at, direction) in [initiator, initiator.reverse()].into_iter().enumerate() {
            let index = direction.index();
            (flow.packets[index], flow.packets_total[index]) = (now[at], before[at] + now[at]);
            (flow.bytes[index], flow.bytes_total[index]) = (100 * now[at], 100 * (before[at] + now[at]));
        }
        flow
    }

    fn unasked(packets: u64) -> Option<GrowthMeaning> {
        Some(GrowthMeaning::Unasked(VolumeCount { packets, bytes: 100 * packets }))
    }

    #[test]
    fn who_answers_takes_part_and_who_is_silent_is_flooded() {
        let meaning = |before, now| meaning_of(&grown(UDP, (5000, 6000), before, now), WINDOW_NS).map(|(_, meaning)| meaning);
        assert_eq!(meaning([0, 0], [500, 0]), unasked(500));
        assert_eq!(meaning([500, 0], [7, 0]), unasked(7), "what it grew by");
        assert_eq!(meaning([0, 0], [500, 1]), None, "an answer");
        assert_eq!(meaning([0, 0], [1001, 1]), unasked(1001), "too little of one");
        assert_eq!(meaning([900, 1], [50, 0]), None, "one that came earlier");
        assert_eq!(meaning([500, 0], [100, 1]), Some(GrowthMeaning::Excused(VolumeCount { packets: 500, bytes: 50_000 })));
        assert_eq!(meaning([500, 0], [0, 1]), Some(GrowthMeaning::Excused(VolumeCount { packets: 500, bytes: 50_000 })));
        assert_eq!(meaning([5, 0], [0, 0]), None, "no growth");
        let icmp = |now| meaning_of(&grown(ICMP, (7, 7), [0, 0], now), WINDOW_NS).map(|(_, meaning)| meaning);
        assert_eq!(icmp([40, 40]), unasked(40), "who answers a flood of echo requests did not ask for it");
        let replies = FlowGrowth {
            initiator: grown(ICMP, (7, 7), [0; 2], [0; 2]).initiator.reverse(),
            ..grown(ICMP, (7, 7), [0, 0], [30, 0])
        };
        assert_eq!(
            meaning_of(&replies, WINDOW_NS).map(|(_, meaning)| meaning),
            unasked(30),
            "who is said to have begun has sent nothing"
        );
        assert_eq!(sender(&replies), HostAddress::v4(CLIENT));
        assert_eq!(meaning_of(&grown(6, (5000, 80), [0, 0], [9, 0]), WINDOW_NS), None, "TCP");
    }

    #[test]
    fn one_forged_length_is_no_flood() {
        let mut flow = grown(UDP, (5000, 6000), [0, 0], [2, 0]);
        flow.bytes[flow.initiator.index()] = u64::from(u32::MAX);
        let largest = VolumeCount { packets: 2, bytes: 2 << 17 };
        assert_eq!(meaning_of(&flow, WINDOW_NS).map(|(_, meaning)| meaning), Some(GrowthMeaning::Unasked(largest)));
    }

    #[test]
    fn classes_go_by_protocol_and_by_the_reflectors_port() {
        let key = |protocol, ports| meaning_of(&grown(protocol, ports, [0, 0], [1, 0]), WINDOW_NS).expect("it is of a class").0;
        let host = HostAddress::v4(SERVER);
        assert_eq!(key(UDP, (4000, 53)), FloodClass::Udp.key(host, 0));
        assert_eq!(key(UDP, (53, 4000)), FloodClass::Amplification.key(host, 53));
        assert_eq!(key(UDP, (123, 123)), FloodClass::Udp.key(host, 0), "peers");
        assert_eq!(key(UDP, (11_211, 443)), FloodClass::Amplification.key(host, 11_211));
        assert_eq!(key(ICMPV6, (8, 8)), FloodClass::Icmp.key(host, 0));
        assert_eq!(FloodClass::technique(&key(UDP, (389, 80))), Some("cldap"));
        assert!(FloodClass::ALL.iter().all(|class| FloodClass::of(&class.key(host, 0)) == *class));
        assert!(REFLECTORS.is_sorted_by(|one, next| one.0 < next.0), "binary search");
    }

    #[test]
    fn groups_are_no_victims_of_datagrams() {
        let mut to = [0; 16];
        to[..4].copy_from_slice(&[239, 1, 1, 1]);
        let (key, initiator) = FlowKey::new(&network(UDP, [9; 16], to), Ports { source: 5000, destination: 5004 });
        let mut video = FlowGrowth { key, initiator, ..grown(UDP, (1, 1), [0, 0], [0, 0]) };
        (video.packets[initiator.index()], video.packets_total[initiator.index()]) = (9, 9);
        assert_eq!(meaning_of(&video, WINDOW_NS), None);
        let (key, initiator) = FlowKey::new(&network(ICMP, [9; 16], to), Ports { source: 7, destination: 7 });
        let mut messages = FlowGrowth { key, initiator, ..grown(ICMP, (1, 1), [0, 0], [0, 0]) };
        (messages.packets[initiator.index()], messages.packets_total[initiator.index()]) = (9, 9);
        assert!(meaning_of(&messages, WINDOW_NS).is_some(), "nobody asks a group that often");
    }
}
