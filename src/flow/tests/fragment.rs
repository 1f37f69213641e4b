//! Fragments in either order, and the books of those that never find their first.

use super::*;
use crate::wire::Fragment;
use netscope_backends::Timestamp;
use proptest::prelude::*;

const PORTS: Ports = Ports { source: 7, destination: 9 };

fn fragment(id: u32, offset: u32, len: u32, more: bool) -> Network {
    Network { fragment: Some(Fragment { id, offset, len, more }), ..network_of("10.0.0.1", "10.0.0.2", 17) }
}

#[test]
fn the_first_gives_its_ports_to_the_later() {
    let mut table = FragmentTable::new();
    assert_eq!(table.first(&fragment(1, 0, 800, true), Some(PORTS), Timestamp(1)), None);
    let known = Some(Later::Known { ports: PORTS, protocol: 17 });
    assert_eq!(table.later(&fragment(1, 800, 800, true), Timestamp(2), 834, 2), known);
    assert_eq!(table.later(&fragment(2, 800, 800, true), Timestamp(2), 834, 3), Some(Later::Held));
    assert_eq!(table.counters().overlapping, 0);
}

#[test]
fn what_came_before_the_first_is_handed_over_once() {
    let mut table = FragmentTable::new();
    assert_eq!(table.later(&fragment(1, 1600, 80, false), Timestamp(5), 114, 8), Some(Later::Held));
    assert_eq!(table.later(&fragment(1, 800, 800, true), Timestamp(3), 834, 9), Some(Later::Held));
    assert_eq!(table.held(), (2, 948));
    let held = Held { packets: 2, bytes: 948, earliest: Timestamp(3), latest: Timestamp(5), first_packet: 8 };
    assert_eq!(table.first(&fragment(1, 0, 800, true), Some(PORTS), Timestamp(6)), Some(held));
    assert_eq!(table.first(&fragment(1, 0, 800, true), Some(PORTS), Timestamp(7)), None);
    assert_eq!((table.held(), table.counters().orphaned_packets), ((0, 0), 0));
}

#[test]
fn a_used_identification_begins_again() {
    let mut table = FragmentTable::new();
    let other = Ports { source: 1, destination: 2 };
    table.first(&fragment(1, 0, 800, true), Some(PORTS), Timestamp(1));
    table.later(&fragment(1, 800, 80, false), Timestamp(1), 100, 2);
    table.first(&fragment(1, 0, 800, true), Some(other), Timestamp(2));
    let later = table.later(&fragment(1, 800, 80, false), Timestamp(2), 100, 4);
    assert_eq!(later, Some(Later::Known { ports: other, protocol: 17 }));
    assert_eq!((table.counters().overlapping, table.len()), (0, 1));
}

#[test]
fn overlapping_and_tiny_ones_are_counted() {
    let mut table = FragmentTable::new();
    table.first(&fragment(1, 0, 800, true), Some(PORTS), Timestamp(1));
    table.later(&fragment(1, 792, 80, false), Timestamp(1), 100, 2);
    assert_eq!(table.counters().overlapping, 1);
    table.first(&fragment(2, 0, 8, true), None, Timestamp(1));
    table.later(&fragment(2, 8, 8, true), Timestamp(1), 60, 3);
    table.later(&fragment(2, 16, 8, false), Timestamp(1), 60, 4);
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
    table.first(&with(6, 0), Some(PORTS), Timestamp(1));
    assert_eq!(table.later(&with(60, 1000), Timestamp(1), 60, 2), Some(Later::Known { ports: PORTS, protocol: 6 }));
}

#[test]
fn time_and_number_bound_the_table() {
    let mut table = FragmentTable::new();
    for id in 0..5000 {
        table.later(&fragment(id, 800, 80, false), Timestamp(1), 100, u64::from(id));
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
        let (mut time, mut later, mut known, mut handed) = (0, 0, 0, 0);
        for (id, part, wait, ports) in steps {
            time += wait;
            let network = fragment(id, part * 80, 80, true);
            if part == 0 {
                handed += table.first(&network, ports.then_some(PORTS), Timestamp(time)).map_or(0, |held| held.packets);
            } else {
                later += 1;
                let answer = table.later(&network, Timestamp(time), 100, later);
                known += u64::from(answer != Some(Later::Held));
            }
        }
        table.drain();
        prop_assert_eq!(later, known + handed + table.counters().orphaned_packets);
        prop_assert_eq!(table.len(), 0);
    }
}
