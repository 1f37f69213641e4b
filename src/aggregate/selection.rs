//! Which flows the outputs get (`--where`).
//!
//! Owns the choice among ended flows and in tables. Knows no output. Invariant: what is left out is counted; without a selection
//! everything passes.

use super::export_pool;
use super::records::{RecordPlace, Records};
use crate::flow::{FactSet, FlowRecord};
use crate::query::{FlowFilter, RecordContext};
use rayon::prelude::*;

/// Threads at most: more would wait for memory.
const THREADS_MAX: usize = 8;
/// Records for which others are worth starting.
const SHARED_FROM: usize = 1 << 15;

/// Which flows the outputs get.
#[derive(Clone, Debug, Default)]
pub struct FlowSelection {
    /// Those that it is true of.
    pub filter: FlowFilter,
    /// What records do not say themselves.
    pub context: RecordContext,
}

/// Flows that were left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowsUnselected {
    /// Of those told as they ended.
    pub ended: u64,
    /// Of the table at the end.
    pub table: u64,
}

impl FlowSelection {
    /// Whether the outputs get this flow.
    pub(super) fn has(&self, record: &FlowRecord, facts: FactSet<'_>) -> bool {
        self.filter.matches_with_facts(record, facts, &self.context)
    }

    /// Whether the outputs get the flow at this place.
    pub(super) fn has_at(&self, records: &Records, place: RecordPlace) -> bool {
        self.has(&records.get(place), records.facts(place))
    }

    /// Takes from `places` what is not for the outputs, by `threads` threads, and keeps their order; how many that were.
    pub(super) fn retain(&self, records: &Records, places: &mut Vec<RecordPlace>, threads: usize) -> u64 {
        let before = places.len();
        let threads = if before < SHARED_FROM { 1 } else { threads.min(THREADS_MAX) };
        match export_pool(threads) {
            Some(pool) => {
                let all = std::mem::take(places);
                *places = pool.install(|| all.into_par_iter().filter(|&place| self.has_at(records, place)).collect());
            }
            None => places.retain(|&place| self.has_at(records, place)),
        }
        (before - places.len()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::test_records::{tcp_record, udp6_record};

    #[test]
    fn any_number_of_threads_keeps_the_same_in_order() {
        let mut records = Records::default();
        let places: Vec<RecordPlace> = (0..2 * SHARED_FROM as u64)
            .map(|number| {
                let record = FlowRecord { first_packet: number, ..if number % 3 == 0 { tcp_record() } else { udp6_record() } };
                records.insert(&record, FactSet::NONE)
            })
            .collect();
        let selection = FlowSelection { filter: FlowFilter::parse("proto:tcp").unwrap(), ..FlowSelection::default() };
        for threads in [1, 2, 5] {
            let mut kept = places.clone();
            let left_out = selection.retain(&records, &mut kept, threads);
            assert_eq!(left_out, (places.len() - kept.len()) as u64);
            assert!(kept.iter().map(|&place| records.get(place).first_packet).eq((0..places.len() as u64).step_by(3)));
        }
    }
}
