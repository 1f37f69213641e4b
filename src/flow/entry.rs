//! One flow's place in the table: packed, without padding.
//!
//! Owns the packing of counters, times, flags and links into a hot half of three cache lines, which every packet asks for, and a cold half
//! of 56 bytes, which few do. Knows no table, no wheel and no settings. Its invariant: what goes in comes out exactly; what does
//! not fit lies in the [`Extras`].

use super::extra::{Extra, Extras};
use super::tcp::{Epoch, TcpAnalysis, TcpArena, TcpBeginning, TcpConnection, TcpSequences, TcpTracker};
use super::{Direction, EndReason, FactRef, FlowKey, FlowRecord, TcpRecord};
use crate::wire::{SynSegment, TcpSegment, Tunnel, VlanTags};
use netscope_backends::Timestamp;
use std::mem::offset_of;

/// The hot half of a flow's place.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Entry {
    pub key: FlowKey,
    packets_high: [u8; 2],
    pub last_seen: Timestamp,
    pub bytes: [u64; 2],
    packets_low: [u32; 2],
    /// Belongs to the top talkers: bytes of a tick, and which.
    pub tick_bytes: u32,
    /// Means something while `TRACKED` is set, as do `sequences` and `epoch`. An `Option` would need more room.
    pub connection: TcpConnection,
    pub sequences: TcpSequences,
    epoch: Epoch,
    flags: Flag,
    /// Belongs to the table's active timeout: when the record began.
    pub begun: u8,
}

/// The half of a flow's place that few packets need.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct ColdHalf {
    /// Number of the first packet.
    pub first_packet: u64,
    pub first_seen: Timestamp,
    /// Links of the wheel's lists and of the list of free places.
    pub next: u32,
    pub previous: u32,
    /// While `SKEWED` is set: the clock when last touched lies this much after `last_seen`; `SKEW_EXTRA`: it is in the extra facts.
    skew_ns: u32,
    /// `EXTRA` set: number of the extra facts; clear: count (7 bits) and two VLAN ids (12 bits each).
    link: u32,
    /// Belongs to the tracker.
    pub beginning: TcpBeginning,
}

const _: () = assert!(size_of::<Entry>() == 192);
const _: () = assert!(size_of::<Entry>() + size_of::<ColdHalf>() <= 248, "one million flows have to fit into 256 MiB");
const _: () = assert!(size_of::<ColdHalf>() == 56);
const _: () = assert!(offset_of!(Entry, packets_low) == 64);
const _: () = assert!(offset_of!(Entry, tick_bytes) == 72 && offset_of!(Entry, connection) == 76);
const _: () = assert!(offset_of!(Entry, sequences) == 80 && offset_of!(Entry, epoch) == 188);
const _: () = assert!(offset_of!(Entry, flags) == 190 && offset_of!(Entry, begun) == 191);

const EXTRA: u32 = 1 << 31;
const SKEW_EXTRA: u32 = u32::MAX;

/// Most packets of one direction that an entry counts; the table ends the record and opens the next one there.
pub(super) const PACKETS_MAX: u64 = (1 << 40) - 1;

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
    /// The analysis probably [`asks the arena`](TcpSequences::may_ask_arena) about the next segment.
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
    let mut cold = ColdHalf { first_packet: opening.number, first_seen: opening.time, link, ..ColdHalf::BLANK };
    entry.touch(opening.clock, &mut cold, extras);
    (entry, cold)
}

impl Entry {
    /// A place before its flow is written into it.
    pub const BLANK: Self = Self {
        key: FlowKey::BLANK,
        packets_high: [0; 2],
        last_seen: Timestamp(0),
        bytes: [0; 2],
        packets_low: [0; 2],
        tick_bytes: 0,
        connection: TcpConnection::BLANK,
        sequences: TcpSequences::BLANK,
        epoch: Epoch::BLANK,
        flags: Flag(0),
        begun: 0,
    };

    /// Makes a blank entry a flow that begins with its client's SYN, which is still to be counted. `cold` was begun.
    #[inline(always)]
    pub fn begin(
        &mut self,
        cold: &mut ColdHalf,
        syn: &SynSegment,
        key: &FlowKey,
        client: Direction,
        time: Timestamp,
        analysis: &TcpAnalysis,
    ) {
        let begun = if client == Direction::BToA { Flag::BEGUN_BY_B.0 } else { 0 };
        self.key = *key;
        self.flags = Flag(Flag::LIVE.0 | Flag::TRACKED.0 | begun);
        self.tracker().begin(syn, client, time, &mut cold.beginning, analysis);
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

    /// The tracker took in a segment.
    pub fn note_tracked(&mut self) {
        self.set(Flag::STEADY, self.connection.is_steady());
        self.set(Flag::GAPPED, self.sequences.may_ask_arena());
    }

    /// The flow had a segment.
    #[inline(always)]
    pub const fn is_tracked(&self) -> bool {
        self.is(Flag::TRACKED)
    }

    /// The TCP tracker of a flow that had a segment.
    #[inline(always)]
    pub const fn tracker(&mut self) -> TcpTracker<'_> {
        TcpTracker::new(&mut self.connection, &mut self.sequences, &mut self.epoch)
    }

    /// The TCP tracker, made at the first segment.
    #[inline]
    pub fn tcp_or_open(
        &mut self,
        cold: &mut ColdHalf,
        segment: &TcpSegment,
        direction: Direction,
        time: Timestamp,
    ) -> TcpTracker<'_> {
        if !self.is_tracked() {
            self.tracker().open(segment, direction, time);
            cold.beginning = TcpBeginning::UNKNOWN;
            self.set(Flag::TRACKED, true);
        }
        self.tracker()
    }

    /// Gives the tracker's side memory back, if there is a tracker.
    pub fn release_tcp(&mut self, arena: &mut TcpArena) {
        if self.is_tracked() {
            self.sequences.release(arena);
            self.set(Flag::TRACKED, false);
            self.set(Flag::STEADY, false);
            self.set(Flag::GAPPED, false);
        }
    }

    /// Goes on with the TCP tracker of the record before.
    pub fn inherit_tcp(&mut self, before: &Self) {
        (self.connection, self.sequences, self.epoch) = (before.connection, before.sequences, before.epoch);
        self.set(Flag::TRACKED, before.is_tracked());
        self.set(Flag::FINISHED, before.is(Flag::FINISHED));
        self.set(Flag::STEADY, before.is(Flag::STEADY));
        self.set(Flag::GAPPED, before.is(Flag::GAPPED));
    }

    /// The TCP part of the flow's record.
    #[inline]
    pub fn tcp_record(&self, cold: &ColdHalf, arena: &TcpArena) -> Option<TcpRecord> {
        self.is_tracked().then(|| self.sequences.record(&self.connection, &cold.beginning, arena))
    }

    /// The flow's record, when it ended `at` for this reason. Inlined, so that it is made where it is wanted.
    #[inline(always)]
    pub fn record(&self, cold: &ColdHalf, extras: &Extras, arena: &TcpArena, reason: EndReason, at: Timestamp) -> FlowRecord {
        let extra = cold.extra(extras);
        FlowRecord {
            key: self.key,
            first_seen: cold.first_seen,
            last_seen: self.last_seen,
            packets: self.packets(),
            bytes: self.bytes,
            fragments: extra.fragments,
            initiator: self.initiator(),
            first_packet: cold.first_packet,
            vlan: extra.vlan,
            tunnel: extra.tunnel,
            icmp_code: extra.icmp_code,
            tcp: self.tcp_record(cold, arena),
            ended: at,
            reason,
            queues: 1,
            facts: FactRef::NONE,
        }
    }

    pub const fn initiator(&self) -> Direction {
        if self.is(Flag::BEGUN_BY_B) { Direction::BToA } else { Direction::AToB }
    }

    /// Bytes of both directions.
    #[inline(always)]
    pub const fn bytes_total(&self) -> u64 {
        self.bytes[0].saturating_add(self.bytes[1])
    }

    pub fn packets(&self) -> [u64; 2] {
        [0, 1].map(|i| u64::from(self.packets_high[i]) << 32 | u64::from(self.packets_low[i]))
    }

    /// True when `packets` more in this direction do not fit.
    pub fn would_overflow(&self, direction: Direction, packets: u64) -> bool {
        // One look at a byte in the common case.
        self.packets_high[direction.index()] == u8::MAX && self.packets()[direction.index()] > PACKETS_MAX.saturating_sub(packets)
    }

    /// Counts packets of one direction; the caller has asked [`Self::would_overflow`].
    pub fn count(&mut self, direction: Direction, packets: u64, bytes: u64) {
        let i = direction.index();
        let sum = (u64::from(self.packets_high[i]) << 32 | u64::from(self.packets_low[i])) + packets;
        self.packets_low[i] = sum as u32;
        self.packets_high[i] = (sum >> 32) as u8;
        self.bytes[i] = self.bytes[i].saturating_add(bytes);
    }

    /// The next packet of this direction is the first one, and there were others before it: somebody answers.
    #[inline(always)]
    pub const fn is_first_answer(&self, direction: Direction) -> bool {
        self.packets_low[direction as usize] == 0 && self.packets_high[direction as usize] == 0
    }

    /// True when one more packet of this direction can be counted by [`Self::count_one`].
    #[inline(always)]
    pub const fn has_room_for_one(&self, direction: Direction) -> bool {
        self.packets_low[direction as usize] != u32::MAX
    }

    /// As [`Self::count`] of one packet at `time`, which is not before any packet of the table.
    #[inline(always)]
    pub const fn count_one(&mut self, direction: Direction, bytes: u64, time: Timestamp) {
        self.packets_low[direction as usize] += 1;
        self.bytes[direction as usize] = self.bytes[direction as usize].saturating_add(bytes);
        self.last_seen = time;
    }

    /// Widens the span of packet times; call [`Self::touch`] afterwards, because the clock is kept relative to it.
    pub fn see(&mut self, earliest: Timestamp, latest: Timestamp, cold: &mut ColdHalf) {
        cold.first_seen = cold.first_seen.min(earliest);
        self.last_seen = self.last_seen.max(latest);
    }

    /// The flow was touched when the clock said `clock`, which is never before any packet's time.
    pub fn touch(&mut self, clock: Timestamp, cold: &mut ColdHalf, extras: &mut Extras) {
        let skew = clock.since(self.last_seen);
        self.set(Flag::SKEWED, skew != 0);
        if skew != 0 {
            cold.skew_ns = u32::try_from(skew).unwrap_or(SKEW_EXTRA);
            if cold.skew_ns == SKEW_EXTRA {
                cold.extra_mut(extras).touched = clock;
            }
        }
    }

    /// The clock when the flow was last touched.
    #[inline(always)]
    pub fn touched(&self, cold: &ColdHalf, extras: &Extras) -> Timestamp {
        if self.is(Flag::SKEWED) { cold.touched(self.last_seen, extras) } else { self.last_seen }
    }
}

impl ColdHalf {
    /// As [`Entry::BLANK`].
    pub const BLANK: Self = Self {
        first_packet: 0,
        first_seen: Timestamp(0),
        next: 0,
        previous: 0,
        skew_ns: 0,
        link: 0,
        beginning: TcpBeginning::UNKNOWN,
    };

    /// Makes a blank cold half that of a flow; `link` as [`pack_vlan`].
    #[inline(always)]
    pub const fn begin(&mut self, first_packet: u64, first_seen: Timestamp, link: u32) {
        self.first_packet = first_packet;
        self.first_seen = first_seen;
        self.link = link;
    }

    #[cold]
    fn touched(&self, last_seen: Timestamp, extras: &Extras) -> Timestamp {
        if self.skew_ns == SKEW_EXTRA { extras.get(self.link & !EXTRA).touched } else { last_seen.plus(u64::from(self.skew_ns)) }
    }

    pub fn add_fragments(&mut self, count: u32, extras: &mut Extras) {
        let extra = self.extra_mut(extras);
        extra.fragments = extra.fragments.saturating_add(count);
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

/// The `link` of these tags; `None` where they are extra facts.
#[inline(always)]
pub(super) fn pack_vlan(vlan: VlanTags) -> Option<u32> {
    let [outer, inner] = vlan.ids;
    let fits = vlan.count < 128 && outer < 1 << 12 && inner < 1 << 12;
    fits.then(|| u32::from(vlan.count) << 24 | u32::from(outer) << 12 | u32::from(inner))
}

fn unpack_vlan(packed: u32) -> VlanTags {
    VlanTags { ids: [(packed >> 12 & 0xfff) as u16, (packed & 0xfff) as u16], count: (packed >> 24) as u8 }
}
