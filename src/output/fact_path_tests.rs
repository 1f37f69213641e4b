//! Facts from a worker's outbox to the files: several queues, boxes that go round, and boxes without room.

use super::{DocumentFile, ExportSettings, JsonLine, JsonLines, JsonTable};
use crate::aggregate::{
    AggregateSettings, Aggregator, Control, LiveTableRequest, Output, OutputFailure, OutputRows, Outputs, Questions, QueueLimits,
    QueueSetup, Summary, Wants, run, wants_of,
};
use crate::engine::{EndedChunk, Ledger, Outbox, QueueMail, Snapshot, mailbox, requests};
use crate::flow::{FactBuffer, FactId, FactSet, FlowRecord};
use crate::record::TEST_SCHEMA;
use crate::record::test_records::{tcp_record, udp6_record};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

const QUEUES: u64 = 3;
const SERVER_NAME: FactId = FactId { object: 0, member: 0 };
const ALPN: FactId = FactId { object: 0, member: 2 };

/// Sends `count` ended flows from each queue, the facts of each made by `fill`, to a JSON table and to JSON
/// lines; gives both and the summary.
fn written(count: u64, fill: impl Fn(u64, &mut FactBuffer) + Sync) -> (Vec<Value>, Vec<Value>, Summary) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let [table, lines] = ["table.json", "ended.jsonl"].map(|name| directory.path().join(name));
    let settings = ExportSettings { schema: TEST_SCHEMA, threads: 2, ..ExportSettings::default() };
    let outputs: Vec<Box<dyn Output>> = vec![
        Box::new(DocumentFile::create(&table, JsonTable(settings)).expect("a writable path")),
        Box::new(JsonLines::create(&lines, JsonLine, settings).expect("a writable path")),
    ];
    let summary = run_queues(count, &fill, outputs);
    let read = |path: &Path| std::fs::read_to_string(path).expect("it was written");
    let table = serde_json::from_str::<Vec<Value>>(&read(&table)).expect("a JSON array");
    let lines = read(&lines).lines().map(|line| serde_json::from_str(line).expect("a JSON object")).collect();
    (table, lines, summary)
}

fn run_queues(count: u64, fill: &(impl Fn(u64, &mut FactBuffer) + Sync), outputs: Vec<Box<dyn Output>>) -> Summary {
    let wants = outputs.iter().map(|output| wants_of(output.as_ref())).fold(Wants::default(), |all, one| all | one);
    let settings = AggregateSettings {
        tick_ns: 1_000_000_000,
        top_count: 0,
        export_ended_max: usize::MAX,
        judge: None,
        microbursts: None,
        alerting: crate::aggregate::AlertingSettings::default(),
        selection: None,
        address_names_max: 0,
        flow_key: crate::flow::KeyScope::Tuple,
    };
    let setup = QueueSetup { count: QUEUES as u16, may_be_split: false, waits: true };
    let aggregator = Aggregator::new(settings, wants, setup, Instant::now());
    let failed = |failure: &OutputFailure| panic!("{failure}");
    thread::scope(|scope| {
        let mut mail = Vec::new();
        for queue in 0..QUEUES {
            let (snapshots, snapshots_mail) = mailbox(1, || Snapshot::new(0));
            // Fewer boxes than are filled, so each is used again.
            let (ended, ended_mail) = mailbox(2, EndedChunk::new);
            let (asked, _) = requests(&Arc::default());
            mail.push(QueueMail { snapshots: snapshots_mail, ended: Some(ended_mail), requests: asked, evidence: None });
            let outbox = Outbox::new(true, snapshots, Some(ended), Vec::new());
            scope.spawn(move || send(outbox, queue, count, fill));
        }
        let outputs = Outputs::start(scope, outputs, QueueLimits::FILE, &failed);
        let live_table = LiveTableRequest::default();
        let control = Control {
            live_table: &live_table,
            questions: &Questions::default(),
            notice: &|text| panic!("{text}"),
            idle: &|| {},
            ending: &|| {},
            recording: &|_| None,
            judged: &|_| {},
        };
        let summary = run(aggregator, &mail, &outputs, true, &control);
        let results = outputs.join(0);
        assert!(results.failures.is_empty());
        let rows = |rows: &OutputRows| (rows.written, rows.not_written);
        assert_eq!(results.rows.iter().map(rows).collect::<Vec<_>>(), [(count * QUEUES, 0); 2]);
        summary
    })
}

fn send(mut outbox: Outbox, queue: u64, count: u64, fill: &(impl Fn(u64, &mut FactBuffer) + Sync)) {
    let (mut ledger, mut facts) = (Ledger::default(), FactBuffer::default());
    for event in 0..count {
        let number = event * QUEUES + queue;
        facts.clear();
        fill(number, &mut facts);
        // One of two kept small, the other whole.
        let record = if number.is_multiple_of(2) { udp6_record() } else { tcp_record() };
        let record = FlowRecord { first_packet: number, bytes: [number % 7, 0], ..record };
        outbox.ended(event, &record, facts.facts(), &mut ledger);
    }
    outbox.flush_ended(u64::MAX);
    assert!(outbox.snapshot(|snapshot| (snapshot.ledger, snapshot.last) = (ledger, true)));
}

fn number(record: &Value) -> u64 {
    record["first_packet"].as_u64().expect("a number")
}

#[test]
fn every_record_keeps_its_own_facts() {
    let (table, lines, summary) = written(2000, |number, facts| {
        if number % 3 > 0 {
            assert!(facts.text(SERVER_NAME, format!("host-{number}\u{202e}").as_bytes()));
        }
        if number % 3 > 1 {
            assert!(facts.list(ALPN, [b"h2".as_slice(), number.to_string().as_bytes()]));
        }
    });
    assert_eq!((table.len(), lines.len(), summary.facts_left_out), (6000, 6000, 0));
    for record in table.iter().chain(&lines) {
        let number = number(record);
        let expected = match number % 3 {
            0 => Value::Null,
            1 => json!({"server_name": format!("host-{number}\u{202e}")}),
            _ => json!({"server_name": format!("host-{number}\u{202e}"), "alpn": ["h2", number.to_string()]}),
        };
        assert_eq!(record["tls"], expected, "record {number}");
        assert_eq!(record.get("tls").is_none(), number.is_multiple_of(3), "no key without facts");
    }
}

#[test]
fn what_finds_no_room_in_a_box_is_counted() {
    let (table, lines, summary) = written(600, |_, facts| assert!(facts.text(SERVER_NAME, &[b'x'; 4000])));
    for records in [table, lines] {
        let without = records.iter().filter(|record| record.get("tls").is_none()).count() as u64;
        assert_eq!((records.len(), without), (1800, summary.facts_left_out));
        assert!(without > 900 && without < 1800, "{without}");
    }
    assert_eq!(summary.ledger.facts_left_out, summary.facts_left_out);
}

#[test]
fn records_without_facts_are_written_as_ever() {
    let (_, lines, _) = written(10, |_, _| {});
    let record = FlowRecord { first_packet: 0, bytes: [0, 0], ..udp6_record() };
    let mut text = crate::record::TextBuffer::default();
    let exported = crate::record::Exported::new(&record, 0).with_facts(FactSet::NONE, TEST_SCHEMA);
    crate::record::push_ended_object(&mut text, &exported);
    let mut expected = Vec::new();
    text.write(&mut expected).expect("memory takes all");
    let first = lines.iter().find(|record| number(record) == 0).expect("record 0");
    assert_eq!(*first, serde_json::from_slice::<Value>(&expected).expect("JSON"));
}
