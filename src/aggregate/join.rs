//! Joins the parts of flows: where a card sends the two directions of a flow, or later packets of one, to different queues, each queue has
//! a record of what it saw.
//!
//! Owns the choice of what belongs together. Knows no queue but its number. Invariant: packets and bytes of all records together
//! stay the same, and nothing is joined that one table would have kept apart, by the key of flows or by time.

use super::address_names::has_own_facts;
use super::records::{RecordPlace, Records};
use crate::flow::{Domain, EndReason, FactSet, FlowKey, FlowRecord, KeyScope};
use netscope_backends::Timestamp;
use std::collections::{HashMap, HashSet};

/// What the parts of a flow have in common: the 5-tuple, the interface, and the VLAN and tunnel as far as they belong to the key.
type PartKey = (FlowKey, u8, (u64, u64));

/// A record with a key that another queue has, too, so perhaps a part of a flow; half of it, as a rule.
struct PartialFlow {
    key: PartKey,
    first_seen: Timestamp,
    queue: u16,
    /// Where among the records that are shown.
    shown: usize,
}

/// A flow that halves are added to, and the latest record of each queue in it.
struct OpenFlow {
    record: FlowRecord,
    parts: Vec<(u16, EndReason)>,
    shown: Vec<usize>,
}

/// Joins what belongs together among the records at `shown`, which came from the queues at `queues`, one for one. The joined records
/// take the place of their parts. How many flows were joined.
pub(super) fn join_halves(records: &mut Records, shown: &mut Vec<RecordPlace>, queues: &[u16], scope: KeyScope) -> u64 {
    let split = keys_on_several_queues(records, shown, queues);
    if split.is_empty() {
        return 0;
    }
    let mut halves: Vec<PartialFlow> = shown
        .iter()
        .zip(queues)
        .enumerate()
        .filter_map(|(place, (&record, &queue))| {
            let key = *records.key(record);
            split.contains(&key).then(|| {
                let FlowRecord { vlan, tunnel, interface, first_seen, .. } = records.get(record);
                let domain = Domain::in_scope(scope, vlan, tunnel).numbers();
                PartialFlow { key: (key, interface, domain), first_seen, queue, shown: place }
            })
        })
        .collect();
    halves.sort_unstable_by_key(|half| (half.key, half.first_seen, half.queue, half.shown));
    let mut joined = Vec::new();
    for same_key in halves.chunk_by(|x, y| x.key == y.key) {
        joined.extend(flows_of(same_key, records, shown).into_iter().filter(|open| open.shown.len() > 1));
    }
    let mut gone = vec![false; if joined.is_empty() { 0 } else { shown.len() }];
    for open in &joined {
        // Those of the earliest part that has any; what the flow told itself goes before what others told of it.
        let facts = || open.shown.iter().map(|&place| records.facts(shown[place])).filter(|facts| !facts.is_empty());
        let facts = facts().find(|&facts| has_own_facts(facts)).or_else(|| facts().next());
        let facts = facts.unwrap_or_default().bytes().into_owned();
        for (i, &place) in open.shown.iter().enumerate() {
            records.remove(shown[place]);
            gone[place] = i > 0;
        }
        // Where the first part was.
        shown[open.shown[0]] = records.insert(&open.record, FactSet::of_bytes(&facts));
    }
    if !joined.is_empty() {
        let mut gone = gone.into_iter();
        shown.retain(|_| !gone.next().unwrap_or(false));
    }
    joined.len() as u64
}

/// Keys of which more than one queue has a record.
fn keys_on_several_queues(records: &Records, shown: &[RecordPlace], queues: &[u16]) -> HashSet<FlowKey> {
    let mut seen: HashMap<FlowKey, u16> = HashMap::with_capacity(shown.len());
    let on_another = |(&place, &queue): (&RecordPlace, &u16)| {
        let key = *records.key(place);
        (*seen.entry(key).or_insert(queue) != queue).then_some(key)
    };
    shown.iter().zip(queues).filter_map(on_another).collect()
}

/// Halves with one key, in order of time, put together to flows.
fn flows_of(halves: &[PartialFlow], records: &Records, shown: &[RecordPlace]) -> Vec<OpenFlow> {
    let mut flows = Flows::default();
    for half in halves {
        flows.add(half, records.get(shown[half.shown]));
    }
    flows.all
}

/// Flows of one key.
#[derive(Default)]
struct Flows {
    all: Vec<OpenFlow>,
    /// Those that may still take a half, by their beginnings. A key may have very many records one after the other; few of them last at
    /// the same time.
    lasting: Vec<usize>,
}

impl Flows {
    /// Adds a half that began no earlier than all before it: what ended before it takes none of those that follow either.
    fn add(&mut self, half: &PartialFlow, record: FlowRecord) {
        let Self { all, lasting } = self;
        lasting.retain(|&flow| all[flow].record.ended >= record.first_seen);
        match lasting.iter().find(|&&flow| all[flow].takes(half, &record)).map(|&flow| &mut all[flow]) {
            Some(open) => {
                open.record.join(&record);
                open.shown.push(half.shown);
                open.parts.retain(|(queue, _)| *queue != half.queue);
                open.parts.push((half.queue, record.reason));
                open.record.queues = u16::try_from(open.parts.len()).unwrap_or(u16::MAX);
            }
            None => {
                lasting.push(all.len());
                all.push(OpenFlow { parts: vec![(half.queue, record.reason)], shown: vec![half.shown], record });
            }
        }
    }
}

impl OpenFlow {
    /// True when one table would have counted this half here: it began before the flow had ended, and its own queue had either seen
    /// nothing of the flow or left it for silence alone, which the other half broke.
    fn takes(&self, half: &PartialFlow, record: &FlowRecord) -> bool {
        let seen = self.parts.iter().find(|(queue, _)| *queue == half.queue);
        record.first_seen <= self.record.ended
            && seen.is_none_or(|(_, reason)| *reason == EndReason::Timeout && self.parts.len() > 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::tcp::{TcpState, TcpStateDetail};
    use crate::flow::{Direction, TcpRecord};
    use crate::record::test_records::{tcp_record, udp6_record};
    use crate::wire::{Tunnel, TunnelKind, VlanTags};

    fn half(direction: usize, first_seen: u64, ended: u64, reason: EndReason) -> FlowRecord {
        let mut packets = [0; 2];
        packets[direction] = 3;
        FlowRecord {
            first_seen: Timestamp(first_seen),
            last_seen: Timestamp(first_seen + 5),
            ended: Timestamp(ended),
            packets,
            bytes: packets.map(|packets| packets * 100),
            reason,
            tcp: None,
            ..tcp_record()
        }
    }

    /// Joins these records of these queues; what is shown then.
    fn joined(given: &[(u16, FlowRecord)]) -> (u64, Vec<FlowRecord>) {
        joined_by(KeyScope::Tuple, given)
    }

    fn joined_by(scope: KeyScope, given: &[(u16, FlowRecord)]) -> (u64, Vec<FlowRecord>) {
        let mut records = Records::default();
        let mut shown: Vec<RecordPlace> = given.iter().map(|(_, record)| records.insert(record, FactSet::NONE)).collect();
        let queues: Vec<u16> = given.iter().map(|(queue, _)| *queue).collect();
        let count = join_halves(&mut records, &mut shown, &queues, scope);
        (count, shown.into_iter().map(|place| records.get(place)).collect())
    }

    #[test]
    fn two_halves_become_one_flow() {
        let whole = FlowRecord { key: udp6_record().key, ..half(0, 1, 9, EndReason::Exit) };
        let (count, shown) = joined(&[
            (1, half(1, 12, 70, EndReason::Exit)),
            (0, whole),
            (0, half(0, 10, 65, EndReason::Exit)),
            (1, udp6_record()),
        ]);
        assert_eq!((count, shown.len()), (1, 3));
        let flow = shown.iter().find(|record| record.queues == 2).expect("the joined one");
        assert_eq!((flow.packets, flow.bytes), ([3, 3], [300, 300]));
        assert_eq!((flow.first_seen, flow.last_seen, flow.ended), (Timestamp(10), Timestamp(17), Timestamp(70)));
        assert_eq!(shown.iter().filter(|record| record.queues == 1).count(), 2);
    }

    #[test]
    fn what_two_interfaces_saw_is_two_flows() {
        let [there, back] = [half(0, 10, 65, EndReason::Exit), half(1, 12, 70, EndReason::Exit)];
        let (count, shown) = joined(&[(0, there), (1, FlowRecord { interface: 1, ..back })]);
        assert_eq!((count, shown.len()), (0, 2));
        let on_second = [there, back].map(|half| FlowRecord { interface: 1, ..half });
        let (count, shown) = joined(&[(0, there), (1, on_second[0]), (2, on_second[1])]);
        assert_eq!((count, shown.iter().map(|record| record.interface).collect::<Vec<_>>()), (1, vec![0, 1]));
    }

    #[test]
    fn parts_in_different_vlans_or_tunnels_are_one_flow_where_these_are_no_part_of_the_key() {
        let in_vlan = |id, vni, half| {
            let tunnel = Some(Tunnel { kind: TunnelKind::Vxlan, id: vni });
            FlowRecord { vlan: VlanTags { ids: [id, 0], count: 1 }, tunnel, ..half }
        };
        let [there, back] = [half(0, 10, 65, EndReason::Exit), half(1, 12, 70, EndReason::Exit)];
        for (scope, vlan, vni, expected) in [
            (KeyScope::Tuple, 20, 6, 1),
            (KeyScope::Vlan, 20, 5, 0),
            (KeyScope::Vlan, 10, 6, 1),
            (KeyScope::VlanTunnel, 10, 6, 0),
            (KeyScope::VlanTunnel, 20, 5, 0),
            (KeyScope::VlanTunnel, 10, 5, 1),
        ] {
            let (count, shown) = joined_by(scope, &[(0, in_vlan(10, 5, there)), (1, in_vlan(vlan, vni, back))]);
            assert_eq!((count, shown.len()), (expected, 2 - expected as usize), "{scope:?} {vlan} {vni}");
        }
        // Two tenants on two queues: each part to its own.
        let given =
            [(0, in_vlan(10, 5, there)), (0, in_vlan(20, 5, there)), (1, in_vlan(20, 5, back)), (1, in_vlan(10, 5, back))];
        let (count, shown) = joined_by(KeyScope::Vlan, &given);
        assert_eq!((count, shown.len()), (2, 2));
        assert!(shown.iter().all(|record| record.packets == [3, 3] && record.queues == 2));
    }

    #[test]
    fn what_one_table_keeps_apart_stays_apart() {
        // The port was used again after both directions had closed.
        let (count, shown) = joined(&[
            (0, half(0, 10, 20, EndReason::Closed)),
            (0, half(0, 20, 40, EndReason::Exit)),
            (1, half(1, 11, 21, EndReason::Closed)),
            (1, half(1, 21, 41, EndReason::Exit)),
        ]);
        assert_eq!((count, shown.len()), (2, 2));
        assert!(shown.iter().all(|record| record.packets == [3, 3]));
        // Long after the one was over.
        let (count, shown) = joined(&[(0, half(0, 10, 20, EndReason::Timeout)), (1, half(1, 21, 41, EndReason::Exit))]);
        assert_eq!((count, shown.len()), (0, 2));
        // Two silences of one direction on one queue, and nothing of the other direction.
        let (count, shown) = joined(&[(3, half(0, 10, 20, EndReason::Timeout)), (3, half(0, 20, 41, EndReason::Exit))]);
        assert_eq!((count, shown.len()), (0, 2));
    }

    #[test]
    fn of_very_many_records_of_a_key_few_are_looked_at() {
        let mut flows = Flows::default();
        for number in 0..10_000_u64 {
            for queue in [0, 1] {
                let first_seen = 100 * number + u64::from(queue);
                let record = half(usize::from(queue), first_seen, first_seen + 50, EndReason::Timeout);
                let half =
                    PartialFlow { key: (record.key, 0, (0, 0)), first_seen: record.first_seen, queue, shown: flows.all.len() };
                flows.add(&half, record);
                assert_eq!(flows.lasting.len(), 1, "at record {number} of queue {queue}");
            }
        }
        assert_eq!(flows.all.len(), 10_000);
        assert!(flows.all.iter().all(|flow| flow.record.packets == [3, 3]));
    }

    #[test]
    fn a_part_with_both_directions_joins_too() {
        // A sender that changes its flow label moves one of its directions to another queue.
        let both = FlowRecord { packets: [1, 387], ..half(0, 11, 100, EndReason::Exit) };
        let (count, shown) = joined(&[(0, half(0, 10, 100, EndReason::Exit)), (1, both)]);
        assert_eq!((count, shown.len(), shown[0].packets), (1, 1, [4, 387]));
    }

    #[test]
    fn a_half_that_fell_silent_goes_on_in_a_flow_that_did_not() {
        let (count, shown) = joined(&[
            (0, half(0, 10, 70, EndReason::Timeout)),
            (1, half(1, 11, 500, EndReason::Exit)),
            (0, half(0, 300, 500, EndReason::Exit)),
        ]);
        assert_eq!((count, shown.len()), (1, 1));
        assert_eq!((shown[0].packets, shown[0].queues, shown[0].reason), ([6, 3], 2, EndReason::Exit));
    }

    #[test]
    fn the_halves_of_a_connection_know_together_what_one_could_not() {
        let tcp = tcp_record().tcp.expect("a TCP record");
        let of = |direction: usize, first_seen, flags: [u8; 2], state, detail| FlowRecord {
            tcp: Some(TcpRecord { flags, state, detail, mss: [0; 2], client: None, rtt: None, handshake_rtt_ns: None, ..tcp }),
            ..half(direction, first_seen, 100, EndReason::Exit)
        };
        let mut client = of(1, 10, [0, 0x13], TcpState::FinWait, TcpStateDetail::FinWait1);
        let mut server = of(0, 11, [0x13, 0], TcpState::FinWait, TcpStateDetail::FinWait1);
        if let (Some(client), Some(server)) = (&mut client.tcp, &mut server.tcp) {
            (client.client, client.mss) = (Some(Direction::BToA), [0, 1460]);
            server.mss = [1400, 0];
        }
        let (_, shown) = joined(&[(0, server), (1, client)]);
        let flow = shown[0].tcp.expect("TCP");
        assert_eq!((flow.flags, flow.mss, flow.client), ([0x13, 0x13], [1400, 1460], Some(Direction::BToA)));
        assert_eq!((flow.state, flow.detail), (TcpState::Closed, TcpStateDetail::Closing));
        assert_eq!((flow.retransmissions, flow.duplicate_acks), (2 * tcp.retransmissions, 2 * tcp.duplicate_acks));
        assert_eq!((flow.rtt, flow.handshake_rtt_ns), (None, None));
    }
}
