//! ICMP and ICMPv6 headers. Knows nothing of what a message carries.

use super::view::{be16, fixed_view};

/// Number of the ICMP echo reply and request (RFC 792).
pub const ECHO: (u8, u8) = (0, 8);
/// Number of the ICMPv6 echo reply and request (RFC 4443).
pub const ECHO_V6: (u8, u8) = (129, 128);

macro_rules! getters {
    ($name:ident) => {
        impl $name<'_> {
            /// Message type.
            pub const fn kind(&self) -> u8 {
                self.bytes[0]
            }

            /// Message code.
            pub const fn code(&self) -> u8 {
                self.bytes[1]
            }

            /// Checksum as sent.
            pub const fn checksum(&self) -> u16 {
                be16(self.bytes, 2)
            }
        }
    };
}

fixed_view! {
    /// Type, code and checksum (RFC 792).
    Icmp, 4, Icmp
}
getters!(Icmp);

fixed_view! {
    /// Type, code and checksum (RFC 4443 section 2.1).
    Icmpv6, 4, Icmpv6
}
getters!(Icmpv6);
