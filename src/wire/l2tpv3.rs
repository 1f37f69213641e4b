//! L2TP version 3 data message headers. Know neither the cookie of a session nor what it carries: control messages agree on both.

use super::view::{be32, fixed_view};

fixed_view! {
    /// Session of a data message right behind IP; in UDP flags, version and two reserved bytes come before it (RFC 3931 sections
    /// 4.1.1 and 4.1.2).
    L2tpv3, 4, L2tp
}

impl L2tpv3<'_> {
    /// Longest cookie and sublayer header that may follow, in bytes (RFC 3931 sections 4.1 and 4.6); both are multiples of four.
    pub const AGREED_LEN_MAX: usize = 12;

    /// Session; 0 is the control connection.
    pub const fn session_id(&self) -> u32 {
        be32(self.bytes, 0)
    }
}
