//! Fingerprints as hashes of a text that is never put together.
//!
//! Owns the hash's bytes and how they are written. MD5 is what JA3 and HASSH are defined by; nothing here is a proof of anything.

use std::fmt;

use md5::{Digest, Md5};

/// An MD5 sum; it shows as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Md5Sum(pub [u8; 16]);

impl Md5Sum {
    /// Its digits, ASCII.
    pub fn hex(&self) -> [u8; 32] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 32];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
            pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
        text
    }
}

impl fmt::Display for Md5Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.hex()).map_err(|_| fmt::Error)?)
    }
}

/// Bytes that are gathered before they go into a sum; small writes cost much there.
const GATHERED: usize = 256;

/// Text that goes into an MD5 sum as it is written.
pub(crate) struct Md5Text {
    sum: Md5,
    gathered: [u8; GATHERED],
    len: usize,
}

impl Default for Md5Text {
    fn default() -> Self {
        Self { sum: Md5::new(), gathered: [0; GATHERED], len: 0 }
    }
}

impl Md5Text {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        match self.gathered.get_mut(self.len..self.len + bytes.len()) {
            Some(place) => {
                place.copy_from_slice(bytes);
                self.len += bytes.len();
            }
            None => {
                self.sum.update(&self.gathered[..self.len]);
                self.sum.update(bytes);
                self.len = 0;
            }
        }
    }

    pub(crate) fn sum(mut self) -> Md5Sum {
        self.sum.update(&self.gathered[..self.len]);
        Md5Sum(self.sum.finalize().into())
    }
}

impl fmt::Write for Md5Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn pieces_make_the_sum_of_the_whole() {
        let mut text = Md5Text::default();
        text.write_str("message ").unwrap();
        text.push(b"digest");
        // RFC 1321 appendix A.5.
        assert_eq!(text.sum().to_string(), "f96b697d7cb7938d525a2f31aaf161d0");
    }

    #[test]
    fn gathering_changes_nothing() {
        let all: Vec<u8> = (0..2000_u32).map(|at| at as u8).collect();
        for len in [1, 7, 255, 256, 257, 2000] {
            let mut text = Md5Text::default();
            all.chunks(len).for_each(|piece| text.push(piece));
            assert_eq!(text.sum().0, <[u8; 16]>::from(Md5::digest(&all)), "{len}");
        }
    }
}
