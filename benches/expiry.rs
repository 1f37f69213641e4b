//! What the end of a flow costs: `cargo bench --bench expiry`. One iteration is one flow.
//!
//! `all-at-once`: a table of 100,000 flows without a packet for longer than the timeout, ended by one call.
//! `one-by-one`: each new flow is met by the end of an old one, the table being as full as before; opening it
//! is in the figure.

mod setup;

use criterion::{Throughput, criterion_group, criterion_main};
use netscope::flow::{Candidate, Content, FlowPacket, FlowSettings, FlowTable, FullFacts, HashSecret, Keyed};
use netscope_backends::Timestamp;
use setup::conversations::{Protocol, TablePacket, WIRE_LEN, facts, lane};
use setup::{BenchCriterion, in_parts, only_tests, shuffled, timed};
use std::hint::black_box;

/// Flows alive. The idle timeout is 60 s, so one packet per 600 µs keeps as many alive where each packet is a
/// flow.
fn flow_count() -> u32 {
    if only_tests() { 1_000 } else { 100_000 }
}

/// A table that is shown new flows, one packet each.
struct ExpiryTable {
    table: FlowTable,
    time: Timestamp,
    number: u64,
    ended: u64,
}

impl ExpiryTable {
    fn new() -> Self {
        let settings = FlowSettings { flow_count_max: 2 * flow_count() as usize, ..FlowSettings::default() };
        Self { table: FlowTable::new(&settings, HashSecret::random()), time: Timestamp(0), number: 0, ended: 0 }
    }

    /// Opens the flows, `gap_ns` of traffic's time apart; what is over by then ends.
    fn open(&mut self, lanes: &[TablePacket], gap_ns: u64) {
        let dissected = facts(Protocol::Tcp, 0, 0);
        for lane in lanes {
            self.pass(gap_ns);
            self.number += 1;
            let keyed = &Keyed { key: lane.key, hash: self.table.hash(&lane.key), direction: lane.direction };
            let (candidate, content) = (Candidate::NONE, Content::Other);
            let packet = FlowPacket { keyed, candidate, time: self.time, wire_len: WIRE_LEN, content };
            let facts = FullFacts { number: self.number, dissected: &dissected };
            black_box(self.table.count(packet, facts, false, |_, _| self.ended += 1));
        }
    }

    fn pass(&mut self, ns: u64) {
        self.time = self.time.plus(ns);
        self.table.advance(self.time, usize::MAX, &mut |record, _| {
            black_box(record);
            self.ended += 1;
        });
    }
}

fn lanes(flows: impl IntoIterator<Item = u32>) -> Vec<TablePacket> {
    flows.into_iter().map(|flow| lane(Protocol::Tcp, flow, 0)).collect()
}

fn expiring(criterion: &mut BenchCriterion) {
    let idle_timeout_ns = FlowSettings::default().idle_timeout_ns;
    let mut group = criterion.benchmark_group("expiry");
    group.throughput(Throughput::Elements(1)).sample_size(10);
    let all = lanes(shuffled(flow_count()));
    group.bench_function("all-at-once", |bencher| {
        let mut subject = ExpiryTable::new();
        bencher.iter_custom(|flows| {
            // Always a whole table, as a few flows alone would be in the cache; told as the share that was
            // asked for.
            let rounds = flows.div_ceil(all.len() as u64);
            let whole = in_parts(rounds, 1, |_| {
                subject.open(&all, 1);
                let took = timed(|| subject.pass(2 * idle_timeout_ns));
                assert!(subject.table.is_empty(), "every flow had run out");
                took
            });
            whole.mul_f64(flows as f64 / (rounds * all.len() as u64) as f64)
        });
    });
    group.bench_function("one-by-one", |bencher| {
        let gap_ns = idle_timeout_ns / u64::from(flow_count());
        let mut subject = ExpiryTable::new();
        subject.open(&lanes(0..flow_count()), gap_ns);
        // Twice as many tuples as fit into the timeout: a flow is gone before its tuple comes again.
        let mut tuples = (flow_count()..2 * flow_count() + 1000).chain(0..flow_count()).cycle();
        bencher.iter_custom(|flows| {
            in_parts(flows, 1000, |count| {
                let lanes = lanes(tuples.by_ref().take(count));
                timed(|| subject.open(&lanes, gap_ns))
            })
        });
        assert_eq!(subject.table.counters().opened, subject.number, "each packet opened a flow");
        assert_eq!(subject.ended + subject.table.len() as u64, subject.number, "each flow lives or ended");
    });
    group.finish();
}

criterion_group! { name = benches; config = setup::criterion(); targets = expiring }
criterion_main!(benches);
