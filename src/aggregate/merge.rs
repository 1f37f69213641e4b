//! Brings the queues together: ticks with the same number become one, ended flows get one order.
//!
//! Owns what has arrived from each queue and was not passed on yet. Invariant: what comes out does not depend on how many
//! queues there were or which was faster.

use super::records::{Place, Records};
use crate::engine::{QueueMail, Snapshot};
use crate::flow::LastFlows;
use std::collections::VecDeque;

/// Ended flows of one queue that may wait for slower queues; beyond that its boxes are left with it. The slowest queue is never
/// held back, or nothing would move: what may wait there is what one packet ended, at most its whole table.
const PENDING_MAX: usize = 64 * 1024;
/// Snapshots of one queue that may wait for slower queues; beyond that its boxes are left with it.
const SNAPSHOTS_MAX: usize = 64;

/// An ended flow whose record has been stored.
#[derive(Clone, Copy)]
pub struct Ended {
    /// Where in the order of all queues the end was noticed: a packet's number, or a time.
    pub event: u64,
    /// Where its record lies.
    pub place: Place,
    /// True when only the end of the run ended it.
    pub alive: bool,
    /// The queue it came from.
    pub queue: u16,
}

/// Where the records that arrive go.
pub struct Arrivals<'a> {
    /// All of them.
    pub records: &'a mut Records,
    /// Places of flows that were alive until the end, which need no order until the table has one; `None` where somebody sees
    /// them as they end.
    pub alive: Option<&'a mut Vec<Place>>,
}

/// One queue as the aggregator sees it.
pub struct Inbox {
    index: u16,
    mail: QueueMail,
    snapshots: VecDeque<Snapshot>,
    /// Totals of the latest snapshot that went into a report.
    pub merged: Snapshot,
    pending: VecDeque<Ended>,
    /// Everything that ended before this event has arrived.
    through: u64,
    finished: bool,
}

impl Inbox {
    /// An inbox over the mailboxes of queue number `index`.
    pub fn new(index: u16, mail: QueueMail) -> Self {
        Self {
            index,
            mail,
            snapshots: VecDeque::new(),
            merged: Snapshot::default(),
            pending: VecDeque::new(),
            through: 0,
            finished: false,
        }
    }

    /// Takes what is there, as far as it may wait; false when there was nothing. `least`: how far the slowest queue is.
    fn collect(&mut self, least: u64, arrivals: &mut Arrivals<'_>) -> bool {
        // Asked before the boxes are emptied: what was sent before the end is then seen.
        let finished = self.mail.snapshots.is_finished() && self.mail.ended.as_ref().is_none_or(|ended| ended.is_finished());
        let mut some = finished != self.finished;
        self.finished = finished;
        while self.snapshots.len() < SNAPSHOTS_MAX {
            let Some(taken) = self.mail.snapshots.receive() else { break };
            // Copied, so that the box keeps its memory and the worker need not allocate.
            self.snapshots.push_back((*taken).clone());
            self.mail.snapshots.give_back(taken);
            some = true;
        }
        let mut last = None;
        if let Some(ended) = &self.mail.ended {
            while self.pending.len() < PENDING_MAX || self.through <= least {
                let Some(mut taken) = ended.receive() else { break };
                for flow in taken.flows.drain(..) {
                    let place = arrivals.records.insert(&flow.record);
                    self.pending.push_back(Ended { event: flow.event, place, alive: false, queue: self.index });
                }
                last = last.or(taken.last.take());
                self.through = self.through.max(taken.through);
                ended.give_back(taken);
                some = true;
            }
        }
        if let Some((event, flows)) = last {
            self.take_over(event, *flows, arrivals);
        }
        if self.finished {
            self.through = u64::MAX;
        }
        some
    }

    /// What was alive until the end is left where it lies.
    fn take_over(&mut self, event: u64, flows: LastFlows, arrivals: &mut Arrivals<'_>) {
        let Arrivals { records, alive } = arrivals;
        match alive {
            Some(places) => {
                places.reserve(flows.len());
                records.take_over(flows, |place| places.push(place));
            }
            None => {
                let Self { pending, index, .. } = self;
                records.take_over(flows, |place| pending.push_back(Ended { event, place, alive: true, queue: *index }));
            }
        }
    }

    /// True when nothing more will come and everything was passed on.
    pub fn is_done(&self) -> bool {
        self.finished && self.snapshots.is_empty() && self.pending.is_empty()
    }
}

/// Takes what has arrived from all queues; false when there was nothing.
pub fn collect(inboxes: &mut [Inbox], mut arrivals: Arrivals<'_>) -> bool {
    let least = inboxes.iter().map(|inbox| inbox.through).min().unwrap_or(u64::MAX);
    let mut some = false;
    for inbox in inboxes {
        some |= inbox.collect(least, &mut arrivals);
    }
    some
}

/// The next tick that every queue has left behind: its number, after moving each queue's totals into `merged`. A queue on which
/// time made a leap takes no part in the ticks between.
pub fn next_tick(inboxes: &mut [Inbox]) -> Option<u64> {
    let tick = inboxes.iter().filter_map(|inbox| inbox.snapshots.front()).map(|snapshot| snapshot.tick).min()?;
    let is_awaited = |inbox: &Inbox| inbox.snapshots.is_empty() && !inbox.finished && inbox.merged.next_tick <= tick;
    if inboxes.iter().any(is_awaited) {
        return None;
    }
    for inbox in inboxes {
        inbox.merged.top.clear();
        while inbox.snapshots.front().is_some_and(|snapshot| snapshot.tick == tick) {
            if let Some(snapshot) = inbox.snapshots.pop_front() {
                inbox.merged = snapshot;
            }
        }
    }
    Some(tick)
}

/// Moves the ended flows whose place in the order is settled to `settled`, queue after queue.
pub fn settle(inboxes: &mut [Inbox], settled: &mut Vec<Ended>) {
    let through = inboxes.iter().map(|inbox| inbox.through).min().unwrap_or(u64::MAX);
    let is_settled = |flow: &Ended| flow.event < through || through == u64::MAX;
    for inbox in inboxes {
        let count = inbox.pending.iter().take_while(|flow| is_settled(flow)).count();
        settled.extend(inbox.pending.drain(..count));
    }
}

/// Brings settled flows into their order: by the event that ended them (a packet's number, or a time), then by when they ended, then by the packet that opened
/// them.
pub fn sort_settled(settled: &mut [Ended], records: &Records) {
    let rank = |flow: &Ended| {
        let record = records.get(flow.place);
        (flow.event, record.ended, record.first_packet, record.key)
    };
    // As a rule they are in order, and then no rank needs to be kept.
    if !settled.is_sorted_by_key(rank) {
        settled.sort_by_cached_key(rank);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Sender, mailbox};

    fn queue() -> (Sender<Snapshot>, Inbox) {
        let (sender, snapshots) = mailbox(64, || Snapshot::new(0));
        (sender, Inbox::new(0, QueueMail { snapshots, ended: None }))
    }

    fn end_tick(sender: &Sender<Snapshot>, tick: u64, next_tick: u64) {
        let mut snapshot = sender.try_take().expect("a free box");
        (snapshot.tick, snapshot.next_tick) = (tick, next_tick);
        sender.send(snapshot);
    }

    #[test]
    fn ticks_are_merged_by_number_and_a_leap_holds_nobody_back() {
        let ((steady, steady_box), (leaping, leaping_box)) = (queue(), queue());
        let mut inboxes = [steady_box, leaping_box];
        let mut merged = || {
            let mut records = Records::default();
            collect(&mut inboxes, Arrivals { records: &mut records, alive: None });
            std::iter::from_fn(|| next_tick(&mut inboxes)).collect::<Vec<u64>>()
        };
        end_tick(&steady, 5, 6);
        assert_eq!(merged(), [0; 0], "the other queue has said nothing yet");
        end_tick(&leaping, 5, 9);
        assert_eq!(merged(), [5], "one tick of both");
        for tick in 6..12 {
            end_tick(&steady, tick, tick + 1);
        }
        assert_eq!(merged(), [6, 7, 8], "the other queue is in tick 9, and ends none before");
        end_tick(&leaping, 9, 40);
        assert_eq!(merged(), [9, 10, 11]);
        drop(steady);
        end_tick(&leaping, 40, 41);
        assert_eq!(merged(), [40], "a queue that has ended is not waited for");
    }
}
