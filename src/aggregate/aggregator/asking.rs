//! Questions to the aggregator, one at a time: for the table of all flows, and for those that fit.
//!
//! Owns nothing. Knows no queue of questions and no reply. Invariant: a flow is in an answer once, alive or ended.

use super::{Aggregator, Event};
use crate::aggregate::answers::{Answers, Purpose};
use crate::aggregate::finding::FlowSearch;
use crate::aggregate::join::join_halves;
use crate::aggregate::merge::Inbox;
use crate::aggregate::order::largest_first;
use crate::aggregate::{FlowsFound, LiveTable, Table};
use crate::engine::FlowQuery;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Ended flows that are looked at in one call, less than a ms: queues wait meanwhile.
const LOOK_MAX: usize = 4096;

impl Aggregator {
    /// Awaits the answers of all queues to this question, which they are then asked; false while another one is under way.
    pub fn ask(&mut self, query: &Arc<FlowQuery>, purpose: Purpose) -> bool {
        if !self.is_asked() {
            self.answers = Some(Answers::new(Arc::clone(query), purpose, self.inboxes.len()));
            return true;
        }
        false
    }

    /// True while a question is under way.
    pub fn is_asked(&self) -> bool {
        self.answers.is_some() || self.finding.is_some()
    }

    /// Awaits no answer to the question under way any more.
    pub fn drop_question(&mut self) {
        (self.answers, self.finding) = (None, None);
    }

    /// Waits for no further answer to the question under way: what there is has to do.
    pub fn stop_waiting(&mut self) {
        self.answers.iter_mut().for_each(Answers::stop_waiting);
    }

    /// True while [`Aggregator::poll`] has more to do for a question, though it gave no event.
    pub fn is_finding(&self) -> bool {
        self.finding.is_some()
    }

    /// True when a queue has sent what it had at the end: what flows are alive cannot be asked any more.
    pub fn has_ending_queue(&self) -> bool {
        self.inboxes.iter().any(Inbox::has_sent_all)
    }

    /// What has become of the question under way.
    pub(super) fn poll_answers(&mut self) -> Option<Event> {
        if let Some(answers) = self.answers.take_if(|answers| answers.is_given_up() || answers.is_complete(&self.inboxes)) {
            match answers.purpose() {
                _ if answers.is_given_up() => return Some(Event::GivenUp),
                Purpose::Table => return Some(Event::Table(self.table_now(answers))),
                Purpose::Flows { with_ended, .. } => self.finding = Some(Box::new(self.begin_finding(answers, with_ended))),
            }
        }
        self.go_on_finding().map(|found| Event::Found(Box::new(found)))
    }

    /// All queues have answered. Of the ended flows those are looked at that are on their way; the others follow.
    fn begin_finding(&mut self, answers: Answers, with_ended: bool) -> FlowSearch {
        let reported = self.inboxes.iter().map(|inbox| inbox.merged.time).max().unwrap_or_default();
        let query = Arc::clone(answers.query());
        let mut live = answers.found(&self.inboxes);
        self.name_found(&mut live);
        let mut finding = FlowSearch::new(query, live, reported);
        if with_ended {
            let coming = self.settled.iter().skip(self.passed).chain(self.inboxes.iter().flat_map(Inbox::pending));
            coming.filter(|flow| !flow.alive).for_each(|flow| finding.look_at(flow, &self.records));
            finding.look_until(self.recent.count(), self.wants.keeps_ended() && !self.recent.left_some_out());
        }
        finding
    }

    /// Looks at some more of the ended flows; what was found, when that is all.
    fn go_on_finding(&mut self) -> Option<FlowsFound> {
        let finding = self.finding.as_mut()?;
        if let Some((from, until)) = finding.rest() {
            let (part, next) = self.recent.part(from, until, LOOK_MAX);
            part.for_each(|flow| finding.look_at(flow, &self.records));
            finding.go_on_from(next);
            if next.is_some() {
                return None;
            }
        }
        let scope = self.shown_queues.is_some().then_some(self.settings.flow_key);
        self.finding.take().map(|finding| finding.finish(scope))
    }

    /// The table as it would be at the end: what is retained, what is on its way there, and what is alive. The records are copied, as
    /// the run goes on; everything else is left to whoever needs the table.
    fn table_now(&self, answers: Answers) -> LiveTable {
        let (mut records, mut shown, mut queues) = (self.records.clone(), self.shown.clone(), self.shown_queues.clone());
        let coming = self.settled.iter().skip(self.passed).chain(self.inboxes.iter().flat_map(Inbox::pending));
        let kept = self.recent.with(coming.clone().filter(|flow| !flow.alive));
        for flow in coming.clone().filter(|flow| flow.alive).chain(kept) {
            shown.push(flow.place);
            queues.iter_mut().for_each(|queues| queues.push(flow.queue));
        }
        let left_out = Arc::clone(&self.live_facts_left_out);
        let (mut names, mut announced) = (self.names.clone(), self.announced.clone());
        let (flow_key, selection) = (self.settings.flow_key, self.settings.selection.clone());
        LiveTable::new(Box::new(move || {
            let before = records.facts_left_out();
            for (queue, record, facts) in answers.alive() {
                shown.push(records.insert(record, facts));
                queues.iter_mut().for_each(|queues| queues.push(queue));
            }
            left_out.fetch_add(records.facts_left_out() - before + answers.facts_left_out(), Ordering::Relaxed);
            if let Some(queues) = &queues {
                join_halves(&mut records, &mut shown, queues, flow_key);
            }
            if let Some(names) = &mut names {
                shown.iter().for_each(|&place| names.name(&mut records, place));
            }
            shown.iter().for_each(|&place| announced.name(&mut records, place));
            if let Some(selection) = &selection {
                selection.retain(&records, &mut shown, 1);
            }
            largest_first(&records, &mut shown, 1);
            Table::new(records, shown)
        }))
    }
}
