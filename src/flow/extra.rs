//! Facts that few flows have and no packet needs in the common case.
//!
//! Owns tunnels, unusual VLAN tags, unusual ICMP codes, fragment counts and clocks that do not fit a flow's own place. Knows neither table nor
//! time. Its invariant: a place belongs to one flow from `take` to `give_back`.

use super::arena::{Arena, Slot};
use crate::wire::{Tunnel, VlanTags};
use netscope_backends::Timestamp;

/// Rare facts of one flow.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Extra {
    /// VLAN tags of the first packet.
    pub vlan: VlanTags,
    /// Innermost tunnel of the first packet.
    pub tunnel: Option<Tunnel>,
    /// A later packet had others, or the first one is not compared with.
    pub has_changed: bool,
    /// ICMP code of the first packet, where the key has none.
    pub icmp_code: u8,
    /// Later IP fragments among the packets.
    pub fragments: u32,
    /// The clock when the flow was last touched; valid while the entry says so.
    pub touched: Timestamp,
}

const _: () = assert!(size_of::<Extra>() <= 32);

impl Slot for Extra {
    fn next_free(&self) -> u32 {
        self.fragments
    }

    fn set_next_free(&mut self, next: u32) {
        self.fragments = next;
    }
}

/// Places for [`Extra`] facts, 512 KiB a segment.
pub(super) type Extras = Arena<Extra, 14>;
