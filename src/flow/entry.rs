//! One flow's place in the table: packed, without padding.
//!
//! Owns the packing of counters, times, flags and links into what every packet asks for, and into a cold half that few do. What
//! a TCP analysis remembers lies beside them. Knows no table, no wheel and no settings. Its invariant: what goes in comes
//! out exactly; what does not fit lies in the [`Extras`].

use super::extra::{Extra, Extras};
use super::tcp::{TcpBeginning, TcpConnection};
use super::{Direction, Domain, FlowKey, QuotedFlow};
use crate::wire::{Tunnel, VlanTags};
use netscope_backends::Timestamp;
use std::mem::offset_of;

/// What every packet of a flow asks for, 78 bytes. Numbers lie at multiples of their size.
#[derive(Clone, Copy)]
#[repr(C, packed)]
pub(super) struct Entry {
    pub key: FlowKey,
    flags: Flag,
    pub last_seen: Timestamp,
    bytes_low: [u32; 2],
    packets_low: [u32; 2],
    /// Belongs to the top talkers: bytes of a tick, and which.
    pub tick_bytes: u32,
    bytes_high: [u16; 2],
    /// Bits 32 to 35 of both directions' packets, those of the first in the lower half.
    packets_high: u8,
    /// Belongs to the table's active timeout: when the record began.
    pub begun: u8,
    /// Means something while `TRACKED` is set. An `Option` would need more room.
    pub connection: TcpConnection,
}

/// The half of a flow's place that few packets need, 40 bytes.
#[derive(Clone, Copy)]
#[repr(C, packed)]
pub(super) struct ColdHalf {
    pub first_seen: Timestamp,
    /// Links of the wheel's lists and of the list of free places.
    pub next: u32,
    pub previous: u32,
    /// `EXTRA` set: number of the extra facts; clear: count (7 bits) and two VLAN ids (12 bits each).
    link: u32,
    /// Belongs to the tracker.
    pub beginning: TcpBeginning,
    /// Number of the first packet: 56 bits, which no count of packets outgrows.
    first_packet: [u8; 7],
}

const _: () = assert!(size_of::<Entry>() == 78 && size_of::<ColdHalf>() == 40);
const _: () = assert!(offset_of!(Entry, last_seen) == 40 && offset_of!(Entry, tick_bytes) == 64);

const EXTRA: u32 = 1 << 31;

/// Most packets of one direction that an entry counts; the table ends the record and opens the next one there.
pub(super) const PACKETS_MAX: u64 = (1 << 36) - 1;
/// Most bytes of one direction: 281 TB. The same applies.
pub(super) const BYTES_MAX: u64 = (1 << 48) - 1;

/// A flow's flags.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Flag(u8);

impl Flag {
    /// The entry holds a flow, as opposed to a free place.
    pub const LIVE: Self = Self(1);
    /// In the list of the tick's top candidates.
    pub const LISTED: Self = Self(2);
    /// The TCP connection is closed or reset.
    pub const FINISHED: Self = Self(4);
    /// Endpoint b began.
    const BEGUN_BY_B: Self = Self(8);
    /// The tracker holds a TCP connection.
    const TRACKED: Self = Self(16);
    /// The clock when the flow was last touched was ahead of `last_seen`.
    const SKEWED: Self = Self(32);
    /// What comes next needs no look at the cold half: the connection [`is_steady`](TcpConnection::is_steady), or there is no TCP.
    const STEADY: Self = Self(64);
    /// The analysis probably [`asks the arena`](super::tcp::TcpSequences::may_ask_arena) about the next segment.
    const GAPPED: Self = Self(128);
}

/// IANA protocol number.
const TCP: u8 = 6;

/// What the first packet of a flow says.
pub(super) struct Opening {
    pub key: FlowKey,
    pub time: Timestamp,
    pub clock: Timestamp,
    pub number: u64,
    pub vlan: VlanTags,
    pub tunnel: Option<Tunnel>,
    /// Of the packet.
    pub direction: Direction,
    pub initiator: Direction,
    /// Of the ICMP message, where the key has none.
    pub icmp_code: u8,
}

/// A live flow without packets.
pub(super) fn open(opening: &Opening, extras: &mut Extras) -> (Entry, ColdHalf) {
    let steady = if opening.key.protocol() == TCP { 0 } else { Flag::STEADY.0 };
    let begun = if opening.initiator == Direction::BToA { Flag::BEGUN_BY_B.0 } else { 0 };
    let flags = Flag(Flag::LIVE.0 | begun | steady);
    let mut entry = Entry { key: opening.key, last_seen: opening.time, flags, ..Entry::BLANK };
    let link = match (opening.tunnel, pack_vlan(opening.vlan), opening.icmp_code) {
        (None, Some(packed), 0) => packed,
        (tunnel, _, icmp_code) => EXTRA | extras.take(Extra { vlan: opening.vlan, tunnel, icmp_code, ..Extra::default() }),
    };
    let mut cold = ColdHalf::BLANK;
    cold.begin(opening.number, opening.time, link);
    entry.touch(opening.clock, &mut cold, extras);
    (entry, cold)
}

impl Default for Entry {
    fn default() -> Self {
        Self::BLANK
    }
}

impl Default for ColdHalf {
    fn default() -> Self {
        Self::BLANK
    }
}

impl Entry {
    /// A place before its flow is written into it.
    pub const BLANK: Self = Self {
        key: FlowKey::BLANK,
        flags: Flag(0),
        last_seen: Timestamp(0),
        bytes_low: [0; 2],
        packets_low: [0; 2],
        tick_bytes: 0,
        bytes_high: [0; 2],
        packets_high: 0,
        begun: 0,
        connection: TcpConnection::BLANK,
    };

    /// Makes a blank entry a flow that begins with a segment of its client, which is still to be counted.
    #[inline(always)]
    pub fn begin(&mut self, key: &FlowKey, client: Direction) {
        let begun = if client == Direction::BToA { Flag::BEGUN_BY_B.0 } else { 0 };
        self.key = *key;
        self.flags = Flag(Flag::LIVE.0 | Flag::TRACKED.0 | begun);
    }

    #[inline(always)]
    pub const fn is(&self, flag: Flag) -> bool {
        self.flags.0 & flag.0 != 0
    }

    pub const fn set(&mut self, flag: Flag, on: bool) {
        self.flags.0 = if on { self.flags.0 | flag.0 } else { self.flags.0 & !flag.0 };
    }

    /// A live flow that goes on as before, whose clock is not apart from its packets' times.
    #[inline(always)]
    pub const fn is_plain(&self) -> bool {
        self.flags.0 & (Flag::LIVE.0 | Flag::STEADY.0 | Flag::SKEWED.0) == Flag::LIVE.0 | Flag::STEADY.0
    }

    /// The same of one whose connection may be about to begin.
    pub const fn may_begin(&self) -> bool {
        self.may_go_on() && !self.is(Flag::FINISHED)
    }

    /// The same of one whose connection may be about to begin or to end.
    pub const fn may_go_on(&self) -> bool {
        const ASKED: u8 = Flag::LIVE.0 | Flag::TRACKED.0 | Flag::SKEWED.0;
        self.flags.0 & ASKED == Flag::LIVE.0 | Flag::TRACKED.0
    }

    /// What comes next needs more than the hot half: the cold one, or what the arena holds.
    #[inline(always)]
    pub const fn needs_more(&self) -> bool {
        self.flags.0 & (Flag::STEADY.0 | Flag::GAPPED.0) != Flag::STEADY.0
    }

    /// Whatever comes next, the cold half is needed for it.
    pub const fn needs_cold_half(&self) -> bool {
        !self.is(Flag::STEADY)
    }

    /// The tracker took in a segment; `may_ask_arena` as [`TcpSequences`](super::tcp::TcpSequences) says.
    pub const fn note_tracked(&mut self, may_ask_arena: bool) {
        self.set(Flag::TRACKED, true);
        self.set(Flag::STEADY, self.connection.is_steady());
        self.set(Flag::GAPPED, may_ask_arena);
    }

    /// The tracker is gone.
    pub const fn note_released(&mut self) {
        self.set(Flag::TRACKED, false);
        self.set(Flag::STEADY, false);
        self.set(Flag::GAPPED, false);
    }

    /// The flow had a segment.
    #[inline(always)]
    pub const fn is_tracked(&self) -> bool {
        self.is(Flag::TRACKED)
    }

    /// Goes on with the flow of the record before: who began it, and its connection.
    pub fn go_on_from(&mut self, before: &Self) {
        const KEPT: u8 = Flag::BEGUN_BY_B.0 | Flag::TRACKED.0 | Flag::FINISHED.0 | Flag::STEADY.0 | Flag::GAPPED.0;
        self.connection = before.connection;
        self.flags = Flag(self.flags.0 & !KEPT | before.flags.0 & KEPT);
    }

    pub const fn initiator(&self) -> Direction {
        if self.is(Flag::BEGUN_BY_B) { Direction::BToA } else { Direction::AToB }
    }

    /// Bytes per direction.
    #[inline(always)]
    pub fn bytes(&self) -> [u64; 2] {
        [0, 1].map(|i| u64::from(self.bytes_high[i]) << 32 | u64::from(self.bytes_low[i]))
    }

    /// Bytes of both directions.
    #[inline(always)]
    pub fn bytes_total(&self) -> u64 {
        self.bytes().iter().sum()
    }

    /// Packets per direction.
    pub fn packets(&self) -> [u64; 2] {
        [0, 1].map(|i| self.high(i) << 32 | u64::from(self.packets_low[i]))
    }

    /// The bits of a direction's packets that are in `packets_high`.
    const fn high(&self, i: usize) -> u64 {
        (self.packets_high >> (4 * i) & 0xf) as u64
    }

    /// True when so many more in this direction do not fit.
    pub fn would_overflow(&self, direction: Direction, packets: u64, bytes: u64) -> bool {
        let i = direction.index();
        self.packets()[i].saturating_add(packets) > PACKETS_MAX || self.bytes()[i].saturating_add(bytes) > BYTES_MAX
    }

    /// Counts packets of one direction, and at most [`BYTES_MAX`] bytes; the caller has asked [`Self::would_overflow`].
    pub fn count(&mut self, direction: Direction, packets: u64, bytes: u64) {
        let i = direction.index();
        let packets = self.packets()[i] + packets;
        let bytes = self.bytes()[i] + bytes;
        self.packets_low[i] = packets as u32;
        self.packets_high = self.packets_high & !(0xf << (4 * i)) | ((packets >> 32) as u8) << (4 * i);
        (self.bytes_low[i], self.bytes_high[i]) = (bytes as u32, (bytes >> 32) as u16);
    }

    /// The next packet of this direction is the first one, and there were others before it: somebody answers.
    #[inline(always)]
    pub const fn is_first_answer(&self, direction: Direction) -> bool {
        self.packets_low[direction as usize] == 0 && self.high(direction as usize) == 0
    }

    /// True when one more packet of this direction can be counted by [`Self::count_one`].
    #[inline(always)]
    pub const fn has_room_for_one(&self, direction: Direction, bytes: u32) -> bool {
        let i = direction as usize;
        self.packets_low[i] != u32::MAX && self.bytes_low[i].checked_add(bytes).is_some()
    }

    /// As [`Self::count`] of one packet at `time`, which is not before any packet of the table.
    #[inline(always)]
    pub const fn count_one(&mut self, direction: Direction, bytes: u32, time: Timestamp) {
        self.packets_low[direction as usize] += 1;
        self.bytes_low[direction as usize] += bytes;
        self.last_seen = time;
    }

    /// Widens the span of packet times; call [`Self::touch`] afterwards, because the clock is kept relative to it.
    pub fn see(&mut self, earliest: Timestamp, latest: Timestamp, cold: &mut ColdHalf) {
        cold.first_seen = cold.first_seen.min(earliest);
        self.last_seen = self.last_seen.max(latest);
    }

    /// The flow was touched when the clock said `clock`, which is never before any packet's time.
    pub fn touch(&mut self, clock: Timestamp, cold: &mut ColdHalf, extras: &mut Extras) {
        let is_skewed = clock.0 != { self.last_seen }.0;
        self.set(Flag::SKEWED, is_skewed);
        if is_skewed {
            cold.extra_mut(extras).touched = clock;
        }
    }

    /// The clock when the flow was last touched.
    #[inline(always)]
    pub fn touched(&self, cold: &ColdHalf, extras: &Extras) -> Timestamp {
        if self.is(Flag::SKEWED) { extras.get(cold.link & !EXTRA).touched } else { self.last_seen }
    }
}

impl ColdHalf {
    /// As [`Entry::BLANK`].
    pub const BLANK: Self =
        Self { first_seen: Timestamp(0), next: 0, previous: 0, link: 0, beginning: TcpBeginning::UNKNOWN, first_packet: [0; 7] };

    /// Makes a blank cold half that of a flow; `link` as [`pack_vlan`].
    #[inline(always)]
    pub const fn begin(&mut self, first_packet: u64, first_seen: Timestamp, link: u32) {
        self.set_first_packet(first_packet);
        self.first_seen = first_seen;
        self.link = link;
    }

    /// Number of the first packet.
    pub const fn first_packet(&self) -> u64 {
        let [a, b, c, d, e, f, g] = self.first_packet;
        u64::from_le_bytes([a, b, c, d, e, f, g, 0])
    }

    pub const fn set_first_packet(&mut self, number: u64) {
        let [a, b, c, d, e, f, g, _] = number.to_le_bytes();
        self.first_packet = [a, b, c, d, e, f, g];
    }

    /// The flow goes on in this VLAN and tunnel. True for the first time that they are not those of the first packet.
    pub fn notes_change(&mut self, domain: Domain, extras: &mut Extras) -> bool {
        let Extra { vlan, tunnel, has_changed, .. } = self.extra(extras);
        let changes = !has_changed && Domain::new(vlan, tunnel) != domain;
        if changes {
            self.extra_mut(extras).has_changed = true;
        }
        changes
    }

    /// The first packet came the way of the answers: no change of VLAN or tunnel is told from it.
    pub fn forgo_change(&mut self, extras: &mut Extras) {
        self.extra_mut(extras).has_changed = true;
    }

    pub fn add_fragments(&mut self, count: u32, extras: &mut Extras) {
        let extra = self.extra_mut(extras);
        extra.fragments = extra.fragments.saturating_add(count);
    }

    /// One more ICMP error quotes a packet of the flow.
    pub fn add_icmp_error(&mut self, extras: &mut Extras) {
        let extra = self.extra_mut(extras);
        extra.icmp_errors = extra.icmp_errors.saturating_add(1);
    }

    /// The flow's ICMP errors are about this one; the first that is named stays.
    pub fn note_quote(&mut self, quoted: QuotedFlow, extras: &mut Extras) {
        self.extra_mut(extras);
        extras.quote(self.link & !EXTRA, quoted);
    }

    /// The rare facts, wherever they lie.
    #[inline]
    pub fn extra(&self, extras: &Extras) -> Extra {
        if self.link & EXTRA == 0 {
            Extra { vlan: unpack_vlan(self.link), ..Extra::default() }
        } else {
            *extras.get(self.link & !EXTRA)
        }
    }

    /// Gives the place of the extra facts back; the entry must not be used afterwards.
    pub fn release_extra(&mut self, extras: &mut Extras) {
        if self.link & EXTRA != 0 {
            extras.give_back(self.link & !EXTRA);
            self.link = 0;
        }
    }

    fn extra_mut<'a>(&mut self, extras: &'a mut Extras) -> &'a mut Extra {
        if self.link & EXTRA == 0 {
            self.link = EXTRA | extras.take(Extra { vlan: unpack_vlan(self.link), ..Extra::default() });
        }
        extras.get_mut(self.link & !EXTRA)
    }
}

/// Tags in 31 bits: count (7 bits) and two ids (12 bits each), as the `link` of a flow has them; `None` when they do not fit.
#[inline(always)]
pub fn pack_vlan(vlan: VlanTags) -> Option<u32> {
    let [outer, inner] = vlan.ids;
    let fits = vlan.count < 128 && outer < 1 << 12 && inner < 1 << 12;
    fits.then(|| u32::from(vlan.count) << 24 | u32::from(outer) << 12 | u32::from(inner))
}

/// What [`pack_vlan`] packed.
pub const fn unpack_vlan(packed: u32) -> VlanTags {
    VlanTags { ids: [(packed >> 12 & 0xfff) as u16, (packed & 0xfff) as u16], count: (packed >> 24) as u8 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_of_both_directions_count_up_to_the_most_and_no_further() {
        let mut entry = Entry::BLANK;
        let [a, b] = [Direction::AToB, Direction::BToA];
        for (direction, packets, expected) in [
            (a, u64::from(u32::MAX), [u64::from(u32::MAX), 0]),
            (a, 1, [1 << 32, 0]),
            (b, (1 << 35) + 5, [1 << 32, (1 << 35) + 5]),
            (a, PACKETS_MAX - (1 << 32) - 1, [PACKETS_MAX - 1, (1 << 35) + 5]),
            (a, 1, [PACKETS_MAX, (1 << 35) + 5]),
            (b, PACKETS_MAX - (1 << 35) - 5, [PACKETS_MAX; 2]),
        ] {
            assert!(!entry.would_overflow(direction, packets, 0));
            entry.count(direction, packets, 0);
            assert_eq!(entry.packets(), expected);
            assert!(!entry.is_first_answer(direction));
        }
        assert!(entry.would_overflow(a, 1, 0) && entry.would_overflow(b, 1, 0));
    }

    #[test]
    fn bytes_of_both_directions_count_up_to_the_most_and_no_further() {
        let [a, b] = [Direction::AToB, Direction::BToA];
        let begun = [0, 1, u64::from(u32::MAX), 1 << 47, BYTES_MAX - (1 << 33), BYTES_MAX - 1, BYTES_MAX];
        for (direction, bytes) in begun.iter().flat_map(|&bytes| [(a, bytes), (b, bytes)]) {
            let mut entry = Entry::BLANK;
            assert!(!entry.would_overflow(direction, 1, bytes));
            entry.count(direction, 1, bytes);
            let left = BYTES_MAX - bytes;
            assert!(entry.would_overflow(direction, 1, left + 1) && entry.would_overflow(direction, 1, u64::MAX));
            assert!(!entry.would_overflow(direction, 1, left) && !entry.would_overflow(direction.reverse(), 1, BYTES_MAX));
            entry.count(direction, 1, left);
            assert_eq!((entry.bytes()[direction.index()], entry.bytes_total()), (BYTES_MAX, BYTES_MAX));
        }
    }
}
