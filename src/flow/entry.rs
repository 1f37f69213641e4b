//! One flow's place in the table: hot, packed, without padding.
//!
//! Owns the packing of counters, times, flags and links into 112 bytes plus the TCP tracker. Knows no table, no wheel and no
//! settings. Its invariant: what goes in comes out exactly; what does not fit lies in the [`ColdArena`].

use super::cold::{Cold, ColdArena};
use super::tcp::TcpTracker;
use super::{Direction, FlowKey};
use crate::wire::{Ports, TcpFlags, TcpOptions, TcpSegment, Tunnel, VlanTags};
use netscope_backends::Timestamp;

/// A flow in the table. Field order is the order in which a packet needs them.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Entry {
    pub key: FlowKey,
    packets_high: [u8; 2],
    packets_low: [u32; 2],
    pub bytes: [u64; 2],
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    /// The clock when last touched lies this much after `last_seen`; `SKEW_COLD`: it is in the cold facts.
    skew_ns: u32,
    /// `COLD` set: number of the cold facts; clear: count (7 bits) and two VLAN ids (12 bits each).
    link: u32,
    /// Bytes of the tick (48 bits, saturating) and the low 16 bits of the tick's number.
    tick: u64,
    /// Number of the first packet (59 bits) over the flags.
    opening: u64,
    /// Links of the wheel's lists and of the list of free entries.
    pub next: u32,
    pub previous: u32,
    /// Means something while `TRACKED` is set. An `Option` would cost 8 bytes more, because a tracker has no unused values.
    tracker: TcpTracker,
}

const _: () = assert!(size_of::<Entry>() <= 248, "one million flows have to fit into 256 MiB with everything around them");
const _: () = assert!(std::mem::offset_of!(Entry, tracker) <= 112);

const COLD: u32 = 1 << 31;
const SKEW_COLD: u32 = u32::MAX;
const TICK_BYTES_MAX: u64 = (1 << 48) - 1;
const FLAG_BITS: u32 = 5;

/// Most packets of one direction that an entry counts; the table ends the record and opens the next one there.
pub(super) const PACKETS_MAX: u64 = (1 << 40) - 1;

/// What an unused tracker is made of.
const NO_SEGMENT: TcpSegment = TcpSegment {
    ports: Ports { source: 0, destination: 0 },
    sequence: 0,
    acknowledgment: 0,
    flags: TcpFlags(0),
    window: 0,
    payload_len: 0,
    options: TcpOptions {
        mss: None,
        window_scale: None,
        sack_permitted: false,
        timestamps: None,
        sack: [(0, 0); 4],
        sack_count: 0,
        malformed: false,
    },
};

/// A flow's flags.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Flag(u64);

impl Flag {
    /// The entry holds a flow, as opposed to a free place.
    pub const LIVE: Self = Self(1);
    /// In the list of the tick's top candidates.
    pub const LISTED: Self = Self(2);
    /// The TCP connection is closed or reset.
    pub const FINISHED: Self = Self(4);
    /// Endpoint b began.
    pub const BEGUN_BY_B: Self = Self(8);
    /// The tracker holds a TCP connection.
    const TRACKED: Self = Self(16);
}

/// What the first packet of a flow says.
pub(super) struct Opening {
    pub key: FlowKey,
    pub time: Timestamp,
    pub clock: Timestamp,
    pub number: u64,
    pub vlan: VlanTags,
    pub tunnel: Option<Tunnel>,
    pub initiator: Direction,
}

impl Entry {
    /// A live flow without packets.
    pub fn open(opening: &Opening, cold: &mut ColdArena) -> Self {
        let flags = Flag::LIVE.0 | if opening.initiator == Direction::BToA { Flag::BEGUN_BY_B.0 } else { 0 };
        let mut entry = Self {
            key: opening.key,
            packets_high: [0; 2],
            packets_low: [0; 2],
            bytes: [0; 2],
            first_seen: opening.time,
            last_seen: opening.time,
            skew_ns: 0,
            link: 0,
            tick: 0,
            opening: opening.number << FLAG_BITS | flags,
            next: 0,
            previous: 0,
            tracker: TcpTracker::open(&NO_SEGMENT, Direction::AToB, Timestamp(0)),
        };
        entry.link = match (opening.tunnel, pack_vlan(opening.vlan)) {
            (None, Some(packed)) => packed,
            (tunnel, _) => COLD | cold.insert(Cold { vlan: opening.vlan, tunnel, ..Cold::default() }),
        };
        entry.touch(opening.clock, cold);
        entry
    }

    #[inline]
    pub fn is(&self, flag: Flag) -> bool {
        self.opening & flag.0 != 0
    }

    pub fn set(&mut self, flag: Flag, on: bool) {
        self.opening = if on { self.opening | flag.0 } else { self.opening & !flag.0 };
    }

    /// The TCP tracker, once the flow had a segment.
    #[inline]
    pub fn tcp(&self) -> Option<&TcpTracker> {
        self.is(Flag::TRACKED).then_some(&self.tracker)
    }

    /// The TCP tracker, made by `open` at the first segment.
    #[inline]
    pub fn tcp_or_open(&mut self, open: impl FnOnce() -> TcpTracker) -> &mut TcpTracker {
        if !self.is(Flag::TRACKED) {
            self.set_tcp(Some(open()));
        }
        &mut self.tracker
    }

    /// Takes the TCP tracker out.
    pub fn take_tcp(&mut self) -> Option<TcpTracker> {
        let tcp = self.tcp().copied();
        self.set(Flag::TRACKED, false);
        tcp
    }

    /// Puts a TCP tracker in.
    pub fn set_tcp(&mut self, tcp: Option<TcpTracker>) {
        self.set(Flag::TRACKED, tcp.is_some());
        if let Some(tcp) = tcp {
            self.tracker = tcp;
        }
    }

    pub fn first_packet(&self) -> u64 {
        self.opening >> FLAG_BITS
    }

    /// Makes `number` the first packet if it is smaller.
    pub fn lower_first_packet(&mut self, number: u64) {
        if number < self.first_packet() {
            self.opening = number << FLAG_BITS | self.opening & ((1 << FLAG_BITS) - 1);
        }
    }

    pub fn initiator(&self) -> Direction {
        if self.is(Flag::BEGUN_BY_B) { Direction::BToA } else { Direction::AToB }
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

    /// Widens the span of packet times; call [`Self::touch`] afterwards, because the clock is kept relative to it.
    pub fn see(&mut self, earliest: Timestamp, latest: Timestamp) {
        self.first_seen = self.first_seen.min(earliest);
        self.last_seen = self.last_seen.max(latest);
    }

    /// The flow was touched when the clock said `clock`, which is never before any packet's time.
    pub fn touch(&mut self, clock: Timestamp, cold: &mut ColdArena) {
        match u32::try_from(clock.since(self.last_seen)) {
            Ok(skew) if skew != SKEW_COLD => self.skew_ns = skew,
            _ => {
                self.skew_ns = SKEW_COLD;
                self.cold_mut(cold).touched = clock;
            }
        }
    }

    pub fn touched(&self, cold: &ColdArena) -> Timestamp {
        if self.skew_ns == SKEW_COLD { cold.get(self.link & !COLD).touched } else { self.last_seen.plus(u64::from(self.skew_ns)) }
    }

    pub fn add_fragments(&mut self, count: u32, cold: &mut ColdArena) {
        let cold = self.cold_mut(cold);
        cold.fragments = cold.fragments.saturating_add(count);
    }

    /// The rare facts, wherever they lie.
    pub fn cold(&self, cold: &ColdArena) -> Cold {
        if self.link & COLD == 0 {
            Cold { vlan: unpack_vlan(self.link), ..Cold::default() }
        } else {
            *cold.get(self.link & !COLD)
        }
    }

    /// Gives the cold place back; the entry must not be used afterwards.
    pub fn release_cold(&mut self, cold: &mut ColdArena) {
        if self.link & COLD != 0 {
            cold.remove(self.link & !COLD);
            self.link = 0;
        }
    }

    fn cold_mut<'a>(&mut self, cold: &'a mut ColdArena) -> &'a mut Cold {
        if self.link & COLD == 0 {
            self.link = COLD | cold.insert(Cold { vlan: unpack_vlan(self.link), ..Cold::default() });
        }
        cold.get_mut(self.link & !COLD)
    }

    /// Adds to the bytes of tick number `tick`, starting from 0 if the entry last saw another one; the sum. `current` is false
    /// when the flow was not touched since that tick began (a number of 16 bits alone would come round).
    pub fn add_tick_bytes(&mut self, tick: u16, current: bool, bytes: u64) -> u64 {
        let sum = self.tick_bytes(tick, current).saturating_add(bytes).min(TICK_BYTES_MAX);
        self.tick = sum << 16 | u64::from(tick);
        sum
    }

    /// Bytes of tick number `tick`; `current` is false when the flow was not touched since that tick began.
    pub fn tick_bytes(&self, tick: u16, current: bool) -> u64 {
        if current && self.tick as u16 == tick { self.tick >> 16 } else { 0 }
    }
}

fn pack_vlan(vlan: VlanTags) -> Option<u32> {
    let [outer, inner] = vlan.ids;
    let fits = vlan.count < 128 && outer < 1 << 12 && inner < 1 << 12;
    fits.then(|| u32::from(vlan.count) << 24 | u32::from(outer) << 12 | u32::from(inner))
}

fn unpack_vlan(packed: u32) -> VlanTags {
    VlanTags { ids: [(packed >> 12 & 0xfff) as u16, (packed & 0xfff) as u16], count: (packed >> 24) as u8 }
}
