//! Observers of what the flow table found out when it counted: detectors, inspectors, sampling.
//!
//! Owns the events that observers have not been told of yet. Knows no observer. Its invariant: an observer is
//! told of packets, ended flows and packets without a flow in the order in which they were counted, and of
//! all of them before time moves on. Without an observer the compiler removes all of it.

use crate::flow::{Counted, FlowEvents, FlowPacket, FlowRecord, FlowTable, PacketFacts, SeenPacket, SeenRefusal};
use crate::wire::Dissected;
use netscope_backends::{BATCH_MAX, Packet, Timestamp};

/// Is told by one worker what happens to flows. Established flows that go on tell nothing and pay nothing.
pub trait Observer: Send {
    /// False removes all calls from the packet path.
    const WATCHES: bool;

    /// Packets with none of these events are not told.
    const EVENTS: FlowEvents = FlowEvents::ALL;

    /// Packets that meant something to their flows, in order: at most once per wave, and before time moves on.
    fn seen(&mut self, packets: &[SeenPacket]);

    /// A flow ended.
    fn ended(&mut self, record: &FlowRecord);

    /// A packet of no flow (yet: a later fragment may find its flow afterwards), or an ICMP message, which may be about another flow.
    fn other(&mut self, packet: &Packet<'_>, facts: &Dissected);

    /// An ICMP error, which was told by [`Observer::other`], says that a destination cannot be reached. Told wherever the error came; the
    /// flow's own queue, where it is another one, does not know of it.
    fn unreachable(&mut self, _refusal: &SeenRefusal) {}

    /// The time from which on [`Observer::pass`] has something to do.
    fn deadline(&self) -> Timestamp {
        Timestamp(u64::MAX)
    }

    /// Time has reached `now`; all that was seen before was told.
    fn pass(&mut self, _now: Timestamp) {}

    /// The run is over, at `now`.
    fn finish(&mut self, _now: Timestamp) {}
}

impl Observer for () {
    const WATCHES: bool = false;

    fn seen(&mut self, _packets: &[SeenPacket]) {}

    fn ended(&mut self, _record: &FlowRecord) {}

    fn other(&mut self, _packet: &Packet<'_>, _facts: &Dissected) {}
}

impl<A: Observer, B: Observer> Observer for (A, B) {
    const WATCHES: bool = A::WATCHES || B::WATCHES;
    const EVENTS: FlowEvents = A::EVENTS.and(B::EVENTS);

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

    fn unreachable(&mut self, refusal: &SeenRefusal) {
        self.0.unreachable(refusal);
        self.1.unreachable(refusal);
    }

    fn deadline(&self) -> Timestamp {
        self.0.deadline().min(self.1.deadline())
    }

    fn pass(&mut self, now: Timestamp) {
        self.0.pass(now);
        self.1.pass(now);
    }

    fn finish(&mut self, now: Timestamp) {
        self.0.finish(now);
        self.1.finish(now);
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
    pub(super) fn note(&mut self, packet: &FlowPacket<'_>, facts: &dyn PacketFacts, counted: &Counted, flows: &FlowTable) {
        if O::WATCHES && counted.events.has_any(O::EVENTS) {
            self.tell(packet, facts, counted, flows);
        }
    }

    #[cold]
    #[inline(never)]
    fn tell(&mut self, packet: &FlowPacket<'_>, facts: &dyn PacketFacts, counted: &Counted, flows: &FlowTable) {
        self.push(SeenPacket {
            key: packet.keyed.key.tuple(),
            direction: packet.keyed.direction,
            initiator: flows.initiator(counted.place),
            events: counted.events,
            flags: facts.flags(),
            place: counted.place,
            time: packet.time,
            wire_len: packet.wire_len,
            number: facts.number(),
        });
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

    #[inline(always)]
    pub(super) fn unreachable(&mut self, refusal: &SeenRefusal) {
        if O::WATCHES {
            self.observer.unreachable(refusal);
        }
    }

    /// As [`Observer::deadline`].
    #[inline(always)]
    pub(super) fn deadline(&self) -> Timestamp {
        if O::WATCHES { self.observer.deadline() } else { Timestamp(u64::MAX) }
    }

    /// Time has reached `now`.
    #[inline(always)]
    pub(super) fn pass(&mut self, now: Timestamp) {
        if O::WATCHES && now >= self.observer.deadline() {
            self.flush();
            self.observer.pass(now);
        }
    }

    /// The run is over.
    pub(super) fn finish(&mut self, now: Timestamp) {
        if O::WATCHES {
            self.flush();
            self.observer.finish(now);
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
