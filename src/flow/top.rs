//! Top talkers of a tick, exact: the flows with the most bytes since the tick began.
//!
//! Owns the candidate list and its threshold. Knows no time beyond the tick's number. Its invariant: a flow outside the list ranks
//! behind each of the `count` best inside, so nothing outside can belong to the top.
//!
//! A flow's bytes of the tick are in its entry (24 bits, over 8 bits of the tick's number), which each packet
//! reads anyway. A flow enters when it ranks before the threshold, or when its bytes outgrow half of those
//! bits; from then on they are the difference of its total to what it was. A full list is cut to the best
//! `count` and the threshold rises to the last of them, so an entry costs amortised constant time. A record
//! that ends within the tick leaves a copy behind. Ties go to the smaller 5-tuple, then to the earlier
//! record.

use super::entry::{Entry, Flag};
use super::store::FlowStore;
use super::{FlowKey, TcpRecord};
use netscope_backends::Timestamp;
use std::cmp::Reverse;

/// A flow among those with the most bytes in a tick. Arrays are indexed by [`super::Direction::index`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TopFlow {
    /// Canonical 5-tuple, in the domain of its worker.
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

impl TopFlow {
    /// Bytes, 5-tuple, beginning and domain: best first.
    pub fn rank(&self) -> (Reverse<u64>, FlowKey, Timestamp, u16) {
        (Reverse(self.delta_bytes), self.key.tuple(), self.first_seen, self.key.domain())
    }

    /// Keeps the best `count` of `flows`, in no order.
    pub fn keep_best(flows: &mut Vec<Self>, count: usize) {
        if count < flows.len() {
            if count > 0 {
                flows.select_nth_unstable_by_key(count - 1, Self::rank);
            }
            flows.truncate(count);
        }
    }
}

/// Bytes, key, first packet: best first.
type TopRank = (Reverse<u64>, FlowKey, u64);

/// A live flow in the list, as long as its entry is listed at this index.
#[derive(Clone, Copy)]
struct TopCandidate {
    place: u32,
    /// Bytes of the record before the tick.
    bytes_before: u64,
}

/// Most bytes of a tick that an entry holds.
const HELD_MAX: u64 = (1 << 24) - 1;
/// A flow with this many bytes in the tick is listed, whatever its rank: its entry would soon hold too few bits. A link of
/// 100 Gbit/s brings 1,500 such flows a second at most.
const HEAVY: u64 = 1 << 23;
/// What any flow with bytes ranks before.
const LOWEST: (u64, FlowKey) = (0, FlowKey::BLANK);
/// Listed flows that memory is reserved for.
const RESERVED: usize = 4096;
/// Listed flows at most. So many heavy ones in a tick take forged lengths; those that rank too low are then dropped all the same.
const LISTED_MAX: usize = 1 << 20;

/// The current tick.
#[derive(Clone, Copy)]
struct Tick {
    number: u8,
    /// The clock when it began.
    began: Timestamp,
}

/// The candidates of the current tick.
pub(super) struct Top {
    /// 0: nothing here runs.
    count: usize,
    tick: Tick,
    /// What a flow has to rank before: bytes, key.
    threshold: (u64, FlowKey),
    /// Listed flows at which the list is cut.
    cut_at: usize,
    live: Vec<TopCandidate>,
    gone: Vec<(u64, TopFlow)>,
    ranks: Vec<TopRank>,
}

impl Top {
    /// The `count` best.
    pub fn new(count: usize) -> Self {
        let capacity = if count == 0 { 0 } else { Self::limit(count) };
        Self {
            count,
            tick: Tick { number: 0, began: Timestamp(0) },
            threshold: LOWEST,
            cut_at: Self::limit(count),
            live: Vec::with_capacity(if count == 0 { 0 } else { capacity.max(RESERVED) }),
            gone: Vec::with_capacity(capacity),
            ranks: Vec::with_capacity(capacity),
        }
    }

    #[inline]
    pub fn is_on(&self) -> bool {
        self.count != 0
    }

    /// Counts bytes of the tick for a flow, which was last touched at `touched` and has been counted since. When it now has to be
    /// listed: the bytes of its record before the tick.
    #[inline(always)]
    pub fn add(&self, entry: &mut Entry, touched: Timestamp, bytes: u64) -> Option<u64> {
        if entry.is(Flag::LISTED) {
            return None;
        }
        let sum = self.held(entry, touched) + bytes;
        self.hold(entry, sum);
        if sum < self.threshold.0.min(HEAVY) || !self.ranks_before_threshold(entry, sum) {
            return None;
        }
        Some(entry.bytes_total().saturating_sub(sum))
    }

    #[inline(always)]
    fn ranks_before_threshold(&self, entry: &Entry, sum: u64) -> bool {
        let (bytes, key) = &self.threshold;
        sum > *bytes || sum >= HEAVY || sum == *bytes && entry.key.tuple() <= *key
    }

    #[inline(always)]
    fn hold(&self, entry: &mut Entry, number: u64) {
        entry.tick_bytes = (number.min(HELD_MAX) as u32) << 8 | u32::from(self.tick.number);
    }

    /// Bytes of the tick that the entry of a flow holds, last touched at `touched`: the 8 bits of the tick's number alone would
    /// come round.
    #[inline(always)]
    fn held(&self, entry: &Entry, touched: Timestamp) -> u64 {
        let is_current = entry.tick_bytes as u8 == self.tick.number && touched >= self.tick.began;
        if is_current { u64::from(entry.tick_bytes >> 8) } else { 0 }
    }

    /// Lists the flow at a place, of whose latest packet [`Top::add`] was told, and when the list is full, cuts it.
    #[cold]
    pub fn list(&mut self, place: u32, bytes_before: u64, store: &mut FlowStore) {
        let entry = store.entries.get_mut(place);
        entry.set(Flag::LISTED, true);
        self.hold(entry, self.live.len() as u64);
        self.live.push(TopCandidate { place, bytes_before });
        self.cut_if_full(store);
    }

    /// Keeps a copy of a listed flow whose record ends now.
    pub fn keep(&mut self, place: u32, store: &mut FlowStore) {
        if let Some(&listed) = self.live.get(index_of(store.entries.get(place))) {
            self.gone.push((store.entries.cold(place).first_packet(), describe(listed, store)));
        }
        store.entries.get_mut(place).set(Flag::LISTED, false);
        self.cut_if_full(store);
    }

    /// Ends the tick: the best flows, in no order, and an empty list.
    pub fn end_tick(&mut self, clock: Timestamp, store: &mut FlowStore, out: &mut Vec<TopFlow>) {
        out.clear();
        if self.count == 0 {
            return;
        }
        if self.live.len() + self.gone.len() > self.count {
            self.cut(false, store);
        }
        self.retain(store, |_| true);
        // A cut leaves no more than were asked for.
        out.extend(self.gone.drain(..).map(|(_, flow)| flow));
        for listed in self.live.drain(..) {
            out.push(describe(listed, store));
            store.entries.get_mut(listed.place).set(Flag::LISTED, false);
        }
        (self.threshold, self.cut_at) = (LOWEST, Self::limit(self.count));
        self.tick = Tick { number: self.tick.number.wrapping_add(1), began: clock };
    }

    /// All flows have left: nothing that lives is listed.
    pub fn forget_places(&mut self) {
        self.live.clear();
    }

    #[cfg(test)]
    pub fn listed(&self) -> usize {
        self.live.len() + self.gone.len()
    }

    pub fn memory_bytes(&self) -> usize {
        self.live.capacity() * size_of::<TopCandidate>()
            + self.gone.capacity() * size_of::<(u64, TopFlow)>()
            + self.ranks.capacity() * size_of::<TopRank>()
    }

    const fn limit(count: usize) -> usize {
        let limit = count.saturating_mul(4);
        if limit < 64 { 64 } else { limit }
    }

    fn cut_if_full(&mut self, store: &mut FlowStore) {
        if self.live.len() + self.gone.len() >= self.cut_at {
            self.cut(self.live.len() < LISTED_MAX, store);
        }
    }

    /// Drops candidates that are gone or not among the best `count`; heavy ones stay where they are asked to.
    fn cut(&mut self, keeps_heavy: bool, store: &mut FlowStore) {
        self.retain(store, |_| true);
        let mut ranks = std::mem::take(&mut self.ranks);
        ranks.clear();
        ranks.extend(self.live.iter().map(|&listed| rank(listed, store)));
        ranks.extend(self.gone.iter().map(|(first_packet, flow)| rank_of(flow, *first_packet)));
        if ranks.len() > self.count {
            let (_, &mut last, _) = ranks.select_nth_unstable(self.count - 1);
            self.retain(store, |rank| *rank <= last || keeps_heavy && rank.0.0 >= HEAVY);
            self.gone.retain(|(first_packet, flow)| rank_of(flow, *first_packet) <= last);
            if (Reverse(last.0.0), last.1) < (Reverse(self.threshold.0), self.threshold.1) {
                self.threshold = (last.0.0, last.1);
            }
        }
        // However many heavy flows stay, the next cut is as far away again.
        self.cut_at =
            Self::limit(self.count).max(2 * (self.live.len() + self.gone.len())).min(LISTED_MAX.max(Self::limit(self.count)));
        self.ranks = ranks;
    }

    /// Keeps the live candidates that are still meant and whose rank is wanted; an entry that leaves holds its bytes again.
    fn retain(&mut self, store: &mut FlowStore, wants: impl Fn(&TopRank) -> bool) {
        let mut kept = 0;
        for index in 0..self.live.len() {
            let listed = self.live[index];
            if !listed.is_at(index, store) {
                continue;
            }
            let rank = rank(listed, store);
            let entry = store.entries.get_mut(listed.place);
            if wants(&rank) {
                self.hold(entry, kept as u64);
                self.live[kept] = listed;
                kept += 1;
            } else {
                entry.set(Flag::LISTED, false);
                self.hold(entry, rank.0.0);
            }
        }
        self.live.truncate(kept);
    }
}

impl TopCandidate {
    fn is_at(&self, index: usize, store: &FlowStore) -> bool {
        let entry = store.entries.get(self.place);
        entry.is(Flag::LIVE) && entry.is(Flag::LISTED) && index_of(entry) == index
    }
}

/// Where in the list a listed flow is.
const fn index_of(entry: &Entry) -> usize {
    (entry.tick_bytes >> 8) as usize
}

/// Bytes of the tick, and what ties go by.
fn rank(listed: TopCandidate, store: &FlowStore) -> TopRank {
    let (entry, cold) = store.entries.both(listed.place);
    (Reverse(entry.bytes_total().saturating_sub(listed.bytes_before)), entry.key.tuple(), cold.first_packet())
}

/// The same of a copy.
const fn rank_of(flow: &TopFlow, first_packet: u64) -> TopRank {
    (Reverse(flow.delta_bytes), flow.key.tuple(), first_packet)
}

fn describe(listed: TopCandidate, store: &FlowStore) -> TopFlow {
    let (entry, cold) = store.entries.both(listed.place);
    TopFlow {
        key: entry.key,
        packets: entry.packets(),
        bytes: entry.bytes(),
        delta_bytes: entry.bytes_total().saturating_sub(listed.bytes_before),
        first_seen: cold.first_seen,
        last_seen: entry.last_seen,
        tcp: store.tcp_record(listed.place),
    }
}
