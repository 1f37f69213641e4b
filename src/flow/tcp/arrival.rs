//! A segment as the sequence analysis sees it.
//!
//! Owns what follows from the segment alone. Knows no connection.

use super::rtt::Stamp;
use super::sequence::Sequence;
use crate::flow::Direction;
use crate::wire::{TcpFlags, TcpSegment};
use netscope_backends::Timestamp;

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
