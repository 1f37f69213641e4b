//! The cases of `bench cliffs` in which flows are new: what a flow costs that begins and ends, plain, with a gap and in a tunnel. Owns how
//! many packets each has; knows no generator.

use super::cases::{COMMON, CliffCase, ComparedBy, Comparison, Proof};
use crate::bench::capture::Capture;
use netscope_perf::{Depth, Profile};

/// Four times the common packet, as a flow begins and ends with each or with every fifth.
const GOAL: f64 = 4.0;
const WHOLE: &str = "new flows: 5 packets each";
const DATAGRAMS: &str = "new flows: one datagram each";

pub fn all(is_quick: bool) -> Vec<CliffCase> {
    let case = |name: &str, profile, flows| {
        let capture = Capture::new("", profile, 3_000_000, flows).scaled(is_quick);
        CliffCase::new(name, capture, Proof::AllInFlows, &[(COMMON, Some(GOAL))])
    };
    let against = |case: CliffCase, with: &str, goal| {
        let measured = [(ComparedBy::CpuPerPacket, None), (ComparedBy::Memory, Some(goal))];
        let more = measured.map(|(measured, goal)| Comparison { with: with.to_owned(), measured, goal });
        CliffCase { compared: [&case.compared[..], &more].concat(), ..case }
    };
    vec![
        case("new flows: one segment each", Profile::SmallPackets, 3_000_000),
        case(DATAGRAMS, Profile::UdpFlood, 3_000_000),
        case(WHOLE, Profile::SmallPackets, 600_000),
        against(case("new flows: 5 packets each, and a gap", Profile::Gaps, 600_000), WHOLE, 2.0),
        against(case("new flows: one datagram each, in a tunnel", Profile::Deep(Depth::Tunnels(1)), 3_000_000), DATAGRAMS, 2.0),
    ]
}
