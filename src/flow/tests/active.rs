//! Records that go on after the active timeout.

use super::table::{Rig, SECOND, settings};
use super::top::hold;
use crate::flow::{EndReason, FlowEvents, FlowSettings};
use netscope_backends::Timestamp;

#[test]
fn the_active_timeout_splits_records_and_keeps_the_connection() {
    let mut rig = Rig::new(&FlowSettings { active_timeout_ns: 3 * SECOND, ..settings(100) });
    rig.packet(1, false, 0, 60, Some((2, 100)));
    for step in 1..=7 {
        rig.packet(1, false, step * SECOND, 60, Some((16, 101)));
    }
    assert_eq!(rig.firsts(), [1]);
    assert_eq!((rig.records[0].reason, rig.records[0].ended), (EndReason::ActiveTimeout, Timestamp(4 * SECOND)));
    rig.drain();
    assert_eq!(rig.records[1].packets.iter().sum::<u64>(), 4);
    assert!(rig.records[1].tcp.is_some_and(|tcp| tcp.client.is_some()), "the SYN is remembered");
}

#[test]
fn who_began_a_flow_began_it_in_all_its_records() {
    for tcp in [None, Some((16, 101))] {
        let mut rig = Rig::new(&FlowSettings { active_timeout_ns: 3 * SECOND, ..settings(100) });
        rig.packet(1, false, 0, 60, tcp);
        // The answer is the first packet after the timeout.
        rig.packet(1, true, 4 * SECOND, 60, tcp);
        rig.drain();
        let first = rig.records[0].initiator;
        assert_eq!((rig.records[0].reason, rig.records[1].initiator), (EndReason::ActiveTimeout, first));
        // After another end it is another flow.
        rig.packet(1, true, 60 * SECOND, 60, tcp);
        rig.drain();
        assert_eq!(rig.records[2].initiator, first.reverse());
    }
}

#[test]
fn held_fragments_go_on_with_a_record_too() {
    let mut rig = Rig::new(&FlowSettings { active_timeout_ns: 3 * SECOND, ..settings(100) });
    rig.udp(1, false, 0, 60);
    rig.udp(2, false, 4 * SECOND, 60);
    let [goes_on, opens] = [1, 3].map(|flow| hold(&mut rig, flow, 4 * SECOND, 2).events);
    assert!(goes_on.has(FlowEvents::OPENED) && goes_on.has(FlowEvents::CONTINUED));
    assert!(opens.has(FlowEvents::OPENED) && !opens.has(FlowEvents::CONTINUED));
}
