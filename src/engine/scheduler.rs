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

use super::work_unit::WorkUnit;
use super::{Observer, Stop, Worker};
use crate::flow::Keying;
use netscope_backends::file::Scanner;
use netscope_backends::{BackendError, Counters, Polled, Position};
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Units that are made ready ahead of a worker before it processes the next one, per worker.
const AHEAD: usize = 2;
/// Units of a mapped file under way, per worker. With as many as this, the fastest can be [`AHEAD`] and the slowest as far behind.
const UNITS: usize = 4;

/// What all workers on one source share.
pub(super) struct Scheduler {
    state: Mutex<SchedulerState>,
    /// A unit was filled or became ready, the walk or a unit for it is free again, or the end was reached.
    changed: Condvar,
    /// The same for the reader: a unit is free again, or no worker is left to fill it for.
    freed: Condvar,
    workers: usize,
}

struct SchedulerState {
    /// `None` while a worker walks, and where a reader fills the units.
    walk: Option<Walk>,
    free: Vec<WorkUnit>,
    /// Units that were taken for a walk or filled by a reader and that a worker still needs, in order.
    under_way: VecDeque<UnderWay>,
    /// Number of the first of them.
    first: u64,
    /// Number of the first one that no worker has taken to make it ready.
    untaken: u64,
    /// Workers that wait for a change. Waking costs a system call even when none waits.
    waiting: usize,
    reader_waits: bool,
    /// No more will come.
    is_at_end: bool,
    /// A worker is gone before the end: what it took may never become ready.
    is_deserted: bool,
    failed: Option<BackendError>,
}

/// The walk over a mapped file.
struct Walk {
    scanner: Scanner,
    packets: u64,
    count_max: u64,
    stop: Stop,
}

struct UnderWay {
    stage: UnitStage,
    /// Workers that are not done with it.
    left: usize,
}

/// How far a unit is.
#[expect(clippy::large_enum_variant, reason = "there is one per unit, and a unit holds a thousand packets")]
enum UnitStage {
    /// Whose its packets are is not known.
    Filled(WorkUnit),
    /// A worker is making it ready.
    Taken,
    Ready(Arc<WorkUnit>),
}

/// One worker's place at a source that several share.
pub struct WorkerHandle {
    scheduler: Arc<Scheduler>,
    index: u32,
    /// True where unread packets wait.
    waits: bool,
    /// Number of the unit that comes next.
    next: u64,
    counters: Counters,
    position: Position,
    notice: Option<String>,
    is_done: bool,
}

/// What a worker has to do.
enum UnitTask {
    Walk(u64, Walk, WorkUnit),
    Assign(u64, WorkUnit),
    Process(Arc<WorkUnit>),
    End,
}

/// Places for `workers`, which key by `keying`, at the packets of `scanner`: up to the unit in which packet `count_max`
/// lies, until `stop` is requested.
pub fn share_mapped(scanner: Scanner, workers: usize, keying: Keying, count_max: u64, stop: &Stop) -> Vec<WorkerHandle> {
    let free = (0..UNITS * workers).map(|_| WorkUnit::mapped(&scanner, workers, keying)).collect();
    let position = scanner.position();
    let walk = Walk { scanner, packets: 0, count_max, stop: stop.clone() };
    Scheduler::new(free, Some(walk), workers).handles(position, true)
}

impl Scheduler {
    fn new(free: Vec<WorkUnit>, walk: Option<Walk>, workers: usize) -> Arc<Self> {
        let state = SchedulerState {
            walk,
            under_way: VecDeque::with_capacity(free.len()),
            free,
            first: 0,
            untaken: 0,
            waiting: 0,
            reader_waits: false,
            is_at_end: false,
            is_deserted: false,
            failed: None,
        };
        Arc::new(Self { state: Mutex::new(state), changed: Condvar::new(), freed: Condvar::new(), workers })
    }

    /// For a reader that fills `units` units of copies.
    pub(super) fn of_reader(units: usize, workers: usize, keying: Keying) -> Arc<Self> {
        Self::new((0..units).map(|_| WorkUnit::copied(workers, keying)).collect(), None, workers)
    }

    /// A place for each worker.
    pub(super) fn handles(self: &Arc<Self>, position: Position, waits: bool) -> Vec<WorkerHandle> {
        let handle = |index| WorkerHandle {
            scheduler: Arc::clone(self),
            index,
            waits,
            next: 0,
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

    /// Makes a change under the lock, then wakes the workers that may have waited for it.
    fn change(&self, change: impl FnOnce(&mut SchedulerState)) {
        let mut state = self.lock();
        change(&mut state);
        let is_awaited = state.waiting > 0;
        drop(state);
        if is_awaited {
            self.changed.notify_all();
        }
    }

    /// Waits for a change.
    fn wait<'a>(&self, mut state: MutexGuard<'a, SchedulerState>) -> MutexGuard<'a, SchedulerState> {
        state.waiting += 1;
        state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
        state
    }

    /// A worker is done with a unit, and has let go of it.
    fn release(&self, number: u64) {
        let mut state = self.lock();
        if !state.release(number) {
            return;
        }
        let (is_awaited, reader_waits) = (state.waiting > 0 && state.walk.is_some(), state.reader_waits);
        drop(state);
        if is_awaited {
            self.changed.notify_all();
        }
        if reader_waits {
            self.freed.notify_one();
        }
    }

    /// For the reader: an empty unit. With `insist` waits for one as long as there are workers that may let go of one.
    pub(super) fn take_free(&self, insist: bool) -> Option<WorkUnit> {
        let mut state = self.lock();
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
        let mut state = self.lock();
        state.under_way.push_back(UnderWay { stage, left: self.workers });
        let is_awaited = state.waiting > 0;
        drop(state);
        match is_awaited {
            true if is_empty => self.changed.notify_all(),
            // The worker that waits can make it ready, and then wakes the others.
            true => self.changed.notify_one(),
            false => {}
        }
    }

    /// For the reader: no more units will come.
    pub(super) fn end(&self, failed: Option<BackendError>) {
        self.change(|state| {
            state.is_at_end = true;
            state.failed = state.failed.take().or(failed);
        });
    }

    /// True when a worker ended before the source did, so that no worker goes on.
    pub(super) fn is_deserted(&self) -> bool {
        self.lock().is_deserted
    }
}

impl SchedulerState {
    fn place(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(self.first)?).ok()
    }

    fn stage(&mut self, number: u64) -> Option<&mut UnitStage> {
        let place = self.place(number)?;
        self.under_way.get_mut(place).map(|under_way| &mut under_way.stage)
    }

    /// The unit of this number, when it is ready.
    fn ready(&self, number: u64) -> Option<&Arc<WorkUnit>> {
        match &self.under_way.get(self.place(number)?)?.stage {
            UnitStage::Ready(unit) => Some(unit),
            UnitStage::Filled(_) | UnitStage::Taken => None,
        }
    }

    /// Number of the unit that will come next.
    fn end(&self) -> u64 {
        self.first + self.under_way.len() as u64
    }

    /// The next unit that has to be made ready, when it is there or can be walked to.
    fn take(&mut self, workers: usize) -> Option<UnitTask> {
        while self.untaken < self.end() {
            let number = self.untaken;
            self.untaken += 1;
            // An empty unit is ready from the start.
            if let Some(stage @ UnitStage::Filled(_)) = self.stage(number)
                && let UnitStage::Filled(unit) = std::mem::replace(stage, UnitStage::Taken)
            {
                return Some(UnitTask::Assign(number, unit));
            }
        }
        self.take_walk(workers)
    }

    /// A unit and the walk, when both are free and there may be more packets.
    fn take_walk(&mut self, workers: usize) -> Option<UnitTask> {
        if self.is_at_end || self.free.is_empty() {
            return None;
        }
        let walk = self.walk.take_if(|walk| !walk.stop.is_requested() && walk.packets < walk.count_max);
        let Some(walk) = walk else {
            self.is_at_end = self.walk.is_some();
            return None;
        };
        let unit = self.free.pop()?;
        let number = self.end();
        self.under_way.push_back(UnderWay { stage: UnitStage::Taken, left: workers });
        self.untaken = self.end();
        Some(UnitTask::Walk(number, walk, unit))
    }

    /// A worker is done with a unit; true when that set one free.
    fn release(&mut self, number: u64) -> bool {
        let place = self.place(number);
        if let Some(under_way) = place.and_then(|place| self.under_way.get_mut(place)) {
            under_way.left -= 1;
        }
        let free = self.free.len();
        while self.under_way.front().is_some_and(|first| first.left == 0) {
            self.first += 1;
            if let Some(UnderWay { stage: UnitStage::Ready(unit), .. }) = self.under_way.pop_front() {
                self.free.extend(Arc::into_inner(unit));
            }
        }
        self.free.len() > free
    }
}

impl WorkerHandle {
    /// Does one thing: makes a unit ready, lets `worker` process one, or waits for the next.
    ///
    /// # Errors
    /// What went wrong in the source, told to the leading worker alone, after everything before it was processed.
    pub fn poll<O: Observer>(&mut self, worker: &mut Worker<O>) -> Result<Polled, BackendError> {
        match self.task() {
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
            UnitTask::End => {
                self.is_done = true;
                let failed = if self.index == 0 { self.scheduler.lock().failed.take() } else { None };
                failed.map_or(Ok(Polled::End), Err)
            }
        }
    }

    fn task(&self) -> UnitTask {
        let workers = self.scheduler.workers;
        let mut state = self.scheduler.lock();
        loop {
            if state.is_deserted {
                return UnitTask::End;
            }
            let is_ready = state.ready(self.next).is_some();
            if (!is_ready || state.untaken.saturating_sub(self.next) < (AHEAD * workers) as u64)
                && let Some(task) = state.take(workers)
            {
                return task;
            }
            match state.ready(self.next) {
                Some(unit) => return UnitTask::Process(Arc::clone(unit)),
                None if state.is_at_end && self.next == state.end() => return UnitTask::End,
                None => state = self.scheduler.wait(state),
            }
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
        });
        unit.bring_in_ahead();
    }

    /// Finds out whose the packets are.
    fn assign(&self, number: u64, mut unit: WorkUnit) {
        unit.assign();
        self.scheduler.change(|state| {
            if let Some(stage) = state.stage(number) {
                *stage = UnitStage::Ready(Arc::new(unit));
            }
        });
    }

    fn process<O: Observer>(&mut self, unit: Arc<WorkUnit>, worker: &mut Worker<O>) -> Polled {
        (self.counters, self.position) = (unit.counters, unit.position);
        if unit.notice.is_some() {
            self.notice.clone_from(&unit.notice);
        }
        worker.work_unit(&unit);
        let polled = unit.idle.map_or(Polled::Lent(unit.len() as u32), Polled::Idle);
        drop(unit);
        self.scheduler.release(self.next);
        self.next += 1;
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
            self.scheduler.change(|state| state.is_deserted = true);
            self.scheduler.freed.notify_one();
        }
    }
}
