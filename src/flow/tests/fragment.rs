//! Fragments in either order, and the books of those that never find their first.

use super::*;
use crate::wire::Fragment;
use netscope_backends::Timestamp;
use proptest::prelude::*;

const PORTS: Ports = Ports { source: 7, destination: 9 };

/// The flow of a first fragment with these ports.
fn flow(network: &Network, ports: Ports) -> FlowAt {
    let (key, direction) = FlowKey::new(network, ports);
    FlowAt { keyed: Keyed { key, hash: 3, direction }, candidate: Candidate::NONE }
}

fn first(table: &mut FragmentTable, network: &Network, ports: Option<Ports>, time: Timestamp) -> Option<Held> {
    table.first(&packet(table, network, time, 0, 0), ports.map(|ports| flow(network, ports)).as_ref())
}

fn later(table: &mut FragmentTable, network: &Network, time: Timestamp, wire_len: u32, number: u64) -> Option<Later> {
    table.later(&packet(table, network, time, wire_len, number))
}

fn packet<'a>(table: &FragmentTable, network: &'a Network, time: Timestamp, wire_len: u32, number: u64) -> FragmentPacket<'a> {
    packet_in(Domain::NONE, table, network, time, wire_len, number)
}

fn packet_in<'a>(
    domain: Domain,
    table: &FragmentTable,
    network: &'a Network,
    time: Timestamp,
    wire_len: u32,
    number: u64,
) -> FragmentPacket<'a> {
    let hash = network.fragment.map_or(0, |fragment| table.hash(network, &fragment, domain));
    FragmentPacket { network, domain, hash, time, wire_len, number }
}

fn fragment(id: u32, offset: u32, len: u32, more: bool) -> Network {
    Network { fragment: Some(Fragment { id, offset, len, more }), ..network_of("10.0.0.1", "10.0.0.2", 17) }
}

#[test]
fn the_first_gives_its_ports_to_the_later() {
    let mut table = FragmentTable::new();
    assert_eq!(first(&mut table, &fragment(1, 0, 800, true), Some(PORTS), Timestamp(1)), None);
    let known = Some(Later::Known(flow(&fragment(1, 0, 800, true), PORTS)));
    assert_eq!(later(&mut table, &fragment(1, 800, 800, true), Timestamp(2), 834, 2), known);
    assert_eq!(later(&mut table, &fragment(2, 800, 800, true), Timestamp(2), 834, 3), Some(Later::Held));
    assert_eq!(table.counters().overlapping, 0);
}

#[test]
fn what_came_before_the_first_is_handed_over_once() {
    let mut table = FragmentTable::new();
    assert_eq!(later(&mut table, &fragment(1, 1600, 80, false), Timestamp(5), 114, 8), Some(Later::Held));
    assert_eq!(later(&mut table, &fragment(1, 800, 800, true), Timestamp(3), 834, 9), Some(Later::Held));
    assert_eq!(table.held(), (2, 948));
    let held = Held { packets: 2, bytes: 948, earliest: Timestamp(3), latest: Timestamp(5), first_packet: 8 };
    assert_eq!(first(&mut table, &fragment(1, 0, 800, true), Some(PORTS), Timestamp(6)), Some(held));
    assert_eq!(first(&mut table, &fragment(1, 0, 800, true), Some(PORTS), Timestamp(7)), None);
    assert_eq!((table.held(), table.counters().orphaned_packets), ((0, 0), 0));
}

#[test]
fn a_used_identification_begins_again() {
    let mut table = FragmentTable::new();
    let other = Ports { source: 1, destination: 2 };
    first(&mut table, &fragment(1, 0, 800, true), Some(PORTS), Timestamp(1));
    later(&mut table, &fragment(1, 800, 80, false), Timestamp(1), 100, 2);
    first(&mut table, &fragment(1, 0, 800, true), Some(other), Timestamp(2));
    let answer = later(&mut table, &fragment(1, 800, 80, false), Timestamp(2), 100, 4);
    assert_eq!(answer, Some(Later::Known(flow(&fragment(1, 0, 800, true), other))));
    assert_eq!((table.counters().overlapping, table.len()), (0, 1));
}

#[test]
fn overlapping_and_tiny_ones_are_counted() {
    let mut table = FragmentTable::new();
    first(&mut table, &fragment(1, 0, 800, true), Some(PORTS), Timestamp(1));
    later(&mut table, &fragment(1, 792, 80, false), Timestamp(1), 100, 2);
    assert_eq!(table.counters().overlapping, 1);
    first(&mut table, &fragment(2, 0, 8, true), None, Timestamp(1));
    later(&mut table, &fragment(2, 8, 8, true), Timestamp(1), 60, 3);
    later(&mut table, &fragment(2, 16, 8, false), Timestamp(1), 60, 4);
    assert_eq!(table.counters().tiny, 2, "the last one may be small");
    table.drain();
    assert_eq!(table.counters().orphaned_packets, 2);
}

#[test]
fn a_protocol_behind_extension_headers_comes_from_the_first() {
    let mut table = FragmentTable::new();
    let with = |protocol, offset| Network {
        fragment: Some(Fragment { id: 5, offset, len: 1000, more: true }),
        ..network_of("2001:db8::1", "2001:db8::2", protocol)
    };
    first(&mut table, &with(6, 0), Some(PORTS), Timestamp(1));
    let known = Some(Later::Known(flow(&with(6, 0), PORTS)));
    assert_eq!(later(&mut table, &with(60, 1000), Timestamp(1), 60, 2), known);
}

#[test]
fn time_and_number_bound_the_table() {
    let mut table = FragmentTable::new();
    for id in 0..5000 {
        later(&mut table, &fragment(id, 800, 80, false), Timestamp(1), 100, u64::from(id));
    }
    assert_eq!((table.len(), table.counters().evicted), (FragmentTable::DATAGRAM_COUNT_MAX, 904));
    assert_eq!(table.counters().orphaned_packets, 904);
    table.advance(Timestamp(FragmentTable::TIMEOUT_NS + 2));
    assert!(table.is_empty());
    assert_eq!((table.counters().orphaned_packets, table.counters().orphaned_bytes), (5000, 500_000));
}

proptest! {
    /// Later fragments = known + handed over + orphaned, whatever comes.
    #[test]
    fn every_later_fragment_is_accounted_for(
        steps in prop::collection::vec((0u32..20, 0u32..6, 0u64..10_000_000_000, any::<bool>()), 1..300),
    ) {
        let mut table = FragmentTable::new();
        let (mut time, mut laters, mut known, mut handed) = (0, 0, 0, 0);
        for (id, part, wait, ports) in steps {
            time += wait;
            let network = fragment(id, part * 80, 80, true);
            if part == 0 {
                handed += first(&mut table, &network, ports.then_some(PORTS), Timestamp(time)).map_or(0, |held| held.packets);
            } else {
                laters += 1;
                let answer = later(&mut table, &network, Timestamp(time), 100, laters);
                known += u64::from(answer != Some(Later::Held));
            }
        }
        table.drain();
        prop_assert_eq!(laters, known + handed + table.counters().orphaned_packets);
        prop_assert_eq!(table.len(), 0);
    }

    /// With any bound, what is told, held and given up is what a list says that is searched from its beginning.
    #[test]
    fn the_table_equals_a_list(
        count_max in 1usize..12,
        steps in prop::collection::vec((0u32..20, any::<bool>(), 0u32..4, 0u64..4_000_000_000, any::<u16>()), 1..300),
    ) {
        /// Identification and version, when it began, the first one's port, packets held.
        type Known = ((u32, bool), u64, Option<u16>, u64);
        let mut table = FragmentTable::with_count_max(count_max);
        let (mut time, mut list, mut orphaned, mut evicted) = (0, Vec::<Known>::new(), 0, 0);
        for (number, (id, six, part, wait, port)) in steps.into_iter().enumerate() {
            time += wait;
            let (source, destination) = if six { ("2001:db8::1", "2001:db8::2") } else { ("10.0.0.1", "10.0.0.2") };
            let part_of = Some(Fragment { id, offset: part * 80, len: 80, more: true });
            let network = Network { fragment: part_of, ..network_of(source, destination, 17) };
            let mut gone: Vec<Known> = list.extract_if(.., |known| time - known.1 > FragmentTable::TIMEOUT_NS).collect();
            let is_used = |known: &Known| known.0 == (id, six) && known.2.is_some() && part == 0;
            gone.extend(list.extract_if(.., |known| is_used(known)));
            if !list.iter().any(|known| known.0 == (id, six)) {
                if list.len() == count_max {
                    gone.push(list.remove(0));
                    evicted += 1;
                }
                list.push(((id, six), time, None, 0));
            }
            orphaned += gone.iter().map(|known| known.3).sum::<u64>();
            let known = list.iter_mut().find(|known| known.0 == (id, six)).expect("it was entered");
            if part == 0 {
                let ports = Ports { source: port, destination: 9 };
                let held = first(&mut table, &network, Some(ports), Timestamp(time));
                prop_assert_eq!(held.map_or(0, |held| held.packets), std::mem::take(&mut known.3));
                known.2 = Some(port);
            } else {
                let expected = match known.2 {
                    Some(source) => Later::Known(flow(&network, Ports { source, destination: 9 })),
                    None => Later::Held,
                };
                known.3 += u64::from(known.2.is_none());
                prop_assert_eq!(later(&mut table, &network, Timestamp(time), 100, number as u64), Some(expected));
            }
            prop_assert_eq!(table.len(), list.len());
            prop_assert_eq!(table.held().0, list.iter().map(|known| known.3).sum::<u64>());
            prop_assert_eq!((table.counters().evicted, table.counters().orphaned_packets), (evicted, orphaned));
        }
    }
}
