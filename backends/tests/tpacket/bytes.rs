//! What was sent arrives byte for byte: captures of the corpus, VLAN tags, the filter, the snap length, other
//! devices.

use std::io::Write;
use std::net::UdpSocket;
use std::time::Duration;

use netscope_backends::tpacket::{TpacketOptions, open};
use netscope_backends::{Backend, Counters, LinkType};

use crate::netns::{NetNs, SENDER};
use crate::wire::{corpus, datagrams, ipv4, open_one, options, poll_once, read, send, tun, udp};

const HOSTS: ([u8; 4], [u8; 4]) = ([10, 0, 0, 1], [10, 0, 0, 2]);

/// IEEE 802.1Q, VLAN 5, priority 1.
const TAG: &[u8] = &[0x81, 0, 0x20, 5];
/// IEEE 802.1ad, VLAN 7.
const SERVICE_TAG: &[u8] = &[0x88, 0xa8, 0, 7];

/// All frames of a capture that a wire can carry.
fn frames(path: &std::path::Path) -> Vec<Vec<u8>> {
    let Ok(mut capture) = pcap::Capture::from_file(path) else { return Vec::new() };
    let mut frames = Vec::new();
    if capture.get_datalink() == pcap::Linktype::ETHERNET {
        while let Ok(packet) = capture.next_packet() {
            if packet.data.len() >= 14 && packet.header.caplen == packet.header.len && frames.len() < 2000 {
                frames.push(packet.data.to_vec());
            }
        }
    }
    frames
}

#[test]
fn captures_of_the_corpus_arrive_byte_for_byte() {
    let (Some(corpus), Some(namespace)) = (corpus(), NetNs::with_veth()) else { return };
    let mut backend = open_one(&namespace, options());
    let mut paths: Vec<_> = std::fs::read_dir(corpus).expect("a directory").flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let mut sent_total = 0;
    for path in paths {
        for burst in frames(&path).chunks(500) {
            let before = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
            send(&namespace, burst);
            let seen = read(&mut backend, burst.len());
            for (sent, seen) in burst.iter().zip(&seen) {
                assert_eq!((&seen.data, seen.wire_len as usize), (sent, sent.len()), "{}", path.display());
                let since_ns = i128::from(seen.time_ns) - before.as_nanos() as i128;
                assert!((-1_000_000_000..60_000_000_000).contains(&since_ns), "{since_ns} ns after sending");
            }
            sent_total += burst.len() as u64;
        }
    }
    assert!(sent_total > 1000, "{sent_total} packets");
    assert_eq!(backend.counters().unwrap(), Counters { received: sent_total, ..Counters::default() });
}

#[test]
fn tags_are_put_back() {
    let Some(namespace) = NetNs::with_veth() else { return };
    let (from, to) = HOSTS;
    let mut frames = Vec::new();
    for (len, tag) in
        [(0, TAG), (1, SERVICE_TAG), (1400, &[SERVICE_TAG, TAG].concat()), (64, &[]), (9, &[TAG, TAG, TAG].concat())]
    {
        frames.push(udp(from, to, [1, 2], len, tag));
    }
    let mut backend = open_one(&namespace, options());
    send(&namespace, &frames);
    let seen = read(&mut backend, frames.len());
    for (sent, seen) in frames.iter().zip(seen) {
        assert_eq!((&seen.data, seen.wire_len as usize), (sent, sent.len()));
    }
}

#[test]
fn the_kernel_cuts_to_the_snap_length_tags_included() {
    let Some(namespace) = NetNs::with_veth() else { return };
    let (from, to) = HOSTS;
    let frames = [udp(from, to, [1, 2], 500, &[]), udp(from, to, [1, 2], 500, TAG), udp(from, to, [1, 2], 4, &[])];
    for filter in [None, Some("len > 0".to_owned())] {
        let mut backend = open_one(&namespace, TpacketOptions { snaplen: 60, filter, ..options() });
        send(&namespace, &frames);
        let seen = read(&mut backend, frames.len());
        for (sent, seen) in frames.iter().zip(seen) {
            assert_eq!((&seen.data[..], seen.wire_len as usize), (&sent[..sent.len().min(60)], sent.len()));
        }
    }
}

#[test]
fn frames_of_64_kib_fit_the_smallest_block() {
    let Some(namespace) = NetNs::with_veth() else { return };
    let (from, to) = HOSTS;
    let frames = vec![udp(from, to, [1, 2], 65_507, &[]); 5];
    let mut backend = open_one(&namespace, TpacketOptions { block_bytes: 128 << 10, snaplen: 0, ..options() });
    send(&namespace, &frames);
    let seen = read(&mut backend, frames.len());
    assert!(frames.iter().zip(seen).all(|(sent, seen)| sent == &seen.data));
}

#[test]
fn a_monitor_sees_both_directions_and_a_loopback_each_packet_once() {
    let Some(namespace) = NetNs::with_veth() else { return };
    let mut sending_end = open_one(&namespace, TpacketOptions { interface: Some(SENDER.to_owned()), ..options() });
    let frames = datagrams(20, 30);
    send(&namespace, &frames);
    assert_eq!(read(&mut sending_end, 20).len(), 20);

    namespace.ip(&["link", "set", "dev", "lo", "up"]);
    let mut loopback = open_one(&namespace, TpacketOptions { interface: Some("lo".to_owned()), ..options() });
    let notice = loopback.notice().expect("it is said");
    assert!(notice.contains("lo carries each packet twice"), "{notice}");
    namespace.inside(|| {
        let receiver = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let sender = UdpSocket::bind("127.0.0.1:0").expect("a port");
        sender.connect(receiver.local_addr().expect("bound")).expect("a datagram socket connects");
        for number in 0..100_u8 {
            sender.send(&[number; 10]).expect("a datagram goes to ourselves");
        }
    });
    let numbers: Vec<u8> = read(&mut loopback, 100).iter().map(|seen| seen.data[42]).collect();
    assert_eq!(numbers, (0..100).collect::<Vec<_>>());
    assert_eq!(loopback.counters().unwrap(), Counters { received: 100, ..Counters::default() });
}

#[test]
fn a_tunnel_without_link_header_gives_raw_ip() {
    let Some(namespace) = NetNs::with_veth() else { return };
    let Some(mut device) = tun(&namespace, "tun7", libc::IFF_TUN) else { return };
    namespace.ip(&["link", "set", "dev", "tun7", "up"]);
    for (filter, expected) in [("udp", 1), ("tcp", 0), ("", 2)] {
        let options = TpacketOptions { interface: Some("tun7".to_owned()), filter: Some(filter.to_owned()), ..options() };
        let mut backend = open_one(&namespace, options);
        assert_eq!(backend.link_type(), LinkType::RAW);
        let (udp, icmp) = (udp(HOSTS.0, HOSTS.1, [1, 53], 20, &[]), ipv4(HOSTS.0, HOSTS.1, 1, 0, &[8; 30], &[]));
        for frame in [&udp, &icmp] {
            device.write_all(&frame[14..]).expect("the device receives");
        }
        let seen = read(&mut backend, expected);
        assert!(seen.iter().zip([&udp, &icmp]).all(|(seen, sent)| seen.data == sent[14..]), "{seen:?}");
    }
}

#[test]
fn what_is_no_interface_of_ours_is_refused() {
    let Some(namespace) = NetNs::with_veth() else { return };
    let refused = |name: &str| {
        let options = TpacketOptions { interface: Some(name.to_owned()), ..options() };
        namespace.inside(|| open(options)).expect_err("refused").to_string()
    };
    let text = refused("any");
    assert!(text.contains("--backend libpcap"), "{text}");
    for name in ["", "a-name-longer-than-any-interface-has", "with\0nul"] {
        let text = refused(name);
        assert!(text.contains("there is no such interface"), "{name:?}: {text}");
    }
}

#[test]
fn a_wrong_filter_is_told_from_a_wrong_interface() {
    let Some(namespace) = NetNs::with_veth() else { return };
    let open_with = |options| namespace.inside(|| open(options)).expect_err("refused").to_string();
    let text = open_with(TpacketOptions { filter: Some("port and".to_owned()), ..options() });
    assert!(text.contains("invalid filter expression") && text.contains("syntax"), "{text}");
    let text = open_with(TpacketOptions { interface: Some("none0".to_owned()), ..options() });
    assert!(text.contains("there is no such interface") && text.contains("veth0"), "{text}");
    namespace.ip(&["link", "set", "dev", "veth0", "down"]);
    let text = open_with(options());
    assert!(text.contains("it is down; bring it up first"), "{text}");
}

#[test]
fn a_panic_of_the_visitor_comes_through_and_the_ring_goes_on() {
    let Some(namespace) = NetNs::with_veth() else { return };
    let mut backend = open_one(&namespace, TpacketOptions { immediate: true, ..options() });
    send(&namespace, &datagrams(1, 10));
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        for _ in 0..100 {
            backend.poll(Duration::from_millis(100), &mut |_| panic!("on purpose")).expect("no error");
        }
    }));
    assert_eq!(panicked.unwrap_err().downcast_ref::<&str>(), Some(&"on purpose"));
    // Round the ring and on.
    for _ in 0..20 {
        send(&namespace, &datagrams(1, 10));
        while poll_once(&mut backend, Duration::from_millis(100)).is_empty() {}
    }
}
