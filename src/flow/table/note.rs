//! What the table knows of a packet's flow right after it counted the packet: for whoever shows packets.
//!
//! Owns the packing of a note. Its invariant: a note is made for packets that are shown, and costs no other packet anything.

use super::{Counted, FlowEvents, FlowTable};
use crate::flow::Direction;
use crate::flow::entry::Flag;
use crate::flow::tcp::{TcpMarks, TcpStateDetail};

/// A packet's flow as of this packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowNote {
    handshake_rtt_ns: u64,
    /// Number of the flow's first packet, which names it: from 1, of the queue, or of the source where several workers share one.
    pub first_packet: u64,
    /// Packets of the flow so far, both directions, this one included.
    pub packets: u64,
    /// Number before the first byte: of the sender, of the receiver.
    first: [u32; 2],
    /// What the segment was found to be.
    pub marks: TcpMarks,
    /// With [`TcpMarks::DUPLICATE_ACK`], how many in a row these are; at most 127.
    pub duplicate_acks: u8,
    /// Window shift count of the sender, where both sides announced one (RFC 7323 section 2.2).
    pub window_scale: Option<u8>,
    state: Option<TcpStateDetail>,
    known: u8,
}

const _: () = assert!(size_of::<Option<FlowNote>>() == 40);

/// Bits of `known`; that of the receiver's first number comes after the sender's.
const FIRST: u8 = 1;
const HANDSHAKE: u8 = 1 << 2;
const FINISHED: u8 = 1 << 3;

impl FlowNote {
    /// The sequence number before the sender's first byte, if it is known.
    pub const fn first_sequence(&self) -> Option<u32> {
        if self.known & FIRST != 0 { Some(self.first[0]) } else { None }
    }

    /// The same of the receiver, for acknowledgment numbers.
    pub const fn first_acknowledgment(&self) -> Option<u32> {
        if self.known & FIRST << 1 != 0 { Some(self.first[1]) } else { None }
    }

    /// Of the packet that completed the handshake: the time from the SYN to it, in ns.
    pub const fn handshake_rtt_ns(&self) -> Option<u64> {
        if self.known & HANDSHAKE != 0 { Some(self.handshake_rtt_ns) } else { None }
    }

    /// State of the TCP connection, if it is one.
    pub const fn state(&self) -> Option<TcpStateDetail> {
        self.state
    }

    /// The connection was closed by both sides, or reset.
    pub const fn is_finished(&self) -> bool {
        self.known & FINISHED != 0
    }
}

impl FlowTable {
    /// Of a packet of this direction that was counted just now.
    pub fn note(&self, direction: Direction, counted: Counted) -> FlowNote {
        let entries = &self.store.entries;
        let (entry, cold) = entries.both(counted.place);
        let mut note = FlowNote {
            handshake_rtt_ns: 0,
            first_packet: cold.first_packet(),
            packets: entry.packets().iter().sum(),
            first: [0; 2],
            marks: counted.marks,
            duplicate_acks: 0,
            window_scale: None,
            state: None,
            known: if entry.is(Flag::FINISHED) { FINISHED } else { 0 },
        };
        if !entry.is_tracked() {
            return note;
        }
        let connection = &entry.connection;
        for (i, side) in [direction, direction.reverse()].into_iter().enumerate() {
            if let Some(first) = cold.beginning.first(connection, side) {
                note.first[i] = first;
                note.known |= FIRST << i;
            }
        }
        note.state = Some(connection.detail());
        note.window_scale =
            cold.beginning.window_scale(direction).filter(|_| cold.beginning.window_scale(direction.reverse()).is_some());
        if let Some(rtt) = entries.handshake_rtt_ns(counted.place).filter(|_| counted.events.has(FlowEvents::ESTABLISHED)) {
            note.handshake_rtt_ns = rtt;
            note.known |= HANDSHAKE;
        }
        if counted.marks.has(TcpMarks::DUPLICATE_ACK) {
            note.duplicate_acks = entries.duplicate_acks(counted.place, direction) as u8;
        }
        note
    }
}
