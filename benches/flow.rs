//! What a packet costs in the flow table: of a known flow (hit) and of a new one (miss). `cargo bench --bench
//! flow`, or with a filter: `cargo bench --bench flow -- hit/100000`. One iteration is one packet.
//!
//! TCP with all analyses (`hit-udp`: the same without TCP), in random order over N flows, in the worker's
//! batches: hash and ask for the bucket, ask for the entry some packets ahead, let time pass, count. Keys are
//! made outside the clock. The floor does the same over a flat array of one cache line per flow, found by
//! number: no hash, no key, no TCP. 10 million flows take 3 GB and some seconds to build.

mod setup;

use criterion::{BenchmarkId, Throughput, criterion_group, criterion_main};
use netscope::flow::{Candidate, Content, FlowPacket, FlowSettings, FlowTable, FullFacts, HashSecret, Keyed};
use netscope::wire::{Dissected, PlainSegment, SynSegment, Transport};
use netscope_backends::{BATCH_MAX, Timestamp};
use setup::conversations::{HANDSHAKE_ROUNDS, Protocol, TablePacket, WIRE_LEN, facts, lane};
use setup::floor::FlatTable;
use setup::{BenchCriterion, in_parts, only_tests, shuffled, timed};
use std::hint::black_box;
use std::time::Duration;

/// Packets made ready at a time: few enough for the second cache, enough to make the clock's own cost vanish.
const READY_MAX: usize = 1024;
/// As the worker has it: packets ahead of the one being counted.
const PREFETCH_AHEAD: usize = 12;
/// Distance of packets in ns, the generator's mean. 10 million flows come round in 10 s, so none runs out.
const GAP_NS: u64 = 1000;

fn flow_counts() -> &'static [u32] {
    if only_tests() { &[1_000] } else { &[1_000, 100_000, 1_000_000, 10_000_000] }
}

/// All flows again and again in one random order; each time round is the next step of their connections.
struct RandomOrder {
    protocol: Protocol,
    order: Vec<u32>,
    at: usize,
    round: u32,
}

impl RandomOrder {
    fn new(protocol: Protocol, flow_count: u32) -> Self {
        Self { protocol, order: shuffled(flow_count), at: 0, round: 0 }
    }

    /// Up to `count` packets of one round, and what each of them says of itself.
    fn next(&mut self, count: usize) -> (Vec<TablePacket>, Dissected) {
        if self.at == self.order.len() {
            (self.at, self.round) = (0, self.round.wrapping_add(1).max(HANDSHAKE_ROUNDS));
        }
        let flows = &self.order[self.at..(self.at + count).min(self.order.len())];
        self.at += flows.len();
        (flows.iter().map(|&flow| lane(self.protocol, flow, self.round)).collect(), facts(self.protocol, 0, self.round))
    }
}

/// A table and how far time and the numbers of packets have come.
struct CountingTable {
    table: FlowTable,
    number: u64,
    /// When the first packet came.
    began: Timestamp,
}

impl CountingTable {
    fn new(flow_count: u32) -> Self {
        let settings = FlowSettings { flow_count_max: flow_count as usize, ..FlowSettings::default() };
        Self { table: FlowTable::new(&settings, HashSecret::random()), number: 0, began: Timestamp(0) }
    }

    /// Ends all flows; their memory stays.
    fn empty(&mut self) {
        let now = Timestamp(self.number * GAP_NS).plus(2 * FlowSettings::default().idle_timeout_ns);
        self.began = self.began.plus(now.0);
        self.table.advance(self.began, usize::MAX, &mut |_, _| {});
        assert!(self.table.is_empty(), "every flow had run out");
    }

    /// As the worker does it with a batch of packets: a wave at a time, memory asked for ahead.
    fn observe(&mut self, lanes: &[TablePacket], dissected: &Dissected) {
        let (segment, syn) = (plain_segment(dissected), syn_segment(dissected));
        let is_plain = segment.is_some() || matches!(dissected.transport, Transport::Udp(_));
        let Self { table, number, began } = self;
        let (mut hashes, mut candidates) = ([0; BATCH_MAX], [Candidate::NONE; BATCH_MAX]);
        for batch in lanes.chunks(BATCH_MAX) {
            for (hash, lane) in hashes.iter_mut().zip(batch) {
                *hash = table.hash(&lane.key);
                table.prefetch_bucket(*hash);
            }
            let ask = |table: &FlowTable, at: usize| {
                if is_plain { table.prefetch_entry(hashes[at]) } else { table.prefetch_entry_whole(hashes[at]) }
            };
            (0..batch.len().min(PREFETCH_AHEAD)).for_each(|at| candidates[at] = ask(table, at));
            let mut next_deadline = Timestamp(0);
            for (i, TablePacket { key, direction, .. }) in batch.iter().enumerate() {
                if i + PREFETCH_AHEAD < batch.len() {
                    candidates[i + PREFETCH_AHEAD] = ask(table, i + PREFETCH_AHEAD);
                }
                *number += 1;
                let (hash, candidate, direction, number) = (hashes[i], candidates[i], *direction, *number);
                let time = began.plus(number * GAP_NS);
                if time >= next_deadline {
                    table.advance(time, usize::MAX, &mut |_, _| {});
                    next_deadline = table.next_deadline();
                }
                let content = match (&segment, &syn) {
                    (Some(segment), _) => Content::Segment(segment),
                    (_, Some(segment)) => Content::Syn(segment),
                    _ if is_plain => Content::Datagram,
                    _ => Content::Other,
                };
                let keyed = &Keyed { key: *key, hash, direction };
                let packet = FlowPacket { keyed, candidate, time, wire_len: WIRE_LEN, content };
                black_box(table.count(packet, FullFacts { number, dissected }, false, |_, _| {}));
            }
        }
    }
}

/// What [`netscope::wire::common`] would say of the segment.
fn plain_segment(dissected: &Dissected) -> Option<PlainSegment> {
    match &dissected.transport {
        Transport::Tcp(segment) => PlainSegment::of(segment),
        _ => None,
    }
}

fn syn_segment(dissected: &Dissected) -> Option<SynSegment> {
    match &dissected.transport {
        Transport::Tcp(segment) => SynSegment::of(segment),
        _ => None,
    }
}

fn hit(criterion: &mut BenchCriterion) {
    hit_of(criterion, "flow/hit", Protocol::Tcp);
    hit_of(criterion, "flow/hit-udp", Protocol::Udp);
}

fn hit_of(criterion: &mut BenchCriterion, name: &str, protocol: Protocol) {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(1));
    for &flow_count in flow_counts() {
        let mut built = None;
        group.bench_function(BenchmarkId::from_parameter(flow_count), |bencher| {
            // Here and not before: a bench that is filtered out builds nothing.
            let (subject, traffic) = built.get_or_insert_with(|| established(protocol, flow_count));
            bencher.iter_custom(|packets| in_rounds(packets, traffic, |lanes, facts| subject.observe(lanes, facts)));
            assert_eq!(subject.table.len(), flow_count as usize, "each packet found its flow");
            assert_eq!(subject.table.counters().opened, u64::from(flow_count), "no flow ended");
        });
    }
    group.finish();
}

/// A table in which all connections have shaken hands.
fn established(protocol: Protocol, flow_count: u32) -> (CountingTable, RandomOrder) {
    let (mut subject, mut traffic) = (CountingTable::new(flow_count), RandomOrder::new(protocol, flow_count));
    // In the order of their numbers, so that the random order of later packets is not the order of their
    // places.
    for round in 0..HANDSHAKE_ROUNDS {
        let facts = facts(protocol, 0, round);
        for first in (0..flow_count).step_by(READY_MAX) {
            let flows = first..flow_count.min(first + READY_MAX as u32);
            let lanes: Vec<TablePacket> = flows.map(|flow| lane(protocol, flow, round)).collect();
            subject.observe(&lanes, &facts);
        }
    }
    traffic.round = HANDSHAKE_ROUNDS;
    (subject, traffic)
}

/// Times exactly `packets` packets, although a round's end may cut what is made ready at a time.
fn in_rounds(packets: u64, traffic: &mut RandomOrder, mut run: impl FnMut(&[TablePacket], &Dissected)) -> Duration {
    in_parts(packets, READY_MAX, |mut left| {
        let mut ready = Vec::new();
        while left > 0 {
            let some = traffic.next(left);
            left -= some.0.len();
            ready.push(some);
        }
        timed(|| ready.iter().for_each(|(lanes, facts)| run(lanes, facts)))
    })
}

fn miss(criterion: &mut BenchCriterion) {
    let mut group = criterion.benchmark_group("flow/miss");
    group.throughput(Throughput::Elements(1));
    let syn = facts(Protocol::Tcp, 0, 0);
    for &flow_count in flow_counts() {
        let mut built = None;
        group.bench_function(BenchmarkId::from_parameter(flow_count), |bencher| {
            let (subject, order) = built.get_or_insert_with(|| (CountingTable::new(flow_count), shuffled(flow_count)));
            bencher.iter_custom(|packets| {
                in_parts(packets, READY_MAX.min(order.len()), |count| {
                    if subject.table.len() + count > order.len() {
                        subject.empty(); // full: from the start again, in the same memory
                    }
                    let first = subject.table.len();
                    let lanes: Vec<TablePacket> =
                        order[first..first + count].iter().map(|&flow| lane(Protocol::Tcp, flow, 0)).collect();
                    timed(|| subject.observe(&lanes, &syn))
                })
            });
            assert_eq!(subject.table.counters().opened, subject.number, "each packet opened a flow");
        });
    }
    group.finish();
}

fn flat(criterion: &mut BenchCriterion) {
    let mut group = criterion.benchmark_group("flow/floor");
    group.throughput(Throughput::Elements(1));
    for &flow_count in flow_counts() {
        let mut built = None;
        group.bench_function(BenchmarkId::from_parameter(flow_count), |bencher| {
            let (table, traffic) =
                built.get_or_insert_with(|| (FlatTable::new(flow_count as usize), RandomOrder::new(Protocol::Tcp, flow_count)));
            let mut number = 0;
            bencher.iter_custom(|packets| {
                in_rounds(packets, traffic, |lanes, _| {
                    for batch in lanes.chunks(BATCH_MAX) {
                        batch.iter().for_each(|lane| table.prefetch(lane.flow));
                        for lane in batch {
                            number += 1;
                            table.count(lane.flow, lane.direction.index(), u64::from(WIRE_LEN), number);
                        }
                    }
                })
            });
        });
    }
    group.finish();
}

criterion_group! { name = benches; config = setup::criterion(); targets = hit, flat, miss }
criterion_main!(benches);
