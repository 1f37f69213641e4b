//! What a flow table counts of itself. Plain values that only grow and can be added up.

use crate::flow::EndReason;
use std::ops::AddAssign;

/// Counts since the table was made. All values only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowCounters {
    /// Records opened.
    pub opened: u64,
    /// Records ended, by the discriminant of [`EndReason`].
    pub ended: [u64; 5],
}

impl AddAssign<&Self> for FlowCounters {
    fn add_assign(&mut self, other: &Self) {
        let Self { opened, ended } = other;
        self.opened += opened;
        for (sum, one) in self.ended.iter_mut().zip(ended) {
            *sum += one;
        }
    }
}

impl FlowCounters {
    /// Records ended for this reason.
    pub const fn ended_for(&self, reason: EndReason) -> u64 {
        self.ended[reason as usize]
    }

    /// Records ended for any reason.
    pub fn ended_total(&self) -> u64 {
        self.ended.iter().sum()
    }
}
