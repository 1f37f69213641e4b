//! Timeouts by protocol and state: against a model, and the same whoever looks when.

use super::table::{Rig, SECOND};
use super::*;
use netscope_backends::Timestamp;
use proptest::prelude::*;
use std::collections::HashMap;

const SYN: u16 = 2;
const ACK: u16 = 16;
const NEVER: u64 = u64::MAX;

fn settings(idle_timeout_ns: u64, timeouts: StateTimeouts) -> FlowSettings {
    FlowSettings { flow_count_max: 1000, idle_timeout_ns, closed_timeout_ns: 2 * SECOND, timeouts, ..FlowSettings::default() }
}

/// Reason and end of the records, in s, in the order in which they came.
fn ends(rig: &Rig) -> Vec<(EndReason, f64)> {
    rig.records.iter().map(|record| (record.reason, record.ended.0 as f64 / SECOND as f64)).collect()
}

#[test]
fn udp_ends_by_who_has_sent() {
    let timeouts =
        StateTimeouts { udp_one_way_ns: Some(3 * SECOND), udp_two_way_ns: Some(90 * SECOND), ..StateTimeouts::default() };
    for typed in [false, true] {
        let mut rig = Rig { typed, ..Rig::new(&settings(10 * SECOND, timeouts)) };
        rig.udp(1, false, SECOND, 100);
        rig.udp(2, false, SECOND, 100);
        rig.udp(2, true, 2 * SECOND, 100);
        rig.advance(5 * SECOND, usize::MAX);
        assert_eq!(ends(&rig), [(EndReason::Timeout, 4.0)]);
        // Later than the idle timeout, and than the shortest one.
        assert!(!rig.udp(2, false, 80 * SECOND, 100).opened());
        rig.advance(169 * SECOND, usize::MAX);
        assert_eq!(rig.records.len(), 1);
        rig.advance(172 * SECOND, usize::MAX);
        assert_eq!(ends(&rig)[1..], [(EndReason::Timeout, 170.0)]);
        assert!(rig.table.is_empty());
    }
}

#[test]
fn tcp_ends_by_its_handshake() {
    let timeouts =
        StateTimeouts { tcp_handshake_ns: Some(SECOND), tcp_established_ns: Some(100 * SECOND), ..StateTimeouts::default() };
    for typed in [false, true] {
        let mut rig = Rig { typed, ..Rig::new(&settings(10 * SECOND, timeouts)) };
        rig.packet(1, false, SECOND, 60, Some((SYN, 9)));
        rig.packet(2, false, SECOND, 60, Some((SYN, 9)));
        rig.acknowledgment = 10;
        rig.packet(2, true, SECOND + 1, 60, Some((SYN | ACK, 19)));
        rig.acknowledgment = 20;
        rig.packet(2, false, SECOND + 2, 60, Some((ACK, 10)));
        rig.advance(3 * SECOND, usize::MAX);
        assert_eq!(ends(&rig), [(EndReason::Timeout, 2.0)], "half open");
        assert!(!rig.packet(2, false, 101 * SECOND, 60, Some((ACK, 10))).opened());
        rig.advance(202 * SECOND + SECOND / 2, usize::MAX);
        assert_eq!(ends(&rig)[1..], [(EndReason::Timeout, 201.0)]);
    }
}

#[test]
fn a_closed_connection_ends_by_its_own_time() {
    // Timeout of established connections, idle timeout, end behind the last segment; all in s.
    for (established, idle, after) in
        [(Some(100), 10, Some(2)), (Some(1), 10, Some(1)), (Some(0), 10, Some(2)), (Some(5), 0, Some(2)), (Some(0), 0, None)]
    {
        let timeouts = StateTimeouts { tcp_established_ns: established.map(|secs| secs * SECOND), ..StateTimeouts::default() };
        for typed in [false, true] {
            let mut rig = Rig { typed, ..Rig::new(&settings(idle * SECOND, timeouts)) };
            (0..7).for_each(|step| rig.segment(1, step, SECOND));
            rig.advance(90 * SECOND, usize::MAX);
            let expected: Vec<_> = after.into_iter().map(|after| (EndReason::Closed, (1 + after) as f64)).collect();
            assert_eq!(ends(&rig), expected, "{established:?} {idle}");
        }
    }
}

#[test]
fn echo_ends_by_its_reply_and_others_by_the_idle_timeout() {
    let timeouts =
        StateTimeouts { echo_request_ns: Some(SECOND), echo_replied_ns: Some(20 * SECOND), ..StateTimeouts::default() };
    let mut table = FlowTable::new(&settings(10 * SECOND, timeouts), HashSecret::FIXED);
    let mut records = Vec::new();
    let mut count = |table: &mut FlowTable, protocol, ports: (u16, u16), back: bool, time: u64, number| {
        let (from, to) = if back { ("192.0.2.1", "10.0.0.1") } else { ("10.0.0.1", "192.0.2.1") };
        let network = network_of(from, to, protocol);
        let (key, direction) = FlowKey::new(&network, Ports { source: ports.0, destination: ports.1 });
        let keyed = Keyed { key, hash: table.hash(&key), direction };
        let packet = FlowPacket {
            keyed: &keyed,
            candidate: Candidate::NONE,
            time: Timestamp(time),
            wire_len: 60,
            content: Content::Other,
        };
        let facts = dissected(network, Transport::Other);
        table.count(packet, FullFacts { number, dissected: &facts }, false, |record, _| records.push(*record));
    };
    count(&mut table, 1, (7, 7), false, SECOND, 1);
    count(&mut table, 1, (8, 8), false, SECOND, 2);
    count(&mut table, 1, (8, 8), true, SECOND, 3);
    count(&mut table, 50, (0, 0), false, SECOND, 4);
    table.advance(Timestamp(60 * SECOND), usize::MAX, &mut |record, _| records.push(*record));
    let mut ends: Vec<_> = records.iter().map(|record| (record.first_packet, record.ended.0 / SECOND)).collect();
    ends.sort_unstable();
    assert_eq!(ends, [(1, 2), (2, 21), (4, 11)]);
}

/// A timeout, 0 = never.
fn timeout() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(SECOND / 2), Just(SECOND), Just(3 * SECOND), Just(10 * SECOND), Just(200 * SECOND)]
}

fn wait() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0..SECOND / 10,
        2 => 0..4 * SECOND,
        1 => (timeout(), 0..3u64).prop_map(|(timeout, more)| (timeout + more).saturating_sub(1)),
        1 => 0..300 * SECOND,
    ]
}

/// A flow of UDP as the settings say it, by scanning.
#[derive(Clone, Copy)]
struct Modelled {
    first: u64,
    sent: [bool; 2],
    touched: u64,
}

impl Modelled {
    fn end(&self, said: [u64; 2]) -> u64 {
        match said[usize::from(self.sent == [true; 2])] {
            0 => NEVER,
            timeout => self.touched + timeout,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Records end when the model says, whoever looks when, by any path; and the wheel finds them soon.
    #[test]
    fn udp_ends_as_the_model_says(
        idle in timeout(),
        one_way in prop::option::of(timeout()),
        two_way in prop::option::of(timeout()),
        // Belongs to no flow here, and makes the wheel look more often.
        queried in prop::option::of(timeout()),
        steps in prop::collection::vec((0u32..5, any::<bool>(), wait(), any::<bool>()), 1..80),
        [typed, always] in any::<[bool; 2]>(),
    ) {
        let timeouts =
            StateTimeouts { udp_one_way_ns: one_way, udp_two_way_ns: two_way, dns_queried_ns: queried, ..StateTimeouts::default() };
        let said = [one_way, two_way].map(|timeout| timeout.unwrap_or(idle));
        let shortest = [Some(idle), one_way, two_way, queried].into_iter().flatten().filter(|&ns| ns > 0).min();
        let slack = shortest.map_or(0, |ns| ns.max(SECOND / 2)) + SECOND;
        let mut rig = Rig { typed, ..Rig::new(&settings(idle, timeouts)) };
        let (mut live, mut ended): (HashMap<u32, Modelled>, Vec<(u64, u64)>) = (HashMap::new(), Vec::new());
        let mut time = 5 * SECOND;
        rig.advance(time, usize::MAX);
        for (number, (flow, back, wait, looks)) in (1..).zip(steps) {
            time += wait;
            if looks || always {
                rig.advance(time, usize::MAX);
            }
            let counted = rig.udp(flow, back, time, 100);
            let before = live.get(&flow).copied().filter(|before| before.end(said) >= time);
            if let Some(over) = live.get(&flow).filter(|_| before.is_none()) {
                ended.push((over.first, over.end(said)));
            }
            prop_assert_eq!(counted.opened(), before.is_none());
            let mut now = before.unwrap_or(Modelled { first: number, sent: [false; 2], touched: time });
            now.sent[usize::from(back)] = true;
            now.touched = time;
            live.insert(flow, now);
        }
        if always {
            // None is found much too late; behind a jump of the clock it takes a second look.
            for _ in 0..3 {
                time += slack;
                rig.advance(time, usize::MAX);
            }
            for flow in live.values().filter(|flow| flow.end(said).saturating_add(slack) < time) {
                prop_assert!(rig.firsts().contains(&flow.first), "{} was not found at {}", flow.first, time);
            }
        }
        let last = live.values().map(|flow| if flow.end(said) < time { (flow.first, flow.end(said)) } else { (flow.first, time) });
        ended.extend(last);
        ended.sort_unstable();
        rig.drain();
        let mut found: Vec<_> = rig.records.iter().map(|record| (record.first_packet, record.ended.0)).collect();
        found.sort_unstable();
        prop_assert_eq!(found, ended);
        for record in &rig.records {
            prop_assert_eq!(record.reason, if record.ended.0 < time { EndReason::Timeout } else { EndReason::Exit });
        }
    }

    /// The same of TCP by all paths, looked at always, sometimes or never.
    #[test]
    fn tcp_ends_the_same_by_every_way(
        idle in timeout(),
        handshake in prop::option::of(timeout()),
        established in prop::option::of(timeout()),
        closed in prop_oneof![Just(0), Just(SECOND), Just(20 * SECOND)],
        steps in prop::collection::vec((0usize..3, wait(), prop::bool::weighted(0.1), any::<bool>()), 1..60),
    ) {
        let timeouts =
            StateTimeouts { tcp_handshake_ns: handshake, tcp_established_ns: established, ..StateTimeouts::default() };
        let settings = FlowSettings { closed_timeout_ns: closed, ..settings(idle, timeouts) };
        let mut rigs = [(false, 0), (true, 0), (true, 1), (false, 2), (true, 2)]
            .map(|(typed, looks)| (Rig { typed, ..Rig::new(&settings) }, looks));
        let (mut time, mut next) = (5 * SECOND, [0usize; 3]);
        for (flow, wait, begins_again, looks) in steps {
            time += wait;
            next[flow] = if begins_again { 0 } else { next[flow] };
            for (rig, how) in &mut rigs {
                if *how == 2 || *how == 1 && looks {
                    rig.advance(time, usize::MAX);
                }
                rig.segment(flow as u32, next[flow] % 10, time);
            }
            next[flow] += 1;
        }
        let mut all = rigs.map(|(mut rig, _)| {
            rig.drain();
            rig.records.sort_unstable_by_key(|record| record.first_packet);
            (rig.records, rig.table.after_close())
        });
        let first = std::mem::take(&mut all[0]);
        for other in &all[1..] {
            prop_assert_eq!(other, &first);
        }
    }
}

#[test]
fn the_packet_path_asks_nothing_before_the_shortest_timeout() {
    let timeouts = StateTimeouts { dns_answered_ns: Some(SECOND), ..StateTimeouts::default() };
    let mut rig = Rig { typed: true, ..Rig::new(&settings(10 * SECOND, timeouts)) };
    rig.udp(1, false, SECOND, 100);
    rig.udp(1, true, 2 * SECOND, 100);
    assert_eq!(rig.went, 1);
    rig.udp(1, true, 3 * SECOND + 1, 100);
    assert_eq!(rig.went, 1, "it may be over");
}
