//! Steady state allocates nothing per packet: a counting allocator watches a worker on real captures.

mod common;

use common::captures;
use netscope::engine::{EndedChunk, Outbox, Share, Snapshot, TapChunk, Worker, WorkerSettings, mailbox};
use netscope::flow::FlowSettings;
use netscope_backends::chunk::PacketChunk;
use netscope_backends::memory::{OwnedPacket, read_all};
use netscope_backends::{BATCH_MAX, Packet};

#[test]
fn a_worker_in_steady_state_allocates_nothing() {
    let mut measured = 0;
    for capture in captures() {
        let Ok(packets) = read_all(&capture) else { continue };
        let packets: Vec<Packet<'_>> = packets.iter().map(OwnedPacket::borrow).collect();
        let (snapshots, snapshot_mail) = mailbox(4, Snapshot::default);
        let (ended, ended_mail) = mailbox(8, EndedChunk::new);
        let (tap, tap_mail) = mailbox(2, || TapChunk { first_number: 0, packets: PacketChunk::new() });
        let settings = WorkerSettings {
            flow: FlowSettings {
                flow_count_max: 64,
                idle_timeout_ns: 200_000_000,
                closed_timeout_ns: 50_000_000,
                active_timeout_ns: 0,
                rtt: true,
                retransmissions: true,
                out_of_order: true,
                top_count: 5,
            },
            tick_ns: 100_000_000,
            count_max: 0,
            share: Share::WHOLE,
            waits: false,
        };
        let mut worker = Worker::new(&settings, Outbox::new(false, snapshots, Some(ended), vec![tap]));
        // The first half fills the table, the side arenas and the boxes; the second half is the steady state.
        let (warm_up, steady) = packets.split_at(packets.len() / 2);
        for (phase, part) in [warm_up, steady].into_iter().enumerate() {
            for batch in part.chunks(BATCH_MAX) {
                let allocated = allocation_counter::measure(|| worker.batch(batch));
                if phase == 1 {
                    assert_eq!(allocated.count_total, 0, "{}: {allocated:?}", capture.display());
                    measured += batch.len();
                }
                while let Some(mut full) = snapshot_mail.receive() {
                    full.top.clear();
                    snapshot_mail.give_back(full);
                }
                while let Some(mut full) = ended_mail.receive() {
                    full.flows.clear();
                    ended_mail.give_back(full);
                }
                while let Some(full) = tap_mail.receive() {
                    tap_mail.give_back(full);
                }
            }
        }
    }
    assert!(measured > 100, "only {measured} packets were measured");
}
