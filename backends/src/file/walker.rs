//! Walks the bytes of a capture file, record by record.
//!
//! Owns the choice of format and the vocabulary both formats answer in. Does no I/O and knows neither files
//! nor mappings: the caller hands it the bytes that follow the last record and learns what lies at their
//! beginning. Its one invariant: it never looks beyond the bytes given, and every answer but
//! [`WalkStep::NeedMore`] and [`WalkStep::Damage`] moves the caller forward by at least one byte, so a walk
//! always ends.

use std::fmt;

use super::pcap::PcapWalker;
use super::pcapng::PcapngWalker;
use crate::{LinkType, Packet, Timestamp};

/// Most captured bytes of one packet; a longer one is damage. The limit that libpcap (MAXIMUM_SNAPLEN) and
/// Wireshark (WTAP_MAX_PACKET_SIZE_STANDARD) set for every common link type.
pub const PACKET_LEN_MAX: usize = 262_144;

/// Longest pcapng section header, interface or packet block that is read, options included; a longer one is
/// damage. Blocks that carry no packet are skipped whatever their length.
pub const BLOCK_LEN_MAX: usize = 1 << 20;

/// Most interfaces of one pcapng section; one more is damage.
pub const INTERFACES_MAX: usize = 65_536;

/// What lies at the beginning of the bytes given to [`CaptureWalker::step`].
#[derive(Clone, Copy, Debug)]
pub enum WalkStep<'a> {
    /// A packet; it and its header take `consumed` bytes.
    Packet {
        /// The packet, borrowed from the bytes given.
        packet: Packet<'a>,
        /// Bytes to move forward.
        consumed: usize,
    },
    /// No packet: `consumed` bytes to move forward, possibly more than were given.
    Skip {
        /// Bytes to move forward.
        consumed: usize,
    },
    /// At least this many bytes, counted from the beginning of the bytes given, are needed to tell. With no
    /// bytes given and none to come, the capture has ended well; with some, it was cut short.
    NeedMore(usize),
    /// The bytes are no valid record. There is nothing after it to find.
    Damage(RecordFault),
}

/// What lies ahead, seen without walking there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peeked {
    /// A packet of this time.
    Packet { time: Timestamp, consumed: usize },
    /// No packet, possibly more bytes than were given.
    Skip { consumed: usize },
    /// More bytes are needed to tell.
    NeedMore,
    /// What changes how packets are read, or cannot be.
    Other,
}

/// Why a record is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordFault {
    /// The first four bytes belong to no capture format.
    UnknownMagic([u8; 4]),
    /// A version of a known format that is not read.
    Version(u16, u16),
    /// Captured length over [`PACKET_LEN_MAX`].
    PacketTooLong(u32),
    /// A block too short for its kind, too long to read, or no multiple of four.
    BlockLen(u32),
    /// The length at the end of a block differs from the one at its beginning.
    BlockTrailer(u32, u32),
    /// The byte-order magic of a section is none.
    ByteOrder([u8; 4]),
    /// More captured bytes than the block has room for.
    PacketBeyondBlock(u32, u32),
    /// A packet of an interface that was not described.
    UnknownInterface(u32),
    /// More than [`INTERFACES_MAX`] interfaces.
    TooManyInterfaces,
    /// An option is longer than its block.
    OptionTooLong(u16),
    /// The capture ends inside a record.
    CutShort,
    /// The file became shorter while it was read.
    Shrunk,
}

impl fmt::Display for RecordFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::UnknownMagic([a, b, c, d]) => {
                write!(f, "it begins with {a:02x} {b:02x} {c:02x} {d:02x}, not with a pcap or pcapng header")
            }
            Self::Version(major, minor) => write!(f, "format version {major}.{minor} is not supported"),
            Self::PacketTooLong(len) => write!(f, "a packet of {len} bytes, more than the {PACKET_LEN_MAX} possible"),
            Self::BlockLen(len) => write!(f, "a block of {len} bytes, which is impossible for its kind"),
            Self::BlockTrailer(head, tail) => write!(f, "a block says {head} bytes at its beginning and {tail} at its end"),
            Self::ByteOrder([a, b, c, d]) => write!(f, "a section with byte-order magic {a:02x} {b:02x} {c:02x} {d:02x}"),
            Self::PacketBeyondBlock(len, block) => write!(f, "a packet of {len} bytes in a block of {block}"),
            Self::UnknownInterface(index) => write!(f, "a packet of interface {index}, which is not described"),
            Self::TooManyInterfaces => write!(f, "more than {INTERFACES_MAX} interfaces in one section"),
            Self::OptionTooLong(len) => write!(f, "an option of {len} bytes reaches beyond its block"),
            Self::CutShort => write!(f, "it ends in the middle of a record"),
            Self::Shrunk => write!(f, "the file became shorter while it was read"),
        }
    }
}

/// Byte order of a file or section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    #[inline(always)]
    pub(super) fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    #[inline(always)]
    pub(super) fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }
}

/// Four bytes of a header whose length is known; `AT + 4 <= N` is checked when the program is built.
#[inline(always)]
pub(super) fn word<const AT: usize, const N: usize>(header: &[u8; N]) -> [u8; 4] {
    const { assert!(AT + 4 <= N) };
    [header[AT], header[AT + 1], header[AT + 2], header[AT + 3]]
}

/// Two bytes of a header whose length is known; `AT + 2 <= N` is checked when the program is built.
#[inline(always)]
pub(super) fn half<const AT: usize, const N: usize>(header: &[u8; N]) -> [u8; 2] {
    const { assert!(AT + 2 <= N) };
    [header[AT], header[AT + 1]]
}

/// The walk over one capture, of whichever format its first bytes announce.
#[derive(Clone, Debug)]
pub struct CaptureWalker(CaptureFormat);

#[derive(Clone, Debug)]
enum CaptureFormat {
    Unknown,
    Pcap(PcapWalker),
    Pcapng(PcapngWalker),
}

impl Default for CaptureWalker {
    fn default() -> Self {
        Self::new()
    }
}

impl CaptureWalker {
    /// At the first byte of a capture.
    pub const fn new() -> Self {
        Self(CaptureFormat::Unknown)
    }

    /// Link type of the file (pcap) or of the first interface of the section (pcapng), once known.
    pub fn link_type(&self) -> Option<LinkType> {
        match &self.0 {
            CaptureFormat::Unknown => None,
            CaptureFormat::Pcap(pcap) => Some(pcap.link_type()),
            CaptureFormat::Pcapng(pcapng) => pcapng.link_type(),
        }
    }

    /// True once the file header (pcap) or the first section header (pcapng) was read.
    pub fn is_started(&self) -> bool {
        !matches!(self.0, CaptureFormat::Unknown)
    }

    /// The walker of a pcap file whose records have the most usual form.
    pub(super) fn plain_pcap(&self) -> Option<&PcapWalker> {
        match &self.0 {
            CaptureFormat::Pcap(pcap) if pcap.is_plain() => Some(pcap),
            _ => None,
        }
    }

    /// What lies at the beginning of `bytes`, which follow what was consumed before.
    #[inline(always)]
    pub fn step<'a>(&mut self, bytes: &'a [u8]) -> WalkStep<'a> {
        match &mut self.0 {
            CaptureFormat::Pcap(pcap) => pcap.step(bytes),
            CaptureFormat::Pcapng(pcapng) => pcapng.step(bytes),
            CaptureFormat::Unknown => self.start(bytes),
        }
    }

    /// What lies at the beginning of `bytes`; the walk stays where it is.
    pub(super) fn peek(&self, bytes: &[u8]) -> Peeked {
        match &self.0 {
            CaptureFormat::Pcap(pcap) => match pcap.step(bytes) {
                WalkStep::Packet { packet, consumed } => Peeked::Packet { time: packet.time, consumed },
                WalkStep::NeedMore(_) => Peeked::NeedMore,
                WalkStep::Skip { .. } | WalkStep::Damage(_) => Peeked::Other,
            },
            CaptureFormat::Pcapng(pcapng) => pcapng.peek(bytes),
            CaptureFormat::Unknown => Peeked::Other,
        }
    }

    /// The packet that was walked over last counts as captured at this time.
    pub(super) fn correct_time(&mut self, time: Timestamp) {
        if let CaptureFormat::Pcapng(pcapng) = &mut self.0 {
            pcapng.correct_time(time);
        }
    }

    #[cold]
    fn start<'a>(&mut self, bytes: &'a [u8]) -> WalkStep<'a> {
        let Some((&magic, _)) = bytes.split_first_chunk::<4>() else {
            return WalkStep::NeedMore(4);
        };
        if magic == PcapngWalker::MAGIC {
            let mut pcapng = PcapngWalker::new();
            let step = pcapng.step(bytes);
            if let WalkStep::Skip { .. } = step {
                self.0 = CaptureFormat::Pcapng(pcapng);
            }
            return step;
        }
        match PcapWalker::start(magic, bytes) {
            Ok((pcap, consumed)) => {
                self.0 = CaptureFormat::Pcap(pcap);
                WalkStep::Skip { consumed }
            }
            Err(step) => step,
        }
    }
}
