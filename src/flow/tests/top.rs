//! The top talkers of a tick against a full sort, and what forged lengths and late fragments do to them.

use super::table::{Rig, SECOND, settings};
use super::*;
use netscope_backends::Timestamp;
use proptest::prelude::*;
use std::collections::HashMap;

/// Later fragments that came before their first one count for the flow of `flow`, and make its record begin earlier.
pub(super) fn hold(rig: &mut Rig, flow: u32, time: u64, first_packet: u64) -> Counted {
    let [_, b, c, d] = flow.to_be_bytes();
    let (key, direction) = key_of(&format!("10.{b}.{c}.{d}"), "192.0.2.1", 1000, 53, 17);
    let at = Timestamp(time);
    let held = Held { packets: 2, bytes: 70, earliest: at, latest: at, first_packet };
    let keyed = &Keyed { key, hash: rig.table.hash(&key), direction };
    let packet = FlowPacket { keyed, candidate: Candidate::NONE, time: at, wire_len: 0, content: Content::Held(&held) };
    let nothing = dissected(network_of("10.0.0.0", "192.0.2.1", 17), Transport::None);
    let records = &mut rig.records;
    rig.table.count(packet, FullFacts { number: 0, dissected: &nothing }, false, |record, _| records.push(*record))
}

/// The best flows of the tick that ends now, best first.
fn top_of(rig: &mut Rig) -> Vec<TopFlow> {
    let mut top = Vec::new();
    rig.table.end_tick(&mut top);
    top.sort_unstable_by_key(TopFlow::rank);
    top
}

/// A flow whose record ended and began again in the tick, both listed, is told twice, each with its own bytes, also when fragments
/// make the new record begin with an earlier packet.
#[test]
fn a_listed_flow_that_begins_again_stands_for_itself() {
    let mut rig = Rig::new(&FlowSettings { top_count: 4, ..settings(1) });
    rig.udp(1, false, SECOND, 1000);
    rig.udp(2, false, SECOND + 1, 500);
    rig.udp(1, false, SECOND + 2, 100);
    hold(&mut rig, 1, SECOND + 2, 2);
    hold(&mut rig, 1, SECOND + 2, 1);
    rig.udp(3, false, SECOND + 3, 10);
    let got: Vec<u64> = top_of(&mut rig).iter().map(|flow| flow.delta_bytes).collect();
    assert_eq!(got, [1000, 500, 240, 10]);
}

/// However many flows are so large that they stay listed, an end of one looks at no others.
#[test]
fn very_many_heavy_flows_are_not_looked_through() {
    let mut rig = Rig::new(&FlowSettings { top_count: 2, ..settings(50) });
    for flow in 0..200_000 {
        rig.udp(flow, false, SECOND, 9_000_000 + flow % 3);
        assert!(rig.table.top_listed() < 2000, "flow {flow}");
    }
    let top = top_of(&mut rig);
    assert_eq!(top.iter().map(|flow| flow.delta_bytes).collect::<Vec<_>>(), [9_000_002; 2]);
}

proptest! {
    /// Top talkers equal a full sort, flows that ended within the tick included.
    #[test]
    fn top_talkers_are_exact(
        // Some packets are so large that a flow is listed whatever its rank.
        ticks in prop::collection::vec(
            prop::collection::vec((0u32..300, prop_oneof![30 => 1u32..50, 1 => 4_000_000..20_000_000u32]), 0..900),
            1..4,
        ),
        count in 1usize..5,
        max in prop_oneof![1usize..6, 100usize..400],
    ) {
        let mut rig = Rig::new(&FlowSettings { top_count: count, ..settings(max) });
        let mut time = 0;
        for tick in ticks {
            // Bytes of the tick by place and opening packet, which name a record.
            let mut sums: HashMap<(FlowKey, u64), u64> = HashMap::new();
            // Flows of earlier ticks keep the opening 0: within a tick they are one record until they are opened again.
            let mut current: HashMap<u32, u64> = HashMap::new();
            for (flow, len) in tick {
                time += 1_000_000;
                let observed = rig.udp(flow, false, time, len);
                if observed.opened() {
                    current.insert(flow, rig.number);
                }
                let opening = current.get(&flow).copied().unwrap_or(0);
                let [_, b, c, d] = flow.to_be_bytes();
                let (key, _) = key_of(&format!("10.{b}.{c}.{d}"), "192.0.2.1", 1000, 53, 17);
                *sums.entry((key, opening)).or_default() += u64::from(len);
            }
            let mut expected: Vec<(std::cmp::Reverse<u64>, FlowKey, u64)> =
                sums.into_iter().map(|((key, opening), sum)| (std::cmp::Reverse(sum), key, opening)).collect();
            expected.sort_unstable();
            expected.truncate(count);
            let top = top_of(&mut rig);
            let got: Vec<_> = top.iter().map(|flow| (flow.delta_bytes, flow.key)).collect();
            let expected: Vec<_> = expected.into_iter().map(|(sum, key, _)| (sum.0, key)).collect();
            prop_assert_eq!(got, expected);
        }
    }
}
