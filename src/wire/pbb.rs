//! Backbone service instance tags of provider backbone bridges. Know nothing of the frame behind them.

use super::view::{Unreadable, View, be32};
use super::{Header, Layer};

/// I-TAG behind its EtherType, before a whole Ethernet frame (IEEE 802.1Q clause 9.7, once 802.1ah).
#[derive(Clone, Copy, Debug)]
pub struct Pbb<'a> {
    bytes: &'a [u8; 4],
}

impl<'a> View<'a> for Pbb<'a> {
    const LAYER: Layer = Layer::Pbb;

    fn read(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        let Some(bytes) = bytes.first_chunk() else { return Err(Unreadable::Short(4)) };
        // Reserved 2: the frame has another form.
        if bytes[0] & 0x03 != 0 { Err(Unreadable::Unknown) } else { Ok(Self { bytes }) }
    }

    fn header_len(&self) -> usize {
        self.bytes.len()
    }

    fn wrap(self) -> Header<'a> {
        Header::Pbb(self)
    }
}

impl Pbb<'_> {
    /// Service instance, 24 bits.
    pub const fn service(&self) -> u32 {
        be32(self.bytes, 0) & 0x00ff_ffff
    }
}
