//! L2TP version 2 data message headers. Know nothing of PPP and of control messages.

use super::view::{Unreadable, View};
use super::{Header, Layer};

/// Flag of a control message.
pub const CONTROL: u16 = 0x8000;
/// The bits that are the version.
pub const VERSION: u16 = 0x000f;
/// Flags, version and two reserved bytes of version 3 (RFC 3931 section 4.1.2).
pub const LEN_BEFORE_SESSION_V3: usize = 4;
const LENGTH: u16 = 0x4000;
const SEQUENCE: u16 = 0x0800;
const OFFSET: u16 = 0x0200;

/// L2TP data message header (RFC 2661 section 3.1), 6 to 14 bytes and the offset padding.
#[derive(Clone, Copy, Debug)]
pub struct L2tp<'a> {
    bytes: &'a [u8],
    tunnel_id: u16,
    session_id: u16,
}

impl<'a> View<'a> for L2tp<'a> {
    const LAYER: Layer = Layer::L2tp;

    fn read(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        let mut at = 0;
        let mut half = || -> Result<u16, Unreadable> {
            let value = bytes.get(at..).and_then(|b| b.first_chunk()).map(|b| u16::from_be_bytes(*b));
            at += 2;
            value.ok_or(Unreadable::Short(at))
        };
        let flags = half()?;
        if flags & VERSION != 2 || flags & CONTROL != 0 {
            return Err(Unreadable::Unknown);
        }
        if flags & LENGTH != 0 {
            half()?;
        }
        let tunnel_id = half()?;
        let session_id = half()?;
        if flags & SEQUENCE != 0 {
            half()?;
            half()?;
        }
        let padding = if flags & OFFSET != 0 { usize::from(half()?) } else { 0 };
        let len = at + padding;
        match bytes.get(..len) {
            Some(bytes) => Ok(Self { bytes, tunnel_id, session_id }),
            None => Err(Unreadable::Short(len)),
        }
    }

    fn header_len(&self) -> usize {
        self.bytes.len()
    }

    fn wrap(self) -> Header<'a> {
        Header::L2tp(self)
    }
}

impl L2tp<'_> {
    /// Control connection, as the receiver knows it.
    pub const fn tunnel_id(&self) -> u16 {
        self.tunnel_id
    }

    /// Session in it.
    pub const fn session_id(&self) -> u16 {
        self.session_id
    }
}
