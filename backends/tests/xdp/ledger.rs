//! Every packet is accounted for: with a reader that stands still, with a filter, on all queues; and waiting
//! does not cost a wake-up per packet.

use std::time::Duration;

use netscope_backends::xdp::{Unmatched, XdpMode, XdpOptions};
use netscope_backends::{Backend, Counters};

use crate::netns::{RECEIVER, SENDER};
use crate::wire::{MODES, datagrams, namespace, open_in, open_one, options, poll_once, read, send, send_flows, udp};

#[test]
fn a_stalled_reader_loses_exactly_what_is_counted() {
    let Some(namespace) = namespace(1, 1500) else { return };
    for mode in MODES {
        for (frame_count, rx_ring) in [(256, None), (1024, Some(128)), (128, Some(1024))] {
            let mut backend = open_one(&namespace, XdpOptions { frame_count, rx_ring, ..options(mode) });
            let (mut sent, mut lent) = (0, 0);
            for _ in 0..3 {
                send(&namespace, &(0..2000).map(|number| udp(number, 53, 100)).collect::<Vec<_>>());
                sent += 2000; // nobody reads meanwhile
                let mut last = 1;
                while last > 0 {
                    last = poll_once(&mut backend, Duration::from_millis(30)).len() as u64;
                    lent += last;
                }
            }
            let counters = backend.counters().unwrap();
            let Counters { received, kernel_drops, ring_full_drops, fill_empty_drops, damaged, filtered, .. } = counters;
            assert_eq!((received, damaged, filtered), (sent, 0, 0), "{counters:?}");
            assert_eq!(received, lent + kernel_drops, "{mode:?} {frame_count} {rx_ring:?} {counters:?}");
            assert!(kernel_drops > 0 && ring_full_drops + fill_empty_drops <= kernel_drops, "{counters:?}");
            match rx_ring {
                Some(places) if places < frame_count => assert!(ring_full_drops > 0, "{counters:?}"),
                _ => assert!(fill_empty_drops > 0, "{counters:?}"),
            }
        }
    }
}

#[test]
fn frames_come_back_however_often_all_are_used() {
    let Some(namespace) = namespace(1, 1500) else { return };
    for mode in MODES {
        let mut backend = open_one(&namespace, XdpOptions { frame_count: 64, ..options(mode) });
        for round in 0..40 {
            // A driver may keep a few frames to itself; half of them are there every time, or some were lost.
            let sent: Vec<_> = (0..32).map(|number| udp(number + round * 32, 53, 60)).collect();
            send(&namespace, &sent);
            let seen = read(&mut backend, 32);
            assert!(seen.iter().map(|packet| &packet.data).eq(&sent), "{mode:?} {round}");
        }
        assert_eq!(backend.counters().unwrap().kernel_drops, 0);
    }
}

#[test]
fn a_visitor_that_panics_costs_no_frame() {
    let Some(namespace) = namespace(1, 1500) else { return };
    let mut backend = open_one(&namespace, XdpOptions { frame_count: 64, ..options(XdpMode::Native) });
    for _ in 0..10 {
        send(&namespace, &datagrams(32));
        let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            loop {
                backend.poll(Duration::from_millis(100), &mut |_| std::panic::resume_unwind(Box::new("on purpose"))).unwrap();
            }
        }));
        assert!(unwound.is_err());
        while !poll_once(&mut backend, Duration::from_millis(30)).is_empty() {}
    }
    send(&namespace, &datagrams(32));
    assert_eq!(read(&mut backend, 32).len(), 32);
    assert_eq!(backend.counters().unwrap().kernel_drops, 0);
}

#[test]
fn what_the_filter_leaves_out_is_counted() {
    let Some(namespace) = namespace(1, 1500) else { return };
    for mode in MODES {
        for unmatched in [Unmatched::Pass, Unmatched::Drop] {
            let filter = Some("udp dst port 53".to_owned());
            let mut backend = open_one(&namespace, XdpOptions { filter, unmatched, ..options(mode) });
            let sent: Vec<_> = (0..300).map(|number| udp(number, if number.is_multiple_of(3) { 53 } else { 80 }, 60)).collect();
            send(&namespace, &sent);
            let seen = read(&mut backend, 100);
            assert!(seen.iter().all(|packet| packet.data[36..38] == 53_u16.to_be_bytes()));
            let counters = backend.counters().unwrap();
            assert_eq!((counters.received, counters.filtered, counters.kernel_drops), (300, 200, 0), "{mode:?}");
        }
    }
}

#[test]
fn the_queues_of_a_stalled_interface_add_up() {
    let Some(namespace) = namespace(4, 1500) else { return };
    let mut opened = open_in(&namespace, XdpOptions { frame_count: 64, ..options(XdpMode::Native) });
    send_flows(&namespace, 64, 50);
    let (mut lent, mut sum) = (0, Counters::default());
    for backend in &mut opened.queues {
        let mut last = 1;
        while last > 0 {
            last = poll_once(backend, Duration::from_millis(30)).len() as u64;
            lent += last;
        }
        sum += &backend.counters().unwrap();
    }
    assert_eq!(sum.received, 64 * 50, "{sum:?}");
    assert_eq!(sum.received, lent + sum.kernel_drops, "{sum:?}");
    assert!(sum.kernel_drops > 0);
}

/// `protochain` is a loop, which no XDP program may have.
#[test]
fn a_filter_in_user_space_is_counted_the_same() {
    let Some(namespace) = namespace(1, 1500) else { return };
    let filter = Some("ip protochain 17 and udp dst port 53".to_owned());
    let mut opened = open_in(&namespace, XdpOptions { filter, ..options(XdpMode::Native) });
    assert!(opened.said.iter().any(|said| said.contains("runs in user space")), "{:?}", opened.said);
    send(&namespace, &(0..300).map(|number| udp(number, if number.is_multiple_of(3) { 53 } else { 80 }, 60)).collect::<Vec<_>>());
    let backend = &mut opened.queues[0];
    assert_eq!(read(backend, 100).len(), 100);
    let counters = backend.counters().unwrap();
    assert_eq!((counters.received, counters.filtered, counters.kernel_drops), (300, 200, 0));
}

/// Wake-ups are counted, not time.
#[test]
fn silence_costs_a_wakeup_per_timeout_and_a_packet_a_few() {
    let Some(namespace) = namespace(1, 1500) else { return };
    let mut backend = open_one(&namespace, options(XdpMode::Native));
    assert!(poll_once(&mut backend, Duration::from_millis(50)).is_empty());
    let before = backend.waits();
    for _ in 0..10 {
        assert!(poll_once(&mut backend, Duration::from_millis(20)).is_empty());
    }
    assert_eq!(backend.waits() - before, 10);
    let before = backend.waits();
    for number in 0..20 {
        send(&namespace, &[udp(number, 53, 60)]);
        read(&mut backend, 1);
    }
    let waits = backend.waits() - before;
    assert!(waits <= 20 * 5, "{waits} waits for 20 packets with a pause behind each");
}

#[test]
fn a_queue_that_is_added_is_said_and_its_packets_are_counted() {
    let Some(namespace) = namespace(2, 1500) else { return };
    let channels = |interface: &str, change: &[&str]| {
        let output = namespace.command("ethtool").args(["-L", interface]).args(change).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    channels(SENDER, &["tx", "1"]);
    channels(RECEIVER, &["rx", "1"]);
    let mut opened = open_in(&namespace, options(XdpMode::Native));
    let [backend] = &mut opened.queues[..] else { panic!("one queue") };
    // A veth runs the program on a queue that was added once it has come up with it.
    namespace.ip(&["link", "set", "dev", RECEIVER, "down"]);
    channels(RECEIVER, &["rx", "2"]);
    namespace.ip(&["link", "set", "dev", RECEIVER, "up"]);
    channels(SENDER, &["tx", "2"]);
    send_flows(&namespace, 64, 2);
    let (mut lent, mut last) = (0, 1);
    while last > 0 {
        last = poll_once(backend, Duration::from_millis(30)).len() as u64;
        lent += last;
    }
    let counters = backend.counters().unwrap();
    assert!(lent < 128, "both queues are used");
    assert_eq!((counters.received, counters.kernel_drops), (128, 128 - lent), "{counters:?}");
    let said: Vec<_> = std::iter::from_fn(|| backend.notice()).collect();
    assert_eq!(said.iter().filter(|said| said.contains("more receive queues than when it was opened")).count(), 1, "{said:?}");
}
