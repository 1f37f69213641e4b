//! A filter says of a packet on a wire what it says of the same packet in a file, by every backend that uses a
//! packet socket. (AF_XDP has its own test, in `xdp/tags.rs`: its filter sees the tag where it is on the wire.)

use std::time::{Duration, Instant};

use netscope_backends::filter::Filter;
use netscope_backends::pcap::{LiveBackend, LiveOptions};
use netscope_backends::tpacket::TpacketOptions;
use netscope_backends::{Backend, LinkType, Packet, Timestamp};

use crate::netns::{NetNs, RECEIVER};
use crate::wire::{LIMIT, ipv4, open_one, options, poll_once, send, udp};

/// IEEE 802.1Q, VLAN 5, priority 1.
const TAG: &[u8] = &[0x81, 0, 0x20, 5];
/// IEEE 802.1ad, VLAN 7.
const SERVICE_TAG: &[u8] = &[0x88, 0xa8, 0, 7];
/// A tag that Linux leaves in the frame, VLAN 9.
const OTHER_TAG: &[u8] = &[0x91, 0, 0, 9];

/// What people write, and every way to reach into the frame before the tag, into the tag and behind it.
const EXPRESSIONS: &[&str] = &[
    "",
    "icmp",
    "udp",
    "port 53",
    "vlan",
    "vlan 5",
    "vlan 6",
    "not vlan",
    "not vlan 5",
    "vlan and icmp",
    "vlan and port 53",
    "vlan 5 and udp port 53",
    "vlan 7 and vlan 5 and udp",
    "vlan and vlan and port 53",
    "icmp or (vlan and icmp)",
    "port 53 or (vlan and port 53)",
    "host 10.0.0.2 or (vlan and host 10.0.0.2)",
    "ether host 2:0:0:0:0:1",
    "len = 66",
    "greater 67",
    "ether[12:4] = 0x81002005",
    "ether[11:4] = 0x02810020",
    "ether[13] = 0",
    "ether[14:2] & 0xfff = 5",
    "ether[16:2] = 0x800",
    "ether[ether[15] + 9] = 0x20",
    "ether[ether[15] - 5 : 4] = 0x00000002",
    "vlan and udp[8] = 0x5a",
    "vlan and udp[udp[4:2] - 1] = 0x5a",
    "inbound and vlan 5",
    "outbound",
];

/// UDP and an echo request with each kind of tag.
fn frames() -> Vec<Vec<u8>> {
    let (from, to) = ([10, 0, 0, 1], [10, 0, 0, 2]);
    let tags = [vec![], TAG.to_vec(), SERVICE_TAG.to_vec(), [SERVICE_TAG, TAG].concat(), OTHER_TAG.to_vec()];
    let each = |(number, tag): (usize, &Vec<u8>)| {
        let echo = [&[8, 0, 0, 0, 0, 1, 0, 1][..], &[0x5a; 20]].concat();
        [udp(from, to, [1, 53], 20 + number, tag), udp(from, to, [2, 80], 20, tag), ipv4(from, to, 1, 0, &echo, tag)]
    };
    tags.iter().enumerate().flat_map(each).collect()
}

/// All packets of ours until `count` have come, and a while longer for more that should not.
#[track_caller]
fn read(backend: &mut impl Backend, count: usize) -> Vec<Vec<u8>> {
    let (begun, mut seen) = (Instant::now(), Vec::new());
    let mut poll = |seen: &mut Vec<Vec<u8>>, wait_ms| {
        let packets = poll_once(backend, Duration::from_millis(wait_ms));
        seen.extend(packets.into_iter().map(|packet| packet.data).filter(|data| data.ends_with(&[0x5a; 8])));
    };
    while seen.len() < count && begun.elapsed() < LIMIT {
        poll(&mut seen, 100);
    }
    for _ in 0..3 {
        poll(&mut seen, 20);
    }
    seen
}

/// What the filter says of these packets in a file; all of them came in.
fn in_a_file<'a>(packets: &'a [Vec<u8>], expression: &str, link_type: LinkType) -> Vec<&'a Vec<u8>> {
    let expression = match expression {
        "inbound and vlan 5" => "vlan 5",
        "outbound" => "less 1",
        other => other,
    };
    let filter = Filter::compile(expression, link_type).unwrap_or_else(|error| panic!("{error}"));
    let matches = |data: &&Vec<u8>| filter.matches(&Packet { data, time: Timestamp(1), wire_len: data.len() as u32, link_type });
    packets.iter().filter(matches).collect()
}

fn by_libpcap(namespace: &NetNs, interface: &str, filter: Option<&str>) -> LiveBackend {
    let options = LiveOptions {
        interface: Some(interface.to_owned()),
        timeout_ms: 10,
        snaplen: 0,
        filter: filter.map(str::to_owned),
        ..LiveOptions::default()
    };
    namespace.inside(|| LiveBackend::open(options)).unwrap_or_else(|error| panic!("{filter:?}: {error}"))
}

#[test]
fn a_filter_says_the_same_on_a_wire_as_of_a_file() {
    let Some(namespace) = NetNs::with_veth() else { return };
    let frames = frames();
    for expression in EXPRESSIONS {
        let expected = in_a_file(&frames, expression, LinkType::ETHERNET);
        let mut by_tpacket = open_one(&namespace, TpacketOptions { filter: Some((*expression).to_owned()), ..options() });
        let mut by_libpcap = by_libpcap(&namespace, RECEIVER, Some(expression));
        send(&namespace, &frames);
        assert_eq!(read(&mut by_tpacket, expected.len()).iter().collect::<Vec<_>>(), expected, "tpacket, {expression:?}");
        assert_eq!(read(&mut by_libpcap, expected.len()).iter().collect::<Vec<_>>(), expected, "libpcap, {expression:?}");
        let received = by_libpcap.counters().unwrap();
        assert_eq!(received.received, expected.len() as u64 + received.filtered, "{expression:?}");
    }
}

#[test]
fn a_filter_says_the_same_on_all_interfaces_as_of_a_file() {
    let Some(namespace) = NetNs::with_veth() else { return };
    let frames = frames();
    let mut unfiltered = by_libpcap(&namespace, "any", None);
    send(&namespace, &frames);
    let packets = read(&mut unfiltered, 2 * frames.len()); // out of one end and into the other
    assert_eq!((packets.len(), unfiltered.link_type()), (2 * frames.len(), LinkType::LINUX_SLL));
    for expression in ["", "icmp", "udp", "port 53", "not port 53", "len = 60", "outbound and udp", "ether proto 0x8100"] {
        let expected = in_a_file(&packets, expression, LinkType::LINUX_SLL);
        let mut backend = by_libpcap(&namespace, "any", Some(expression));
        send(&namespace, &frames);
        let seen = read(&mut backend, expected.len());
        assert_eq!(seen.iter().collect::<Vec<_>>(), expected, "{expression:?}");
    }
    let of_vlan = LiveOptions { interface: Some("any".to_owned()), filter: Some("vlan".to_owned()), ..LiveOptions::default() };
    let refused = namespace.inside(|| LiveBackend::open(of_vlan)).err().expect("as for a file").to_string();
    assert!(refused.contains("vlan"), "{refused}");
    assert!(Filter::compile("vlan", LinkType::LINUX_SLL).is_err());
}
