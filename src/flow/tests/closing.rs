//! Connections that end in order, by either way through the table.

use super::key_of;
use super::table::{Rig, SECOND, wait};
use crate::flow::{Counted, EndReason, FlowSettings};
use proptest::prelude::*;

const SYN: u16 = 2;
const RST: u16 = 4;
const ACK: u16 = 16;
const FIN_ACK: u16 = 17;

/// A connection from its first segment to the ACK of the second FIN and beyond: from the server or not, control bits, sequence number,
/// what is acknowledged. The client closes first.
const SEGMENTS: [(bool, u16, u32, u32); 10] = [
    (false, SYN, 0, 0),
    (true, SYN | ACK, 100, 1),
    (false, ACK, 1, 101),
    (false, FIN_ACK, 1, 101),
    (true, ACK, 101, 2),
    (true, FIN_ACK, 101, 2),
    (false, ACK, 2, 102),
    // Nobody sends these, or late.
    (true, ACK, 102, 2),
    (false, ACK, 2, 102),
    (false, FIN_ACK, 1, 101),
];

impl Rig {
    /// Segment number `step` of connection `flow`.
    pub(super) fn segment(&mut self, flow: u32, step: usize, time: u64) {
        let (back, flags, sequence, acknowledgment) = SEGMENTS[step];
        self.acknowledgment = acknowledgment;
        self.packet(flow, back, time, 60, Some((flags, sequence)));
    }
}

#[test]
fn an_orderly_end_goes_the_fast_path() {
    let mut rig = Rig { typed: true, ..Rig::new(&FlowSettings { closed_timeout_ns: SECOND, ..FlowSettings::default() }) };
    for step in 0..7 {
        rig.segment(1, step, step as u64 * 1000);
    }
    assert_eq!(rig.went, 7);
    assert!(rig.advance(3 * SECOND, usize::MAX));
    assert_eq!((rig.records.len(), rig.table.len()), (1, 0), "it was filed where closed connections are");
}

/// Whether the wheel has looked or not: what comes late without data belongs to the end that was; data and a SYN begin a record.
#[test]
fn what_comes_after_the_end_opens_nothing() {
    let closed = FlowSettings { closed_timeout_ns: SECOND, ..FlowSettings::default() };
    const REMEMBERED: u64 = crate::flow::closed::REMEMBERED_NS;
    // The record of the connection ends a second after its last segment.
    let end = 6000 + SECOND;
    for (flags, sequence, after, is_late) in [
        (RST, 2, end + 1, true),
        (ACK, 2, end + 1, true),
        (FIN_ACK, 1, end + 1, true),
        (RST | ACK, 2, end + REMEMBERED, true),
        (RST, 2, end + REMEMBERED + 1, false),
        (ACK, 2, end, false),
        (SYN, 9000, end + 1, false),
        (SYN | ACK, 9000, end + 1, false),
    ] {
        for (typed, looks) in [(false, false), (false, true), (true, false), (true, true)] {
            let what = format!("{flags} {after} {typed} {looks}");
            let mut rig = Rig { typed, ..Rig::new(&closed) };
            (0..7).for_each(|step| rig.segment(1, step, step as u64 * 1000));
            if looks {
                rig.advance(after, usize::MAX);
            }
            let counted = rig.packet(1, false, after, 60, Some((flags, sequence)));
            assert_eq!(counted.place == Counted::NO_PLACE, is_late, "{what}");
            assert_eq!(rig.table.after_close(), u64::from(is_late), "{what}");
            assert_eq!(counted.opened(), !is_late && after > end, "{what}");
            rig.drain();
            let packets: u64 = rig.records.iter().map(|record| record.packets.iter().sum::<u64>()).sum();
            assert_eq!(packets, 8 - u64::from(is_late), "{what}");
            if after > end {
                assert_eq!((rig.records[0].reason, rig.records[0].ended.0), (EndReason::Closed, end), "{what}");
            }
        }
    }
}

#[test]
fn a_connection_that_was_not_closed_has_no_late_segments() {
    let settings = FlowSettings { idle_timeout_ns: 2 * SECOND, closed_timeout_ns: SECOND, ..FlowSettings::default() };
    let mut rig = Rig::new(&settings);
    (0..7).for_each(|step| rig.segment(1, step, step as u64 * 1000));
    rig.advance(2 * SECOND, usize::MAX);
    // The tuple is used again, and that connection is only silent.
    assert!(rig.packet(1, false, 2 * SECOND, 60, Some((SYN, 9000))).opened());
    rig.advance(5 * SECOND, usize::MAX);
    assert!(rig.packet(1, false, 6 * SECOND, 60, Some((ACK, 9001))).opened());
    assert_eq!(rig.table.after_close(), 0);
}

/// Whoever answers a SYN did not begin, also where the SYN was not captured.
#[test]
fn a_record_that_begins_with_a_syn_ack_was_begun_by_its_receiver() {
    for typed in [false, true] {
        let mut rig = Rig { typed, ..Rig::new(&FlowSettings::default()) };
        (1..7).for_each(|step| rig.segment(1, step, step as u64 * 1000));
        rig.drain();
        let [record] = &rig.records[..] else { panic!("{:?}", rig.records) };
        assert_eq!(record.tcp.and_then(|tcp| tcp.client), Some(record.initiator));
        let (_, client) = key_of("10.0.0.1", "192.0.2.1", 1000, 53, 6);
        assert_eq!(record.initiator, client);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Wherever time stands still or leaps between the segments of a few connections, and whichever of them are missing or come again:
    /// the same records.
    #[test]
    fn ends_are_the_same_by_either_way(
        idle in prop_oneof![Just(0), Just(10 * SECOND)],
        closed in prop_oneof![Just(0), Just(1), Just(2 * SECOND), Just(20 * SECOND)],
        [rtt, retransmissions, out_of_order] in any::<[bool; 3]>(),
        steps in prop::collection::vec((0usize..3, wait(), 0..12i8, prop::bool::weighted(0.2)), 1..60),
    ) {
        let analysis = FlowSettings { rtt, retransmissions, out_of_order, ..FlowSettings::default() };
        let settings = FlowSettings { idle_timeout_ns: idle, closed_timeout_ns: closed, top_count: 2, ..analysis };
        let mut rigs = [false, true].map(|typed| Rig { typed, ..Rig::new(&settings) });
        let (mut time, mut next) = (5 * SECOND, [0usize; 3]);
        for (flow, wait, odd, looks) in steps {
            time = time.saturating_add_signed(wait);
            let at = next[flow];
            // Now and then one is missing, or comes once more.
            next[flow] = match odd { 0 => at + 2, 1 => at, _ => at + 1 } % SEGMENTS.len();
            for rig in &mut rigs {
                if looks {
                    rig.advance(time, usize::MAX);
                }
                rig.segment(flow as u32, at, time);
            }
            prop_assert_eq!(rigs[0].table.counters(), rigs[1].table.counters());
        }
        for rig in &mut rigs {
            rig.advance(time + 3 * SECOND, usize::MAX);
            rig.drain();
        }
        prop_assert_eq!(&rigs[0].records, &rigs[1].records);
    }
}
