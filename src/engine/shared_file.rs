//! Several workers on one capture file: whoever has time finds the next packets, for all.
//!
//! Owns the units of the file that are under way, a fixed number of them. Knows no packet and no format. Its invariant: every
//! worker is given every unit, in the order of the file, and a unit is filled anew only when the last of them is done
//! with it.
//!
//! One worker at a time walks over the records (they form a chain, so this cannot be divided); whose the packets are is then found
//! without a lock. The lock is held for a few instructions per unit, never per packet. Nobody waits while it could find
//! packets, and whoever finds some makes them ready without waiting for anybody, so somebody can always go on. Only the search is
//! ended early, by a stop or by `--count`: then everybody goes on to the last unit that was found, so all end at one packet.

use super::work_unit::WorkUnit;
use super::{Observer, Stop, Worker};
use crate::flow::HashSecret;
use netscope_backends::file::Scanner;
use netscope_backends::{BackendError, Counters, Polled, Position};
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Stretches that are found ahead of a worker before it looks at the next one, per worker.
const AHEAD: usize = 2;
/// Stretches under way, per worker. With as many as this, the fastest can be [`AHEAD`] and the slowest as far behind.
const UNITS: usize = 4;

struct Shared {
    state: Mutex<State>,
    /// A unit became ready or free, the walk is free again, or the end was reached.
    changed: Condvar,
    workers: usize,
    stop: Stop,
    count_max: u64,
}

struct State {
    /// `None` while somebody walks.
    walk: Option<Walk>,
    free: Vec<WorkUnit>,
    /// Stretches that were taken for a walk and that somebody still needs, in order.
    under_way: VecDeque<UnderWay>,
    /// Number of the first of them.
    first: u64,
    /// Workers that wait for a change; to wake nobody costs a system call, too.
    waiting: usize,
    /// No more will be found.
    is_at_end: bool,
    /// A worker is gone before the end: what it took for a walk may never become ready.
    is_deserted: bool,
    failed: Option<BackendError>,
}

/// The walk over the file.
struct Walk {
    scanner: Scanner,
    packets: u64,
}

struct UnderWay {
    /// `None` until it is ready.
    unit: Option<Arc<WorkUnit>>,
    /// Workers that are not done with it.
    left: usize,
}

/// One worker's place in the shared_file.
pub struct WorkerHandle {
    shared: Arc<Shared>,
    index: u32,
    /// Number of the unit that comes next.
    next: u64,
    counters: Counters,
    position: Position,
    notice: Option<String>,
    is_done: bool,
}

/// What a handle has to do.
#[expect(clippy::large_enum_variant, reason = "lives on the stack, once per unit of thousands of packets")]
enum Task {
    Find(u64, Walk, WorkUnit),
    Process(Arc<WorkUnit>),
    End,
}

/// A shared_file of `workers`, whose tables hash with `secret`, on the packets of `scanner`: up to the unit in which packet `count_max`
/// lies, until `stop` is requested.
pub fn shared_file(scanner: Scanner, workers: usize, secret: HashSecret, count_max: u64, stop: &Stop) -> Vec<WorkerHandle> {
    let free = (0..UNITS * workers).map(|_| WorkUnit::new(scanner.places(), workers, secret)).collect();
    let position = scanner.position();
    let state = State {
        walk: Some(Walk { scanner, packets: 0 }),
        free,
        under_way: VecDeque::with_capacity(UNITS * workers),
        first: 0,
        waiting: 0,
        is_at_end: false,
        is_deserted: false,
        failed: None,
    };
    let (state, changed, stop) = (Mutex::new(state), Condvar::new(), stop.clone());
    let shared = Arc::new(Shared { state, changed, workers, stop, count_max });
    let handle = |index| WorkerHandle {
        shared: Arc::clone(&shared),
        index,
        next: 0,
        counters: Counters::default(),
        position,
        notice: None,
        is_done: false,
    };
    (0..u32::try_from(workers).unwrap_or(u32::MAX)).map(handle).collect()
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A worker that panicked has deserted, which the state says.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a change under the lock, then wakes who may have waited for it.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        let is_awaited = state.waiting > 0;
        drop(state);
        if is_awaited {
            self.changed.notify_all();
        }
    }

    /// Waits for a change.
    fn wait<'a>(&self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        state.waiting += 1;
        state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
        state
    }
}

impl State {
    /// The unit of this number, when it is ready.
    fn ready(&self, number: u64) -> Option<&Arc<WorkUnit>> {
        let place = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.under_way.get(place)?.unit.as_ref()
    }

    /// Number of the unit that will be found next.
    fn end(&self) -> u64 {
        self.first + self.under_way.len() as u64
    }

    /// A unit and the walk, when both are free and there may be more packets.
    fn take_walk(&mut self, shared: &Shared) -> Option<(Walk, WorkUnit)> {
        if self.is_at_end || self.free.is_empty() {
            return None;
        }
        let walk = self.walk.take()?;
        if shared.stop.is_requested() || walk.packets >= shared.count_max {
            self.is_at_end = true;
            self.walk = Some(walk);
            return None;
        }
        Some((walk, self.free.pop()?))
    }

    /// A worker is done with a unit, and has let go of it.
    fn release(&mut self, number: u64) {
        let place = number.checked_sub(self.first).and_then(|place| usize::try_from(place).ok());
        if let Some(under_way) = place.and_then(|place| self.under_way.get_mut(place)) {
            under_way.left -= 1;
        }
        while self.under_way.front().is_some_and(|first| first.left == 0) {
            self.first += 1;
            let done = self.under_way.pop_front().and_then(|first| first.unit);
            self.free.extend(done.and_then(Arc::into_inner));
        }
    }
}

impl WorkerHandle {
    /// Does one thing: finds packets, lets `worker` process those that were found, or waits for them.
    ///
    /// # Errors
    /// Damage in the file, told to the leading worker alone, after everything before it was processed.
    pub fn poll<O: Observer>(&mut self, worker: &mut Worker<O>) -> Result<Polled, BackendError> {
        match self.task() {
            Task::Find(number, walk, unit) => {
                self.find(number, walk, unit);
                Ok(Polled::Lent(0))
            }
            Task::Process(unit) => {
                worker.work_unit(&unit);
                (self.counters, self.position) = (unit.counters, unit.position);
                if unit.notice.is_some() {
                    self.notice.clone_from(&unit.notice);
                }
                let packets = unit.len() as u32;
                drop(unit);
                self.shared.change(|state| state.release(self.next));
                self.next += 1;
                Ok(Polled::Lent(packets))
            }
            Task::End => {
                self.is_done = true;
                let failed = if self.index == 0 { self.shared.lock().failed.take() } else { None };
                failed.map_or(Ok(Polled::End), Err)
            }
        }
    }

    fn task(&self) -> Task {
        let mut state = self.shared.lock();
        loop {
            if state.is_deserted {
                return Task::End;
            }
            let ready = state.ready(self.next).cloned();
            let ahead = state.end() - self.next;
            if (ready.is_none() || ahead < (AHEAD * self.shared.workers) as u64)
                && let Some((walk, unit)) = state.take_walk(&self.shared)
            {
                let number = state.end();
                state.under_way.push_back(UnderWay { unit: None, left: self.shared.workers });
                return Task::Find(number, walk, unit);
            }
            match ready {
                Some(unit) => return Task::Process(unit),
                None if state.is_at_end && self.next == state.end() => return Task::End,
                None => state = self.shared.wait(state),
            }
        }
    }

    /// Walks over the records of the next unit, lets the next one walk, finds out whose the packets are.
    fn find(&self, number: u64, mut walk: Walk, mut unit: WorkUnit) {
        let scanned = walk.scanner.scan(unit.places_mut());
        let counted = walk.scanner.counters();
        unit.position = walk.scanner.position();
        unit.notice = walk.scanner.notice();
        walk.packets += unit.len() as u64;
        self.shared.change(|state| {
            state.is_at_end |= !matches!((&scanned, &counted), (Ok(true), Ok(_)));
            state.failed = state.failed.take().or(scanned.err());
            match counted {
                Ok(counters) => unit.counters = counters,
                Err(error) => state.failed = state.failed.take().or(Some(error)),
            }
            state.walk = Some(walk);
        });
        unit.bring_in_ahead();
        unit.assign();
        self.shared.change(|state| {
            let place = usize::try_from(number.saturating_sub(state.first)).unwrap_or(usize::MAX);
            if let Some(under_way) = state.under_way.get_mut(place) {
                under_way.unit = Some(Arc::new(unit));
            }
        });
    }

    /// As of the unit that was processed last.
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// The same.
    pub const fn position(&self) -> Position {
        self.position
    }

    /// What the file had to say.
    pub const fn notice(&mut self) -> Option<String> {
        self.notice.take()
    }
}

impl Drop for WorkerHandle {
    /// A worker that goes before the end (a panic, an error) keeps nobody waiting for what it had taken.
    fn drop(&mut self) {
        if !self.is_done {
            self.shared.change(|state| state.is_deserted = true);
        }
    }
}
