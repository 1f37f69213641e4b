//! Captures on the loopback interface. Needs the right to capture; without it a test says so and passes,
//! except when `CI=true`.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use super::*;

const LOOPBACK: &str = if cfg!(target_os = "macos") { "lo0" } else { "lo" };

fn may_skip(error: &BackendError) -> bool {
    error.to_string().contains("no permission") && std::env::var("CI").as_deref() != Ok("true")
}

fn open(options: LiveOptions) -> Option<LiveBackend> {
    match LiveBackend::open(LiveOptions { interface: Some(LOOPBACK.to_owned()), ..options }) {
        Ok(backend) => Some(backend),
        Err(error) if may_skip(&error) => {
            eprintln!("skipped: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// Sends `count` datagrams to a port of our own and returns the two sockets.
fn socket_pair() -> (UdpSocket, UdpSocket) {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    sender.connect(receiver.local_addr().unwrap()).unwrap();
    (sender, receiver)
}

fn capture_of_200(immediate_mode: bool) {
    let (sender, receiver) = socket_pair();
    let filter = Some(format!("udp dst port {}", receiver.local_addr().unwrap().port()));
    let options = LiveOptions { filter, immediate_mode, timeout_ms: 10, snaplen: 60, ..LiveOptions::default() };
    let Some(mut backend) = open(options) else { return };
    let before = now();
    for number in 0..200_u16 {
        sender.send(&[number.to_be_bytes().as_slice(), &[0; 98]].concat()).unwrap();
    }
    let (mut numbers, mut times, begun) = (Vec::new(), Vec::new(), Instant::now());
    while numbers.len() < 200 && begun.elapsed() < Duration::from_secs(30) {
        let polled = backend.poll(Duration::from_millis(100), &mut |batch| {
            assert!((1..=BATCH_MAX).contains(&batch.len()));
            for packet in batch {
                // Ethernet (Linux) or address family (macOS), IPv4 and UDP headers come first.
                let header_len = packet.wire_len as usize - 100;
                numbers.push(u16::from_be_bytes([packet.data[header_len], packet.data[header_len + 1]]));
                times.push(packet.time);
                assert_eq!(packet.data.len(), 60);
            }
        });
        assert!(matches!(polled, Ok(Polled::Lent(_) | Polled::Idle(_))), "{polled:?}");
    }
    assert_eq!(numbers, (0..200).collect::<Vec<_>>());
    assert!(
        times
            .iter()
            .all(|time| time.since(before) < 60 * Timestamp::NS_PER_SEC && *time >= Timestamp(before.0 - Timestamp::NS_PER_SEC))
    );
    let counters = backend.counters().unwrap();
    assert_eq!(counters, Counters { received: 200, ..Counters::default() });
    assert_eq!(backend.counters().unwrap(), counters);
}

#[test]
fn lends_what_is_sent() {
    capture_of_200(false);
}

#[test]
fn lends_what_is_sent_in_immediate_mode() {
    capture_of_200(true);
}

#[test]
fn a_silent_link_ticks() {
    let (_sender, receiver) = socket_pair();
    let filter = Some(format!("udp dst port {}", receiver.local_addr().unwrap().port()));
    let Some(mut backend) = open(LiveOptions { filter, ..LiveOptions::default() }) else { return };
    let mut last = Timestamp(0);
    for _ in 0..3 {
        let polled = backend.poll(Duration::from_millis(20), &mut |_| panic!("nothing was sent")).unwrap();
        let Polled::Idle(time) = polled else { panic!("{polled:?}") };
        assert!(time >= last && time.0 > 0);
        last = time;
    }
    assert_eq!(backend.notice(), None);
}

#[test]
fn a_panic_of_the_visitor_comes_through() {
    let (sender, receiver) = socket_pair();
    let filter = Some(format!("udp dst port {}", receiver.local_addr().unwrap().port()));
    let Some(mut backend) = open(LiveOptions { filter, immediate_mode: true, ..LiveOptions::default() }) else { return };
    sender.send(b"one").unwrap();
    let begun = Instant::now();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        while begun.elapsed() < Duration::from_secs(30) {
            backend.poll(Duration::from_millis(100), &mut |_| panic!("on purpose")).unwrap();
        }
    }));
    assert_eq!(panicked.unwrap_err().downcast_ref::<&str>(), Some(&"on purpose"));
}

#[test]
fn a_wrong_filter_is_told_from_a_wrong_interface() {
    let options =
        LiveOptions { filter: Some("port and".to_owned()), interface: Some(LOOPBACK.to_owned()), ..LiveOptions::default() };
    match LiveBackend::open(options) {
        Err(BackendError::Filter { .. }) => {}
        Err(error) if may_skip(&error) => eprintln!("skipped: {error}"),
        other => panic!("{:?}", other.err()),
    }
}

#[test]
fn an_unknown_interface_lists_the_known_ones() {
    let options = LiveOptions { interface: Some("netscope-none0".to_owned()), ..LiveOptions::default() };
    let Err(error) = LiveBackend::open(options) else { panic!("opened") };
    let text = error.to_string();
    assert!(may_skip(&error) || (text.contains("available:") && text.contains(LOOPBACK)), "{text}");
}

#[test]
fn the_loopback_interface_is_listed() {
    let interfaces = list_interfaces().unwrap();
    let is_other = |name: &str| ["nfqueue", "dbus", "bluetooth", "usbmon"].iter().any(|other| name.starts_with(other));
    assert!(!interfaces.iter().any(|interface| is_other(&interface.name)), "{interfaces:?}");
    let loopback = interfaces.iter().find(|interface| interface.name == LOOPBACK).unwrap();
    assert!(loopback.loopback && loopback.up, "{loopback:?}");
    assert!(loopback.addresses.contains(&"127.0.0.1".parse().unwrap()));
}
