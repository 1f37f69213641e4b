//! TLS extensions (RFC 8446 section 4.2) and GREASE (RFC 8701).
//!
//! Owns the list's layout and the numbers that are looked at.

use crate::app::reading::{ByteReader, NumberList};

pub(super) const SERVER_NAME: u16 = 0;
pub(super) const SUPPORTED_GROUPS: u16 = 10;
pub(super) const EC_POINT_FORMATS: u16 = 11;
pub(super) const SIGNATURE_ALGORITHMS: u16 = 13;
pub(super) const ALPN: u16 = 16;
pub(super) const SESSION_TICKET: u16 = 35;
pub(super) const PRE_SHARED_KEY: u16 = 41;
pub(super) const EARLY_DATA: u16 = 42;
pub(super) const SUPPORTED_VERSIONS: u16 = 43;
pub(super) const QUIC_TRANSPORT_PARAMETERS: u16 = 57;
/// The number of the drafts of RFC 9001.
pub(super) const QUIC_TRANSPORT_PARAMETERS_DRAFT: u16 = 0xffa5;
pub(super) const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;

/// True for a number that stands for nothing: `0x0a0a`, `0x1a1a`, ... `0xfafa`.
pub const fn is_grease(number: u16) -> bool {
    number & 0x0f0f == 0x0a0a && number >> 8 == number & 0xff
}

impl<'a> NumberList<'a> {
    /// Each number that stands for something.
    pub fn without_grease(self) -> impl Iterator<Item = u16> + Clone + use<'a> {
        self.iter().filter(|&number| !is_grease(number))
    }
}

/// The extensions of a hello, in order; ends at one that is cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extensions<'a>(pub(super) &'a [u8]);

impl<'a> Extensions<'a> {
    /// Number and body of each.
    pub fn iter(self) -> impl Iterator<Item = (u16, &'a [u8])> + Clone {
        let mut reader = ByteReader::new(self.0);
        std::iter::from_fn(move || Some((reader.u16()?, reader.block()?)))
    }
}

/// Names behind their lengths in one byte, as in ALPN (RFC 7301); ends at one that is cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NameList<'a>(pub(crate) &'a [u8]);

impl<'a> NameList<'a> {
    /// Each name, in order.
    pub fn iter(self) -> impl Iterator<Item = &'a [u8]> + Clone {
        let mut reader = ByteReader::new(self.0);
        std::iter::from_fn(move || reader.short_block())
    }

    /// The first one.
    pub fn first(self) -> Option<&'a [u8]> {
        self.iter().next()
    }
}

/// The names of an ALPN extension.
pub(super) fn alpn_names(body: &[u8]) -> Option<NameList<'_>> {
    ByteReader::new(body).block().map(NameList)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_numbers_are_grease() {
        assert_eq!((0..=u16::MAX).filter(|&number| is_grease(number)).count(), 16);
        assert_eq!(NumberList(&[0x0a, 0x0a, 0, 7, 0xfa, 0xfa]).without_grease().collect::<Vec<_>>(), [7]);
        assert!(is_grease(0x0a0a) && is_grease(0xfafa) && !is_grease(0x0a1a) && !is_grease(0x1a0a));
    }

    #[test]
    fn lists_end_at_the_first_cut_one() {
        let extensions = Extensions(&[0, 1, 0, 1, 9, 0, 2, 0, 5, 1]);
        assert_eq!(extensions.iter().collect::<Vec<_>>(), [(1, &[9][..])]);
        assert_eq!(alpn_names(&[0, 4, 2, b'h', b'2', 9]).unwrap().iter().collect::<Vec<_>>(), [b"h2"]);
        assert_eq!(NameList::default().first(), None);
    }
}
