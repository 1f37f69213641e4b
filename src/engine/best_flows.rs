//! The best of many flows: by what they are compared, and those that are kept.
//!
//! Owns the heap. Knows no table and no question. Invariant: of flows with the same value it is always the same ones that are kept,
//! whatever the order in which they are shown.

use crate::flow::{FlowKey, FlowRecord, FlowWeight};
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::fmt;
use std::ops::AddAssign;
use std::sync::Arc;

/// Makes a value of a record, and of whether its flow is alive.
pub type StateRank = Arc<dyn Fn(&FlowRecord, bool) -> u64 + Send + Sync>;

/// What makes a flow better than another: the largest value is the best.
#[derive(Clone)]
pub enum SortKey {
    /// Bytes of both directions.
    Bytes,
    /// Packets of both directions.
    Packets,
    /// Time of the latest packet.
    LastSeen,
    /// Whatever this makes of a record.
    By(Arc<dyn Fn(&FlowRecord) -> u64 + Send + Sync>),
    /// Whatever this makes of a record, and of whether the flow is alive: one that ended has no rate, say.
    ByState(StateRank),
}

impl SortKey {
    /// Its value in the record of a flow that is alive, or has ended.
    pub fn of(&self, record: &FlowRecord, is_alive: bool) -> u64 {
        match self {
            Self::By(value) => value(record),
            Self::ByState(value) => value(record, is_alive),
            Self::Bytes | Self::Packets | Self::LastSeen => self.of_weight(&FlowWeight::of(record)).unwrap_or(0),
        }
    }

    /// The same before there is a record; `None` where it takes one.
    #[inline]
    pub(super) fn of_weight(&self, weight: &FlowWeight) -> Option<u64> {
        match self {
            Self::Bytes => Some(weight.bytes),
            Self::Packets => Some(weight.packets),
            Self::LastSeen => Some(weight.last_seen.0),
            Self::By(_) | Self::ByState(_) => None,
        }
    }
}

impl fmt::Debug for SortKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bytes => "Bytes",
            Self::Packets => "Packets",
            Self::LastSeen => "LastSeen",
            Self::By(_) => "By(..)",
            Self::ByState(_) => "ByState(..)",
        })
    }
}

/// What all flows that fit have together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowTotals {
    /// Flows.
    pub flows: u64,
    /// Their packets.
    pub packets: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
}

impl FlowTotals {
    /// One more flow.
    pub fn add(&mut self, weight: &FlowWeight) {
        *self += Self { flows: 1, packets: weight.packets, bytes: weight.bytes };
    }

    /// A flow is not among them after all.
    pub fn remove(&mut self, weight: &FlowWeight) {
        let Self { flows, packets, bytes } = self;
        *flows = flows.saturating_sub(1);
        *packets = packets.saturating_sub(weight.packets);
        *bytes = bytes.saturating_sub(weight.bytes);
    }
}

impl AddAssign for FlowTotals {
    fn add_assign(&mut self, other: Self) {
        self.flows = self.flows.saturating_add(other.flows);
        self.packets = self.packets.saturating_add(other.packets);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

/// Keeps the best flows of those it is shown, each with something to go with it.
pub struct BestFlows<T> {
    limit: usize,
    /// The worst of them on top.
    heap: BinaryHeap<Reverse<RankedFlow<T>>>,
}

impl<T> BestFlows<T> {
    /// Keeps `limit` of them.
    pub fn new(limit: usize) -> Self {
        Self { limit, heap: BinaryHeap::new() }
    }

    /// True unless a flow of this value and key is certainly worse than all that are kept.
    #[inline]
    pub fn may_take(&self, value: u64, key: &FlowKey) -> bool {
        let is_better = |worst: &RankedFlow<T>| (worst.value, Reverse(worst.record.key)) <= (value, Reverse(*key));
        self.heap.len() < self.limit || self.heap.peek().is_some_and(|Reverse(worst)| is_better(worst))
    }

    /// Takes this flow, of this value, if it is among the best. What goes with it is made then alone.
    pub fn take(&mut self, value: u64, record: &FlowRecord, tag: impl FnOnce() -> T) {
        if !self.may_take(value, &record.key) {
            return;
        }
        let ranked = RankedFlow { value, record: *record, tag: tag() };
        if self.heap.len() < self.limit {
            self.heap.push(Reverse(ranked));
        } else if let Some(mut worst) = self.heap.peek_mut()
            && worst.0 < ranked
        {
            *worst = Reverse(ranked);
        }
    }

    /// The worst of them, which is kept no more.
    pub(super) fn pop(&mut self) -> Option<(FlowRecord, T)> {
        self.heap.pop().map(|Reverse(flow)| (flow.record, flow.tag))
    }

    /// True when none is kept.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// All of them, in no order.
    pub fn into_flows(self) -> impl Iterator<Item = (FlowRecord, T)> {
        self.heap.into_iter().map(|Reverse(flow)| (flow.record, flow.tag))
    }
}

/// A record that is compared by its value.
struct RankedFlow<T> {
    value: u64,
    record: FlowRecord,
    tag: T,
}

impl<T> RankedFlow<T> {
    fn rank(&self) -> impl Ord {
        (self.value, Reverse((self.record.key, self.record.first_packet)))
    }
}

impl<T> PartialEq for RankedFlow<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T> Eq for RankedFlow<T> {}

impl<T> PartialOrd for RankedFlow<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for RankedFlow<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}
