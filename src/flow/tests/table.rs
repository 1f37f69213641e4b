//! The table against a model that scans, and its promises one by one.

use super::*;
use crate::wire;
use crate::wire::{PlainSegment, SynSegment, TcpFlags, TcpOptions, TcpSegment, VlanTags};
use netscope_backends::{LinkType, Timestamp};
use proptest::prelude::*;
use std::collections::HashMap;

pub(super) const SECOND: u64 = Timestamp::NS_PER_SEC;

pub(super) fn settings(flow_count_max: usize) -> FlowSettings {
    FlowSettings { flow_count_max, idle_timeout_ns: 10 * SECOND, closed_timeout_ns: 2 * SECOND, ..FlowSettings::default() }
}

/// A table with a packet counter, and the records it handed out.
pub(super) struct Rig {
    pub(super) table: FlowTable,
    pub(super) number: u64,
    pub(super) records: Vec<FlowRecord>,
    /// Packets say what they are, so that they may take the fast and warm paths.
    pub(super) typed: bool,
    /// Packets are later fragments of what they would be otherwise.
    pub(super) later: bool,
    /// Packets that went it.
    pub(super) went: u64,
    /// What segments acknowledge; at first the SYN with number 0.
    pub(super) acknowledgment: u32,
}

impl Rig {
    pub(super) fn new(settings: &FlowSettings) -> Self {
        let table = FlowTable::new(settings, HashSecret::FIXED);
        Self { table, number: 0, records: Vec::new(), typed: false, later: false, went: 0, acknowledgment: 1 }
    }

    /// A UDP packet of flow `flow`.
    pub(super) fn udp(&mut self, flow: u32, back: bool, time: u64, wire_len: u32) -> Counted {
        self.packet(flow, back, time, wire_len, None)
    }

    pub(super) fn packet(&mut self, flow: u32, back: bool, time: u64, wire_len: u32, tcp: Option<(u16, u32)>) -> Counted {
        let [a, b, c, d] = flow.to_be_bytes();
        let mut network = network_of("10.0.0.0", "192.0.2.1", if tcp.is_some() { 6 } else { 17 });
        network.source[..4].copy_from_slice(&[10 ^ a, b, c, d]);
        let mut ports = Ports { source: 1000, destination: 53 };
        if back {
            (network.source, network.destination) = (network.destination, network.source);
            ports = Ports { source: 53, destination: 1000 };
        }
        let transport = match tcp {
            _ if self.later => Transport::None,
            None => Transport::Udp(ports),
            Some((flags, sequence)) => Transport::Tcp(TcpSegment {
                ports,
                sequence,
                acknowledgment: if flags & 16 != 0 { self.acknowledgment } else { 0 },
                flags: TcpFlags(flags),
                window: 1000,
                payload_len: 0,
                options: TcpOptions::default(),
            }),
        };
        let mut dissected = dissected(network, transport);
        if flow % 4 == 3 {
            dissected.vlan = VlanTags { ids: [flow as u16 & 0xfff, 0], count: 1 };
        }
        let (key, direction) = FlowKey::new(&network, ports);
        self.number += 1;
        let (hash, number, records) = (self.table.hash(&key), self.number, &mut self.records);
        let candidate = if self.typed { self.table.prefetch_entry(hash) } else { Candidate::NONE };
        let (plain, syn) = match &dissected.transport {
            Transport::Tcp(segment) => (PlainSegment::of(segment).or(PlainSegment::last_of(segment)), SynSegment::of(segment)),
            _ => (None, None),
        };
        let content = match (&plain, &syn) {
            _ if self.later => Content::LaterFragment,
            _ if !self.typed => Content::Other,
            (Some(segment), _) if segment.is_last() => Content::LastSegment(segment),
            (Some(segment), _) => Content::Segment(segment),
            (_, Some(segment)) => Content::Syn(segment),
            _ if tcp.is_none() => Content::Datagram,
            _ => Content::Other,
        };
        let packet = FlowPacket { keyed: &Keyed { key, hash, direction }, candidate, time: Timestamp(time), wire_len, content };
        let facts = FullFacts { number, dissected: &dissected };
        let counted = self.table.count(packet, facts, true, |record, _| records.push(*record));
        self.went += u64::from(counted.path != CountPath::Slow);
        counted
    }

    pub(super) fn advance(&mut self, now: u64, budget: usize) -> bool {
        let records = &mut self.records;
        self.table.advance(Timestamp(now), budget, &mut |record, _| records.push(*record))
    }

    pub(super) fn drain(&mut self) {
        let records = &mut self.records;
        let last = self.table.finish(&mut |record, _| records.push(*record));
        records.extend(last.records());
    }

    pub(super) fn firsts(&self) -> Vec<u64> {
        self.records.iter().map(|record| record.first_packet).collect()
    }
}

/// From one packet to the next, in ns: short, backwards, or around a timeout.
pub(super) fn wait() -> impl Strategy<Value = i64> {
    let timeout = prop_oneof![Just(0), Just(1), Just(2 * SECOND), Just(10 * SECOND), Just(20 * SECOND)];
    prop_oneof![
        6 => 0..50_000_001i64,
        1 => -100_000_000..0i64,
        1 => (timeout, -1i64..=1).prop_map(|(timeout, more)| timeout as i64 + more),
        2 => 0..3_000_000_000i64,
    ]
}

#[test]
fn an_idle_flow_ends_at_its_last_touch_plus_the_timeout() {
    let mut rig = Rig::new(&settings(100));
    rig.udp(1, false, SECOND, 100);
    rig.udp(1, true, 2 * SECOND, 60);
    assert!(rig.advance(12 * SECOND, 10));
    assert!(rig.records.is_empty(), "exactly the timeout is not over it");
    assert!(rig.advance(13 * SECOND, 10));
    let record = rig.records[0];
    assert_eq!((record.reason, record.ended), (EndReason::Timeout, Timestamp(12 * SECOND)));
    assert_eq!((record.packets.iter().sum::<u64>(), record.bytes.iter().sum::<u64>()), (2, 160));
    assert_eq!((record.first_seen, record.last_seen), (Timestamp(SECOND), Timestamp(2 * SECOND)));
    assert!(rig.table.is_empty());
}

#[test]
fn a_packet_that_finds_its_flow_overdue_ends_it_without_the_wheel() {
    let mut rig = Rig::new(&settings(100));
    rig.udp(1, false, SECOND, 100);
    let observed = rig.udp(1, false, 11 * SECOND + 1, 100);
    assert!(observed.opened());
    assert_eq!((rig.records[0].reason, rig.records[0].ended), (EndReason::Timeout, Timestamp(11 * SECOND)));
    assert_eq!(rig.table.len(), 1);
}

#[test]
fn flows_end_in_slot_order_and_a_jump_of_years_ends_all() {
    let mut rig = Rig::new(&settings(1000));
    for flow in 0..100 {
        rig.udp(flow, false, u64::from(flow) * SECOND / 20, 100);
    }
    assert!(!rig.advance(100 * 365 * 86_400 * SECOND, 30), "the budget holds");
    assert_eq!(rig.records.len(), 30);
    assert!(rig.advance(0, usize::MAX), "the clock does not go back");
    assert_eq!(rig.firsts(), (1..=100).collect::<Vec<_>>());
    rig.udp(7, false, 5, 100);
    assert!(rig.advance(0, usize::MAX));
    assert_eq!(rig.table.len(), 1, "touched at the clock, whatever the packet says");
}

#[test]
fn the_end_finds_overdue_flows_wherever_they_are_filed() {
    let began = 1_000_000_000 * SECOND;
    for (gap, is_over) in [(10 * SECOND, false), (10 * SECOND + 1, true), (1_000_000 * SECOND, true)] {
        for advanced in [false, true] {
            let mut rig = Rig::new(&settings(100));
            rig.udp(1, false, began, 100);
            if advanced {
                // From here on the wheel is near the clock; before, all is too far from it.
                rig.advance(began, usize::MAX);
            }
            rig.udp(2, false, began + gap, 100);
            rig.drain();
            let ends: Vec<_> = rig.records.iter().map(|record| (record.reason, record.ended.0 - began)).collect();
            let first = if is_over { (EndReason::Timeout, 10 * SECOND) } else { (EndReason::Exit, gap) };
            assert_eq!(ends, [first, (EndReason::Exit, gap)], "{gap} {advanced}");
        }
    }
}

#[test]
fn a_touched_flow_is_evicted_last_and_the_bound_is_hard() {
    let mut rig = Rig::new(&settings(4));
    for flow in 0..4 {
        rig.udp(flow, false, u64::from(flow) * SECOND, 100);
    }
    rig.udp(0, false, 5 * SECOND, 100);
    rig.udp(10, false, 5 * SECOND, 100);
    rig.udp(11, false, 5 * SECOND, 100);
    assert_eq!(rig.firsts(), [2, 3]);
    assert!(rig.records.iter().all(|r| r.reason == EndReason::Eviction && r.ended == Timestamp(5 * SECOND)));
    assert_eq!(rig.table.len(), 4);
}

#[test]
fn without_timeouts_the_oldest_still_gives_way() {
    let mut rig = Rig::new(&FlowSettings { idle_timeout_ns: 0, ..settings(3) });
    for flow in 0..3 {
        rig.udp(flow, false, u64::from(flow) * SECOND, 100);
    }
    assert!(rig.advance(1_000_000 * SECOND, usize::MAX));
    assert_eq!((rig.table.len(), rig.records.len()), (3, 0), "never is never");
    rig.udp(0, false, 1_000_000 * SECOND, 100);
    rig.udp(9, false, 1_000_001 * SECOND, 100);
    assert_eq!(rig.firsts(), [2]);
    assert_eq!(rig.records[0].reason, EndReason::Eviction);
}

#[test]
fn a_flood_of_new_flows_never_passes_the_bound() {
    let mut rig = Rig::new(&settings(1000));
    for flow in 0..20_000 {
        rig.udp(flow, false, u64::from(flow), 60);
        assert!(rig.table.len() <= 1000);
    }
    let counters = rig.table.counters();
    assert_eq!(counters.opened, 20_000);
    assert_eq!(counters.ended_for(EndReason::Eviction), 19_000);
    assert_eq!(rig.firsts(), (1..=19_000).collect::<Vec<_>>());
    let memory = rig.table.memory_bytes();
    for flow in 20_000..40_000 {
        rig.udp(flow, false, u64::from(flow), 60);
    }
    assert_eq!(rig.table.memory_bytes(), memory, "nothing piles up");
}

#[test]
fn an_unlimited_table_grows_and_finds_everything() {
    let mut rig = Rig::new(&FlowSettings { idle_timeout_ns: 0, ..settings(0) });
    for flow in 0..200_000 {
        assert!(rig.udp(flow, false, 1, 60).opened());
        assert!(!rig.udp(flow / 2, true, 1, 60).opened());
    }
    for flow in 0..200_000 {
        assert!(!rig.udp(flow, false, 2, 60).opened());
    }
    assert_eq!(rig.table.len(), 200_000);
    rig.drain();
    assert!(rig.table.is_empty());
    assert_eq!(rig.records.iter().map(|r| r.packets.iter().sum::<u64>()).sum::<u64>(), 600_000);
    assert!(!rig.records.iter().any(|r| r.reason != EndReason::Exit));
}

#[test]
fn a_closed_connection_ends_early_and_a_new_syn_opens_a_new_record() {
    let mut rig = Rig::new(&settings(100));
    let (syn, fin, ack) = (2, 1 + 16, 16);
    rig.packet(1, false, 0, 60, Some((syn, 100)));
    rig.acknowledgment = 101;
    rig.packet(1, true, 1, 60, Some((syn + ack, 500)));
    rig.packet(1, false, 2, 60, Some((fin, 101)));
    rig.packet(1, true, 3, 60, Some((fin, 501)));
    rig.packet(1, false, 4, 60, Some((ack, 102)));
    assert!(rig.packet(1, false, SECOND, 60, Some((syn, 9000))).opened());
    assert_eq!((rig.records[0].reason, rig.records[0].ended), (EndReason::Closed, Timestamp(SECOND)));
    assert_eq!(rig.records[0].packets.iter().sum::<u64>(), 5);
    rig.acknowledgment = 9001;
    rig.packet(1, true, SECOND + 1, 60, Some((4 + 16, 501)));
    assert!(rig.advance(4 * SECOND, 10));
    assert_eq!((rig.records[1].reason, rig.records[1].ended), (EndReason::Closed, Timestamp(3 * SECOND + 1)));
    assert_eq!(rig.records[1].first_packet, 6);
}

#[test]
fn a_first_packet_of_our_days_and_a_jump_cost_little() {
    let mut rig = Rig::new(&settings(100));
    let now = 1_700_000_000 * SECOND;
    rig.udp(1, false, now, 60);
    assert!(rig.advance(now, 2));
    // The jump leaves the cursor behind while the budget is used up; what is opened meanwhile is not lost.
    rig.udp(2, false, now * 2, 60);
    assert!(!rig.advance(now * 2, 0));
    rig.udp(3, false, now * 2, 60);
    assert!(rig.advance(now * 2, 5));
    assert_eq!(rig.firsts(), [1]);
    assert!(rig.advance(now * 2 + 11 * SECOND, 2));
    assert_eq!(rig.firsts(), [1, 2, 3]);
}

#[test]
fn rare_facts_survive() {
    let mut rig = Rig::new(&settings(10));
    rig.udp(1, false, 20_000 * SECOND, 60);
    rig.udp(2, false, 0, 60);
    // The second flow's clock lies hours after its packet: more than the hot entry holds.
    assert!(rig.advance(20_009 * SECOND, 100));
    assert_eq!(rig.table.len(), 2);
    assert!(rig.advance(20_011 * SECOND, 100));
    assert_eq!(rig.records.len(), 2);
    assert_eq!(rig.records[1].ended, Timestamp(20_010 * SECOND));
    assert_eq!(rig.records[1].last_seen, Timestamp(0));
}

#[test]
fn held_fragments_are_added() {
    let mut rig = Rig::new(&settings(10));
    rig.udp(1, false, 5 * SECOND, 60);
    let (key, direction) = key_of("10.0.0.1", "192.0.2.1", 1000, 53, 17);
    let held = Held { packets: 2, bytes: 300, earliest: Timestamp(3), latest: Timestamp(4), first_packet: 0 };
    let hash = rig.table.hash(&key);
    let packet = FlowPacket {
        keyed: &Keyed { key, hash, direction },
        candidate: Candidate::NONE,
        time: Timestamp(0),
        wire_len: 0,
        content: Content::Held(&held),
    };
    let nothing = dissected(network_of("10.0.0.0", "192.0.2.1", 17), Transport::None);
    rig.table.count(packet, FullFacts { number: 0, dissected: &nothing }, false, |_, _| {});
    rig.drain();
    let record = rig.records[0];
    assert_eq!((record.fragments, record.first_seen, record.first_packet), (2, Timestamp(3), 0));
    assert_eq!((record.packets[direction.index()], record.bytes[direction.index()]), (3, 360));
}

/// What the table promises, by scanning.
#[derive(Clone, Debug)]
struct ModelFlow {
    first: u64,
    last: u64,
    touched: u64,
    packets: u64,
    bytes: u64,
    first_packet: u64,
}

/// Any control bits, often those of a handshake.
fn flags() -> impl Strategy<Value = u16> {
    prop_oneof![3 => 0u16..32, 1 => Just(2), 1 => Just(18), 1 => Just(16)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// An unlimited table gives the records of the model whatever the jumps of time and wherever batches end.
    #[test]
    fn records_equal_the_model(
        steps in prop::collection::vec((0u32..12, any::<bool>(), -3i64..14, 1u32..2000, any::<bool>()), 1..300),
    ) {
        let mut rig = Rig::new(&settings(0));
        let mut model: HashMap<u32, ModelFlow> = HashMap::new();
        let mut expected: Vec<(u64, u64, u64, u64, u64, u64)> = Vec::new();
        let row = |f: &ModelFlow, ended| (f.first_packet, f.packets, f.bytes, f.first, f.last, ended);
        let (mut time, mut clock) = (100 * SECOND, 0);
        for (flow, back, jump, len, border) in steps {
            time = (time as i64 + jump * SECOND as i64 / 2).max(0) as u64;
            clock = clock.max(time);
            rig.udp(flow, back, time, len);
            if border {
                rig.advance(time, 3);
            }
            if let Some(old) = model.get(&flow).filter(|f| clock - f.touched > 10 * SECOND).cloned() {
                expected.push(row(&old, old.touched + 10 * SECOND));
                model.remove(&flow);
            }
            let number = rig.number;
            let entry = model.entry(flow).or_insert(
                ModelFlow { first: time, last: time, touched: clock, packets: 0, bytes: 0, first_packet: number });
            entry.first = entry.first.min(time);
            entry.last = entry.last.max(time);
            entry.touched = clock;
            entry.packets += 1;
            entry.bytes += u64::from(len);
        }
        rig.drain();
        for flow in model.values() {
            expected.push(row(flow, if clock - flow.touched > 10 * SECOND { flow.touched + 10 * SECOND } else { clock }));
        }
        expected.sort_unstable();
        let mut got: Vec<_> = rig.records.iter().map(|r| (
            r.first_packet, r.packets.iter().sum::<u64>(), r.bytes.iter().sum::<u64>(), r.first_seen.0, r.last_seen.0, r.ended.0,
        )).collect();
        got.sort_unstable();
        prop_assert_eq!(got, expected);
    }

    /// With a tiny table: the bound holds, nothing is lost or counted twice, and the books balance.
    #[test]
    fn a_tiny_table_loses_nothing(
        max in 1usize..6,
        steps in prop::collection::vec((0u32..40, 0u64..4_000_000_000, prop::option::of((0u16..32, 0u32..3))), 1..400),
    ) {
        let mut rig = Rig::new(&FlowSettings { top_count: 2, active_timeout_ns: 20 * SECOND, ..settings(max) });
        let (mut time, mut packets, mut top) = (0, 0, Vec::new());
        for (flow, wait, tcp) in steps {
            time += wait;
            rig.advance(time, 2);
            rig.packet(flow, flow % 3 == 0, time, 100, tcp);
            packets += 1;
            prop_assert!(rig.table.len() <= max);
            if wait % 7 == 0 {
                rig.table.end_tick(&mut top);
                prop_assert!(top.len() <= 2);
            }
            let counters = rig.table.counters();
            prop_assert_eq!(counters.opened, rig.table.len() as u64 + counters.ended_total());
        }
        rig.drain();
        let in_records: u64 = rig.records.iter().map(|r| r.packets.iter().sum::<u64>()).sum();
        prop_assert_eq!(in_records + rig.table.after_close(), packets);
        let mut firsts = rig.firsts();
        firsts.sort_unstable();
        firsts.dedup();
        prop_assert_eq!(firsts.len(), rig.records.len());
    }

    /// The fast and warm paths change no record, no top talker and no count, whatever ends flows and whatever
    /// is analysed.
    #[test]
    fn the_fast_path_changes_nothing(
        max in prop_oneof![1usize..6, Just(100)],
        top_count in 0usize..3,
        active in any::<bool>(),
        idle in any::<bool>(),
        closed in prop_oneof![Just(0), Just(1), Just(2 * SECOND), Just(20 * SECOND)],
        waits in any::<bool>(),
        [rtt, retransmissions, out_of_order] in any::<[bool; 3]>(),
        steps in prop::collection::vec(
            (0u32..12, any::<bool>(), wait(), prop::option::of((flags(), 0u32..3)), any::<bool>(), prop::bool::weighted(0.2)),
            1..400,
        ),
    ) {
        let settings = FlowSettings {
            closed_timeout_ns: closed,
            top_count,
            active_timeout_ns: if active { 30 * SECOND } else { 0 },
            idle_timeout_ns: if idle { 10 * SECOND } else { 0 },
            rtt,
            retransmissions,
            out_of_order,
            ..settings(max)
        };
        let mut rigs = [false, true].map(|typed| Rig { typed, ..Rig::new(&settings) });
        let mut time = 5 * SECOND;
        for (flow, back, wait, tcp, ends_tick, later) in steps {
            time = time.saturating_add_signed(wait);
            let mut tops = [Vec::new(), Vec::new()];
            for (rig, top) in rigs.iter_mut().zip(&mut tops) {
                // A full table gives way to new flows by what expiry has seen, so both have to look as often. Where it seldom looks, a
                // packet may be the first to find its flow overdue.
                if waits || ends_tick {
                    rig.advance(time, usize::MAX);
                }
                rig.later = later;
                rig.packet(flow, back, time, 100 + flow, tcp);
                if ends_tick {
                    rig.table.end_tick(top);
                    top.sort_unstable_by_key(TopFlow::rank);
                }
            }
            prop_assert_eq!(&tops[0], &tops[1]);
            prop_assert_eq!(rigs[0].table.counters(), rigs[1].table.counters());
        }
        rigs.iter_mut().for_each(Rig::drain);
        prop_assert_eq!(&rigs[0].records, &rigs[1].records);
    }

    /// What is read directly from a common frame is what its facts give.
    #[test]
    fn a_common_frame_has_the_key_of_its_facts(
        six in any::<bool>(),
        from in any::<[u8; 16]>(),
        to in any::<[u8; 16]>(),
        near in any::<bool>(),
        ports in any::<[u8; 4]>(),
        count in 1u32..9,
    ) {
        let mut frame = [0; 14 + 40 + 20];
        let to = if near { from } else { to };
        if six {
            frame[12..14].copy_from_slice(&[0x86, 0xdd]);
            frame[14..22].copy_from_slice(&[0x60, 0, 0, 0, 0, 20, 6, 64]);
            frame[22..38].copy_from_slice(&from);
            frame[38..54].copy_from_slice(&to);
            frame[54..58].copy_from_slice(&ports);
            frame[66] = 0x50;
        } else {
            frame[12..14].copy_from_slice(&[8, 0]);
            frame[14..26].copy_from_slice(&[0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0]);
            frame[26..30].copy_from_slice(&from[..4]);
            frame[30..34].copy_from_slice(&to[..4]);
            frame[34..38].copy_from_slice(&ports);
            frame[46] = 0x50;
        }
        let common = wire::common(LinkType::ETHERNET, &frame, frame.len() as u32).expect("a common frame");
        let facts = wire::dissect(LinkType::ETHERNET, &frame, frame.len() as u32);
        let (key, direction) = FlowKey::new(&facts.network.unwrap(), ports_of(&facts).unwrap());
        let mut made = Keyed::NONE;
        (made.direction, made.hash) = made.key.set_common(common.network(), common.ports(), &HashSecret::FIXED);
        prop_assert_eq!(made, Keyed { key, hash: key.hash(&HashSecret::FIXED), direction });
        let share = FlowKey::share_of_common(common.network(), common.ports(), count);
        prop_assert_eq!(share, key.share(count));
        prop_assert!(share < count);
    }

    /// Both directions have one key and one hash.
    #[test]
    fn keys_are_symmetric(a in any::<u32>(), b in any::<u32>(), from in any::<u16>(), to in any::<u16>(), protocol in any::<u8>()) {
        let (a, b) = (std::net::Ipv4Addr::from(a).to_string(), std::net::Ipv4Addr::from(b).to_string());
        let (there, direction) = key_of(&a, &b, from, to, protocol);
        let (back, reverse) = key_of(&b, &a, to, from, protocol);
        prop_assert_eq!(there, back);
        prop_assert!((&a, from) == (&b, to) || direction == reverse.reverse());
        prop_assert_eq!(there.hash(&HashSecret::FIXED), back.hash(&HashSecret::FIXED));
    }
}

#[test]
fn a_plain_packet_of_a_live_flow_goes_the_fast_path() {
    let mut rig = Rig { typed: true, ..Rig::new(&settings(100)) };
    for n in 1..=10 {
        rig.udp(1, n % 2 == 0, n * SECOND, 100);
    }
    assert_eq!(rig.went, 9, "all but the first");
    rig.udp(1, false, SECOND, 100);
    rig.udp(1, false, 10 * SECOND, 100);
    assert_eq!(rig.went, 10, "time went back once");
}

#[test]
fn a_handshake_goes_the_fast_path() {
    let mut rig = Rig { typed: true, ..Rig::new(&settings(3)) };
    for flow in 0..10 {
        let at = u64::from(flow) * SECOND;
        assert!(rig.packet(flow, false, at, 74, Some((2, 0))).opened());
        assert!(!rig.packet(flow, true, at + 1, 74, Some((18, 4))).opened());
        assert!(!rig.packet(flow, false, at + 1000, 66, Some((16, 1))).opened());
        assert_eq!(rig.went, u64::from(flow + 1) * 3, "also where another gives way");
        assert_eq!(rig.table.counters().opened, u64::from(flow + 1));
    }
    assert_eq!((rig.records.len(), rig.table.len()), (7, 3));
    rig.packet(9, false, 10 * SECOND, 74, Some((2, 0)));
    rig.packet(9, false, 10 * SECOND, 74, Some((2, 5)));
    assert_eq!((rig.went, rig.table.counters().opened), (30, 11), "sent again, and another connection");
}
