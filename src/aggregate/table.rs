//! The table of all flows, as outputs see it at the end.
//!
//! Owns the records and the order they are shown in. Knows no format. Invariant: it does not change any more.

use super::records::{RecordPlace, Records};
use crate::flow::{Direction, FactSet, FlowFacts, FlowKey, FlowRecord};
use std::sync::LazyLock;

/// A table that is put in order by the thread that looks at it first, which is none that anybody waits for; others that look wait.
pub type LiveTable = LazyLock<Table, Box<dyn FnOnce() -> Table + Send>>;

/// Flow records in the order in which they are shown.
#[derive(Default)]
pub struct Table {
    records: Records,
    order: Vec<RecordPlace>,
}

impl Table {
    /// A table of the records at `order`.
    pub(super) fn new(records: Records, order: Vec<RecordPlace>) -> Self {
        Self { records, order }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The records, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = FlowRecord> {
        self.order.iter().map(|&place| self.records.get(place))
    }

    /// The record at `index`, which is below [`Self::len`].
    #[inline(always)]
    pub fn record(&self, index: usize) -> FlowRecord {
        self.records.get(self.order[index])
    }

    /// The facts of the record at `index`, which is below [`Self::len`].
    #[inline(always)]
    pub fn facts(&self, index: usize) -> FactSet<'_> {
        self.records.facts(self.order[index])
    }

    /// Key and initiator of the record at `index`, which is below [`Self::len`].
    #[inline(always)]
    pub fn name(&self, index: usize) -> (&FlowKey, Direction) {
        self.records.name(self.order[index])
    }

    /// Hints that the record at `index`, which is below [`Self::len`], will be read soon: the order of
    /// showing is not the one in which they lie.
    #[inline(always)]
    pub fn prefetch(&self, index: usize) {
        self.records.prefetch(self.order[index]);
    }
}

impl FromIterator<FlowRecord> for Table {
    /// A table that shows the records in the order given.
    fn from_iter<I: IntoIterator<Item = FlowRecord>>(flows: I) -> Self {
        flows.into_iter().map(|record| (record, FlowFacts::default())).collect()
    }
}

impl FromIterator<(FlowRecord, FlowFacts)> for Table {
    /// The same with what is known of the flows.
    fn from_iter<I: IntoIterator<Item = (FlowRecord, FlowFacts)>>(flows: I) -> Self {
        let mut records = Records::default();
        let order = flows.into_iter().map(|(record, facts)| records.insert(&record, facts.facts())).collect();
        Self { records, order }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::test_records::{icmp_record, tcp_record, udp6_record};

    #[test]
    fn records_come_in_the_order_given() {
        let given: Vec<FlowRecord> = [tcp_record(), udp6_record(), icmp_record()].into_iter().cycle().take(100).collect();
        let table: Table = given.iter().copied().collect();
        assert_eq!((table.len(), table.is_empty()), (100, false));
        assert!(table.iter().eq(given));
    }
}
