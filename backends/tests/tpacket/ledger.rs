//! Every packet is accounted for, with a reader that stands still too; and waiting follows blocks, not
//! packets.

use std::time::{Duration, Instant};

use netscope_backends::tpacket::{TpacketBackend, TpacketOptions};
use netscope_backends::{Backend, Counters};

use crate::netns::NetNs;
use crate::wire::{LIMIT, datagrams, open_in, open_one, options, poll_once, read, send};

/// Rings that are full after about a thousand packets.
fn small() -> TpacketOptions {
    TpacketOptions { block_bytes: 128 << 10, block_count: Some(2), ..options() }
}

fn counters(backend: &mut TpacketBackend) -> Counters {
    backend.counters().expect("the kernel tells")
}

/// Reads what is left; how many packets that were.
fn drain(backend: &mut TpacketBackend) -> u64 {
    let (mut lent, mut empty) = (0, 0);
    while empty < 3 {
        let seen = poll_once(backend, Duration::from_millis(30)).len() as u64;
        lent += seen;
        empty = if seen == 0 { empty + 1 } else { 0 };
    }
    lent
}

#[test]
fn sent_is_lent_and_dropped_and_in_the_ring() {
    let Some(namespace) = NetNs::with_veth() else { return };
    let mut backend = open_one(&namespace, small());
    let mut sent = 0;
    let mut lent = 0;
    for round in 0..4 {
        // Nobody reads meanwhile.
        send(&namespace, &datagrams(3000, 200));
        sent += 3000;
        let stalled = counters(&mut backend);
        assert_eq!(stalled.received, sent, "round {round}");
        assert!(stalled.kernel_drops > 0 && stalled.ring_freezes > 0, "{stalled:?}");
        let in_ring = stalled.received - stalled.kernel_drops - lent;
        assert!(in_ring > 0, "{stalled:?}");
        let lent_now = drain(&mut backend);
        assert_eq!(lent_now, in_ring, "round {round}");
        lent += lent_now;
        let drained = counters(&mut backend);
        assert_eq!(drained.received, lent + drained.kernel_drops);
        assert_eq!((drained.damaged, drained.filtered, drained.interface_drops), (0, 0, 0));
        assert_eq!(drained.ring_full_drops, drained.kernel_drops);
        // Asking again changes nothing.
        assert_eq!(counters(&mut backend), drained);
    }
}

#[test]
fn a_group_with_one_socket_that_stands_still_adds_up() {
    let Some(namespace) = NetNs::with_veth() else { return };
    let mut backends = open_in(&namespace, TpacketOptions { workers: 2, ..small() });
    let mut lent = 0;
    let mut sent = 0;
    for _ in 0..40 {
        send(&namespace, &datagrams(200, 400));
        sent += 200;
        lent += poll_once(&mut backends[0], Duration::from_millis(30)).len() as u64;
    }
    let stalled = counters(&mut backends[1]);
    assert!(stalled.kernel_drops > 0, "{stalled:?}");
    for backend in &mut backends {
        lent += drain(backend);
    }
    let mut sum = Counters::default();
    for backend in &mut backends {
        sum += &counters(backend);
    }
    assert_eq!((sum.received, sum.received), (sent, lent + sum.kernel_drops));
}

#[test]
fn what_the_filter_leaves_out_is_not_received() {
    let Some(namespace) = NetNs::with_veth() else { return };
    let mut backend = open_one(&namespace, TpacketOptions { filter: Some("udp src port 1007".to_owned()), ..small() });
    send(&namespace, &datagrams(3000, 200));
    assert_eq!(read(&mut backend, 1).len(), 1);
    assert_eq!(counters(&mut backend), Counters { received: 1, ..Counters::default() });
}

#[test]
fn a_burst_wakes_once_per_block() {
    let Some(namespace) = NetNs::with_veth() else { return };
    let mut backend = open_one(&namespace, options());
    let begun = Instant::now();
    let (packets, payload) = (20_000, 100);
    let polls_with_packets = std::thread::scope(|scope| {
        scope.spawn(|| send(&namespace, &datagrams(packets, payload)));
        let (mut lent, mut polls) = (0, 0);
        while lent < packets && begun.elapsed() < LIMIT {
            let seen = poll_once(&mut backend, Duration::from_millis(100)).len();
            lent += seen;
            polls += u128::from(seen > 0);
        }
        assert_eq!(lent, packets);
        polls
    });
    // A block is closed when it is full or by its time, and only then is anybody woken.
    let full = (packets * (payload + 42 + 200)).div_ceil(1 << 20) as u128;
    let by_time = begun.elapsed().as_millis() / 10 + 1;
    assert!(polls_with_packets <= full + by_time, "{polls_with_packets} polls, {full} full blocks, {by_time} by time");
}

#[test]
fn a_trickle_costs_a_wake_up_per_packet_at_most_and_silence_one_per_timeout() {
    let Some(namespace) = NetNs::with_veth() else { return };
    let mut backend = open_one(&namespace, options());
    let mut lags_ns = Vec::new();
    let mut polls = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..60 {
                send(&namespace, &datagrams(1, 10));
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        let begun = Instant::now();
        while lags_ns.len() < 60 && begun.elapsed() < LIMIT {
            let seen = poll_once(&mut backend, Duration::from_millis(1000));
            polls += 1;
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_nanos() as u64;
            lags_ns.extend(seen.iter().map(|seen| now.saturating_sub(seen.time_ns)));
        }
    });
    assert_eq!(lags_ns.len(), 60);
    assert!(polls <= 60, "{polls} polls for 60 packets");
    lags_ns.sort_unstable();
    eprintln!("from arrival to the visitor: median {} us, most {} us; {polls} polls", lags_ns[30] / 1000, lags_ns[59] / 1000);
    // Silence: nothing but the timeout ends a wait.
    let begun = Instant::now();
    for _ in 0..5 {
        assert!(poll_once(&mut backend, Duration::from_millis(40)).is_empty());
    }
    assert!(begun.elapsed() >= Duration::from_millis(200));
}
