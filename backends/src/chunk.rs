//! A reusable buffer of copied packets.
//!
//! Owns bytes and headers of packets that have to outlive their source's memory: on their way to the
//! recorder, to the packet view, or from a libpcap handle to several workers. Its one invariant: it never
//! grows beyond [`CHUNK_BYTES`] and [`CHUNK_PACKETS_MAX`], both reserved when it is made.

use crate::{BATCH_MAX, LinkType, Packet, Timestamp};

/// Bytes of packet data one chunk holds.
pub const CHUNK_BYTES: usize = 1 << 20;

/// Packets one chunk holds: enough for a chunk full of the smallest Ethernet frames.
pub const CHUNK_PACKETS_MAX: usize = CHUNK_BYTES / 64;

const _: () = assert!(crate::file::PACKET_LEN_MAX <= CHUNK_BYTES);
const _: () = assert!(CHUNK_BYTES <= u32::MAX as usize);

/// Where a copied packet's bytes lie, and what else is known of it.
#[derive(Clone, Copy, Debug)]
struct CopiedPacket {
    time: Timestamp,
    start: u32,
    captured_len: u32,
    wire_len: u32,
    link_type: LinkType,
}

/// Copied packets, in order.
#[derive(Clone, Debug)]
pub struct PacketChunk {
    bytes: Vec<u8>,
    headers: Vec<CopiedPacket>,
}

impl Default for PacketChunk {
    fn default() -> Self {
        Self::new()
    }
}

impl PacketChunk {
    /// Empty, with all memory it will ever use.
    pub fn new() -> Self {
        Self { bytes: Vec::with_capacity(CHUNK_BYTES), headers: Vec::with_capacity(CHUNK_PACKETS_MAX) }
    }

    /// Copies `packet` to the end; false, and nothing changed, when it is full. A packet of up to
    /// [`PACKET_LEN_MAX`](crate::file::PACKET_LEN_MAX) bytes always fits into an empty chunk.
    #[inline]
    #[must_use]
    pub fn push(&mut self, packet: &Packet<'_>) -> bool {
        if packet.data.len() > CHUNK_BYTES - self.bytes.len() || self.headers.len() >= CHUNK_PACKETS_MAX {
            return false;
        }
        // Both fit: the sum is at most CHUNK_BYTES, which is less than 2^32.
        self.headers.push(CopiedPacket {
            time: packet.time,
            start: self.bytes.len() as u32,
            captured_len: packet.data.len() as u32,
            wire_len: packet.wire_len,
            link_type: packet.link_type,
        });
        self.bytes.extend_from_slice(packet.data);
        true
    }

    /// Forgets all packets, keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.headers.clear();
    }

    /// Packets held.
    pub const fn len(&self) -> usize {
        self.headers.len()
    }

    /// True when no packet is held.
    pub const fn is_empty(&self) -> bool {
        self.headers.is_empty()
    }

    /// Bytes of packet data held.
    pub const fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    /// The packets, in the order they came.
    pub fn packets(&self) -> impl ExactSizeIterator<Item = Packet<'_>> {
        self.headers.iter().map(|header| self.packet(header))
    }

    /// Lends the packets to `visit`, at most [`BATCH_MAX`] per call.
    pub fn visit(&self, visit: &mut dyn FnMut(&[Packet<'_>])) {
        let mut batch = [Packet { data: &[], time: Timestamp(0), wire_len: 0, link_type: LinkType::NULL }; BATCH_MAX];
        for headers in self.headers.chunks(BATCH_MAX) {
            for (slot, header) in batch.iter_mut().zip(headers) {
                *slot = self.packet(header);
            }
            visit(batch.get(..headers.len()).unwrap_or_default());
        }
    }

    fn packet(&self, header: &CopiedPacket) -> Packet<'_> {
        let start = header.start as usize;
        Packet {
            data: self.bytes.get(start..start + header.captured_len as usize).unwrap_or_default(),
            time: header.time,
            wire_len: header.wire_len,
            link_type: header.link_type,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::OwnedPacket;
    use proptest::prelude::*;

    fn packet(data: &[u8]) -> Packet<'_> {
        Packet { data, time: Timestamp(data.len() as u64), wire_len: 2_000, link_type: LinkType::ETHERNET }
    }

    #[test]
    fn is_full_by_bytes_and_by_packets() {
        let mut chunk = PacketChunk::new();
        let large = vec![1; crate::file::PACKET_LEN_MAX];
        assert_eq!((0..5).map(|_| u32::from(chunk.push(&packet(&large)))).sum::<u32>(), 4);
        assert_eq!(chunk.bytes_len(), CHUNK_BYTES);
        chunk.clear();
        assert!(chunk.is_empty());
        assert_eq!((0..=CHUNK_PACKETS_MAX).filter(|_| chunk.push(&packet(&[]))).count(), CHUNK_PACKETS_MAX);
    }

    proptest! {
        #[test]
        fn gives_back_what_it_took(packets in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..90), 0..200)) {
            let mut chunk = PacketChunk::new();
            for data in &packets {
                prop_assert!(chunk.push(&packet(data)));
            }
            let expected: Vec<_> = packets.iter().map(|data| OwnedPacket::from(&packet(data))).collect();
            let iterated: Vec<_> = chunk.packets().map(|packet| OwnedPacket::from(&packet)).collect();
            let mut visited = Vec::new();
            chunk.visit(&mut |batch| {
                assert!((1..=BATCH_MAX).contains(&batch.len()));
                visited.extend(batch.iter().map(OwnedPacket::from));
            });
            prop_assert_eq!(chunk.len(), packets.len());
            prop_assert_eq!(&iterated, &expected);
            prop_assert_eq!(&visited, &expected);
        }
    }
}
