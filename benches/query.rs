//! What a filter costs per record: `cargo bench --bench query`. One iteration is one record.
//!
//! Records come from the generator's traffic by way of the flow table. The floor of each filter is a closure that was written by
//! hand for it.

mod setup;

use criterion::{Throughput, criterion_group, criterion_main};
use netscope::flow::{
    Candidate, Content, FactSet, FlowKey, FlowPacket, FlowRecord, FlowSettings, FlowTable, FullFacts, HashSecret, Keyed,
    community_id, ports_of,
};
use netscope::query::{FlowFilter, RecordContext, sort_rank};
use netscope::wire::dissect;
use netscope_perf::Profile;
use setup::traffic::Traffic;
use setup::{BenchCriterion, in_parts, only_tests, timed};
use std::hint::black_box;
use std::net::IpAddr;

/// A filter's text, and the same by hand.
type FilterCase = (&'static str, fn(&FlowRecord) -> bool);

const FILTERS: &[FilterCase] = &[
    ("port:443", |record| has_ports(record) && (record.key.a_port() == 443 || record.key.b_port() == 443)),
    ("proto:tcp dport:80,443 bytes:>1M", |record| {
        let server = if record.client().index() == 0 { record.key.b_port() } else { record.key.a_port() };
        record.key.protocol() == 6 && matches!(server, 80 | 443) && bytes(record) > 1_000_000
    }),
    ("host:10.0.0.0/8", |record| in_ten(record.key.a_ip()) || in_ten(record.key.b_ip())),
    ("bytes:>1M OR retransmissions:>0", |record| {
        bytes(record) > 1_000_000 || record.tcp.is_some_and(|tcp| tcp.retransmissions > 0)
    }),
    ("state:established rtt:>50ms", |record| {
        let tcp = record.tcp.filter(|tcp| tcp.state == netscope::flow::tcp::TcpState::Established);
        tcp.and_then(|tcp| tcp.rtt).is_some_and(|rtt| rtt.ewma_ns > 50_000_000)
    }),
    ("community_id:1:abc*", |record| community_id(&record.key, record.initiator, 0).as_str().starts_with("1:abc")),
];

fn has_ports(record: &FlowRecord) -> bool {
    matches!(record.key.protocol(), 6 | 17 | 132 | 136)
}

fn bytes(record: &FlowRecord) -> u64 {
    record.bytes[0].saturating_add(record.bytes[1])
}

fn in_ten(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V4(ip) if ip.octets()[0] == 10)
}

/// Every flow of web-like traffic, 10 packets each.
fn records() -> Vec<FlowRecord> {
    let flow_count = if only_tests() { 1_000 } else { 20_000 };
    let traffic = Traffic::new(Profile::HttpMix, 10 * flow_count, flow_count);
    let settings = FlowSettings { flow_count_max: 0, idle_timeout_ns: 0, ..FlowSettings::default() };
    let mut table = FlowTable::new(&settings, HashSecret::FIXED);
    let mut records = Vec::new();
    for (number, packet) in (1..).zip(traffic.packets()) {
        let dissected = dissect(packet.link_type, packet.data, packet.wire_len);
        let network = dissected.network.as_ref().expect("an IP packet");
        let (key, direction) = FlowKey::new(network, ports_of(&dissected).expect("a TCP packet"));
        let keyed = &Keyed { key, hash: table.hash(&key), direction };
        let (candidate, content, time, wire_len) = (Candidate::NONE, Content::Other, packet.time, packet.wire_len);
        let facts = FullFacts { number, dissected: &dissected };
        table.count(FlowPacket { keyed, candidate, time, wire_len, content }, facts, false, |record, _| records.push(*record));
    }
    let last = table.finish(&mut |record, _| records.push(*record));
    records.extend(last.records());
    records
}

fn count(records: &[FlowRecord], is_wanted: impl Fn(&FlowRecord) -> bool) -> usize {
    records.iter().filter(|record| is_wanted(record)).count()
}

fn filtering(criterion: &mut BenchCriterion) {
    let mut group = criterion.benchmark_group("query");
    group.throughput(Throughput::Elements(1));
    let all = records();
    for &(text, by_hand) in FILTERS {
        let filter = FlowFilter::parse(text).unwrap_or_else(|error| panic!("{error}"));
        let predicate = filter.predicate(RecordContext::default()).expect("it has a term");
        assert_eq!(count(&all, |record| predicate.is_true(record, FactSet::NONE)), count(&all, by_hand), "{text}");
        group.bench_function(text, |bencher| {
            bencher.iter_custom(|records| {
                in_parts(records, all.len(), |len| {
                    timed(|| _ = black_box(count(&all[..len], |record| predicate.is_true(record, FactSet::NONE))))
                })
            });
        });
        let by_hand: Box<dyn Fn(&FlowRecord) -> bool> = Box::new(by_hand);
        group.bench_function(format!("{text}/floor"), |bencher| {
            bencher
                .iter_custom(|records| in_parts(records, all.len(), |len| timed(|| _ = black_box(count(&all[..len], &by_hand)))));
        });
    }
    let rank = sort_rank("bytes").expect("it is sortable");
    group.bench_function("sort by bytes", |bencher| {
        bencher.iter_custom(|records| {
            in_parts(records, all.len(), |len| timed(|| _ = black_box(all[..len].iter().map(|record| rank(record)).max())))
        });
    });
    group.finish();
}

criterion_group! { name = benches; config = setup::criterion(); targets = filtering }
criterion_main!(benches);
