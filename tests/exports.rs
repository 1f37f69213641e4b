//! Exports that other tools read: EVE as Suricata writes it, logs as Zeek writes them, by the real program. What is in them is compared
//! with our own records and with tshark; they are the same for any number of workers.

mod common;

use common::{captures, corpus, fixture, netscope, run, skip, temp_dir};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const LOGS: [&str; 6] = ["conn", "dns", "ssl", "http", "ssh", "quic"];

/// What a run wrote.
struct Written {
    directory: tempfile::TempDir,
}

impl Written {
    /// Reads a capture into `eve.json`, `logs`, `flows.json` and `summary.json`.
    fn of(capture: &Path, flags: &[&str]) -> Self {
        let directory = temp_dir("exports");
        fs::create_dir(directory.path().join("logs")).expect("a directory");
        let mut command = netscope();
        command.current_dir(directory.path()).args([
            "--quiet",
            "--max-flows",
            "0",
            "--export-ended-max",
            "10000000",
            "--read-pcap",
        ]);
        command.arg(capture).args(["--export-eve", "eve.json", "--export-zeek", "logs", "--export-json", "flows.json"]);
        run(command.args(["--summary-json", "summary.json"]).args(flags)).expect_code(0);
        Self { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn text(&self, name: &str) -> String {
        String::from_utf8(self.bytes(name)).expect("UTF-8")
    }

    fn events(&self) -> Vec<Value> {
        self.text("eve.json")
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
            .collect()
    }

    /// Events of this type.
    fn events_of(&self, kind: &str) -> Vec<Value> {
        self.events().into_iter().filter(|event| event["event_type"] == kind).collect()
    }

    fn flows(&self) -> Vec<Value> {
        serde_json::from_slice(&self.bytes("flows.json")).expect("JSON")
    }

    /// A log by the names of its columns, as zeek-cut reads it; what is unset is left out.
    fn log(&self, name: &str) -> Vec<BTreeMap<String, String>> {
        read_log(&self.text(&format!("logs/{name}.log")), name)
    }

    /// Rows that the summary says were written and not written to a file.
    fn rows(&self, file: &str) -> (u64, u64) {
        let summary: Value = serde_json::from_slice(&self.bytes("summary.json")).expect("JSON");
        let outputs = summary["outputs"].as_array().expect("a list");
        let output = outputs.iter().find(|output| output["output"].as_str().is_some_and(|name| name.ends_with(file)));
        let output = output.unwrap_or_else(|| panic!("{file} in {outputs:?}"));
        let count = |name: &str| output[name].as_u64().expect("a number");
        (count("rows_written"), count("rows_not_written"))
    }
}

fn read_log(text: &str, name: &str) -> Vec<BTreeMap<String, String>> {
    let (mut fields, mut types, mut rows) = (Vec::new(), Vec::new(), Vec::new());
    for line in text.lines() {
        match line.split_once(['\t', ' ']) {
            Some(("#separator", separator)) => assert_eq!(separator, "\\x09"),
            Some(("#path", path)) => assert_eq!(path, name),
            Some(("#unset_field", unset)) => assert_eq!(unset, "-"),
            Some(("#empty_field", empty)) => assert_eq!(empty, "(empty)"),
            Some(("#fields", names)) => fields = names.split('\t').map(str::to_owned).collect(),
            Some(("#types", names)) => types = names.split('\t').map(str::to_owned).collect(),
            Some(("#set_separator" | "#open" | "#close", _)) => {}
            _ => {
                let values: Vec<&str> = line.split('\t').collect();
                assert_eq!((values.len(), types.len()), (fields.len(), fields.len()), "{line}");
                for (value, kind) in values.iter().zip(&types).filter(|(value, _)| **value != "-") {
                    check_type(value, kind);
                }
                let known = fields.iter().cloned().zip(values).filter(|(_, value)| *value != "-");
                rows.push(known.map(|(name, value)| (name, value.to_owned())).collect());
            }
        }
    }
    let last = text.lines().last().unwrap_or_default();
    assert!(last.starts_with("#close\t"), "{last}");
    rows
}

/// A value is what its column's type says.
fn check_type(value: &str, kind: &str) {
    let is_right = match kind {
        "time" | "interval" => value.split_once('.').is_some_and(|(whole, part)| whole.parse::<u64>().is_ok() && part.len() == 6),
        "addr" => value.parse::<std::net::IpAddr>().is_ok(),
        "port" => value.parse::<u16>().is_ok(),
        "count" => value.parse::<u64>().is_ok(),
        "int" => value.parse::<i64>().is_ok(),
        "bool" => ["T", "F"].contains(&value),
        "enum" => value.chars().all(|c| c.is_ascii_lowercase() || c == '_'),
        _ => !value.is_empty(),
    };
    assert!(is_right, "{value:?} is no {kind}");
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn every_flow_is_an_event_and_a_line_with_its_numbers() {
    for capture in captures() {
        let written = Written::of(&capture, &["--dpi", "--headers"]);
        let (flows, events, lines) = (written.flows(), written.events(), written.log("conn"));
        let of_flows: Vec<&Value> = events.iter().filter(|event| event["event_type"] == "flow").collect();
        assert_eq!((of_flows.len(), lines.len()), (flows.len(), flows.len()), "{}", capture.display());
        let (mut ids, mut uids) = (BTreeSet::new(), BTreeSet::new());
        for ((flow, event), line) in flows.iter().zip(of_flows).zip(&lines) {
            for (ours, eve, zeek) in [
                ("client_ip", "src_ip", "id.orig_h"),
                ("server_ip", "dest_ip", "id.resp_h"),
                ("community_id", "community_id", "community_id"),
            ] {
                assert_eq!(
                    (&flow[ours], flow[ours].as_str()),
                    (&event[eve], line.get(zeek).map(String::as_str)),
                    "{ours} of {flow}"
                );
            }
            for (ours, eve, zeek) in [
                ("packets_to_server", "pkts_toserver", "orig_pkts"),
                ("packets_to_client", "pkts_toclient", "resp_pkts"),
                ("bytes_to_server", "bytes_toserver", ""),
                ("bytes_to_client", "bytes_toclient", ""),
            ] {
                assert_eq!(flow[ours], event["flow"][eve], "{ours}");
                let of_line = line.get(zeek).map(|value| value.parse().expect("a number"));
                assert_eq!(of_line, (!zeek.is_empty()).then(|| number(&flow[ours])), "{ours}");
            }
            if let ("tcp" | "udp", Some(port)) = (flow["protocol"].as_str().expect("a name"), flow["server_port"].as_u64()) {
                assert_eq!((number(&event["dest_port"]), &line["id.resp_p"]), (port, &port.to_string()));
                let payload = number(&flow["payload_bytes_a_to_b"]) + number(&flow["payload_bytes_b_to_a"]);
                let of_line: u64 =
                    ["orig_bytes", "resp_bytes"].iter().map(|name| line[*name].parse::<u64>().expect("a number")).sum();
                assert_eq!(of_line, payload);
            }
            ids.insert(number(&event["flow_id"]));
            uids.insert(line["uid"].clone());
        }
        assert_eq!((ids.len(), uids.len()), (flows.len(), flows.len()), "each flow has its name: {}", capture.display());
        // What payload says names a flow that is there, and every line is counted.
        assert!(events.iter().all(|event| ids.contains(&number(&event["flow_id"]))));
        assert_eq!(written.rows("eve.json"), (events.len() as u64, 0));
        for log in LOGS {
            let lines = written.log(log);
            assert!(lines.iter().all(|line| uids.contains(&line["uid"])), "{log}");
            assert_eq!(written.rows(&format!("{log}.log")), (lines.len() as u64, 0), "{log}");
        }
        for (log, kinds) in [("ssl", &["tls", "quic"][..]), ("http", &["http"]), ("ssh", &["ssh"]), ("quic", &["quic"])] {
            let events = events.iter().filter(|event| kinds.iter().any(|kind| event["event_type"] == *kind)).count();
            let lines = written.log(log).len();
            assert!(lines == events || log == "ssl" && lines <= events, "{log} of {}: {lines}, {events}", capture.display());
        }
    }
}

#[test]
fn any_number_of_workers_and_either_form_say_the_same() {
    const LEN_MAX: u64 = 1 << 20;
    let is_small = |capture: &PathBuf| fs::metadata(capture).is_ok_and(|metadata| metadata.len() <= LEN_MAX);
    for capture in captures().into_iter().filter(is_small) {
        let one = Written::of(&capture, &["--dpi", "--workers", "1"]);
        for workers in ["2", "4"] {
            let more = Written::of(&capture, &["--dpi", "--workers", workers]);
            let files = LOGS.map(|log| format!("logs/{log}.log"));
            for file in files.iter().map(String::as_str).chain(["eve.json"]) {
                assert!(one.bytes(file) == more.bytes(file), "{file} of {} by {workers} workers", capture.display());
            }
        }
        let json = Written::of(&capture, &["--dpi", "--zeek-format", "json"]);
        for log in LOGS {
            let (lines, text) = (one.log(log), json.text(&format!("logs/{log}.log")));
            let objects: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
            assert_eq!(objects.len(), lines.len(), "{log}");
            for (object, line) in objects.iter().zip(&lines) {
                let names: BTreeSet<&String> = object.as_object().expect("an object").keys().collect();
                assert_eq!(names, line.keys().collect::<BTreeSet<_>>(), "{log}");
                assert_eq!(object["uid"].as_str(), Some(line["uid"].as_str()));
            }
        }
    }
}

/// Values of a field that tshark finds, in small letters; `None` without tshark.
fn by_tshark(capture: &Path, field: &str) -> Option<BTreeSet<String>> {
    let mut command = Command::new("tshark");
    command.arg("-r").arg(capture).args(["-n", "-T", "fields", "-E", "occurrence=a", "-e", field]);
    let output = command.stderr(Stdio::null()).output();
    let Ok(output) = output else {
        skip("tshark is not installed");
        return None;
    };
    let text = String::from_utf8_lossy(&output.stdout).to_lowercase();
    Some(text.split([',', '\n']).map(str::to_owned).filter(|value| !value.is_empty()).collect())
}

fn texts<'a>(values: impl Iterator<Item = &'a Value>) -> BTreeSet<String> {
    values.filter_map(Value::as_str).map(str::to_lowercase).collect()
}

#[test]
fn names_are_those_that_tshark_finds() {
    let Some(corpus) = corpus() else { return };
    let capture = |name: &str| corpus.join("captures").join(name);
    for (name, kinds) in [
        ("ndpi__android.pcap", &["tls", "dns"][..]),
        ("ndpi__weibo.pcap", &["dns", "http"]),
        ("ndpi__doq_adguard.pcapng", &["quic"]),
        ("joy__kali-normal-ssh.pcap", &["ssh"]),
    ] {
        let path = capture(name);
        let written = Written::of(&path, &["--dpi"]);
        for kind in kinds {
            let (field, ours, column): (_, fn(&Value) -> &Value, _) = match *kind {
                "tls" => ("tls.handshake.extensions_server_name", |event| &event["tls"]["sni"], "server_name"),
                "quic" => ("tls.handshake.extensions_server_name", |event| &event["quic"]["sni"], "server_name"),
                "dns" => ("dns.qry.name", |event| &event["dns"]["rrname"], "query"),
                "http" => ("http.host", |event| &event["http"]["hostname"], "host"),
                _ => ("ssh.protocol", |event| &event["ssh"]["client"]["software_version"], "client"),
            };
            let Some(theirs) = by_tshark(&path, field) else { return };
            let events = written.events_of(kind);
            let ours = texts(events.iter().map(ours));
            let log = written.log(match *kind {
                "tls" | "quic" => "ssl",
                other => other,
            });
            let lines: BTreeSet<String> =
                log.iter().filter_map(|line| line.get(column)).map(|name| name.to_lowercase()).collect();
            assert!(!ours.is_empty() && !theirs.is_empty(), "{name} {kind}");
            match *kind {
                "ssh" => assert!(ours.iter().all(|client| theirs.iter().any(|line| line.contains(client.as_str()))), "{ours:?}"),
                _ => {
                    let unknown: Vec<_> = ours.difference(&theirs).collect();
                    assert!(unknown.is_empty(), "{name} {kind}: {unknown:?}");
                    assert!(ours.len() * 10 >= theirs.len() * 9, "{name} {kind}: {} of {}", ours.len(), theirs.len());
                }
            }
            assert!(kind == &"ssh" || ours.is_subset(&lines), "{name} {kind}");
        }
    }
}

#[test]
fn states_of_connections_agree_with_their_flags() {
    let [fin, syn, rst] = [1_u64, 2, 4];
    let capture = fixture("demo.pcapng");
    let fields = ["ip.src", "tcp.srcport", "ip.dst", "tcp.dstport", "tcp.flags"];
    let mut command = Command::new("tshark");
    command.arg("-r").arg(&capture).args(["-n", "-Y", "tcp && !icmp && !icmpv6", "-T", "fields"]);
    fields.iter().for_each(|field| _ = command.args(["-e", field]));
    let Ok(output) = command.stderr(Stdio::null()).output() else { return skip("tshark is not installed") };
    // Of each sender and receiver, the control bits together.
    let mut seen: BTreeMap<[String; 4], u64> = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let values: Vec<&str> = line.split('\t').collect();
        if let [source, source_port, destination, destination_port, flags] = values[..] {
            let flags = u64::from_str_radix(flags.trim_start_matches("0x"), 16).expect("flags in hexadecimal");
            *seen.entry([source, source_port, destination, destination_port].map(str::to_owned)).or_default() |= flags;
        }
    }
    let mut states = BTreeSet::new();
    for line in Written::of(&capture, &[]).log("conn").into_iter().filter(|line| line["proto"] == "tcp") {
        let ends = ["id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p"].map(|name| line[name].clone());
        let [a, b, c, d] = ends.clone();
        let (Some(&orig), resp) = (seen.get(&ends), seen.get(&[c, d, a, b]).copied()) else { continue };
        let (answer, state) = (resp.unwrap_or(0), line["conn_state"].clone());
        let is_right = match state.as_str() {
            "S0" => orig & syn != 0 && resp.is_none(),
            "S1" => orig & answer & syn != 0 && (orig | answer) & (fin | rst) == 0,
            "SF" => orig & answer & fin != 0,
            "S2" => orig & fin != 0 && answer & (fin | rst) == 0,
            "S3" => answer & fin != 0 && orig & (fin | rst) == 0,
            "REJ" => orig & syn != 0 && answer & rst != 0,
            "RSTR" => orig & answer & syn != 0 && answer & rst != 0,
            "RSTO" => answer & syn != 0 && orig & rst != 0,
            _ => (orig & answer) & syn == 0,
        };
        assert!(is_right, "{state}: {orig:#x} {answer:#x} {line:?}");
        states.insert(state);
    }
    assert!(states.len() > 2, "the recording has connections of several kinds: {states:?}");
}

#[test]
fn without_dpi_there_are_flows_alone() {
    let written = Written::of(&fixture("demo.pcapng"), &["--no-dpi"]);
    assert!(written.events().iter().all(|event| event["event_type"] == "flow" && event.get("app_proto").is_none()));
    let files: Vec<_> =
        fs::read_dir(written.path("logs")).expect("a directory").map(|entry| entry.expect("an entry").file_name()).collect();
    assert_eq!(files, ["conn.log"]);
    assert!(written.log("conn").iter().all(|line| !line.contains_key("service") && !line.contains_key("orig_bytes")));
}

/// A capture of datagrams and segments with these payloads, each of a flow of its own.
fn capture_of(payloads: &[(u8, u16, Vec<u8>)], path: &Path) {
    let mut bytes = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 262_144, 1].map(u32::to_le_bytes).concat();
    for (number, (protocol, port, payload)) in payloads.iter().enumerate() {
        let head_len: u16 = if *protocol == 6 { 20 } else { 8 };
        let payload_len = u16::try_from(payload.len()).expect("a packet's worth");
        let mut packet = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
        packet.extend((20 + head_len + payload_len).to_be_bytes());
        packet.extend([0, 0, 0, 0, 64, *protocol, 0, 0, 10, 0, 0, 1, 192, 0, 2, 1]);
        packet.extend((40_000 + number as u16).to_be_bytes());
        packet.extend(port.to_be_bytes());
        match protocol {
            6 => packet.extend([0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x18, 4, 0, 0, 0, 0, 0]),
            _ => packet.extend([(8 + payload_len).to_be_bytes(), [0, 0]].concat()),
        }
        packet.extend(payload);
        let len = packet.len() as u32;
        bytes.extend([1_700_000_000, number as u32, len, len].map(u32::to_le_bytes).concat());
        bytes.extend(packet);
    }
    fs::write(path, bytes).expect("written");
}

#[test]
fn hostile_names_stay_in_their_fields() {
    let directory = temp_dir("exports");
    let capture = directory.path().join("hostile.pcap");
    let label = b"-\t,\\x09\n\"\x1b[31m\xff\xe2\x80\xae";
    let question =
        [&[0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, label.len() as u8], &label[..], &[2, b'e', b'x', 0, 0, 1, 0, 1]].concat();
    let host = [
        b"GET /p\xe2\x80\xae,x?secret=1 HTTP/1.1\r\nHost: h\xe2\x80\xae\xff,\r\nCookie: secret=2\r\nUser-Agent: ",
        &[b'u'; 4000][..],
    ];
    let request = [&host.concat()[..], b"\r\nAuthorization: Basic c2VjcmV0OjM=\r\n\r\n"].concat();
    let banner = b"SSH-2.0-ev\xe2\x80\xaeil,\xff \xe2\x80\xae\r\n".to_vec();
    capture_of(&[(17, 53, question), (6, 80, request), (6, 22, banner)], &capture);
    let written = Written::of(&capture, &["--dpi"]);
    let (eve, logs) = (written.text("eve.json"), LOGS.map(|log| written.text(&format!("logs/{log}.log"))));
    let hidden = |c: char| c != '\n' && (c.is_control() && c != '\t' || c == '\u{202e}');
    assert!(!eve.contains(|c| c == '\t' || hidden(c)) && logs.iter().all(|log| !log.contains(hidden)), "{eve}{logs:?}");
    for secret in ["secret", "c2VjcmV0"] {
        assert!(!eve.contains(secret) && logs.iter().all(|log| !log.contains(secret)), "{secret}");
    }
    let kinds: Vec<Value> = written.events().iter().map(|event| event["event_type"].clone()).collect();
    assert!(["dns", "http", "ssh"].iter().all(|kind| kinds.iter().any(|found| found == kind)), "{kinds:?}");
    // The columns are whole, so whatever is in a name, what stands behind it is where it belongs.
    let (http, dns, ssh) = (written.log("http"), written.log("dns"), written.log("ssh"));
    assert_eq!((http[0]["method"].as_str(), http[0]["version"].as_str()), ("GET", "1.1"));
    assert_eq!((http[0]["uri"].as_str(), http[0]["host"].as_str()), ("/p\\xe2\\x80\\xae,x", "h\\xe2\\x80\\xae\\xff,"));
    let agent = http[0]["user_agent"].trim_end_matches('…');
    assert!(agent.len() <= 1024 && agent.len() > 100 && agent.bytes().all(|byte| byte == b'u'), "{agent}");
    assert_eq!(dns[0]["qtype_name"], "A");
    assert!(ssh[0]["client"].starts_with("SSH-2.0-ev\\xe2\\x80\\xaeil,\\xff"), "{ssh:?}");
}

#[test]
fn files_are_compressed_and_replaced_as_a_whole() {
    let directory = temp_dir("exports");
    let logs = directory.path().join("logs");
    fs::create_dir(&logs).expect("a directory");
    fs::write(logs.join("dns.log.zst"), "old").expect("written");
    let mut command = netscope();
    command.current_dir(directory.path()).args(["-q", "--dpi", "--export-zeek", "logs", "--zeek-compression", "zst"]);
    run(command.args(["--export-eve", "eve.json.gz", "--read-pcap"]).arg(fixture("demo.pcapng"))).expect_code(0);
    let unpacked = |name: &str| {
        let bytes = fs::read(logs.join(name)).expect("a file");
        String::from_utf8(zstd::decode_all(&bytes[..]).expect("Zstandard")).expect("UTF-8")
    };
    assert!(!read_log(&unpacked("conn.log.zst"), "conn").is_empty());
    read_log(&unpacked("dns.log.zst"), "dns");
    let names: Vec<_> = fs::read_dir(&logs).expect("a directory").map(|entry| entry.expect("an entry").file_name()).collect();
    assert_eq!(names.len(), LOGS.len(), "no temporary stays: {names:?}");
    let packed = fs::read(directory.path().join("eve.json.gz")).expect("a file");
    assert_eq!(packed[..2], [0x1f, 0x8b]);
}

#[cfg(target_os = "linux")]
#[test]
fn on_a_full_device_every_event_is_counted_as_not_written() {
    let capture = fixture("demo.pcapng");
    let events = Written::of(&capture, &["--dpi"]).events().len() as u64;
    let directory = temp_dir("exports");
    let summary = directory.path().join("summary.json");
    let mut command = netscope();
    command.args(["-q", "--dpi", "--export-eve", "/dev/full", "--summary-json"]).arg(&summary).arg("--read-pcap").arg(capture);
    let finished = run(&mut command).expect_code(1);
    assert!(finished.stderr.contains("/dev/full"), "{}", finished.stderr);
    let summary: Value = serde_json::from_slice(&fs::read(summary).expect("a file")).expect("JSON");
    let output = &summary["outputs"][0];
    assert_eq!((number(&output["rows_written"]), number(&output["rows_not_written"])), (0, events));
}

#[test]
fn what_cannot_be_written_is_said_and_nothing_is_read() {
    let directory = temp_dir("exports");
    fs::write(directory.path().join("file"), "").expect("written");
    for (flags, said) in [
        (&["--export-zeek", "missing"][..], "missing/conn.log"),
        (&["--export-zeek", "file"], "no directory"),
        (&["--export-zeek", "-"], "several files"),
        (&["--export-eve", "missing/eve.json"], "missing/eve.json"),
        (&["--export-eve", "."], "output file"),
        (&["--zeek-format", "json"], "--export-zeek"),
        (&["--export-zeek", ".", "--export-json", "conn.log"], "--export-zeek"),
        (&["--export-eve", "x", "--export-json", "x"], "--export-eve"),
        (&["--export-eve", "-", "--export-json", "-"], "standard output"),
    ] {
        let mut command = netscope();
        command.current_dir(directory.path()).arg("-q").args(flags).arg("--read-pcap").arg(fixture("demo.pcapng"));
        let finished = run(&mut command).expect_code(1);
        assert!(finished.stderr.contains(said), "{flags:?}: {}", finished.stderr);
        assert!(finished.stdout.is_empty());
    }
}
