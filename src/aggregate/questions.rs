//! Questions from other threads to the aggregator: live flows that fit, the history, a packet tap's flows.
//!
//! Owns the bounded queue. Knows no flow. Invariant: who asks never waits here, and every question that was taken is answered
//! once, at the latest when the run ends. (After a panic of the aggregator's thread a reply may be dropped instead.)

use super::HistorySnapshot;
use crate::engine::{FlowTotals, Parker, Predicate, SortKey};
use crate::flow::{FactRef, FlowFacts, FlowRecord};
use crossbeam_queue::ArrayQueue;
use netscope_backends::Timestamp;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};

/// Questions that may wait.
pub(super) const QUESTIONS_MAX: usize = 64;

/// Takes an answer; called once, on the aggregator's thread, so it must be quick.
pub type Reply<T> = Box<dyn FnOnce(Result<T, NoAnswer>) + Send>;

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// Too many questions wait.
    #[error("too many questions wait")]
    Busy,
    /// A worker stood still, too many flows ended meanwhile, or whoever asked is gone.
    #[error("the flows changed faster than they could be read")]
    GivenUp,
    /// The run is over: what it left is in the table that outputs got at the end.
    #[error("the capture is over")]
    Over,
    /// It is not kept.
    #[error("it is not kept")]
    NotKept,
}

/// Which flows are asked for.
#[derive(Clone)]
pub struct FlowQuestion {
    /// Which; `None`: all.
    pub predicate: Option<Predicate>,
    /// Best first by this.
    pub sort: SortKey,
    /// How many at most; 1 to 10,000.
    pub limit: usize,
    /// Flows that ended and are still kept count, too.
    pub with_ended: bool,
    /// Live flows count.
    pub with_live: bool,
    /// Held by who awaits the answer, as the [`Arc`] it came from. Once that is dropped, nothing is looked for any more. `None`: it is
    /// awaited whatever comes.
    pub asker: Option<Weak<()>>,
}

impl FlowQuestion {
    /// False when whoever asked is gone.
    pub(super) fn is_awaited(&self) -> bool {
        is_awaited(self.asker.as_ref())
    }
}

/// False when whoever asked is gone.
pub(super) fn is_awaited(asker: Option<&Weak<()>>) -> bool {
    asker.is_none_or(|asker| asker.strong_count() > 0)
}

/// A flow that fits.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundFlow {
    /// Its record; of one that lives as if the run ended now.
    pub record: FlowRecord,
    /// It lives.
    pub is_alive: bool,
    /// What is known of it by now beyond the record.
    pub facts: FlowFacts,
}

impl FoundFlow {
    /// A flow with facts that were kept elsewhere before.
    pub fn new(record: FlowRecord, is_alive: bool, facts: FlowFacts) -> Self {
        Self { record: FlowRecord { facts: FactRef::NONE, ..record }, is_alive, facts }
    }
}

/// Flows that fit, best first.
#[derive(Clone, Debug, Default)]
pub struct FlowsFound {
    /// Packet time of the answer.
    pub time: Timestamp,
    /// The best ones.
    pub flows: Vec<FoundFlow>,
    /// Flows whose facts found no room on the way here.
    pub facts_left_out: u64,
    /// All that fit. A flow that ends while the question goes on may be in it twice where it is not among the best; halves of
    /// flows that came on several queues are joined, and count as one, where both are among the best of their queue.
    pub matched: FlowTotals,
    /// Flows that were looked at.
    pub looked_at: u64,
    /// False when some queue did not answer in time, or some ended flows were not kept.
    pub is_whole: bool,
}

impl FlowsFound {
    /// Bytes of facts in an answer, 8 MiB: some 800 for each of 10,000 flows.
    pub const FACT_BYTES_MAX: usize = if cfg!(test) { 64 << 10 } else { 8 << 20 };

    /// Takes their facts from the flows, the worst first, for which there is no room in an answer, and counts them.
    pub(crate) fn bound_facts(&mut self) {
        let mut room = Self::FACT_BYTES_MAX;
        for flow in &mut self.flows {
            match room.checked_sub(flow.facts.memory_bytes()) {
                Some(left) => room = left,
                None => {
                    // What is worse has none either.
                    room = 0;
                    flow.facts = FlowFacts::default();
                    self.facts_left_out += 1;
                }
            }
        }
    }
}

/// A question.
pub enum Question {
    /// Flows.
    Flows(FlowQuestion, Reply<FlowsFound>),
    /// The history.
    History(Reply<HistorySnapshot>),
}

/// By which the aggregator is asked; shared by all who ask.
#[derive(Clone, Default)]
pub struct Questions(Arc<SharedQuestions>);

struct SharedQuestions {
    waiting: ArrayQueue<Question>,
    /// Whom a question wakes; set once the aggregator runs.
    asked: OnceLock<Arc<Parker>>,
    /// Set (SeqCst) by [`Questions::close`] before it empties the queue; read (SeqCst) by [`Questions::ask`] after it has put
    /// a question there. So one of the two finds every question.
    is_closed: AtomicBool,
}

impl Default for SharedQuestions {
    fn default() -> Self {
        Self { waiting: ArrayQueue::new(QUESTIONS_MAX), asked: OnceLock::new(), is_closed: AtomicBool::new(false) }
    }
}

impl Questions {
    /// Asks. The answer comes from another thread; at once, and from this one, where there is no room or the run is over.
    pub fn ask(&self, question: Question) {
        let Self(shared) = self;
        if let Err(refused) = shared.waiting.push(question) {
            refused.refuse(NoAnswer::Busy);
        }
        if shared.is_closed.load(Ordering::SeqCst) {
            return self.refuse_all();
        }
        if let Some(asked) = shared.asked.get() {
            asked.wake();
        }
    }

    /// The next question.
    pub(crate) fn take(&self) -> Option<Question> {
        self.0.waiting.pop()
    }

    /// From now on questions wake this thread.
    pub(super) fn answered_by(&self, parker: &Arc<Parker>) {
        self.0.asked.get_or_init(|| Arc::clone(parker));
    }

    /// The run is over: no question is answered any more.
    pub(super) fn close(&self) {
        self.0.is_closed.store(true, Ordering::SeqCst);
        self.refuse_all();
    }

    fn refuse_all(&self) {
        while let Some(question) = self.take() {
            question.refuse(NoAnswer::Over);
        }
    }
}

impl Question {
    /// Answers that there is no answer.
    pub fn refuse(self, why: NoAnswer) {
        match self {
            Self::Flows(_, reply) => reply(Err(why)),
            Self::History(reply) => reply(Err(why)),
        }
    }
}
