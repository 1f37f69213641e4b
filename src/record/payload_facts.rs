//! The facts of one packet's payload.
//!
//! Owns which part of a packet is read. Knows no format.

use crate::app::SinglePayload;
use crate::flow::FactBuffer;
use crate::wire::{Dissected, Transport};

/// Adds what the payload says by itself to an empty buffer. Nothing of what is neither TCP nor UDP, and of later fragments.
pub(super) fn payload_facts(dissected: &Dissected, data: &[u8], wire_len: u32, facts: &mut FactBuffer) {
    let bytes = data.get(dissected.payload_offset as usize..).unwrap_or_default();
    let bytes = bytes.get(..dissected.payload_len as usize).unwrap_or(bytes);
    let cut = (wire_len as usize).saturating_sub(data.len());
    let payload = |ports: crate::wire::Ports| SinglePayload {
        bytes,
        wire_len: bytes.len() + cut,
        ports: [ports.source, ports.destination],
    };
    match dissected.transport {
        Transport::Tcp(segment) => payload(segment.ports).read_segment(facts),
        Transport::Udp(ports) => payload(ports).read_datagram(facts),
        _ => {}
    }
}
