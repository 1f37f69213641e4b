//! IGMP messages: the part all versions share.

use super::view::{array_at, fixed_view};

fixed_view! {
    /// The first 8 bytes (RFC 2236 section 2, RFC 3376 section 4).
    Igmp, 8, Igmp
}

impl Igmp<'_> {
    /// Message type.
    pub const fn kind(&self) -> u8 {
        self.bytes[0]
    }

    /// Group address; in version 3 reports reserved bits and the number of records.
    pub const fn group(&self) -> [u8; 4] {
        array_at(self.bytes, 4)
    }
}
