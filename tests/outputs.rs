//! Where outputs go, by the real program and the programs that read them: pipes, compressed files, full disks, files that must stay.
#![cfg(target_os = "linux")]

mod common;

use common::{fixture, netscope, run, skip, temp_dir};
use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Packets and flows of the demo recording, as tshark and the truth of this repository have them.
const PACKETS: usize = 1424;
const FLOWS: usize = 68;

fn demo() -> PathBuf {
    fixture("demo.pcapng")
}

/// What a shell says to a command line with `netscope` (as `$N`) and the demo recording (as `$D`) in it; its exit code and stderr.
fn shell(line: &str, directory: &Path) -> (String, String, Option<i32>) {
    let output = Command::new("sh")
        .args(["-c", line])
        .env("N", netscope().get_program())
        .env("D", demo())
        .current_dir(directory)
        .output()
        .expect("there is a shell");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    (text(&output.stdout), text(&output.stderr), output.status.code())
}

/// True when these programs are installed; told otherwise.
fn has(programs: &[&str]) -> bool {
    let missing = programs.iter().find(|program| {
        Command::new("sh")
            .args(["-c", &format!("command -v {program}")])
            .stdout(Stdio::null())
            .status()
            .map_or(true, |s| !s.success())
    });
    if let Some(missing) = missing {
        skip(&format!("{missing} is not installed"));
    }
    missing.is_none()
}

#[test]
fn no_input_and_no_output_is_destroyed() {
    let directory = temp_dir("outputs");
    let path = |name: &str| directory.path().join(name);
    fs::copy(demo(), path("same.pcapng")).expect("a copy");
    fs::hard_link(path("same.pcapng"), path("hard.pcapng")).expect("a link");
    fs::copy(demo(), path("cap.000007.pcapng")).expect("a copy");
    fs::write(path("run.toml"), "[output]\nquiet = true\n").expect("written");
    fs::create_dir(path("sub")).expect("a directory");
    for (link, target) in [("link.pcapng", "same.pcapng"), ("dir", "."), ("coming", "later.csv"), ("seg", "cap.000007.pcapng")] {
        std::os::unix::fs::symlink(target, path(link)).expect("a link");
    }
    for line in [
        "$N --read-pcap same.pcapng --write-pcap ./same.pcapng",
        "$N --read-pcap link.pcapng --write-pcap same.pcapng",
        "$N --read-pcap same.pcapng --write-pcap hard.pcapng",
        "$N --read-pcap same.pcapng --export-csv \"$PWD/sub/../same.pcapng\"",
        "$N --read-pcap same.pcapng --summary-json dir/same.pcapng",
        "$N --read-pcap - --expired-flows-jsonl same.pcapng <same.pcapng",
        "$N --read-pcap same.pcapng >>same.pcapng",
        "$N --read-pcap same.pcapng --write-pcap - >>same.pcapng",
        "$N --read-pcap same.pcapng 2>>same.pcapng",
        "$N --read-pcap cap.000007.pcapng --write-pcap cap.pcapng --write-pcap-rotate-mb 1 --write-pcap-max-files 1",
        "$N --read-pcap seg --write-pcap dir/cap.pcapng --write-pcap-rotate-mb 1 --write-pcap-max-files 1",
        "$N --read-pcap $D --write-pcap cap.pcapng --write-pcap-rotate-mb 1 --export-csv cap.000008.pcapng",
        "$N --read-pcap $D --export-csv a.csv --expired-flows-csv ./a.csv",
        "$N --read-pcap $D --export-json b --export-csv dir/b",
        "$N --read-pcap $D --export-json b --export-csv B",
        "$N --read-pcap $D --export-json coming --export-csv later.csv",
        "$N --read-pcap $D --export-csv out.csv >out.csv",
        "$N --config run.toml --read-pcap $D --export-csv run.toml",
    ] {
        let (_, stderr, code) = shell(line, directory.path());
        // What is said stands in the file where standard error is one of them.
        let is_told = stderr.contains("give them different ones") || line.contains("2>>");
        assert!(code == Some(1) && is_told, "{line}: {code:?} {stderr}");
    }
    let demo = fs::read(demo()).expect("the recording");
    assert_eq!(fs::read(path("cap.000007.pcapng")).expect("it is there"), demo);
    assert!(fs::read(path("same.pcapng")).expect("it is there").starts_with(&demo));
    assert_eq!(fs::read_to_string(path("run.toml")).expect("it is there"), "[output]\nquiet = true\n");
    assert!(!path("a.csv").exists() && !path("later.csv").exists());
    // What a run that cannot start would have replaced stays.
    fs::write(path("old.pcap"), "old").expect("written");
    fs::write(path("old.jsonl"), "old").expect("written");
    let line = "$N --read-pcap $D --write-pcap old.pcap --expired-flows-jsonl old.jsonl --export-csv missing/x.csv";
    assert_eq!(shell(line, directory.path()).2, Some(1));
    assert_eq!(fs::read(path("old.pcap")).expect("it is there"), b"old");
    assert_eq!(fs::read(path("old.jsonl")).expect("it is there"), b"old");
    let (_, stderr, code) = shell("$N --read-pcap $D --write-pcap old.pcap --quiet", directory.path());
    assert_eq!(
        (code, netscope_backends::memory::read_all(&path("old.pcap")).expect("a capture").len()),
        (Some(0), PACKETS),
        "{stderr}"
    );
}

#[test]
fn every_output_goes_through_a_pipe_alone() {
    if !has(&["tshark", "tcpdump", "jq"]) {
        return;
    }
    let directory = temp_dir("outputs");
    let lines = FLOWS.to_string();
    let with_header = (FLOWS + 1).to_string();
    for (line, expected) in [
        ("$N --read-pcap $D --write-pcap - | tshark -r - 2>&1 | grep -vc Running", "1424"),
        ("$N --read-pcap $D --write-pcap /dev/stdout | tcpdump -nr - --count 2>/dev/null", "1424 packets"),
        (
            "$N --read-pcap $D --stats --flow-table 5 --write-pcap - 2>/dev/null | $N --read-pcap - --summary-json - | jq .packets",
            "1424",
        ),
        ("$N --read-pcap $D --export-json - | jq length", &lines),
        ("$N --read-pcap $D --export-json /dev/stdout | jq length", &lines),
        ("$N --read-pcap $D --export-csv - | wc -l", &with_header),
        ("$N --read-pcap $D --expired-flows-csv - | wc -l", &with_header),
        ("$N --read-pcap $D --expired-flows-jsonl - | jq -c .ts | wc -l", &lines),
        ("$N --read-pcap $D --summary-json - | jq .flows.opened", &lines),
        ("$N --read-pcap $D --quiet --stats 2>/dev/null | grep -vc '^\\[stats\\]'", "0"),
        ("$N --read-pcap $D --quiet", ""),
        ("$N --read-pcap $D --write-pcap - >to.pcap; tshark -r to.pcap 2>/dev/null | wc -l", "1424"),
        ("echo begin >more; $N --read-pcap $D --expired-flows-jsonl - >>more; wc -l <more", "69"),
    ] {
        let (stdout, stderr, _) = shell(line, directory.path());
        assert_eq!(stdout, expected, "{line}: {stderr}");
        assert!(line.contains("2>") || stderr.contains("Summary\n  packets: 1424 "), "{line}: {stderr}");
    }
    let (stdout, stderr, code) = shell("$N --read-pcap $D --no-summary --stats --export-json -", directory.path());
    assert_eq!((serde_json::from_str::<Vec<Value>>(&stdout).expect("JSON").len(), code), (FLOWS, Some(0)));
    let ticks = stderr.lines().filter(|line| !line.starts_with("netscope: reading "));
    assert!(
        ticks.clone().count() > 5 && ticks.clone().all(|line| line.starts_with("[stats]")),
        "ticks that were asked for: {stderr}"
    );
    assert!(!directory.path().join("-").exists());
}

#[test]
fn a_reader_that_leaves_ends_the_run_quietly() {
    let directory = temp_dir("outputs");
    let capture = directory.path().join("long.pcap");
    // More than fits into a pipe.
    let frame = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 6];
    let mut bytes = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1].map(u32::to_le_bytes).concat();
    for second in 0..200_000_u32 {
        bytes.extend([second, 0, 14, 14].map(u32::to_le_bytes).concat());
        bytes.extend(frame);
    }
    fs::write(&capture, bytes).expect("written");
    for output in ["", "--quiet --stats --stats-interval-ms 1000", "--write-pcap -", "--write-pcap /dev/stdout"] {
        let line = format!("($N --read-pcap long.pcap {output}; echo code $? >&2) | head -c 100 >/dev/null");
        let (_, stderr, _) = shell(&line, directory.path());
        // The line that says what is read was there before.
        let said: Vec<&str> = stderr.lines().filter(|line| !line.starts_with("netscope: reading ")).collect();
        assert_eq!(said, ["code 0"], "{output}");
    }
}

#[test]
fn the_names_ending_compresses() {
    let directory = temp_dir("outputs");
    if !has(&["tshark", "zstd"]) {
        return;
    }
    let files = "--write-pcap x.pcap.gz --export-csv x.csv.zst --export-json x.json.gz --expired-flows-jsonl x.jsonl.zst \
                 --expired-flows-csv ended.csv.gz --summary-json s.json.gz";
    let (_, stderr, code) = shell(&format!("$N --read-pcap $D --quiet {files}"), directory.path());
    assert_eq!(code, Some(0), "{stderr}");
    for (line, expected) in [
        ("gzip -dc x.pcap.gz | tshark -r - 2>&1 | grep -vc Running", "1424"),
        ("tshark -r x.pcap.gz 2>/dev/null | wc -l", "1424"),
        ("$N --read-pcap x.pcap.gz --quiet 2>&1 | grep -c 'packets: 1424 '", "1"),
        ("zstd -dc x.csv.zst | wc -l", "69"),
        ("gzip -dc x.json.gz | wc -l", "70"),
        ("zstd -dc x.jsonl.zst | wc -l", "68"),
        ("gzip -dc ended.csv.gz | wc -l", "69"),
        ("gzip -dc s.json.gz | grep -c packets_not_written", "1"),
    ] {
        assert_eq!(shell(line, directory.path()).0, expected, "{line}");
    }
}

/// Runs netscope on the demo recording with `arguments`, which write to `full/`, a disk of 64 KiB; gives that disk's files and the
/// summary.
fn on_a_small_disk(arguments: &str, code: i32, directory: &Path) -> Option<(PathBuf, Value, String)> {
    if !nix::unistd::geteuid().is_root() {
        skip("a small disk needs root to be mounted");
        return None;
    }
    let kept = directory.join("kept");
    for name in ["full", "kept"] {
        let _new = fs::remove_dir_all(directory.join(name));
        fs::create_dir(directory.join(name)).expect("a directory");
    }
    let line = format!(
        "unshare -m sh -c 'mount -t tmpfs -o size=64k tmpfs full || exit 99; \"$N\" --read-pcap \"$D\" --quiet --summary-json \
         summary.json {arguments}; code=$?; cp -a full/. kept; exit $code'"
    );
    let (_, stderr, ended) = shell(&line, directory);
    if ended == Some(99) {
        skip("a file system cannot be mounted here");
        return None;
    }
    assert_eq!(ended, Some(code), "{stderr}");
    let summary = fs::read_to_string(directory.join("summary.json")).expect("the summary is there");
    Some((kept, serde_json::from_str(&summary).expect("it is JSON"), stderr))
}

#[test]
fn on_a_full_disk_the_counts_are_what_the_files_hold() {
    let directory = temp_dir("outputs");
    for name in ["x.pcap", "x.pcapng", "x.pcap.gz", "x.pcap.zst"] {
        let Some((kept, summary, stderr)) = on_a_small_disk(&format!("--write-pcap full/{name}"), 1, directory.path()) else {
            return;
        };
        let read = shell(&format!("tshark -r {} 2>/dev/null | wc -l", kept.join(name).display()), directory.path()).0;
        let written: usize = read.parse().expect("a number");
        let count = |name: &str| summary[name].as_u64().expect("a number") as usize;
        assert_eq!((count("packets_written"), count("packets_not_written")), (written, PACKETS - written), "{name}: {stderr}");
        assert!(stderr.contains(&format!("packets not written: {};", PACKETS - written)), "{name}: {stderr}");
        assert!(stderr.contains(&format!("  packets not written: {}\n", PACKETS - written)), "{name}: {stderr}");
        // A compressed stream has a sync point once a second, so nothing of so short a run need be there.
        assert!(written > 100 || name.ends_with("gz") || name.ends_with("zst"), "{name}: {written}");
    }
    // Something takes the space, so not even 68 flows find room.
    for (flag, name, head) in [("--expired-flows-jsonl", "e.jsonl", 0), ("--expired-flows-csv", "e.csv", 1)] {
        let arguments = format!("{flag} full/{name} --write-pcap full/x.pcap");
        let Some((kept, summary, _)) = on_a_small_disk(&arguments, 1, directory.path()) else { return };
        let text = fs::read_to_string(kept.join(name)).expect("it is there");
        let rows = text.lines().count().saturating_sub(head);
        assert!(text.is_empty() || text.ends_with('\n'), "whole lines: {text}");
        let output = &summary["outputs"][0];
        assert_eq!(output["rows_written"].as_u64(), Some(rows as u64), "{output}");
        assert_eq!(output["rows_not_written"].as_u64(), Some((FLOWS - rows) as u64), "{output}");
    }
    // A table is whole or not there.
    let arguments = "--export-json full/t.json --write-pcap full/x.pcap";
    let Some((kept, summary, _)) = on_a_small_disk(arguments, 1, directory.path()) else { return };
    let output = &summary["outputs"][0];
    let rows = if kept.join("t.json").exists() { FLOWS } else { 0 };
    assert_eq!(output["rows_written"].as_u64(), Some(rows as u64), "{output}");
    assert_eq!(output["rows_not_written"].as_u64(), Some((FLOWS - rows) as u64), "{output}");
}

/// Names in a directory that end so, sorted.
fn names(directory: &Path, ending: &str) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> =
        entries.filter_map(|name| name.into_string().ok()).filter(|name| name.ends_with(ending)).collect();
    names.sort();
    names
}

/// 6000 flows, one a second, each ended by the next but 59.
fn one_a_second(directory: &Path) -> PathBuf {
    let mut bytes = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1].map(u32::to_le_bytes).concat();
    for number in 0..6000_u32 {
        let [_, _, high, low] = number.to_be_bytes();
        let frame = [
            2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, high, low, 192, 0, 2, 1,
            4, 0, 0, 53, 0, 8, 0, 0,
        ];
        bytes.extend([1_700_000_000 + number, 0, 42, 42].map(u32::to_le_bytes).concat());
        bytes.extend(frame);
    }
    let capture = directory.join("made.pcap");
    fs::write(&capture, bytes).expect("written");
    capture
}

/// Reads a capture in a directory.
fn read_in(directory: &Path, capture: &Path, arguments: &[&str]) {
    let mut command = netscope();
    command.current_dir(directory).arg("--read-pcap").arg(capture).arg("--quiet").args(arguments);
    run(&mut command).expect_code(0);
}

#[test]
fn ended_flows_rotate_by_size_and_time_and_old_files_go() {
    let directory = temp_dir("outputs");
    let capture = one_a_second(directory.path());
    let rotated = |arguments: &[&str]| read_in(directory.path(), &capture, arguments);
    rotated(&["--expired-flows-csv", "size.csv", "--expired-flows-rotate-mb", "1", "--expired-flows-jsonl", "size.jsonl"]);
    for (ending, head) in [("csv", 1), ("jsonl", 0)] {
        let files = names(directory.path(), ending);
        let texts: Vec<String> = files.iter().map(|name| fs::read_to_string(directory.path().join(name)).expect(name)).collect();
        assert!(files.len() > 1 && files[0] == format!("size.000001.{ending}"), "{files:?}");
        assert!(texts.iter().all(|text| text.len() <= 1 << 20), "{files:?}");
        assert!(texts[..texts.len() - 1].iter().all(|text| text.len() > (1 << 20) - 4000), "full, but for a row");
        let heads = texts.iter().filter(|text| text.starts_with("ts,reason,")).count();
        assert_eq!(heads, texts.len() * head);
        let rows: usize = texts.iter().map(|text| text.lines().count() - head).sum();
        assert_eq!(rows, 6000, "every flow once");
    }
    rotated(&[
        "--expired-flows-jsonl",
        "time-%Y%m%d-%H%M%S.jsonl.gz",
        "--expired-flows-rotate-s",
        "1000",
        "--expired-flows-max-files",
        "3",
    ]);
    let files = names(directory.path(), ".jsonl.gz");
    assert_eq!(files, ["time-20231114-230320.jsonl.gz", "time-20231114-232000.jsonl.gz", "time-20231114-233640.jsonl.gz"]);
    let count = shell("zcat time-20231114-230320.jsonl.gz | wc -l", directory.path()).0;
    assert_eq!(count, "1000", "a thousand seconds");
}

#[test]
fn eve_and_each_log_of_zeek_rotate_by_themselves() {
    let directory = temp_dir("outputs");
    let capture = one_a_second(directory.path());
    let rotated = |arguments: &[&str]| read_in(directory.path(), &capture, arguments);
    rotated(&[
        "--expired-flows-eve",
        "eve.json",
        "--expired-flows-zeek",
        ".",
        "--expired-flows-rotate-s",
        "1000",
        "--summary-json",
        "summary.txt",
    ]);
    let summary: Value =
        serde_json::from_str(&fs::read_to_string(directory.path().join("summary.txt")).expect("it is there")).expect("JSON");
    for output in summary["outputs"].as_array().expect("outputs") {
        let rows = if ["./conn.log", "eve.json"].contains(&output["output"].as_str().expect("a name")) { 6000 } else { 0 };
        assert_eq!(output["rows_written"], rows, "{output}");
        assert_eq!(output["rows_not_written"], 0, "a flow without a line in a log is not lost: {output}");
    }
    let text = |name: &str| fs::read_to_string(directory.path().join(name)).expect(name);
    for (start, ending) in [("eve", "json"), ("conn", "log")] {
        let lines = (1..=6).map(|number| text(&format!("{start}.{number:06}.{ending}")));
        let rows = lines.map(|text| text.lines().filter(|line| !line.starts_with('#')).count()).collect::<Vec<_>>();
        assert_eq!((rows.iter().sum::<usize>(), &rows[..5]), (6000, &[1000; 5][..]), "{start}");
    }
    for (number, open, close) in [(1, "22-13-20", "22-29-59"), (2, "22-30-00", "22-46-39"), (6, "23-36-40", "23-53-19")] {
        let log = text(&format!("conn.{number:06}.log"));
        assert!(log.starts_with("#separator \\x09\n"), "{log:.200}");
        assert!(log.contains(&format!("\n#open\t2023-11-14-{open}\n#fields\tts\t")), "{log:.300}");
        assert!(log.ends_with(&format!("\n#close\t2023-11-14-{close}\n")), "{}", &log[log.len() - 100..]);
        assert_eq!(log.lines().filter(|line| line.starts_with('#')).count(), 9);
    }
    rotated(&["--expired-flows-zeek", ".", "--zeek-format", "json", "--zeek-compression", "gz"]);
    let (lines, ..) = shell("zcat conn.log.gz | jq -c .uid | wc -l; zcat dns.log.gz | wc -l", directory.path());
    assert_eq!(lines, "6000\n0");
    let dns = text("dns.000001.log");
    assert!(dns.contains("\n#path\tdns\n") && dns.lines().all(|line| line.starts_with('#')), "{dns}");
    assert_eq!(names(directory.path(), "dns.000002.log").len(), 0, "a log without lines does not rotate");
}

#[test]
fn the_table_keeps_the_flows_that_ended_last_for_any_number_of_workers() {
    let directory = temp_dir("outputs");
    let flags = "--quiet --flow-timeout-s 0.5 --closed-timeout-s 0 --export-ended-max 10";
    let (ended, stderr, _) =
        shell(&format!("$N --read-pcap $D {flags} --flow-table 1 --expired-flows-jsonl -"), directory.path());
    let ended: Vec<Value> = ended.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let (alive, over): (Vec<&Value>, Vec<&Value>) = ended.iter().partition(|flow| flow["reason"] == "exit");
    assert!(over.len() > 30 && stderr.contains("left out of the table exports"), "{stderr}");
    let number = |flow: &Value| flow["first_packet"].as_u64().expect("a number");
    let mut expected: Vec<u64> = over.iter().rev().take(10).chain(&alive).map(|flow| number(flow)).collect();
    expected.sort_unstable();
    for workers in [1, 2, 4] {
        let (table, ..) = shell(&format!("$N --read-pcap $D {flags} --workers {workers} --export-json -"), directory.path());
        let mut kept: Vec<u64> = serde_json::from_str::<Vec<Value>>(&table).expect("JSON").iter().map(number).collect();
        kept.sort_unstable();
        assert_eq!(kept, expected, "{workers} workers");
    }
}

#[test]
fn a_command_is_run_after_each_closed_file() {
    let directory = temp_dir("outputs");
    let capture = directory.path().join("with space-%s.pcap");
    let go = |program: &str, code: i32| {
        let mut command = netscope();
        command.arg("--read-pcap").arg(demo()).args(["--quiet", "--write-pcap-rotate-s", "1", "-z", program]);
        command.arg("--write-pcap").arg(&capture).arg("--summary-json").arg(directory.path().join("s.json"));
        let finished = run(&mut command).expect_code(code);
        let summary = fs::read_to_string(directory.path().join("s.json")).expect("the summary");
        (serde_json::from_str::<Value>(&summary).expect("JSON"), finished.stderr)
    };
    let (summary, _) = go("gzip", 0);
    let files = names(directory.path(), ".pcap.gz");
    assert!(files.len() > 3 && names(directory.path(), ".pcap").is_empty(), "{files:?}");
    assert_eq!(summary["post_rotate"], serde_json::json!({"run": files.len(), "failed": 0}));
    let packets = files.iter().map(|name| netscope_backends::memory::read_all(&directory.path().join(name)).expect(name).len());
    assert_eq!(packets.sum::<usize>(), PACKETS, "all of them, and all are kept");
    let (summary, stderr) = go("false", 1);
    assert_eq!(summary["post_rotate"], serde_json::json!({"run": files.len(), "failed": files.len()}));
    assert!(stderr.contains("--post-rotate false") && stderr.contains("with space-"), "{stderr}");
    // What is no program is found before anything is written.
    for wrong in ["/no/such/program", "gzip -9"] {
        let mut command = netscope();
        command.arg("--read-pcap").arg(demo()).args(["--quiet", "--write-pcap-rotate-s", "1", "-z", wrong, "-w", "x.pcap"]);
        let refused = run(&mut command).expect_code(1);
        assert!(refused.stderr.contains(wrong) && refused.stderr.contains("no such program"), "{}", refused.stderr);
    }
    // A second run goes on behind what the command left.
    let before = names(directory.path(), ".pcap.gz");
    go("gzip", 0);
    let after = names(directory.path(), ".pcap.gz");
    assert!(before.iter().all(|name| after.contains(name)) && after.len() == before.len() + files.len(), "{after:?}");
}

#[test]
fn a_capture_that_is_killed_can_be_read_as_far_as_it_went() {
    let directory = temp_dir("outputs");
    let (fifo, out) = (directory.path().join("fifo"), directory.path().join("x.pcap.zst"));
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("there is mkfifo").success());
    let mut feed = fs::OpenOptions::new().read(true).write(true).open(&fifo).expect("a FIFO");
    let mut child = netscope()
        .args([OsStr::new("--read-pcap"), fifo.as_os_str(), OsStr::new("--quiet"), OsStr::new("--write-pcap"), out.as_os_str()])
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    std::io::Write::write_all(&mut feed, &fs::read(fixture("loss.pcap")).expect("a recording")).expect("it is read");
    let packets = netscope_backends::memory::read_all(&fixture("loss.pcap")).expect("a recording").len();
    let deadline = std::time::Instant::now() + common::RUN_LIMIT;
    let readable = || shell(&format!("tshark -r {} 2>/dev/null | wc -l", out.display()), directory.path()).0.parse().unwrap_or(0);
    let mut seen: usize = readable();
    // The last packets of a pipe that says nothing more may wait for its end.
    while seen + 200 < packets && std::time::Instant::now() < deadline {
        std::thread::sleep(std::time::Duration::from_millis(200));
        seen = readable();
    }
    child.kill().expect("our child");
    child.wait().expect("our child");
    assert!(seen > 0 && seen <= packets && readable() >= seen, "{seen} of {packets}");
}
