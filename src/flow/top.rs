//! Top talkers of a tick, exact: the flows with the most bytes since the tick began.
//!
//! Owns the candidate list and its threshold. Knows no time beyond the tick's number. Its invariant: a flow outside the list has
//! fewer bytes in this tick than each of the `count` best inside, so nothing outside can belong to the top.
//!
//! A flow enters when its bytes of the tick reach the threshold. A full list is cut to the best `count` and the threshold rises to
//! the last of them, so an entry costs amortised constant time. A record that ends within the tick leaves a copy behind. Ties go
//! to the smaller key, then to the earlier record.

use super::entry::Flag;
use super::store::FlowStore;
use super::{FlowKey, TcpRecord};
use netscope_backends::Timestamp;
use std::cmp::Reverse;

/// A flow among those with the most bytes in a tick. Arrays are indexed by [`super::Direction::index`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TopFlow {
    /// Canonical 5-tuple.
    pub key: FlowKey,
    /// Packets per direction since the record began.
    pub packets: [u64; 2],
    /// Bytes per direction since the record began.
    pub bytes: [u64; 2],
    /// Bytes of both directions in the tick that ended.
    pub delta_bytes: u64,
    /// Time of the earliest packet.
    pub first_seen: Timestamp,
    /// Time of the latest packet.
    pub last_seen: Timestamp,
    /// Set for TCP flows.
    pub tcp: Option<TcpRecord>,
}

/// Bytes, key, first packet: best first.
type Rank = (Reverse<u64>, FlowKey, u64);

/// A live flow in the list; it is still the one meant while the entry is listed and began with this packet.
#[derive(Clone, Copy)]
struct Candidate {
    number: u32,
    first_packet: u64,
}

/// Most bytes counted of one flow in one tick.
const TICK_BYTES_MAX: u64 = (1 << 48) - 1;

/// The current tick.
#[derive(Clone, Copy)]
struct Tick {
    number: u16,
    /// The clock when it began.
    began: Timestamp,
}

/// The candidates of the current tick.
pub(super) struct Top {
    /// 0: nothing here runs.
    count: usize,
    tick: Tick,
    /// By place: bytes of the tick (48 bits, saturating) over the low 16 bits of the tick's number. Empty while nothing runs.
    ticks: Vec<u64>,
    threshold: u64,
    live: Vec<Candidate>,
    gone: Vec<(u64, TopFlow)>,
    ranks: Vec<Rank>,
    /// The best of a tick on their way out; empty between ticks.
    ranked: Vec<(Rank, TopFlow)>,
}

impl Top {
    /// The `count` best of a table with room for `reserved` flows.
    pub fn new(count: usize, reserved: usize) -> Self {
        let (capacity, reserved) = if count == 0 { (0, 0) } else { (Self::limit(count), reserved) };
        Self {
            count,
            tick: Tick { number: 0, began: Timestamp(0) },
            // Zeroed memory comes from the system untouched.
            ticks: vec![0; reserved],
            threshold: 1,
            live: Vec::with_capacity(capacity),
            gone: Vec::with_capacity(capacity),
            ranks: Vec::with_capacity(capacity),
            ranked: Vec::with_capacity(capacity),
        }
    }

    #[inline]
    pub fn is_on(&self) -> bool {
        self.count != 0
    }

    /// Counts bytes of the tick for the flow at a place, last touched at `touched`; true when it now has to be listed.
    pub fn add(&mut self, number: u32, listed: bool, touched: Timestamp, bytes: u64) -> bool {
        let sum = self.tick_bytes(number, touched).saturating_add(bytes).min(TICK_BYTES_MAX);
        let at = number as usize;
        if at >= self.ticks.len() {
            self.ticks.resize((at + 1).next_power_of_two(), 0);
        }
        self.ticks[at] = sum << 16 | u64::from(self.tick.number);
        sum >= self.threshold && !listed
    }

    /// A new record begins at a place.
    pub fn reset(&mut self, number: u32) {
        if let Some(tick) = self.ticks.get_mut(number as usize) {
            *tick = 0;
        }
    }

    /// Bytes of the tick of the flow at a place, last touched at `touched`: the 16 bits of the tick's number alone would come round.
    fn tick_bytes(&self, number: u32, touched: Timestamp) -> u64 {
        let tick = self.ticks.get(number as usize).copied().unwrap_or(0);
        if touched >= self.tick.began && tick as u16 == self.tick.number { tick >> 16 } else { 0 }
    }

    fn bytes_of(&self, number: u32, store: &FlowStore) -> u64 {
        self.tick_bytes(number, store.touched(number))
    }

    fn rank(&self, candidate: Candidate, store: &FlowStore) -> Rank {
        let bytes = self.bytes_of(candidate.number, store);
        (Reverse(bytes), store.entries.get(candidate.number).key, candidate.first_packet)
    }

    /// Lists a flow and, when the list is full, cuts it to the best.
    pub fn list(&mut self, number: u32, store: &mut FlowStore) {
        let (entry, cold) = store.entries.both_mut(number);
        entry.set(Flag::LISTED, true);
        self.live.push(Candidate { number, first_packet: cold.first_packet });
        self.cut_if_full(store);
    }

    /// Keeps a copy of a listed flow whose record ends now.
    pub fn keep(&mut self, number: u32, store: &mut FlowStore) {
        let copy = self.describe(number, store);
        store.entries.get_mut(number).set(Flag::LISTED, false);
        self.gone.push((store.entries.cold(number).first_packet, copy));
        self.cut_if_full(store);
    }

    /// A listed flow's first packet turned out to be an earlier one.
    pub fn renumber(&mut self, number: u32, first_packet: u64) {
        for candidate in self.live.iter_mut().filter(|c| c.number == number) {
            candidate.first_packet = first_packet;
        }
    }

    /// Ends the tick: the best flows, most bytes first, and an empty list.
    pub fn end_tick(&mut self, clock: Timestamp, store: &mut FlowStore, out: &mut Vec<TopFlow>) {
        out.clear();
        if self.count == 0 {
            return;
        }
        if self.live.len() + self.gone.len() > self.count {
            self.cut(store);
        }
        let mut ranked = std::mem::take(&mut self.ranked);
        for &(first_packet, flow) in &self.gone {
            ranked.push(((Reverse(flow.delta_bytes), flow.key, first_packet), flow));
        }
        for i in 0..self.live.len() {
            let candidate = self.live[i];
            if self.is_valid(candidate, store) {
                store.entries.get_mut(candidate.number).set(Flag::LISTED, false);
                let flow = self.describe(candidate.number, store);
                ranked.push(((Reverse(flow.delta_bytes), flow.key, candidate.first_packet), flow));
            }
        }
        ranked.sort_unstable_by_key(|(rank, _)| *rank);
        out.extend(ranked.drain(..).take(self.count).map(|(_, flow)| flow));
        self.ranked = ranked;
        self.live.clear();
        self.gone.clear();
        self.threshold = 1;
        self.tick = Tick { number: self.tick.number.wrapping_add(1), began: clock };
    }

    /// All flows have left: nothing that lives is listed.
    pub fn forget_places(&mut self) {
        self.live.clear();
    }

    pub fn memory_bytes(&self) -> usize {
        self.ticks.capacity() * 8
            + self.live.capacity() * size_of::<Candidate>()
            + self.gone.capacity() * size_of::<(u64, TopFlow)>()
            + self.ranks.capacity() * size_of::<Rank>()
            + self.ranked.capacity() * size_of::<(Rank, TopFlow)>()
    }

    const fn limit(count: usize) -> usize {
        let limit = count.saturating_mul(4);
        if limit < 64 { 64 } else { limit }
    }

    fn is_valid(&self, candidate: Candidate, store: &FlowStore) -> bool {
        let (entry, cold) = store.entries.both(candidate.number);
        entry.is(Flag::LIVE) && entry.is(Flag::LISTED) && cold.first_packet == candidate.first_packet
    }

    fn describe(&self, number: u32, store: &FlowStore) -> TopFlow {
        let (entry, cold) = store.entries.both(number);
        TopFlow {
            key: entry.key,
            packets: entry.packets(),
            bytes: entry.bytes,
            delta_bytes: self.bytes_of(number, store),
            first_seen: cold.first_seen,
            last_seen: entry.last_seen,
            tcp: store.tcp_record(number),
        }
    }

    fn cut_if_full(&mut self, store: &mut FlowStore) {
        if self.live.len() + self.gone.len() >= Self::limit(self.count) {
            self.cut(store);
        }
    }

    /// Drops candidates that are gone or not among the best `count`.
    fn cut(&mut self, store: &mut FlowStore) {
        let mut live = std::mem::take(&mut self.live);
        live.retain(|&candidate| self.is_valid(candidate, store));
        let mut ranks = std::mem::take(&mut self.ranks);
        ranks.clear();
        ranks.extend(live.iter().map(|&candidate| self.rank(candidate, store)));
        ranks.extend(self.gone.iter().map(|(first, flow)| (Reverse(flow.delta_bytes), flow.key, *first)));
        if ranks.len() > self.count {
            let (_, &mut last, _) = ranks.select_nth_unstable(self.count - 1);
            live.retain(|&candidate| {
                let keep = self.rank(candidate, store) <= last;
                if !keep {
                    store.entries.get_mut(candidate.number).set(Flag::LISTED, false);
                }
                keep
            });
            self.gone.retain(|(first, flow)| (Reverse(flow.delta_bytes), flow.key, *first) <= last);
            self.threshold = self.threshold.max(last.0.0);
        }
        self.live = live;
        self.ranks = ranks;
    }
}
