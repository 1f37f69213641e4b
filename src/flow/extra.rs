//! Facts that few flows have and no packet needs in the common case.
//!
//! Owns tunnels, unusual VLAN tags, unusual ICMP codes, fragment counts, what has to do with ICMP errors, and clocks that do not fit a flow's
//! own place. Knows neither table nor time. Its invariant: a place belongs to one flow from `take` to `give_back`, and so does the quote that
//! it names.

use super::QuotedFlow;
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
    /// ICMP errors that quote a packet of the flow.
    pub icmp_errors: u32,
    /// Belongs to [`Extras`]: of a flow of ICMP errors, the place of what they quote, plus 1; 0: nothing.
    pub quote: u32,
    /// The clock when the flow was last touched; valid while the entry says so.
    pub touched: Timestamp,
}

const _: () = assert!(size_of::<Extra>() <= 40);

impl Slot for Extra {
    fn next_free(&self) -> u32 {
        self.fragments
    }

    fn set_next_free(&mut self, next: u32) {
        self.fragments = next;
    }
}

/// A quoted flow, which is larger than all else.
struct QuotePlace {
    flow: QuotedFlow,
    next_free: u32,
}

impl Slot for QuotePlace {
    fn next_free(&self) -> u32 {
        self.next_free
    }

    fn set_next_free(&mut self, next: u32) {
        self.next_free = next;
    }
}

/// Places for [`Extra`] facts, 640 KiB a segment, and for what flows of ICMP errors quote: at most one for each flow.
pub(super) struct Extras {
    facts: Arena<Extra, 14>,
    quotes: Arena<QuotePlace, 14>,
}

impl Extras {
    /// Reserves `count` places for facts; untouched memory is not resident. Memory for quotes is taken as they come.
    pub fn with_capacity(count: usize) -> Self {
        Self { facts: Arena::with_capacity(count), quotes: Arena::with_capacity(0) }
    }

    /// Stores facts; the number of their place.
    pub fn take(&mut self, extra: Extra) -> u32 {
        self.facts.take(extra)
    }

    /// Gives a place back, and that of its quote.
    pub fn give_back(&mut self, number: u32) {
        if let Some(quote) = self.get(number).quote.checked_sub(1) {
            self.quotes.give_back(quote);
        }
        self.facts.give_back(number);
    }

    #[inline(always)]
    pub fn get(&self, number: u32) -> &Extra {
        self.facts.get(number)
    }

    #[inline(always)]
    pub fn get_mut(&mut self, number: u32) -> &mut Extra {
        self.facts.get_mut(number)
    }

    /// What these facts quote.
    #[inline(always)]
    pub fn quoted(&self, extra: &Extra) -> Option<QuotedFlow> {
        extra.quote.checked_sub(1).map(|quote| self.quotes.get(quote).flow)
    }

    /// The facts at this place quote this flow, unless they quote one already.
    pub fn quote(&mut self, number: u32, flow: QuotedFlow) {
        let extra = self.facts.get_mut(number);
        if extra.quote == 0 {
            extra.quote = self.quotes.take(QuotePlace { flow, next_free: 0 }) + 1;
        }
    }

    /// Bytes of all places ever used, free ones included.
    pub const fn memory_bytes(&self) -> usize {
        self.facts.memory_bytes() + self.quotes.memory_bytes()
    }

    /// Facts and quotes in use.
    #[cfg(test)]
    pub const fn in_use(&self) -> (usize, usize) {
        (self.facts.len(), self.quotes.len())
    }
}
