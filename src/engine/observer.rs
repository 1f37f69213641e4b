//! Observers of what the flow table found out when it counted: detectors, inspectors, sampling.
//!
//! Owns the events that observers have not been told of yet. Knows no observer. Its invariant: an observer is
//! told of packets, ended flows and packets without a flow in the order in which they were counted, and of
//! all of them before time moves on. Without an observer the compiler removes all of it.

use crate::detect::{SeenDns, SeenFacts};
use crate::flow::{
    Counted, FlowEnd, FlowEvents, FlowGrowth, FlowPacket, FlowRecord, FlowTable, PacketFacts, SeenFragment, SeenPacket,
    SeenRefusal,
};
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

    /// A connection was closed or reset with this packet. Its record ends later.
    fn closed(&mut self, _connection: &FlowEnd) {}

    /// A packet of no flow (yet: a later fragment may find its flow afterwards), or an ICMP message, which may be about another flow.
    fn other(&mut self, packet: &Packet<'_>, facts: &Dissected);

    /// An ICMP error, which was told by [`Observer::other`], says that a destination cannot be reached. Told wherever the error came; the
    /// flow's own queue, where it is another one, does not know of it.
    fn unreachable(&mut self, _refusal: &SeenRefusal) {}

    /// An IP fragment, told wherever it came, whether or not it finds its flow.
    fn fragment(&mut self, _fragment: &SeenFragment) {}

    /// A message of DHCP, by its ports; it counts for its flow like any other datagram.
    fn dhcp(&mut self, _packet: &Packet<'_>, _number: u64, _facts: &Dissected) {}

    /// True when [`Observer::learned`] is to be told, where payload is inspected.
    fn follows_facts(&self) -> bool {
        false
    }

    /// Something became known of a flow by its payload.
    fn learned(&mut self, _facts: &SeenFacts<'_>) {}

    /// True when [`Observer::dns`] is to be told, where payload is inspected.
    fn follows_dns(&self) -> bool {
        false
    }

    /// A DNS message of a flow that is inspected.
    fn dns(&mut self, _dns: &SeenDns<'_>) {}

    /// True when [`Observer::grown`] is to be told.
    fn follows_growth(&self) -> bool {
        false
    }

    /// What flows grew by since the last [`Observer::pass`]: before the next one, and before the end.
    fn grown(&mut self, _flows: &[FlowGrowth]) {}

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

    fn closed(&mut self, connection: &FlowEnd) {
        self.0.closed(connection);
        self.1.closed(connection);
    }

    fn fragment(&mut self, fragment: &SeenFragment) {
        self.0.fragment(fragment);
        self.1.fragment(fragment);
    }

    fn dhcp(&mut self, packet: &Packet<'_>, number: u64, facts: &Dissected) {
        self.0.dhcp(packet, number, facts);
        self.1.dhcp(packet, number, facts);
    }

    fn follows_facts(&self) -> bool {
        self.0.follows_facts() || self.1.follows_facts()
    }

    fn learned(&mut self, facts: &SeenFacts<'_>) {
        self.0.learned(facts);
        self.1.learned(facts);
    }

    fn follows_dns(&self) -> bool {
        self.0.follows_dns() || self.1.follows_dns()
    }

    fn dns(&mut self, dns: &SeenDns<'_>) {
        self.0.dns(dns);
        self.1.dns(dns);
    }

    fn follows_growth(&self) -> bool {
        self.0.follows_growth() || self.1.follows_growth()
    }

    fn grown(&mut self, flows: &[FlowGrowth]) {
        self.0.grown(flows);
        self.1.grown(flows);
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
    follows_facts: bool,
    follows_dns: bool,
}

impl<O: Observer> Watch<O> {
    pub(super) fn new(observer: O) -> Self {
        let (follows_facts, follows_dns) = (observer.follows_facts(), observer.follows_dns());
        let pending = Vec::with_capacity(if O::WATCHES { BATCH_MAX } else { 0 });
        Self { observer, pending, follows_facts, follows_dns }
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
        if counted.events.has(FlowEvents::FINISHED) {
            self.observer.closed(&flows.end_at(counted.place));
        }
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

    #[inline(always)]
    pub(super) fn fragment(&mut self, fragment: impl FnOnce() -> SeenFragment) {
        if O::WATCHES {
            self.observer.fragment(&fragment());
        }
    }

    #[cold]
    #[inline(never)]
    pub(super) fn dhcp(&mut self, packet: &Packet<'_>, number: u64, facts: &Dissected) {
        self.observer.dhcp(packet, number, facts);
    }

    /// As [`Observer::follows_facts`].
    pub(super) fn follows_facts(&self) -> bool {
        O::WATCHES && self.follows_facts
    }

    /// As [`Observer::learned`].
    pub(super) fn learned(&mut self, facts: &SeenFacts<'_>) {
        self.observer.learned(facts);
    }

    /// As [`Observer::follows_dns`].
    pub(super) fn follows_dns(&self) -> bool {
        O::WATCHES && self.follows_dns
    }

    /// As [`Observer::dns`].
    pub(super) fn dns(&mut self, dns: &SeenDns<'_>) {
        self.observer.dns(dns);
    }

    /// As [`Observer::follows_growth`].
    pub(super) fn follows_growth(&self) -> bool {
        O::WATCHES && self.observer.follows_growth()
    }

    /// Tells what flows grew by.
    pub(super) fn grow(&mut self, flows: &mut FlowTable) {
        if O::WATCHES {
            flows.show_growth(&mut |grown| self.observer.grown(grown));
        }
    }

    /// Time has reached `now`.
    #[inline(always)]
    pub(super) fn pass(&mut self, now: Timestamp, flows: &mut FlowTable) {
        if O::WATCHES && now >= self.observer.deadline() {
            self.flush();
            self.grow(flows);
            self.observer.pass(now);
        }
    }

    /// Ended flows are told of before they take much memory.
    #[inline(always)]
    pub(super) fn relieve(&mut self, flows: &mut FlowTable) {
        if O::WATCHES && flows.growth_is_due() {
            flows.show_ended_growth(&mut |grown| self.observer.grown(grown));
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
