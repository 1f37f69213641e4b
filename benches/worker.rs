//! What a packet costs in the whole worker: `cargo bench --bench worker`. One iteration is one packet.
//!
//! Batches as a backend lends them, over the generator's traffic in memory: dissecting, keys, table, TCP
//! analysis, time, ledger. No reading and no output. The floor takes the 5-tuple's bytes from where they are
//! and counts them: what reading the headers costs.

mod setup;

use criterion::{Throughput, criterion_group, criterion_main};
use netscope::detect::LocalNetworks;
use netscope::engine::{
    Outbox, Receiver, Snapshot, TAP_FLOWS_MAX, TapChunk, TapFlows, TapPolicy, TapSender, Worker, WorkerSettings, WorkerShare,
    mailbox,
};
use netscope::flow::{FlowKey, FlowSettings, HashSecret, ports_of};
use netscope::wire::dissect;
use netscope_backends::{BATCH_MAX, Packet};
use netscope_perf::Profile;
use setup::traffic::Traffic;
use setup::{BenchCriterion, floor, in_parts, only_tests, timed};
use std::hint::black_box;

/// Name, profile, packets, flows: as many packets per flow as in the captures of `docs/measuring.md`.
const LOADS: &[(&str, Profile, u64, u64)] = &[
    ("small-packets", Profile::SmallPackets, 2_000_000, 100_000),
    ("many-flows", Profile::ManyFlows, 2_000_000, 500_000),
    ("http-mix", Profile::HttpMix, 400_000, 20_000),
];

/// A worker, and what its tap copies to where it has one.
fn worker(tap: Option<&TapPolicy>) -> (Worker, Receiver<TapChunk>) {
    let secret = HashSecret::random();
    let settings = WorkerSettings {
        flow: FlowSettings { flow_count_max: 1 << 20, ..FlowSettings::default() },
        tick_ns: 1_000_000_000,
        count_max: 0,
        share: WorkerShare::WHOLE,
        waits: true,
        secret,
    };
    // Nobody opens the mailbox: once its boxes are full, snapshots are left out.
    let (snapshots, _mail) = mailbox(1, || Snapshot::new(0));
    let (sender, copied) = mailbox(8, TapChunk::with_notes);
    let taps = tap.map(|policy| TapSender::new(0, policy, secret, sender)).into_iter().collect();
    (Worker::new(&settings, Outbox::new(false, snapshots, None, taps), ()), copied)
}

/// The first flows of the traffic, as many as a tap follows.
fn first_flows(traffic: &Traffic) -> TapPolicy {
    let mut keys = Vec::new();
    for packet in traffic.packets() {
        let dissected = dissect(packet.link_type, packet.data, packet.wire_len);
        if let (Some(network), Some(ports)) = (&dissected.network, ports_of(&dissected)) {
            let (key, _) = FlowKey::new(network, ports);
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        if keys.len() == TAP_FLOWS_MAX {
            break;
        }
    }
    TapPolicy::Flows(TapFlows::new(&keys).expect("no more than there may be"))
}

/// Which tap copies packets of this traffic.
type TapOf = fn(&Traffic) -> Option<TapPolicy>;

/// Ends of names. The rate is that of a person who watches: a thousandth of the traffic.
const TAPS: &[(&str, TapOf)] = &[
    ("", |_| None),
    ("/tap-all", |_| Some(TapPolicy::All)),
    ("/tap-per-second", |_| Some(TapPolicy::PerSecond(1000))),
    ("/tap-flows", |traffic| Some(first_flows(traffic))),
    ("/tap-sampled", |_| Some(TapPolicy::Sampled { one_in: 1, per_second_max: 2000, snaplen: 256 })),
    (DIRECTIONS, |_| None),
];

/// No tap, but packets are counted by the way they go.
const DIRECTIONS: &str = "/directions";

/// Batches of the same packets again and again, each time round later.
struct Batches<'a> {
    packets: Vec<Packet<'a>>,
    length_ns: u64,
    at: usize,
}

impl<'a> Batches<'a> {
    fn new(traffic: &'a Traffic) -> Self {
        Self { packets: traffic.packets(), length_ns: traffic.length_ns(), at: 0 }
    }

    /// At most `count` packets in a row.
    fn next(&mut self, count: usize) -> &[Packet<'a>] {
        if self.at == self.packets.len() {
            self.at = 0;
            self.packets.iter_mut().for_each(|packet| packet.time = packet.time.plus(self.length_ns));
        }
        let start = self.at;
        self.at = self.packets.len().min(start + count);
        &self.packets[start..self.at]
    }
}

fn working(criterion: &mut BenchCriterion) {
    let mut group = criterion.benchmark_group("worker");
    group.throughput(Throughput::Elements(1));
    let scale = if only_tests() { 100 } else { 1 };
    for &(name, profile, packets, flows) in LOADS {
        let mut traffic = None;
        let mut built = || Traffic::new(profile, packets / scale, flows / scale);
        for (tap, policy) in TAPS {
            group.bench_function(format!("{name}{tap}"), |bencher| {
                let traffic = traffic.get_or_insert_with(&mut built);
                let (mut batches, (mut worker, copied)) = (Batches::new(traffic), worker(policy(traffic).as_ref()));
                if tap == &DIRECTIONS {
                    worker.measure_directions(LocalNetworks::private_and([]));
                }
                bencher.iter_custom(|packets| {
                    in_parts(packets, 64 * BATCH_MAX, |mut left| {
                        let mut took = std::time::Duration::ZERO;
                        while left > 0 {
                            let ready = batches.next(left);
                            left -= ready.len();
                            took += timed(|| ready.chunks(BATCH_MAX).for_each(|batch| worker.batch(batch)));
                            // There is always room for a copy: what is measured is making it.
                            std::iter::from_fn(|| copied.receive()).for_each(|full| copied.give_back(full));
                        }
                        took
                    })
                });
            });
        }
        group.bench_function(format!("{name}/floor"), |bencher| {
            let traffic = traffic.get_or_insert_with(&mut built);
            let mut batches = Batches::new(traffic);
            bencher.iter_custom(|packets| {
                in_parts(packets, 64 * BATCH_MAX, |mut left| {
                    let mut took = std::time::Duration::ZERO;
                    while left > 0 {
                        let ready = batches.next(left);
                        left -= ready.len();
                        took += timed(|| {
                            let sum = |sum: u64, packet: &Packet<'_>| sum ^ floor::five_tuple::<4>(packet.data, 23, 26, 34);
                            black_box(ready.iter().fold(0, sum));
                        });
                    }
                    took
                })
            });
        });
    }
    group.finish();
}

criterion_group! { name = benches; config = setup::criterion(); targets = working }
criterion_main!(benches);
