//! The cases of `bench cliffs`: many flows, a flood against the bound, one flow, fragments, malformed
//! packets, tuples made to collide, configurations beside the default, and recordings of a long time. Owns
//! what each is compared with and what its summary must say.

use super::{limits, new_flows, workers};
use crate::bench::capture::Capture;
use crate::bench::count::WrittenSummary;
use netscope_perf::Profile;

/// Flows at most in the rows with a bound.
const BOUND: u64 = 1_000_000;

/// What a case's summary must say beside that every packet is in it.
#[derive(Clone, Copy)]
pub enum Proof {
    /// As many flows as were generated, and all packets in them.
    AllInFlows,
    /// The bound was reached, held exactly, and every other flow was evicted.
    Bound(u64),
    /// Every packet is a fragment; those whose first fragment was forgotten again are in no flow.
    Fragments,
    /// Every packet was seen to be malformed, in one layer or another.
    Malformed,
    /// Of every packet, headers lie deeper than is followed.
    TooDeep,
}

/// How the packets come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// From a file, which is mapped.
    File,
    /// From a file through gzip.
    Gzip,
    /// By standard input.
    Stdin,
    /// By a pipe that says nothing for ten seconds before it ends.
    SilentPipe,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ComparedBy {
    /// CPU time per packet, start and exit included: a ratio.
    CpuPerPacket,
    /// Wall time of the whole run: a ratio.
    Wall,
    /// The most memory that was resident, pages of files included: a ratio.
    Memory,
    /// What is added to the wall time, in µs per second of packet time.
    WallPerTick,
}

/// One case against another.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The other case's name.
    pub with: String,
    pub measured: ComparedBy,
    /// The greatest figure that is wished for.
    pub goal: Option<f64>,
}

/// One run of the program.
#[derive(Clone)]
pub struct CliffCase {
    pub name: String,
    pub capture: Capture,
    pub proof: Proof,
    pub input: Input,
    pub workers: u32,
    pub flags: &'static [&'static str],
    /// The configuration file's text; empty for none.
    pub config: &'static str,
    pub compared: Vec<Comparison>,
}

impl CliffCase {
    pub(super) fn new(name: &str, capture: Capture, proof: Proof, compared: &[(&str, Option<f64>)]) -> Self {
        let comparison = |(with, goal): &(&str, Option<f64>)| Comparison {
            with: (*with).to_owned(),
            measured: ComparedBy::CpuPerPacket,
            goal: *goal,
        };
        let compared = compared.iter().map(comparison).collect();
        Self { name: name.to_owned(), capture, proof, input: Input::File, workers: 1, flags: &[], config: "", compared }
    }
}

/// What most cases are compared with.
pub(super) const COMMON: &str = "common case";
const SHORT: &str = "3 packets a flow, 100 k flows";
const BENIGN: &str = "1 M flows within the bound";

/// Cases whose names contain `only`, and those that they are compared with; all of them without.
///
/// # Errors
/// When no name contains it.
pub fn chosen(is_quick: bool, only: Option<&str>) -> Result<Vec<CliffCase>, String> {
    let mut cases = all(is_quick);
    let Some(only) = only else { return Ok(cases) };
    let named: Vec<CliffCase> = cases.iter().filter(|case| case.name.contains(only)).cloned().collect();
    if named.is_empty() {
        let names: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
        return Err(format!("no case is called {only:?}; there are: {}", names.join("; ")));
    }
    let is_needed =
        |name: &str| named.iter().any(|case| case.name == name || case.compared.iter().any(|comparison| comparison.with == name));
    cases.retain(|case| is_needed(&case.name));
    Ok(cases)
}

fn all(is_quick: bool) -> Vec<CliffCase> {
    let own = [
        tables(is_quick),
        configurations(is_quick),
        detection(is_quick),
        limits::all(is_quick),
        new_flows::all(is_quick),
        long_recordings(is_quick),
    ];
    let of_workers = [workers::workers(is_quick), workers::silence(is_quick), workers::wrong_time(is_quick)];
    [own.concat(), of_workers.concat()].concat()
}

/// What is hard for the flow table.
fn tables(is_quick: bool) -> Vec<CliffCase> {
    let make = |profile, packets, flows| Capture::new("", profile, packets, flows).scaled(is_quick);
    let bound = if is_quick { BOUND / 10 } else { BOUND };
    let all = Proof::AllInFlows;
    let fragments = make(Profile::Fragments, 10_000_000, 100_000);
    let few_fragments = Capture { live_flows: 1_000, ..fragments };
    let malformed = make(Profile::Malformed, 10_000_000, 100_000);
    let flood = make(Profile::SmallPackets, 10_000_000, 10_000_000);
    let twice: &[(&str, Option<f64>)] = &[(COMMON, Some(2.0))];
    vec![
        CliffCase::new(COMMON, Capture::SMALL.scaled(is_quick), all, &[]),
        CliffCase::new(SHORT, make(Profile::SmallPackets, 300_000, 100_000), all, &[(COMMON, None)]),
        CliffCase::new(
            "10 M flows",
            make(Profile::SmallPackets, 30_000_000, 10_000_000),
            all,
            &[(COMMON, Some(3.0)), (SHORT, None)],
        ),
        CliffCase::new(BENIGN, Capture::MANY.scaled(is_quick), Proof::Bound(bound), &[(COMMON, None)]),
        CliffCase::new(
            "SYN flood, 10 M tuples against the bound",
            flood,
            Proof::Bound(bound),
            &[(COMMON, Some(2.0)), (BENIGN, Some(2.0))],
        ),
        CliffCase::new("one flow", make(Profile::SmallPackets, 10_000_000, 1), all, twice),
        CliffCase::new("fragments, one half of 100 k datagrams waiting for the other", fragments, Proof::Fragments, twice),
        CliffCase::new("fragments, 1 k datagrams at a time", few_fragments, Proof::Fragments, twice),
        CliffCase::new("all malformed", malformed, Proof::Malformed, twice),
        CliffCase::new("colliding tuples", make(Profile::Colliding, 10_000_000, 100_000), all, &[(COMMON, Some(1.1))]),
    ]
}

/// The common case's packets under settings beside the default: doing less never costs more.
fn configurations(is_quick: bool) -> Vec<CliffCase> {
    let capture = Capture::SMALL.scaled(is_quick);
    let case = |what: &str, flags, config, goal| {
        let case = CliffCase::new(&format!("configuration: {what}"), capture, Proof::AllInFlows, &[(COMMON, Some(goal))]);
        CliffCase { flags, config, ..case }
    };
    vec![
        case("active timeout", &["--active-timeout-s", "60"], "", 1.05),
        case("rtt off", &[], "[analysis]\nrtt = false\n", 1.05),
        case("retrans off", &[], "[analysis]\nretrans = false\n", 1.05),
        case("out_of_order off", &[], "[analysis]\nout_of_order = false\n", 1.05),
        case("all analyses off", &[], "[analysis]\nrtt = false\nretrans = false\nout_of_order = false\n", 1.0),
        case("rates and top flows", &["--stats", "--top-flows", "10"], "", 1.05),
    ]
}

/// What detectors cost, by default and with all of them on, and under attack compared with the common case.
fn detection(is_quick: bool) -> Vec<CliffCase> {
    const ON: &str = "detection: on";
    const ALL: &[&str] = &["--anomalies"];
    let common = Capture::SMALL.scaled(is_quick);
    let with = |case: CliffCase| CliffCase { flags: ALL, ..case };
    let attack = |name: &str, profile, packets, flows| {
        let capture = Capture { live_flows: 100_000, ..Capture::new("", profile, packets, flows) }.scaled(is_quick);
        with(CliffCase::new(&format!("detection: {name}"), capture, Proof::AllInFlows, &[(ON, Some(2.0))]))
    };
    vec![
        with(CliffCase::new(ON, common, Proof::AllInFlows, &[(COMMON, Some(1.08))])),
        attack("SYNs of 10 M sources to one service", Profile::SynFlood, 10_000_000, 10_000_000),
        attack("SYNs of one source to all ports of a host", Profile::PortSweep, 10_000_000, 10_000_000),
        attack("10 M datagrams of one flow", Profile::UdpFlood, 10_000_000, 1),
        attack("DNS answers of 100 k reflectors", Profile::DnsAmplification, 4_000_000, 100_000),
    ]
}

/// The same packets over 10 s and over 30 days of packet time, from each input, and the rates of every second
/// of them.
fn long_recordings(is_quick: bool) -> Vec<CliffCase> {
    /// Mean distance of 200,000 packets over 10 s and over 30 days, in ns.
    const SHORT_GAP_NS: u64 = 50_000;
    const LONG_GAP_NS: u64 = 12_960_000_000;
    // One flow at a time, and closed ones wait as long as open ones: the packets of a flow are at most 26 s
    // apart, so both recordings have the same flows.
    const TIMEOUT: &[&str] = &["--closed-timeout-s", "60"];
    const TIMEOUT_AND_STATS: &[&str] = &["--closed-timeout-s", "60", "--stats"];
    let capture = Capture { live_flows: 1, ..Capture::new("", Profile::SmallPackets, 200_000, 2_000) }.scaled(is_quick);
    let comparison = |with: &str, measured, goal| Comparison { with: with.to_owned(), measured, goal: Some(goal) };
    let mut cases = Vec::new();
    for (input, how) in [(Input::File, "file"), (Input::Gzip, "gzip"), (Input::Stdin, "standard input")] {
        for workers in [1, 2] {
            let [short_name, long_name, stats_name] =
                ["10 s", "30 days", "30 days with --stats"].map(|span| format!("recording of {span}, {how}, workers {workers}"));
            let case = |name: &str, gap_ns| {
                let capture = Capture { gap_ns, ..capture };
                CliffCase { input, workers, flags: TIMEOUT, ..CliffCase::new(name, capture, Proof::AllInFlows, &[]) }
            };
            let long = case(&long_name, LONG_GAP_NS);
            let stats = CliffCase {
                name: stats_name,
                flags: TIMEOUT_AND_STATS,
                compared: vec![comparison(&long_name, ComparedBy::WallPerTick, 2.0)],
                ..long.clone()
            };
            cases.push(case(&short_name, SHORT_GAP_NS));
            cases.push(CliffCase { compared: vec![comparison(&short_name, ComparedBy::Wall, 1.5)], ..long });
            cases.push(stats);
        }
    }
    cases
}

/// Flows opened, when the summary proves what it should.
pub fn flows(summary: &WrittenSummary, capture: &Capture, proof: Proof) -> Result<u64, String> {
    match proof {
        Proof::AllInFlows => {
            summary.expect("/packets_in_flows", capture.packets)?;
            summary.expect("/flows/opened", capture.flows)?;
        }
        Proof::Bound(bound) => {
            summary.expect("/flows/opened", capture.flows)?;
            summary.expect("/flows/alive_at_exit", bound)?;
            summary.expect("/flows/ended/eviction", capture.flows - bound)?;
        }
        Proof::Fragments => {
            summary.expect("/fragments/first", capture.packets / 2)?;
            summary.expect("/fragments/later", capture.packets / 2)?;
        }
        Proof::Malformed => match summary.faults("malformed")? {
            seen if seen == capture.packets => {}
            seen => return Err(format!("{seen} packets were malformed, not {}", capture.packets)),
        },
        Proof::TooDeep => match summary.faults("too_deep")? {
            seen if seen == capture.packets => {}
            seen => return Err(format!("{seen} packets were too deep, not {}", capture.packets)),
        },
    }
    summary.get("/flows/opened")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_every_comparison_finds_its_case() {
        let cases = all(false);
        let names: BTreeSet<_> = cases.iter().map(|case| case.name.as_str()).collect();
        assert_eq!(names.len(), cases.len());
        let mut others = cases.iter().flat_map(|case| &case.compared);
        assert!(others.all(|comparison| names.contains(comparison.with.as_str())));
    }

    #[test]
    fn some_cases_bring_those_that_they_are_compared_with() {
        let names = |only| chosen(false, Some(only)).map(|cases| cases.into_iter().map(|case| case.name).collect::<Vec<_>>());
        assert_eq!(names("colliding"), Ok(vec![COMMON.to_owned(), "colliding tuples".to_owned()]));
        assert_eq!(names("30 days, gzip, workers 2").map(|names| names.len()), Ok(2));
        assert!(names("nothing").unwrap_err().contains("one flow"));
    }

    #[test]
    fn both_recordings_have_the_same_packets() {
        let cases = long_recordings(false);
        let (short, long) = (&cases[0].capture, &cases[1].capture);
        assert_eq!((short.packets, short.flows), (long.packets, long.flows));
        assert_eq!((short.seconds(), long.seconds()), (10.0, 30.0 * 86_400.0));
    }
}
