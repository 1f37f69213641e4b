//! Records made by hand, for tests of formats.

use crate::flow::tcp::{TcpState, TcpStateDetail};
use crate::flow::{Direction, EndReason, FactRef, FlowHeaders, FlowKey, FlowRecord, RttRecord, SideRtt, TcpRecord};
use crate::wire::{IpVersion, MacAddresses, Network, PacketHeaders, Ports, TcpFlags, TcpHeaders, Tunnel, TunnelKind, VlanTags};
use netscope_backends::Timestamp;
use std::net::IpAddr;

/// The key of a packet between these endpoints.
pub fn key(protocol: u8, source: &str, source_port: u16, destination: &str, destination_port: u16) -> FlowKey {
    let bytes = |text: &str| match text.parse::<IpAddr>().unwrap() {
        IpAddr::V4(ip) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&ip.octets());
            (IpVersion::V4, bytes)
        }
        IpAddr::V6(ip) => (IpVersion::V6, ip.octets()),
    };
    let ((version, source), (_, destination)) = (bytes(source), bytes(destination));
    let network = Network { version, protocol, ttl: 64, traffic_class: 0, source, destination, fragment: None };
    FlowKey::new(&network, Ports { source: source_port, destination: destination_port }).0
}

/// Of a client b that offers ECN and a server a that agrees.
fn headers() -> FlowHeaders {
    let mut flow = FlowHeaders::BLANK;
    for (direction, flags, ttl, traffic_class, payload_len, window, option_kinds) in [
        (Direction::BToA, 0xc2, 64, 0, 0, 64_240, 1 << 2 | 1 << 4 | 1 << 8 | 1 << 3),
        (Direction::AToB, 0x52, 57, 0, 0, 65_160, 1 << 2 | 1 << 4),
        (Direction::BToA, 0x18, 63, 0xb8 | 2, 640, 502, 1 << 8),
        (Direction::AToB, 0x50, 57, 3, 1200, 509, 0),
    ] {
        let tcp = Some(TcpHeaders { flags: TcpFlags(flags), window, option_kinds });
        let macs = || Some(MacAddresses { source: [2, 0, 0, 0, 0, 0xb], destination: Some([2, 0, 0, 0, 0, 0xa]) });
        flow.note(direction, &PacketHeaders { ttl, traffic_class, payload_len: Some(payload_len), tcp }, macs);
    }
    flow
}

/// A TCP connection with every field set.
pub fn tcp_record() -> FlowRecord {
    FlowRecord {
        key: key(6, "10.0.0.1", 443, "10.0.0.2", 40000),
        first_seen: Timestamp(1_700_000_000_000_000_001),
        last_seen: Timestamp(1_700_000_002_500_000_001),
        packets: [10, 7],
        bytes: [4000, 1000],
        fragments: 2,
        initiator: Direction::BToA,
        first_packet: 5,
        vlan: VlanTags { ids: [100, 200], count: 2 },
        tunnel: Some(Tunnel { kind: TunnelKind::Vxlan, id: 42 }),
        icmp_code: 0,
        icmp_errors: 3,
        quoted: None,
        tcp: Some(TcpRecord {
            state: TcpState::Established,
            detail: TcpStateDetail::CloseWait,
            client: Some(Direction::BToA),
            flags: [0x12, 0x1b],
            retransmissions: 3,
            fast_retransmissions: 1,
            spurious_retransmissions: 2,
            out_of_order: 4,
            lost_segments: 5,
            ack_lost_segments: 6,
            duplicate_acks: 7,
            keep_alives: 8,
            zero_windows: 9,
            mss: [1460, 0],
            window_scale: [Some(7), None],
            handshake_rtt_ns: Some(1_234_567),
            rtt: Some(RttRecord { last_ns: 3_000_000, min_ns: 1_000_500, ewma_ns: 2_000_000, samples: 12 }),
            rtt_sides: [
                Some(SideRtt { samples: 5, min_ns: 4_375_000, ewma_ns: 6_050_000, max_ns: 9_000_000, delayed_acks: 1 }),
                Some(SideRtt { samples: 6, min_ns: 170_500, ewma_ns: 180_000, max_ns: 250_000, delayed_acks: 0 }),
            ],
            zero_window_ns: [None, Some(1_500_000)],
        }),
        headers: Some(headers()),
        ended: Timestamp(1_700_000_062_500_000_001),
        reason: EndReason::Timeout,
        queues: 1,
        interface: 0,
        facts: FactRef::NONE,
    }
}

/// A DNS question and its answer at the same instant, over IPv6.
pub fn udp6_record() -> FlowRecord {
    FlowRecord {
        key: key(17, "2001:db8::1", 53000, "2001:db8::53", 53),
        first_seen: Timestamp(1_700_000_000_000_000_000),
        last_seen: Timestamp(1_700_000_000_000_000_000),
        packets: [1, 1],
        bytes: [100, 200],
        fragments: 0,
        initiator: Direction::AToB,
        first_packet: 1,
        vlan: VlanTags::default(),
        tunnel: None,
        icmp_code: 0,
        icmp_errors: 0,
        quoted: None,
        tcp: None,
        headers: None,
        ended: Timestamp(1_700_000_010_000_000_000),
        reason: EndReason::Exit,
        queues: 1,
        interface: 0,
        facts: FactRef::NONE,
    }
}

/// Pings with their answers.
pub fn icmp_record() -> FlowRecord {
    FlowRecord {
        key: key(1, "192.0.2.1", 77, "192.0.2.2", 77),
        last_seen: Timestamp(1_700_000_003_000_000_000),
        packets: [2, 2],
        bytes: [196, 196],
        first_packet: 3,
        ..udp6_record()
    }
}
