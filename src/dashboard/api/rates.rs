//! How fast flows are: smoothed rates from the top flows of each tick, and their course.
//!
//! Owns the averages. Knows no page. Invariants: at most [`FLOWS_MAX`] flows are followed, the fastest stay; a flow that is in no
//! tick's top flows has no rate here unless the tick named every flow that had bytes.

use super::flow_name::FlowName;
use crate::aggregate::Report;
use crate::flow::{Direction, FlowRecord};
use netscope_backends::Timestamp;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Flows that are followed.
pub const FLOWS_MAX: usize = 4096;
/// Ticks of a flow's course that are kept.
const COURSE_LEN: usize = 120;
/// What has passed so long ago counts a third in the average, in ns.
const SMOOTHING_NS: f64 = 3e9;
/// Below this, in bits per second, a flow that sends nothing is forgotten.
const RATE_MIN: f64 = 1.0;

/// Bits per second of each direction, by [`Direction::index`].
pub type DirectionRates = [f64; 2];

/// A point of a flow's course.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RatePoint {
    /// End of the tick.
    pub time: Timestamp,
    /// Bits per second in it.
    pub rates: DirectionRates,
}

#[derive(Clone, Debug)]
struct FollowedFlow {
    bytes: [u64; 2],
    time: Timestamp,
    average: DirectionRates,
    course: VecDeque<RatePoint>,
    /// The report that named it last.
    report: u64,
}

/// Rates at one moment.
#[derive(Clone, Debug, Default)]
pub struct RatesNow {
    rates: HashMap<FlowName, DirectionRates>,
    /// Flows that are not among them had nothing in the latest tick.
    names_all: bool,
}

impl RatesNow {
    /// Of a live flow; `None` when it is not known.
    pub fn of(&self, record: &FlowRecord) -> Option<DirectionRates> {
        self.rates.get(&FlowName::of(record)).copied().or(self.names_all.then_some([0.0; 2]))
    }

    /// What a flow is ordered by: known rates first, then average rates of live flows. What has ended has no rate any more, whatever
    /// it had: behind those that live, by average rates.
    pub fn rank(&self, record: &FlowRecord, is_alive: bool) -> u64 {
        const KNOWN: u64 = 1 << 63;
        const ALIVE: u64 = 1 << 62;
        let average = || {
            let bytes = record.bytes[0].saturating_add(record.bytes[1]);
            let bps = (u128::from(bytes) * 8_000_000_000).checked_div(u128::from(record.last_seen.since(record.first_seen)));
            u64::try_from(bps.unwrap_or(0)).unwrap_or(u64::MAX).min(ALIVE - 1)
        };
        match self.rates.get(&FlowName::of(record)).filter(|_| is_alive) {
            Some(rates) => KNOWN | (rates[0] + rates[1]) as u64 & (KNOWN - 1),
            None if is_alive => ALIVE | average(),
            None => average(),
        }
    }
}

/// The flows that are followed.
#[derive(Debug, Default)]
pub struct FlowRates {
    flows: HashMap<FlowName, FollowedFlow>,
    now: Arc<RatesNow>,
    reports: u64,
}

impl FlowRates {
    /// A tick is over. `top_count`: flows that its report names at most. Returns the bytes of each flow in the tick by direction, in the
    /// order of the report.
    pub fn note(&mut self, report: &Report, top_count: usize) -> Vec<[u64; 2]> {
        self.reports += 1;
        let tick = report.interval_ns.max(1) as f64;
        let share = 1.0 - (-tick / SMOOTHING_NS).exp();
        let mut grown = Vec::with_capacity(report.top.len());
        for flow in &report.top {
            let known = self.flows.get(&FlowName::of_top(flow));
            let bytes = split(flow.delta_bytes, flow.bytes, known.map(|known| known.bytes));
            grown.push(bytes);
            let rates = bytes.map(|bytes| bytes as f64 * 8e9 / tick);
            let followed = self.flows.entry(FlowName::of_top(flow)).or_insert_with(|| FollowedFlow::new(rates));
            followed.add(rates, share, report.time);
            (followed.bytes, followed.report) = (flow.bytes, self.reports);
        }
        let (reports, time) = (self.reports, report.time);
        self.flows.retain(|_, flow| {
            if flow.report == reports {
                return true;
            }
            flow.add([0.0; 2], share, time);
            flow.average.iter().sum::<f64>() >= RATE_MIN
        });
        self.forget_slow();
        let rates = self.flows.iter().map(|(name, flow)| (*name, flow.average)).collect();
        self.now = Arc::new(RatesNow { rates, names_all: report.top.len() < top_count });
        grown
    }

    fn forget_slow(&mut self) {
        if self.flows.len() <= FLOWS_MAX {
            return;
        }
        let mut ranks: Vec<(FlowName, f64)> = self.flows.iter().map(|(name, flow)| (*name, flow.average.iter().sum())).collect();
        let (_, _, slow) = ranks.select_nth_unstable_by(FLOWS_MAX - 1, |a, b| b.1.total_cmp(&a.1));
        slow.iter().for_each(|(name, _)| {
            self.flows.remove(name);
        });
    }

    /// The rates as they are.
    pub fn now(&self) -> Arc<RatesNow> {
        Arc::clone(&self.now)
    }

    /// The course of a flow in its latest ticks; empty when it is not followed.
    pub fn course(&self, name: &FlowName) -> Vec<RatePoint> {
        self.flows.get(name).map(|flow| flow.course.iter().copied().collect()).unwrap_or_default()
    }

    /// The run is over: nothing has a rate any more.
    pub fn end(&mut self) {
        self.flows.clear();
        self.now = Arc::new(RatesNow { rates: HashMap::new(), names_all: true });
    }
}

impl FollowedFlow {
    fn new(average: DirectionRates) -> Self {
        Self { bytes: [0; 2], time: Timestamp(0), average, course: VecDeque::new(), report: 0 }
    }

    fn add(&mut self, rates: DirectionRates, share: f64, time: Timestamp) {
        for (average, rate) in self.average.iter_mut().zip(rates) {
            *average += (rate - *average) * share;
        }
        self.time = time;
        self.course.push_back(RatePoint { time, rates });
        if self.course.len() > COURSE_LEN {
            self.course.pop_front();
        }
    }
}

/// Bytes of a tick by direction: exact where the totals before are known and agree, else in the proportion of the totals.
fn split(delta: u64, total: [u64; 2], before: Option<[u64; 2]>) -> [u64; 2] {
    if let Some(before) = before {
        let grown = [total[0].saturating_sub(before[0]), total[1].saturating_sub(before[1])];
        if grown[0].saturating_add(grown[1]) == delta {
            return grown;
        }
    }
    let sum = u128::from(total[0]) + u128::from(total[1]);
    let first = (u128::from(delta) * u128::from(total[0])).checked_div(sum).unwrap_or(0);
    let first = u64::try_from(first).unwrap_or(delta).min(delta);
    [first, delta - first]
}

/// Rates to the server and to the client.
pub fn by_side(rates: DirectionRates, client: Direction) -> (f64, f64) {
    (rates[client.index()], rates[client.reverse().index()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::TopFlow;
    use crate::record::test_records::{key, tcp_record};

    const SECOND: u64 = Timestamp::NS_PER_SEC;

    fn flow(port: u16, bytes: [u64; 2], delta_bytes: u64) -> TopFlow {
        let key = key(17, "10.0.0.1", port, "10.0.0.2", 53);
        let time = Timestamp(SECOND);
        TopFlow { key, packets: [1; 2], bytes, delta_bytes, first_seen: time, last_seen: time, tcp: None }
    }

    fn report(second: u64, top: Vec<TopFlow>) -> Report {
        Report { time: Timestamp(second * SECOND), interval_ns: SECOND, top, ..Report::default() }
    }

    #[test]
    fn directions_are_exact_where_totals_are_known() {
        let mut rates = FlowRates::default();
        assert_eq!(rates.note(&report(1, vec![flow(9, [300, 100], 40)]), 10), [[30, 10]], "in proportion");
        assert_eq!(rates.note(&report(2, vec![flow(9, [300, 200], 100)]), 10), [[0, 100]]);
        let name = FlowName::of_top(&flow(9, [0; 2], 0));
        let course = rates.course(&name);
        assert_eq!(course.last().map(|point| point.rates), Some([0.0, 800.0]));
        assert_eq!(split(u64::MAX, [u64::MAX, 1], None).iter().map(|n| u128::from(*n)).sum::<u128>(), u128::from(u64::MAX));
        assert_eq!(split(5, [0, 0], None), [0, 5]);
    }

    #[test]
    fn rates_fade_and_are_bounded() {
        let mut rates = FlowRates::default();
        rates.note(&report(1, vec![flow(9, [1000, 0], 1000)]), 1);
        let record = FlowRecord { key: flow(9, [0; 2], 0).key, first_seen: Timestamp(SECOND), ..tcp_record() };
        assert_eq!(rates.now().of(&record), Some([8000.0, 0.0]));
        let rank = |record: &FlowRecord, is_alive| rates.now().rank(record, is_alive);
        assert!(rank(&record, true) > rank(&tcp_record(), true), "known rates first");
        let still = FlowRecord { bytes: [0; 2], ..tcp_record() };
        let fast = FlowRecord { bytes: [u64::MAX; 2], last_seen: tcp_record().first_seen.plus(1), ..record };
        assert!(rank(&still, true) > rank(&fast, false) && rank(&fast, false) > rank(&still, false), "then what ended");
        assert_eq!(rates.now().of(&tcp_record()), None, "the report was full");
        (2..200).for_each(|second| {
            rates.note(&report(second, Vec::new()), 1);
        });
        assert!(rates.flows.is_empty());
        assert_eq!(rates.now().of(&record), Some([0.0; 2]), "all flows with bytes would have been named");
        for second in 0..10 {
            let top = (0..1000).map(|port| flow(second * 1000 + port, [1 << 40, 0], 1 << 40)).collect();
            rates.note(&report(second.into(), top), 1000);
        }
        assert!(rates.flows.len() <= FLOWS_MAX && rates.flows.values().all(|flow| flow.course.len() <= COURSE_LEN));
    }
}
