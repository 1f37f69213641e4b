//! A segment as the sequence analysis sees it, and what it was found to be.
//!
//! Owns what follows from the segment alone. Knows no connection.

use super::rtt::Stamp;
use super::sequence::Sequence;
use crate::flow::Direction;
use crate::wire::{TcpFlags, TcpSegment};
use netscope_backends::Timestamp;

/// What a segment was found to be; several may hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks(pub(super) u16);

impl Marks {
    pub(super) const ZERO_WINDOW_PROBE: Self = Self(1);
    pub(super) const ZERO_WINDOW: Self = Self(1 << 1);
    pub(super) const LOST: Self = Self(1 << 2);
    pub(super) const KEEP_ALIVE: Self = Self(1 << 3);
    pub(super) const WINDOW_UPDATE: Self = Self(1 << 4);
    pub(super) const KEEP_ALIVE_ACK: Self = Self(1 << 5);
    pub(super) const ZERO_WINDOW_PROBE_ACK: Self = Self(1 << 6);
    pub(super) const DUPLICATE_ACK: Self = Self(1 << 7);
    pub(super) const ACK_LOST: Self = Self(1 << 8);
    pub(super) const SPURIOUS: Self = Self(1 << 9);
    pub(super) const FAST: Self = Self(1 << 10);
    pub(super) const OUT_OF_ORDER: Self = Self(1 << 11);
    pub(super) const RETRANSMISSION: Self = Self(1 << 12);

    pub(super) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) const fn set(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// A segment, with what the rules ask of it worked out.
#[derive(Clone, Copy)]
pub(super) struct Arrival<'a> {
    pub(super) segment: &'a TcpSegment,
    pub(super) direction: Direction,
    /// When it came.
    pub(super) now: Stamp,
    /// Sequence number of the first byte.
    pub(super) start: Sequence,
    /// Behind the last payload byte.
    pub(super) data_end: Sequence,
    /// Behind everything that takes a sequence number: payload, SYN, FIN.
    pub(super) end: Sequence,
    pub(super) ack: Sequence,
    pub(super) syn_or_fin: bool,
    pub(super) syn_fin_or_rst: bool,
}

impl<'a> Arrival<'a> {
    pub(super) fn new(segment: &'a TcpSegment, direction: Direction, time: Timestamp) -> Self {
        let (start, flags) = (Sequence(segment.sequence), segment.flags);
        let syn_or_fin = flags.has(TcpFlags::SYN) || flags.has(TcpFlags::FIN);
        let data_end = start + segment.payload_len;
        Self {
            segment,
            direction,
            now: Stamp::of(time),
            start,
            data_end,
            end: data_end + u32::from(syn_or_fin),
            ack: Sequence(segment.acknowledgment),
            syn_or_fin,
            syn_fin_or_rst: syn_or_fin || flags.has(TcpFlags::RST),
        }
    }

    /// It takes up sequence numbers, so it will be acknowledged and can be sent again.
    pub(super) fn occupies(&self) -> bool {
        self.segment.payload_len > 0 || self.syn_or_fin
    }

    pub(super) fn has(&self, flag: TcpFlags) -> bool {
        self.segment.flags.has(flag)
    }
}
