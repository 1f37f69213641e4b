//! What leaves a worker: a snapshot per tick, ended flows, copied packets. Plain values in boxes that go round; in the last one
//! the flows that are still alive.

use super::{AddressNames, Announcement, Ledger, TickCounts};
use crate::detect::BurstEvidence;
use crate::flow::{FactArena, FlowCounters, FlowNote, FlowRecord, FragmentCounters, LastFlows, TopFlow};
use netscope_backends::chunk::{CHUNK_PACKETS_MAX, PacketChunk};
use netscope_backends::{Counters, Packet, RingFill, Timestamp};

/// Totals of one worker at the end of a tick, and the evidence of that tick. Totals are not differences, and evidence of a skipped
/// snapshot is added to the next one, so a skipped snapshot loses nothing.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Number of the tick that ended: packet time divided by the tick's length.
    pub tick: u64,
    /// The tick this worker is in now: it ends no earlier one any more.
    pub next_tick: u64,
    /// End of that tick in packet time; for the last snapshot the time of the latest packet.
    pub time: Timestamp,
    /// Packets and where they went, since the start.
    pub ledger: Ledger,
    /// What the source counted, since the start; all 0 from a worker that does not answer for the source.
    pub source: Counters,
    /// What waited in its ring, asked for with `source`.
    pub ring: Option<RingFill>,
    /// Flows opened and ended, since the start.
    pub flows: FlowCounters,
    /// Flows alive.
    pub flow_count: u64,
    /// IP fragments, the odd ones too; all 0 from a worker that does not lead, as every worker follows all of them.
    pub fragments: FragmentCounters,
    /// Anomalies of TCP flows that were not noted for want of side memory.
    pub tcp_refused: u64,
    /// Gaps in TCP sequences that were forgotten because a flow had too many at once.
    pub tcp_gaps_forgotten: u64,
    /// TCP handshakes that ended before they began, by the clock of the capture.
    pub tcp_backward_handshakes: u64,
    /// TCP segments that their receiver drops: resets and SYNs outside the window, and what is not acceptable in a handshake. The
    /// connection went on.
    pub tcp_out_of_window: u64,
    /// What was seen in this tick, and in those before it whose snapshots were skipped.
    pub evidence: TickEvidence,
    /// How long batches took.
    pub batches: BatchTimes,
    /// Time spent on batches and on answers to questions since the start, in ns of our own.
    pub busy_ns: u64,
    /// The worker's last snapshot.
    pub last: bool,
}

impl Snapshot {
    /// An empty snapshot with room for `top_count` top flows.
    pub fn new(top_count: usize) -> Self {
        Self { evidence: TickEvidence::new(top_count), ..Self::default() }
    }
}

/// What a worker saw in a tick that is no total: it belongs to that tick, and must be added where ticks are put together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TickEvidence {
    /// Flows with the most bytes, unordered.
    pub top: Vec<TopFlow>,
    /// Bytes by bins; empty unless microbursts are measured.
    pub bursts: BurstEvidence,
    /// Sizes and batch times; empty unless a history is kept.
    pub counts: TickCounts,
}

impl TickEvidence {
    /// No evidence, with room for that of two ticks with `top_count` top flows each.
    pub fn new(top_count: usize) -> Self {
        Self {
            top: Vec::with_capacity(top_count.saturating_mul(2)),
            bursts: BurstEvidence::default(),
            counts: TickCounts::default(),
        }
    }

    /// True without any.
    pub fn is_empty(&self) -> bool {
        self.top.is_empty() && self.bursts.is_empty() && self.counts.is_empty()
    }

    /// Forgets all of it; keeps the memory.
    pub fn clear(&mut self) {
        let Self { top, bursts, counts } = self;
        top.clear();
        bursts.clear();
        counts.clear();
    }

    /// Becomes a copy of `other` without giving its memory up.
    pub fn copy_from(&mut self, other: &Self) {
        let Self { top, bursts, counts } = self;
        counts.clear();
        counts.add(&other.counts);
        top.clear();
        top.extend_from_slice(&other.top);
        bursts.copy_from(&other.bursts);
    }

    /// Adds the evidence of a later tick of the same worker; of the top flows the `top_count` largest are kept.
    pub fn add(&mut self, later: &Self, top_count: usize) {
        let Self { top, bursts, counts } = self;
        counts.add(&later.counts);
        bursts.add(&later.bursts);
        if top.is_empty() {
            top.extend_from_slice(&later.top);
            return;
        }
        let name = |flow: &TopFlow| (flow.key, flow.first_seen);
        top.sort_unstable_by_key(name);
        let known_count = top.len();
        for flow in &later.top {
            let known = top.get_mut(..known_count).unwrap_or_default();
            match known.binary_search_by_key(&name(flow), name).ok().and_then(|place| known.get_mut(place)) {
                // The later one has the later totals.
                Some(known) => *known = TopFlow { delta_bytes: known.delta_bytes.saturating_add(flow.delta_bytes), ..*flow },
                None => top.push(*flow),
            }
        }
        TopFlow::keep_best(top, top_count);
    }
}

/// How long batches took, in ns of our own time, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchTimes {
    /// Batches processed.
    pub count: u64,
    /// Median.
    pub p50_ns: u64,
    /// 99th percentile.
    pub p99_ns: u64,
    /// Longest.
    pub max_ns: u64,
}

impl BatchTimes {
    /// Those of two workers: batches of both, times of the slower one, since two medians make no third.
    pub fn with(self, other: Self) -> Self {
        let slower = if other.max_ns >= self.max_ns { other } else { self };
        Self { count: self.count + other.count, ..slower }
    }
}

/// A flow that ended, with its place in the order of all workers.
#[derive(Clone, Copy, Debug)]
pub struct EndedFlow {
    /// When the end was noticed: where every worker counts every packet, its own share or not, the number of packets that had come and of
    /// times that none did; with a queue per worker the time in ns.
    pub event: u64,
    /// The flow.
    pub record: FlowRecord,
}

/// A box of ended flows.
#[derive(Debug, Default)]
pub struct EndedChunk {
    /// Flows in the order they ended.
    pub flows: Vec<EndedFlow>,
    /// Their facts.
    pub facts: FactArena,
    /// Addresses that clients got for names meanwhile.
    pub names: AddressNames,
    /// Flows that were announced meanwhile; at most [`Announcement::BOX_CAPACITY`].
    pub announced: Vec<Announcement>,
    /// Everything with a smaller event is in this box or an earlier one.
    pub through: u64,
    /// In the last box: what was alive until the end, with the event of that end.
    pub last: Option<(u64, Box<LastFlows>)>,
}

impl EndedChunk {
    /// Ended flows that fit into one box.
    pub const CAPACITY: usize = 256;

    /// An empty box with its memory reserved.
    pub fn new() -> Self {
        Self { flows: Vec::with_capacity(Self::CAPACITY), ..Self::default() }
    }

    /// Appends an announcement; false when the box has no room. Their memory is taken when the first one comes, and kept.
    #[must_use]
    pub fn announce(&mut self, announcement: Announcement) -> bool {
        let has_room = self.announced.len() < Announcement::BOX_CAPACITY;
        if has_room {
            if self.announced.capacity() == 0 {
                self.announced.reserve_exact(Announcement::BOX_CAPACITY);
            }
            self.announced.push(announcement);
        }
        has_room
    }
}

/// What a copied packet is to the worker that counted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TapMark {
    /// Its number, from 1: of the queue, or of the source where several workers share one.
    pub number: u64,
    /// Number of its flow's place in the table of that worker when it was counted, as of
    /// [`Counted::place`](crate::flow::Counted::place). `None`: it has no flow, or it was copied before it
    /// was counted, see [`TapPolicy::All`](super::TapPolicy::All).
    pub place: Option<u32>,
}

/// A box of copied packets.
#[derive(Debug)]
pub struct TapChunk {
    /// One per packet.
    marks: Vec<TapMark>,
    /// One per packet where the tap has notes, else none.
    notes: Vec<Option<FlowNote>>,
    packets: PacketChunk,
}

impl Default for TapChunk {
    fn default() -> Self {
        Self::new()
    }
}

impl TapChunk {
    /// An empty box with its memory reserved.
    pub fn new() -> Self {
        Self { marks: Vec::with_capacity(CHUNK_PACKETS_MAX), notes: Vec::new(), packets: PacketChunk::new() }
    }

    /// The same with room for a note on each packet.
    pub fn with_notes() -> Self {
        Self { notes: Vec::with_capacity(CHUNK_PACKETS_MAX), ..Self::new() }
    }

    /// Copies a packet to the end; false, and nothing changed, when the box is full.
    #[must_use]
    pub fn push(&mut self, mark: TapMark, packet: &Packet<'_>) -> bool {
        let is_pushed = self.packets.push(packet);
        if is_pushed {
            self.marks.push(mark);
        }
        is_pushed
    }

    /// The same with what is known of its flow, for a box [with notes](TapChunk::with_notes).
    #[must_use]
    pub fn push_noted(&mut self, mark: TapMark, note: Option<FlowNote>, packet: &Packet<'_>) -> bool {
        let is_pushed = self.push(mark, packet);
        if is_pushed {
            self.notes.push(note);
        }
        is_pushed
    }

    /// Packet number `index`, from 0, its mark and the note on it; `None` when there are not so many.
    #[inline]
    pub fn get(&self, index: usize) -> Option<(TapMark, Option<&FlowNote>, Packet<'_>)> {
        let mark = self.marks.get(index)?;
        Some((*mark, self.notes.get(index).and_then(Option::as_ref), self.packets.packet(index)))
    }

    /// All of them, in the order they came.
    pub fn all(&self) -> impl Iterator<Item = (TapMark, Option<&FlowNote>, Packet<'_>)> {
        (0..self.len()).map_while(|index| self.get(index))
    }

    /// Forgets all packets, keeps the memory.
    pub fn clear(&mut self) {
        self.marks.clear();
        self.notes.clear();
        self.packets.clear();
    }

    /// Packets held.
    pub const fn len(&self) -> usize {
        self.packets.len()
    }

    /// True when no packet is held.
    pub const fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// The packets, in the order they came.
    pub fn packets(&self) -> impl ExactSizeIterator<Item = (TapMark, Packet<'_>)> {
        self.marks.iter().copied().zip(self.packets.packets())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_of_all_workers_and_times_of_the_slowest() {
        let fast = BatchTimes { count: 7, p50_ns: 1, p99_ns: 2, max_ns: 3 };
        let slow = BatchTimes { count: 5, p50_ns: 10, p99_ns: 20, max_ns: 30 };
        assert_eq!((fast.with(slow), slow.with(fast)), (BatchTimes { count: 12, ..slow }, BatchTimes { count: 12, ..slow }));
    }
}
