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
    /// Flows that were kept once and are not any more.
    gone: u64,
    /// True when they are in order, and so are those that will come.
    is_sorted: bool,
}

impl RecentEnded {
    /// Keeps `max` flows. `is_sorted`: they always come in order.
    pub fn new(max: usize, is_sorted: bool) -> Self {
        Self { max, flows: VecDeque::new(), gone: 0, is_sorted }
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
        if self.flows.len() <= self.max {
            return None;
        }
        self.gone += 1;
        self.flows.pop_front()
    }

    /// True when flows that ended are not kept any more.
    pub fn left_some_out(&self) -> bool {
        self.gone > 0
    }

    /// How many were kept so far, those included that are not any more: the number of the next one.
    pub fn count(&self) -> u64 {
        self.gone + self.flows.len() as u64
    }

    /// Up to `max` of those that are kept, from number `from` on and before number `until`; and the number after them, `None`
    /// when there are no more.
    pub fn part(&self, from: u64, until: u64, max: usize) -> (impl Iterator<Item = &Ended>, Option<u64>) {
        let place = |number: u64| usize::try_from(number.saturating_sub(self.gone)).unwrap_or(usize::MAX).min(self.flows.len());
        let (start, end) = (place(from), place(until));
        let next = end.min(start.saturating_add(max));
        (self.flows.range(start.min(next)..next), (next < end).then(|| self.gone + next as u64))
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
