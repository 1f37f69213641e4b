//! Steady state allocates nothing per packet: a counting allocator watches a worker on real captures.

mod common;

use common::captures;
use netscope::engine::{
    EndedChunk, Outbox, Snapshot, TapChunk, TapFlows, TapPolicy, TapSender, Worker, WorkerSettings, WorkerShare, mailbox,
};
use netscope::flow::{FlowSettings, HashSecret};
use netscope_backends::memory::{OwnedPacket, read_all};
use netscope_backends::{BATCH_MAX, Packet};

/// Times each capture is seen; the last one is measured.
const ROUNDS: u64 = 5;

#[test]
fn a_worker_in_steady_state_allocates_nothing() {
    let mut measured = 0;
    for capture in captures() {
        let Ok(packets) = read_all(&capture) else { continue };
        let Some(latest) = packets.iter().map(|packet| packet.time).max() else { continue };
        let length_ns = latest.since(packets[0].time) + 1;
        // The same capture again and again, each time later: after some rounds the table, the side arenas and the boxes are as
        // large as this traffic makes them.
        let rounds: Vec<Vec<Packet<'_>>> = (0..ROUNDS)
            .map(|round| {
                packets
                    .iter()
                    .map(OwnedPacket::borrow)
                    .map(|packet| Packet { time: packet.time.plus(round * length_ns), ..packet })
                    .collect()
            })
            .collect();
        let (snapshots, snapshot_mail) = mailbox(4, || Snapshot::new(5));
        let (ended, ended_mail) = mailbox(8, EndedChunk::new);
        let policies = [TapPolicy::All, TapPolicy::PerSecond(5), TapPolicy::Flows(TapFlows::default())];
        let secret = HashSecret::random();
        let (taps, tap_mails): (Vec<_>, Vec<_>) = (0..)
            .zip(&policies)
            .map(|(tap, policy)| {
                let (sender, receiver) = mailbox(2, TapChunk::new);
                (TapSender::new(tap, policy, secret, sender), receiver)
            })
            .unzip();
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
            share: WorkerShare::WHOLE,
            waits: false,
            secret,
        };
        let mut worker = Worker::new(&settings, Outbox::new(false, snapshots, Some(ended), taps), ());
        for (round, part) in (1..).zip(&rounds) {
            for batch in part.chunks(BATCH_MAX) {
                let allocated = allocation_counter::measure(|| worker.batch(batch));
                if round == ROUNDS {
                    assert_eq!(allocated.count_total, 0, "{}: {allocated:?}", capture.display());
                    measured += batch.len();
                }
                while let Some(mut full) = snapshot_mail.receive() {
                    full.evidence.clear();
                    snapshot_mail.give_back(full);
                }
                while let Some(mut full) = ended_mail.receive() {
                    full.flows.clear();
                    ended_mail.give_back(full);
                }
                for tap_mail in &tap_mails {
                    while let Some(full) = tap_mail.receive() {
                        tap_mail.give_back(full);
                    }
                }
            }
        }
    }
    assert!(measured > 100, "only {measured} packets were measured");
}
