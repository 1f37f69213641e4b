//! Questions from other threads to the aggregator: live flows that fit, the history, a packet tap's flows.
//!
//! Owns the bounded queue. Knows no flow. Invariant: who asks never waits here, and every question that was taken is answered
//! once, at the latest when the run ends.

use super::HistorySnapshot;
use crate::engine::{Predicate, SortKey};
use crate::flow::FlowRecord;
use crossbeam_queue::ArrayQueue;
use netscope_backends::Timestamp;
use std::sync::Arc;

/// Questions that may wait.
const QUESTIONS_MAX: usize = 64;

/// Takes an answer; called once, on the aggregator's thread, so it must be quick.
pub type Reply<T> = Box<dyn FnOnce(Result<T, NoAnswer>) + Send>;

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// Too many questions wait.
    #[error("too many questions wait")]
    Busy,
    /// A worker stood still, or too many flows ended meanwhile.
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
}

/// What all flows that fit have together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowTotals {
    /// Flows.
    pub flows: u64,
    /// Their packets.
    pub packets: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
}

/// Flows that fit, best first.
#[derive(Clone, Debug, Default)]
pub struct FlowsFound {
    /// Packet time of the answer.
    pub time: Timestamp,
    /// The best ones, and whether each is alive.
    pub flows: Vec<(FlowRecord, bool)>,
    /// All that fit.
    pub matched: FlowTotals,
    /// Flows that were looked at.
    pub looked_at: u64,
    /// False when some queue did not answer in time, or some ended flows were not kept.
    pub is_whole: bool,
}

/// A question.
pub enum Question {
    /// Flows.
    Flows(FlowQuestion, Reply<FlowsFound>),
    /// The history.
    History(Reply<HistorySnapshot>),
}

/// By which the aggregator is asked; shared by all who ask.
#[derive(Clone)]
pub struct Questions(Arc<ArrayQueue<Question>>);

impl Default for Questions {
    fn default() -> Self {
        Self(Arc::new(ArrayQueue::new(QUESTIONS_MAX)))
    }
}

impl Questions {
    /// Asks. The answer comes from another thread; at once, and from this one, where there is no room.
    pub fn ask(&self, question: Question) {
        if let Err(refused) = self.0.push(question) {
            refused.refuse(NoAnswer::Busy);
        }
    }

    /// The next question.
    pub(super) fn take(&self) -> Option<Question> {
        self.0.pop()
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
