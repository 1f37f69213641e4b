//! Cisco HDLC framing. Knows nothing of what it carries.

use super::view::{be16, fixed_view};

/// Addresses of unicast and broadcast frames; PPP frames have others.
pub const ADDRESSES: [u8; 2] = [0x0f, 0x8f];

fixed_view! {
    /// Address, control and the EtherType of what follows (LINKTYPE_C_HDLC, RFC 1547 section 4.3.1).
    Hdlc, 4, Hdlc
}

impl Hdlc<'_> {
    /// 0x0f unicast, 0x8f broadcast.
    pub const fn address(&self) -> u8 {
        self.bytes[0]
    }

    /// EtherType.
    pub const fn ether_type(&self) -> u16 {
        be16(self.bytes, 2)
    }
}
