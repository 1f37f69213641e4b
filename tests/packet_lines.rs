//! Packet lines of the real program: what is named, times, colours, checksums, and the marks of the TCP analysis, which are as many
//! as the flows count and at the packets where tshark has them.

mod common;

use common::{captures, fixture, netscope, run, temp_dir};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The program on a capture, with times and colours as into a pipe, whatever the environment of the test.
fn reading(capture: &Path, flags: &[&str]) -> Command {
    let mut command = netscope();
    command.arg("--read-pcap").arg(capture).args(flags);
    command.env_remove("CLICOLOR_FORCE").env_remove("NO_COLOR").env_remove("TZ");
    command
}

fn shown(capture: &Path, flags: &[&str]) -> String {
    run(&mut reading(capture, flags)).expect_code(0).stdout
}

/// The line of a packet, without number and time.
#[track_caller]
fn packet(text: &str, number: usize) -> &str {
    let start = format!("#{number} ");
    let line = text.lines().find(|line| line.starts_with(&start)).unwrap_or_else(|| panic!("no packet {number} in {text}"));
    line.splitn(3, ' ').nth(2).expect("number, time, packet")
}

#[test]
fn lines_say_in_words_what_happened() {
    let text = shown(&fixture("demo.pcapng"), &[]);
    assert!(text.starts_with("#1 02:19:54.310777 fe80::5eff:fe10:2 > ff02::2 icmpv6 router solicitation"));
    for (number, line) in [
        (3, "192.0.2.1 > 192.0.2.2 icmp echo request id=27138 seq=1 len=56 frame=98"),
        (7, "vlan 5 fe80::d00c:fff:fe50:9c6 > ff02::2 icmpv6 router solicitation from d2:0c:0f:50:09:c6 frame=74"),
        (12, "2001:db8:1::1 > ff02::1:ff00:2 icmpv6 neighbor solicitation who-has 2001:db8:1::2 from 02:00:5e:10:00:01 frame=86"),
        (
            13,
            "2001:db8:1::2 > 2001:db8:1::1 icmpv6 neighbor advertisement 2001:db8:1::2 solicited override is-at 02:00:5e:10:00:02 frame=86",
        ),
        (31, "[2001:db8:1::1]:55261 > [2001:db8:1::2]:53 udp len=57 dns name=www.demo.example type=AAAA frame=119"),
        (39, "arp who-has 192.0.2.1 tell 192.0.2.2 frame=42"),
        (40, "arp reply 192.0.2.1 is-at 02:00:5e:10:00:01 frame=42"),
        (45, "192.0.2.1:41775 > 192.0.2.2:53 tcp [SYN] seq=0 win=64660 mss=1220 wscale=10 sackOK ts=3387812439/0 len=0 frame=74"),
        (
            46,
            "192.0.2.2:53 > 192.0.2.1:41775 tcp [SYN,ACK] seq=0 ack=1 win=65160 mss=1460 wscale=10 sackOK ts=1430599754/3387812439 len=0 frame=74",
        ),
        (47, "192.0.2.1:41775 > 192.0.2.2:53 tcp [ACK] seq=1 ack=1 win=64 len=0 frame=66 [handshake 4.602 ms]"),
        (
            63,
            "192.0.2.1:34255 > 192.0.2.2:53 tcp [PSH,ACK] seq=1 ack=1 win=64 len=60 dns name=long.demo.example type=TXT frame=126 [retransmission]",
        ),
        (1240, "192.0.2.1:36478 > 192.0.2.2:4789 udp len=50 vxlan vni=42 arp who-has 203.0.113.2 tell 203.0.113.1 frame=92"),
        (1308, "192.0.2.1:59950 > 192.0.2.2:7000 udp len=1600 frag id=0xef27 offset=0 more frame=1514"),
        (1309, "192.0.2.1 > 192.0.2.2 udp len=128 frag id=0xef27 offset=1480 frame=162"),
        (1351, "192.0.2.2 > 192.0.2.1 icmp 192.0.2.2 udp port 9 unreachable (quotes 192.0.2.1:32776 > 192.0.2.2:9 udp) frame=87"),
        (1366, "192.0.2.2:7001 > 192.0.2.1:58680 tcp [ACK] seq=1 ack=10137 win=0 sack=8689-10137 len=0 frame=78 [zero window]"),
        (1367, "192.0.2.1:58680 > 192.0.2.2:7001 tcp [ACK] seq=10136 ack=1 win=63 len=0 frame=66 [keep-alive]"),
        (1372, "192.0.2.2:7001 > 192.0.2.1:58680 tcp [ACK] seq=1 ack=10137 win=8688 len=0 frame=66 [window update]"),
    ] {
        assert_eq!(packet(&text, number), line, "packet {number}");
    }
    let plain = shown(&fixture("demo.pcapng"), &["--no-dpi"]);
    assert_eq!(packet(&plain, 31), "[2001:db8:1::1]:55261 > [2001:db8:1::2]:53 udp len=57 frame=119");
    let absolute = shown(&fixture("demo.pcapng"), &["--absolute-seq", "--link", "-c", "47"]);
    assert_eq!(
        packet(&absolute, 47),
        "eth 02:00:5e:10:00:01 > 02:00:5e:10:00:02 192.0.2.1:41775 > 192.0.2.2:53 tcp [ACK] seq=2582927267 ack=174533895 win=64 len=0 \
         frame=66 [handshake 4.602 ms]"
    );
}

#[test]
fn times_are_those_of_the_zone_that_is_asked_for() {
    let first = |flags: &[&str], zone: Option<&str>| {
        let mut command = reading(&fixture("demo.pcapng"), &[flags, &["-c", "2"]].concat());
        if let Some(zone) = zone {
            command.env("TZ", zone);
        }
        let text = run(&mut command).expect_code(0).stdout;
        text.lines()
            .take_while(|line| *line != "Summary")
            .map(|line| line.split(" fe80").next().unwrap_or(line).to_owned())
            .collect::<Vec<_>>()
    };
    let utc = ["--- 2026-11-21 UTC ---", "#1 02:19:54.310777", "#2 02:19:54.564470"];
    assert_eq!(first(&[], Some("JST-9")), utc[1..], "into a pipe, a line is a packet");
    assert_eq!(first(&["--time", "utc"], Some("JST-9")), utc);
    let local = ["--- 2026-11-21 local time, UTC+09:00 ---", "#1 11:19:54.310777", "#2 11:19:54.564470"];
    assert_eq!(first(&["--time", "local"], Some("JST-9")), local);
    assert_eq!(first(&["--time", "local"], Some("ABC4"))[0], "--- 2026-11-20 local time, UTC-04:00 ---");
    assert_eq!(first(&["--time", "epoch"], None), ["#1 1795227594.310777", "#2 1795227594.564470"]);
    assert_eq!(first(&["--time", "delta"], None), ["#1 +0.000000", "#2 +0.253693"]);
}

#[test]
fn colours_are_for_who_wants_them() {
    let with = |flags: &[&str], variables: &[(&str, &str)]| {
        let mut command = reading(&fixture("demo.pcapng"), &[flags, &["-c", "70"]].concat());
        run(command.envs(variables.iter().copied())).expect_code(0).stdout
    };
    let plain = with(&[], &[]);
    assert!(!plain.contains('\x1b'), "a pipe is no terminal");
    let colored = with(&["--color", "always"], &[("NO_COLOR", "1")]);
    assert!(colored.contains("\x1b[1;31m[retransmission]\x1b[0m"), "{colored}");
    assert_eq!(with(&[], &[("CLICOLOR_FORCE", "1")]), colored);
    assert_eq!(with(&["--color", "never"], &[("CLICOLOR_FORCE", "1")]), plain);
    let stripped: String = colored
        .split("\x1b[")
        .enumerate()
        .map(|(i, part)| if i == 0 { part } else { part.split_once('m').expect("a colour").1 })
        .collect();
    assert_eq!(stripped, plain);
}

#[test]
fn every_field_with_its_checksum_verified() {
    let text = shown(&fixture("demo.pcapng"), &["-vv"]);
    let said: Vec<&str> =
        text.lines().filter_map(|line| line.trim().strip_prefix("checksum: 0x")).map(|said| &said[5..]).collect();
    let count = |what: &str| said.iter().filter(|said| **said == what).count();
    assert!(count("(right)") > 2000, "{said:?}");
    assert_eq!(
        count("(right)") + count("(not verified: a fragment)") + count("(not verified: the packet was not captured whole)"),
        said.len()
    );
    for field in [
        "    dscp: 48 (CS6)",
        "    ecn: 0 (not-ECT)",
        "    protocol: 17 (udp)",
        "    type: 3 (unreachable)",
        "    code: 3 (port unreachable)",
    ] {
        assert!(text.lines().any(|line| line == field), "{field}");
    }
    assert!(!text.contains("\nFlow\n"));
    let cut = shown(&fixture("loss.pcap"), &["-vv", "-c", "200"]);
    assert!(cut.contains("(not verified: the packet was not captured whole)") && !cut.contains("(wrong"));
    let flows = shown(&fixture("demo.pcapng"), &["-vvv", "-c", "47"]);
    let last = flows.split("#47 ").nth(1).expect("packet 47");
    for field in
        ["first packet: 45", "packets so far: 3", "tcp state: established", "window in bytes: 65536", "handshake: 4.602814 ms"]
    {
        assert!(last.contains(field), "{field} in {last}");
    }
}

/// What is found of segments: the name in brackets, the name in records, and the columns of tshark that say the same.
const COUNTED: [(&str, &str); 9] = [
    ("retransmission]", "retransmissions"),
    ("[fast retransmission]", "fast_retransmissions"),
    ("[spurious retransmission]", "spurious_retransmissions"),
    ("[out of order]", "out_of_order"),
    ("[lost segment]", "lost_segments"),
    ("[ACK of lost segment]", "ack_lost_segments"),
    ("[duplicate ACK #", "duplicate_acks"),
    ("[keep-alive]", "keep_alives"),
    ("[zero window]", "zero_windows"),
];

#[test]
fn there_are_as_many_marks_as_the_flows_count() {
    let directory = temp_dir("marks");
    let export = directory.path().join("flows.json");
    let mut marked = 0;
    for capture in captures() {
        for workers in ["1", "3"] {
            let mut command = reading(&capture, &["--workers", workers, "--export-json"]);
            let text = run(command.arg(&export)).stdout;
            let Ok(flows) = fs::read(&export) else { continue };
            let flows: Vec<Value> = serde_json::from_slice(&flows).expect("JSON");
            for (mark, field) in COUNTED {
                let marks = text.lines().filter(|line| line.starts_with('#') && line.contains(mark)).count() as u64;
                let counted: u64 = flows.iter().map(|flow| flow[field].as_u64().unwrap_or_default()).sum();
                assert_eq!(marks, counted, "{field} of {} by {workers} workers", capture.display());
                marked += marks;
            }
            fs::remove_file(&export).expect("it was there");
        }
    }
    assert!(marked > 100, "only {marked} marks");
}

/// Packets that tshark marks in one of these columns.
fn marked_by_tshark(capture: &str, columns: &[&str]) -> BTreeSet<usize> {
    let table = fs::read_to_string(fixture(&format!("truth/{capture}.marks.tsv"))).expect("the table is there");
    let mut lines = table.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let head = lines.next().expect("a head");
    let wanted: Vec<usize> = columns
        .iter()
        .map(|column| head.iter().position(|name| name.strip_prefix("tcp.analysis.") == Some(column)).expect("a column"))
        .collect();
    lines
        .filter(|line| wanted.iter().any(|&at| line.get(at).is_some_and(|value| !value.is_empty())))
        .map(|line| line[0].parse().expect("a number"))
        .collect()
}

#[test]
fn the_packets_that_tshark_marks_are_marked() {
    for capture in ["demo.pcapng", "loss.pcap"] {
        let text = shown(&fixture(capture), &[]);
        for (marks, columns) in [
            // This tshark calls some of those that fill a gap out of order that later ones call retransmissions (docs/tcp-analysis.md).
            (&["retransmission]", "[out of order]"][..], &["retransmission", "out_of_order"][..]),
            (&["[lost segment]"], &["lost_segment"]),
            (&["[keep-alive]"], &["keep_alive"]),
            (&["[keep-alive ACK]"], &["keep_alive_ack"]),
            (&["[zero window]"], &["zero_window"]),
        ] {
            let ours: BTreeSet<usize> = text
                .lines()
                .filter(|line| line.starts_with('#') && marks.iter().any(|mark| line.contains(mark)))
                .map(|line| line[1..].split(' ').next().and_then(|number| number.parse().ok()).expect("a number"))
                .collect();
            assert_eq!(ours, marked_by_tshark(capture, columns), "{marks:?} of {capture}");
        }
    }
}

#[test]
fn several_workers_show_the_same_lines() {
    for capture in ["demo.pcapng", "loss.pcap", "fragments.pcap"].map(fixture) {
        let lines = |flags: &[&str]| {
            shown(&capture, flags).lines().take_while(|line| *line != "Summary").map(str::to_owned).collect::<Vec<_>>()
        };
        let one = lines(&["-vvv"]);
        assert_eq!(lines(&["-vvv", "--workers", "3"]), one);
        assert_eq!(lines(&["-vvv", "--workers", "2", "--write-pcap", "/dev/null"]), one);
    }
}
