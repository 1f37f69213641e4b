//! The flows of a table while it counts: a walk over its places that can pause.
//!
//! Owns nothing. Invariant: what is looked at between two calls is bounded, and a flow keeps its place while it lives.

use super::FlowTable;
use crate::flow::entry::Flag;
use crate::flow::{EndReason, FlowRecord};

impl FlowTable {
    /// Looks at up to `look_max` places from `from` on and shows the records of the live flows there, as [`FlowTable::finish`] would
    /// give them now; the place after them, `None` behind the last one.
    pub fn live_records(&self, from: u32, look_max: u32, visit: &mut dyn FnMut(&FlowRecord)) -> Option<u32> {
        let extent = self.store.entries.extent();
        let end = from.saturating_add(look_max).min(extent);
        for place in from..end {
            let entry = self.store.entries.get(place);
            if entry.is(Flag::LIVE) {
                let (reason, at) = self.overdue(place).unwrap_or((EndReason::Exit, self.clock));
                visit(&self.store.record(place, reason, at));
            }
        }
        (end < extent).then_some(end)
    }
}
