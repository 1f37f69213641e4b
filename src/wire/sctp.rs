//! SCTP common headers. Know nothing of chunks.

use super::Ports;
use super::view::{be16, be32, fixed_view};

fixed_view! {
    /// Common header (RFC 9260 section 3.1).
    Sctp, 12, Sctp
}

impl Sctp<'_> {
    /// Both ports.
    pub const fn ports(&self) -> Ports {
        Ports { source: be16(self.bytes, 0), destination: be16(self.bytes, 2) }
    }

    /// Verification tag.
    pub const fn verification_tag(&self) -> u32 {
        be32(self.bytes, 4)
    }
}
