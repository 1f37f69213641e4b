//! The fast path for common frames against the walk: the same facts, or none.

use super::super::fast::{common, common_tcp4, dissect_common};
use super::super::walk::is_tunnel_port;
use super::build::{ethernet, ipv4, ipv6, tcp_with, udp_ports, vlan};
use super::trace;
use crate::wire::{Common, Dissected, SynSegment, TcpFlags, TcpOptions, Transport};
use netscope_backends::LinkType;
use proptest::prelude::*;

/// True when the fast path read it; then it agrees with the walk.
fn agrees(data: &[u8], wire_len: u32) -> bool {
    let mut short = Dissected::NOTHING;
    let read = dissect_common(LinkType::ETHERNET, data, wire_len, &mut short);
    if let Some(common) = common_tcp4(LinkType::ETHERNET, data, wire_len) {
        let mut shortest = Dissected::NOTHING;
        common.write(&mut shortest);
        payload_agrees(&common, &shortest);
        assert_eq!(shortest, trace(LinkType::ETHERNET, data, wire_len).0, "{data:02x?}, {wire_len} on the wire");
    }
    if read {
        assert_eq!(short, trace(LinkType::ETHERNET, data, wire_len).0, "{data:02x?}, {wire_len} on the wire");
        payload_agrees(&common(LinkType::ETHERNET, data, wire_len).expect("it was read"), &short);
        plain_segment_agrees(data, wire_len, &short);
        syn_segment_agrees(data, wire_len, &short);
        // What was there before is written over in full.
        let mut again = trace(LinkType::ETHERNET, &ethernet(0x8100, &vlan(7, 0x0806, &[0; 28])), 60).0;
        dissect_common(LinkType::ETHERNET, data, wire_len, &mut again);
        assert_eq!(again, short);
    } else {
        assert_eq!(short, Dissected::NOTHING, "what was not read is not touched");
    }
    read
}

fn payload_agrees(common: &Common<'_>, facts: &Dissected) {
    let short = (u32::from(common.payload_offset()), u32::from(common.payload_len()));
    assert_eq!(short, (facts.payload_offset, facts.payload_len));
}

/// A plain segment is one that says nothing else, and says the same.
fn plain_segment_agrees(data: &[u8], wire_len: u32, facts: &Dissected) {
    let plain = common(LinkType::ETHERNET, data, wire_len).and_then(|common| common.plain_segment());
    match (plain, &facts.transport) {
        (Some(plain), Transport::Tcp(full)) => {
            let same = (full.sequence, full.acknowledgment, full.payload_len, full.window, full.flags);
            assert_eq!((plain.sequence, plain.acknowledgment, plain.payload_len, plain.window, plain.flags), same);
            assert_eq!(
                full.options,
                TcpOptions { timestamps: full.options.timestamps, kinds: full.options.kinds, ..TcpOptions::default() }
            );
            assert!(!full.flags.has(TcpFlags::SYN) && !full.flags.has(TcpFlags::FIN) && !full.flags.has(TcpFlags::RST));
            assert!(full.flags.has(TcpFlags::ACK));
        }
        (Some(_), other) => panic!("a plain segment of {other:?}"),
        (None, _) => {}
    }
}

/// A SYN is one where its facts say so, and says the same.
fn syn_segment_agrees(data: &[u8], wire_len: u32, facts: &Dissected) {
    let common = common(LinkType::ETHERNET, data, wire_len).expect("it was read");
    let expected = match &facts.transport {
        Transport::Tcp(full) => SynSegment::of(full),
        _ => None,
    };
    assert_eq!((common.syn_segment(), common.vlan()), (expected, facts.vlan));
}

/// Common frames: tagged or not, IPv4 or IPv6, TCP or UDP, padded or not; with whether the fast path has to
/// read it (datagrams of tunnel ports are left to the walk).
pub(crate) fn frame() -> impl Strategy<Value = (Vec<u8>, bool)> {
    let options = prop_oneof![
        Just(vec![]),
        Just(vec![2, 4, 5, 180, 1, 3, 3, 7, 4, 2, 1, 1]),
        Just(vec![1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]),
        Just(vec![2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 3, 3, 7]),
        Just(vec![2, 4, 5, 180, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 1]),
        proptest::collection::vec(any::<u8>(), 8),
    ];
    let payload = prop_oneof![Just(vec![]), proptest::collection::vec(any::<u8>(), 0..40)];
    // Any control bits and ports, and often those of a SYN or SYN-ACK.
    let word = prop_oneof![2 => any::<u16>(), 1 => Just(0x4002), 1 => Just(0x4012)];
    (any::<bool>(), any::<bool>(), any::<bool>(), word, options, payload, 0..8usize).prop_map(
        |(tagged, six, datagram, word, options, payload, padding)| {
            let segment = if datagram { udp_ports(word, 53, &payload) } else { tcp_with(word & 0x1ff, &options, &payload) };
            let protocol = if datagram { 17 } else { 6 };
            let (kind, packet) = if six { (0x86dd, ipv6(protocol, &segment)) } else { (0x0800, ipv4(protocol, &segment)) };
            let mut frame = if tagged { ethernet(0x8100, &vlan(word, kind, &packet)) } else { ethernet(kind, &packet) };
            frame.extend(vec![0; padding]);
            (frame, !datagram || !is_tunnel_port(word))
        },
    )
}

proptest! {
    #[test]
    fn whole_frames((data, is_common) in frame()) {
        prop_assert_eq!(agrees(&data, data.len() as u32), is_common, "{:02x?}", data);
    }

    #[test]
    fn damaged_frames((data, _) in frame(), at in any::<proptest::sample::Index>(), byte in any::<u8>(), cut in any::<proptest::sample::Index>(), more in 0u32..100) {
        let mut data = data;
        let at = at.index(data.len());
        data[at] = byte;
        let wire_len = data.len() as u32 + more;
        agrees(&data, wire_len);
        agrees(&data[..cut.index(data.len())], wire_len);
        agrees(&data[..cut.index(data.len())], 0);
    }
}

#[test]
fn the_longest_payloads_fit() {
    let longest = tcp_with(0x10, &[1; 40], &[7; 65535 - 60]);
    let frames = [
        (ethernet(0x8100, &vlan(9, 0x86dd, &ipv6(6, &longest))), (118, 65535 - 60)),
        (ethernet(0x86dd, &ipv6(17, &udp_ports(1, 2, &[7; 65535 - 8]))), (62, 65535 - 8)),
        (ethernet(0x0800, &ipv4(17, &udp_ports(1, 2, &[7; 65535 - 28]))), (42, 65535 - 28)),
    ];
    for (data, expected) in frames {
        assert!(agrees(&data, data.len() as u32));
        let common = common(LinkType::ETHERNET, &data, data.len() as u32).expect("common");
        assert_eq!((common.payload_offset(), common.payload_len()), expected);
    }
}
