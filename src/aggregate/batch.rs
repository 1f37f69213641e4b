//! Flow records and their facts on the way to the outputs.
//!
//! Owns both. Knows no output. Invariant: a record's facts are those it came with.

use crate::flow::{FACTS_LEN_MAX, FactArena, FactRef, FactSet, FlowRecord};

/// Records in order, with their facts.
#[derive(Debug)]
pub struct RecordBatch {
    records: Vec<FlowRecord>,
    facts: FactArena,
}

impl RecordBatch {
    /// Room for this many records, with all their facts.
    pub fn with_capacity(record_count: usize) -> Self {
        // Two bytes of each record are its length.
        Self { records: Vec::with_capacity(record_count), facts: FactArena::new(record_count.saturating_mul(FACTS_LEN_MAX + 2)) }
    }

    /// Appends a record. There are at most as many as there is room for.
    pub fn push(&mut self, record: FlowRecord, facts: FactSet<'_>) {
        let facts = self.facts.push(facts).unwrap_or(FactRef::NONE);
        self.records.push(FlowRecord { facts, ..record });
    }

    /// The records and their facts.
    pub fn iter(&self) -> impl Iterator<Item = (&FlowRecord, FactSet<'_>)> {
        self.records.iter().map(|record| (record, self.facts.get(record.facts)))
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }
}
