//! The bins of all queues of a link put together: peak, quantiles, bins above the threshold, and who sent in them.
//!
//! Owns the arithmetic. Knows no clock and no alert. Invariant: nothing here depends on how bins and flows were dealt to queues, the figures of single queues
//! excepted.

use super::MicroburstSettings;
use super::evidence::{BurstBin, BurstEvidence, BurstFlow};
use crate::detect::LocalNetworks;
use crate::flow::{FlowKey, HostAddress};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Flows that a report names.
const TOP_FLOWS: usize = 5;

/// A link whose bursts are measured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BurstLink {
    /// The interface; `None` for a file.
    pub name: Option<String>,
    /// Bits per second in one direction; `None` when it is not known.
    pub speed_bps: Option<u64>,
}

/// What one queue has of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueBursts {
    /// The queue's number, from 0.
    pub queue: u16,
    /// Its largest bin.
    pub peak: BurstBin,
    /// Bytes of its median bin.
    pub p50_bytes: u64,
    /// Bytes of the bin at its 99th percentile.
    pub p99_bytes: u64,
}

/// The bursts of a link in one interval.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BurstReport {
    /// The link.
    pub link: BurstLink,
    /// Length of a bin in ns.
    pub bin_ns: u64,
    /// Bins in the interval, those without packets too.
    pub bins: u64,
    /// The bin with the largest load; the earliest where there are several.
    pub peak: BurstBin,
    /// Bytes of the median bin.
    pub p50_bytes: u64,
    /// Bytes of the bin at the 99th percentile.
    pub p99_bytes: u64,
    /// Percent of the link's speed above which a bin is a burst.
    pub threshold_percent: u64,
    /// Bins above it; `None` when the speed is not known.
    pub above: Option<u64>,
    /// Which way most bytes went, of those flows; `None` without any.
    pub direction: Option<&'static str>,
    /// Flows with the most bytes among packets that came when a bin was above the threshold already.
    pub flows: Vec<BurstFlow>,
    /// Packets of all such flows that were noted.
    pub noted_packets: u64,
    /// Bytes of these.
    pub noted_bytes: u64,
    /// Of each queue with packets; empty where there is one.
    pub queues: Vec<QueueBursts>,
    /// Packets older than the interval in which they came; they are in no bin.
    pub late_packets: u64,
    /// Bins without room, as boxes of evidence were not taken for long.
    pub bins_left_out: u64,
}

impl BurstReport {
    /// Load of the peak in percent of the link's speed; `None` when that is not known.
    pub fn peak_percent(&self) -> Option<u64> {
        let most = self.link.speed_bps? as u128 * u128::from(self.bin_ns);
        let load = u128::from(self.peak.load()) * 800_000_000_000;
        load.checked_div(most).and_then(|percent| u64::try_from(percent).ok())
    }
}

/// Puts together what the queues of one link counted.
#[derive(Debug, Default)]
pub struct LinkBins {
    bins: BTreeMap<u64, BurstBin>,
    flows: BTreeMap<FlowKey, BurstFlow>,
    queues: Vec<(u16, Vec<BurstBin>)>,
    late_packets: u64,
    bins_left_out: u64,
}

impl LinkBins {
    /// Adds what a queue counted.
    pub fn add(&mut self, queue: u16, evidence: &BurstEvidence) {
        let mut own: BTreeMap<u64, BurstBin> = BTreeMap::new();
        for bin in &evidence.bins {
            let empty = BurstBin { bin: bin.bin, ..BurstBin::default() };
            own.entry(bin.bin).or_insert(empty).add(bin);
            self.bins.entry(bin.bin).or_insert(empty).add(bin);
        }
        // Of a source that several workers share, one of them counts.
        if !own.is_empty() {
            self.queues.push((queue, own.into_values().collect()));
        }
        for flow in &evidence.flows {
            self.flows.entry(flow.key).and_modify(|known| known.add(flow)).or_insert(*flow);
        }
        self.late_packets += evidence.late_packets;
        self.bins_left_out += evidence.bins_left_out;
    }

    /// The report on an interval of this length.
    pub fn report(self, link: &BurstLink, settings: &MicroburstSettings, interval_ns: u64, local: &LocalNetworks) -> BurstReport {
        let Self { bins, flows, queues, late_packets, bins_left_out } = self;
        let bins: Vec<BurstBin> = bins.into_values().collect();
        let count = interval_ns.div_ceil(settings.bin_ns.max(1));
        let load_max = link.speed_bps.map(|speed| settings.load_max(speed));
        let above = load_max.map(|most| bins.iter().filter(|bin| bin.load() > most).count() as u64);
        let (peak, p50_bytes, p99_bytes) = figures(&bins, count);
        let several = queues.len() > 1;
        let of_queue = |(queue, bins): &(u16, Vec<BurstBin>)| {
            let (peak, p50_bytes, p99_bytes) = figures(bins, count);
            QueueBursts { queue: *queue, peak, p50_bytes, p99_bytes }
        };
        let mut flows: Vec<BurstFlow> = flows.into_values().collect();
        flows.sort_unstable_by_key(|flow| (Reverse(flow.bytes_of_both()), flow.key));
        BurstReport {
            link: link.clone(),
            bin_ns: settings.bin_ns,
            bins: count.max(bins.len() as u64),
            peak,
            p50_bytes,
            p99_bytes,
            threshold_percent: settings.threshold_percent,
            above,
            direction: direction(&flows, local),
            noted_packets: flows.iter().map(|flow| flow.packets[0] + flow.packets[1]).sum(),
            noted_bytes: flows.iter().map(BurstFlow::bytes_of_both).sum(),
            flows: {
                flows.truncate(TOP_FLOWS);
                flows
            },
            queues: queues.iter().filter(|_| several).map(of_queue).collect(),
            late_packets,
            bins_left_out,
        }
    }
}

/// The largest bin, and bytes of the median one and of that at the 99th percentile. Of `count` bins, those that are not listed are empty.
fn figures(bins: &[BurstBin], count: u64) -> (BurstBin, u64, u64) {
    let peak = bins.iter().copied().min_by_key(|bin| (Reverse(bin.load()), bin.bin)).unwrap_or_default();
    let mut bytes: Vec<u64> = bins.iter().map(|bin| bin.bytes).collect();
    bytes.sort_unstable();
    let listed = bytes.len() as u64;
    let count = count.max(listed);
    // The nearest rank, from 1: the least bin that this share of all bins does not exceed.
    let at = |percent: u64| {
        let rank = (u128::from(count) * u128::from(percent)).div_ceil(100) as u64;
        (rank + listed).checked_sub(count + 1).and_then(|index| bytes.get(index as usize)).copied().unwrap_or(0)
    };
    (peak, at(50), at(99))
}

/// Which way most of these bytes went.
fn direction(flows: &[BurstFlow], local: &LocalNetworks) -> Option<&'static str> {
    let mut ways: BTreeMap<&'static str, u64> = BTreeMap::new();
    for flow in flows {
        let (a, b) = (HostAddress::from(flow.key.a_ip()), HostAddress::from(flow.key.b_ip()));
        *ways.entry(local.direction(a, b)).or_default() += flow.bytes[0];
        *ways.entry(local.direction(b, a)).or_default() += flow.bytes[1];
    }
    ways.into_iter().filter(|&(_, bytes)| bytes > 0).max_by_key(|&(way, bytes)| (bytes, Reverse(way))).map(|(way, _)| way)
}
