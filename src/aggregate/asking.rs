//! What the aggregator is asked while it runs, one thing after the other: tables on request (a signal), questions from a page.
//!
//! Owns the questions that wait here and the one under way, with its reply. Knows no record. Invariants: every question that was taken
//! is answered once; one under way is answered with what there is when a queue stands still; one whose asker is gone is not asked,
//! and where he goes meanwhile, it is over.

use super::outputs::Outputs;
use super::questions::{QUESTIONS_MAX, is_awaited};
use super::{Aggregator, Control, FlowQuestion, FlowsFound, NoAnswer, Purpose, Question, Questions, Reply};
use crate::engine::{FlowQuery, QueueMail};
use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// Longest wait for the answers of all queues to a question for flows: on a wire, and where the source waits, which has nothing
/// to lose.
const PATIENCE_WIRE: Duration = Duration::from_secs(1);
const PATIENCE_FILE: Duration = Duration::from_secs(5);
/// Most flows that a question gets.
const LIMIT_MAX: usize = 10_000;

/// A question for flows that the queues were asked.
struct AskedFlows {
    reply: Reply<FlowsFound>,
    /// Then it is answered with what there is.
    until: Instant,
    asker: Option<Weak<()>>,
}

/// The questions of one run.
pub(super) struct Asking<'a> {
    questions: &'a Questions,
    patience: Duration,
    /// For flows; those for the history are answered at once.
    waiting: VecDeque<(FlowQuestion, Reply<FlowsFound>)>,
    under_way: Option<AskedFlows>,
    /// A table was asked for while a question was under way.
    table_waits: bool,
    id: u64,
}

impl<'a> Asking<'a> {
    /// Takes these questions. `waits`: the source does.
    pub fn new(questions: &'a Questions, waits: bool) -> Self {
        let patience = if waits { PATIENCE_FILE } else { PATIENCE_WIRE };
        Self { questions, patience, waiting: VecDeque::new(), under_way: None, table_waits: false, id: 0 }
    }

    /// Asks the queues what is asked next, if nothing is under way.
    pub fn go_on(
        &mut self,
        aggregator: &mut Aggregator,
        queues: &[QueueMail],
        outputs: &Outputs<'_>,
        control: &Control<'_>,
        now: Instant,
    ) {
        self.take(aggregator);
        if control.live_table.take() {
            self.ask_tables(aggregator, outputs, control);
        }
        let is_over = aggregator.has_ending_queue();
        match &self.under_way {
            Some(_) if is_over => {
                aggregator.drop_question();
                self.reply(Err(NoAnswer::Over));
            }
            Some(question) if !is_awaited(question.asker.as_ref()) => {
                aggregator.drop_question();
                self.reply(Err(NoAnswer::GivenUp));
            }
            Some(question) => {
                if now >= question.until {
                    aggregator.stop_waiting();
                }
                return;
            }
            None => {}
        }
        if std::mem::take(&mut self.table_waits) {
            self.ask_table(aggregator, queues, outputs, control);
        }
        if is_over {
            return self.waiting.drain(..).for_each(|(_, reply)| reply(Err(NoAnswer::Over)));
        }
        while !aggregator.is_asked()
            && let Some((question, reply)) = self.waiting.pop_front()
        {
            if !question.is_awaited() {
                reply(Err(NoAnswer::GivenUp));
                continue;
            }
            self.under_way = Some(AskedFlows { reply, until: now + self.patience, asker: question.asker.clone() });
            self.ask_flows(question, aggregator, queues);
        }
    }

    /// True while an answer to a question is awaited.
    pub fn is_busy(&self) -> bool {
        self.under_way.is_some()
    }

    /// Found.
    pub fn found(&mut self, found: FlowsFound) {
        self.reply(Ok(found));
    }

    /// Nothing will be found; false when no question for flows was under way.
    pub fn give_up(&mut self) -> bool {
        self.reply(Err(NoAnswer::GivenUp))
    }

    fn reply(&mut self, answer: Result<FlowsFound, NoAnswer>) -> bool {
        self.under_way.take().map(|question| (question.reply)(answer)).is_some()
    }

    /// Takes the questions that have come, and answers those that need nobody else.
    fn take(&mut self, aggregator: &Aggregator) {
        while self.waiting.len() < QUESTIONS_MAX
            && let Some(question) = self.questions.take()
        {
            match question {
                Question::Flows(question, reply) => self.waiting.push_back((question, reply)),
                Question::History(reply) => reply(aggregator.history().ok_or(NoAnswer::NotKept)),
            }
        }
    }

    /// Somebody wants what the run would write if it ended now.
    fn ask_tables(&mut self, aggregator: &Aggregator, outputs: &Outputs<'_>, control: &Control<'_>) {
        self.table_waits |= outputs.wants_live_table() || !outputs.wants_history();
        match aggregator.history().filter(|_| outputs.wants_history()) {
            Some(history) if !outputs.has_history() => outputs.history(history, false),
            Some(_) => (control.notice)("the history that was asked for before is still being written"),
            None => {}
        }
    }

    /// Asks all queues for their live flows, if an output writes them.
    fn ask_table(&mut self, aggregator: &mut Aggregator, queues: &[QueueMail], outputs: &Outputs<'_>, control: &Control<'_>) {
        if !outputs.wants_live_table() {
            (control.notice)(
                "SIGUSR1 writes the flow table to the export files, and there is none: add --export-json, --export-csv or --history-json",
            );
            return;
        }
        if !outputs.can_write_live_table() {
            (control.notice)("the flow table cannot be written: all outputs that write it have failed");
            return;
        }
        self.id += 1;
        let query = Arc::new(FlowQuery::all(self.id));
        if outputs.has_live_table() || !aggregator.ask(&query, Purpose::Table) {
            (control.notice)("the flow table that was asked for before is still being written");
            return;
        }
        for (queue, mail) in queues.iter().enumerate() {
            // One question at a time, so there is room unless a worker stands still and questions before were given up.
            if !aggregator.is_finished(queue) && !mail.requests.ask(&query) {
                aggregator.drop_question();
                (control.notice)("the flow table is not written: a worker stands still and takes no more requests");
                return;
            }
        }
    }

    /// Asks all queues for flows. One that takes no more requests is not waited for longer than any other.
    fn ask_flows(&mut self, question: FlowQuestion, aggregator: &mut Aggregator, queues: &[QueueMail]) {
        let FlowQuestion { predicate, sort, limit, with_ended, with_live, asker: _ } = question;
        self.id += 1;
        let query = Arc::new(FlowQuery { predicate, sort, limit: limit.clamp(1, LIMIT_MAX), ..FlowQuery::all(self.id) });
        aggregator.ask(&query, Purpose::Flows { with_live, with_ended });
        let asked = if with_live { aggregator.for_workers(&query) } else { query };
        for mail in queues.iter().filter(|_| with_live) {
            mail.requests.ask(&asked);
        }
    }
}

impl Drop for Asking<'_> {
    /// The run is over, whatever the reason.
    fn drop(&mut self) {
        self.reply(Err(NoAnswer::Over));
        self.waiting.drain(..).for_each(|(_, reply)| reply(Err(NoAnswer::Over)));
        self.questions.close();
    }
}
