//! The classic pcap format, record by record.
//!
//! Owns the file header and the packet headers of the microsecond, nanosecond and "modified" variants, in
//! both byte orders. Does no I/O. Its one invariant: a packet it hands out lies wholly in the bytes it was
//! given.
//!
//! Follows pcap-savefile(5) and draft-ietf-opsawg-pcap.

use super::walker::{ByteOrder, PACKET_LEN_MAX, RecordFault, WalkStep, half, word};
use crate::{LinkType, Packet, Timestamp};

/// Microseconds, as written by libpcap.
const MAGIC_US: u32 = 0xa1b2_c3d4;
/// Nanoseconds.
const MAGIC_NS: u32 = 0xa1b2_3c4d;
/// Microseconds with eight more bytes in each packet header (interface index, protocol, packet type), by
/// Alexey Kuznetsov's libpcap.
const MAGIC_MODIFIED: u32 = 0xa1b2_cd34;

const FILE_HEADER_LEN: usize = 24;
const RECORD_HEADER_LEN: usize = 16;
const MODIFIED_RECORD_HEADER_LEN: usize = 24;

/// Versions before 2.3 keep the two lengths of a packet in the opposite order, and 2.3 sometimes.
const LENGTHS_IN_ORDER_MINOR: u16 = 4;

/// How far a record is looked for by its bytes: longer than the longest frames but those joined by a card.
const SEARCH_LEN: usize = 16 << 10;

/// Times are near each other when they differ in this many bits of their seconds: within four minutes, nearly
/// always.
const NEAR_BITS: u32 = 8;

#[derive(Clone, Debug)]
pub(super) struct PcapWalker {
    order: ByteOrder,
    /// Nanoseconds of one unit of the second time field.
    fraction_ns: u64,
    header_len: usize,
    minor: u16,
    link_type: LinkType,
}

impl PcapWalker {
    /// Reads the file header that begins with `magic`; the error is the step to answer instead.
    pub(super) fn start(magic: [u8; 4], bytes: &[u8]) -> Result<(Self, usize), WalkStep<'static>> {
        let (order, value) = match (u32::from_le_bytes(magic), u32::from_be_bytes(magic)) {
            (value @ (MAGIC_US | MAGIC_NS | MAGIC_MODIFIED), _) => (ByteOrder::Little, value),
            (_, value @ (MAGIC_US | MAGIC_NS | MAGIC_MODIFIED)) => (ByteOrder::Big, value),
            _ => return Err(WalkStep::Damage(RecordFault::UnknownMagic(magic))),
        };
        let Some((header, _)) = bytes.split_first_chunk::<FILE_HEADER_LEN>() else {
            return Err(WalkStep::NeedMore(FILE_HEADER_LEN));
        };
        let (major, minor) = (order.u16(half::<4, _>(header)), order.u16(half::<6, _>(header)));
        if major != 2 {
            return Err(WalkStep::Damage(RecordFault::Version(major, minor)));
        }
        // The upper half holds the length of the frame check sequence and reserved bits.
        let link_type = LinkType((order.u32(word::<20, _>(header)) & 0xffff) as u16);
        let walker = Self {
            order,
            fraction_ns: if value == MAGIC_NS { 1 } else { 1_000 },
            header_len: if value == MAGIC_MODIFIED { MODIFIED_RECORD_HEADER_LEN } else { RECORD_HEADER_LEN },
            minor,
            link_type,
        };
        Ok((walker, FILE_HEADER_LEN))
    }

    pub(super) const fn link_type(&self) -> LinkType {
        self.link_type
    }

    /// True for the records that nearly every file has: little-endian, of the usual length, lengths in order.
    pub(super) fn is_plain(&self) -> bool {
        self.order == ByteOrder::Little && self.header_len == RECORD_HEADER_LEN && self.minor >= LENGTHS_IN_ORDER_MINOR
    }

    /// As [`Self::step`], for a walker that is [`Self::is_plain`]. `None` for anything but a whole packet.
    #[inline(always)]
    pub(super) fn plain_packet<'a>(&self, bytes: &'a [u8]) -> Option<(Packet<'a>, usize)> {
        let header = bytes.first_chunk::<RECORD_HEADER_LEN>()?;
        let seconds = u32::from_le_bytes(word::<0, _>(header));
        let fraction = u32::from_le_bytes(word::<4, _>(header));
        let captured_len = u32::from_le_bytes(word::<8, _>(header)) as usize;
        let wire_len = u32::from_le_bytes(word::<12, _>(header));
        if captured_len > PACKET_LEN_MAX {
            return None;
        }
        let end = RECORD_HEADER_LEN + captured_len;
        let data = bytes.get(RECORD_HEADER_LEN..end)?;
        let time = self.time(seconds, fraction);
        Some((Packet { data, time, wire_len, link_type: self.link_type }, end))
    }

    /// Bytes that the record at the beginning of `bytes` takes, for a walker that is [`Self::is_plain`]; they
    /// need not be there. `None` where no whole record header is, or none that can be.
    #[inline(always)]
    pub(super) fn plain_len(bytes: &[u8]) -> Option<usize> {
        let header = bytes.first_chunk::<RECORD_HEADER_LEN>()?;
        let captured_len = u32::from_le_bytes(word::<8, _>(header)) as usize;
        (captured_len <= PACKET_LEN_MAX).then_some(RECORD_HEADER_LEN + captured_len)
    }

    /// The seconds of the time of the record at the beginning of `bytes`, for a walker that is
    /// [`Self::is_plain`].
    pub(super) fn plain_seconds(bytes: &[u8]) -> Option<u32> {
        bytes.first_chunk::<RECORD_HEADER_LEN>().map(|header| u32::from_le_bytes(word::<0, _>(header)))
    }

    /// Where at or behind `from` the first two records in a row seem to begin that were captured near
    /// `seconds`; within [`SEARCH_LEN`] bytes, for a walker that is [`Self::is_plain`]. A guess: any packet
    /// may hold bytes that look the same.
    pub(super) fn find_plain(&self, bytes: &[u8], from: usize, seconds: u32) -> Option<usize> {
        /// Bytes looked at in one step, by wide instructions where the processor has them.
        const STEP: usize = 64;
        if seconds >> NEAR_BITS == 0 {
            // No time was kept, and zeros are everywhere.
            return None;
        }
        let [_, low, mid, high] = seconds.to_le_bytes();
        for start in (from..from + SEARCH_LEN).step_by(STEP) {
            let block = bytes.get(start..)?.first_chunk::<{ STEP + 3 }>()?;
            let is_near =
                |i: usize| u8::from(block[i + 1] == low) & u8::from(block[i + 2] == mid) & u8::from(block[i + 3] == high);
            if (0..STEP).fold(0, |any, i| any | is_near(i)) == 0 {
                continue;
            }
            for at in start..start + STEP {
                let next = self.plausible(bytes, at, seconds);
                if next.is_some_and(|next| self.plausible(bytes, next, seconds).is_some()) {
                    return Some(at);
                }
            }
        }
        None
    }

    /// The end of what could be a record captured near `seconds`.
    fn plausible(&self, bytes: &[u8], at: usize, seconds: u32) -> Option<usize> {
        let header = bytes.get(at..)?.first_chunk::<RECORD_HEADER_LEN>()?;
        let is_near = u32::from_le_bytes(word::<0, _>(header)) >> NEAR_BITS == seconds >> NEAR_BITS;
        let is_fraction = u64::from(u32::from_le_bytes(word::<4, _>(header))) * self.fraction_ns < Timestamp::NS_PER_SEC;
        let captured_len = u32::from_le_bytes(word::<8, _>(header));
        let is_length = captured_len > 0 && captured_len <= u32::from_le_bytes(word::<12, _>(header));
        let len = Self::plain_len(header)?;
        (is_near && is_fraction && is_length).then_some(at + len)
    }

    /// At most 2^32 s and 2^32 µs: far from the end of 64 bits.
    #[inline(always)]
    fn time(&self, seconds: u32, fraction: u32) -> Timestamp {
        Timestamp(u64::from(seconds) * Timestamp::NS_PER_SEC + u64::from(fraction) * self.fraction_ns)
    }

    #[inline(always)]
    pub(super) fn step<'a>(&self, bytes: &'a [u8]) -> WalkStep<'a> {
        let Some((header, _)) = bytes.split_first_chunk::<RECORD_HEADER_LEN>() else {
            return WalkStep::NeedMore(RECORD_HEADER_LEN);
        };
        let seconds = self.order.u32(word::<0, _>(header));
        let fraction = self.order.u32(word::<4, _>(header));
        let mut captured_len = self.order.u32(word::<8, _>(header));
        let mut wire_len = self.order.u32(word::<12, _>(header));
        if self.minor < LENGTHS_IN_ORDER_MINOR && (self.minor < 3 || captured_len > wire_len) {
            std::mem::swap(&mut captured_len, &mut wire_len);
        }
        if captured_len as usize > PACKET_LEN_MAX {
            return WalkStep::Damage(RecordFault::PacketTooLong(captured_len));
        }
        let end = self.header_len + captured_len as usize;
        let Some(data) = bytes.get(self.header_len..end) else {
            return WalkStep::NeedMore(end);
        };
        let time = self.time(seconds, fraction);
        WalkStep::Packet { packet: Packet { data, time, wire_len, link_type: self.link_type }, consumed: end }
    }
}
