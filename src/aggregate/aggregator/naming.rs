//! Passive DNS: flows that tell no name get that of an answer to their client.
//!
//! Owns when names are learned and when flows are named. Invariant: a flow is named with the names that were told before its record ended,
//! so it has the same name whatever ended together with it.

use super::Aggregator;
use crate::aggregate::address_names::AddressBook;
use crate::aggregate::answers::LiveFound;
use crate::aggregate::merge::least_through;
use crate::flow::FACTS_LEN_MAX;

impl Aggregator {
    /// Names the flows whose place in the order is settled by now, and learns what was told meanwhile.
    pub(super) fn name_settled(&mut self) {
        let Self { names: Some(names), inboxes, settled, records, .. } = self else { return };
        let through = least_through(inboxes);
        if !names.gather(inboxes, through) {
            return;
        }
        // Where nobody sees the order, it was left as it came.
        if !settled.is_sorted_by_key(|flow| flow.event) {
            settled.sort_by_key(|flow| flow.event);
        }
        for flow in settled {
            names.learn_before(flow.event);
            names.name(records, flow.place);
        }
        names.learn_before(u64::MAX);
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
    }

    fn name_shown(&mut self) {
        let Self { names: Some(names), shown, records, .. } = self else { return };
        shown.iter().for_each(|&place| names.name(records, place));
    }

    /// Names live flows that were found.
    pub(super) fn name_found(&mut self, live: &mut LiveFound) {
        let Some(names) = &mut self.names else { return };
        for (_, flow) in &mut live.flows {
            let facts = names.facts_of(&flow.record, flow.facts.facts());
            if let Some(facts) = facts.filter(|facts| facts.len() <= FACTS_LEN_MAX) {
                flow.facts = facts.into();
            }
        }
    }
}
