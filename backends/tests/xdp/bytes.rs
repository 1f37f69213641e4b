//! What is sent is what is lent, byte for byte.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use netscope_backends::xdp::{HugePageUse, Times, XdpMode, XdpOptions};
use netscope_backends::{Backend, LinkType};

use crate::netns::{NetNs, RECEIVER};
use crate::wire::{
    MODES, Seen, datagrams, namespace, open_in, open_one, options, poll_once, read, read_all, send, send_flows, udp,
    wait_for_notice,
};

fn data(seen: &[Seen]) -> Vec<Vec<u8>> {
    seen.iter().map(|packet| packet.data.clone()).collect()
}

fn now_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64
}

#[test]
fn every_byte_arrives_in_every_mode() {
    let Some(namespace) = namespace(1, 1500) else { return };
    for mode in MODES {
        let mut opened = open_in(&namespace, options(mode));
        let way = if mode == XdpMode::Generic { "generic mode" } else { "native mode, one copy" };
        assert!(opened.said.iter().any(|said| said.ends_with(&format!("AF_XDP in {way}, its one queue"))), "{:?}", opened.said);
        let backend = &mut opened.queues[0];
        assert_eq!(
            (backend.link_type(), backend.waits(), backend.queue(), backend.interface()),
            (LinkType::ETHERNET, 0, 0, RECEIVER)
        );
        let (before, sent) = (now_ns(), datagrams(500));
        send(&namespace, &sent);
        let seen = read(backend, sent.len());
        assert_eq!(data(&seen), sent, "{mode:?}");
        assert!(seen.iter().all(|packet| packet.wire_len as usize == packet.data.len()));
        assert!(seen.iter().all(|packet| (before..=now_ns()).contains(&packet.time_ns)));
        let counters = backend.counters().unwrap();
        assert_eq!((counters.received, counters.kernel_drops, counters.damaged, counters.filtered), (500, 0, 0, 0));
        assert_eq!(backend.notice(), None);
    }
}

#[test]
fn auto_falls_back_to_what_the_driver_takes_and_says_so_once() {
    let Some(namespace) = namespace(2, 1500) else { return };
    let opened = open_in(&namespace, options(XdpMode::Auto));
    let about: Vec<_> = opened.said.iter().filter(|said| said.contains("zero copy")).collect();
    assert_eq!(about.len(), 1, "{:?}", opened.said);
    assert!(about[0].contains("no zero copy with this driver (Operation not supported"), "{about:?}");
    assert!(opened.said.iter().any(|said| said.contains("native mode, one copy, all 2 queues")), "{:?}", opened.said);
    drop(opened);
    namespace.ip(&["link", "set", "dev", "lo", "up"]);
    let generic = open_in(&namespace, XdpOptions { interface: "lo".to_owned(), insist: true, ..options(XdpMode::Generic) });
    assert!(generic.said.iter().any(|said| said.contains("generic mode")), "{:?}", generic.said);
}

/// Source port and number of a datagram of [`send_flows`].
fn flow_and_number(packet: &Seen) -> (u16, u32) {
    let port = u16::from_be_bytes([packet.data[34], packet.data[35]]);
    (port, u32::from_be_bytes(packet.data[42..46].try_into().unwrap()))
}

#[test]
fn several_queues_see_each_packet_once_and_flows_stay_in_order() {
    for queues in [2, 4] {
        let Some(namespace) = namespace(queues, 1500) else { return };
        for mode in MODES {
            let mut opened = open_in(&namespace, options(mode));
            assert_eq!(opened.queues.len() as u32, queues);
            send_flows(&namespace, 64, 10);
            let seen = read_all(&mut opened.queues, 640);
            let lens: Vec<_> = seen.iter().map(Vec::len).collect();
            // Without a program in its driver, veth does not say which queue a packet came by: all count as
            // of the first.
            let is_spread = lens.iter().all(|len| *len > 0);
            assert!(is_spread || mode == XdpMode::Generic, "every queue has some: {lens:?} {mode:?}");
            let mut flows = std::collections::BTreeMap::<u16, Vec<(usize, u32)>>::new();
            for (queue, seen) in seen.iter().enumerate() {
                for packet in seen {
                    let (flow, number) = flow_and_number(packet);
                    flows.entry(flow).or_default().push((queue, number));
                }
            }
            assert_eq!(flows.len(), 64);
            for (flow, packets) in flows {
                let expected: Vec<_> = (0..10).map(|number| (packets[0].0, number)).collect();
                assert_eq!(packets, expected, "{flow}: one queue, in order, {mode:?}");
            }
            let received: u64 = opened.queues.iter_mut().map(|backend| backend.counters().unwrap().received).sum();
            assert_eq!(received, 640);
        }
    }
}

#[test]
fn chosen_queues_alone_are_taken() {
    let Some(namespace) = namespace(4, 1500) else { return };
    let mut opened = open_in(&namespace, XdpOptions { queues: Some(vec![2]), ..options(XdpMode::Native) });
    assert_eq!((opened.queues.len(), opened.queues[0].queue()), (1, 2));
    assert!(opened.said.iter().any(|said| said.contains("1 of 4 queues")), "{:?}", opened.said);
    send_flows(&namespace, 64, 2);
    let seen = poll_once(&mut opened.queues[0], Duration::from_millis(300));
    assert!((1..128).contains(&seen.len()), "{}", seen.len());
}

#[test]
fn jumbo_frames_are_put_together() {
    let Some(namespace) = namespace(1, 9000) else { return };
    for (mode, frame_bytes) in [(XdpMode::Native, 2048), (XdpMode::Native, 4096), (XdpMode::Generic, 2048)] {
        let mut backend = open_one(&namespace, XdpOptions { frame_bytes, ..options(mode) });
        let sent: Vec<_> = [60, 1_700, 1_792, 1_793, 3_840, 3_841, 9_014, 100].map(|len| udp(len as u32, 53, len - 42)).to_vec();
        for _ in 0..20 {
            send(&namespace, &sent);
            let seen = read(&mut backend, sent.len());
            assert_eq!(data(&seen), sent, "{mode:?} {frame_bytes}");
        }
        assert_eq!(backend.counters().unwrap().received, 160, "a packet of several frames is one");
    }
}

#[test]
fn the_snap_length_and_huge_pages() {
    let Some(namespace) = namespace(1, 1500) else { return };
    let mut backend = open_one(&namespace, XdpOptions { snaplen: 64, huge_pages: HugePageUse::Off, ..options(XdpMode::Native) });
    send(&namespace, &[udp(1, 53, 1000)]);
    let seen = read(&mut backend, 1);
    assert_eq!((seen[0].data.len(), seen[0].wire_len), (64, 1042));
}

#[test]
fn each_packet_has_its_own_time_when_asked_for() {
    let Some(namespace) = namespace(1, 1500) else { return };
    for mode in MODES {
        let mut opened = open_in(&namespace, XdpOptions { times: Times::PerPacket, ..options(mode) });
        // The driver of a veth says it tells times, and what it tells is 0.
        let expected =
            if mode == XdpMode::Native { "each packet's time is the card's" } else { "each packet's time is taken in" };
        let is_said = |said: &String| said.contains(expected) && said.contains("taken in the XDP program (CLOCK_TAI)");
        assert!(opened.said.iter().any(is_said), "{:?}", opened.said);
        let before = now_ns();
        send(&namespace, &datagrams(50));
        let sent_by = now_ns();
        std::thread::sleep(Duration::from_millis(100)); // packets are older than their batch by this
        let seen = read(&mut opened.queues[0], 50);
        assert_eq!(data(&seen), datagrams(50));
        // Two clocks are read one after the other to find their difference; that takes less than a
        // millisecond as a rule.
        let slack = 50_000_000;
        assert!(
            seen.iter().all(|packet| (before - slack..sent_by + slack).contains(&packet.time_ns)),
            "{before} {seen:?} {sent_by}"
        );
        assert!(seen.is_sorted_by_key(|packet| packet.time_ns));
        assert!(seen[0].time_ns < seen[49].time_ns, "one batch, different times");
        if mode == XdpMode::Native {
            let notice = wait_for_notice(&mut opened.queues[0], "does not tell the card's time");
            assert!(notice.contains("hwstamp_ctl -i veth0 -r 1") && notice.contains("(CLOCK_TAI)"), "{notice}");
        }
        std::thread::sleep(Duration::from_millis(1_100)); // a look is taken every second
        poll_once(&mut opened.queues[0], Duration::from_millis(10));
        assert_eq!(opened.queues[0].notice(), None, "said once");
    }
}

/// Generic mode serves any interface: the loopback.
#[test]
fn the_loopback_in_generic_mode() {
    let Some(namespace) = NetNs::with_veth() else { return };
    namespace.ip(&["link", "set", "dev", "lo", "up"]);
    let mut backend = open_one(&namespace, XdpOptions { interface: "lo".to_owned(), insist: true, ..options(XdpMode::Auto) });
    namespace.inside(|| {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(b"hello", "127.0.0.1:9").unwrap();
    });
    let seen = read(&mut backend, 1);
    assert!(seen[0].data.ends_with(b"hello"));
}
