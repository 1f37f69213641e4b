//! LISP data headers. Know nothing of what they carry.

use super::view::{be32, fixed_view};

const HAS_INSTANCE: u8 = 0x08;
const HAS_NEXT_PROTOCOL: u8 = 0x04;
const KEY: u8 = 0x03;

fixed_view! {
    /// LISP data header (RFC 9300 section 5.1), with the generic protocol extension (RFC 9305).
    Lisp, 8, Lisp
}

impl Lisp<'_> {
    /// Instance, 24 bits; 0 without one.
    pub const fn instance(&self) -> u32 {
        if self.bytes[0] & HAS_INSTANCE != 0 { be32(self.bytes, 4) >> 8 } else { 0 }
    }

    /// 1 IPv4, 2 IPv6, 3 Ethernet, 4 NSH; `None` without the extension, where IP follows.
    pub const fn next_protocol(&self) -> Option<u8> {
        if self.bytes[0] & HAS_NEXT_PROTOCOL != 0 { Some(self.bytes[3]) } else { None }
    }

    /// A key is named (RFC 8061): what follows is encrypted.
    pub const fn is_encrypted(&self) -> bool {
        self.bytes[0] & KEY != 0
    }
}
