//! The ClientHello of SSL 2.0, which old clients also send to offer later versions (RFC 5246 appendix E.2).
//!
//! Owns its layout.

use crate::app::parsed::Parsed;
use crate::app::reading::ByteReader;

const HEADER_LEN: usize = 2;
/// Message kind, version and three lengths.
const FIXED_LEN: usize = 9;
/// Lengths that a challenge may have (RFC 5246 appendix E.2).
const CHALLENGE_LENS: std::ops::RangeInclusive<usize> = 16..=32;

/// What a client offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sslv2Hello<'a> {
    /// The newest version it speaks, as [`super::tls_version_name`] knows it.
    pub version: u16,
    /// Three bytes for each cipher; those of SSL 3.0 and later begin with 0.
    ciphers: &'a [u8],
    /// True where it would go on with an earlier session.
    pub offers_resumption: bool,
}

impl<'a> Sslv2Hello<'a> {
    /// Of the bytes that a client has sent so far.
    pub fn read_stream(stream: &'a [u8]) -> Parsed<Self> {
        let possible = |at: usize, test: fn(u8) -> bool| stream.get(at).is_none_or(|&byte| test(byte));
        let is_version = |major| matches!(major, 0 | 3);
        if !possible(0, |high| high & 0x80 != 0) || !possible(2, |kind| kind == 1) || !possible(3, is_version) {
            return Parsed::No;
        }
        let Some((&[high, low], rest)) = stream.split_first_chunk::<HEADER_LEN>() else {
            return Parsed::More { need: HEADER_LEN };
        };
        let len = usize::from(high & 0x7f) << 8 | usize::from(low);
        if len < FIXED_LEN {
            return Parsed::No;
        }
        let mut lens = ByteReader::new(rest);
        let (Some(version), Some(ciphers), Some(session), Some(challenge)) = (
            lens.take(1).and_then(|_| lens.u16()),
            lens.u16().map(usize::from),
            lens.u16().map(usize::from),
            lens.u16().map(usize::from),
        ) else {
            return Parsed::More { need: HEADER_LEN + FIXED_LEN };
        };
        let is_version = matches!(version, 0x0002 | 0x0300..=0x0304);
        let adds_up = FIXED_LEN + ciphers + session + challenge == len;
        let is_sane = ciphers > 0 && ciphers.is_multiple_of(3) && matches!(session, 0 | 16 | 32);
        if !is_version || !adds_up || !is_sane || !CHALLENGE_LENS.contains(&challenge) {
            return Parsed::No;
        }
        match rest.get(FIXED_LEN..len) {
            Some(lists) => Parsed::Done(Self { version, ciphers: &lists[..ciphers], offers_resumption: session > 0 }),
            None => Parsed::More { need: HEADER_LEN + len },
        }
    }

    /// Each cipher, in order.
    pub fn ciphers(&self) -> impl ExactSizeIterator<Item = u32> + Clone + 'a {
        self.ciphers.chunks_exact(3).map(|three| u32::from_be_bytes([0, three[0], three[1], three[2]]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hello() -> Vec<u8> {
        [&[0x80, 31, 1, 3, 1, 0, 6, 0, 0, 0, 16, 7, 0, 0xc0, 0, 0, 0x2f][..], &[9; 16]].concat()
    }

    #[test]
    fn every_cut_asks_for_more() {
        let bytes = hello();
        for cut in 0..bytes.len() {
            let answer = Sslv2Hello::read_stream(&bytes[..cut]);
            assert!(matches!(answer, Parsed::More { need } if need > cut && need <= bytes.len()), "{cut}: {answer:?}");
        }
        let read = Sslv2Hello::read_stream(&bytes).done().unwrap();
        assert_eq!((read.version, read.offers_resumption), (0x0301, false));
        assert_eq!(read.ciphers().collect::<Vec<_>>(), [0x07_00c0, 0x2f]);
    }

    #[test]
    fn lengths_have_to_add_up() {
        for (at, byte) in [(0, 0x16), (1, 32), (2, 4), (3, 9), (6, 5), (8, 1), (10, 15)] {
            let mut bytes = hello();
            bytes[at] = byte;
            assert_eq!(Sslv2Hello::read_stream(&bytes), Parsed::No, "{at}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            Sslv2Hello::read_stream(&bytes);
        }
    }
}
