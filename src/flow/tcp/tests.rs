//! One small exchange for each rule, and any segments at all.

use super::{Analysed, TcpAnalysis, TcpArena, TcpBeginning, TcpConnection, TcpSequences, TcpState, TcpStateDetail, TcpTracker};
use crate::flow::{Direction, TcpRecord};
use crate::wire::{Ports, TcpFlags, TcpOptions, TcpSegment};
use Direction::{AToB, BToA};
use netscope_backends::Timestamp;
use proptest::prelude::*;

const FIN: u16 = 1;
const SYN: u16 = 2;
const RST: u16 = 4;
const ACK: u16 = 16;

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

    pub(super) fn reopens(&self, segment: &TcpSegment, direction: Direction) -> bool {
        segment.flags.has(TcpFlags::SYN) && self.beginning.is_other_syn(&self.connection, segment.sequence, direction)
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
struct Exchange {
    parts: Option<Parts>,
    arena: TcpArena,
    now_us: u64,
    analysis: TcpAnalysis,
}

fn segment(flags: u16, sequence: u32, acknowledgment: u32, payload_len: u32) -> TcpSegment {
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
    fn new() -> Self {
        Self { parts: None, arena: TcpArena::with_capacity(0), now_us: 1_000_000, analysis: TcpAnalysis::default() }
    }

    /// SYN, SYN-ACK, ACK, 10 ms apart: the handshake's round trip is 20 ms.
    fn open() -> Self {
        let mut x = Self::new();
        x.send(AToB, segment(SYN, 1000, 0, 0));
        x.wait_ms(10).send(BToA, segment(SYN | ACK, 5000, 1001, 0));
        x.wait_ms(10).send(AToB, segment(ACK, 1001, 5001, 0));
        x
    }

    fn wait_ms(&mut self, ms: u64) -> &mut Self {
        self.now_us += ms * 1000;
        self
    }

    fn send(&mut self, direction: Direction, segment: TcpSegment) -> &mut Self {
        let time = Timestamp(self.now_us * 1000);
        let parts = self.parts.get_or_insert_with(|| Parts::opened(&segment, direction, time, &self.analysis));
        parts.tracker().observe(&segment, direction, time, &mut self.arena, &self.analysis);
        self.now_us += 1;
        self
    }

    /// `len` bytes from the client, from its byte `at` (the first is 1).
    fn data(&mut self, at: u32, len: u32) -> &mut Self {
        self.send(AToB, segment(ACK, 1000 + at, 5001, len))
    }

    /// The server expects the client's byte `at`.
    fn ack(&mut self, at: u32) -> &mut Self {
        self.send(BToA, segment(ACK, 5001, 1000 + at, 0))
    }

    fn record(&self) -> TcpRecord {
        self.parts.expect("a segment").record(&self.arena)
    }
}

/// Retransmissions of all, fast, spurious; out of order.
fn resent(r: TcpRecord) -> [u32; 4] {
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
    assert_eq!(x.arena.flow_count(), 0);
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

#[test]
fn another_initial_number_or_an_end_makes_a_new_connection() {
    let mut x = Exchange::open();
    let (same, other, answer) = (segment(SYN, 1000, 0, 0), segment(SYN, 9000, 0, 0), segment(SYN | ACK, 5000, 1001, 0));
    let reopens = |x: &Exchange, s: &TcpSegment, d| x.parts.as_ref().expect("open").reopens(s, d);
    assert!(!reopens(&x, &same, AToB) && reopens(&x, &other, AToB) && !reopens(&x, &answer, BToA));
    assert!(reopens(&x, &segment(SYN | ACK, 77, 1001, 0), BToA));
    assert!(!reopens(&x, &segment(ACK, 77, 1001, 0), BToA));
    x.send(AToB, segment(FIN | ACK, 1001, 5001, 0));
    assert!(reopens(&x, &same, AToB) && reopens(&x, &answer, BToA));
}

#[test]
fn the_direction_that_was_only_acknowledged_is_known_too() {
    let mut x = Exchange::new();
    x.send(BToA, segment(SYN | ACK, 5000, 1001, 0));
    let parts = x.parts.expect("open");
    assert!(!parts.reopens(&segment(SYN, 1000, 0, 0), AToB), "the SYN was captured after its answer");
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

pub(super) type Wild = (bool, u16, u32, u32, u32, u16, u64, Option<(u32, u32)>, [(u32, u32); 4], u8);

pub(super) fn wild() -> impl Strategy<Value = Vec<Wild>> {
    // Small numbers collide and overlap; any numbers wrap.
    let number = prop_oneof![0u32..400, (u32::MAX - 200)..=u32::MAX, any::<u32>()];
    let len = prop_oneof![4 => 0u32..100, 1 => any::<u32>()];
    let step = prop_oneof![9 => 0u64..30_000_000, 1 => any::<u64>()];
    let one = (
        any::<bool>(),
        prop_oneof![3 => Just(ACK), 1 => 0u16..512],
        number.clone(),
        number,
        len,
        prop_oneof![Just(0u16), Just(100), any::<u16>()],
        step,
        any::<Option<(u32, u32)>>(),
        any::<[(u32, u32); 4]>(),
        0u8..=4,
    );
    prop::collection::vec(one, 0..120)
}

/// The segment and its direction.
pub(super) fn wild_segment(wild: &Wild) -> (TcpSegment, Direction) {
    let &(a, flags, sequence, acknowledgment, len, window, _, timestamps, sack, sack_count) = wild;
    let mut s = segment(flags, sequence, acknowledgment, len);
    s.window = window;
    s.options = TcpOptions { timestamps, sack, sack_count, window_scale: Some(window as u8), ..TcpOptions::default() };
    (s, if a { AToB } else { BToA })
}

fn run(segments: &[Wild], flow_count_max: usize) -> Option<(TcpRecord, u64)> {
    let (mut arena, mut parts, mut time) = (TcpArena::with_capacity(flow_count_max), None, Timestamp(0));
    for wild in segments {
        let (s, direction) = wild_segment(wild);
        time = Timestamp(time.0.wrapping_add(wild.6));
        let parts = parts.get_or_insert_with(|| Parts::opened(&s, direction, time, &TcpAnalysis::default()));
        if parts.reopens(&s, direction) {
            parts.sequences.release(&mut arena);
            *parts = Parts::opened(&s, direction, time, &TcpAnalysis::default());
        }
        parts.tracker().observe(&s, direction, time, &mut arena, &TcpAnalysis::default());
        assert!(arena.flow_count() <= 1);
    }
    let parts: Parts = parts?;
    Some((parts.record(&arena), arena.gaps_forgotten()))
}

proptest! {
    /// Without analysis all that has nothing to do with it is the same: client, control bits, exported state, options, ends.
    #[test]
    fn without_analysis_the_rest_is_the_same(
        segments in wild(),
        shapes in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>(), any::<u16>()), 120),
    ) {
        const FLAGS: [u16; 10] = [2, 2, 0x12, 0x12, 0x10, 0x10, 0x18, 0x11, 0x14, 0];
        const OFF: TcpAnalysis = TcpAnalysis { rtt: false, retransmissions: false, out_of_order: false };
        let analyses = [TcpAnalysis::default(), OFF];
        let mut arena = TcpArena::with_capacity(0);
        let mut sides: Option<[Parts; 2]> = None;
        for (n, (wild, (flags, is_usual, mss))) in segments.iter().zip(&shapes).enumerate() {
            let (mut s, direction) = wild_segment(wild);
            if *is_usual {
                s.flags = TcpFlags(FLAGS[flags.index(FLAGS.len())]);
                s.options.mss = Some(*mss);
            }
            let time = Timestamp(n as u64);
            let sides = sides.get_or_insert_with(|| analyses.map(|of| Parts::opened(&s, direction, time, &of)));
            prop_assert_eq!(sides[0].reopens(&s, direction), sides[1].reopens(&s, direction));
            for (parts, analysis) in sides.iter_mut().zip(&analyses) {
                parts.tracker().observe(&s, direction, time, &mut arena, analysis);
            }
            let kept = |parts: &Parts| {
                let TcpRecord { state, client, flags, mss, window_scale, .. } = parts.record(&arena);
                (state, client, flags, mss, window_scale, parts.connection.finished())
            };
            prop_assert_eq!(kept(&sides[0]), kept(&sides[1]));
            let nothing = sides[1].record(&arena);
            prop_assert_eq!((nothing.rtt, nothing.handshake_rtt_ns, nothing.retransmissions), (None, None, 0));
        }
    }

    #[test]
    fn any_segments_are_survived_and_give_the_same_twice(segments in wild()) {
        prop_assert_eq!(run(&segments, 0), run(&segments, 1));
    }

    /// What arrives in order, however cut, has no anomaly, from any initial number (but 0 and its neighbours, see `Sequence`).
    #[test]
    fn order_has_no_anomalies(first in 1u32..u32::MAX - 200_000, lens in prop::collection::vec((1u32..1461, any::<bool>()), 1..60)) {
        let mut x = Exchange::new();
        let mut at = first + 1;
        x.send(AToB, segment(SYN, first, 0, 0)).send(BToA, segment(SYN | ACK, 5000, at, 0)).send(AToB, segment(ACK, at, 5001, 0));
        for (len, ack) in lens {
            x.send(AToB, segment(ACK, at, 5001, len));
            at += len;
            if ack {
                x.send(BToA, segment(ACK, 5001, at, 0));
            }
        }
        let r = x.record();
        prop_assert_eq!((resent(r), r.lost_segments, r.ack_lost_segments, r.duplicate_acks), ([0; 4], 0, 0, 0));
        prop_assert_eq!(x.arena.flow_count(), 0);
    }
}
