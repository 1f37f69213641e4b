//! What users of tcpdump and tshark type: a filter as the last words, short flags, several files, limits, other programs' flags.
#![cfg(target_os = "linux")]

mod common;

use common::{Finished, fixture, netscope, run, temp_dir};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

fn with(arguments: &[&str]) -> Finished {
    run(netscope().args(arguments))
}

fn demo() -> String {
    fixture("demo.pcapng").to_str().expect("a path in UTF-8").to_owned()
}

/// Packets by the summary as JSON.
fn packets(arguments: &[&str]) -> u64 {
    let directory = temp_dir("habits");
    let path = directory.path().join("summary.json");
    run(netscope().args(["-q", "--summary-json"]).arg(&path).args(arguments)).expect_code(0);
    let summary: Value = serde_json::from_str(&fs::read_to_string(&path).expect("it is there")).expect("it is JSON");
    assert_eq!(summary["unaccounted"], 0, "{summary}");
    summary["packets"].as_u64().expect("a number")
}

/// Packets that tcpdump reads.
fn by_tcpdump(file: &str, filter: &str) -> u64 {
    let output = Command::new("tcpdump").args(["-nr", file, filter]).output().expect("tcpdump is installed");
    output
        .stdout
        .split(|&byte| byte == b'\n')
        .filter(|line| line.starts_with(b"2") || line.starts_with(b"1") || line.starts_with(b"0"))
        .count() as u64
}

#[test]
fn the_last_words_are_a_filter_quoted_or_not_and_anywhere() {
    let demo = demo();
    let wanted = packets(&["-r", &demo, "-f", "tcp port 443"]);
    assert_eq!(wanted, by_tcpdump(&demo, "tcp port 443"));
    assert!(wanted > 0 && wanted < packets(&["-r", &demo]));
    for words in [&["tcp", "port", "443"][..], &["tcp port 443"], &["tcp", "port", "443", "-v"]] {
        assert_eq!(packets(&[&["-r", &demo[..]], words].concat()), wanted, "{words:?}");
    }
    let both = with(&["-r", &demo, "-f", "udp", "tcp"]).expect_code(1);
    assert!(both.stderr.contains("--filter") && both.stderr.contains("tcp"), "{}", both.stderr);
    let wrong = with(&["-r", &demo, "tcp", "prot", "80"]).expect_code(1);
    assert!(wrong.stderr.contains("tcp prot 80"), "{}", wrong.stderr);
}

#[test]
fn what_works_elsewhere_gets_a_tip() {
    let demo = demo();
    for (arguments, tip) in [
        (&[&demo[..]][..], "netscope --read-pcap"),
        (&["-r", &demo, &demo], "each file needs its own --read-pcap"),
        (&["missing.pcap"], "there is no file missing.pcap"),
        (&["lo"], "netscope --interface lo"),
        (&["docter"], "netscope doctor"),
        (&["-nn", "-i", "lo"], "always shown as numbers"),
        (&["-D"], "--list-interfaces"),
        (&["-i", "lo", "-Y", "http"], "display filters are not known"),
        (&["-i", "lo", "-G", "60"], "--write-pcap-rotate-s"),
        (&["-tttt", "-i", "lo"], "-t is the read timeout"),
    ] {
        let refused = with(arguments).expect_code(1);
        assert!(refused.stderr.contains(tip), "{arguments:?}: {}", refused.stderr);
    }
    let help = with(&["help"]).expect_code(0);
    assert_eq!(help.stdout, with(&["--help"]).expect_code(0).stdout);
}

#[test]
fn several_files_are_read_in_order_merged_or_by_directory() {
    let directory = temp_dir("several");
    let at = |name: &str| directory.path().join(name).to_str().expect("a path in UTF-8").to_owned();
    let demo = demo();
    // The capture in three parts, with names that are not in order of time.
    let parts = [
        ("c.pcapng", "frame.number <= 500"),
        ("a.pcapng", "frame.number > 500 and frame.number <= 900"),
        ("b.pcapng", "frame.number > 900"),
    ];
    for (name, filter) in parts {
        let made =
            Command::new("tshark").args(["-r", &demo, "-Y", filter, "-w", &at(name)]).output().expect("tshark is installed");
        assert!(made.status.success(), "{made:?}");
    }
    fs::write(at("notes.txt"), "no capture").expect("it can be written");
    let flows = |arguments: &[&str]| {
        let json = at("flows.json");
        run(netscope().args(["-q", "--export-json", &json]).args(arguments)).expect_code(0);
        let flows = fs::read_to_string(&json).expect("it is there");
        fs::remove_file(&json).expect("it is there");
        flows
    };
    let whole = flows(&["-r", &demo]);
    let [c, a, b] = ["c.pcapng", "a.pcapng", "b.pcapng"].map(at);
    assert_eq!(flows(&["-r", &c, "-r", &a, "-r", &b]), whole);
    assert_eq!(flows(&["-r", &b, "-r", &a, "-r", &c, "--merge"]), whole);
    assert_eq!(flows(&["-r", directory.path().to_str().expect("UTF-8")]), whole);
    for workers in ["2", "4"] {
        assert_eq!(flows(&["-r", directory.path().to_str().expect("UTF-8"), "--workers", workers]), whole, "{workers} workers");
    }
    let said = with(&["-r", directory.path().to_str().expect("UTF-8"), "-q"]).expect_code(0);
    assert!(said.stderr.contains("notes.txt"), "{}", said.stderr);
    let file = at("netscope.toml");
    fs::write(&file, format!("[capture]\nread_pcap = [\"{c}\", \"{a}\", \"{b}\"]\n")).expect("it can be written");
    assert_eq!(flows(&["--config", &file]), whole);
    // A damaged one among them: all that can be read is, and the run says so.
    let bytes = fs::read(&a).expect("it is there");
    fs::write(&a, &bytes[..bytes.len() - 10]).expect("it can be written");
    let damaged = with(&["-r", &c, "-r", &a, "-r", &b, "-q"]).expect_code(1);
    assert!(
        damaged.stderr.contains("a.pcapng is damaged") && damaged.stderr.contains("the other files are read"),
        "{}",
        damaged.stderr
    );
    let all = format!("{}{}", damaged.stdout, damaged.stderr);
    assert!(all.contains("packets: 1423"), "{all}");
    let pipe = with(&["-r", &c, "-r", "-", "-q"]).expect_code(1);
    assert!(pipe.stderr.contains('-'), "{}", pipe.stderr);
}

#[test]
fn a_run_ends_by_itself_at_the_same_packet_with_any_workers() {
    let demo = demo();
    let fields = ["-T", "fields", "-e", "frame.time_relative", "-e", "frame.len"];
    let listed = Command::new("tshark").args(["-r", &demo]).args(fields).output().expect("tshark is installed");
    let frames: Vec<(f64, u64)> = String::from_utf8(listed.stdout)
        .expect("UTF-8")
        .lines()
        .map(|line| line.split_once('\t').expect("two fields"))
        .map(|(time, len)| (time.parse().expect("a time"), len.parse().expect("a length")))
        .collect();
    let in_ten_seconds = frames.iter().filter(|(time, _)| *time < 10.0).count() as u64;
    let mut sum = 0;
    let until_bytes = 1 + frames
        .iter()
        .take_while(|(_, len)| {
            sum += len;
            sum < 100_000
        })
        .count() as u64;
    for workers in ["1", "2", "4"] {
        assert_eq!(packets(&["-r", &demo, "--workers", workers, "--duration", "10"]), in_ten_seconds, "{workers} workers");
        assert_eq!(
            packets(&["-r", &demo, "--workers", workers, "--stop-after-bytes", "100000"]),
            until_bytes,
            "{workers} workers"
        );
    }
    assert_eq!(packets(&["-r", &demo, "--duration", "1000", "--stop-after-bytes", "1000000000"]), frames.len() as u64);
    let refused = with(&["-r", &demo, "--duration", "-1"]).expect_code(1);
    assert!(refused.stderr.contains("--duration"), "{}", refused.stderr);
}

#[test]
fn the_version_names_libraries_kernel_and_backends() {
    let version = with(&["--version"]).expect_code(0).stdout;
    for part in ["netscope ", "libpcap version ", "Linux ", "backend tpacket: ", "backend xdp: "] {
        assert!(version.contains(part), "{part} in {version}");
    }
    assert_eq!(with(&["-V"]).expect_code(0).stdout.lines().count(), 1);
}

#[test]
fn man_pages_have_every_section_and_are_clean() {
    for (arguments, sections) in [
        (&["--man"][..], &["SYNOPSIS", "OPTIONS", "EXAMPLES", "EXIT STATUS", "SIGNALS", "FILES", "SEE ALSO"][..]),
        (&["doctor", "--man"], &["SYNOPSIS", "OPTIONS", "EXAMPLES", "EXIT STATUS", "SEE ALSO"]),
    ] {
        let page = with(arguments).expect_code(0).stdout;
        for section in sections {
            let bare = format!(".SH {section}\n");
            assert!(page.contains(&format!(".SH \"{section}\"")) || page.contains(&bare), "{section} in {page}");
        }
    }
}

#[test]
fn shells_complete_interfaces() {
    for (shell, names) in [("bash", "/sys/class/net"), ("zsh", "_net_interfaces"), ("fish", "__fish_print_interfaces")] {
        let script = with(&["--completions", shell]).expect_code(0).stdout;
        assert!(script.contains(names), "{shell}: {script}");
    }
    // Bash itself completes one.
    let script = with(&["--completions", "bash"]).expect_code(0).stdout;
    let directory = temp_dir("completions");
    let path = directory.path().join("netscope.bash");
    fs::write(&path, script).expect("it can be written");
    let asked = format!(
        "source {}; COMP_WORDS=(netscope --interface l); COMP_CWORD=2; _netscope netscope l --interface; echo \"${{COMPREPLY[@]}}\"",
        path.display()
    );
    let answer = Command::new("bash").args(["-c", &asked]).output().expect("there is bash");
    let answer = String::from_utf8_lossy(&answer.stdout).into_owned();
    assert!(answer.split_whitespace().any(|name| name == "lo"), "{answer}");
}

#[test]
fn intervals_are_lines_of_json_that_add_up() {
    let directory = temp_dir("stats");
    let path = directory.path().join("stats.jsonl");
    let arguments = ["-q", "--top-flows", "2", "--stats-interval-ms", "2000"];
    run(netscope().args(["-r", &demo()]).args(arguments).arg("--stats-jsonl").arg(&path)).expect_code(0);
    let lines: Vec<Value> = fs::read_to_string(&path)
        .expect("it is there")
        .lines()
        .map(|line| serde_json::from_str(line).expect("each line is an object"))
        .collect();
    assert!(lines.len() > 5, "{lines:?}");
    let sum: u64 = lines.iter().map(|line| line["packets"].as_u64().expect("a number")).sum();
    let last = lines.last().expect("there are some");
    assert_eq!((Some(sum), Some(1424)), (last["packets_total"].as_u64(), last["packets_total"].as_u64()));
    assert!(lines.iter().any(|line| line["top_flows"].as_array().is_some_and(|top| top.len() == 2)), "{lines:?}");
    let schema = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/stats.schema.json")).expect("it is there");
    let schema = jsonschema::draft202012::new(&serde_json::from_str(&schema).expect("it is JSON")).expect("it is a schema");
    for line in &lines {
        assert!(schema.is_valid(line), "{:?}", schema.iter_errors(line).map(|error| error.to_string()).collect::<Vec<_>>());
    }
}

#[test]
fn a_capture_says_once_what_it_does_and_ends_after_its_time() {
    let said = with(&["-i", "lo", "--duration", "0.3", "udp port 9"]).expect_code(0);
    let lines: Vec<&str> = said.stderr.lines().filter(|line| line.contains("capturing on")).collect();
    let [line] = lines[..] else { panic!("{}", said.stderr) };
    assert!(line.contains("lo by tpacket, Ethernet, 1 worker, promiscuous; Ctrl-C to stop"), "{line}");
    let quiet = with(&["-i", "lo", "-q", "--duration", "0.3", "--no-promiscuous", "udp port 9"]).expect_code(0);
    assert!(!quiet.stderr.contains("capturing on"), "{}", quiet.stderr);
    let file = with(&["-r", &demo(), "-c", "1"]).expect_code(0);
    assert!(file.stderr.contains("demo.pcapng, Ethernet, 1 worker"), "{}", file.stderr);
}

#[test]
fn a_silent_interface_is_told_unless_that_is_off() {
    let said = with(&["-i", "lo", "-q", "--duration", "0.6", "--silence-s", "0.1", "udp port 9"]).expect_code(0);
    assert!(said.stderr.contains("no packet has arrived yet for"), "{}", said.stderr);
    let off = with(&["-i", "lo", "-q", "--duration", "0.6", "--silence-s", "0", "udp port 9"]).expect_code(0);
    assert!(!off.stderr.contains("no packet has arrived"), "{}", off.stderr);
}

#[test]
fn a_written_pcapng_says_where_it_comes_from() {
    let directory = temp_dir("origin");
    let path = directory.path().join("lo.pcapng");
    let written = path.to_str().expect("a path in UTF-8");
    with(&["-i", "lo", "-q", "--duration", "0.3", "-w", written, "udp port 9 or icmp"]).expect_code(0);
    let shown = Command::new("capinfos").arg(&path).output().expect("capinfos comes with tshark");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("Capture application: netscope "), "{shown}");
    assert!(shown.contains("Capture oper-sys:    Linux "), "{shown}");
}
