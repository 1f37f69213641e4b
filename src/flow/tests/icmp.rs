//! ICMP errors and the flows that they quote.

use super::table::{Rig, SECOND, settings};
use super::*;
use netscope_backends::Timestamp;

/// Key of the rig's UDP flow.
fn key(flow: u8) -> FlowKey {
    key_of(&format!("10.0.0.{flow}"), "192.0.2.1", 1000, 53, 17).0
}

#[test]
fn a_flow_counts_errors_while_it_lives_and_is_not_kept_alive_by_them() {
    let mut rig = Rig::new(&settings(0));
    assert_eq!(rig.table.count_icmp_error(&key(1)), None, "there is none yet");
    let place = rig.udp(1, false, SECOND, 60).place;
    assert_eq!(rig.table.count_icmp_error(&key(2)), None, "another flow");
    assert_eq!(rig.table.count_icmp_error(&key(1)), Some(place));
    rig.table.pass(Timestamp(11 * SECOND));
    assert_eq!(rig.table.count_icmp_error(&key(1)), Some(place), "the timeout is not over");
    rig.table.pass(Timestamp(11 * SECOND + 1));
    assert_eq!(rig.table.count_icmp_error(&key(1)), None, "it is over, whether the wheel has come by or not");
    assert!(rig.advance(20 * SECOND, usize::MAX));
    let [record] = &rig.records[..] else { panic!("{:?}", rig.records) };
    assert_eq!((record.icmp_errors, record.ended, record.packets), (2, Timestamp(11 * SECOND), [1, 0]));
}

#[test]
fn the_first_flow_that_is_named_stays_and_its_memory_is_given_back() {
    let mut rig = Rig::new(&FlowSettings { active_timeout_ns: 5 * SECOND, ..settings(0) });
    let quoted = |flow| QuotedFlow { key: key(flow), initiator: Direction::BToA };
    for flow in [1, 2, 3] {
        let place = rig.udp(flow, false, SECOND, 60).place;
        rig.table.note_quote(place, quoted(flow as u8 + 10));
        rig.table.note_quote(place, quoted(9));
    }
    assert_eq!(rig.table.extras_in_use(), (3, 3));
    // The record that goes on after the active timeout names nothing until it is told.
    rig.udp(1, false, 7 * SECOND, 60);
    assert_eq!(rig.table.extras_in_use(), (2, 2));
    assert!(rig.advance(30 * SECOND, usize::MAX));
    assert_eq!(rig.table.extras_in_use(), (0, 0));
    let mut named: Vec<_> = rig.records.iter().map(|record| (record.first_packet, record.quoted)).collect();
    named.sort_by_key(|&(number, _)| number);
    assert_eq!(named, [(1, Some(quoted(11))), (2, Some(quoted(12))), (3, Some(quoted(13))), (4, None)]);
}
