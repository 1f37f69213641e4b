//! Fragments of a source that several workers share: each is told once whose it is.
//!
//! Owns the one table of datagrams of such a source. Knows no worker but by its number, and no ledger. Its invariant: fragments are
//! looked at in the order of the source, so what becomes of each is what a single worker would have found.

use crate::flow::{
    Candidate, Direction, Domain, FlowAt, FlowKey, FragmentCounters, FragmentPacket, FragmentTable, Held, Keyed, Later, Quote,
    ports_of,
};
use crate::wire::{Dissected, Network};
use netscope_backends::{Packet, Timestamp};

/// What becomes of a fragment.
#[derive(Clone, Copy, Debug)]
pub(super) enum FragmentFate {
    /// The first one, with the ports of its flow; and what had come before it.
    First(FlowAt, Option<Held>),
    /// The first one, too short to hold ports.
    FirstWithoutFlow,
    /// One whose first one was seen, and its flow.
    Following(FlowAt),
    /// One that waits for the first one.
    Waiting,
}

impl FragmentFate {
    /// Of the next fragment; of a first one `flow` is what its ports say.
    pub fn next(fragments: &mut FragmentTable, fragment: &FragmentPacket<'_>, flow: Option<FlowAt>) -> Self {
        match fragments.later(fragment) {
            Some(Later::Known(flow)) => Self::Following(flow),
            Some(Later::Held) => Self::Waiting,
            None => {
                let held = fragments.first(fragment, flow.as_ref());
                flow.map_or(Self::FirstWithoutFlow, |flow| Self::First(flow, held))
            }
        }
    }
}

/// A fragment in a unit.
#[derive(Clone, Copy, Debug)]
pub(super) struct UnitFragment {
    /// Its place among the packets of the unit.
    pub index: u16,
    pub time: Timestamp,
    pub wire_len: u32,
    pub network: Network,
    domain: Domain,
    /// By its ports, where it has some; in no domain, as each worker has its own numbers for those.
    flow: Option<FlowAt>,
    /// The worker that has the flow which an ICMP error in it quotes.
    quoted: Option<u32>,
    /// Known when it was resolved.
    pub fate: FragmentFate,
    /// Counts of all fragments up to this one.
    pub counters: FragmentCounters,
}

/// What a worker has to do with a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FragmentPart {
    None,
    /// To know of it: it is another worker's.
    Note,
    /// To count it, or what it quotes.
    Whole,
}

impl UnitFragment {
    /// Packet number `index` of a unit, of `count` workers.
    pub fn new(index: u16, packet: &Packet<'_>, facts: &Dissected, network: &Network, count: u32) -> Self {
        let at =
            |key: FlowKey, direction: Direction| FlowAt { keyed: Keyed { key, hash: 0, direction }, candidate: Candidate::NONE };
        let flow = ports_of(facts).map(|ports| FlowKey::new(network, ports)).map(|(key, direction)| at(key, direction));
        Self {
            index,
            time: packet.time,
            wire_len: packet.wire_len,
            network: *network,
            domain: Domain::of(facts),
            flow,
            quoted: Quote::of(facts, packet.data).map(|quote| quote.flow.key.share(count)),
            fate: FragmentFate::Waiting,
            counters: FragmentCounters::default(),
        }
    }

    /// What `worker` of `count` has to do with it. The leading one knows of all.
    pub fn part_of(&self, worker: u32, count: u32) -> FragmentPart {
        let owner = match &self.fate {
            FragmentFate::First(flow, _) | FragmentFate::Following(flow) => flow.keyed.key.share(count),
            FragmentFate::FirstWithoutFlow | FragmentFate::Waiting => 0,
        };
        match worker {
            _ if worker == owner || self.quoted == Some(worker) => FragmentPart::Whole,
            0 => FragmentPart::Note,
            _ => FragmentPart::None,
        }
    }
}

/// Tells what becomes of the fragments of a source, unit by unit.
pub(super) struct FragmentResolver {
    fragments: FragmentTable,
    /// Packets of the units that were passed.
    packets: u64,
    /// Packets that are processed.
    count_max: u64,
}

impl FragmentResolver {
    pub fn new(count_max: u64) -> Self {
        Self { fragments: FragmentTable::new(), packets: 0, count_max }
    }

    /// No more packets than these are processed. Said before the first unit.
    pub const fn limit(&mut self, count_max: u64) {
        self.count_max = count_max;
    }

    /// A unit of `len` packets without fragments.
    pub const fn pass(&mut self, len: usize) {
        self.packets += len as u64;
    }

    /// The fragments of the next unit, of `len` packets.
    pub fn resolve(&mut self, fragments: &mut [UnitFragment], len: usize) {
        for unit_fragment in fragments {
            let number = self.packets + u64::from(unit_fragment.index) + 1;
            let &mut UnitFragment { ref network, domain, time, wire_len, flow, .. } = unit_fragment;
            let Some(fragment) = network.fragment.filter(|_| number <= self.count_max) else { continue };
            let hash = self.fragments.hash(network, &fragment, domain);
            let packet = FragmentPacket { network, domain, hash, time, wire_len, number };
            unit_fragment.fate = FragmentFate::next(&mut self.fragments, &packet, flow);
            unit_fragment.counters = self.fragments.counters();
        }
        self.pass(len);
    }

    /// The table, when all units were passed: what is still held is in it.
    pub fn into_table(self) -> FragmentTable {
        self.fragments
    }
}
