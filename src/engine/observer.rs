//! Observers of what the flow table found out when it counted: detectors, inspectors, sampling.
//!
//! Owns the events that observers have not been told of yet. Knows no observer. Its invariant: an observer is
//! told of packets, ended flows and packets without a flow in the order in which they were counted, and of
//! all of them before time moves on. Without an observer the compiler removes all of it.

use crate::flow::{Counted, Direction, FlowEvents, FlowKey, FlowPacket, FlowRecord, PacketFacts};
use crate::wire::Dissected;
use netscope_backends::{BATCH_MAX, Packet, Timestamp};

/// A packet that meant something to its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenPacket {
    /// The flow.
    pub key: FlowKey,
    /// The packet's direction in the key.
    pub direction: Direction,
    /// What happened.
    pub events: FlowEvents,
    /// Number of the flow's place in the table of this queue.
    pub place: u32,
    /// When the packet was captured.
    pub time: Timestamp,
    /// Bytes on the wire, link header included.
    pub wire_len: u32,
    /// Number of the packet on its queue.
    pub number: u64,
}

/// Is told by one worker what happens to flows. Established flows that go on tell nothing and pay nothing.
pub trait Observer: Send {
    /// False removes all calls from the packet path.
    const WATCHES: bool;

    /// Packets that meant something to their flows, in order: at most once per wave, and before time moves on.
    fn seen(&mut self, packets: &[SeenPacket]);

    /// A flow ended.
    fn ended(&mut self, record: &FlowRecord);

    /// A packet of no flow (yet: a later fragment may find its flow afterwards), or an ICMP message, which may be about another flow.
    fn other(&mut self, packet: &Packet<'_>, facts: &Dissected);
}

impl Observer for () {
    const WATCHES: bool = false;

    fn seen(&mut self, _packets: &[SeenPacket]) {}

    fn ended(&mut self, _record: &FlowRecord) {}

    fn other(&mut self, _packet: &Packet<'_>, _facts: &Dissected) {}
}

impl<A: Observer, B: Observer> Observer for (A, B) {
    const WATCHES: bool = A::WATCHES || B::WATCHES;

    fn seen(&mut self, packets: &[SeenPacket]) {
        self.0.seen(packets);
        self.1.seen(packets);
    }

    fn ended(&mut self, record: &FlowRecord) {
        self.0.ended(record);
        self.1.ended(record);
    }

    fn other(&mut self, packet: &Packet<'_>, facts: &Dissected) {
        self.0.other(packet, facts);
        self.1.other(packet, facts);
    }
}

/// An observer, and what it has not been told yet.
pub(super) struct Watch<O> {
    observer: O,
    pending: Vec<SeenPacket>,
}

impl<O: Observer> Watch<O> {
    pub(super) fn new(observer: O) -> Self {
        Self { observer, pending: Vec::with_capacity(if O::WATCHES { BATCH_MAX } else { 0 }) }
    }

    /// A packet was counted.
    #[inline(always)]
    pub(super) fn note(&mut self, packet: &FlowPacket<'_>, facts: &dyn PacketFacts, counted: &Counted) {
        if O::WATCHES && !counted.events.is_empty() {
            self.push(SeenPacket {
                key: packet.keyed.key.tuple(),
                direction: packet.keyed.direction,
                events: counted.events,
                place: counted.place,
                time: packet.time,
                wire_len: packet.wire_len,
                number: facts.number(),
            });
        }
    }

    /// A flow of which something happened with a packet that is not its own.
    #[inline(never)]
    pub(super) fn push(&mut self, seen: SeenPacket) {
        if self.pending.len() == self.pending.capacity() {
            self.flush();
        }
        self.pending.push(seen);
    }

    #[inline(always)]
    pub(super) fn ended(&mut self, record: &FlowRecord) {
        if O::WATCHES {
            self.flush();
            self.observer.ended(record);
        }
    }

    #[inline(always)]
    pub(super) fn other(&mut self, packet: &Packet<'_>, facts: &Dissected) {
        if O::WATCHES {
            self.flush();
            self.observer.other(packet, facts);
        }
    }

    /// Tells what is pending: at the end of a wave, and before time moves on.
    #[inline(always)]
    pub(super) fn flush(&mut self) {
        if O::WATCHES && !self.pending.is_empty() {
            self.observer.seen(&self.pending);
            self.pending.clear();
        }
    }
}
