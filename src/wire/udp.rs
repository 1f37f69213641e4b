//! UDP and UDP-Lite headers. Know nothing of what they carry.

use super::Ports;
use super::view::{be16, fixed_view};

macro_rules! ports {
    ($name:ident) => {
        impl $name<'_> {
            /// Both ports.
            #[inline(always)]
            pub const fn ports(&self) -> Ports {
                Ports { source: be16(self.bytes, 0), destination: be16(self.bytes, 2) }
            }
        }
    };
}

fixed_view! {
    /// RFC 768
    Udp, 8, Udp
}
ports!(Udp);

impl Udp<'_> {
    /// Length of header and payload in bytes; 0 in jumbograms (RFC 2675 section 4).
    pub const fn datagram_len(&self) -> u16 {
        be16(self.bytes, 4)
    }

    /// Checksum as sent.
    pub const fn checksum(&self) -> u16 {
        be16(self.bytes, 6)
    }
}

fixed_view! {
    /// RFC 3828
    UdpLite, 8, UdpLite
}
ports!(UdpLite);

impl UdpLite<'_> {
    /// Bytes covered by the checksum, header included; 0 means all.
    pub const fn coverage(&self) -> u16 {
        be16(self.bytes, 4)
    }
}
