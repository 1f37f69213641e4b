//! Questions about flows: asked once for all who want the same, and kept while somebody pages through the answer.
//!
//! Owns the answers. Knows no format. Invariants: at most [`ANSWERS_MAX`] answers with [`RECORDS_MAX`] records are kept, none longer
//! than [`KEEP`]; who asks the same at the same time waits for one question.

use super::board::Board;
use super::error::{ApiError, ErrorCode};
use super::filtering::{PageFilter, sort_key};
use super::rates::RatesNow;
use crate::aggregate::{FlowQuestion, FlowTotals, FlowsFound, FoundFlow, NoAnswer, Question, Summary, Table};
use crate::engine::{Predicate, SortKey};
use crate::flow::FlowRecord;
use netscope_backends::Timestamp;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OnceCell, oneshot};

/// Flows of an answer at most.
pub const FLOWS_MAX: usize = 10_000;
/// Flows of a small answer: of one page or some.
const FLOWS_FEW: usize = 1000;
/// An answer younger than this is given again.
const FRESH: Duration = Duration::from_millis(500);
/// An answer is kept so long for those who page through it.
const KEEP: Duration = Duration::from_secs(10);
/// Answers kept.
const ANSWERS_MAX: usize = 32;
/// Records of all answers kept, about 45 MB; their facts take as much, and 130 MB at most ([`FlowsFound::FACT_BYTES_MAX`]).
const RECORDS_MAX: usize = 100_000;
/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Which flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowScope {
    /// Live ones and those that ended lately.
    All,
    /// Live ones.
    Live,
    /// Those that ended.
    Ended,
}

impl FlowScope {
    /// The name in requests.
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Live => "live",
            Self::Ended => "ended",
        }
    }

    /// Of a name in requests.
    pub fn of_name(name: &str) -> Self {
        [Self::All, Self::Live, Self::Ended].into_iter().find(|scope| scope.name() == name).unwrap_or(Self::All)
    }
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct FlowAsk {
    /// Which flows.
    pub filter: PageFilter,
    /// A field's name, or `rate`.
    pub sort: String,
    /// Largest first.
    pub is_descending: bool,
    /// Live ones, or ended ones.
    pub scope: FlowScope,
    /// How many at least, up to [`FLOWS_MAX`].
    pub count: usize,
}

/// What makes two questions the same.
#[derive(Clone, Debug, PartialEq, Eq)]
struct AskName {
    filter: String,
    sort: String,
    is_descending: bool,
    scope: FlowScope,
    limit: usize,
}

/// An answer.
#[derive(Debug)]
pub struct KeptAnswer {
    /// Its number, for those who page through it.
    pub number: u64,
    /// The flows.
    pub found: FlowsFound,
    /// Rates when it was made.
    pub rates: Arc<RatesNow>,
    /// How long it took.
    pub took: Duration,
    made: Instant,
}

impl KeptAnswer {
    /// What is missing, unless it is whole. `has_facts`: what is known of flows beyond their records is shown.
    pub fn why(&self, has_facts: bool) -> Option<&'static str> {
        match &self.found {
            FlowsFound { is_whole: false, .. } => Some("some queue did not answer in time, or some ended flows are not kept"),
            FlowsFound { facts_left_out: 1.., .. } if has_facts => {
                Some("what is known of some flows found no room: 8 MiB of an answer")
            }
            _ => None,
        }
    }
}

type AnswerCell = Arc<OnceCell<Arc<KeptAnswer>>>;

struct CacheEntry {
    name: AskName,
    number: u64,
    asked: Instant,
    cell: AnswerCell,
}

impl CacheEntry {
    fn is_fresh(&self) -> bool {
        self.cell.get().map_or(self.asked.elapsed() < PATIENCE, |answer| answer.made.elapsed() < FRESH)
    }

    fn is_old(&self) -> bool {
        self.cell.get().map_or(self.asked.elapsed() > KEEP + PATIENCE, |answer| answer.made.elapsed() > KEEP)
    }
}

/// The answers that are kept.
#[derive(Default)]
pub struct AnswerCache {
    entries: Mutex<VecDeque<CacheEntry>>,
    numbers: std::sync::atomic::AtomicU64,
}

impl AnswerCache {
    /// The cell of an answer to this question, and its number: one that is fresh or under way, or a new one.
    fn cell(&self, name: AskName) -> (AnswerCell, u64) {
        let mut entries = self.entries();
        entries.retain(|entry| !entry.is_old());
        if let Some(entry) = entries.iter().rev().find(|entry| entry.name == name && entry.is_fresh()) {
            return (Arc::clone(&entry.cell), entry.number);
        }
        // Relaxed: only the number counts.
        let number = self.numbers.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
        let cell = AnswerCell::default();
        entries.push_back(CacheEntry { name, number, asked: Instant::now(), cell: Arc::clone(&cell) });
        let is_over = |entries: &VecDeque<CacheEntry>| {
            entries.len() > ANSWERS_MAX || entries.iter().map(|entry| entry.name.limit).sum::<usize>() > RECORDS_MAX
        };
        while is_over(&entries) {
            entries.pop_front();
        }
        (cell, number)
    }

    /// The answer of this number, while it is kept.
    pub fn kept(&self, number: u64) -> Option<Arc<KeptAnswer>> {
        let entries = self.entries();
        entries.iter().find(|entry| entry.number == number && !entry.is_old()).and_then(|entry| entry.cell.get().cloned())
    }

    /// Forgets all: what they say is not so any more.
    pub fn forget(&self) {
        self.entries().clear();
    }

    fn entries(&self) -> MutexGuard<'_, VecDeque<CacheEntry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Board {
    /// Asks for flows.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn flows(self: &Arc<Self>, ask: FlowAsk) -> Result<Arc<KeptAnswer>, ApiError> {
        let FlowAsk { filter, sort, is_descending, scope, count } = ask;
        if filter.asks_for_facts() && !self.settings.has_facts {
            return Err(ApiError::new(
                ErrorCode::BadFilter,
                "the filter asks for what payload says, and this run does not look: start it without --no-dpi",
            ));
        }
        let limit = if count <= FLOWS_FEW { FLOWS_FEW } else { FLOWS_MAX };
        let rates = self.with_rates(super::rates::FlowRates::now);
        let sort_by = sort_key(&sort, is_descending, Arc::clone(&rates))?;
        let (cell, number) = self.answers.cell(AskName { filter: filter.text().to_owned(), sort, is_descending, scope, limit });
        let answer = cell.get_or_try_init(|| async {
            let started = Instant::now();
            let found = self.find(filter.predicate(self.settings.records), sort_by, scope, limit).await?;
            let made = Instant::now();
            Ok(Arc::new(KeptAnswer { number, found, rates, took: made - started, made }))
        });
        answer.await.cloned()
    }

    /// The best flows by `sort`; of a run that is over, those of its table.
    pub async fn find(
        self: &Arc<Self>,
        predicate: Option<Predicate>,
        sort: SortKey,
        scope: FlowScope,
        limit: usize,
    ) -> Result<FlowsFound, ApiError> {
        if self.end().is_none() {
            match self.ask_run(predicate.clone(), sort.clone(), scope, limit).await {
                // The last packet was read, and the table of all flows is being made.
                Ok(Err(NoAnswer::Over)) if self.leaves_table() => self.await_end().await?,
                Ok(answer) => return Ok(answer?),
                Err(refused) => return Err(refused),
            }
        }
        let Some(end) = self.end().map(Arc::clone) else { return Err(NoAnswer::Over.into()) };
        let time = self.report().map_or(Timestamp(0), |report| report.time);
        self.heavy(move || Ok(of_table(&end, time, predicate.as_ref(), &sort, scope, limit))).await
    }

    /// Waits for the table of all flows.
    async fn await_end(&self) -> Result<(), ApiError> {
        let mut frames = self.frames();
        let is_there = async { while self.end().is_none() && frames.changed().await.is_ok() {} };
        tokio::time::timeout(PATIENCE, is_there).await.map_err(|_| too_slow())
    }

    /// Asks a run that goes on.
    async fn ask_run(
        &self,
        predicate: Option<Predicate>,
        sort: SortKey,
        scope: FlowScope,
        limit: usize,
    ) -> Result<Result<FlowsFound, NoAnswer>, ApiError> {
        let (sender, receiver) = oneshot::channel();
        // Gone with this future: by then nobody awaits the answer.
        let asker = Arc::new(());
        let question = FlowQuestion {
            predicate,
            sort,
            limit,
            with_ended: scope != FlowScope::Live,
            with_live: scope != FlowScope::Ended,
            asker: Some(Arc::downgrade(&asker)),
        };
        let reply = Box::new(move |answer| {
            // Whoever asked may be gone.
            let _ = sender.send(answer);
        });
        self.hooks.questions.ask(Question::Flows(question, reply));
        match tokio::time::timeout(PATIENCE, receiver).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Ok(Err(NoAnswer::Over)),
            Err(_) => Err(too_slow()),
        }
    }
}

fn too_slow() -> ApiError {
    ApiError::new(ErrorCode::Busy, "the flows were not told in time; ask again")
}

/// The same of the table that a run left.
fn of_table(
    end: &(Table, Summary),
    time: Timestamp,
    predicate: Option<&Predicate>,
    sort: &SortKey,
    scope: FlowScope,
    limit: usize,
) -> FlowsFound {
    let (table, summary) = end;
    let mut found = FlowsFound { time, is_whole: summary.export_left_out == 0, ..FlowsFound::default() };
    if scope == FlowScope::Live {
        return found;
    }
    // The worst of the best is on top; of equals the one that stands first in the table is better.
    let mut best: BinaryHeap<Reverse<(u64, Reverse<usize>)>> = BinaryHeap::with_capacity(limit.min(table.len()) + 1);
    for (index, record) in table.iter().enumerate() {
        found.looked_at += 1;
        if predicate.is_some_and(|predicate| !predicate.is_true(&record, table.facts(index))) {
            continue;
        }
        found.matched = with(found.matched, &record);
        best.push(Reverse((sort.of(&record, false), Reverse(index))));
        if best.len() > limit {
            best.pop();
        }
    }
    let order = best.into_sorted_vec();
    let flow = |index: usize| FoundFlow::new(table.record(index), false, table.facts(index).into());
    found.flows = order.into_iter().map(|Reverse((_, Reverse(index)))| flow(index)).collect();
    found.bound_facts();
    found
}

fn with(totals: FlowTotals, record: &FlowRecord) -> FlowTotals {
    FlowTotals {
        flows: totals.flows + 1,
        packets: totals.packets.saturating_add(record.packets[0]).saturating_add(record.packets[1]),
        bytes: totals.bytes.saturating_add(record.bytes[0]).saturating_add(record.bytes[1]),
    }
}

/// An answer of these flows, for tests.
#[cfg(test)]
pub(super) fn answer_of(found: FlowsFound) -> KeptAnswer {
    KeptAnswer { number: 1, found, rates: Arc::default(), took: Duration::ZERO, made: Instant::now() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::test_records::tcp_record;

    fn name(filter: &str, limit: usize) -> AskName {
        AskName { filter: filter.to_owned(), sort: "rate".to_owned(), is_descending: true, scope: FlowScope::All, limit }
    }

    #[test]
    fn the_same_question_is_one_and_kept_answers_are_bounded() {
        let cache = AnswerCache::default();
        let (first, number) = cache.cell(name("a", 1000));
        assert!(Arc::ptr_eq(&first, &cache.cell(name("a", 1000)).0) && cache.kept(number).is_none());
        assert!(!Arc::ptr_eq(&first, &cache.cell(name("b", 1000)).0));
        for at in 0..200 {
            cache.cell(name(&at.to_string(), FLOWS_MAX));
        }
        assert_eq!(cache.entries().len(), RECORDS_MAX / FLOWS_MAX);
        (0..200).for_each(|at| {
            cache.cell(name(&at.to_string(), 1));
        });
        assert!(cache.entries().len() <= ANSWERS_MAX);
    }

    #[test]
    fn a_table_gives_the_best_in_order() {
        let records = (0..100_u64).map(|number| FlowRecord { bytes: [number * 7 % 100, 0], ..tcp_record() });
        let end = (records.collect::<Table>(), Summary::default());
        let even = Predicate::new(|record, _| record.bytes[0].is_multiple_of(2));
        let found = of_table(&end, Timestamp(0), Some(&even), &SortKey::Bytes, FlowScope::All, 3);
        let bytes: Vec<u64> = found.flows.iter().map(|flow| flow.record.bytes[0]).collect();
        assert_eq!((bytes, found.matched.flows, found.looked_at, found.is_whole), (vec![98, 96, 94], 50, 100, true));
        assert!(of_table(&end, Timestamp(0), None, &SortKey::Bytes, FlowScope::Live, 3).flows.is_empty());
    }
}
