//! The redirect header of web cache redirection behind GRE. Knows nothing of the packet that was redirected.

use super::view::fixed_view;

fixed_view! {
    /// Redirect header of version 2 (draft-wilson-wrec-wccp-v2 section 4.12); version 1 has none.
    Wccp, 4, Wccp
}

impl Wccp<'_> {
    /// First byte of a packet redirected by version 1: IPv4 without options. No redirect header begins so.
    pub const PACKET_OF_VERSION_1: u8 = 0x45;

    /// Service of the redirection.
    pub const fn service(&self) -> u8 {
        self.bytes[1]
    }
}
