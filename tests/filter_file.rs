//! `--filter-file`: the packets of a list of addresses, from files and from a wire; what is wrong with a list; and filters of many terms.
#![cfg(target_os = "linux")]

mod common;

use common::live::{Exports, capture, datagrams, send, stop, wait_for_silence};
use common::netns::NetNs;
use common::{Finished, fixture, netscope, run, temp_dir};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn summary(path: &Path) -> Value {
    let summary: Value = serde_json::from_str(&fs::read_to_string(path).expect("it is there")).expect("it is JSON");
    assert_eq!(summary["unaccounted"], 0, "{summary}");
    summary
}

/// Packets in all and those left out, by the summary of a run over a file.
fn counted(capture: &Path, arguments: &[&str]) -> (u64, u64) {
    let directory = temp_dir("filter-file");
    let path = directory.path().join("summary.json");
    run(netscope().arg("-q").arg("-r").arg(capture).arg("--summary-json").arg(&path).args(arguments)).expect_code(0);
    let summary = summary(&path);
    let number = |value: &Value| value.as_u64().expect("a number");
    (number(&summary["packets"]), number(&summary["source"]["filtered"]))
}

fn list(directory: &Path, text: &str) -> PathBuf {
    let path = directory.join("addresses.txt");
    fs::write(&path, text).expect("the directory is ours");
    path
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// Packets that tcpdump reads.
fn by_tcpdump(file: &Path, filter: &str) -> u64 {
    let output = Command::new("tcpdump").args(["-nttr", text(file), filter]).output().expect("tcpdump is installed");
    output.stdout.split(|&byte| byte == b'\n').filter(|line| line.first().is_some_and(u8::is_ascii_digit)).count() as u64
}

#[test]
fn a_list_takes_what_the_same_hosts_and_networks_take_as_an_expression() {
    let (demo, directory) = (fixture("demo.pcapng"), temp_dir("filter-file"));
    let (all, _) = counted(&demo, &[]);
    let lines = "# two kinds\n192.0.2.1\n198.51.100.0/24 # a network\n\n2001:db8:1::/64\n";
    let path = list(directory.path(), lines);
    let expression = "host 192.0.2.1 or net 198.51.100.0/24 or net 2001:db8:1::/64";
    // Behind a tag, an expression has to be told of it.
    let wanted = by_tcpdump(&demo, &format!("({expression}) or (vlan and ({expression}))"));
    assert!(wanted > 0 && wanted < all, "{wanted} of {all}");
    for workers in ["1", "2"] {
        let given = ["--filter-file", text(&path), "--workers", workers];
        assert_eq!(counted(&demo, &given), (wanted, all - wanted), "{workers}");
        let both = [&given[..], &["-f", "udp"]].concat();
        let wanted = by_tcpdump(&demo, &format!("udp and ({expression})"));
        assert_eq!(counted(&demo, &both), (wanted, all - wanted), "{workers}");
    }
    let config = directory.path().join("netscope.toml");
    fs::write(&config, format!("[capture]\nfilter_file = \"{}\"\n", path.display())).expect("the directory is ours");
    assert_eq!(counted(&demo, &["--config", text(&config)]), (wanted, all - wanted));
}

#[test]
fn addresses_are_seen_behind_a_tag_and_before_a_snap_length() {
    let directory = temp_dir("filter-file");
    let frame = |tag: &[u8], last: u8| {
        let ip = [0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, last, 0, 1, 0, 2, 0, 8, 0, 0];
        [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2][..], tag, &[8, 0], &ip].concat()
    };
    let mut file = [&[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0][..], &[0; 8], &[0, 0, 4, 0, 1, 0, 0, 0]].concat();
    for frame in
        [frame(&[], 9), frame(&[0x81, 0, 0, 5], 9), frame(&[0x88, 0xa8, 0, 5, 0x81, 0, 0, 6], 9), frame(&[0x81, 0, 0, 5], 8)]
    {
        let len = (frame.len() as u32).to_le_bytes();
        file.extend([&[1, 0, 0, 0, 0, 0, 0, 0][..], &len, &len, &frame].concat());
    }
    let capture = directory.path().join("tagged.pcap");
    fs::write(&capture, file).expect("the directory is ours");
    let path = list(directory.path(), "10.0.0.9/32\n");
    assert_eq!(counted(&capture, &["--filter-file", text(&path)]), (3, 1));
    assert_eq!(counted(&capture, &["--filter-file", text(&path), "--snaplen", "14"]), (3, 1));
    assert_eq!(counted(&capture, &["-f", "host 10.0.0.9"]), (1, 3), "an expression without `vlan` sees no tag");
}

fn refused(arguments: &[&str]) -> Finished {
    run(netscope().arg("-q").args(arguments)).expect_code(1)
}

#[test]
fn what_is_wrong_with_a_list_is_said_with_its_line() {
    let (demo, directory) = (fixture("demo.pcapng"), temp_dir("filter-file"));
    for (content, said) in [
        ("10.0.0.1\nhost 10.0.0.2\n", "addresses.txt, line 2: \"host 10.0.0.2\" is no address and no network"),
        ("10.1.2.3/8\n", "addresses.txt, line 1: 10.1.2.3/8 has bits behind the length of its network: write 10.0.0.0/8"),
        ("# nothing\n", "addresses.txt: has no address"),
    ] {
        let path = list(directory.path(), content);
        let finished = refused(&["-r", text(&demo), "--filter-file", text(&path)]);
        assert!(finished.stderr.contains("--filter-file (capture.filter_file)"), "{}", finished.stderr);
        assert!(finished.stderr.contains(said), "{}", finished.stderr);
    }
    let missing = refused(&["-r", text(&demo), "--filter-file", "/no/such/list"]);
    assert!(missing.stderr.contains("cannot read --filter-file (capture.filter_file) /no/such/list"), "{}", missing.stderr);
    let path = list(directory.path(), "10.0.0.1\n");
    let cut = refused(&["-i", "lo", "--snaplen", "60", "--filter-file", text(&path)]);
    assert!(cut.stderr.contains("keep 128 bytes"), "{}", cut.stderr);
    let written = refused(&["-r", text(&demo), "--filter-file", text(&path), "--export-json", text(&path)]);
    assert!(written.stderr.contains("--filter-file (capture.filter_file)"), "{}", written.stderr);
    assert_eq!(fs::read_to_string(&path).expect("it is there"), "10.0.0.1\n");
}

#[test]
fn a_list_of_a_million_networks_is_read() {
    let (demo, directory) = (fixture("demo.pcapng"), temp_dir("filter-file"));
    let lines: String = (0..1_000_000_u32).map(|i| format!("10.{}.{}.{}/32\n", i >> 16, i >> 8 & 255, i & 255)).collect();
    let path = list(directory.path(), &lines);
    let (all, _) = counted(&demo, &[]);
    let wanted = by_tcpdump(&demo, "net 10.0.0.0/12");
    assert_eq!(counted(&demo, &["--filter-file", text(&path)]), (wanted, all - wanted));
}

#[test]
fn an_expression_of_many_terms_compiles_soon_and_one_of_too_many_is_refused() {
    let demo = fixture("demo.pcapng");
    let hosts =
        |count: u32| (0..count).map(|i| format!("host 10.9.{}.{}", i / 200, i % 200 + 1)).collect::<Vec<_>>().join(" or ");
    let (all, _) = counted(&demo, &[]);
    let wanted = by_tcpdump(&demo, "host 192.0.2.1");
    // Those with an optimized program, and those with a program as it comes.
    for count in [100, 400] {
        let expression = format!("{} or host 192.0.2.1", hosts(count));
        assert_eq!(counted(&demo, &["-f", &expression]), (wanted, all - wanted), "{count}");
    }
    let many = refused(&["-r", text(&demo), "-f", &hosts(1100)]);
    assert!(many.stderr.contains("1100 terms") && many.stderr.contains("--filter-file"), "{}", many.stderr);
}

/// Addresses of the datagrams, as one of their ends has them.
fn sources(frames: &[Vec<u8>]) -> Vec<[u8; 4]> {
    let mut sources: Vec<[u8; 4]> = frames.iter().filter_map(|frame| frame.get(26..30)?.try_into().ok()).collect();
    sources.sort_unstable();
    sources.dedup();
    sources
}

/// What is lent and what is filtered on a wire.
fn on_a_wire(namespace: &NetNs, frames: &[Vec<u8>], arguments: &[&str]) -> (u64, u64) {
    let exports = Exports::new();
    let mut running = capture(namespace, &exports, arguments);
    send(namespace, frames);
    wait_for_silence(&mut running);
    stop(running);
    let summary = exports.summary();
    assert_eq!(summary["unaccounted"], 0, "{summary}");
    let number = |value: &Value| value.as_u64().expect("a number");
    (number(&summary["packets"]), number(&summary["source"]["filtered"]))
}

#[test]
fn a_list_and_a_filter_that_no_kernel_takes_run_in_user_space_on_a_wire() {
    let Some(namespace) = NetNs::with_veth() else { return };
    let (frames, directory) = (datagrams(60, 20, 1), temp_dir("filter-file"));
    let sources = sources(&frames);
    // The first is the client of all.
    let wanted = &sources[sources.len() - sources.len() / 3..];
    let is_wanted = |frame: &&Vec<u8>| wanted.iter().any(|one| frame[26..30] == one[..] || frame[30..34] == one[..]);
    let expected = frames.iter().filter(is_wanted).count() as u64;
    let rest = frames.len() as u64 - expected;
    assert!(expected > 0 && rest > 0);
    let [dots, terms] = [("", "\n"), ("host ", " or ")].map(|(before, between)| {
        let lines: Vec<String> = wanted.iter().map(|[a, b, c, d]| format!("{before}{a}.{b}.{c}.{d}")).collect();
        lines.join(between)
    });
    let path = list(directory.path(), &dots);
    let others: String = (0..300).map(|i| format!(" or host 192.168.{}.{}", i / 200, i % 200 + 1)).collect();
    let long = format!("{terms}{others}");
    for backend in ["tpacket", "libpcap"] {
        let by = |more: &[&str]| on_a_wire(&namespace, &frames, &[&["--backend", backend], more].concat());
        assert_eq!(by(&["--filter-file", text(&path)]), (expected, rest), "{backend}, list");
        assert_eq!(by(&["--filter", &long]), (expected, rest), "{backend}, expression");
    }
}
