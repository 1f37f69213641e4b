//! What other flows told of live ones, for workers that answer questions with conditions: names by passive DNS, and announced protocols.
//!
//! Owns a copy of what is known, which all workers read while the aggregator learns more. Knows no question. Invariant: a condition is asked
//! with the same facts that the answer then has.

use super::address_names::AddressBook;
use super::announced::{AnnouncementBook, KnownEnds};
use crate::engine::Predicate;
use crate::flow::{FACTS_LEN_MAX, FactBuffer, FactSet, FlowRecord};
use std::sync::Arc;

/// A copy of all that is known.
pub(super) struct ToldFacts {
    names: Option<AddressBook>,
    announced: KnownEnds,
    /// How much had been told.
    told: [u64; 2],
}

impl ToldFacts {
    /// What is known now. `None`: nothing. `before`, where nothing was told since: a copy takes some ms where very much is known.
    pub fn of(names: Option<&AddressBook>, announced: &AnnouncementBook, before: Option<Arc<Self>>) -> Option<Arc<Self>> {
        let told = [names.map_or(0, AddressBook::told), announced.told()];
        if told == [0; 2] {
            return None;
        }
        before
            .filter(|before| before.told == told)
            .or_else(|| Some(Arc::new(Self { names: names.cloned(), announced: announced.ends().clone(), told })))
    }

    /// The facts of a flow with what others told of it; `None`: they told nothing.
    fn extended(&self, record: &FlowRecord, facts: FactSet<'_>) -> Option<FactBuffer> {
        let name = self.names.as_ref().and_then(|names| names.name_of(record, facts));
        let protocol = self.announced.protocol_of(record, facts);
        let mut all: Option<FactBuffer> = None;
        // Each of both where it has room, as in answers.
        let fits = |more: &FactBuffer| more.facts().len() <= FACTS_LEN_MAX;
        if let Some(name) = name {
            let mut more = FactBuffer::default();
            more.copy(facts);
            more.copy(name);
            all = Some(more).filter(fits);
        }
        if let Some(protocol) = protocol {
            let mut more = FactBuffer::default();
            AnnouncementBook::write(protocol, &mut more);
            more.copy(all.as_ref().map_or(facts, FactBuffer::facts));
            all = Some(more).filter(fits).or(all);
        }
        all
    }

    /// The same condition, of flows with what others told of them. For one that asks for this.
    pub fn with_told(self: &Arc<Self>, predicate: &Predicate) -> Predicate {
        let (told, predicate) = (Arc::clone(self), predicate.clone());
        Predicate::new(move |record, facts| match told.extended(record, facts) {
            Some(all) => predicate.is_true(record, all.facts()),
            None => predicate.is_true(record, facts),
        })
    }
}
