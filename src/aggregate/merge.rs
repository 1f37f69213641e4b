//! Brings the queues together: ticks with the same number become one, ended flows get one order.
//!
//! Owns what has arrived from each queue and was not passed on yet. Knows no mailbox and no clock. Invariant: where the source
//! waits, what comes out does not depend on how many queues there were or which was faster. A queue of a wire that is silent for
//! too long is not waited for.

use super::address_names::{AddressBook, ToldName};
use super::announced::AnnouncementBook;
use super::records::{RecordPlace, Records};
use crate::engine::{Announcement, EndedChunk, Snapshot, TickEvidence};
use crate::flow::LastFlows;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Ended flows of one queue, and names of addresses, that may wait for slower queues; beyond that its boxes are left with it. The slowest queue is never
/// held back, or nothing would move: what may wait there is what one packet ended, at most its whole table.
const PENDING_MAX: usize = 64 * 1024;
/// Snapshots of one queue that may wait for slower queues; beyond that its boxes are left with it.
const SNAPSHOTS_MAX: usize = 64;
/// No queue is silent for less: a worker may wait this long for packets, and then has to be given a processor.
const SILENCE_MIN: Duration = Duration::from_millis(500);
/// Ticks after which a queue that said nothing is silent.
const SILENT_TICKS: u32 = 2;

/// An ended flow whose record has been stored.
#[derive(Clone, Copy)]
pub struct Ended {
    /// Where in the order of all queues the end was noticed: a number of packets and of times without any, or a time.
    pub event: u64,
    /// Where its record lies.
    pub place: RecordPlace,
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
    pub alive: Option<&'a mut Vec<RecordPlace>>,
    /// Names of addresses; `None` where none are kept.
    pub names: Option<&'a mut AddressBook>,
    /// Announcements of flows.
    pub announced: &'a mut AnnouncementBook,
}

/// One queue as the aggregator sees it.
pub struct Inbox {
    index: u16,
    snapshots: VecDeque<Snapshot>,
    /// Totals of the latest snapshot that went into a report; its evidence is that of all snapshots since the report before.
    pub merged: Snapshot,
    /// Of snapshots that came too late for the report of their tick.
    late: TickEvidence,
    top_count: usize,
    pending: VecDeque<Ended>,
    /// Names of addresses whose place in the order is not settled.
    names: VecDeque<ToldName>,
    /// The same of announcements of flows.
    announced: VecDeque<Announcement>,
    /// The source waits for us.
    waits: bool,
    /// Boxes of ended flows accepted so far.
    ended_boxes: u64,
    /// Everything that ended before this event has arrived.
    through: u64,
    finished: bool,
    /// When anything came last.
    heard: Instant,
    /// True while it is not waited for.
    pub is_silent: bool,
    /// How often that began.
    pub silence_count: u64,
}

impl Inbox {
    /// An inbox of queue number `index`, whose worker keeps `top_count` top flows, `now` that it starts.
    pub fn new(index: u16, top_count: usize, now: Instant) -> Self {
        Self {
            index,
            snapshots: VecDeque::new(),
            merged: Snapshot::default(),
            late: TickEvidence::default(),
            top_count,
            pending: VecDeque::new(),
            names: VecDeque::new(),
            announced: VecDeque::new(),
            waits: false,
            ended_boxes: 0,
            through: 0,
            finished: false,
            heard: now,
            is_silent: false,
            silence_count: 0,
        }
    }

    /// The same where the source waits for us, or not.
    #[must_use]
    pub fn with_waits(self, waits: bool) -> Self {
        Self { waits, ..self }
    }

    /// The queue's number.
    pub fn index(&self) -> u16 {
        self.index
    }

    /// True when one more snapshot may wait here.
    pub fn takes_snapshot(&self) -> bool {
        self.snapshots.len() < SNAPSHOTS_MAX
    }

    /// True when another box of ended flows may wait here. `least`: how far the slowest queue is.
    pub fn takes_ended(&self, least: u64) -> bool {
        !self.is_full() || self.through <= least
    }

    fn is_full(&self) -> bool {
        self.pending.len() >= PENDING_MAX || self.waits && self.names.len().max(self.announced.len()) >= PENDING_MAX
    }

    /// Names or announcements that may come where so many are: where the source does not wait, they never keep ended flows from coming.
    fn room_beside(&self, count: usize) -> usize {
        if self.waits { usize::MAX } else { PENDING_MAX.saturating_sub(count) }
    }

    /// Takes a snapshot. Copied, so that the box keeps its memory and the worker need not allocate.
    pub fn accept_snapshot(&mut self, snapshot: &Snapshot, now: Instant) {
        self.snapshots.push_back(snapshot.clone());
        self.hear(now);
    }

    /// Empties a box of ended flows.
    pub fn accept_ended(&mut self, ended: &mut EndedChunk, arrivals: &mut Arrivals<'_>, now: Instant) {
        let EndedChunk { flows, facts, names, announced, .. } = &mut *ended;
        for flow in flows.drain(..) {
            let place = arrivals.records.insert(&flow.record, facts.get(flow.record.facts));
            self.pending.push_back(Ended { event: flow.event, place, alive: false, queue: self.index });
        }
        facts.clear();
        if let Some(book) = &mut arrivals.names {
            let room = self.room_beside(self.names.len());
            self.names.extend(names.iter().take(room).filter_map(|(told, name)| book.keep(told, name)));
            book.leave_out(names.iter().skip(room).count() as u64);
        }
        names.clear();
        let room = self.room_beside(self.announced.len()).min(announced.len());
        arrivals.announced.leave_out(announced.len() - room);
        self.announced.extend(announced.drain(..).take(room));
        if let Some((event, flows)) = ended.last.take() {
            self.take_over(event, *flows, arrivals);
        }
        self.ended_boxes += 1;
        self.through = self.through.max(ended.through);
        self.hear(now);
    }

    /// Boxes of ended flows accepted so far.
    pub fn ended_boxes(&self) -> u64 {
        self.ended_boxes
    }

    /// Ended flows whose place in the order is not settled.
    pub fn pending(&self) -> std::collections::vec_deque::Iter<'_, Ended> {
        self.pending.iter()
    }

    /// Moves the names of addresses that were told before event `through` to the end of `taken`.
    pub fn take_names(&mut self, through: u64, taken: &mut VecDeque<ToldName>) {
        let count = self.names.iter().take_while(|name| name.told.event < through || through == u64::MAX).count();
        taken.extend(self.names.drain(..count));
    }

    /// The same of announcements of flows.
    pub fn take_announced(&mut self, through: u64, taken: &mut VecDeque<Announcement>) {
        let is_settled = |announcement: &&Announcement| announcement.event < through || through == u64::MAX;
        let count = self.announced.iter().take_while(is_settled).count();
        taken.extend(self.announced.drain(..count));
    }

    /// Nothing more will come.
    pub fn accept_end(&mut self, now: Instant) {
        self.finished = true;
        self.through = u64::MAX;
        self.hear(now);
    }

    /// Something came from this queue.
    pub fn hear(&mut self, now: Instant) {
        (self.heard, self.is_silent) = (now, false);
    }

    /// What was alive until the end is left where it lies.
    fn take_over(&mut self, event: u64, flows: LastFlows, arrivals: &mut Arrivals<'_>) {
        let Arrivals { records, alive, .. } = arrivals;
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

    /// True when it has sent its last flows, or nothing more will come.
    pub fn has_sent_all(&self) -> bool {
        self.finished || self.through == u64::MAX
    }

    /// True when nothing more will come.
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// True when nothing more will come and everything was passed on.
    pub fn is_done(&self) -> bool {
        self.finished && self.snapshots.is_empty() && self.pending.is_empty()
    }

    /// Brings the totals of ticks up to `reported` in: others were reported without them.
    fn take_late(&mut self, reported: Option<u64>) {
        while self.snapshots.front().is_some_and(|snapshot| Some(snapshot.tick) <= reported) {
            if let Some(mut snapshot) = self.snapshots.pop_front() {
                self.late.add(&snapshot.evidence, self.top_count);
                snapshot.evidence.clear();
                self.merged = snapshot;
            }
        }
    }

    /// Moves the totals of this tick to `merged`, with the evidence since the report before.
    fn take_tick(&mut self, tick: u64) {
        self.merged.evidence.clear();
        std::mem::swap(&mut self.merged.evidence, &mut self.late);
        while self.snapshots.front().is_some_and(|snapshot| snapshot.tick == tick) {
            if let Some(mut snapshot) = self.snapshots.pop_front() {
                if !self.merged.evidence.is_empty() {
                    self.merged.evidence.add(&snapshot.evidence, self.top_count);
                    std::mem::swap(&mut snapshot.evidence, &mut self.merged.evidence);
                }
                self.merged = snapshot;
            }
        }
    }
}

/// When a queue of a wire is not waited for any more.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    tick: Duration,
}

impl Patience {
    /// For ticks of this length.
    pub fn new(tick_ns: u64) -> Self {
        Self { tick: Duration::from_nanos(tick_ns) }
    }

    /// Marks the queues that said nothing for so long by `now`.
    pub fn mark_silent(self, inboxes: &mut [Inbox], now: Instant) {
        let limit = self.tick.saturating_mul(SILENT_TICKS).max(SILENCE_MIN);
        for inbox in inboxes.iter_mut().filter(|inbox| !inbox.finished) {
            // One that is full was not asked.
            let is_asked = inbox.takes_snapshot() && !inbox.is_full();
            let was_silent = inbox.is_silent;
            inbox.is_silent = is_asked && now.saturating_duration_since(inbox.heard) >= limit;
            inbox.silence_count += u64::from(inbox.is_silent && !was_silent);
        }
    }
}

/// How far the slowest queue is that is waited for.
pub fn least_through(inboxes: &[Inbox]) -> u64 {
    inboxes.iter().filter(|inbox| !inbox.is_silent).map(|inbox| inbox.through).min().unwrap_or(0)
}

/// The next tick that every queue has left behind: its number, after moving each queue's totals into `merged`. A queue on which
/// time made a leap takes no part in the ticks between. `reported`: the tick before; a queue that was silent comes too late for it.
pub fn next_tick(inboxes: &mut [Inbox], reported: Option<u64>) -> Option<u64> {
    inboxes.iter_mut().for_each(|inbox| inbox.take_late(reported));
    let tick = inboxes.iter().filter_map(|inbox| inbox.snapshots.front()).map(|snapshot| snapshot.tick).min()?;
    let is_awaited =
        |inbox: &Inbox| inbox.snapshots.is_empty() && !inbox.finished && !inbox.is_silent && inbox.merged.next_tick <= tick;
    if inboxes.iter().any(is_awaited) {
        return None;
    }
    inboxes.iter_mut().for_each(|inbox| inbox.take_tick(tick));
    Some(tick)
}

/// No tick before this one comes any more from a queue that is waited for; `u64::MAX` when none comes at all.
pub fn least_tick(inboxes: &[Inbox]) -> u64 {
    let next = |inbox: &Inbox| match inbox.snapshots.front() {
        Some(snapshot) => snapshot.tick,
        None if inbox.finished => u64::MAX,
        None => inbox.merged.next_tick,
    };
    inboxes.iter().map(next).min().unwrap_or(u64::MAX)
}

/// Moves the ended flows whose place in the order is settled to `settled`, queue after queue.
pub fn settle(inboxes: &mut [Inbox], settled: &mut Vec<Ended>) {
    let through = least_through(inboxes);
    let is_settled = |flow: &Ended| flow.event < through || through == u64::MAX;
    for inbox in inboxes {
        let count = inbox.pending.iter().take_while(|flow| is_settled(flow)).count();
        settled.extend(inbox.pending.drain(..count));
    }
}

/// Brings settled flows into their order: by the event that ended them ([`Ended::event`]), then by when they ended,
/// then by the packet that opened them.
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

    fn end_tick(inbox: &mut Inbox, tick: u64, next_tick: u64, now: Instant) {
        inbox.accept_snapshot(&Snapshot { tick, next_tick, ..Snapshot::new(0) }, now);
    }

    /// Every tick that can be reported now.
    fn merged(inboxes: &mut [Inbox], reported: &mut Option<u64>) -> Vec<u64> {
        std::iter::from_fn(|| {
            let tick = next_tick(inboxes, *reported);
            *reported = tick.or(*reported);
            tick
        })
        .collect()
    }

    #[test]
    fn ticks_are_merged_by_number_and_a_leap_holds_nobody_back() {
        let now = Instant::now();
        let mut inboxes = [Inbox::new(0, 0, now), Inbox::new(1, 0, now)];
        let reported = &mut None;
        end_tick(&mut inboxes[0], 5, 6, now);
        assert_eq!(merged(&mut inboxes, reported), [0; 0], "the other queue has said nothing yet");
        end_tick(&mut inboxes[1], 5, 9, now);
        assert_eq!(merged(&mut inboxes, reported), [5], "one tick of both");
        for tick in 6..12 {
            end_tick(&mut inboxes[0], tick, tick + 1, now);
        }
        assert_eq!(merged(&mut inboxes, reported), [6, 7, 8], "the other queue is in tick 9, and ends none before");
        end_tick(&mut inboxes[1], 9, 40, now);
        assert_eq!(merged(&mut inboxes, reported), [9, 10, 11]);
        inboxes[0].accept_end(now);
        end_tick(&mut inboxes[1], 40, 41, now);
        assert_eq!(merged(&mut inboxes, reported), [40], "a queue that has ended is not waited for");
    }

    #[test]
    fn a_silent_queue_is_passed_by_and_what_it_says_later_is_not_lost() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let patience = Patience::new(1_000_000_000);
        let mut inboxes = [Inbox::new(0, 0, start), Inbox::new(1, 0, start)];
        let reported = &mut None;
        for tick in 1..4 {
            end_tick(&mut inboxes[0], tick, tick + 1, at(tick));
        }
        end_tick(&mut inboxes[1], 1, 2, at(2));
        patience.mark_silent(&mut inboxes, at(3));
        assert_eq!(merged(&mut inboxes, reported), [1], "one tick's silence is none");
        patience.mark_silent(&mut inboxes, at(4));
        patience.mark_silent(&mut inboxes, at(4));
        assert_eq!((inboxes[0].is_silent, inboxes[1].is_silent), (false, true));
        assert_eq!(inboxes[1].silence_count, 1, "it began once");
        assert_eq!(merged(&mut inboxes, reported), [2, 3]);
        // It comes back: old ticks are added without a report of their own, and it is waited for again.
        let mut late = Snapshot { tick: 2, next_tick: 5, ..Snapshot::new(0) };
        late.ledger.packets = 7;
        inboxes[1].accept_snapshot(&late, at(5));
        end_tick(&mut inboxes[0], 4, 5, at(5));
        assert_eq!(merged(&mut inboxes, reported), [4]);
        assert_eq!(inboxes[1].merged.ledger.packets, 7);
        end_tick(&mut inboxes[0], 5, 6, at(6));
        assert_eq!(merged(&mut inboxes, reported), [0; 0]);
    }
}
