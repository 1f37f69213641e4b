//! Resets and SYNs outside the window of a connection (RFC 5961), and what a side drops during its handshake (RFC 9293 section
//! 3.10.7).

use super::tests::{ACK, Exchange, FIN, RST, SYN, segment};
use super::{TcpAnalysis, TcpState};
use crate::flow::Direction::{self, AToB, BToA};
use crate::wire::TcpSegment;
use netscope_backends::Timestamp;

/// State and resets that were not followed after this segment of the client and then data.
fn after(mut x: Exchange, segment: TcpSegment) -> (TcpState, u64) {
    x.send(AToB, segment);
    (x.record().state, x.arena.out_of_window())
}

#[test]
fn a_reset_outside_the_window_ends_nothing() {
    // The server has acknowledged 1001. It takes 100 bytes, or more by a scale that was not seen.
    let reset = |sequence: u32| after(Exchange::open(), segment(RST, sequence, 0, 0));
    let largest = 100 << 14;
    assert_eq!(reset(1000), (TcpState::Established, 1), "it was acknowledged before");
    assert_eq!(reset(1001), (TcpState::Reset, 0));
    assert_eq!(reset(1001 + largest), (TcpState::Reset, 0), "the scale is not known");
    assert_eq!(reset(1002 + largest), (TcpState::Established, 1), "no window is that large");
    let mut x = Exchange::open();
    let mut answer = segment(SYN | ACK, 5000, 1001, 0);
    answer.options.window_scale = Some(1);
    x.send(BToA, answer).send(AToB, segment(RST, 1202, 0, 0));
    assert_eq!((x.record().state, x.arena.out_of_window()), (TcpState::Established, 1));
    x.send(AToB, segment(RST | ACK, 1201, 5001, 0));
    assert_eq!((x.record().state, x.arena.out_of_window()), (TcpState::Reset, 1));
}

#[test]
fn a_reset_is_followed_where_the_window_is_not_certain() {
    let far = segment(RST, 1 << 30, 0, 0);
    let mut x = Exchange::open();
    x.wait_ms(999);
    assert_eq!(after(x, far).0, TcpState::Established);
    let mut x = Exchange::open();
    x.wait_ms(1001);
    assert_eq!(after(x, far).0, TcpState::Reset, "what moved the window may not have been captured");
    let mut x = Exchange::open();
    x.data(1, 10).send(BToA, segment(ACK, 5001, 1 << 30, 0));
    assert_eq!(after(x, segment(RST, 1011, 0, 0)).0, TcpState::Reset, "an ACK of nothing moves no window");
    let mut x = Exchange::open();
    x.send(AToB, segment(FIN | ACK, 1001, 5001, 0)).send(BToA, segment(ACK, 5001, 1002, 0));
    assert_eq!(after(x, segment(RST, 1001, 0, 0)).0, TcpState::Reset, "late data after a FIN draws such a reset");
}

#[test]
fn a_syn_outside_the_window_of_a_live_connection_opens_nothing() {
    let outside = segment(SYN, 1 << 30, 0, 0);
    let answer = segment(SYN | ACK, 1 << 29, (1 << 30) + 1, 0);
    let reopens = |x: &mut Exchange, s: &TcpSegment, direction, later_ms: u64| {
        let time = Timestamp((x.now_us + later_ms * 1000) * 1000);
        x.parts.as_mut().expect("open").reopens(s, direction, time, &x.arena)
    };
    let mut x = Exchange::open();
    assert!(!reopens(&mut x, &outside, AToB, 999) && !reopens(&mut x, &answer, BToA, 999));
    assert!(reopens(&mut x, &outside, AToB, 1001), "the old connection may have ended unseen");
    assert!(reopens(&mut x, &segment(SYN, 1050, 0, 0), AToB, 0), "it lies in the window");
    x.send(AToB, outside);
    assert!(reopens(&mut x, &answer, BToA, 0), "nobody was there any more: the SYN is answered");
    assert!(!reopens(&mut x, &segment(SYN | ACK, 1 << 29, 7, 0), BToA, 0), "this answers nothing");
    x.data(1, 10);
    let record = x.record();
    assert_eq!((record.state, record.lost_segments, record.flags[0] & 2), (TcpState::Established, 0, 2));
    assert_eq!(x.arena.out_of_window(), 1);
    // Those that keep coming do not keep it alive.
    for _ in 0..3 {
        x.wait_ms(400).send(AToB, outside);
    }
    assert!(reopens(&mut x, &outside, AToB, 0));
}

#[test]
fn a_stray_syn_changes_nothing() {
    let mut x = Exchange::open();
    x.data(1, 10).data(111, 10);
    let before = x.record();
    x.send(AToB, segment(SYN, 1 << 30, 0, 0));
    assert_eq!(x.record(), before);
    x.data(121, 10);
    assert_eq!(x.record().lost_segments, 1, "the gap is told once");
    // Of a connection captured in the middle nobody knows the client.
    let mut x = Exchange::new();
    x.send(AToB, segment(ACK, 1001, 5001, 10)).send(BToA, segment(ACK, 5001, 1011, 0)).send(BToA, segment(SYN, 1 << 30, 0, 0));
    assert_eq!(x.record().client, None);
}

/// After the SYN 1000, these segments of the server or client, then the rest of the handshake: state, round trip of the handshake in
/// ms, segments not followed. With and without analysis state and count are the same.
fn opened_after(strays: &[(Direction, TcpSegment)], has_answered: bool) -> (TcpState, Option<u64>, u64) {
    const OFF: TcpAnalysis = TcpAnalysis { rtt: false, retransmissions: false, out_of_order: false };
    let [on, off] = [TcpAnalysis::default(), OFF].map(|analysis| {
        let mut x = Exchange { analysis, ..Exchange::new() };
        x.send(AToB, segment(SYN, 1000, 0, 0)).wait_ms(5);
        let answer = segment(SYN | ACK, 5000, 1001, 0);
        if has_answered {
            x.send(BToA, answer);
        }
        for &(direction, stray) in strays {
            x.send(direction, stray);
        }
        if !has_answered {
            let time = Timestamp(x.now_us * 1000);
            assert!(!x.parts.as_mut().expect("open").reopens(&answer, BToA, time, &x.arena));
            x.send(BToA, answer);
        }
        x.wait_ms(5).send(AToB, segment(ACK, 1001, 5001, 0)).send(BToA, segment(ACK, 5001, 1001, 10));
        let record = x.record();
        assert_eq!((record.lost_segments, record.ack_lost_segments), (0, 0));
        (record.state, record.handshake_rtt_ns.map(|ns| ns / 1_000_000), x.arena.out_of_window())
    });
    assert_eq!((on.0, on.2), (off.0, off.2));
    on
}

#[test]
fn what_a_side_that_sent_a_syn_drops_ends_and_splits_nothing() {
    let followed = |flags, sequence, acknowledgment| opened_after(&[(BToA, segment(flags, sequence, acknowledgment, 0))], false);
    for (flags, sequence, acknowledgment) in [
        (RST, 502, 0),
        (RST, 1001, 0),
        (RST | ACK, 0, 5),
        (RST | ACK, 0, 1000),
        (RST | ACK, 0, 1002),
        (ACK, 502, 5),
        (ACK, 502, 1000),
        (FIN | ACK, 502, 5),
        (FIN, 502, 0),
        (0, 502, 0),
        (SYN | ACK, 502, 5),
        (SYN | RST, 502, 0),
    ] {
        assert_eq!(followed(flags, sequence, acknowledgment), (TcpState::Established, Some(10), 1), "{flags} {acknowledgment}");
    }
    // An old connection is there still: it acknowledges what it has, and is reset; the SYN comes again.
    let strays = [(BToA, segment(ACK, 502, 5, 0)), (AToB, segment(RST, 5, 0, 0))];
    assert_eq!(opened_after(&strays, false), (TcpState::Established, Some(10), 2));
}

#[test]
fn a_reset_in_syn_received_counts_with_the_number_that_is_expected() {
    let reset = |direction, sequence| opened_after(&[(direction, segment(RST, sequence, 0, 0))], true);
    for (direction, sequence) in [(AToB, 5), (BToA, 5), (AToB, 1000), (AToB, 1002), (BToA, 5000), (BToA, 5002)] {
        assert_eq!(reset(direction, sequence), (TcpState::Established, Some(10), 1), "{direction:?} {sequence}");
    }
    assert_eq!(reset(AToB, 1001).0, TcpState::Reset);
    assert_eq!(reset(BToA, 5001).0, TcpState::Reset);
}

#[test]
fn a_refused_connection_is_reset() {
    let after_syn = |data: u32, direction, reset| {
        let mut x = Exchange::new();
        x.send(AToB, segment(SYN, 1000, 0, data)).send(direction, reset);
        (x.record().state, x.arena.out_of_window())
    };
    assert_eq!(after_syn(0, BToA, segment(RST | ACK, 0, 1001, 0)), (TcpState::Reset, 0));
    assert_eq!(after_syn(0, AToB, segment(RST, 1001, 0, 0)), (TcpState::Reset, 0), "the client gives up");
    assert_eq!(after_syn(20, BToA, segment(RST | ACK, 0, 1021, 0)), (TcpState::Reset, 0), "data of the SYN is acknowledged");
    assert_eq!(after_syn(20, BToA, segment(RST | ACK, 0, 1001, 0)), (TcpState::Reset, 0), "or not");
    assert_eq!(after_syn(0, BToA, segment(RST | ACK, 0, 1021, 0)), (TcpState::SynSent, 1));
}

#[test]
fn a_connection_goes_on_where_the_syn_ack_was_not_captured() {
    let mut x = Exchange::new();
    x.send(AToB, segment(SYN, 1000, 0, 0)).send(BToA, segment(ACK, 5001, 3001, 10));
    assert_eq!((x.record().state, x.arena.out_of_window()), (TcpState::Established, 0));
    // What lies further off is followed from the client's next segment on.
    let mut x = Exchange::new();
    x.send(AToB, segment(SYN, 1000, 0, 0)).send(BToA, segment(ACK, 5001, 1001 + (1 << 20), 10));
    assert_eq!((x.record().state, x.arena.out_of_window()), (TcpState::SynSent, 1));
    x.send(AToB, segment(ACK, 1001 + (1 << 20), 5011, 0)).send(BToA, segment(ACK, 5011, 1001 + (1 << 20), 10));
    assert_eq!((x.record().state, x.arena.out_of_window()), (TcpState::Established, 1));
}
