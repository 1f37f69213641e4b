//! PPP over Ethernet headers. Knows nothing of PPP.

use super::view::{be16, fixed_view};

fixed_view! {
    /// PPPoE header (RFC 2516 section 4).
    Pppoe, 6, Pppoe
}

impl Pppoe<'_> {
    /// Version and type, 1 and 1.
    pub const fn version_type(&self) -> u8 {
        self.bytes[0]
    }

    /// 0 in session data, other values in discovery.
    pub const fn code(&self) -> u8 {
        self.bytes[1]
    }

    /// Session.
    pub const fn session_id(&self) -> u16 {
        be16(self.bytes, 2)
    }

    /// Length of what follows this header in bytes.
    pub const fn payload_len(&self) -> u16 {
        be16(self.bytes, 4)
    }
}
