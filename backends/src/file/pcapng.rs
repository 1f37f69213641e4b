//! The pcapng format, block by block.
//!
//! Owns sections, interfaces, time resolutions and the three kinds of packet blocks. Does no I/O. Its one
//! invariant: a packet it hands out lies wholly in a block whose length at the end agrees with the one at the
//! beginning.
//!
//! Follows draft-ietf-opsawg-pcapng.

use super::walker::{BLOCK_LEN_MAX, ByteOrder, INTERFACES_MAX, PACKET_LEN_MAX, Peeked, RecordFault, WalkStep, half, word};
use crate::{LinkType, Packet, Timestamp};

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET_OBSOLETE: u32 = 2;
const PACKET_SIMPLE: u32 = 3;
const PACKET_ENHANCED: u32 = 6;

/// Type, length, and the length again.
const BLOCK_LEN_MIN: u32 = 12;
const SECTION_HEADER_LEN_MIN: u32 = 28;
const INTERFACE_LEN_MIN: u32 = 20;

const OPTION_END: u16 = 0;
const OPTION_TSRESOL: u16 = 9;
const OPTION_TSOFFSET: u16 = 14;

/// How ticks of an interface become nanoseconds.
#[derive(Clone, Copy, Debug)]
enum TickResolution {
    /// 10^-9 s or coarser: nanoseconds per tick.
    Multiply(u64),
    /// Finer than 10^-9 s: ticks per nanosecond.
    Divide(u64),
    /// 2^-n s.
    Shift(u32),
}

impl TickResolution {
    const MICROSECONDS: Self = Self::Multiply(1_000);

    /// From the value of if_tsresol: the upper bit chooses the base, the others are the negative exponent.
    fn from_option(value: u8) -> Self {
        let exponent = u32::from(value & 0x7f);
        if value & 0x80 != 0 {
            return Self::Shift(exponent);
        }
        match exponent {
            0..=9 => Self::Multiply(10_u64.pow(9 - exponent)),
            // More ticks per nanosecond than 64 bits can count never make one.
            _ => 10_u64.checked_pow(exponent - 9).map_or(Self::Multiply(0), Self::Divide),
        }
    }

    #[inline(always)]
    fn ns(self, ticks: u64) -> u64 {
        match self {
            Self::Multiply(ns) => ticks.saturating_mul(ns),
            Self::Divide(ticks_per_ns) => ticks / ticks_per_ns,
            Self::Shift(bits) => {
                // At most 64 + 30 bits; a shift of 127 leaves 0.
                let ns = (u128::from(ticks) * u128::from(Timestamp::NS_PER_SEC)) >> bits;
                u64::try_from(ns).unwrap_or(u64::MAX)
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct PcapngInterface {
    link_type: LinkType,
    /// Bytes kept of each packet; 0 = all.
    snaplen: u32,
    resolution: TickResolution,
    offset_s: i64,
}

impl PcapngInterface {
    #[inline(always)]
    fn time(&self, high: u32, low: u32) -> Timestamp {
        let ns = self.resolution.ns(u64::from(high) << 32 | u64::from(low));
        if self.offset_s == 0 {
            return Timestamp(ns);
        }
        let offset_ns = self.offset_s.unsigned_abs().saturating_mul(Timestamp::NS_PER_SEC);
        Timestamp(if self.offset_s > 0 { ns.saturating_add(offset_ns) } else { ns.saturating_sub(offset_ns) })
    }
}

#[derive(Clone, Debug)]
pub(super) struct PcapngWalker {
    order: ByteOrder,
    interfaces: Vec<PcapngInterface>,
    /// Length at the beginning of the block being skipped, whose end comes next.
    skipped_len: Option<u32>,
    /// Simple packets carry no time: they take that of the packet before.
    last_time: Timestamp,
}

impl PcapngWalker {
    /// The type of a section header, which reads the same in both byte orders.
    pub(super) const MAGIC: [u8; 4] = SECTION_HEADER.to_be_bytes();

    pub(super) const fn new() -> Self {
        Self { order: ByteOrder::Little, interfaces: Vec::new(), skipped_len: None, last_time: Timestamp(0) }
    }

    pub(super) fn link_type(&self) -> Option<LinkType> {
        self.interfaces.first().map(|interface| interface.link_type)
    }

    #[inline(always)]
    pub(super) fn step<'a>(&mut self, bytes: &'a [u8]) -> WalkStep<'a> {
        if self.skipped_len.is_some() {
            return self.finish_skip(bytes);
        }
        let Some((header, _)) = bytes.split_first_chunk::<8>() else {
            return WalkStep::NeedMore(8);
        };
        let kind = self.order.u32(word::<0, _>(header));
        if kind == PACKET_ENHANCED {
            let len = self.order.u32(word::<4, _>(header));
            return match block(self.order, bytes, len, 32) {
                Ok(block) => self.enhanced(block, len),
                Err(step) => step,
            };
        }
        self.step_other(kind, header, bytes)
    }

    /// What lies at the beginning of `bytes`; the walk stays where it is. Packets that have no time of their own are
    /// [`Peeked::Skip`].
    pub(super) fn peek(&self, bytes: &[u8]) -> Peeked {
        let Some((header, _)) = bytes.split_first_chunk::<8>() else { return Peeked::NeedMore };
        let (kind, len) = (self.order.u32(word::<0, _>(header)), self.order.u32(word::<4, _>(header)));
        if self.skipped_len.is_some() || matches!(kind, SECTION_HEADER | INTERFACE | PACKET_OBSOLETE) {
            return Peeked::Other;
        }
        if kind != PACKET_ENHANCED {
            let is_block = len >= BLOCK_LEN_MIN && len.is_multiple_of(4);
            return if is_block { Peeked::Skip { consumed: len as usize } } else { Peeked::Other };
        }
        match block(self.order, bytes, len, 32).map(|block| block.first_chunk::<20>()) {
            Ok(Some(fixed)) => match self.interfaces.get(self.order.u32(word::<0, _>(fixed)) as usize) {
                Some(interface) => {
                    let time = interface.time(self.order.u32(word::<4, _>(fixed)), self.order.u32(word::<8, _>(fixed)));
                    Peeked::Packet { time, consumed: len as usize }
                }
                None => Peeked::Other,
            },
            Err(WalkStep::NeedMore(_)) => Peeked::NeedMore,
            Ok(None) | Err(_) => Peeked::Other,
        }
    }

    /// Packets without a time follow one of this time.
    pub(super) const fn correct_time(&mut self, time: Timestamp) {
        self.last_time = time;
    }

    fn step_other<'a>(&mut self, kind: u32, header: &[u8; 8], bytes: &'a [u8]) -> WalkStep<'a> {
        if kind == SECTION_HEADER {
            return self.section(header, bytes);
        }
        let len = self.order.u32(word::<4, _>(header));
        let step = match kind {
            INTERFACE => block(self.order, bytes, len, INTERFACE_LEN_MIN).map(|block| self.interface(block)),
            PACKET_SIMPLE => block(self.order, bytes, len, 16).map(|block| self.simple(block, len)),
            PACKET_OBSOLETE => block(self.order, bytes, len, 32).map(|block| self.obsolete(block, len)),
            _ if len < BLOCK_LEN_MIN || !len.is_multiple_of(4) => Err(WalkStep::Damage(RecordFault::BlockLen(len))),
            _ => {
                self.skipped_len = Some(len);
                Ok(WalkStep::Skip { consumed: len as usize - 4 })
            }
        };
        step.unwrap_or_else(|step| step)
    }

    /// The last four bytes of a block that carries no packet.
    #[cold]
    fn finish_skip<'a>(&mut self, bytes: &'a [u8]) -> WalkStep<'a> {
        let Some((&trailer, _)) = bytes.split_first_chunk::<4>() else {
            return WalkStep::NeedMore(4);
        };
        let (head, tail) = (self.skipped_len.unwrap_or_default(), self.order.u32(trailer));
        if head != tail {
            return WalkStep::Damage(RecordFault::BlockTrailer(head, tail));
        }
        self.skipped_len = None;
        WalkStep::Skip { consumed: 4 }
    }

    fn section<'a>(&mut self, header: &[u8; 8], bytes: &'a [u8]) -> WalkStep<'a> {
        let Some((magic, _)) = bytes.get(8..).and_then(|rest| rest.split_first_chunk::<4>()) else {
            return WalkStep::NeedMore(12);
        };
        let order = match *magic {
            [0x4d, 0x3c, 0x2b, 0x1a] => ByteOrder::Little,
            [0x1a, 0x2b, 0x3c, 0x4d] => ByteOrder::Big,
            other => return WalkStep::Damage(RecordFault::ByteOrder(other)),
        };
        let len = order.u32(word::<4, _>(header));
        let block = match block(order, bytes, len, SECTION_HEADER_LEN_MIN) {
            Ok(block) => block,
            Err(step) => return step,
        };
        let Some((fixed, options)) = block.split_first_chunk::<16>() else {
            return WalkStep::Damage(RecordFault::BlockLen(len));
        };
        let (major, minor) = (order.u16(half::<4, _>(fixed)), order.u16(half::<6, _>(fixed)));
        if major != 1 {
            return WalkStep::Damage(RecordFault::Version(major, minor));
        }
        if let Err(fault) = each_option(order, options, |_, _| ()) {
            return WalkStep::Damage(fault);
        }
        self.order = order;
        self.interfaces.clear();
        WalkStep::Skip { consumed: len as usize }
    }

    fn interface<'a>(&mut self, block: &[u8]) -> WalkStep<'a> {
        let consumed = block.len() + BLOCK_LEN_MIN as usize;
        let Some((fixed, options)) = block.split_first_chunk::<8>() else {
            return WalkStep::Damage(RecordFault::BlockLen(consumed as u32));
        };
        if self.interfaces.len() >= INTERFACES_MAX {
            return WalkStep::Damage(RecordFault::TooManyInterfaces);
        }
        let mut interface = PcapngInterface {
            link_type: LinkType(self.order.u16(half::<0, _>(fixed))),
            snaplen: self.order.u32(word::<4, _>(fixed)),
            resolution: TickResolution::MICROSECONDS,
            offset_s: 0,
        };
        let order = self.order;
        let options = each_option(order, options, |code, value| match (code, value) {
            (OPTION_TSRESOL, [value]) => interface.resolution = TickResolution::from_option(*value),
            (OPTION_TSOFFSET, value) => {
                if let Ok(value) = <[u8; 8]>::try_from(value) {
                    interface.offset_s = match order {
                        ByteOrder::Little => i64::from_le_bytes(value),
                        ByteOrder::Big => i64::from_be_bytes(value),
                    };
                }
            }
            _ => {}
        });
        if let Err(fault) = options {
            return WalkStep::Damage(fault);
        }
        self.interfaces.push(interface);
        WalkStep::Skip { consumed }
    }

    #[inline(always)]
    fn enhanced<'a>(&mut self, block: &'a [u8], block_len: u32) -> WalkStep<'a> {
        let Some((fixed, data)) = block.split_first_chunk::<20>() else {
            return WalkStep::Damage(RecordFault::BlockLen(block_len));
        };
        let index = self.order.u32(word::<0, _>(fixed));
        self.packet(index, fixed, data, block_len)
    }

    /// Like the enhanced one, but for a narrower interface index beside a count of drops.
    fn obsolete<'a>(&mut self, block: &'a [u8], block_len: u32) -> WalkStep<'a> {
        let Some((fixed, data)) = block.split_first_chunk::<20>() else {
            return WalkStep::Damage(RecordFault::BlockLen(block_len));
        };
        let index = u32::from(self.order.u16(half::<0, _>(fixed)));
        self.packet(index, fixed, data, block_len)
    }

    #[inline(always)]
    fn packet<'a>(&mut self, index: u32, fixed: &[u8; 20], data: &'a [u8], block_len: u32) -> WalkStep<'a> {
        let Some(interface) = self.interfaces.get(index as usize) else {
            return WalkStep::Damage(RecordFault::UnknownInterface(index));
        };
        let time = interface.time(self.order.u32(word::<4, _>(fixed)), self.order.u32(word::<8, _>(fixed)));
        let captured_len = self.order.u32(word::<12, _>(fixed));
        let wire_len = self.order.u32(word::<16, _>(fixed));
        let data = match captured(data, captured_len, block_len) {
            Ok(data) => data,
            Err(fault) => return WalkStep::Damage(fault),
        };
        self.last_time = time;
        let packet = Packet { data, time, wire_len, link_type: interface.link_type };
        WalkStep::Packet { packet, consumed: block_len as usize }
    }

    fn simple<'a>(&mut self, block: &'a [u8], block_len: u32) -> WalkStep<'a> {
        let Some((fixed, data)) = block.split_first_chunk::<4>() else {
            return WalkStep::Damage(RecordFault::BlockLen(block_len));
        };
        let Some(interface) = self.interfaces.first() else {
            return WalkStep::Damage(RecordFault::UnknownInterface(0));
        };
        let wire_len = self.order.u32(word::<0, _>(fixed));
        let captured_len = if interface.snaplen == 0 { wire_len } else { wire_len.min(interface.snaplen) };
        match captured(data, captured_len, block_len) {
            Ok(data) => {
                let packet = Packet { data, time: self.last_time, wire_len, link_type: interface.link_type };
                WalkStep::Packet { packet, consumed: block_len as usize }
            }
            Err(fault) => WalkStep::Damage(fault),
        }
    }
}

/// The body of the block of `len` bytes at the beginning of `bytes`: without type, length and the length at
/// the end.
#[inline(always)]
fn block(order: ByteOrder, bytes: &[u8], len: u32, len_min: u32) -> Result<&[u8], WalkStep<'_>> {
    if len < len_min || !len.is_multiple_of(4) || len as usize > BLOCK_LEN_MAX {
        return Err(WalkStep::Damage(RecordFault::BlockLen(len)));
    }
    let Some(block) = bytes.get(..len as usize) else {
        return Err(WalkStep::NeedMore(len as usize));
    };
    let Some((body, &trailer)) = block.get(8..).and_then(|rest| rest.split_last_chunk::<4>()) else {
        return Err(WalkStep::Damage(RecordFault::BlockLen(len)));
    };
    let tail = order.u32(trailer);
    if tail != len {
        return Err(WalkStep::Damage(RecordFault::BlockTrailer(len, tail)));
    }
    Ok(body)
}

/// The captured bytes at the beginning of what follows the fixed fields.
#[inline(always)]
fn captured(data: &[u8], len: u32, block_len: u32) -> Result<&[u8], RecordFault> {
    if len as usize > PACKET_LEN_MAX {
        return Err(RecordFault::PacketTooLong(len));
    }
    data.get(..len as usize).ok_or(RecordFault::PacketBeyondBlock(len, block_len))
}

/// Calls `visit` with code and value of each option. The end-of-options option may be missing.
fn each_option(order: ByteOrder, mut options: &[u8], mut visit: impl FnMut(u16, &[u8])) -> Result<(), RecordFault> {
    while let Some((header, rest)) = options.split_first_chunk::<4>() {
        let (code, len) = (order.u16(half::<0, _>(header)), order.u16(half::<2, _>(header)));
        if code == OPTION_END {
            return Ok(());
        }
        let Some(value) = rest.get(..usize::from(len)) else {
            return Err(RecordFault::OptionTooLong(len));
        };
        visit(code, value);
        options = rest.get(usize::from(len).next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(())
}
