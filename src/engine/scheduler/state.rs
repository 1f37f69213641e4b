//! What the workers on one source share under their lock: the units, how far each is, and the walk.
//!
//! Owns the order of the units. Knows no thread: who waits is a number here. Its invariant: a unit is under way from when it is taken
//! until the last worker is done with it, and units leave in the order in which they came.

use super::super::Stop;
use super::super::unit_fragments::FragmentResolver;
use super::super::work_unit::WorkUnit;
use super::sleepers::WorkerSet;
use netscope_backends::BackendError;
use netscope_backends::file::Scanner;
use std::collections::VecDeque;
use std::sync::Arc;

/// Most bytes of a mapped file between the walk and the slowest worker. They are what of the file is resident, besides what is brought
/// in ahead.
const UNDER_WAY_LEN: u64 = 32 << 20;

pub(super) struct SchedulerState {
    /// `None` while a worker walks, and where a reader fills the units.
    pub walk: Option<Walk>,
    pub free: Vec<WorkUnit>,
    /// Units that were taken for a walk or filled by a reader and that a worker still needs, in order.
    under_way: VecDeque<UnderWay>,
    /// Number of the first of them.
    first: u64,
    /// Number of the first one that no worker has taken to make it ready.
    pub untaken: u64,
    /// Number of the first one that is not ready.
    unready: u64,
    /// `None` while a worker looks at a unit's fragments, and behind the end.
    pub resolver: Option<Box<FragmentResolver>>,
    /// The same when those who sleep were last woken for want of units.
    short_at: u64,
    /// Workers that wait for a change.
    pub sleeping: WorkerSet,
    pub reader_waits: bool,
    /// How often workers were asked something.
    pub asked: u64,
    /// Bytes of the source before which no worker needs any.
    pub behind: u64,
    /// No more will come.
    pub is_at_end: bool,
    /// A worker is gone before the end: what it took may never become ready.
    pub is_deserted: bool,
    pub failed: Option<BackendError>,
}

/// The walk over a mapped file.
pub(super) struct Walk {
    pub scanner: Scanner,
    pub packets: u64,
    pub count_max: u64,
    pub stop: Stop,
}

struct UnderWay {
    stage: UnitStage,
    /// Workers that are not done with it.
    left: usize,
}

/// How far a unit is.
pub(super) enum UnitStage {
    /// Whose its packets are is not known.
    Filled(WorkUnit),
    /// A worker is making it ready.
    Taken,
    /// Whose its packets are is known, but for fragments: those of the units before come first.
    Assigned(WorkUnit),
    Ready(Arc<WorkUnit>),
}

/// What a worker has to do.
pub(super) enum UnitTask {
    Walk(u64, Walk, WorkUnit),
    Assign(u64, WorkUnit),
    Process(Arc<WorkUnit>),
    /// To look what it was asked.
    Nothing,
    End,
}

impl SchedulerState {
    pub fn new(free: Vec<WorkUnit>, walk: Option<Walk>) -> Self {
        let resolver = FragmentResolver::new(walk.as_ref().map_or(u64::MAX, |walk| walk.count_max));
        Self {
            walk,
            resolver: Some(Box::new(resolver)),
            under_way: VecDeque::with_capacity(free.len()),
            free,
            first: 0,
            untaken: 0,
            unready: 0,
            short_at: 0,
            sleeping: WorkerSet::default(),
            reader_waits: false,
            asked: 0,
            behind: 0,
            is_at_end: false,
            is_deserted: false,
            failed: None,
        }
    }

    fn place(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(self.first)?).ok()
    }

    fn stage(&mut self, number: u64) -> Option<&mut UnitStage> {
        let place = self.place(number)?;
        self.under_way.get_mut(place).map(|under_way| &mut under_way.stage)
    }

    /// The unit of this number, when it is ready.
    pub fn ready(&self, number: u64) -> Option<&Arc<WorkUnit>> {
        match &self.under_way.get(self.place(number)?)?.stage {
            UnitStage::Ready(unit) => Some(unit),
            UnitStage::Filled(_) | UnitStage::Taken | UnitStage::Assigned(_) => None,
        }
    }

    /// Number of the unit that will come next.
    pub fn end(&self) -> u64 {
        self.first + self.under_way.len() as u64
    }

    /// A unit comes, for `workers`.
    pub fn push(&mut self, stage: UnitStage, workers: usize) {
        self.under_way.push_back(UnderWay { stage, left: workers });
        let unresolved = self.pass_ready();
        debug_assert!(unresolved.is_none(), "whoever assigns units resolves those that can be");
    }

    /// The unit of this number comes to this stage.
    pub fn set(&mut self, number: u64, to: UnitStage) {
        if let Some(stage) = self.stage(number) {
            *stage = to;
        }
    }

    /// Makes units ready, in order, as far as it is known whose their packets are. Ends early at one whose fragments are to be
    /// resolved first, by the caller, which has the resolver until it gives both back.
    pub fn pass_ready(&mut self) -> Option<(u64, WorkUnit, Box<FragmentResolver>)> {
        let mut resolver = self.resolver.take()?;
        loop {
            let number = self.unready;
            match self.stage(number) {
                Some(UnitStage::Ready(_)) => {}
                Some(stage @ UnitStage::Assigned(_)) => match std::mem::replace(stage, UnitStage::Taken) {
                    UnitStage::Assigned(unit) if unit.has_fragments() => return Some((number, unit, resolver)),
                    UnitStage::Assigned(unit) => {
                        resolver.pass(unit.len());
                        *stage = UnitStage::Ready(Arc::new(unit));
                    }
                    UnitStage::Filled(_) | UnitStage::Taken | UnitStage::Ready(_) => {}
                },
                Some(UnitStage::Filled(_) | UnitStage::Taken) | None => {
                    self.resolver = Some(resolver);
                    return None;
                }
            }
            self.unready += 1;
        }
    }

    /// Number of the first unit that is not ready.
    pub const fn unready(&self) -> u64 {
        self.unready
    }

    /// True when it is worth waking all who wait for units: since `before` was the first that was not ready, `step` more are, or no
    /// more will come.
    pub const fn is_worth_waking(&self, before: u64, step: u64) -> bool {
        before / step < self.unready / step || self.is_at_end && before < self.unready
    }

    /// Those who wait and have packets in what is ready since `before` was the first unit that was not; the leading worker always, which
    /// tells how far all are.
    pub fn take_concerned(&mut self, before: u64) -> WorkerSet {
        let mut sleeping = std::mem::take(&mut self.sleeping);
        let is_concerned =
            |worker: u32| (before..self.unready).filter_map(|number| self.ready(number)).any(|unit| unit.concerns(worker));
        let concerned = sleeping.take(|worker| worker == 0 || is_concerned(worker));
        self.sleeping = sleeping;
        concerned
    }

    /// The next unit that has to be made ready, when it is there or can be walked to.
    pub fn take(&mut self, workers: usize) -> Option<UnitTask> {
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
        if self.is_at_end || self.has_enough_under_way() {
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

    /// True when nothing is to be walked to before a worker is done with something.
    fn has_enough_under_way(&self) -> bool {
        let is_far = |walk: &Walk| walk.scanner.position().bytes_read.saturating_sub(self.behind) >= UNDER_WAY_LEN;
        self.free.is_empty() || !self.under_way.is_empty() && self.walk.as_ref().is_some_and(is_far)
    }

    /// True when the walk could go on but for those who are not done with units, of which some may be ready for who sleeps; once for
    /// as many as are ready.
    pub fn is_short_of_units(&mut self) -> bool {
        let is_short = !self.is_at_end && self.walk.is_some() && self.short_at < self.unready && self.has_enough_under_way();
        if is_short {
            self.short_at = self.unready;
        }
        is_short
    }

    /// A worker is done with `count` units from this one on; true when that set one free.
    pub fn release(&mut self, number: u64, count: u64) -> bool {
        for number in number..number + count {
            let place = self.place(number);
            if let Some(under_way) = place.and_then(|place| self.under_way.get_mut(place)) {
                under_way.left -= 1;
            }
        }
        let free = self.free.len();
        while self.under_way.front().is_some_and(|first| first.left == 0) {
            self.first += 1;
            if let Some(UnderWay { stage: UnitStage::Ready(unit), .. }) = self.under_way.pop_front() {
                self.behind = unit.position.bytes_read;
                self.free.extend(Arc::into_inner(unit));
            }
        }
        self.free.len() > free
    }
}
