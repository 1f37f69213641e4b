//! AYIYA headers with identity and signature. Know nothing of what they carry.

use super::view::{Unreadable, View};
use super::{Header, Layer};

/// Header, identity and signature (draft-massar-v6ops-ayiya-02 section 3). The signature is not checked.
#[derive(Clone, Copy, Debug)]
pub struct Ayiya<'a> {
    bytes: &'a [u8],
    fixed: &'a [u8; 8],
}

impl<'a> View<'a> for Ayiya<'a> {
    const LAYER: Layer = Layer::Ayiya;

    fn read(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        let Some(fixed) = bytes.first_chunk::<8>() else { return Err(Unreadable::Short(8)) };
        let len = 8 + (1usize << (fixed[0] >> 4)) + usize::from(fixed[1] >> 4) * 4;
        match bytes.get(..len) {
            Some(bytes) => Ok(Self { bytes, fixed }),
            None => Err(Unreadable::Short(len)),
        }
    }

    fn header_len(&self) -> usize {
        self.bytes.len()
    }

    fn wrap(self) -> Header<'a> {
        Header::Ayiya(self)
    }
}

impl Ayiya<'_> {
    /// Operation: the packet behind this header is to be forwarded.
    pub const FORWARD: u8 = 1;

    /// Operation; all but one ask or answer.
    pub const fn operation(&self) -> u8 {
        self.fixed[2] & 0x0f
    }

    /// IP protocol number of what follows.
    pub const fn next_header(&self) -> u8 {
        self.fixed[3]
    }
}
