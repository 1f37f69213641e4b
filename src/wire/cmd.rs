//! Cisco metadata, which carries the security group of a sender. Knows nothing of what it tags.

use super::view::{be16, fixed_view};

fixed_view! {
    /// Version, length, one option with the group tag, and the EtherType of what follows (as Wireshark's packet-cmd.c has it).
    Cmd, 8, Cmd
}

impl Cmd<'_> {
    /// Security group tag.
    pub const fn group(&self) -> u16 {
        be16(self.bytes, 4)
    }

    /// EtherType, or the length of an LLC frame.
    pub const fn ether_type(&self) -> u16 {
        be16(self.bytes, 6)
    }
}
