//! What an ICMP error does to flows besides being counted for its own: it says which flow it is about, and that flow counts it.
//!
//! Owns when a quoted flow counts an error. Its invariant: an error is no packet of the flow it quotes, so it neither keeps it alive
//! nor ends it.

use super::FlowTable;
use crate::flow::{FlowKey, QuotedFlow};

impl FlowTable {
    /// An ICMP error at the clock quotes a packet of this key: its flow counts the error. The place of the flow; `None`, and nothing
    /// is counted, when there is none or it is over.
    pub fn count_icmp_error(&mut self, key: &FlowKey) -> Option<u32> {
        let place = self.find(key, self.hash(key))?;
        if self.overdue(place).is_some() {
            return None;
        }
        self.store.entries.cold_mut(place).add_icmp_error(&mut self.store.extras);
        Some(place)
    }

    /// The flow of ICMP errors at a place is about this one. The first flow that is named stays.
    pub fn note_quote(&mut self, place: u32, quoted: QuotedFlow) {
        self.store.entries.cold_mut(place).note_quote(quoted, &mut self.store.extras);
    }
}
