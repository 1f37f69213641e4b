//! Resets and SYNs outside the window of a connection (RFC 5961).

use super::TcpState;
use super::tests::{ACK, Exchange, FIN, RST, SYN, segment};
use crate::flow::Direction::{AToB, BToA};
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
