//! VLAN tags that lie beside packets: put back where the driver tells them, said to be lost where not.
//!
//! A bridge gets packets with the tag beside them and sends them so: to be put in by hardware, which a veth
//! does not have.

use std::time::Duration;

use netscope_backends::Backend;
use netscope_backends::xdp::{Times, XdpBackend, XdpMode, XdpOptions};

use crate::netns::{NetNs, RECEIVER};
use crate::wire::{LIMIT, MODES, Seen, namespace, open_in, options, poll_once, send_from, udp};

/// A wire whose sending end is a bridge's; what `source0` sends arrives with its outer tag beside it.
fn bridged(mtu: u32) -> Option<NetNs> {
    let namespace = namespace(1, mtu)?;
    let mtu = (mtu + 8).to_string(); // room for what a second tag adds
    let steps = [
        "link add bridge0 type bridge",
        "link add port0 mtu MTU type veth peer name source0 mtu MTU",
        "link set port0 master bridge0",
        "link set veth1 master bridge0",
        "link set bridge0 up",
        "link set port0 up",
        "link set source0 up",
    ];
    for step in steps {
        let step = step.replace("MTU", &mtu);
        namespace.ip(&step.split(' ').collect::<Vec<_>>());
    }
    Some(namespace)
}

fn run(namespace: &NetNs, program: &str, arguments: &str) {
    let status = namespace.command(program).args(arguments.split(' ')).status().unwrap();
    assert!(status.success(), "{program} {arguments}");
}

/// The same with these bytes behind the addresses.
fn with(plain: &[u8], tags: &[u8]) -> Vec<u8> {
    [&plain[..12], tags, &plain[12..]].concat()
}

/// No IPv4, whose checksum a bridge may look at: a type for experiments (IEEE 802).
fn no_ip(number: u32, payload: usize) -> Vec<u8> {
    let mut frame = udp(number, 53, payload);
    frame[12..14].copy_from_slice(&[0x88, 0xb5]);
    frame
}

/// The next packet of ours; the bridge has things of its own to say.
#[track_caller]
fn ours(backend: &mut XdpBackend) -> Seen {
    loop {
        let seen = poll_once(backend, Duration::from_secs(10));
        assert!(!seen.is_empty(), "it did not come");
        if let Some(found) = seen.into_iter().find(|packet| packet.data.starts_with(&[2, 0, 0, 0, 0, 1])) {
            return found;
        }
    }
}

#[track_caller]
fn said_of_tags(said: &[String]) -> Option<&str> {
    let mut about = said.iter().filter(|said| said.contains("VLAN tags"));
    let found = about.next().map(String::as_str);
    assert_eq!(about.next(), None, "once");
    found
}

#[test]
fn tags_beside_the_packet_are_put_back_or_said_to_be_lost_and_the_cure_cures() {
    let Some(namespace) = bridged(1500) else { return };
    for mode in MODES {
        let mut opened = open_in(&namespace, options(mode));
        let plain = udp(1, 53, 100);
        let sent = with(&plain, &[0x81, 0, 0, 5]);
        send_from(&namespace, "source0", std::slice::from_ref(&sent));
        let seen = ours(&mut opened.queues[0]);
        let said = said_of_tags(&opened.said).unwrap();
        if mode == XdpMode::Native {
            assert!(
                said.ends_with(
                    "VLAN tags that the other end veth1 sends beside the packet are put back, as its driver tells them"
                ),
                "{said}"
            );
            assert_eq!((seen.wire_len as usize, seen.data), (sent.len(), sent.clone()));
        } else {
            assert!(said.contains("are lost on AF_XDP; `sudo ethtool -K veth1 txvlan off` keeps them"), "{said}");
            assert_eq!(seen.data, plain, "the tag is lost");
        }
        drop(opened);
        run(&namespace, "ethtool", "-K veth1 txvlan off");
        let mut opened = open_in(&namespace, options(mode));
        assert_eq!(said_of_tags(&opened.said), None);
        send_from(&namespace, "source0", std::slice::from_ref(&sent));
        assert_eq!(ours(&mut opened.queues[0]).data, sent, "the tag is there");
        drop(opened);
        run(&namespace, "ethtool", "-K veth1 txvlan on");
    }
}

#[test]
fn every_byte_of_tagged_packets_arrives() {
    for mtu in [1500, 9000] {
        let Some(namespace) = bridged(mtu) else { return };
        for (times, snaplen) in [(Times::PerBatch, 0), (Times::PerPacket, 0), (Times::PerBatch, 70)] {
            let mut opened = open_in(&namespace, XdpOptions { times, snaplen, ..options(XdpMode::Native) });
            let payloads = if mtu == 9000 { [18, 1_740, 1_748, 1_752, 8_900] } else { [18, 19, 700, 1_400, 1_472] };
            for (number, payload) in payloads.into_iter().enumerate() {
                let plain = no_ip(number as u32, payload);
                // Without, priority and number, the service tag in front of a customer's, number 0.
                for tags in [&[][..], &[0x81, 0, 0xe0, 6], &[0x88, 0xa8, 0, 7, 0x81, 0, 0, 8], &[0x81, 0, 0, 0]] {
                    let sent = with(&plain, tags);
                    send_from(&namespace, "source0", std::slice::from_ref(&sent));
                    let seen = ours(&mut opened.queues[0]);
                    assert_eq!(seen.wire_len as usize, sent.len(), "{payload} {tags:?}");
                    let kept = if snaplen == 0 { sent.len() } else { sent.len().min(snaplen as usize) };
                    assert_eq!(seen.data, sent[..kept], "{payload} {tags:?}");
                }
            }
            let counters = opened.queues[0].counters().unwrap();
            assert_eq!((counters.kernel_drops, counters.damaged), (0, 0));
        }
    }
}

/// The filter is asked about what was on the wire; what it does not match goes on to the host with its tag
/// beside it, and nowhere else.
#[test]
fn the_filter_sees_the_tag_and_the_host_gets_packets_as_they_came() {
    let Some(namespace) = bridged(1500) else { return };
    let filter = Some("vlan 5 and udp port 53".to_owned());
    let mut opened = open_in(&namespace, XdpOptions { filter, ..options(XdpMode::Native) });
    let (plain, datagram) = (no_ip(1, 100), udp(1, 53, 100));
    let (wanted, other) = (with(&datagram, &[0x81, 0, 0, 5]), with(&datagram, &[0x81, 0, 0, 6]));
    let mut host = namespace.inside(|| {
        let inactive = pcap::Capture::from_device(RECEIVER).unwrap().promisc(true).timeout(100).immediate_mode(true);
        inactive.open().unwrap()
    });
    for _ in 0..3 {
        send_from(&namespace, "source0", &[other.clone(), plain.clone(), wanted.clone()]);
        assert_eq!(ours(&mut opened.queues[0]).data, wanted);
    }
    assert!(poll_once(&mut opened.queues[0], Duration::from_millis(50)).is_empty());
    let (mut seen, begun) = (Vec::new(), std::time::Instant::now());
    while seen.len() < 6 {
        assert!(begun.elapsed() < LIMIT, "the host saw {} packets", seen.len());
        if let Ok(packet) = host.next_packet()
            && packet.data.starts_with(&[2, 0, 0, 0, 0, 1])
        {
            seen.push(packet.data.to_vec());
        }
    }
    assert_eq!(seen, [&other, &plain, &other, &plain, &other, &plain].map(Vec::clone));
    let counters = opened.queues[0].counters().unwrap();
    assert!(counters.filtered >= 6 && counters.received == counters.filtered + 3, "{counters:?}");
}
