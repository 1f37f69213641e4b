//! MPLS label stack entries. Knows nothing of what a label stands for.

use super::view::{be32, fixed_view};

fixed_view! {
    /// One label stack entry (RFC 3032 section 2.1, RFC 5462).
    Mpls, 4, Mpls
}

impl Mpls<'_> {
    /// Label, 20 bits.
    pub const fn label(&self) -> u32 {
        be32(self.bytes, 0) >> 12
    }

    /// Traffic class, 3 bits.
    pub const fn traffic_class(&self) -> u8 {
        (self.bytes[2] >> 1) & 7
    }

    /// Last entry of the stack.
    pub const fn bottom(&self) -> bool {
        self.bytes[2] & 1 != 0
    }

    /// Time to live.
    pub const fn ttl(&self) -> u8 {
        self.bytes[3]
    }
}
