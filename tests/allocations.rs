//! Steady state allocates nothing per packet, and growing copies no flow: a counting allocator watches a worker.

mod common;

use common::captures;
use netscope::engine::{
    EndedChunk, Outbox, Snapshot, TapChunk, TapFlows, TapPolicy, TapSender, Worker, WorkerSettings, WorkerShare, mailbox,
};
use netscope::flow::{FlowSettings, HashSecret, InspectionSettings, KeyScope, StateTimeouts};
use netscope::record::{LineStyle, LineTime, PacketLines, TextBuffer};
use netscope_backends::memory::{OwnedPacket, read_all};
use netscope_backends::{BATCH_MAX, LinkType, Packet, Timestamp};

/// Times each capture is seen; the last one is measured.
const ROUNDS: u64 = 5;

/// A frame of connection number `flow`: Ethernet, IPv4, TCP.
fn segment(flow: u32, flags: u8, sequence: u32) -> [u8; 60] {
    let mut frame = [0; 60];
    frame[12..14].copy_from_slice(&[8, 0]);
    frame[14..24].copy_from_slice(&[0x45, 0, 0, 46, 0, 0, 0, 0, 64, 6]);
    frame[26..30].copy_from_slice(&(0x0a00_0000 + flow).to_be_bytes());
    frame[30..34].copy_from_slice(&[192, 0, 2, 1]);
    frame[34..38].copy_from_slice(&[0x10, 0, 0, 80]);
    frame[38..42].copy_from_slice(&sequence.to_be_bytes());
    frame[46..50].copy_from_slice(&[0x50, flags, 0x10, 0]);
    frame
}

/// From no flow to many, each with a gap that takes side memory: new segments come, and none is copied into a larger one. Only the
/// index frees its smaller tables.
#[test]
fn growing_copies_no_flow() {
    const FLOWS: u32 = 150_000;
    let (snapshots, _snapshot_mail) = mailbox(1, || Snapshot::new(0));
    let settings = WorkerSettings {
        flow: FlowSettings { flow_count_max: 0, ..FlowSettings::default() },
        tick_ns: u64::MAX,
        count_max: 0,
        share: WorkerShare::WHOLE,
        waits: false,
        secret: HashSecret::random(),
    };
    let mut worker = Worker::new(&settings, Outbox::new(false, snapshots, None, Vec::new()), ());
    let (mut count, mut freed) = (0, 0);
    for first in (0..FLOWS).step_by(BATCH_MAX / 2) {
        let frames: Vec<[u8; 60]> =
            (first..first + BATCH_MAX as u32 / 2).flat_map(|flow| [segment(flow, 2, 1), segment(flow, 16, 1000)]).collect();
        let batch: Vec<Packet<'_>> = frames
            .iter()
            .map(|data| Packet { data, time: Timestamp(1_000_000_000), wire_len: 60, link_type: LinkType::ETHERNET })
            .collect();
        let allocated = allocation_counter::measure(|| worker.batch(&batch));
        count += allocated.count_total;
        freed += allocated.bytes_total - allocated.bytes_current.max(0) as u64;
    }
    assert!((1..40).contains(&count), "{count} allocations");
    // The index's first table is 1 MiB; flows and side memory took 90.
    assert!(freed <= 2 << 20, "{freed} bytes were freed while it grew");
}

#[test]
fn a_packet_line_allocates_nothing() {
    let mut shown = 0;
    for time in [LineTime::Utc, LineTime::Epoch, LineTime::Delta] {
        let style = LineStyle { time, first_date: true, link: true, absolute_seq: false, payload: false, color: true };
        let (mut lines, mut text) = (PacketLines::new(style), TextBuffer::default());
        for capture in captures() {
            let Ok(packets) = read_all(&capture) else { continue };
            for (number, packet) in (1..).zip(&packets) {
                let packet = packet.borrow();
                let allocated = allocation_counter::measure(|| {
                    let mut end = text.open();
                    lines.push(&mut end, number, None, &packet);
                    end.close();
                });
                assert_eq!(allocated.count_total, 0, "packet {number} of {}: {allocated:?}", capture.display());
                text.write_when_full(&mut std::io::sink()).expect("it takes everything");
                shown += 1;
            }
        }
    }
    assert!(shown > 1000, "only {shown} packets were shown");
}

/// Some flows end before the others.
fn timeouts() -> StateTimeouts {
    StateTimeouts { udp_two_way_ns: Some(150_000_000), dns_answered_ns: Some(100_000_000), ..StateTimeouts::default() }
}

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
        let sampled = TapPolicy::Sampled { one_in: 3, per_second_max: 100, snaplen: 64 };
        let policies =
            [TapPolicy::All, TapPolicy::Counted, TapPolicy::PerSecond(5), TapPolicy::Flows(TapFlows::default()), sampled];
        let secret = HashSecret::random();
        let (taps, tap_mails): (Vec<_>, Vec<_>) = (0..)
            .zip(&policies)
            .map(|(tap, policy)| {
                let has_notes = matches!(policy, TapPolicy::Counted | TapPolicy::Sampled { .. });
                let new = if has_notes { TapChunk::with_notes } else { TapChunk::new };
                let (sender, receiver) = mailbox(2, new);
                (TapSender::new(tap, policy, secret, sender), receiver)
            })
            .unzip();
        let settings = WorkerSettings {
            flow: FlowSettings {
                key: KeyScope::Tuple,
                flow_count_max: 64,
                idle_timeout_ns: 200_000_000,
                timeouts: timeouts(),
                closed_timeout_ns: 50_000_000,
                active_timeout_ns: 0,
                rtt: true,
                retransmissions: true,
                out_of_order: true,
                headers: true,
                inspection: InspectionSettings::default(),
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
