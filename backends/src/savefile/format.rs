//! The bytes of a written capture.
//!
//! Owns the encoding of pcap and pcapng records. Does no I/O. Its one invariant: it appends whole records or
//! nothing.
//!
//! Follows pcap-savefile(5) and draft-ietf-opsawg-pcapng.

use std::path::Path;

use super::blocks::{self, BLOCKS_LEN_MAX, CaptureOrigin, InterfaceStatistics};
use crate::{LinkType, Packet, Timestamp};

/// More than the largest file header, or block around a packet's bytes with the interface block before it.
pub(super) const OVERHEAD_MAX: usize = 128 + BLOCKS_LEN_MAX;

const PCAP_MAGIC_NS: u32 = 0xa1b2_3c4d;
const PCAP_RECORD_HEADER_LEN: usize = 16;
const PCAP_FILE_HEADER_LEN: usize = 24;

const PACKET_ENHANCED: u32 = 6;
const PACKET_ENHANCED_LEN: usize = 32;

/// Why a packet cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    LinkType,
    Time,
}

#[derive(Debug)]
pub(super) struct Encoder {
    snaplen: u32,
    origin: CaptureOrigin,
    /// The interface that the next packet is of.
    current: u8,
    has_header: bool,
    kind: FileKind,
}

#[derive(Debug)]
enum FileKind {
    Pcap(Option<LinkType>),
    /// The interfaces that have a number, in its order: link type, and place among those that are captured.
    Pcapng(Vec<(LinkType, u8)>),
}

impl Encoder {
    pub(super) fn for_path(path: &Path, snaplen: u32, origin: CaptureOrigin) -> Self {
        let is_pcapng = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("pcapng"));
        let kind = if is_pcapng { FileKind::Pcapng(Vec::new()) } else { FileKind::Pcap(None) };
        Self { snaplen, origin, current: 0, has_header: false, kind }
    }

    /// Begins a new file.
    pub(super) fn restart(&mut self) {
        self.has_header = false;
        match &mut self.kind {
            FileKind::Pcap(link_type) => *link_type = None,
            FileKind::Pcapng(interfaces) => interfaces.clear(),
        }
    }

    /// Bytes that [`Encoder::encode`] appends for this packet once its file and interface have headers.
    pub(super) fn record_len(&self, packet: &Packet<'_>) -> u64 {
        let captured_len = packet.data.len().min(self.snaplen as usize);
        let len = match self.kind {
            FileKind::Pcap(_) => PCAP_RECORD_HEADER_LEN + captured_len,
            FileKind::Pcapng(_) => PACKET_ENHANCED_LEN + captured_len.next_multiple_of(4),
        };
        len as u64
    }

    /// Appends the file header unless the file has one; with Ethernet where no packet has told the link type.
    pub(super) fn encode_header(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.has_header, true) {
            return;
        }
        match &self.kind {
            FileKind::Pcap(link_type) => {
                let link_type = link_type.unwrap_or(LinkType::ETHERNET);
                put_u32(out, PCAP_MAGIC_NS);
                put_u16(out, 2);
                put_u16(out, 4);
                put_u32(out, 0);
                put_u32(out, 0);
                put_u32(out, self.snaplen);
                put_u32(out, u32::from(link_type.0));
            }
            FileKind::Pcapng(_) => {
                blocks::section_header(out, &self.origin);
            }
        }
    }

    /// Appends the packet, cut to the snap length, and before it whatever headers are missing.
    pub(super) fn encode(&mut self, packet: &Packet<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let data = packet.data.get(..self.snaplen as usize).unwrap_or(packet.data);
        match &mut self.kind {
            FileKind::Pcap(link_type) => {
                let seconds = u32::try_from(packet.time.0 / Timestamp::NS_PER_SEC).map_err(|_| Refusal::Time)?;
                if *link_type.get_or_insert(packet.link_type) != packet.link_type {
                    return Err(Refusal::LinkType);
                }
                self.encode_header(out);
                put_u32(out, seconds);
                put_u32(out, (packet.time.0 % Timestamp::NS_PER_SEC) as u32);
                put_u32(out, data.len() as u32);
                put_u32(out, packet.wire_len);
                out.extend_from_slice(data);
            }
            FileKind::Pcapng(_) => {
                self.encode_header(out);
                let interface = self.interface(packet.link_type, out);
                let padded_len = data.len().next_multiple_of(4);
                let block_len = (PACKET_ENHANCED_LEN + padded_len) as u32;
                put_u32(out, PACKET_ENHANCED);
                put_u32(out, block_len);
                put_u32(out, interface);
                put_u32(out, (packet.time.0 >> 32) as u32);
                put_u32(out, packet.time.0 as u32);
                put_u32(out, data.len() as u32);
                put_u32(out, packet.wire_len);
                out.extend_from_slice(data);
                out.resize(out.len() + padded_len - data.len(), 0);
                put_u32(out, block_len);
            }
        }
        Ok(())
    }

    /// Number of the interface of this link type, whose block is appended first when it is new.
    fn interface(&mut self, link_type: LinkType, out: &mut Vec<u8>) -> u32 {
        let FileKind::Pcapng(interfaces) = &mut self.kind else { return 0 };
        if let Some(index) = interfaces.iter().position(|known| *known == (link_type, self.current)) {
            return index as u32;
        }
        interfaces.push((link_type, self.current));
        blocks::interface(out, link_type, self.snaplen, &self.origin, self.current);
        interfaces.len() as u32 - 1
    }

    /// The packets that follow are of this interface, by its place among those that are captured.
    pub(super) fn set_interface(&mut self, place: u8) {
        self.current = place;
    }

    /// Appends what the interface at this place counted, if the format has room for it and a packet of it is in this file.
    pub(super) fn encode_statistics(&self, place: u8, counted: &InterfaceStatistics, out: &mut Vec<u8>) {
        if let FileKind::Pcapng(interfaces) = &self.kind
            && let Some(number) = interfaces.iter().position(|(_, known)| *known == place)
        {
            blocks::statistics(out, number as u32, counted);
        }
    }

    /// How many of these bytes are whole records, and how many of them packets. They begin where a record
    /// begins, or where the file does.
    pub(super) fn whole_records(&self, bytes: &[u8], begins_file: bool) -> (usize, u64) {
        let (mut len, mut packets) = (0, 0);
        loop {
            let rest = bytes.get(len..).unwrap_or_default();
            let record = match &self.kind {
                FileKind::Pcap(_) if begins_file && len == 0 => Some((PCAP_FILE_HEADER_LEN, false)),
                FileKind::Pcap(_) => u32_at(rest, 8).map(|captured_len| (PCAP_RECORD_HEADER_LEN + captured_len as usize, true)),
                FileKind::Pcapng(_) => {
                    u32_at(rest, 4).map(|block_len| (block_len as usize, u32_at(rest, 0) == Some(PACKET_ENHANCED)))
                }
            };
            match record {
                Some((record_len, is_packet)) if record_len <= rest.len() => {
                    len += record_len;
                    packets += u64::from(is_packet);
                }
                _ => return (len, packets),
            }
        }
    }
}

fn put_u16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
