//! docs/from-tcpdump.md, line by line: theirs and ours select the same packets of a capture.
//!
//! A live interface in a command is replaced by the capture; what both write is compared packet by packet.
#![cfg(target_os = "linux")]

mod common;

use common::{fixture, netscope, temp_dir};
use netscope_backends::memory::{OwnedPacket, read_all};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Rows of the first two tables.
fn rows() -> Vec<(String, String)> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/from-tcpdump.md")).expect("the page is there");
    let compared = page.split("## Without packets to compare").next().expect("the first part");
    let row = |line: &str| {
        let (theirs, ours) = line.strip_prefix("| `")?.strip_suffix("` |")?.split_once("` | `")?;
        Some((theirs.to_owned(), ours.to_owned()))
    };
    compared.lines().filter_map(row).collect()
}

/// The words of a command, as a shell has them; only single quotes occur.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (place, part) in command.split('\'').enumerate() {
        if place % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

/// The packets that a command selects of the capture.
fn selected(command: &str, capture: &str, out: &Path) -> Vec<OwnedPacket> {
    let out = out.to_str().expect("a path in UTF-8");
    let mut words = words(&command.replace("-i eth0", "-r capture.pcapng"));
    for word in &mut words {
        match word.as_str() {
            "capture.pcapng" => capture.clone_into(word),
            "out.pcap" | "out.pcapng" => out.clone_into(word),
            _ => {}
        }
    }
    let (program, rest) = words.split_first().expect("a program");
    let mut ran = if program == "netscope" { netscope() } else { Command::new(program) };
    // Flags stand before the filter, which is the last.
    if !command.contains(" -w ") {
        ran.args(["-w", out]);
    }
    // tshark takes a capture filter for an interface alone; on a file the same library's filter is tcpdump's.
    let output = if program == "tshark" && rest.iter().any(|word| word == "-f") {
        let filter = rest.iter().skip_while(|word| *word != "-f").nth(1).expect("a filter").clone();
        Command::new("tcpdump").args(["-r", capture, "-w", out, &filter]).output()
    } else {
        ran.args(rest).output()
    };
    let output = output.unwrap_or_else(|error| panic!("{program} is installed: {error}"));
    assert!(output.status.success(), "{command}: {output:?}");
    read_all(Path::new(out)).expect("what was written can be read")
}

#[test]
fn theirs_and_ours_select_the_same_packets() {
    let directory = temp_dir("from-tcpdump");
    let capture = fixture("demo.pcapng");
    let capture = capture.to_str().expect("a path in UTF-8");
    let rows = rows();
    assert!(rows.len() >= 20, "{rows:#?}");
    let mut some = 0;
    for (theirs, ours) in &rows {
        let their_packets = selected(theirs, capture, &directory.path().join("theirs.pcapng"));
        let our_packets = selected(ours, capture, &directory.path().join("ours.pcapng"));
        // tcpdump writes microseconds, and cuts packets of an interface alone.
        let snaplen = if theirs.contains(" -s 96 ") { 96 } else { usize::MAX };
        let of = |packets: &[OwnedPacket]| {
            let cut = |data: &[u8]| data[..data.len().min(snaplen)].to_vec();
            packets.iter().map(|packet| (packet.time.0 / 1000, packet.wire_len, cut(&packet.data))).collect::<Vec<_>>()
        };
        assert!(our_packets.iter().all(|packet| packet.data.len() <= snaplen), "{ours}");
        assert_eq!(of(&our_packets).len(), of(&their_packets).len(), "{theirs} and {ours}");
        assert!(of(&our_packets) == of(&their_packets), "{theirs} and {ours} differ");
        some += usize::from(!our_packets.is_empty());
    }
    assert!(some + 2 >= rows.len(), "most of them select something");
}
