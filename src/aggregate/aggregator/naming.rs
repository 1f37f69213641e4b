//! Passive DNS and announcements: flows that tell no name get that of an answer to their client, and flows that do not tell what they are
//! what a control connection said.
//!
//! Owns when names are learned and when flows are named. Invariant: a flow is named with the names that were told before its record ended,
//! so it has the same name whatever ended together with it.

use super::Aggregator;
use crate::aggregate::address_names::AddressBook;
use crate::aggregate::answers::LiveFound;
use crate::aggregate::merge::{least_through, sort_settled};
use crate::aggregate::told::ToldFacts;
use crate::engine::FlowQuery;
use crate::flow::{FACTS_LEN_MAX, FactSet};
use std::sync::Arc;

impl Aggregator {
    /// Names the flows whose place in the order is settled by now, and learns what was told meanwhile.
    pub(super) fn name_settled(&mut self) {
        let Self { names, announced, inboxes, settled, records, .. } = self;
        let through = least_through(inboxes);
        let mut names = names.as_mut().and_then(|names| names.gather(inboxes, through).then_some(names));
        let has_announced = announced.gather(inboxes, through);
        if names.is_none() && !has_announced {
            return;
        }
        // Where nobody sees the order, it was left as it came.
        sort_settled(settled, records);
        for flow in settled {
            if let Some(names) = &mut names {
                names.learn_before(flow.event);
                names.name(records, flow.place);
            }
            announced.learn_before(flow.event);
            announced.name(records, flow.place);
        }
        names.into_iter().for_each(|names| names.learn_before(u64::MAX));
        announced.learn_before(u64::MAX);
    }

    /// Names the flows that were alive until the end and did not go through the order of ends.
    pub(super) fn name_last(&mut self) {
        if !self.wants.wants_order() && self.shown_queues.is_none() {
            self.name_shown();
        }
    }

    /// Names flows that were joined from halves: together these know better who was the client.
    pub(super) fn name_joined(&mut self) {
        if self.summary.flows_joined > 0 {
            self.name_shown();
        }
        self.summary.naming = self.names.as_ref().map(AddressBook::counts).unwrap_or_default();
        self.summary.announced = self.announced.counts();
    }

    fn name_shown(&mut self) {
        let Self { names, announced, shown, records, .. } = self;
        for &place in shown.iter() {
            names.iter_mut().for_each(|names| names.name(records, place));
            announced.name(records, place);
        }
    }

    /// A question as workers are asked it: conditions that ask for it are asked of flows with what others told of them by now.
    pub fn for_workers(&mut self, query: &Arc<FlowQuery>) -> Arc<FlowQuery> {
        let Some(predicate) = query.predicate.as_ref().filter(|predicate| predicate.asks_for_told()) else {
            return Arc::clone(query);
        };
        self.told = ToldFacts::of(self.names.as_ref(), &self.announced, self.told.take());
        let Some(told) = &self.told else { return Arc::clone(query) };
        Arc::new(FlowQuery { predicate: Some(told.with_told(predicate)), ..(**query).clone() })
    }

    /// Names live flows that were found.
    pub(super) fn name_found(&mut self, live: &mut LiveFound) {
        let Self { names, announced, .. } = self;
        let fits = |facts: &FactSet<'_>| facts.len() <= FACTS_LEN_MAX;
        for (_, flow) in &mut live.flows {
            let facts = names.as_mut().and_then(|names| names.facts_of(&flow.record, flow.facts.facts()));
            if let Some(facts) = facts.filter(fits) {
                flow.facts = facts.into();
            }
            if let Some(facts) = announced.facts_of(&flow.record, flow.facts.facts()).filter(fits) {
                flow.facts = facts.into();
            }
        }
    }
}
