//! BSD loopback headers: an address family in 4 bytes. Knows nothing of what follows.

use super::IpVersion;
use super::view::{be32, fixed_view};

fixed_view! {
    /// Address family in either byte order (LINKTYPE_NULL, LINKTYPE_LOOP).
    Null, 4, Link
}

impl Null<'_> {
    /// Address family of the capturing system. Real families are small, so the byte order that gives the smaller value is right.
    pub const fn family(&self) -> u32 {
        let big = be32(self.bytes, 0);
        let little = big.swap_bytes();
        if big < little { big } else { little }
    }

    /// IP version of a family: AF_INET is 2 everywhere; AF_INET6 is 10 on Linux, 24 on NetBSD and OpenBSD, 28 on FreeBSD, 30 on
    /// Darwin.
    pub const fn ip_version(&self) -> Option<IpVersion> {
        match self.family() {
            2 => Some(IpVersion::V4),
            10 | 24 | 28 | 30 => Some(IpVersion::V6),
            _ => None,
        }
    }
}
