//! The flows that ended last, for the tables: as many as are asked for.
//!
//! Owns which ones. Knows no record's content. Invariant: where the source waits, which flows are kept depends on the order of
//! their ends alone, not on when they arrived.

use super::merge::{Ended, sort_settled};
use super::records::Records;
use std::collections::VecDeque;

/// Ended flows, the oldest first once that matters.
pub(super) struct RecentEnded {
    max: usize,
    flows: VecDeque<Ended>,
    /// True when they are in order, and so are those that will come.
    is_sorted: bool,
}

impl RecentEnded {
    /// Keeps `max` flows. `is_sorted`: they always come in order.
    pub fn new(max: usize, is_sorted: bool) -> Self {
        Self { max, flows: VecDeque::new(), is_sorted }
    }

    /// True when `more` flows, which come next, have to be put in order first: some will be left out. From then on all are.
    pub fn needs_order(&mut self, more: usize, records: &Records) -> bool {
        let is_over = self.flows.len() + more > self.max;
        if is_over && !std::mem::replace(&mut self.is_sorted, true) {
            sort_settled(self.flows.make_contiguous(), records);
        }
        is_over
    }

    /// Keeps a flow; the one that is left out for it.
    pub fn push(&mut self, flow: Ended) -> Option<Ended> {
        self.flows.push_back(flow);
        if self.flows.len() > self.max { self.flows.pop_front() } else { None }
    }

    /// Those of `self` and of `coming` that would be left.
    pub fn with<'a>(&'a self, coming: impl Iterator<Item = &'a Ended> + Clone) -> impl Iterator<Item = &'a Ended> {
        let count = self.flows.len() + coming.clone().count();
        self.flows.iter().chain(coming).skip(count.saturating_sub(self.max))
    }

    /// All of them, given away.
    pub fn take(&mut self) -> VecDeque<Ended> {
        std::mem::take(&mut self.flows)
    }
}
