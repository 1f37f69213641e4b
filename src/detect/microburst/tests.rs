//! The rule and the arithmetic, by bins alone.

use super::*;
use crate::detect::AlertPhase;
use crate::flow::{Direction, FlowKey};
use crate::wire::{IpVersion, Network, Ports};
use proptest::prelude::*;

const SEC: u64 = 1_000_000_000;
const MS: u64 = 1_000_000;

fn settings() -> MicroburstSettings {
    MicroburstSettings { bin_ns: MS, link_bps: Some(1_000_000_000), threshold_percent: 80, cooldown_ns: 3 * SEC }
}

fn link() -> BurstLink {
    BurstLink { name: None, speed_bps: Some(1_000_000_000) }
}

fn local() -> LocalNetworks {
    LocalNetworks::private_and([])
}

fn flow(host: u8, bytes: u64) -> BurstFlow {
    let (mut source, mut destination) = ([0; 16], [0; 16]);
    source[..4].copy_from_slice(&[203, 0, 113, host]);
    destination[..4].copy_from_slice(&[10, 0, 0, 1]);
    let network =
        Network { version: IpVersion::V4, protocol: 17, ttl: 64, traffic_class: 0, source, destination, fragment: None };
    let (key, direction) = FlowKey::new(&network, Ports { source: 53, destination: 1000 });
    BurstFlow::new(key, direction, bytes)
}

/// The report on a second with these bins, whose packets have 976 bytes: 1000 with what a frame takes besides.
fn report(loads: &[(u64, u64)], flows: Vec<BurstFlow>) -> BurstReport {
    let bins = loads.iter().map(|&(bin, packets)| BurstBin { bin, bytes: packets * 976, packets }).collect();
    let mut sum = LinkBins::default();
    sum.add(0, &BurstEvidence { bins, flows, ..BurstEvidence::default() });
    sum.report(&link(), &settings(), SEC, &local())
}

#[test]
fn a_bin_is_a_burst_above_the_threshold_and_not_at_it() {
    // 1 Gbit/s is 125,000 bytes in a millisecond, 100 packets are 80 %.
    let report = report(&[(7, 100), (3, 101), (900, 2)], Vec::new());
    assert_eq!((report.above, report.bins, report.peak.bin, report.peak_percent()), (Some(1), 1000, 3, Some(80)));
    assert_eq!((report.p50_bytes, report.p99_bytes), (0, 0), "997 bins are empty");
    let unknown = BurstReport { link: BurstLink::default(), ..report };
    assert_eq!(unknown.peak_percent(), None);
}

#[test]
fn quantiles_are_of_all_bins() {
    let loads: Vec<(u64, u64)> = (0..600).map(|bin| (bin, bin + 1)).collect();
    let report = report(&loads, Vec::new());
    // Of 1,000 bins, 400 are empty, so rank 500 is the 100th of those listed, and rank 990 the 590th.
    assert_eq!((report.p50_bytes, report.p99_bytes), (100 * 976, 590 * 976));
}

#[test]
fn flows_and_their_direction_are_those_with_the_most_bytes() {
    let flows = (1..9).map(|host| flow(host, u64::from(host) * 100)).collect();
    let report = report(&[(7, 120)], flows);
    assert_eq!((report.direction, report.noted_packets, report.noted_bytes), (Some("inbound"), 8, 3600));
    assert_eq!(report.flows.iter().map(BurstFlow::bytes_of_both).collect::<Vec<_>>(), [800, 700, 600, 500, 400]);
}

/// Judges seconds with these numbers of packets in a bin of each; what is told.
fn told(seconds: &[u64]) -> Vec<(u64, &'static str, Option<&'static str>)> {
    let mut judge = MicroburstJudge::new(settings(), SEC);
    let mut told = Vec::new();
    let mut tell = |second, alerts: Vec<Alert>| {
        let phase = |alert: &Alert| match alert.phase {
            AlertPhase::End(why) => Some(why.name()),
            _ => None,
        };
        told.extend(alerts.iter().map(|alert| (second, alert.phase.name(), phase(alert))));
    };
    for (second, packets) in (0..).zip(seconds) {
        let span = BinSpan { start: Timestamp(second * SEC), end: Timestamp((second + 1) * SEC) };
        let bins: Vec<(u64, u64)> = (0..5).map(|bin| (second * 1000 + bin, *packets)).collect();
        let mut alerts = Vec::new();
        judge.judge(&[report(&bins, vec![flow(1, 10)])], span, &local(), &mut alerts);
        tell(second, alerts);
    }
    let mut alerts = Vec::new();
    judge.finish(Timestamp(99 * SEC), &local(), &mut alerts);
    tell(99, alerts);
    told
}

#[test]
fn an_alert_begins_grows_by_powers_of_ten_and_ends_when_it_is_quiet() {
    assert_eq!(told(&[100; 5]), []);
    assert_eq!(
        told(&[101, 101, 0, 101, 0, 0, 0, 0, 101]),
        [(0, "begin", None), (1, "update", None), (7, "end", Some("quiet")), (8, "begin", None), (99, "end", Some("exit"))],
        "10 bins in the second interval, 15 in all"
    );
}

#[test]
fn an_alert_names_the_flow_that_is_most_of_it() {
    let life = BurstLife::new(&report(&[(7, 120)], vec![flow(1, 900), flow(2, 100)]));
    let alert = life.alert(AlertPhase::Begin, life.last(), &settings(), SEC, &local());
    assert_eq!((alert.variant, alert.direction, alert.key.as_str()), ("single_flow", Some("inbound"), "microburst link"));
    assert_eq!(
        alert.description,
        "Microbursts on link: 1 bin of 1000 us above 80 % of 1000 Mbps, at most 936.96 Mbps (96 %), most of it from 203.0.113.1 to 10.0.0.1"
    );
    let many = BurstLife::new(&report(&[(7, 120)], (1..6).map(|host| flow(host, 100)).collect()));
    assert_eq!(many.alert(AlertPhase::Begin, many.last(), &settings(), SEC, &local()).variant, "many_flows");
}

#[test]
fn evidence_has_a_bound_and_what_is_beyond_is_counted() {
    let bins = (0..MicroburstSettings::BIN_COUNT_MAX).map(|bin| BurstBin { bin, bytes: 1, packets: 1 }).collect();
    let interval = BurstEvidence { bins, ..BurstEvidence::default() };
    let mut unsent = BurstEvidence::default();
    (0..3).for_each(|_| unsent.add(&interval));
    assert_eq!(
        (unsent.bins.len() as u64, unsent.bins_left_out),
        (2 * MicroburstSettings::BIN_COUNT_MAX, MicroburstSettings::BIN_COUNT_MAX)
    );
    unsent.clear();
    assert!(unsent.is_empty());
}

#[test]
fn a_link_of_any_speed_has_a_threshold() {
    assert_eq!(settings().load_max(1_000_000_000), 100_000);
    assert_eq!(settings().load_max(0), 0);
    assert_eq!(MicroburstSettings { bin_ns: u64::MAX, ..settings() }.load_max(u64::MAX), u64::MAX, "no overflow");
}

proptest! {
    /// However packets were dealt to queues, the link's figures are the same.
    #[test]
    fn queues_add_up(packets in prop::collection::vec((0..50_u64, 1..1500_u64, 0..4_u16, 0..6_u8), 1..400)) {
        let deal = |queue_of: &dyn Fn(u16) -> u16| {
            let mut queues: Vec<BurstEvidence> = vec![BurstEvidence::default(); 4];
            for &(bin, bytes, queue, host) in &packets {
                let evidence = &mut queues[usize::from(queue_of(queue))];
                evidence.bins.push(BurstBin { bin, bytes, packets: 1 });
                evidence.flows.push(flow(host, bytes));
            }
            let mut sum = LinkBins::default();
            for (queue, evidence) in (0..).zip(&queues) {
                sum.add(queue, evidence);
            }
            BurstReport { queues: Vec::new(), ..sum.report(&link(), &settings(), 50 * MS, &local()) }
        };
        let one = deal(&|_| 0);
        prop_assert_eq!(&one, &deal(&|queue| queue));
        prop_assert_eq!(&one, &deal(&|queue| 3 - queue));
        prop_assert_eq!(one.noted_bytes, packets.iter().map(|packet| packet.1).sum::<u64>());
        prop_assert!(one.p99_bytes >= one.p50_bytes && one.peak.packets > 0);
    }
}

#[test]
fn directions_have_an_index_in_flows() {
    let key = FlowKey::BLANK;
    let mut sum = BurstFlow::new(key, Direction::AToB, 5);
    sum.add(&BurstFlow::new(key, Direction::BToA, 7));
    assert_eq!((sum.bytes, sum.packets, sum.bytes_of_both()), ([5, 7], [1, 1], 12));
}
