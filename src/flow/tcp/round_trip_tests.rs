//! Round trips of each side, delayed acknowledgments, closed windows.

use super::TcpAnalysis;
use super::tests::{ACK, Exchange, FIN, SYN, segment};
use crate::flow::Direction::{AToB, BToA};
use crate::flow::SideRtt;
use crate::wire::TcpSegment;

/// Samples, delayed ACKs, and the others in whole milliseconds: least, average, largest.
fn side(x: &Exchange, index: usize) -> Option<(u32, u32, [u64; 3])> {
    let of = |r: SideRtt| (r.samples, r.delayed_acks, [r.min_ns, r.ewma_ns, r.max_ns].map(|ns| ns / 1_000_000));
    x.record().rtt_sides[index].map(of)
}

#[test]
fn each_side_has_its_own() {
    let mut x = Exchange::new();
    x.send(AToB, segment(SYN, 1000, 0, 0)).wait_ms(30).send(BToA, segment(SYN | ACK, 5000, 1001, 0));
    assert_eq!((side(&x, 0), side(&x, 1)), (None, Some((1, 0, [30, 30, 30]))));
    x.wait_ms(2).send(AToB, segment(ACK, 1001, 5001, 0));
    assert_eq!((side(&x, 0), side(&x, 1)), (Some((1, 0, [2, 2, 2])), Some((1, 0, [30, 30, 30]))));
    assert_eq!(x.arena.measured_count(), 0, "a handshake needs no side memory");
    x.data(1, 100).wait_ms(38).ack(101);
    x.send(BToA, segment(ACK, 5001, 1101, 100)).wait_ms(10).send(AToB, segment(ACK, 1101, 5101, 0));
    assert_eq!((side(&x, 0), side(&x, 1)), (Some((2, 0, [2, 3, 10])), Some((2, 0, [30, 31, 38]))));
    let both = x.record().rtt.expect("samples");
    assert_eq!((both.samples, both.min_ns / 1_000_000, both.last_ns / 1_000_000), (4, 2, 10));
}

#[test]
fn an_ack_that_was_held_back_is_counted_apart() {
    let mut x = Exchange::open();
    x.data(1, 100).wait_ms(50).ack(101);
    assert_eq!(side(&x, 1), Some((1, 1, [10, 10, 10])));
    let both = x.record().rtt.expect("samples");
    assert_eq!((both.samples, both.last_ns / 1_000_000), (3, 50), "both sides together have it");
    // With data it answers; of two segments the second is acknowledged at once; half a second is too long.
    x.data(101, 100).wait_ms(50).send(BToA, segment(ACK, 5001, 1201, 10));
    x.data(201, 100).data(301, 100).wait_ms(50).ack(401);
    x.data(401, 100).wait_ms(520).ack(501);
    assert_eq!(side(&x, 1).map(|(samples, delayed, [_, _, max])| (samples, delayed, max)), Some((4, 1, 520)));
    // More follows what it acknowledges.
    x.data(501, 100).wait_ms(1).data(601, 100).wait_ms(49).ack(601);
    assert_eq!(side(&x, 1).map(|(samples, delayed, _)| (samples, delayed)), Some((5, 1)));
}

#[test]
fn what_is_known_of_the_sides_survives_an_anomaly() {
    let mut x = Exchange::open();
    x.data(1, 100).wait_ms(20).ack(101).data(101, 100).data(101, 100).ack(201);
    assert_eq!((x.arena.flow_count(), x.arena.measured_count()), (1, 0));
    x.data(201, 100).wait_ms(20).ack(301);
    assert_eq!(side(&x, 1).map(|(samples, ..)| samples), Some(3), "Karn's rule leaves one out");
    assert_eq!(x.record().retransmissions, 1);
}

fn window(window: u16) -> TcpSegment {
    TcpSegment { window, ..segment(ACK, 5001, 1101, 0) }
}

/// Milliseconds for which the server's window was closed.
fn closed_ms(x: &Exchange) -> u64 {
    let [a, b] = x.record().zero_window_ns;
    assert_eq!(a, None);
    b.expect("a window that was closed") / 1_000_000
}

#[test]
fn a_closed_window_is_timed_until_it_opens() {
    let mut x = Exchange::open();
    x.data(1, 100).send(BToA, window(0));
    assert_eq!(closed_ms(&x), 0);
    // A probe, and an answer that leaves it closed.
    x.wait_ms(200).data(101, 1).wait_ms(1).send(BToA, window(0));
    assert_eq!(closed_ms(&x), 201);
    x.wait_ms(100).send(BToA, window(50)).wait_ms(1000).send(BToA, window(60));
    assert_eq!(closed_ms(&x), 301);
    x.send(BToA, window(0)).wait_ms(40).send(BToA, segment(ACK | FIN, 5001, 1101, 0));
    assert_eq!((closed_ms(&x), x.record().zero_windows), (341, 3));
    x.wait_ms(100).send(BToA, segment(ACK, 5002, 1101, 0));
    assert_eq!(closed_ms(&x), 341, "a FIN is the last of its direction");
}

#[test]
fn a_probe_of_a_closed_window_keeps_the_own_one_closed() {
    let mut x = Exchange::open();
    x.data(1, 100).send(BToA, window(0)).send(AToB, TcpSegment { window: 0, ..segment(ACK, 1101, 5001, 0) });
    // One byte from the server, at its next number, while both windows are closed.
    x.wait_ms(50).send(BToA, TcpSegment { window: 0, payload_len: 1, ..segment(ACK, 5001, 1101, 0) });
    x.wait_ms(50).send(BToA, window(90));
    assert_eq!(x.record().zero_window_ns.map(|ns| ns.map(|ns| ns / 1_000_000)), [Some(0), Some(100)]);
}

#[test]
fn nothing_is_timed_where_nothing_is_analysed() {
    let mut x = Exchange::new();
    x.analysis = TcpAnalysis { rtt: false, retransmissions: false, out_of_order: true };
    x.send(AToB, segment(SYN, 1000, 0, 0)).send(BToA, segment(SYN | ACK, 5000, 1001, 0));
    x.data(1, 100).send(BToA, window(0)).wait_ms(100).send(BToA, window(50)).data(101, 10).ack(111);
    let r = x.record();
    assert_eq!((r.rtt_sides, r.zero_window_ns), ([None; 2], [None; 2]));
}

#[test]
fn a_window_that_was_closed_for_no_time_is_told_from_one_that_never_was() {
    let mut x = Exchange::open();
    let mut closed = segment(ACK, 5001, 1001, 0);
    closed.window = 0;
    x.send(BToA, closed);
    assert_eq!(x.record().zero_window_ns, [None, Some(0)]);
    x.now_us -= 1;
    x.send(BToA, segment(ACK, 5001, 1001, 0)).wait_ms(5).send(BToA, segment(ACK, 5001, 1001, 0));
    assert_eq!(x.record().zero_window_ns, [None, Some(0)]);
}
