//! Connections that end in order, by either way through the table.

use super::table::{Rig, SECOND, wait};
use crate::flow::FlowSettings;
use proptest::prelude::*;

const SYN: u16 = 2;
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
    fn segment(&mut self, flow: u32, step: usize, time: u64) {
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
