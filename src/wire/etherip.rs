//! EtherIP headers. Know nothing of the frame they carry.

use super::view::{Unreadable, View};
use super::{Header, Layer};

/// Version, and 12 reserved bits before an Ethernet frame (RFC 3378 section 3).
#[derive(Clone, Copy, Debug)]
pub struct EtherIp<'a> {
    bytes: &'a [u8; 2],
}

impl<'a> View<'a> for EtherIp<'a> {
    const LAYER: Layer = Layer::EtherIp;

    fn read(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        match bytes.first_chunk() {
            // Version 3; some BSD systems send its nibble in the other half.
            Some(bytes @ [0x30..=0x3f | 0x03, _]) => Ok(Self { bytes }),
            Some(_) => Err(Unreadable::Unknown),
            None => Err(Unreadable::Short(2)),
        }
    }

    fn header_len(&self) -> usize {
        self.bytes.len()
    }

    fn wrap(self) -> Header<'a> {
        Header::EtherIp(self)
    }
}
