//! What a flow table counts of itself. Plain values that only grow and can be added up.

use crate::flow::{EndReason, InspectionCounters};
use std::ops::AddAssign;

/// Counts since the table was made. All values only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowCounters {
    /// Records opened.
    pub opened: u64,
    /// Records ended, by the discriminant of [`EndReason`].
    pub ended: [u64; 5],
    /// Records that went on with a packet of another VLAN or tunnel than their first one, as far as packets are compared
    /// ([`crate::flow::FlowTable::note_domain`]).
    pub domain_changed: u64,
    /// Records opened in a domain that had no number of its own ([`crate::flow::DomainNumbers::OVERFLOW`]).
    pub domain_overflow: u64,
    /// Segments that came after their connection was closed and its record ended ([`crate::flow::FlowTable::after_close`]).
    pub after_close: u64,
    /// Closed connections that were forgotten before what comes late for them is no longer expected.
    pub closes_forgotten: u64,
    /// What inspection found, and what it left out.
    pub inspection: InspectionCounters,
}

impl AddAssign<&Self> for FlowCounters {
    fn add_assign(&mut self, other: &Self) {
        let Self { opened, ended, domain_changed, domain_overflow, after_close, closes_forgotten, inspection } = other;
        self.opened += opened;
        self.domain_changed += domain_changed;
        self.domain_overflow += domain_overflow;
        self.after_close += after_close;
        self.closes_forgotten += closes_forgotten;
        self.inspection += inspection;
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
