//! Kept packets in one run of bytes, each behind a header of 16 bytes: copied, or, where they lie in a mapped file,
//! by their place there.
//!
//! Owns that form. It costs the keeping thread as little as may be: one place to write to, nothing beside it, and
//! what is the same for a batch is looked at once. Its invariants: it never grows beyond the bytes it was made for,
//! reserved when it is made; a packet is in it whole or not at all.
//!
//! A header has the time (8 bytes), the length on the wire (4) and a word (4): captured length, kind, and how the
//! packet is kept. Behind it are the bytes, or a place in the file (8). A packet that was captured whole, near the
//! first one of the run in the file, is the header alone, with its distance in the place of the length.

use crate::file::{MappedBytes, PACKET_LEN_MAX};
use crate::{LinkType, Packet, Timestamp};

/// Bytes before those of each packet.
pub const PACKED_HEADER_LEN: usize = 16;
/// Kinds of packets in one run; a new one beyond that finds no room.
const KINDS_MAX: usize = 128;
/// Bytes of a place in a mapped file.
const PLACE_LEN: usize = 8;
/// Bits of the captured length in the header's last word.
const LEN_BITS: u32 = 23;
/// Set in that word when a place follows, and not the bytes.
const IS_PLACE: u32 = 1 << LEN_BITS;
/// Set when the distance from the first place stands for the length on the wire, which is the captured one.
const IS_NEAR: u32 = 1 << (LEN_BITS + 1);
/// The kind is above all three.
const KIND_SHIFT: u32 = LEN_BITS + 2;

const _: () = assert!(PACKET_LEN_MAX < 1 << LEN_BITS && KINDS_MAX <= 1 << (u32::BITS - KIND_SHIFT));

/// Link type and the place of the interface among those of the run.
type PacketKind = (LinkType, u8);

/// Kept packets, in order.
#[derive(Clone, Debug)]
pub struct PackedPackets {
    /// Where packets may lie that need not be copied.
    file: Option<MappedBytes>,
    /// What is kept; behind `len` what was kept before.
    bytes: Vec<u8>,
    len: usize,
    kinds: Vec<PacketKind>,
    /// The kind of the latest packet, and its number shifted to its place in the header.
    latest_kind: Option<(PacketKind, u32)>,
    /// The place of the first packet of the file.
    first_place: Option<usize>,
    count: u64,
    /// Earliest and latest time; the first is above the second without packets.
    earliest: Timestamp,
    latest: Timestamp,
}

/// A packet in a run.
#[derive(Clone, Copy, Debug)]
pub struct PackedPacket<'a> {
    /// The packet.
    pub packet: Packet<'a>,
    /// The place of its interface among those of the run.
    pub interface: u8,
    /// Where the next one begins.
    pub next: usize,
}

impl PackedPackets {
    /// Empty, with the memory for `bytes_max` bytes, headers included; at least one packet of any length fits. Memory that is not
    /// written to is address space alone.
    pub fn new(bytes_max: usize) -> Self {
        Self::over(bytes_max, None)
    }

    /// The same, of packets of which those that lie in this file are not copied.
    pub fn over(bytes_max: usize, file: Option<MappedBytes>) -> Self {
        Self {
            file,
            bytes: vec![0; bytes_max.max(PACKED_HEADER_LEN + PACKET_LEN_MAX)],
            len: 0,
            kinds: Vec::with_capacity(KINDS_MAX),
            latest_kind: None,
            first_place: None,
            count: 0,
            earliest: Timestamp(u64::MAX),
            latest: Timestamp(0),
        }
    }

    /// Keeps at most `snaplen` bytes of each packet at the end, as far as there is room. How many were kept.
    pub fn push_all(&mut self, packets: &[Packet<'_>], snaplen: usize, interface: u8) -> usize {
        let mut kept = self.push_near(packets, snaplen, interface);
        while let Some(packet) = packets.get(kept) {
            if !self.push(packet, snaplen, interface) {
                break;
            }
            kept += 1;
            kept += self.push_near(packets.get(kept..).unwrap_or_default(), snaplen, interface);
        }
        kept
    }

    /// The same for those that come first and need a header alone: captured whole, of the latest kind, near the first place.
    #[inline]
    fn push_near(&mut self, packets: &[Packet<'_>], snaplen: usize, interface: u8) -> usize {
        let (Some(file), Some(first), Some(((link_type, latest_interface), kind))) =
            (&self.file, self.first_place, self.latest_kind)
        else {
            return 0;
        };
        if latest_interface != interface {
            return 0;
        }
        let room = self.bytes.get_mut(self.len..).unwrap_or_default();
        let (mut earliest, mut latest, mut kept) = (self.earliest, self.latest, 0);
        for (slot, packet) in room.chunks_exact_mut(PACKED_HEADER_LEN).zip(packets) {
            let len = packet.data.len();
            let Some(place) = file.place_of(packet.data) else { break };
            let Ok(distance) = u32::try_from(place.wrapping_sub(first)) else { break };
            let is_near =
                packet.link_type == link_type && packet.wire_len as usize == len && len <= snaplen && len <= PACKET_LEN_MAX;
            let Some(slot) = slot.first_chunk_mut::<PACKED_HEADER_LEN>().filter(|_| is_near) else { break };
            *slot = header(packet.time, distance, len as u32 | kind | IS_NEAR);
            earliest = earliest.min(packet.time);
            latest = latest.max(packet.time);
            kept += 1;
        }
        (self.earliest, self.latest) = (earliest, latest);
        self.len += kept * PACKED_HEADER_LEN;
        self.count += kept as u64;
        kept
    }

    /// Keeps at most `snaplen` bytes of a packet at the end; false, and nothing changed, when it finds no room.
    #[inline]
    #[must_use]
    pub fn push(&mut self, packet: &Packet<'_>, snaplen: usize, interface: u8) -> bool {
        // No source lends packets of more than PACKET_LEN_MAX bytes; one that did would be cut.
        let data = packet.data.get(..snaplen.min(PACKET_LEN_MAX)).unwrap_or(packet.data);
        let place = self.file.as_ref().and_then(|file| file.place_of(data));
        let kept_len = if place.is_some() { PLACE_LEN } else { data.len() };
        let end = self.len + PACKED_HEADER_LEN + kept_len;
        if end > self.bytes.len() {
            return false;
        }
        let kind = match self.latest_kind {
            Some((latest, number)) if latest == (packet.link_type, interface) => number,
            _ => match self.number_of((packet.link_type, interface)) {
                Some(number) => number,
                None => return false,
            },
        };
        let Some((slot, behind)) =
            self.bytes.get_mut(self.len..end).and_then(|slot| slot.split_first_chunk_mut::<PACKED_HEADER_LEN>())
        else {
            return false;
        };
        let word = data.len() as u32 | kind;
        if let Some(place) = place {
            *slot = header(packet.time, packet.wire_len, word | IS_PLACE);
            behind.copy_from_slice(&(place as u64).to_ne_bytes());
            self.first_place.get_or_insert(place);
        } else {
            *slot = header(packet.time, packet.wire_len, word);
            behind.copy_from_slice(data);
        }
        self.len = end;
        self.count += 1;
        self.earliest = self.earliest.min(packet.time);
        self.latest = self.latest.max(packet.time);
        true
    }

    /// The number of a kind, shifted; `None` where numbers run out.
    #[cold]
    fn number_of(&mut self, kind: PacketKind) -> Option<u32> {
        let number = match self.kinds.iter().position(|known| *known == kind) {
            Some(number) => number,
            None if self.kinds.len() < KINDS_MAX => {
                self.kinds.push(kind);
                self.kinds.len() - 1
            }
            None => return None,
        };
        let shifted = (number as u32) << KIND_SHIFT;
        self.latest_kind = Some((kind, shifted));
        Some(shifted)
    }

    /// Keeps all packets of another run at the end; false, and nothing changed, when it is not sure that they find room, or when one of
    /// the two is over a file and the other is not.
    #[must_use]
    pub fn append(&mut self, other: &Self) -> bool {
        // Far from the first place of this run, a header takes a place.
        let places = if other.file.is_some() { other.count as usize * PLACE_LEN } else { 0 };
        let has_room = other.len + places <= self.bytes.len() - self.len && self.kinds.len() + other.kinds.len() <= KINDS_MAX;
        if self.file.is_some() != other.file.is_some() || !has_room {
            return false;
        }
        let mut at = 0;
        while let Some(PackedPacket { packet, interface, next }) = other.at(at) {
            let one = std::slice::from_ref(&packet);
            if self.push_near(one, usize::MAX, interface) == 0 && !self.push(&packet, usize::MAX, interface) {
                return false;
            }
            at = next;
        }
        true
    }

    /// The packet that begins at this byte; `None` at the end, and where none begins.
    #[inline]
    pub fn at(&self, start: usize) -> Option<PackedPacket<'_>> {
        let rest = self.bytes.get(start..self.len)?;
        let (header, rest) = rest.split_first_chunk::<PACKED_HEADER_LEN>()?;
        let &[t0, t1, t2, t3, t4, t5, t6, t7, w0, w1, w2, w3, l0, l1, l2, l3] = header;
        let (number, word) = (u32::from_ne_bytes([w0, w1, w2, w3]), u32::from_ne_bytes([l0, l1, l2, l3]));
        let len = (word & (IS_PLACE - 1)) as usize;
        let &(link_type, interface) = self.kinds.get((word >> KIND_SHIFT) as usize)?;
        let (data, wire_len, kept_len) = if word & IS_NEAR != 0 {
            let place = self.first_place?.wrapping_add(number as usize);
            (self.file.as_ref()?.get(place, len), len as u32, 0)
        } else if word & IS_PLACE != 0 {
            let place = u64::from_ne_bytes(*rest.first_chunk()?);
            (self.file.as_ref()?.get(usize::try_from(place).ok()?, len), number, PLACE_LEN)
        } else {
            (rest.get(..len)?, number, len)
        };
        let time = Timestamp(u64::from_ne_bytes([t0, t1, t2, t3, t4, t5, t6, t7]));
        let next = start + PACKED_HEADER_LEN + kept_len;
        Some(PackedPacket { packet: Packet { data, time, wire_len, link_type }, interface, next })
    }

    /// Forgets all packets, keeps the memory.
    pub fn clear(&mut self) {
        self.kinds.clear();
        (self.len, self.latest_kind, self.first_place, self.count) = (0, None, None, 0);
        (self.earliest, self.latest) = (Timestamp(u64::MAX), Timestamp(0));
    }

    /// Packets held.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// True when no packet is held.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes held, headers included.
    pub const fn bytes_len(&self) -> usize {
        self.len
    }

    /// The time of the earliest packet; the end of time without any.
    pub const fn earliest(&self) -> Timestamp {
        self.earliest
    }

    /// The time of the latest packet; 0 without any.
    pub const fn latest(&self) -> Timestamp {
        self.latest
    }
}

/// A header of these three.
#[inline(always)]
fn header(time: Timestamp, number: u32, word: u32) -> [u8; PACKED_HEADER_LEN] {
    let mut header = [0; PACKED_HEADER_LEN];
    header[..8].copy_from_slice(&time.0.to_ne_bytes());
    header[8..12].copy_from_slice(&number.to_ne_bytes());
    header[12..].copy_from_slice(&word.to_ne_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::OwnedPacket;
    use crate::savefile::SavefileOptions;
    use proptest::prelude::*;

    fn all(packed: &PackedPackets) -> Vec<(OwnedPacket, u8)> {
        let (mut at, mut found) = (0, Vec::new());
        while let Some(PackedPacket { packet, interface, next }) = packed.at(at) {
            found.push((OwnedPacket::from(&packet), interface));
            at = next;
        }
        assert_eq!(at, packed.bytes_len());
        found
    }

    #[test]
    fn any_packet_fits_into_an_empty_one_and_kinds_are_bounded() {
        let mut packed = PackedPackets::new(0);
        let large = vec![1; PACKET_LEN_MAX];
        let packet = |link: u16| Packet { data: &large, time: Timestamp(5), wire_len: u32::MAX, link_type: LinkType(link) };
        assert!(packed.push(&packet(1), usize::MAX, 3));
        assert!(!packed.push(&packet(1), 0, 3), "it is full to the last byte");
        assert_eq!(packed.at(0).map(|found| (found.packet.wire_len, found.packet.data.len())), Some((u32::MAX, large.len())));
        packed.clear();
        let pushed = (0..300).filter(|&link| packed.push(&packet(link), 0, 0)).count();
        assert_eq!((pushed, packed.count()), (KINDS_MAX, KINDS_MAX as u64));
    }

    #[test]
    fn packets_of_a_mapped_file_are_kept_by_their_place() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("some.pcap");
        let packets: Vec<OwnedPacket> = (0..200u64)
            .map(|i| {
                let data = vec![i as u8; 60 + i as usize];
                OwnedPacket { time: Timestamp(i), wire_len: data.len() as u32, link_type: LinkType::ETHERNET, data }
            })
            .collect();
        let rotation = crate::writing::RotationOptions { path: path.clone(), ..Default::default() };
        let mut savefile = crate::savefile::Savefile::create(&SavefileOptions { rotation, ..Default::default() }).unwrap();
        packets.iter().for_each(|packet| savefile.write(&packet.borrow()).unwrap());
        savefile.finish().unwrap();
        let mut backend = crate::file::CaptureFile::open(&path, &crate::file::FileOptions::default()).unwrap().backend().unwrap();
        let file = crate::Backend::mapped(&backend).expect("it is mapped");
        let mut packed = PackedPackets::over(0, Some(file));
        while crate::Backend::poll(&mut backend, std::time::Duration::ZERO, &mut |lent| {
            assert_eq!(packed.push_all(lent, 100, 2), lent.len());
        })
        .unwrap()
            != crate::Polled::End
        {}
        drop(backend);
        // The first one and those that are cut have their place with them.
        assert_eq!(packed.bytes_len(), packets.len() * PACKED_HEADER_LEN + (1 + 159) * PLACE_LEN);
        // One that lies elsewhere is copied.
        assert!(packed.push(&Packet { data: &[9; 30], time: Timestamp(7), wire_len: 30, link_type: LinkType::ETHERNET }, 100, 2));
        let found = all(&packed);
        assert_eq!(found.len(), packets.len() + 1);
        for ((found, _), packet) in found.iter().zip(&packets) {
            assert_eq!((&found.data[..], found.time), (&packet.data[..packet.data.len().min(100)], packet.time));
        }
        assert_eq!(found[200].0.data, [9; 30]);
        assert!(!PackedPackets::new(1 << 20).append(&packed), "the other one is over a file");
        let mut other = PackedPackets::over(1 << 20, packed.file.clone());
        assert!(other.append(&packed) && other.append(&packed));
        assert_eq!(all(&other), [found.clone(), found].concat());
    }

    proptest! {
        #[test]
        fn gives_back_what_it_took(
            packets in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..90), 0u64..9, 0u16..4, 0u8..3), 0..200),
            snaplen in 0usize..100,
        ) {
            let mut packed = PackedPackets::new(0);
            let mut expected = Vec::new();
            for (data, time, link, interface) in &packets {
                let packet = Packet { data, time: Timestamp(*time), wire_len: 99, link_type: LinkType(*link) };
                prop_assert!(packed.push(&packet, snaplen, *interface));
                let cut = Packet { data: data.get(..snaplen).unwrap_or(data), ..packet };
                expected.push((OwnedPacket::from(&cut), *interface));
            }
            prop_assert_eq!(all(&packed), expected.clone());
            prop_assert_eq!(packed.count(), packets.len() as u64);
            prop_assert_eq!(packed.earliest().0, packets.iter().map(|packet| packet.1).min().unwrap_or(u64::MAX));
            prop_assert_eq!(packed.latest().0, packets.iter().map(|packet| packet.1).max().unwrap_or(0));
            let mut twice = packed.clone();
            prop_assert!(twice.append(&packed));
            prop_assert_eq!(all(&twice), [expected.clone(), expected].concat());
        }
    }
}
