//! One small exchange for each rule.

use super::{Analysed, TcpAnalysis, TcpArena, TcpBeginning, TcpConnection, TcpSequences, TcpState, TcpStateDetail, TcpTracker};
use crate::flow::{Direction, TcpRecord};
use crate::wire::{Ports, TcpFlags, TcpOptions, TcpSegment};
use Direction::{AToB, BToA};
use netscope_backends::Timestamp;

pub(super) const FIN: u16 = 1;
pub(super) const SYN: u16 = 2;
pub(super) const RST: u16 = 4;
pub(super) const ACK: u16 = 16;

/// The parts of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) connection: TcpConnection,
    pub(super) beginning: TcpBeginning,
    pub(super) sequences: TcpSequences,
    pub(super) clock: u64,
    is_analysed: bool,
}

impl Parts {
    /// Before a connection of which this is analysed.
    pub(super) const fn blank(analysis: &TcpAnalysis) -> Self {
        Self {
            connection: TcpConnection::BLANK,
            beginning: TcpBeginning::UNKNOWN,
            sequences: TcpSequences::BLANK,
            clock: 0,
            is_analysed: analysis.is_any(),
        }
    }

    /// For this first segment, which has to be observed next.
    pub(super) fn opened(segment: &TcpSegment, direction: Direction, time: Timestamp, analysis: &TcpAnalysis) -> Self {
        let mut parts = Self::blank(analysis);
        parts.tracker().open(segment, direction, time);
        parts
    }

    pub(super) fn tracker(&mut self) -> TcpTracker<'_> {
        let analysed = Analysed { sequences: &mut self.sequences, clock: &mut self.clock };
        TcpTracker {
            connection: &mut self.connection,
            beginning: &mut self.beginning,
            analysed: self.is_analysed.then_some(analysed),
        }
    }

    pub(super) fn reopens(&mut self, segment: &TcpSegment, direction: Direction, time: Timestamp, arena: &TcpArena) -> bool {
        self.tracker().reopens(segment, direction, time, arena)
    }

    pub(super) fn record(&self, arena: &TcpArena) -> TcpRecord {
        let mut record = self.beginning.record(&self.connection);
        if self.is_analysed {
            self.sequences.complete(&mut record, arena);
            record.handshake_rtt_ns = self.connection.handshake_rtt_ns(self.clock);
        }
        record
    }
}

/// Client a has initial sequence number 1000, server b 5000.
pub(super) struct Exchange {
    pub(super) parts: Option<Parts>,
    pub(super) arena: TcpArena,
    pub(super) now_us: u64,
    pub(super) analysis: TcpAnalysis,
}

pub(super) fn segment(flags: u16, sequence: u32, acknowledgment: u32, payload_len: u32) -> TcpSegment {
    TcpSegment {
        ports: Ports { source: 1, destination: 2 },
        sequence,
        acknowledgment,
        flags: TcpFlags(flags),
        window: 100,
        payload_len,
        options: TcpOptions::default(),
    }
}

impl Exchange {
    pub(super) fn new() -> Self {
        Self { parts: None, arena: TcpArena::with_capacity(0), now_us: 1_000_000, analysis: TcpAnalysis::default() }
    }

    /// SYN, SYN-ACK, ACK, 10 ms apart: the handshake's round trip is 20 ms.
    pub(super) fn open() -> Self {
        let mut x = Self::new();
        x.send(AToB, segment(SYN, 1000, 0, 0));
        x.wait_ms(10).send(BToA, segment(SYN | ACK, 5000, 1001, 0));
        x.wait_ms(10).send(AToB, segment(ACK, 1001, 5001, 0));
        x
    }

    pub(super) fn wait_ms(&mut self, ms: u64) -> &mut Self {
        self.now_us += ms * 1000;
        self
    }

    pub(super) fn send(&mut self, direction: Direction, segment: TcpSegment) -> &mut Self {
        let time = Timestamp(self.now_us * 1000);
        let parts = self.parts.get_or_insert_with(|| Parts::opened(&segment, direction, time, &self.analysis));
        parts.tracker().observe(&segment, direction, time, &mut self.arena, &self.analysis);
        self.now_us += 1;
        self
    }

    /// `len` bytes from the client, from its byte `at` (the first is 1).
    pub(super) fn data(&mut self, at: u32, len: u32) -> &mut Self {
        self.send(AToB, segment(ACK, 1000 + at, 5001, len))
    }

    /// The server expects the client's byte `at`.
    pub(super) fn ack(&mut self, at: u32) -> &mut Self {
        self.send(BToA, segment(ACK, 5001, 1000 + at, 0))
    }

    pub(super) fn record(&self) -> TcpRecord {
        self.parts.expect("a segment").record(&self.arena)
    }
}

/// Retransmissions of all, fast, spurious; out of order.
pub(super) fn resent(r: TcpRecord) -> [u32; 4] {
    [r.retransmissions, r.fast_retransmissions, r.spurious_retransmissions, r.out_of_order]
}

#[test]
fn a_clean_exchange_needs_no_side_memory() {
    let mut x = Exchange::open();
    x.data(1, 100).data(101, 100).ack(201).data(201, 50).ack(251);
    let r = x.record();
    assert_eq!(resent(r), [0; 4]);
    assert_eq!((r.lost_segments, r.ack_lost_segments, r.duplicate_acks), (0, 0, 0));
    assert_eq!((r.state, r.detail, r.client), (TcpState::Established, TcpStateDetail::Established, Some(AToB)));
    assert_eq!((x.arena.flow_count(), x.arena.measured_count()), (0, 1), "the server has acknowledged more than its SYN");
}

#[test]
fn sent_again_is_a_retransmission_however_soon() {
    let mut x = Exchange::open();
    x.data(1, 100).data(101, 100).data(1, 100);
    assert_eq!(resent(x.record()), [1, 0, 0, 0]);
    x.wait_ms(500).data(101, 100);
    assert_eq!(resent(x.record()), [2, 0, 0, 0]);
}

#[test]
fn a_late_segment_within_the_handshakes_round_trip_is_out_of_order() {
    let mut x = Exchange::open();
    x.data(101, 100).wait_ms(15).data(1, 100);
    let r = x.record();
    assert_eq!((resent(r), r.lost_segments), ([0, 0, 0, 1], 1));
}

#[test]
fn a_late_segment_after_it_is_a_retransmission() {
    let mut x = Exchange::open();
    x.data(101, 100).wait_ms(25).data(1, 100);
    assert_eq!(resent(x.record()), [1, 0, 0, 0]);
}

#[test]
fn a_late_segment_without_a_handshake_has_3_ms() {
    let mut x = Exchange::new();
    x.data(1, 100).data(201, 100).data(301, 100).wait_ms(2).data(101, 50).wait_ms(2).data(151, 50);
    assert_eq!(resent(x.record()), [1, 0, 0, 1]);
}

#[test]
fn an_answer_to_duplicate_acks_is_a_fast_retransmission() {
    let mut x = Exchange::open();
    x.data(1, 100).ack(101).data(201, 100).ack(101).data(301, 100).ack(101);
    assert_eq!(x.record().duplicate_acks, 2);
    x.wait_ms(5).data(101, 100);
    assert_eq!(resent(x.record()), [1, 1, 0, 0]);
}

#[test]
fn it_is_not_fast_after_20_ms_or_one_duplicate() {
    let mut x = Exchange::open();
    x.data(1, 100).ack(101).data(201, 100).ack(101).data(301, 100).ack(101).wait_ms(21).data(101, 100);
    assert_eq!(resent(x.record()), [1, 0, 0, 0]);
    let mut x = Exchange::open();
    x.data(1, 100).ack(101).data(201, 100).ack(101).data(101, 100);
    assert_eq!(resent(x.record()), [0, 0, 0, 1]);
}

#[test]
fn a_hole_reported_by_sack_is_resent_fast_though_it_is_not_the_first() {
    let mut x = Exchange::open();
    x.data(1, 100).ack(101).data(201, 100).data(401, 100);
    let mut ack = segment(ACK, 5001, 1101, 0);
    (ack.options.sack[0], ack.options.sack_count) = ((1201, 1301), 1);
    x.send(BToA, ack).send(BToA, ack).data(301, 100);
    assert_eq!(resent(x.record()), [1, 1, 0, 0]);
}

#[test]
fn sack_makes_a_duplicate_of_a_window_update() {
    let mut x = Exchange::open();
    x.data(1, 100).ack(101);
    let mut ack = segment(ACK, 5001, 1101, 0);
    ack.window = 90;
    x.send(BToA, ack);
    assert_eq!(x.record().duplicate_acks, 0);
    ack.window = 80;
    (ack.options.sack[0], ack.options.sack_count) = ((1201, 1301), 1);
    x.send(BToA, ack);
    assert_eq!(x.record().duplicate_acks, 1);
}

#[test]
fn resending_what_was_acknowledged_is_spurious() {
    let mut x = Exchange::open();
    x.data(1, 100).data(101, 100).ack(201).data(1, 100);
    assert_eq!(resent(x.record()), [1, 0, 1, 0]);
}

#[test]
fn a_keep_alive_is_no_retransmission() {
    let mut x = Exchange::open();
    x.data(1, 100).ack(101).wait_ms(5000).data(100, 1).ack(101).wait_ms(5000).data(100, 0).ack(101);
    let r = x.record();
    assert_eq!((r.keep_alives, r.duplicate_acks, resent(r)), (2, 0, [0; 4]));
}

#[test]
fn a_zero_window_is_probed_without_retransmission() {
    let mut x = Exchange::open();
    x.data(1, 100);
    let mut closed = segment(ACK, 5001, 1101, 0);
    closed.window = 0;
    x.send(BToA, closed);
    for _ in 0..3 {
        x.wait_ms(200).data(101, 1).send(BToA, closed);
    }
    x.ack(101).data(101, 100);
    let r = x.record();
    assert_eq!((resent(r), r.zero_windows, r.duplicate_acks, r.lost_segments), ([0; 4], 4, 0, 0));
}

#[test]
fn a_probe_that_is_accepted_moves_on() {
    let mut x = Exchange::open();
    x.data(1, 100);
    let mut closed = segment(ACK, 5001, 1101, 0);
    closed.window = 0;
    x.send(BToA, closed).wait_ms(200).data(101, 1);
    closed.acknowledgment += 1;
    x.send(BToA, closed).ack(102).data(102, 10);
    let r = x.record();
    assert_eq!((resent(r), r.lost_segments, r.ack_lost_segments), ([0; 4], 0, 0));
}

#[test]
fn a_gap_is_a_lost_segment_and_its_ack_is_noted_once() {
    let mut x = Exchange::open();
    x.data(1, 100).data(201, 100).data(301, 100).ack(301).ack(401);
    let r = x.record();
    assert_eq!((r.lost_segments, r.ack_lost_segments, resent(r)), (1, 1, [0; 4]));
}

#[test]
fn each_ack_of_unseen_data_is_noted() {
    let mut x = Exchange::open();
    x.ack(101).ack(201);
    assert_eq!(x.record().ack_lost_segments, 2);
}

#[test]
fn a_syn_sent_again_is_a_retransmission_and_moves_the_clock() {
    let mut x = Exchange::new();
    x.send(AToB, segment(SYN, 1000, 0, 0)).wait_ms(1000).send(AToB, segment(SYN, 1000, 0, 0));
    x.wait_ms(10).send(BToA, segment(SYN | ACK, 5000, 1001, 0)).wait_ms(5).send(AToB, segment(ACK, 1001, 5001, 0));
    let r = x.record();
    assert_eq!((resent(r), r.handshake_rtt_ns), ([1, 0, 0, 0], Some(15_002_000)));
    assert_eq!(r.rtt.map(|r| r.samples), Some(1), "the SYN-ACK's; the SYN was sent twice");
}

/// Whose ACK comes `after_us` after the SYN, by the clock; then data half a second later.
fn handshake_of(after_us: i64) -> (Option<u64>, u64) {
    let mut arena = TcpArena::with_capacity(0);
    let mut parts = Parts::blank(&TcpAnalysis::default());
    let start = 1_000_000_000_u64;
    for (flags, sequence, acknowledgment, len, direction, time) in [
        (SYN, 1000, 0, 0, AToB, start),
        (SYN | ACK, 5000, 1001, 0, BToA, start),
        (ACK, 1001, 5001, 0, AToB, start.saturating_add_signed(after_us * 1000)),
        (ACK, 1001, 5001, 10, AToB, start + 500_000_000),
    ] {
        let s = segment(flags, sequence, acknowledgment, len);
        if parts.connection == TcpConnection::BLANK {
            parts = Parts::opened(&s, direction, Timestamp(time), &TcpAnalysis::default());
        }
        parts.tracker().observe(&s, direction, Timestamp(time), &mut arena, &TcpAnalysis::default());
    }
    (parts.record(&arena).handshake_rtt_ns, arena.backward_handshakes())
}

#[test]
fn a_syn_captured_after_the_end_of_its_own_connection_opens_nothing() {
    let first = segment(SYN | ACK, 5000, 1001, 0);
    let mut parts = Parts::opened(&first, BToA, Timestamp(0), &TcpAnalysis::default());
    let mut arena = TcpArena::with_capacity(0);
    for (s, direction) in [
        (first, BToA),
        (segment(ACK, 1001, 5001, 0), AToB),
        (segment(ACK | FIN, 1001, 5001, 0), AToB),
        (segment(ACK | FIN, 5001, 1002, 0), BToA),
    ] {
        parts.tracker().observe(&s, direction, Timestamp(1), &mut arena, &TcpAnalysis::default());
    }
    let own = segment(SYN, 1000, 0, 0);
    let reopens = |parts: &mut Parts, s: &TcpSegment| parts.reopens(s, AToB, Timestamp(2), &TcpArena::with_capacity(0));
    assert!(reopens(&mut parts, &segment(SYN, 1001, 0, 0)), "it is of another connection");
    assert!(!reopens(&mut parts, &own));
    parts.tracker().observe(&own, AToB, Timestamp(2), &mut arena, &TcpAnalysis::default());
    assert_eq!((parts.record(&arena).state, parts.record(&arena).client), (TcpState::Closed, Some(AToB)));
    assert!(reopens(&mut parts, &own), "it comes once more: the same number was chosen again");
}

#[test]
fn no_time_and_no_handshake_are_told_apart() {
    assert_eq!(handshake_of(25), (Some(25_000), 0));
    assert_eq!(handshake_of(0), (Some(0), 0), "it took no time by a coarse clock, and what comes later is no handshake");
    assert_eq!(handshake_of(-1), (None, 1), "a clock that ran backwards measures nothing");
}

#[test]
fn another_initial_number_or_an_end_makes_a_new_connection() {
    let mut x = Exchange::open();
    let (same, other, answer) = (segment(SYN, 1000, 0, 0), segment(SYN, 9000, 0, 0), segment(SYN | ACK, 5000, 1001, 0));
    // A second later, when the connection is not taken for alive any more.
    let reopens = |x: &mut Exchange, s: &TcpSegment, d| {
        let time = Timestamp(x.now_us * 1000 + 1_000_000_000);
        x.parts.as_mut().expect("open").reopens(s, d, time, &x.arena)
    };
    assert!(!reopens(&mut x, &same, AToB) && reopens(&mut x, &other, AToB) && !reopens(&mut x, &answer, BToA));
    assert!(reopens(&mut x, &segment(SYN | ACK, 77, 1001, 0), BToA));
    assert!(!reopens(&mut x, &segment(ACK, 77, 1001, 0), BToA));
    x.send(AToB, segment(FIN | ACK, 1001, 5001, 0));
    assert!(reopens(&mut x, &same, AToB) && reopens(&mut x, &answer, BToA));
}

#[test]
fn the_direction_that_was_only_acknowledged_is_known_too() {
    let mut x = Exchange::new();
    x.send(BToA, segment(SYN | ACK, 5000, 1001, 0));
    let mut parts = x.parts.expect("open");
    let syn = segment(SYN, 1000, 0, 0);
    assert!(!parts.reopens(&syn, AToB, Timestamp(u64::MAX), &x.arena), "the SYN was captured after its answer");
    assert_eq!(x.record().client, Some(AToB));
    x.send(AToB, segment(SYN, 1000, 0, 0));
    assert_eq!((x.record().client, x.record().state), (Some(AToB), TcpState::SynAck));
}

#[test]
fn closing_goes_through_the_states_and_a_second_fin_changes_nothing() {
    let mut x = Exchange::open();
    let states = |x: &Exchange| (x.record().state, x.record().detail);
    x.send(AToB, segment(FIN | ACK, 1001, 5001, 0));
    assert_eq!(states(&x), (TcpState::FinWait, TcpStateDetail::FinWait1));
    x.wait_ms(300).send(AToB, segment(FIN | ACK, 1001, 5001, 0));
    assert_eq!(states(&x), (TcpState::FinWait, TcpStateDetail::FinWait1));
    assert_eq!(resent(x.record()), [1, 0, 0, 0]);
    assert!(!x.parts.expect("open").connection.finished());
    x.ack(2);
    assert_eq!(states(&x), (TcpState::FinWait, TcpStateDetail::FinWait2));
    x.send(BToA, segment(ACK, 5001, 1002, 10));
    assert_eq!(states(&x), (TcpState::FinWait, TcpStateDetail::CloseWait), "side-closed, data goes on");
    x.send(AToB, segment(ACK, 1002, 5011, 0)).send(BToA, segment(FIN | ACK, 5011, 1002, 0));
    assert_eq!(states(&x), (TcpState::Closed, TcpStateDetail::LastAck));
    assert!(x.parts.expect("open").connection.finished());
    x.send(AToB, segment(ACK, 1002, 5012, 0));
    assert_eq!(states(&x), (TcpState::Closed, TcpStateDetail::TimeWait));
}

#[test]
fn both_may_open_and_close_at_once() {
    let mut x = Exchange::new();
    x.send(AToB, segment(SYN, 1000, 0, 0)).send(BToA, segment(SYN, 5000, 0, 0));
    assert_eq!((x.record().state, x.record().client), (TcpState::SynSent, Some(AToB)));
    x.send(AToB, segment(SYN | ACK, 1000, 5001, 0)).send(BToA, segment(SYN | ACK, 5000, 1001, 0));
    assert_eq!(x.record().detail, TcpStateDetail::SynReceived);
    x.data(1, 5).send(BToA, segment(ACK, 5001, 1006, 0));
    x.send(AToB, segment(FIN | ACK, 1006, 5001, 0)).send(BToA, segment(FIN | ACK, 5001, 1006, 0));
    assert_eq!((x.record().state, x.record().detail), (TcpState::Closed, TcpStateDetail::Closing));
    x.send(AToB, segment(ACK, 1007, 5002, 0)).send(BToA, segment(ACK, 5002, 1007, 0));
    assert_eq!(x.record().detail, TcpStateDetail::TimeWait);
}

#[test]
fn a_reset_ends_it() {
    let mut x = Exchange::open();
    x.send(BToA, segment(RST | ACK, 5001, 1001, 0));
    assert_eq!((x.record().state, x.record().detail), (TcpState::Reset, TcpStateDetail::Closed));
    assert!(x.parts.expect("open").connection.finished());
    x.data(1, 10);
    assert_eq!(x.record().state, TcpState::Reset);
}

#[test]
fn picked_up_in_the_middle() {
    let mut x = Exchange::new();
    x.data(1, 100).ack(101).data(101, 100).data(301, 10);
    let r = x.record();
    assert_eq!((r.state, r.client, r.handshake_rtt_ns), (TcpState::Established, None, None));
    assert_eq!((r.lost_segments, resent(r)), (1, [0; 4]));
}

#[test]
fn sequence_numbers_go_around() {
    let base = u32::MAX - 149;
    let mut x = Exchange::new();
    let data = |at: u32, len| segment(ACK, base.wrapping_add(at), 1, len);
    x.send(AToB, segment(SYN, base, 0, 0)).send(BToA, segment(SYN | ACK, 0x7000_0000, base + 1, 0));
    x.send(AToB, data(1, 100)).send(AToB, data(201, 100)).wait_ms(500);
    x.send(AToB, data(101, 100)).send(BToA, segment(ACK, 0x7000_0001, base.wrapping_add(301), 0)).send(AToB, data(101, 100));
    let r = x.record();
    assert_eq!((resent(r), r.lost_segments, r.ack_lost_segments), ([2, 0, 1, 0], 1, 0));
}

#[test]
fn windows_are_compared_as_sent_and_scales_are_kept() {
    let mut x = Exchange::new();
    let mut syn = segment(SYN, 1000, 0, 0);
    (syn.options.window_scale, syn.options.mss) = (Some(20), Some(1460));
    x.send(AToB, syn);
    let r = x.record();
    assert_eq!((r.window_scale, r.mss), ([Some(14), None], [1460, 0]), "RFC 7323 allows 14");
}

#[test]
fn data_in_the_syn_is_sequence_space() {
    let mut x = Exchange::new();
    x.send(AToB, segment(SYN, 1000, 0, 50)).send(BToA, segment(SYN | ACK, 5000, 1051, 0)).data(51, 10).ack(61);
    let r = x.record();
    assert_eq!((resent(r), r.lost_segments, r.ack_lost_segments), ([0; 4], 0, 0));
}

#[test]
fn round_trips_follow_karn_and_the_timestamp_saves_one() {
    let mut x = Exchange::open();
    let before = x.record().rtt.expect("handshake").samples;
    x.data(1, 100).wait_ms(300).data(1, 100).wait_ms(7).ack(101);
    assert_eq!(x.record().rtt.expect("handshake").samples, before, "which of the two was acknowledged?");
    let mut first = segment(ACK, 1101, 5001, 100);
    first.options.timestamps = Some((70, 1));
    let (mut again, mut ack) = (first, segment(ACK, 5001, 1201, 0));
    again.options.timestamps = Some((99, 1));
    ack.options.timestamps = Some((1, 99));
    x.send(AToB, first).wait_ms(300).send(AToB, again).wait_ms(7).send(BToA, ack);
    let rtt = x.record().rtt.expect("samples");
    assert_eq!((rtt.samples, rtt.last_ns), (before + 1, 7_001_000));
}

#[test]
fn parts_can_be_switched_off() {
    for (rtt, retransmissions, out_of_order) in
        [(false, true, false), (true, false, false), (false, false, true), (false, false, false)]
    {
        let mut x = Exchange::new();
        x.analysis = TcpAnalysis { rtt, retransmissions, out_of_order };
        x.send(AToB, segment(SYN, 1000, 0, 0)).wait_ms(10).send(BToA, segment(SYN | ACK, 5000, 1001, 0)).wait_ms(10);
        x.data(1, 100).data(201, 100).data(101, 100).data(1, 100).ack(301);
        let r = x.record();
        assert_eq!(r.retransmissions > 0, retransmissions);
        assert_eq!(r.lost_segments > 0, retransmissions);
        assert_eq!(r.out_of_order > 0, out_of_order);
        assert_eq!(r.rtt.is_some(), rtt);
        assert_eq!((r.state, r.client), (TcpState::Established, Some(AToB)));
    }
}

#[test]
fn a_full_arena_costs_counts_and_nothing_else() {
    let mut x = Exchange::open();
    x.arena = TcpArena::with_capacity(1);
    let mut other = x.parts.expect("open");
    x.data(1, 100).data(1, 100);
    for at in [1101, 1001] {
        other.tracker().observe(&segment(ACK, at, 5001, 10), AToB, Timestamp(0), &mut x.arena, &TcpAnalysis::default());
    }
    assert_eq!((x.record().retransmissions, other.record(&x.arena).retransmissions), (1, 0));
    assert!(x.arena.refused() > 0);
    x.parts.as_mut().expect("open").sequences.release(&mut x.arena);
    assert_eq!(x.arena.flow_count(), 0);
}

#[test]
fn more_gaps_than_are_kept_are_counted() {
    let mut x = Exchange::open();
    for i in 0..30 {
        x.data(1 + i * 200, 100);
    }
    assert_eq!(x.arena.gaps_forgotten(), 29 - 16);
    assert_eq!(x.record().lost_segments, 29);
}

#[test]
fn half_an_hour_of_silence_is_not_taken_for_a_moment() {
    // 2^32 microseconds, so that the kept times look the same.
    let mut x = Exchange::open();
    x.data(1, 100).ack(101).data(201, 100).ack(101).ack(101);
    x.now_us += 1 << 32;
    x.data(101, 100);
    assert_eq!(resent(x.record()), [1, 0, 0, 0]);
}
