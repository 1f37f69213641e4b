//! A whole worker over any series of packets, with every detector on: no panic, the ledger adds up, the table stays
//! within its bound, the ended flows hold exactly the packets that the ledger has in flows, and every alert that
//! begins ends.
#![no_main]

#[path = "../../tests/common/detection.rs"]
mod detection;

use libfuzzer_sys::fuzz_target;
use netscope::detect::{AlertPhase, BinSpan, DetectionSettings, DetectorSet, JudgeContext, LocalNetworks, detectors};
use netscope::engine::{
    Detecting, Detection, EndedChunk, EvidenceBox, Outbox, Receiver, Snapshot, Worker, WorkerSettings, WorkerShare, mailbox,
};
use netscope::flow::{FlowRecord, FlowSettings, HashSecret};
use netscope_backends::{BATCH_MAX, LinkType, Packet, Timestamp};
use std::sync::OnceLock;

/// Every detector, with thresholds that a few packets reach, and little memory.
fn settings() -> &'static DetectionSettings {
    static SETTINGS: OnceLock<DetectionSettings> = OnceLock::new();
    SETTINGS.get_or_init(|| {
        let low = [
            ("syn_flood", "syn_threshold = 1"),
            ("port_scan", "unique_ports_threshold = 1\nunique_hosts_threshold = 1"),
        ];
        let directory = std::env::temp_dir().join(format!("netscope-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory for the configuration");
        let settings = detection::detection_settings(&detection::all_on(&low), &directory);
        std::fs::remove_dir_all(&directory).expect("it is ours");
        DetectionSettings { table_bytes: 4096, ..settings }
    })
}

/// Judges what queues have gathered; a number of alerts that are under way.
struct Judge {
    detectors: DetectorSet,
    evidence: Receiver<EvidenceBox>,
    bin_ns: u64,
    end: Timestamp,
    live: i64,
}

impl Judge {
    fn run(&mut self, is_over: bool) {
        let local = LocalNetworks::private_and([]);
        let (mut alerts, mut left_out) = (Vec::new(), 0);
        while let Some(mut filled) = self.evidence.receive() {
            let start = Timestamp(filled.bin.saturating_mul(self.bin_ns));
            self.end = start.plus(self.bin_ns);
            let bin = BinSpan { start, end: self.end };
            let context = &mut JudgeContext { bin, local: &local, alerts: &mut alerts, left_out: &mut left_out };
            self.detectors.judge(&mut filled.evidence, context);
            self.evidence.give_back(filled);
        }
        if is_over {
            let bin = BinSpan { start: self.end, end: self.end };
            self.detectors.finish(&mut JudgeContext { bin, local: &local, alerts: &mut alerts, left_out: &mut left_out });
        }
        for alert in alerts {
            assert!(!alert.description.is_empty() && !alert.key.is_empty());
            match alert.phase {
                AlertPhase::Begin => self.live += 1,
                AlertPhase::Update => assert!(self.live > 0),
                AlertPhase::End(_) => self.live -= 1,
            }
        }
        assert!(self.live >= 0 && !(is_over && self.live > 0), "each that begins ends once");
    }
}

const FLOW_COUNT_MAX: usize = 8;
/// Enough for what one batch can end: every packet may end a tick, and each tick sends a box. Emptied after
/// each batch.
const BOXES: usize = 4 * BATCH_MAX;
const LINK_TYPES: [LinkType; 6] =
    [LinkType::ETHERNET, LinkType::ETHERNET, LinkType::RAW, LinkType::NULL, LinkType::LINUX_SLL, LinkType::LINUX_SLL2];

/// Bytes in front of each packet: how long it waited (2, in units of 64 ms), link type (1), length (2).
const PREFIX: usize = 5;

/// What the aggregator would have.
struct Drain {
    snapshots: Receiver<Snapshot>,
    ended: Receiver<EndedChunk>,
    packets: u64,
    last: Option<(u64, i128, u64)>,
}

impl Drain {
    fn run(&mut self) {
        while let Some(mut chunk) = self.ended.receive() {
            let packets = |record: &FlowRecord| record.packets[0] + record.packets[1];
            self.packets += chunk.flows.drain(..).map(|flow| packets(&flow.record)).sum::<u64>();
            if let Some((_, last)) = chunk.last.take() {
                self.packets += last.records().map(|record| packets(&record)).sum::<u64>();
            }
            self.ended.give_back(chunk);
        }
        while let Some(snapshot) = self.snapshots.receive() {
            assert!(snapshot.flow_count <= FLOW_COUNT_MAX as u64);
            let ledger = &snapshot.ledger;
            self.last = Some((ledger.in_flows, ledger.unaccounted(), ledger.records_skipped));
            self.snapshots.give_back(snapshot);
        }
    }
}

/// Cuts the next packet off the input.
fn next<'a>(input: &mut &'a [u8], now: &mut Timestamp) -> Option<Packet<'a>> {
    let (prefix, rest) = input.split_first_chunk::<PREFIX>()?;
    let [wait_high, wait_low, link, len_high, len_low] = *prefix;
    let len = usize::from(u16::from_be_bytes([len_high, len_low]) & 0x7ff).min(rest.len());
    let (data, rest) = rest.split_at(len);
    *input = rest;
    *now = now.plus(u64::from(u16::from_be_bytes([wait_high, wait_low])) << 26);
    let link_type = LINK_TYPES[usize::from(link) % LINK_TYPES.len()];
    Some(Packet { data, time: *now, wire_len: data.len() as u32 + u32::from(len_high >> 3), link_type })
}

fuzz_target!(|input: &[u8]| {
    let (to_snapshots, snapshots) = mailbox(BOXES, Snapshot::default);
    let (to_ended, ended) = mailbox(BOXES, EndedChunk::new);
    let mut drain = Drain { snapshots, ended, packets: 0, last: None };
    let flow = FlowSettings { flow_count_max: FLOW_COUNT_MAX, top_count: 2, headers: true, ..FlowSettings::default() };
    let settings = WorkerSettings {
        flow,
        tick_ns: 1_000_000_000,
        count_max: 0,
        share: WorkerShare::WHOLE,
        waits: true,
        secret: HashSecret::random(),
    };
    let detection = Detection::new(self::settings().bin_ns(), || detectors(self::settings()));
    let all = detection.detectors();
    let (to_evidence, evidence) = mailbox(BOXES, || EvidenceBox::new(&all));
    let mut judge = Judge { detectors: all, evidence, bin_ns: detection.bin_ns, end: Timestamp(0), live: 0 };
    let observer = Detecting::new(&detection, false, to_evidence);
    let mut worker = Worker::new(&settings, Outbox::new(false, to_snapshots, Some(to_ended), Vec::new()), observer);
    let (mut input, mut now) = (input, Timestamp(1_700_000_000 * Timestamp::NS_PER_SEC));
    loop {
        let batch: Vec<Packet<'_>> = std::iter::from_fn(|| next(&mut input, &mut now)).take(BATCH_MAX).collect();
        if batch.is_empty() {
            break;
        }
        worker.batch(&batch);
        worker.flush();
        drain.run();
        judge.run(false);
    }
    worker.finish();
    drain.run();
    judge.run(true);
    let (in_flows, unaccounted, records_skipped) = drain.last.expect("the last snapshot is never skipped");
    assert_eq!(unaccounted, 0);
    assert_eq!(records_skipped, 0);
    assert_eq!(drain.packets, in_flows);
});
