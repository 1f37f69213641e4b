//! Long headers (RFC 9000 section 17.2, RFC 8999) and the packets of a datagram.
//!
//! Owns where each packet ends. Its invariant: each packet takes bytes, so a datagram is read in one pass.

use super::varint::{varint, varint_block};
use super::version::QuicVersion;
use crate::app::reading::ByteReader;

/// The longest connection ID of the versions that are read.
pub const CONNECTION_ID_MAX: usize = 20;
/// Length of the tag that ends a Retry packet.
const RETRY_TAG_LEN: usize = 16;

/// What a long header announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LongKind<'a> {
    /// The first packets; anyone can read them.
    Initial {
        /// What the server gave out to know the client again.
        token: &'a [u8],
    },
    /// Data before the server's answer.
    ZeroRtt,
    /// The encrypted rest of the handshake.
    Handshake,
    /// The server asks for another Initial with this token.
    Retry {
        /// The token.
        token: &'a [u8],
    },
    /// The server speaks other versions alone; numbers of 32 bits.
    VersionNegotiation {
        /// Their bytes.
        versions: &'a [u8],
    },
    /// A version that cannot be read.
    Unknown,
}

/// A packet with a long header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongPacket<'a> {
    /// Its version; 0 for Version Negotiation.
    pub version: QuicVersion,
    /// Its kind.
    pub kind: LongKind<'a>,
    /// Connection ID of the receiver.
    pub destination: &'a [u8],
    /// Connection ID of the sender.
    pub source: &'a [u8],
    /// The packet from its first byte.
    pub(super) bytes: &'a [u8],
    /// Where the packet number is.
    pub(super) number_at: usize,
}

/// A packet of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuicPacket<'a> {
    /// With a long header.
    Long(LongPacket<'a>),
    /// With a short one: what it holds is encrypted, and so is where it ends.
    Short,
}

/// The packets of a datagram, in order; ends at what is none.
#[derive(Clone, Debug)]
pub struct QuicPackets<'a> {
    left: &'a [u8],
}

impl<'a> QuicPackets<'a> {
    /// Of a datagram.
    pub const fn new(datagram: &'a [u8]) -> Self {
        Self { left: datagram }
    }
}

impl<'a> Iterator for QuicPackets<'a> {
    type Item = QuicPacket<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = std::mem::take(&mut self.left);
        // RFC 9000 section 17.3.1: the bit behind the form is 1, unless both sides agreed otherwise (RFC 9287).
        if bytes.first()? & 0xc0 == 0x40 {
            return Some(QuicPacket::Short);
        }
        let (packet, left) = LongPacket::read(bytes)?;
        self.left = left;
        Some(QuicPacket::Long(packet))
    }
}

impl<'a> LongPacket<'a> {
    /// The packet at the front, and what follows it.
    pub fn read(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let mut reader = ByteReader::new(bytes);
        let first = reader.u8().filter(|first| first & 0x80 != 0)?;
        let version = QuicVersion(reader.u32()?);
        let destination = reader.short_block()?;
        let source = reader.short_block()?;
        let is_long_id = destination.len().max(source.len()) > CONNECTION_ID_MAX;
        let packet = |kind, len: usize, number_at| Self { version, kind, destination, source, bytes: &bytes[..len], number_at };
        let all = bytes.len();
        if version.0 == 0 {
            let versions = reader.left();
            let is_list = !versions.is_empty() && versions.len().is_multiple_of(4);
            return is_list.then_some((packet(LongKind::VersionNegotiation { versions }, all, all), &[]));
        }
        if !version.is_known() {
            return Some((packet(LongKind::Unknown, all, all), &[]));
        }
        if is_long_id {
            return None;
        }
        let kind = match version.long_type(first >> 4) {
            0 => LongKind::Initial { token: varint_block(&mut reader)? },
            1 => LongKind::ZeroRtt,
            2 => LongKind::Handshake,
            _ => {
                let token = reader.left();
                let token = &token[..token.len().checked_sub(RETRY_TAG_LEN)?];
                return Some((packet(LongKind::Retry { token }, all, all), &[]));
            }
        };
        let len = usize::try_from(varint(&mut reader)?).ok()?;
        let number_at = all - reader.left().len();
        reader.take(len)?;
        Some((packet(kind, number_at + len, number_at), reader.left()))
    }

    /// True where the client must have sent it, by its kind alone.
    pub const fn is_of_client(&self) -> bool {
        matches!(self.kind, LongKind::ZeroRtt)
    }

    /// The versions of a Version Negotiation packet.
    pub fn offered_versions(&self) -> impl Iterator<Item = QuicVersion> + 'a {
        let versions = match self.kind {
            LongKind::VersionNegotiation { versions } => versions,
            _ => &[],
        };
        versions.chunks_exact(4).map(|four| QuicVersion(u32::from_be_bytes([four[0], four[1], four[2], four[3]])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A long header of v1 with IDs of 2 and 1 bytes.
    fn packet(first: u8, behind: &[u8]) -> Vec<u8> {
        [&[first, 0, 0, 0, 1, 2, 7, 8, 1, 9][..], behind].concat()
    }

    fn kinds(datagram: &[u8]) -> Vec<QuicPacket<'_>> {
        QuicPackets::new(datagram).collect()
    }

    #[test]
    fn packets_of_one_datagram() {
        let initial = packet(0xc0, &[1, 0xaa, 2, 1, 2]);
        let handshake = packet(0xe0, &[3, 1, 2, 3]);
        let datagram = [&initial[..], &handshake, &[0x40, 1, 2]].concat();
        let packets = kinds(&datagram);
        let [QuicPacket::Long(first), QuicPacket::Long(second), QuicPacket::Short] = packets[..] else { panic!("{packets:?}") };
        assert_eq!((first.kind, first.destination, first.source), (LongKind::Initial { token: &[0xaa] }, &[7, 8][..], &[9][..]));
        assert_eq!((second.kind, second.bytes.len()), (LongKind::Handshake, handshake.len()));
        // What is no packet ends the datagram, and so does a cut one.
        assert_eq!(kinds(&[&initial[..], &[0; 40]].concat()).len(), 1);
        (0..initial.len()).for_each(|len| assert_eq!(kinds(&initial[..len]), [], "{len}"));
    }

    #[test]
    fn packets_without_protection() {
        let mut list = packet(0x80, &[0, 0, 0, 1, 0x6b, 0x33, 0x43, 0xcf]);
        list[4] = 0;
        let (packet_read, _) = LongPacket::read(&list).unwrap();
        assert_eq!(packet_read.offered_versions().collect::<Vec<_>>(), [QuicVersion::V1, QuicVersion::V2]);
        list.pop();
        assert_eq!(LongPacket::read(&list), None);

        let retry = packet(0xf0, &[&[5, 6][..], &[0; 16]].concat());
        let (packet_read, left) = LongPacket::read(&retry).unwrap();
        assert_eq!((packet_read.kind, left), (LongKind::Retry { token: &[5, 6] }, &[][..]));
        assert_eq!(LongPacket::read(&retry[..20]), None);

        let mut unknown = packet(0xc0, &[1, 2, 3]);
        unknown[1] = 0x7a;
        assert_eq!(LongPacket::read(&unknown).unwrap().0.kind, LongKind::Unknown);
    }

    #[test]
    fn connection_ids_have_a_bound() {
        let with_len = |len: u8| [&[0xc0, 0, 0, 0, 1, len][..], &vec![0; len.into()], &[0, 0, 1, 5]].concat();
        assert!(LongPacket::read(&with_len(20)).is_some());
        assert!(LongPacket::read(&with_len(21)).is_none());
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(mut bytes in prop::collection::vec(any::<u8>(), 5..200), version in 0_usize..3) {
            bytes[0] |= 0x80;
            bytes[1..5].copy_from_slice(&[1_u32, 0x6b33_43cf, 0][version].to_be_bytes());
            prop_assert!(QuicPackets::new(&bytes).count() <= bytes.len());
        }
    }
}
