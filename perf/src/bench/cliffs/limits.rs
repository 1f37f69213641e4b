//! The cases of `bench cliffs` that meet limits: filters of many terms, headers in each other, ticks with many flows. Owns what the
//! filters are; knows no generator.

use super::cases::{COMMON, CliffCase, Proof};
use crate::bench::Bench;
use crate::bench::capture::Capture;
use netscope_perf::{Depth, Profile};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;

/// Stands for a file of so many addresses and networks, the last of which are those of all packets.
const ADDRESSES: &str = "{addresses of 1000 terms}";
/// Stands for an expression of so many `host` terms and those of all packets.
const HOSTS: &str = "{100 hosts}";
/// Networks of all generated packets.
const NETWORKS: [&str; 2] = ["10.0.0.0/8", "198.18.0.0/15"];

pub fn all(is_quick: bool) -> Vec<CliffCase> {
    [filters(is_quick), depths(is_quick), ticks(is_quick)].concat()
}

/// The common case's packets through filters that take all of them, but have long to look.
fn filters(is_quick: bool) -> Vec<CliffCase> {
    let capture = Capture::SMALL.scaled(is_quick);
    let case = |what: &str, flags, goal| {
        let compared: &[(&str, Option<f64>)] = &[(COMMON, goal)];
        CliffCase { flags, ..CliffCase::new(&format!("filter: {what}"), capture, Proof::AllInFlows, compared) }
    };
    vec![
        case("one term", &["--filter", "ip"], Some(2.0)),
        case("1,000 addresses in a file", &["--filter-file", ADDRESSES], Some(2.0)),
        case("100 hosts in an expression", &["--filter", HOSTS], None),
    ]
}

/// Headers in each other, as many as are followed and far more.
fn depths(is_quick: bool) -> Vec<CliffCase> {
    let case = |what: &str, depth, proof| {
        let capture = Capture::new("", Profile::Deep(depth), 1_000_000, 10_000).scaled(is_quick);
        CliffCase::new(&format!("depth: {what}"), capture, proof, &[(COMMON, Some(2.0))])
    };
    let (read, refused) = (Proof::AllInFlows, Proof::TooDeep);
    vec![
        case("8 extension headers", Depth::ExtensionHeaders(8), read),
        case("120 extension headers", Depth::ExtensionHeaders(120), read),
        case("140 extension headers", Depth::ExtensionHeaders(140), refused),
        case("1,200 bytes of padding options", Depth::Padding(150), read),
        case("16 tags", Depth::Tags(16), read),
        case("250 tags", Depth::Tags(250), refused),
        case("16 labels", Depth::Labels(16), read),
        case("250 labels", Depth::Labels(250), refused),
        case("4 tunnels", Depth::Tunnels(4), read),
        case("60 tunnels", Depth::Tunnels(60), refused),
    ]
}

/// As many top flows as may be asked for.
fn ticks(is_quick: bool) -> Vec<CliffCase> {
    let capture = Capture::SMALL.scaled(is_quick);
    let case = |what: &str, flags| CliffCase {
        flags,
        ..CliffCase::new(&format!("ticks: {what}"), capture, Proof::AllInFlows, &[(COMMON, Some(2.0))])
    };
    vec![
        case("1,000 top flows every 100 ms", &["--stats", "--stats-interval-ms", "100", "--top-flows", "1000"]),
        case("100,000 top flows every 10 s", &["--stats", "--stats-interval-ms", "10000", "--top-flows", "100000"]),
    ]
}

/// A flag as it is given to the program; what it stands for is written.
///
/// # Errors
/// When the file cannot be written.
pub fn written(bench: &Bench, flag: &str) -> Result<OsString, String> {
    match flag {
        ADDRESSES => {
            let path = bench.output("addresses-1000.txt");
            let mut text = String::new();
            for i in 0..1000 - NETWORKS.len() as u32 {
                let [a, b, c, d] = address(i);
                // Writing to a String cannot fail.
                let _ = writeln!(text, "{a}.{b}.{c}.{d}");
            }
            fs::write(&path, text + &NETWORKS.join("\n")).map_err(|error| format!("{}: {error}", path.display()))?;
            Ok(path.into())
        }
        HOSTS => {
            let hosts = (0..100).map(address).map(|[a, b, c, d]| format!("host {a}.{b}.{c}.{d}"));
            let networks = NETWORKS.iter().map(|network| format!("net {network}"));
            Ok(hosts.chain(networks).collect::<Vec<_>>().join(" or ").into())
        }
        other => Ok(other.into()),
    }
}

/// An address that no generated packet has, far from the one before.
const fn address(i: u32) -> [u8; 4] {
    let spread = i.wrapping_mul(0x9e37_79b9).to_be_bytes();
    [20 + spread[0] % 150, spread[1], spread[2], spread[3]]
}
