//! Captures made by hand, and what must be read of them.

mod formats;
mod readers;
mod scan;
mod scout;
mod several;
mod times;

use crate::memory::OwnedPacket;
use crate::{LinkType, Timestamp};

/// Byte order in which a capture is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endian {
    Little,
    Big,
}

/// Appends numbers in one byte order.
pub(super) struct Maker {
    pub(super) endian: Endian,
    pub(super) bytes: Vec<u8>,
}

impl Maker {
    pub(super) const fn new(endian: Endian) -> Self {
        Self { endian, bytes: Vec::new() }
    }

    pub(super) fn u16(&mut self, value: u16) -> &mut Self {
        let bytes = if self.endian == Endian::Little { value.to_le_bytes() } else { value.to_be_bytes() };
        self.raw(&bytes)
    }

    pub(super) fn u32(&mut self, value: u32) -> &mut Self {
        let bytes = if self.endian == Endian::Little { value.to_le_bytes() } else { value.to_be_bytes() };
        self.raw(&bytes)
    }

    pub(super) fn u64(&mut self, value: u64) -> &mut Self {
        let bytes = if self.endian == Endian::Little { value.to_le_bytes() } else { value.to_be_bytes() };
        self.raw(&bytes)
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    pub(super) fn pcap_header(&mut self, magic: u32, minor: u16, link_type: u32) -> &mut Self {
        self.u32(magic).u16(2).u16(minor).u32(0).u32(0).u32(65_535).u32(link_type)
    }

    pub(super) fn pcap_record(&mut self, seconds: u32, fraction: u32, wire_len: u32, data: &[u8]) -> &mut Self {
        self.u32(seconds).u32(fraction).u32(data.len() as u32).u32(wire_len).raw(data)
    }

    pub(super) fn block(&mut self, kind: u32, body: impl FnOnce(&mut Self)) -> &mut Self {
        let start = self.bytes.len();
        self.u32(kind).u32(0);
        body(self);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        let len = (self.bytes.len() - start + 4) as u32;
        let mut value = Self::new(self.endian);
        value.u32(len);
        self.bytes[start + 4..start + 8].copy_from_slice(&value.bytes);
        self.u32(len)
    }

    pub(super) fn section(&mut self) -> &mut Self {
        self.block(0x0a0d_0d0a, |maker| {
            maker.u32(0x1a2b_3c4d).u16(1).u16(0).u64(u64::MAX);
        })
    }

    pub(super) fn option(&mut self, code: u16, value: &[u8]) -> &mut Self {
        self.u16(code).u16(value.len() as u16).raw(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self
    }

    pub(super) fn interface(&mut self, link_type: u16, snaplen: u32, options: impl FnOnce(&mut Self)) -> &mut Self {
        self.block(1, |maker| {
            maker.u16(link_type).u16(0).u32(snaplen);
            options(maker);
        })
    }

    pub(super) fn enhanced(&mut self, interface: u32, ticks: u64, wire_len: u32, data: &[u8]) -> &mut Self {
        self.block(6, |maker| {
            maker.u32(interface).u32((ticks >> 32) as u32).u32(ticks as u32).u32(data.len() as u32).u32(wire_len).raw(data);
        })
    }
}

pub(super) fn owned(time: u64, wire_len: u32, link_type: u16, data: &[u8]) -> OwnedPacket {
    OwnedPacket { time: Timestamp(time), wire_len, link_type: LinkType(link_type), data: data.to_vec() }
}

/// A pcap file of `count` packets of 60 bytes, one a microsecond, whose first bytes are their number.
pub(super) fn numbered(count: u32) -> Vec<u8> {
    let mut maker = Maker::new(Endian::Little);
    maker.pcap_header(0xa1b2_c3d4, 4, 1);
    for number in 0..count {
        let mut data = [0; 60];
        data[..4].copy_from_slice(&number.to_be_bytes());
        maker.pcap_record(1_000 + number / 1_000_000, number % 1_000_000, 60, &data);
    }
    maker.bytes
}
