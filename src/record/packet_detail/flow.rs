//! What the flow table knows of a packet's flow, as a layer.

use super::LayerView;
use crate::flow::FlowNote;
use crate::record::packet_line::mark_names;
use crate::wire::{self, TcpFlags, Transport};
use netscope_backends::Packet;

/// The flow of a packet as of this packet: which one it is, how far it came, and what its analysis found.
pub fn flow_detail(note: &FlowNote, packet: &Packet<'_>) -> LayerView {
    let view = LayerView::new("Flow").with("first packet", note.first_packet).with("packets so far", note.packets);
    let Transport::Tcp(segment) = wire::dissect(packet.link_type, packet.data, packet.wire_len).transport else { return view };
    let relative = |number: u32, first: Option<u32>| first.map(|first| number.wrapping_sub(first));
    let acknowledgment = relative(segment.acknowledgment, note.first_acknowledgment());
    let scale = if segment.flags.has(TcpFlags::SYN) { None } else { note.window_scale };
    let view = view
        .with_some("tcp state", note.state().map(|state| state.name()))
        .with_some("relative sequence", relative(segment.sequence, note.first_sequence()))
        .with_some("relative acknowledgment", acknowledgment.filter(|_| segment.flags.has(TcpFlags::ACK)))
        .with_some("window in bytes", scale.map(|scale| u64::from(segment.window) << scale))
        .with_some("handshake", note.handshake_rtt_ns().map(|ns| format!("{}.{:06} ms", ns / 1_000_000, ns % 1_000_000)));
    mark_names(note.marks).fold(view, |view, name| view.with("found", name))
}
