//! A whole worker over any series of packets: no panic, the ledger adds up, the table stays within its bound,
//! and the ended flows hold exactly the packets that the ledger has in flows.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netscope::engine::{EndedChunk, Outbox, Receiver, WorkerShare, Snapshot, Worker, WorkerSettings, mailbox};
use netscope::flow::{FlowRecord, FlowSettings, HashSecret};
use netscope_backends::{BATCH_MAX, LinkType, Packet, Timestamp};

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
    let mut worker = Worker::new(&settings, Outbox::new(false, to_snapshots, Some(to_ended), Vec::new()), ());
    let (mut input, mut now) = (input, Timestamp(1_700_000_000 * Timestamp::NS_PER_SEC));
    loop {
        let batch: Vec<Packet<'_>> = std::iter::from_fn(|| next(&mut input, &mut now)).take(BATCH_MAX).collect();
        if batch.is_empty() {
            break;
        }
        worker.batch(&batch);
        worker.flush();
        drain.run();
    }
    worker.finish();
    drain.run();
    let (in_flows, unaccounted, records_skipped) = drain.last.expect("the last snapshot is never skipped");
    assert_eq!(unaccounted, 0);
    assert_eq!(records_skipped, 0);
    assert_eq!(drain.packets, in_flows);
});
