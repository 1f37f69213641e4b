//! What is in a slot of each timeline.
//!
//! Owns sums. Knows no time. Invariant: what is kept of a slot has its sums whole; of hosts, ports and flows it has the best, and all others together.

use super::distribution::{Distribution, DistributionKind, KeptDistribution};
use super::timeline::OpenSlot;
use super::tops::{Tally, TopList, TopTable};
use crate::detect::{Alert, AlertSeverity};
use crate::engine::{DirectionCounts, ProtocolClass, TrafficCount};
use crate::flow::{Direction, FlowKey, FlowRecord, HostAddress};

/// Hosts and flows kept of a slot by each of five measures, and ports.
pub const TOP_HOSTS: usize = 5;
pub const TOP_FLOWS: usize = 5;
pub const TOP_PORTS: usize = 8;
/// What a counted share takes besides its bytes: two counters, and the pointer to it.
const SHARED: usize = 4 * size_of::<usize>();

/// Packets that were lost, by who lost them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotDrops {
    /// The kernel.
    pub kernel: u64,
    /// The interface.
    pub interface: u64,
    /// In blocks that could not be read.
    pub damaged: u64,
    /// Left out by the source.
    pub skipped: u64,
    /// Copies that no tap got.
    pub taps_skipped: u64,
    /// Ended flows (not packets) that were not handed on.
    pub records_skipped: u64,
}

impl SlotDrops {
    fn fields(&self) -> [u64; 6] {
        [self.kernel, self.interface, self.damaged, self.skipped, self.taps_skipped, self.records_skipped]
    }

    fn of_fields([kernel, interface, damaged, skipped, taps_skipped, records_skipped]: [u64; 6]) -> Self {
        Self { kernel, interface, damaged, skipped, taps_skipped, records_skipped }
    }

    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        let (own, other) = (self.fields(), other.fields());
        *self = Self::of_fields(std::array::from_fn(|i| own[i].saturating_add(other[i])));
    }

    /// What was lost since.
    pub fn since(&self, before: &Self) -> Self {
        let (own, before) = (self.fields(), before.fields());
        Self::of_fields(std::array::from_fn(|i| own[i].saturating_sub(before[i])))
    }
}

/// Traffic and losses of a slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrafficSlot {
    /// Packets.
    pub packets: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// Of both, those of each protocol, by [`ProtocolClass`].
    pub protocols: [TrafficCount; ProtocolClass::ALL.len()],
    /// The same, those that went each way, by [`TrafficDirection`](crate::engine::TrafficDirection); all 0 unless that is asked for.
    pub directions: DirectionCounts,
    /// Flow records opened.
    pub flows_opened: u64,
    /// Flow records ended.
    pub flows_ended: u64,
    /// Flows alive at the end of the slot.
    pub flows_active: u64,
    /// The most that were alive at the end of a tick.
    pub flows_active_max: u64,
    /// Losses.
    pub drops: SlotDrops,
    /// Bytes of packets.
    pub sizes: KeptDistribution,
    /// Times of batches in ns.
    pub batches: KeptDistribution,
}

impl TrafficSlot {
    pub(super) fn memory(&self) -> usize {
        SHARED + size_of::<Self>() + self.sizes.memory() + self.batches.memory()
    }
}

/// The same while it goes on.
pub struct OpenTraffic {
    pub sums: TrafficSlot,
    pub sizes: Distribution,
    pub batches: Distribution,
}

impl OpenSlot for OpenTraffic {
    type Kept = TrafficSlot;

    fn new() -> Self {
        Self {
            sums: TrafficSlot::default(),
            sizes: Distribution::new(DistributionKind::PacketSize),
            batches: Distribution::new(DistributionKind::BatchTime),
        }
    }

    fn keep(&self) -> TrafficSlot {
        TrafficSlot { sizes: self.sizes.keep(), batches: self.batches.keep(), ..self.sums.clone() }
    }
}

/// Flows that ended in a slot: all that they had, in the slot of their end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedSlot {
    /// What all of them had.
    pub total: Tally,
    /// By IP protocol and the responder's port, 0 where there is none.
    pub ports: TopList<(u8, u16)>,
    /// By address; a flow counts for both of its ends.
    pub hosts: TopList<HostAddress>,
    /// By 5-tuple.
    pub flows: TopList<FlowKey>,
    /// Typical round trips of TCP flows, in us.
    pub rtt: KeptDistribution,
    /// Times between first and last packet, in ms.
    pub durations: KeptDistribution,
}

impl EndedSlot {
    pub(super) fn memory(&self) -> usize {
        let lists = self.ports.memory() + self.hosts.memory() + self.flows.memory();
        SHARED + size_of::<Self>() + lists + self.rtt.memory() + self.durations.memory()
    }
}

/// The same while it goes on.
pub struct OpenEnded {
    total: Tally,
    ports: TopTable<(u8, u16)>,
    hosts: TopTable<HostAddress>,
    flows: TopTable<FlowKey>,
    rtt: Distribution,
    durations: Distribution,
}

impl OpenEnded {
    /// Adds a flow.
    pub fn add(&mut self, record: &FlowRecord) {
        let rtt_ns = record.tcp.as_ref().and_then(|tcp| tcp.typical_rtt_ns());
        let tally = Tally {
            bytes: record.bytes[0].saturating_add(record.bytes[1]),
            packets: record.packets[0].saturating_add(record.packets[1]),
            flows: 1,
            retransmissions: record.tcp.as_ref().map_or(0, |tcp| tcp.retransmissions.into()),
            rtt_max_ns: rtt_ns.unwrap_or(0),
        };
        let key = record.key.tuple();
        self.total.add(&tally);
        self.ports.add((key.protocol(), responder_port(record)), &tally);
        self.hosts.add(key.a_ip().into(), &tally);
        if key.a_ip() != key.b_ip() {
            self.hosts.add(key.b_ip().into(), &tally);
        }
        self.flows.add(key, &tally);
        rtt_ns.into_iter().for_each(|ns| self.rtt.add(ns / 1000, 1));
        self.durations.add(record.last_seen.since(record.first_seen) / 1_000_000, 1);
    }
}

#[cfg(test)]
impl OpenEnded {
    /// Adds to both distributions alone.
    pub fn fill(&mut self, value: u64, count: u64) {
        self.rtt.add(value, count);
        self.durations.add(value, count);
    }
}

/// Protocols with ports: TCP, UDP, SCTP, UDP-Lite.
const WITH_PORTS: [u8; 4] = [6, 17, 132, 136];

/// The port that is asked for.
fn responder_port(record: &FlowRecord) -> u16 {
    if !WITH_PORTS.contains(&record.key.protocol()) {
        return 0;
    }
    match record.client() {
        Direction::AToB => record.key.b_port(),
        Direction::BToA => record.key.a_port(),
    }
}

impl OpenSlot for OpenEnded {
    type Kept = EndedSlot;

    fn new() -> Self {
        Self {
            total: Tally::default(),
            ports: TopTable::new(),
            hosts: TopTable::new(),
            flows: TopTable::new(),
            rtt: Distribution::new(DistributionKind::Rtt),
            durations: Distribution::new(DistributionKind::FlowDuration),
        }
    }

    fn keep(&self) -> EndedSlot {
        EndedSlot {
            total: self.total,
            ports: self.ports.list(TOP_PORTS),
            hosts: self.hosts.list(TOP_HOSTS),
            flows: self.flows.list(TOP_FLOWS),
            rtt: self.rtt.keep(),
            durations: self.durations.keep(),
        }
    }
}

/// Alerts of one kind and severity that began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertTally {
    /// The detector.
    pub kind: &'static str,
    /// How bad.
    pub severity: AlertSeverity,
    /// How many.
    pub count: u64,
}

/// Alerts of a slot while it goes on: one entry for each detector and severity.
#[derive(Default)]
pub struct OpenAlerts(Vec<AlertTally>);

impl OpenAlerts {
    /// Adds one.
    pub fn add(&mut self, alert: &Alert) {
        let is_same = |known: &&mut AlertTally| (known.kind, known.severity) == (alert.kind, alert.severity);
        match self.0.iter_mut().find(is_same) {
            Some(known) => known.count += 1,
            None => self.0.push(AlertTally { kind: alert.kind, severity: alert.severity, count: 1 }),
        }
    }
}

impl OpenSlot for OpenAlerts {
    type Kept = Vec<AlertTally>;

    fn new() -> Self {
        Self::default()
    }

    fn keep(&self) -> Vec<AlertTally> {
        let mut all = self.0.clone();
        all.sort_unstable_by_key(|tally| (tally.kind, tally.severity));
        all
    }
}

pub(super) fn alerts_memory(slot: &[AlertTally]) -> usize {
    SHARED + size_of::<Vec<AlertTally>>() + size_of_val(slot)
}
