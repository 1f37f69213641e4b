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
        let packet = source.packet(at);
        let Some(common) = wire::common(packet.link_type, packet.data, packet.wire_len) else { return };
        let start = usize::from(common.payload_offset());
        let bytes = packet.data.get(start..start + usize::from(common.payload_len())).unwrap_or_default();
        let sequence = meta.tcp_headers().map(|(flags, _, wire_len)| (first_byte(meta.segment.sequence, flags), wire_len as usize));
        self.show(&packet, &meta.keyed, place, bytes, sequence);
    }

    /// A packet that was dissected in full was counted at this place.
    #[inline(never)]
    pub(super) fn inspect_full(&mut self, packet: &Packet<'_>, dissected: &Dissected, keyed: &Keyed, place: u32) {
        if !self.flows.wants_payload(place) {
            return;
        }
        let sequence = match dissected.transport {
            Transport::Tcp(segment) => Some((first_byte(segment.sequence, segment.flags), segment.payload_len as usize)),
            Transport::Udp(_) => None,
            _ => return,
        };
        let start = dissected.payload_offset as usize;
        let bytes = packet.data.get(start..start + dissected.payload_len as usize).unwrap_or_default();
        self.show(packet, keyed, place, bytes, sequence);
    }

    /// `sequence`: of a segment's first byte, and how many it had.
    fn show(&mut self, packet: &Packet<'_>, keyed: &Keyed, place: u32, bytes: &[u8], sequence: Option<(u32, usize)>) {
        if bytes.is_empty() {
            return;
        }
        let client = self.flows.initiator(place);
        let (_, client_port) = keyed.key.source(client);
        let (_, server_port) = keyed.key.destination(client);
        let payload = SeenPayload {
            bytes,
            wire_len: sequence.map_or(bytes.len(), |(_, wire_len)| wire_len),
            sequence: sequence.map(|(sequence, _)| sequence),
            direction: keyed.direction,
            client,
            ports: [client_port, server_port],
            time_ns: packet.time.0,
        };
        self.flows.inspect(place, &payload);
    }
}

/// A SYN takes a number of its own, before its data.
const fn first_byte(sequence: u32, flags: TcpFlags) -> u32 {
    sequence.wrapping_add(flags.has(TcpFlags::SYN) as u32)
}
