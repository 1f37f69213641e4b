//! QUIC's numbers of variable length (RFC 9000 section 16).
//!
//! Owns their four lengths.

use crate::app::reading::ByteReader;

pub(super) fn varint(reader: &mut ByteReader<'_>) -> Option<u64> {
    let first = *reader.left().first()?;
    let len = 1 << (first >> 6);
    let rest = reader.take(len)?;
    Some(rest[1..].iter().fold(u64::from(first & 0x3f), |number, &byte| number << 8 | u64::from(byte)))
}

/// Bytes behind their length.
pub(super) fn varint_block<'a>(reader: &mut ByteReader<'a>) -> Option<&'a [u8]> {
    let len = usize::try_from(varint(reader)?).ok()?;
    reader.take(len)
}

/// The number that is all of `value`.
pub(super) fn varint_alone(value: &[u8]) -> Option<u64> {
    let mut reader = ByteReader::new(value);
    varint(&mut reader).filter(|_| reader.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_numbers() {
        for (bytes, number) in [
            (&[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c][..], 151_288_809_941_952_652),
            (&[0x9d, 0x7f, 0x3e, 0x7d], 494_878_333),
            (&[0x7b, 0xbd], 15_293),
            (&[0x25], 37),
            (&[0x40, 0x25], 37),
        ] {
            assert_eq!(varint(&mut ByteReader::new(bytes)), Some(number));
            assert_eq!(varint(&mut ByteReader::new(&bytes[..bytes.len() - 1])), None);
        }
        assert_eq!(varint_block(&mut ByteReader::new(&[2, 7, 8, 9])), Some(&[7, 8][..]));
        assert_eq!(varint_block(&mut ByteReader::new(&[0xff; 9])), None);
        assert_eq!((varint_alone(&[0x40, 1]), varint_alone(&[1, 2])), (Some(1), None));
    }
}
