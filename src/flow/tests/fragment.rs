//! Fragments in either order, and the books of those that never find their first.

use super::*;
use crate::wire::{Fragment, Tunnel, TunnelKind};
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

/// Takes in a fragment of whatever kind of a datagram with these ports; the port of the flow that a later one was told.
fn take(table: &mut FragmentTable, domain: Domain, network: &Network, ports: Ports, time: u64) -> Option<u16> {
    let packet = packet_in(domain, table, network, Timestamp(time), 100, time);
    match table.later(&packet) {
        Some(Later::Known(flow)) => Some(flow.keyed.key.a_port()),
        Some(Later::Held) => None,
        None => {
            table.first(&packet, Some(&flow(network, ports)));
            None
        }
    }
}

const OTHER_PORTS: Ports = Ports { source: 1, destination: 2 };

#[test]
fn one_identification_in_several_vlans_and_tunnels_is_several_datagrams() {
    let tags = |ids, count| VlanTags { ids, count };
    let tunnel = |kind, id| Some(Tunnel { kind, id });
    let domains = [
        Domain::NONE,
        Domain::new(tags([10, 0], 1), None),
        Domain::new(tags([20, 0], 1), None),
        Domain::new(tags([10, 20], 2), None),
        Domain::new(tags([20, 10], 2), None),
        Domain::new(tags([10, 20], 3), None),
        Domain::new(tags([10, 0], 1), tunnel(TunnelKind::Vxlan, 1)),
        Domain::new(tags([0, 0], 0), tunnel(TunnelKind::Vxlan, 1)),
        Domain::new(tags([0, 0], 0), tunnel(TunnelKind::Vxlan, 2)),
        Domain::new(tags([0, 0], 0), tunnel(TunnelKind::Geneve, 1)),
    ];
    let mut table = FragmentTable::new();
    for (port, domain) in (100..).zip(domains) {
        take(&mut table, domain, &fragment(9, 0, 800, true), Ports { source: port, destination: 5000 }, 1);
    }
    for (port, domain) in (100..).zip(domains) {
        assert_eq!(take(&mut table, domain, &fragment(9, 800, 800, false), PORTS, 2), Some(port), "{domain:?}");
    }
    assert_eq!((table.counters().overlapping, table.len()), (0, domains.len()));
    // A tag that says a priority alone is none.
    let priority = Domain::new(tags([0, 0], 1), None);
    take(&mut table, priority, &fragment(7, 0, 800, true), PORTS, 3);
    assert_eq!(take(&mut table, Domain::NONE, &fragment(7, 800, 800, true), PORTS, 4), Some(7));
}

#[test]
fn a_complete_datagram_is_over() {
    let parts = [fragment(9, 0, 800, true), fragment(9, 800, 800, true), fragment(9, 1600, 80, false)];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        for next in 0..3 {
            let mut table = FragmentTable::new();
            for (time, part) in (1..).zip(order) {
                take(&mut table, Domain::NONE, &parts[part], PORTS, time);
            }
            // The next one of the same identification, in the order from `next` on, too long after to be a copy.
            let mut told = Vec::new();
            for (time, part) in (2 * FragmentTable::COPY_NS..).zip([next, (next + 1) % 3, (next + 2) % 3]) {
                told.extend(take(&mut table, Domain::NONE, &parts[part], OTHER_PORTS, time));
            }
            assert!(told.iter().all(|&port| port == OTHER_PORTS.source), "{order:?} {next}: {told:?}");
            assert_eq!((table.counters().overlapping, table.held(), table.len()), (0, (0, 0), 1), "{order:?} {next}");
        }
    }
}

#[test]
fn copies_of_any_fragment_belong_to_the_datagram() {
    let parts = [fragment(9, 0, 800, true), fragment(9, 800, 800, true), fragment(9, 1600, 80, false)];
    for (order, overlapping) in [
        (&[0, 2, 1, 2][..], 1),
        (&[0, 0, 1, 1, 2, 2], 3),
        (&[2, 2, 1, 1, 0, 0], 3),
        (&[1, 2, 0, 0, 2, 1], 3),
        (&[0, 1, 2, 0, 1, 2], 3),
        (&[2, 1, 0, 2, 1, 0, 2, 1, 0], 6),
    ] {
        let mut table = FragmentTable::new();
        for (time, &part) in (1..).zip(order) {
            take(&mut table, Domain::NONE, &parts[part], PORTS, time);
        }
        let counters = table.counters();
        assert_eq!((counters.overlapping, counters.orphaned_packets, table.held()), (overlapping, 0, (0, 0)), "{order:?}");
    }
}

#[test]
fn a_first_fragment_of_another_flow_is_no_copy() {
    let parts = [fragment(9, 0, 800, true), fragment(9, 800, 80, false)];
    let mut table = FragmentTable::new();
    for (time, ports) in (1..).zip([PORTS, OTHER_PORTS, PORTS]) {
        take(&mut table, Domain::NONE, &parts[0], ports, time);
        assert_eq!(take(&mut table, Domain::NONE, &parts[1], PORTS, time), Some(ports.source));
    }
    assert_eq!(table.counters().overlapping, 0);
}

#[test]
fn an_identification_from_long_before_or_after_is_no_copy() {
    let parts = [fragment(9, 0, 800, true), fragment(9, 800, 80, false)];
    let at = 10 * FragmentTable::COPY_NS;
    for (time, is_copy) in [
        (1, false),
        (at - FragmentTable::COPY_NS, false),
        (at - FragmentTable::COPY_NS + 1, true),
        (at, true),
        (at + FragmentTable::COPY_NS - 1, true),
        (at + FragmentTable::COPY_NS, false),
    ] {
        for again in [0, 1] {
            let mut table = FragmentTable::new();
            for part in &parts {
                take(&mut table, Domain::NONE, part, PORTS, at);
            }
            let told = take(&mut table, Domain::NONE, &parts[again], PORTS, time);
            assert_eq!(told, (is_copy && again == 1).then_some(PORTS.source), "{time}");
            assert_eq!(table.counters().overlapping, u64::from(is_copy), "{time}");
            assert_eq!(table.held().0, u64::from(!is_copy && again == 1), "{time}");
        }
    }
}

#[test]
fn no_more_bytes_are_held_than_a_record_counts() {
    let mut table = FragmentTable::new();
    let (count, wire_len) = ((1 << 16) + 3, u32::MAX);
    for number in 0..count {
        later(&mut table, &fragment(1, 800, 80, false), Timestamp(1), wire_len, number);
    }
    let (held, bytes) = table.held();
    assert!(held > 0 && bytes < 1 << 48 && table.counters().orphaned_packets > 0);
    assert_eq!(held + table.counters().orphaned_packets, count);
    assert_eq!(bytes + table.counters().orphaned_bytes, count * u64::from(wire_len));
}

#[test]
fn a_datagram_ends_where_any_datagram_must() {
    let mut table = FragmentTable::new();
    // The last fragment claims more bytes than a datagram can have; twice the same is still told.
    take(&mut table, Domain::NONE, &fragment(1, 0, 65_528, true), PORTS, 1);
    assert_eq!(take(&mut table, Domain::NONE, &fragment(1, 65_520, 1480, true), PORTS, 2), Some(PORTS.source));
    assert_eq!(take(&mut table, Domain::NONE, &fragment(1, 65_528, 1480, false), PORTS, 2), Some(PORTS.source));
    assert_eq!(table.counters().overlapping, 2);
    // It was complete.
    let next = 2 + FragmentTable::COPY_NS;
    assert_eq!(take(&mut table, Domain::NONE, &fragment(1, 65_520, 8, false), PORTS, next), None);
}

#[test]
fn a_complete_datagram_that_gives_way_is_no_loss() {
    let mut table = FragmentTable::with_count_max(2);
    for id in 0..5 {
        take(&mut table, Domain::NONE, &fragment(id, 0, 800, true), PORTS, 1);
        take(&mut table, Domain::NONE, &fragment(id, 800, 80, false), PORTS, 1);
    }
    assert_eq!((table.len(), table.counters().evicted), (2, 0));
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

/// Packets that came to the flow of these ports, when the parts up to `last` of one datagram come in this order, `gap` ns apart.
fn in_flow(table: &mut FragmentTable, order: &[u32], last: u32, ports: Ports, time: &mut u64, gap: u64) -> u64 {
    let mut count = 0;
    for &part in order {
        *time += gap;
        let network = fragment(1, part * 80, 80, part < last);
        if part == 0 {
            count += 1 + first(table, &network, Some(ports), Timestamp(*time)).map_or(0, |held| held.packets);
        } else if let Some(Later::Known(told)) = later(table, &network, Timestamp(*time), 100, *time) {
            assert_eq!(told, flow(&network, ports));
            count += 1;
        }
    }
    count
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

    /// Of a capture that has every packet twice, in whatever order, each packet is in the flow, and each copy overlaps.
    #[test]
    fn no_copy_is_lost(
        orders in prop::collection::vec((1..FragmentTable::COPY_NS, doubled()), 1..6),
        wait in FragmentTable::COPY_NS..10_000_000_000,
    ) {
        let mut table = FragmentTable::new();
        let (mut time, mut overlapping) = (0, 0);
        for (port, (gap, order)) in (100u16..).zip(orders) {
            // The same identification again, in a datagram of another flow.
            time += wait;
            let ports = Ports { source: port, destination: 9 };
            let last = order.len() as u32 / 2 - 1;
            prop_assert_eq!(in_flow(&mut table, &order, last, ports, &mut time, gap), order.len() as u64);
            overlapping += order.len() as u64 / 2;
            let counters = table.counters();
            prop_assert_eq!((counters.overlapping, counters.orphaned_packets, table.held().0), (overlapping, 0, 0));
        }
    }

    /// An identification that is used again later, in whatever order, is another datagram.
    #[test]
    fn no_datagram_takes_fragments_of_the_next_one(
        orders in prop::collection::vec((2u32..8).prop_flat_map(|n| Just((0..n).collect::<Vec<_>>()).prop_shuffle()), 2..6),
        gap in 0..FragmentTable::COPY_NS * 3,
        wait in FragmentTable::COPY_NS..10_000_000_000,
        same_flow in any::<bool>(),
    ) {
        let mut table = FragmentTable::new();
        let mut time = 0;
        for (port, order) in (100u16..).zip(orders) {
            time += wait;
            let ports = Ports { source: if same_flow { 100 } else { port }, destination: 9 };
            let last = order.len() as u32 - 1;
            prop_assert_eq!(in_flow(&mut table, &order, last, ports, &mut time, gap), order.len() as u64);
            prop_assert_eq!((table.counters().overlapping, table.counters().orphaned_packets, table.len()), (0, 0, 1));
        }
    }

    /// With any bound, what is told, held and given up of datagrams without an end is what a list says that is searched from its
    /// beginning.
    #[test]
    fn the_table_equals_a_list(
        count_max in 1usize..12,
        steps in prop::collection::vec((0u32..12, any::<bool>(), 0u32..4, wait(), any::<u16>()), 1..300),
    ) {
        let mut table = FragmentTable::with_count_max(count_max);
        let (mut time, mut list, mut orphaned, mut evicted) = (0, Vec::<Listed>::new(), 0, 0);
        for (number, (id, six, part, wait, port)) in steps.into_iter().enumerate() {
            time += wait;
            let (source, destination) = if six { ("2001:db8::1", "2001:db8::2") } else { ("10.0.0.1", "10.0.0.2") };
            let part_of = Some(Fragment { id, offset: part * 80, len: 80, more: true });
            let network = Network { fragment: part_of, ..network_of(source, destination, 17) };
            let mut gone: Vec<Listed> = list.extract_if(.., |known| time - known.began > FragmentTable::TIMEOUT_NS).collect();
            gone.extend(list.extract_if(.., |known| known.name == (id, six) && known.port.is_some() && part == 0));
            if !list.iter().any(|known| known.name == (id, six)) {
                if list.len() == count_max {
                    gone.push(list.remove(0));
                    evicted += 1;
                }
                list.push(Listed { name: (id, six), began: time, port: None, held: 0 });
            }
            orphaned += gone.iter().map(|known| known.held).sum::<u64>();
            let known = list.iter_mut().find(|known| known.name == (id, six)).expect("it was entered");
            if part == 0 {
                let ports = Ports { source: port, destination: 9 };
                let held = first(&mut table, &network, Some(ports), Timestamp(time));
                prop_assert_eq!(held.map_or(0, |held| held.packets), std::mem::take(&mut known.held));
                known.port = known.port.or(Some(port));
            } else {
                let expected = match known.port {
                    Some(source) => Later::Known(flow(&network, Ports { source, destination: 9 })),
                    None => Later::Held,
                };
                known.held += u64::from(known.port.is_none());
                prop_assert_eq!(later(&mut table, &network, Timestamp(time), 100, number as u64), Some(expected));
            }
            prop_assert_eq!(table.len(), list.len());
            prop_assert_eq!(table.held().0, list.iter().map(|known| known.held).sum::<u64>());
            prop_assert_eq!((table.counters().evicted, table.counters().orphaned_packets), (evicted, orphaned));
        }
    }
}

/// Each long enough for no fragment to be a copy of the one before it.
fn wait() -> impl Strategy<Value = u64> {
    prop_oneof![8 => Just(FragmentTable::COPY_NS), 1 => FragmentTable::COPY_NS..4_000_000_000]
}

/// The fragments of a datagram, each of them twice: at once, the whole of it again, or mixed.
fn doubled() -> impl Strategy<Value = Vec<u32>> {
    let once = (2u32..8).prop_flat_map(|n| Just((0..n).collect::<Vec<_>>()).prop_shuffle());
    prop_oneof![
        once.clone().prop_map(|order| order.iter().flat_map(|&part| [part; 2]).collect()),
        once.clone().prop_map(|order| order.repeat(2)),
        once.prop_flat_map(|order| Just(order.repeat(2)).prop_shuffle()),
    ]
}

/// A datagram as the list of the test knows it.
struct Listed {
    /// Identification and version.
    name: (u32, bool),
    began: u64,
    /// Of the first fragment.
    port: Option<u16>,
    /// Packets.
    held: u64,
}
