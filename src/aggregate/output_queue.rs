//! What waits for one output: a bounded queue between the aggregator and the output's thread.
//!
//! Owns the messages and the count of those left out. Knows no output. Invariant: what is given is taken in that order, or counted
//! as left out; nothing is left out where the giver may wait.

use super::{HistorySnapshot, LiveTable, OutputLoss, RecordBatch, Report, Summary, Table};
use crate::detect::Alert;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// What an output is told. Shared by all outputs.
#[derive(Clone)]
pub enum OutputMessage {
    /// Flows that ended, in order.
    Ended(Arc<RecordBatch>),
    /// A tick ended.
    Report(Arc<Report>),
    /// Something was detected.
    Alert(Arc<Alert>),
    /// Somebody asked for the table.
    Table(Arc<LiveTable>),
    /// The history; true when the run is over.
    History(Arc<HistorySnapshot>, bool),
    /// The run ended.
    End(Arc<(Table, Summary)>),
}

/// How much may wait for one output.
#[derive(Clone, Copy, Debug)]
pub struct QueueLimits {
    /// Ended flows; up to a message more.
    pub records: usize,
    /// Reports.
    pub reports: usize,
    /// Alerts.
    pub alerts: usize,
}

impl QueueLimits {
    /// Where the source waits for the outputs: enough to keep both sides at work.
    pub const FILE: Self = Self { records: 4096, reports: 256, alerts: 256 };
    /// On a wire: what an output may fall behind before it loses something, about 10 MiB.
    pub const WIRE: Self = Self { records: 32 * 1024, reports: 1024, alerts: 4096 };
}

/// The queue of one output.
pub struct OutputQueue {
    limits: QueueLimits,
    state: Mutex<State>,
    /// Something was put in, and the taker waits.
    filled: Condvar,
    /// Half of it was taken out, and the giver waits.
    drained: Condvar,
}

#[derive(Default)]
struct State {
    messages: VecDeque<OutputMessage>,
    /// Ended flows, reports and alerts among the messages.
    records: usize,
    reports: usize,
    alerts: usize,
    /// Tables that were not written yet: among the messages, or taken.
    tables: usize,
    /// The same of histories.
    histories: usize,
    left_out: OutputLoss,
    /// Flows that were given, whatever became of them.
    offered: u64,
    taker_waits: bool,
    giver_waits: bool,
    /// The output has failed: no more messages are taken.
    is_closed: bool,
}

impl State {
    fn has_room(&self, message: &OutputMessage, limits: QueueLimits) -> bool {
        match message {
            OutputMessage::Ended(_) => self.records < limits.records,
            OutputMessage::Report(_) => self.reports < limits.reports,
            OutputMessage::Alert(_) => self.alerts < limits.alerts,
            OutputMessage::Table(_) | OutputMessage::History(..) | OutputMessage::End(_) => true,
        }
    }

    /// True when at most half is used.
    fn is_half_empty(&self, limits: QueueLimits) -> bool {
        self.records * 2 <= limits.records && self.reports * 2 <= limits.reports && self.alerts * 2 <= limits.alerts
    }
}

impl OutputQueue {
    /// An empty queue.
    pub fn new(limits: QueueLimits) -> Self {
        Self { limits, state: Mutex::default(), filled: Condvar::new(), drained: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that is done under the lock leaves it half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a message in. Where there is no room, `may_wait` for it; otherwise it is left out and counted. The taker is woken when
    /// half of the queue is used, and by [`OutputQueue::wake`].
    pub fn give(&self, message: OutputMessage, may_wait: bool) {
        let mut state = self.state();
        state.offered += match &message {
            OutputMessage::Ended(records) => records.len() as u64,
            _ => 0,
        };
        while !state.is_closed && !state.has_room(&message, self.limits) {
            if !may_wait {
                match &message {
                    OutputMessage::Ended(records) => state.left_out.records += records.len() as u64,
                    OutputMessage::Report(_) => state.left_out.reports += 1,
                    OutputMessage::Alert(_) => state.left_out.alerts += 1,
                    OutputMessage::Table(_) | OutputMessage::History(..) | OutputMessage::End(_) => {}
                }
                return;
            }
            state.giver_waits = true;
            self.wake_taker(&mut state);
            state = self.drained.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.is_closed {
            // Of one that has failed; its flows are counted by those that it wrote.
            match &message {
                OutputMessage::Report(_) => state.left_out.reports += 1,
                OutputMessage::Alert(_) => state.left_out.alerts += 1,
                OutputMessage::Ended(_) | OutputMessage::Table(_) | OutputMessage::History(..) | OutputMessage::End(_) => {}
            }
            return;
        }
        match &message {
            OutputMessage::Ended(records) => state.records += records.len(),
            OutputMessage::Report(_) => state.reports += 1,
            OutputMessage::Alert(_) => state.alerts += 1,
            OutputMessage::Table(_) => state.tables += 1,
            OutputMessage::History(..) => state.histories += 1,
            OutputMessage::End(_) => {}
        }
        state.messages.push_back(message);
        if !state.is_half_empty(self.limits) {
            self.wake_taker(&mut state);
        }
    }

    /// Wakes the taker if there is anything for it: before the giver does something else for a while.
    pub fn wake(&self) {
        let mut state = self.state();
        if !state.messages.is_empty() {
            self.wake_taker(&mut state);
        }
    }

    fn wake_taker(&self, state: &mut State) {
        if std::mem::take(&mut state.taker_waits) {
            self.filled.notify_one();
        }
    }

    /// The next message, if there is one.
    pub fn try_take(&self) -> Option<OutputMessage> {
        self.taken(&mut self.state())
    }

    /// The next message; waits for it.
    pub fn take(&self) -> OutputMessage {
        let mut state = self.state();
        loop {
            if let Some(message) = self.taken(&mut state) {
                return message;
            }
            state.taker_waits = true;
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn taken(&self, state: &mut State) -> Option<OutputMessage> {
        let message = state.messages.pop_front()?;
        match &message {
            OutputMessage::Ended(records) => state.records -= records.len(),
            OutputMessage::Report(_) => state.reports -= 1,
            OutputMessage::Alert(_) => state.alerts -= 1,
            OutputMessage::Table(_) | OutputMessage::History(..) | OutputMessage::End(_) => {}
        }
        if state.giver_waits && state.is_half_empty(self.limits) {
            state.giver_waits = false;
            self.drained.notify_one();
        }
        Some(message)
    }

    /// A table that was taken has been written, or cannot be.
    pub fn note_table_done(&self) {
        self.state().tables -= 1;
    }

    /// A history that was taken has been written, or cannot be.
    pub fn note_history_done(&self) {
        self.state().histories -= 1;
    }

    /// True while a history is not written yet.
    pub fn has_history(&self) -> bool {
        let state = self.state();
        state.histories > 0 && !state.is_closed
    }

    /// True while a table is not written yet.
    pub fn has_table(&self) -> bool {
        let state = self.state();
        state.tables > 0 && !state.is_closed
    }

    /// True when no more messages are taken.
    pub fn is_closed(&self) -> bool {
        self.state().is_closed
    }

    /// No more messages are taken: what waits is dropped, and what is given later, without being counted.
    pub fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        let unwanted = std::mem::take(&mut state.messages);
        self.drained.notify_one();
        drop(state);
        drop(unwanted);
    }

    /// Ended flows that were given so far, those that were left out and those given after the end included.
    pub fn offered(&self) -> u64 {
        self.state().offered
    }

    /// What was left out so far, without a name.
    pub fn left_out(&self) -> OutputLoss {
        self.state().left_out.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::FactSet;
    use crate::record::test_records::tcp_record;
    use std::sync::mpsc::channel;

    fn ended(count: usize) -> OutputMessage {
        let mut batch = RecordBatch::with_capacity(count);
        (0..count).for_each(|_| batch.push(tcp_record(), FactSet::NONE));
        OutputMessage::Ended(Arc::new(batch))
    }

    fn records(message: &OutputMessage) -> usize {
        match message {
            OutputMessage::Ended(records) => records.len(),
            _ => 0,
        }
    }

    const LIMITS: QueueLimits = QueueLimits { records: 10, reports: 2, alerts: 2 };

    #[test]
    fn a_full_queue_leaves_out_and_counts_by_kind() {
        let queue = OutputQueue::new(LIMITS);
        [4, 4, 4, 4, 1].into_iter().for_each(|count| queue.give(ended(count), false));
        (0..5).for_each(|_| queue.give(OutputMessage::Report(Arc::default()), false));
        queue.give(OutputMessage::End(Arc::default()), false);
        assert_eq!(queue.left_out(), OutputLoss { output: String::new(), records: 5, reports: 3, alerts: 0 });
        let taken: Vec<usize> = std::iter::from_fn(|| queue.try_take()).map(|message| records(&message)).collect();
        assert_eq!(taken, [4, 4, 4, 0, 0, 0], "three boxes, two reports and the end");
        queue.give(ended(1), false);
        assert_eq!(queue.left_out().records, 5, "there is room again");
    }

    #[test]
    fn who_may_wait_loses_nothing() {
        let queue = OutputQueue::new(LIMITS);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..1000 {
                    queue.give(ended(3), true);
                    queue.give(OutputMessage::Report(Arc::default()), true);
                }
                queue.give(OutputMessage::End(Arc::default()), true);
                queue.wake();
            });
            let (mut sum, mut reports) = (0, 0);
            loop {
                match queue.take() {
                    OutputMessage::Ended(records) => sum += records.len(),
                    OutputMessage::Report(_) => reports += 1,
                    OutputMessage::Alert(_) | OutputMessage::Table(_) | OutputMessage::History(..) | OutputMessage::End(_) => {
                        break;
                    }
                }
            }
            assert_eq!((sum, reports), (3000, 1000));
        });
        assert_eq!(queue.left_out(), OutputLoss::default());
    }

    #[test]
    fn a_closed_queue_holds_nobody() {
        let queue = OutputQueue::new(LIMITS);
        let (told, full) = channel();
        std::thread::scope(|scope| {
            let queue = &queue;
            scope.spawn(move || {
                (0..20).for_each(|_| queue.give(ended(10), true));
                told.send(()).expect("the test waits");
            });
            queue.close();
            full.recv().expect("the giver comes to its end");
        });
        assert!(queue.try_take().is_none());
        assert_eq!(queue.left_out(), OutputLoss::default(), "the failure was told; this is no loss of its own");
        assert_eq!(queue.offered(), 200, "but it should have been written");
    }
}
