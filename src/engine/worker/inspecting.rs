//! Payload of flows whose application is not known yet, on its way to inspection.
//!
//! Owns nothing. Invariant: a packet is shown once, after it was counted, and only while its flow wants payload; all other packets cost a
//! bit, and none where inspection is off.

use super::Worker;
use super::wave::PacketSource;
use crate::engine::Observer;
use crate::engine::packet_meta::PacketMeta;
use crate::flow::{Keyed, SeenPayload};
use crate::wire::{self, Dissected, TcpFlags, Transport};
use netscope_backends::Packet;

/// Payload of a packet.
struct ShownBytes<'a> {
    bytes: &'a [u8],
    /// How long it was.
    wire_len: usize,
    /// Of a segment, that of its first byte.
    sequence: Option<u32>,
}

impl<O: Observer> Worker<O> {
    /// Packet `at` of a wave, a common frame, was counted at this place.
    #[inline(always)]
    pub(super) fn inspect_common(&mut self, at: usize, source: &dyn PacketSource, meta: &PacketMeta, place: u32) {
        if self.flows.wants_payload(place) {
            self.show_common(at, source, meta, place);
        }
    }

    #[inline(never)]
    fn show_common(&mut self, at: usize, source: &dyn PacketSource, meta: &PacketMeta, place: u32) {
        if let Some((_, _, 0)) = meta.tcp_headers() {
            return;
        }
        let packet = source.packet(at);
        let Some(common) = wire::common(packet.link_type, packet.data, packet.wire_len) else { return };
        let start = usize::from(common.payload_offset());
        let bytes = packet.data.get(start..start + usize::from(common.payload_len())).unwrap_or_default();
        let segment = meta.tcp_headers();
        let sequence = segment.map(|(flags, ..)| first_byte(meta.segment.sequence, flags));
        let wire_len = segment.map_or_else(|| udp_len(packet.data, start), |(_, _, wire_len)| wire_len as usize);
        self.show(&packet, source.number(at), &meta.keyed, place, ShownBytes { bytes, wire_len, sequence });
    }

    /// A packet that was dissected in full was counted at this place.
    #[inline(never)]
    pub(super) fn inspect_full(
        &mut self,
        packet: &Packet<'_>,
        number: impl FnOnce() -> u64,
        dissected: &Dissected,
        keyed: &Keyed,
        place: u32,
    ) {
        if !self.flows.wants_payload(place) {
            return;
        }
        let start = dissected.payload_offset as usize;
        let (wire_len, sequence) = match dissected.transport {
            Transport::Tcp(segment) => (segment.payload_len as usize, Some(first_byte(segment.sequence, segment.flags))),
            Transport::Udp(_) => (udp_len(packet.data, start), None),
            _ => return,
        };
        let bytes = packet.data.get(start..start + dissected.payload_len as usize).unwrap_or_default();
        self.show(packet, number(), keyed, place, ShownBytes { bytes, wire_len, sequence });
    }

    fn show(&mut self, packet: &Packet<'_>, number: u64, keyed: &Keyed, place: u32, shown: ShownBytes<'_>) {
        let ShownBytes { bytes, wire_len, sequence } = shown;
        if bytes.is_empty() {
            return;
        }
        let client = self.flows.initiator(place);
        let (_, client_port) = keyed.key.source(client);
        let (_, server_port) = keyed.key.destination(client);
        let payload = SeenPayload {
            bytes,
            wire_len: wire_len.max(bytes.len()),
            sequence,
            start: sequence.and_then(|_| self.flows.stream_start(place, keyed.direction)),
            direction: keyed.direction,
            client,
            ports: [client_port, server_port],
            time_ns: packet.time.0,
        };
        self.flows.inspect(place, &payload);
        self.tell_payload(place, &payload, number);
    }
}

/// A SYN takes a number of its own, before its data.
const fn first_byte(sequence: u32, flags: TcpFlags) -> u32 {
    sequence.wrapping_add(flags.has(TcpFlags::SYN) as u32)
}

/// What the UDP header before `start` says of the length of its payload; 0 where it says nothing.
fn udp_len(data: &[u8], start: usize) -> usize {
    let header = start.checked_sub(8).and_then(|at| data.get(at..start)).unwrap_or_default();
    let len = header.get(4..6).map_or(0, |len| usize::from(u16::from_be_bytes([len[0], len[1]])));
    len.saturating_sub(8)
}
