//! What a flow record costs in each export format: `cargo bench --bench export`. One iteration is one record.
//!
//! Records come from the generator's traffic by way of the flow table; they are written to a sink of the
//! system, /dev/null. The floor copies the same lines, made beforehand, through a buffer to the same sink.

mod setup;

use criterion::{Throughput, criterion_group, criterion_main};
use netscope::aggregate::{Output, Summary, Table};
use netscope::flow::{
    Candidate, Content, FactSet, FlowKey, FlowPacket, FlowRecord, FlowSettings, FlowTable, FullFacts, HashSecret, Keyed, ports_of,
};
use netscope::output::{CsvLine, CsvLines, CsvTable, DocumentFile, ExportSettings, JsonLine, JsonLines, JsonTable};
use netscope::wire::dissect;
use netscope_perf::Profile;
use setup::traffic::Traffic;
use setup::{BenchCriterion, in_parts, only_tests, timed};
use std::io::Write;
use std::path::Path;

const SINK: &str = "/dev/null";

/// Opens the output of a format at a path.
type Create = fn(&Path) -> Box<dyn Output>;

/// Name; whether it wants the table at the end or each flow as it ends.
const FORMATS: &[(&str, Create)] = &[
    ("json", |path| Box::new(DocumentFile::create(path, JsonTable(ExportSettings::default())).expect("a writable path"))),
    ("csv", |path| Box::new(DocumentFile::create(path, CsvTable(ExportSettings::default())).expect("a writable path"))),
    ("ended-jsonl", |path| Box::new(JsonLines::create(path, JsonLine, ExportSettings::default()).expect("a writable path"))),
    ("ended-csv", |path| Box::new(CsvLines::create(path, CsvLine, ExportSettings::default()).expect("a writable path"))),
];

/// Every flow of web-like traffic, 10 packets each.
fn records() -> Vec<FlowRecord> {
    let flow_count = if only_tests() { 1_000 } else { 100_000 };
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
        let packet = FlowPacket { keyed, candidate, time, wire_len, content };
        table.count(packet, facts, false, |record, _| records.push(*record));
    }
    let last = table.finish(&mut |record, _| records.push(*record));
    records.extend(last.records());
    assert_eq!(records.len() as u64, flow_count, "a record per flow");
    records
}

/// Writes the records as a run would: as they end, or the table of them.
fn write(output: &mut dyn Output, records: &[FlowRecord], table: &Table) {
    if output.wants_ended() {
        records.iter().for_each(|record| output.ended(record, FactSet::NONE).expect("the sink takes all"));
    }
    output.finish(table, &Summary::default()).expect("the sink takes all");
}

/// The table that an output wants.
fn table_for(output: &dyn Output, records: &[FlowRecord]) -> Table {
    if output.wants_table() { records.iter().copied().collect() } else { Table::default() }
}

/// The lines that an output writes for these records.
fn lines(create: Create, records: &[FlowRecord]) -> Vec<Vec<u8>> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("lines");
    let mut output = create(&path);
    let table = table_for(output.as_ref(), records);
    write(output.as_mut(), records, &table);
    let text = std::fs::read(path).expect("it was written");
    text.split_inclusive(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect()
}

fn exporting(criterion: &mut BenchCriterion) {
    let mut group = criterion.benchmark_group("export");
    group.throughput(Throughput::Elements(1));
    let all = records();
    for &(name, create) in FORMATS {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|records| {
                in_parts(records, all.len(), |count| {
                    let mut output = create(Path::new(SINK));
                    let table = table_for(output.as_ref(), &all[..count]);
                    timed(|| write(output.as_mut(), &all[..count], &table))
                })
            });
        });
        let mut made = None;
        group.bench_function(format!("{name}/floor"), |bencher| {
            let lines = made.get_or_insert_with(|| lines(create, &all));
            let file = std::fs::File::create(SINK).expect("a writable path");
            let mut sink = std::io::BufWriter::with_capacity(1 << 20, file);
            bencher.iter_custom(|records| {
                in_parts(records, all.len(), |count| {
                    timed(|| lines[..count].iter().for_each(|line| sink.write_all(line).expect("the sink takes all")))
                })
            });
        });
    }
    group.finish();
}

criterion_group! { name = benches; config = setup::criterion(); targets = exporting }
criterion_main!(benches);
