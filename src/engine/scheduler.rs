//! Several workers on a source with one reader: the work units that are under way, and what each worker does
//! next.
//!
//! Owns the units, a fixed number of them. Knows no packet and no format. Its invariant: every worker is given every unit, in
//! the order of the source, and a unit is filled anew only when the last of them is done with it.
//!
//! A unit is filled, then one worker finds out whose the packets are, without a lock, then every worker
//! processes it. Of a mapped file, a worker with time fills the next unit: one at a time walks over the
//! records, which form a chain. Any other source has a thread that fills the units
//! ([`Reader`](super::reader::Reader)). The lock is held for a few instructions per unit, never per packet.
//! No worker waits while it could make a unit ready, and a worker that does so waits for no other, so there
//! is always one that can go on. Only the filling is ended early, by a stop or by `--count`: then all workers
//! go on to the last unit that was filled, so all end at one packet.
//!
//! A worker that waits sleeps until there is something for it: several ready units where there are many workers
//! ([`UnitPace`]), a question, or the end. The pages of a mapped file are given back behind the slowest.

use super::work_unit::WorkUnit;
use super::{Observer, Stop, Worker};
use crate::flow::Keying;
use netscope_backends::file::{Scanner, WalkedPages};
use netscope_backends::{BackendError, Counters, Polled, Position};
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

mod pace;
mod sleepers;
mod state;

use pace::UnitPace;
use sleepers::WorkerSet;
use state::{SchedulerState, UnitStage, UnitTask, Walk};

/// What all workers on one source share.
pub(super) struct Scheduler {
    state: Mutex<SchedulerState>,
    /// Of each worker: a unit was filled or became ready, the walk or a unit for it is free again, or the end was reached.
    changed: Box<[Condvar]>,
    /// The same for the reader: a unit is free again, or no worker is left to fill it for.
    freed: Condvar,
    workers: usize,
    pace: UnitPace,
    /// Those of a mapped file.
    pages: Option<WalkedPages>,
}

/// One worker's place at a source that several share.
pub struct WorkerHandle {
    scheduler: Arc<Scheduler>,
    index: u32,
    /// True where unread packets wait.
    waits: bool,
    /// Number of the unit that comes next.
    next: u64,
    /// That one and those behind it, as many as were ready when it was taken and are taken at once.
    taken: VecDeque<Arc<WorkUnit>>,
    /// Units before the next one that were processed and are not given back yet.
    processed: u64,
    /// How often workers had been asked something when this one last looked.
    asked: u64,
    counters: Counters,
    position: Position,
    notice: Option<String>,
    is_done: bool,
}

/// Wakes the workers on a source when they are asked something, whatever they wait for.
#[derive(Clone)]
pub struct WorkerBell(Arc<Scheduler>);

impl WorkerBell {
    /// Has each worker look for what it was asked.
    pub fn ring(&self) {
        self.0.change(|state| {
            state.asked += 1;
            Woken::All
        });
    }
}

/// Places for `workers`, which key by `keying`, at the packets of `scanner`: up to the unit in which packet `count_max`
/// lies, until `stop` is requested.
pub fn share_mapped(scanner: Scanner, workers: usize, keying: Keying, count_max: u64, stop: &Stop) -> Vec<WorkerHandle> {
    let pace = UnitPace::of_mapped(workers);
    let free = (0..pace.units).map(|_| WorkUnit::mapped(&scanner, workers, keying)).collect();
    let (position, pages) = (scanner.position(), scanner.pages());
    let walk = Walk { scanner, packets: 0, count_max, stop: stop.clone() };
    Scheduler::new(SchedulerState::new(free, Some(walk)), workers, pace, Some(pages)).handles(position, true)
}

impl Scheduler {
    fn new(state: SchedulerState, workers: usize, pace: UnitPace, pages: Option<WalkedPages>) -> Arc<Self> {
        let changed = (0..workers).map(|_| Condvar::new()).collect();
        Arc::new(Self { state: Mutex::new(state), changed, freed: Condvar::new(), workers, pace, pages })
    }

    /// For a reader that fills `units` units of copies, of a source that `waits` or does not.
    pub(super) fn of_reader(units: usize, workers: usize, keying: Keying, waits: bool) -> Arc<Self> {
        let free = (0..units).map(|_| WorkUnit::copied(workers, keying)).collect();
        Self::new(SchedulerState::new(free, None), workers, UnitPace::of_reader(workers, units, waits), None)
    }

    /// A place for each worker.
    pub(super) fn handles(self: &Arc<Self>, position: Position, waits: bool) -> Vec<WorkerHandle> {
        let handle = |index| WorkerHandle {
            scheduler: Arc::clone(self),
            index,
            waits,
            next: 0,
            taken: VecDeque::new(),
            processed: 0,
            asked: 0,
            counters: Counters::default(),
            position,
            notice: None,
            is_done: false,
        };
        (0..u32::try_from(self.workers).unwrap_or(u32::MAX)).map(handle).collect()
    }

    fn lock(&self) -> MutexGuard<'_, SchedulerState> {
        // A worker that panicked has deserted, which the state says.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a change under the lock, which says whom to wake of the workers that may have waited for it.
    fn change(&self, change: impl FnOnce(&mut SchedulerState) -> Woken) {
        let mut state = self.lock();
        let awaited = change(&mut state);
        let woken = awaited.take_from(&mut state);
        drop(state);
        self.wake(woken);
    }

    fn wake(&self, woken: WorkerSet) {
        for worker in woken.iter() {
            self.changed.get(worker as usize).into_iter().for_each(Condvar::notify_one);
        }
    }

    /// Has this worker wait for a change, at most for `patience` where there is one.
    fn wait<'a>(
        &self,
        worker: u32,
        mut state: MutexGuard<'a, SchedulerState>,
        patience: Option<Duration>,
    ) -> MutexGuard<'a, SchedulerState> {
        let Some(changed) = self.changed.get(worker as usize) else { return state };
        state.sleeping.add(worker);
        state = match patience {
            Some(patience) => changed.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner).0,
            None => changed.wait(state).unwrap_or_else(PoisonError::into_inner),
        };
        state.sleeping.remove(worker);
        state
    }

    /// A worker is done with `count` units from this one on, and has let go of them.
    fn release(&self, number: u64, count: u64) {
        let mut state = self.lock();
        if !state.release(number, count) {
            return;
        }
        let awaited = if state.walk.is_some() { Woken::One } else { Woken::Nobody };
        let woken = awaited.take_from(&mut state);
        let (reader_waits, behind) = (state.reader_waits, state.behind);
        drop(state);
        self.wake(woken);
        if reader_waits {
            self.freed.notify_one();
        }
        if let Some(pages) = &self.pages {
            pages.give_back_before(behind);
        }
    }

    /// For the reader: no more packets than these will be processed. Said before the first unit.
    pub(super) fn limit(&self, count_max: u64) {
        self.lock().resolver.iter_mut().for_each(|resolver| resolver.limit(count_max));
    }

    /// For the reader: an empty unit. With `insist` waits for one as long as there are workers that may let go of one.
    pub(super) fn take_free(&self, insist: bool) -> Option<WorkUnit> {
        let mut state = self.lock();
        if state.free.is_empty() {
            // Those that sleep may have some that are ready.
            let woken = Woken::All.take_from(&mut state);
            self.wake(woken);
        }
        while insist && state.free.is_empty() && !state.is_deserted {
            state.reader_waits = true;
            state = self.freed.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.reader_waits = false;
        }
        let mut unit = state.free.pop()?;
        drop(state);
        unit.clear();
        Some(unit)
    }

    /// For the reader: true when there is an empty unit.
    pub(super) fn has_free(&self) -> bool {
        !self.lock().free.is_empty()
    }

    /// For the reader: gives a unit it has filled to the workers.
    pub(super) fn hand_over(&self, mut unit: WorkUnit) {
        let is_empty = unit.is_empty();
        let stage = if is_empty {
            unit.assign();
            UnitStage::Ready(Arc::new(unit))
        } else {
            UnitStage::Filled(unit)
        };
        self.change(|state| {
            state.push(stage, self.workers);
            // The worker that waits can make it ready, and then wakes the others.
            if is_empty { Woken::All } else { Woken::One }
        });
    }

    /// For the reader: no more units will come.
    pub(super) fn end(&self, failed: Option<BackendError>) {
        self.change(|state| {
            state.is_at_end = true;
            state.failed = state.failed.take().or(failed);
            Woken::All
        });
    }

    /// True when a worker ended before the source did, so that no worker goes on.
    pub(super) fn is_deserted(&self) -> bool {
        self.lock().is_deserted
    }
}

/// Whom a change concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Woken {
    Nobody,
    /// Any of those who wait can go on with it.
    One,
    /// Those who have packets in what is ready since this was the first unit that was not.
    Concerned(u64),
    All,
}

impl Woken {
    /// Those of them who sleep, and are to be woken: until they sleep again, they do not.
    fn take_from(self, state: &mut SchedulerState) -> WorkerSet {
        match self {
            Self::Nobody => WorkerSet::default(),
            _ if state.sleeping.is_empty() => WorkerSet::default(),
            Self::One => state.sleeping.take_one(),
            Self::Concerned(before) => state.take_concerned(before),
            Self::All => std::mem::take(&mut state.sleeping),
        }
    }
}

impl WorkerHandle {
    /// Does one thing: makes a unit ready, lets `worker` process one, or waits for the next: at most for `patience` where there is one,
    /// and no longer than until workers are asked something.
    ///
    /// # Errors
    /// What went wrong in the source, told to the leading worker alone, after everything before it was processed.
    pub fn poll<O: Observer>(&mut self, worker: &mut Worker<O>, patience: Option<Duration>) -> Result<Polled, BackendError> {
        if let Some(unit) = self.taken.pop_front() {
            return Ok(self.process(unit, worker));
        }
        match self.task(patience) {
            UnitTask::Walk(number, walk, mut unit) => {
                self.walk(walk, &mut unit);
                self.assign(number, unit);
                Ok(Polled::Lent(0))
            }
            UnitTask::Assign(number, unit) => {
                self.assign(number, unit);
                Ok(Polled::Lent(0))
            }
            UnitTask::Process(unit) => Ok(self.process(unit, worker)),
            UnitTask::Nothing => Ok(Polled::Lent(0)),
            UnitTask::End => {
                self.is_done = true;
                if self.index != 0 {
                    return Ok(Polled::End);
                }
                let mut state = self.scheduler.lock();
                let (failed, resolver) = (state.failed.take(), state.resolver.take());
                drop(state);
                if let Some(resolver) = resolver {
                    worker.take_fragments(resolver.into_table());
                }
                failed.map_or(Ok(Polled::End), Err)
            }
        }
    }

    /// By which this worker and those beside it are woken.
    pub fn bell(&self) -> WorkerBell {
        WorkerBell(Arc::clone(&self.scheduler))
    }

    fn task(&mut self, patience: Option<Duration>) -> UnitTask {
        let Self { scheduler, index, next, taken, asked, .. } = self;
        let Scheduler { workers, pace, .. } = &**scheduler;
        let mut state = scheduler.lock();
        let mut has_waited = false;
        loop {
            if state.is_deserted {
                return UnitTask::End;
            }
            let is_ready = state.ready(*next).is_some();
            if !is_ready || state.untaken.saturating_sub(*next) < pace.ahead {
                let was_at_end = state.is_at_end;
                if let Some(task) = state.take(*workers) {
                    return task;
                }
                if state.is_at_end && !was_at_end {
                    let woken = Woken::All.take_from(&mut state);
                    scheduler.wake(woken);
                }
            }
            if let Some(unit) = state.ready(*next).cloned() {
                taken.extend((1..pace.step).map_while(|ahead| state.ready(*next + ahead).cloned()));
                return UnitTask::Process(unit);
            }
            if state.is_at_end && *next == state.end() {
                return UnitTask::End;
            }
            if std::mem::replace(asked, state.asked) != state.asked || has_waited && patience.is_some() {
                return UnitTask::Nothing;
            }
            // Units are wanted, and those that sleep may have some that are ready.
            if state.is_short_of_units() {
                let woken = Woken::All.take_from(&mut state);
                scheduler.wake(woken);
            }
            state = scheduler.wait(*index, state, patience);
            has_waited = true;
        }
    }

    /// Walks over the records of the next unit, and lets the next one walk.
    fn walk(&self, mut walk: Walk, unit: &mut WorkUnit) {
        unit.clear();
        let scanned = unit.scan(&mut walk.scanner);
        let counted = walk.scanner.counters();
        unit.position = walk.scanner.position();
        unit.notice = walk.scanner.notice();
        walk.packets += unit.len() as u64;
        self.scheduler.change(|state| {
            state.is_at_end |= !matches!((&scanned, &counted), (Ok(true), Ok(_)));
            state.failed = state.failed.take().or(scanned.err());
            match counted {
                Ok(counters) => unit.counters = counters,
                Err(error) => state.failed = state.failed.take().or(Some(error)),
            }
            state.walk = Some(walk);
            match (state.is_at_end, state.free.is_empty()) {
                (true, _) => Woken::All,
                (false, true) => Woken::Nobody,
                (false, false) => Woken::One,
            }
        });
        unit.bring_in_ahead();
    }

    /// Finds out whose the packets are.
    fn assign(&self, number: u64, mut unit: WorkUnit) {
        unit.assign();
        let mut stage = (number, UnitStage::Assigned(unit), None);
        loop {
            let mut to_resolve = None;
            self.scheduler.change(|state| {
                let (number, stage, resolver) = stage;
                state.set(number, stage);
                state.resolver = state.resolver.take().or(resolver);
                let before = state.unready();
                to_resolve = state.pass_ready();
                let UnitPace { step, is_prompt, .. } = self.scheduler.pace;
                match (state.is_worth_waking(before, step), is_prompt) {
                    (true, _) => Woken::All,
                    (false, true) => Woken::Concerned(before),
                    (false, false) => Woken::Nobody,
                }
            });
            let Some((number, mut unit, mut resolver)) = to_resolve else { break };
            unit.resolve(&mut resolver);
            stage = (number, UnitStage::Ready(Arc::new(unit)), Some(resolver));
        }
    }

    fn process<O: Observer>(&mut self, unit: Arc<WorkUnit>, worker: &mut Worker<O>) -> Polled {
        (self.counters, self.position) = (unit.counters, unit.position);
        if unit.notice.is_some() {
            self.notice.clone_from(&unit.notice);
        }
        worker.work_unit(&unit);
        let polled = unit.idle.map_or(Polled::Lent(unit.len() as u32), Polled::Idle);
        drop(unit);
        self.next += 1;
        self.processed += 1;
        if self.taken.is_empty() {
            // Others may wait for the news that nothing of ours comes before theirs, and hold units meanwhile.
            worker.tell_progress();
            let count = std::mem::take(&mut self.processed);
            self.scheduler.release(self.next - count, count);
        }
        polled
    }

    /// True where unread packets wait for us.
    pub const fn waits(&self) -> bool {
        self.waits
    }

    /// As of the unit that was processed last.
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// The same.
    pub const fn position(&self) -> Position {
        self.position
    }

    /// What the source had to say.
    pub const fn notice(&mut self) -> Option<String> {
        self.notice.take()
    }
}

impl Drop for WorkerHandle {
    /// A worker that goes before the end (a panic, an error) keeps nobody waiting for what it had taken.
    fn drop(&mut self) {
        if !self.is_done {
            self.scheduler.change(|state| {
                state.is_deserted = true;
                Woken::All
            });
            self.scheduler.freed.notify_one();
        }
    }
}
