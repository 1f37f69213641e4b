//! The blocks of a pcapng file that say where its packets come from: section header, interface, and the interface's statistics.
//!
//! Owns their bytes and options. Knows no packet. Invariant: every block is whole, a multiple of four bytes, and of bounded length.
//!
//! Follows draft-ietf-opsawg-pcapng, sections 4.1, 4.2 and 4.6.

use crate::{Counters, LinkType, Timestamp};

/// Longest text of an option in bytes; longer ones are cut.
const TEXT_LEN_MAX: usize = 255;
/// Longest comment in bytes; a longer one is cut.
const COMMENT_LEN_MAX: usize = 4096;
/// More than all blocks before the first packet take.
pub(super) const BLOCKS_LEN_MAX: usize = 8 * (TEXT_LEN_MAX + 8) + COMMENT_LEN_MAX + 256;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
const INTERFACE: u32 = 1;
const INTERFACE_STATISTICS: u32 = 5;

const OPT_COMMENT: u16 = 1;
const SHB_OS: u16 = 3;
const SHB_USERAPPL: u16 = 4;
const IF_NAME: u16 = 2;
const IF_SPEED: u16 = 8;
const IF_TSRESOL: u16 = 9;
const IF_FILTER: u16 = 11;
const IF_OS: u16 = 12;
const ISB_STARTTIME: u16 = 2;
const ISB_ENDTIME: u16 = 3;
const ISB_IFRECV: u16 = 4;
const ISB_IFDROP: u16 = 5;
const ISB_OSDROP: u16 = 7;
const ISB_USRDELIV: u16 = 8;

/// Where the packets of a file come from. Classic pcap has no place for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaptureOrigin {
    /// The program that writes, with its version.
    pub application: Option<String>,
    /// The operating system that captured.
    pub os: Option<String>,
    /// The interfaces that were captured, in their order; none where packets come from files.
    pub interfaces: Vec<OriginInterface>,
    /// The capture filter, in the language of pcap-filter(7).
    pub filter: Option<String>,
    /// What a person should know of the file: at most 4096 bytes of it.
    pub comment: Option<String>,
}

/// An interface that was captured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OriginInterface {
    /// Its name.
    pub name: String,
    /// Its speed in bits per second, where that is known.
    pub speed_bps: Option<u64>,
}

/// Appends a block of this type.
fn block(out: &mut Vec<u8>, kind: u32, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&kind.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    body(out);
    let len = (out.len() - start + 4) as u32;
    out.extend_from_slice(&len.to_le_bytes());
    if let Some(place) = out.get_mut(start + 4..start + 8) {
        place.copy_from_slice(&len.to_le_bytes());
    }
}

/// Appends an option, padded to 32 bits.
fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    out.extend_from_slice(&code.to_le_bytes());
    out.extend_from_slice(&(value.len() as u16).to_le_bytes());
    out.extend_from_slice(value);
    out.resize(out.len().next_multiple_of(4), 0);
}

fn text(out: &mut Vec<u8>, code: u16, value: Option<&str>) {
    if let Some(value) = value {
        option(out, code, cut(value, TEXT_LEN_MAX).as_bytes());
    }
}

/// At most `max` bytes of it, whole characters.
fn cut(text: &str, max: usize) -> &str {
    let end = (0..=max.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

fn end_of_options(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0; 4]);
}

/// Appends the section header.
pub(super) fn section_header(out: &mut Vec<u8>, origin: &CaptureOrigin) {
    block(out, SECTION_HEADER, |out| {
        out.extend_from_slice(&BYTE_ORDER_MAGIC.to_le_bytes());
        out.extend_from_slice(&1u16.to_le_bytes());
        out.extend_from_slice(&0u16.to_le_bytes());
        // The section's length is not known.
        out.extend_from_slice(&u64::MAX.to_le_bytes());
        if origin.os.is_some() || origin.application.is_some() || origin.comment.is_some() {
            if let Some(comment) = &origin.comment {
                option(out, OPT_COMMENT, cut(comment, COMMENT_LEN_MAX).as_bytes());
            }
            text(out, SHB_OS, origin.os.as_deref());
            text(out, SHB_USERAPPL, origin.application.as_deref());
            end_of_options(out);
        }
    });
}

/// Appends the description of interface `place`, with times in nanoseconds.
pub(super) fn interface(out: &mut Vec<u8>, link_type: LinkType, snaplen: u32, origin: &CaptureOrigin, place: u8) {
    let known = origin.interfaces.get(usize::from(place));
    block(out, INTERFACE, |out| {
        out.extend_from_slice(&link_type.0.to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&snaplen.to_le_bytes());
        text(out, IF_NAME, known.map(|interface| interface.name.as_str()));
        if let Some(speed) = known.and_then(|interface| interface.speed_bps) {
            option(out, IF_SPEED, &speed.to_le_bytes());
        }
        option(out, IF_TSRESOL, &[9]);
        if let Some(filter) = &origin.filter {
            // 0: a string of libpcap's follows.
            let value: Vec<u8> = std::iter::once(0).chain(cut(filter, TEXT_LEN_MAX).bytes()).collect();
            option(out, IF_FILTER, &value);
        }
        if known.is_some() {
            text(out, IF_OS, origin.os.as_deref());
        }
        end_of_options(out);
    });
}

/// What an interface counted from its first packet to the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InterfaceStatistics {
    /// When the capture began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
    /// What its source counted.
    pub counters: Counters,
}

/// Appends the statistics of the interface that has this number in the file.
pub(super) fn statistics(out: &mut Vec<u8>, number: u32, statistics: &InterfaceStatistics) {
    let InterfaceStatistics { start, end, counters } = statistics;
    let time = |time: Timestamp| {
        let (high, low) = ((time.0 >> 32) as u32, time.0 as u32);
        [high.to_le_bytes(), low.to_le_bytes()].concat()
    };
    block(out, INTERFACE_STATISTICS, |out| {
        out.extend_from_slice(&number.to_le_bytes());
        out.extend_from_slice(&time(*end));
        option(out, ISB_STARTTIME, &time(*start));
        option(out, ISB_ENDTIME, &time(*end));
        let lost = counters.kernel_drops + counters.damaged + counters.skipped;
        for (code, value) in [
            (ISB_IFRECV, counters.received + counters.interface_drops),
            (ISB_IFDROP, counters.interface_drops),
            (ISB_OSDROP, counters.kernel_drops),
            (ISB_USRDELIV, counters.received.saturating_sub(counters.filtered + lost)),
        ] {
            option(out, code, &value.to_le_bytes());
        }
        end_of_options(out);
    });
}
