//! What packets' headers say, and the round trips of each side, by the whole program against tshark.

mod common;

use common::{corpus, fixture, netscope, skip, temp_dir};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// Protocol, source, destination of packets that go one way.
type Way = (u64, String, String);

/// What was seen on one way.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    payload_bytes: u64,
    ttls: BTreeSet<u64>,
    dscps: BTreeSet<u64>,
    ecns: BTreeSet<u64>,
}

/// Flows as NetScope exports them.
fn flows(capture: &Path, arguments: &[&str]) -> Vec<Value> {
    let directory = temp_dir("packet_headers");
    let path = directory.path().join("flows.json");
    let mut command = netscope();
    command.args(["--quiet", "--read-pcap"]).arg(capture).arg("--export-json").arg(&path).args(arguments);
    let output = command.output().expect("netscope runs");
    assert!(output.status.success(), "{}: {}", capture.display(), String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&std::fs::read(&path).expect("written")).expect("JSON")
}

/// Fields of the packets that match, as tshark says: the innermost occurrence, or with `first` the outermost. `None` without tshark.
fn tshark(capture: &Path, filter: &str, occurrence: &str, fields: &[&str]) -> Option<Vec<Vec<String>>> {
    let mut command = Command::new("tshark");
    command.args(["-n", "-r"]).arg(capture).args(["-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE", "-Y", filter]);
    command.args(["-T", "fields", "-E", &format!("occurrence={occurrence}")]);
    command.args(fields.iter().flat_map(|field| ["-e", field]));
    let Ok(output) = command.output() else {
        skip("tshark is not installed");
        return None;
    };
    let lines = String::from_utf8(output.stdout).expect("UTF-8");
    Some(lines.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect())
}

fn number(text: &str) -> u64 {
    let hexadecimal = text.strip_prefix("0x").map(|digits| u64::from_str_radix(digits, 16));
    hexadecimal.unwrap_or_else(|| text.parse()).unwrap_or_else(|_| panic!("a number: {text:?}"))
}

/// By tshark, of TCP and UDP.
fn by_tshark(capture: &Path) -> Option<BTreeMap<Way, Seen>> {
    let fields = [
        "ip.src",
        "ipv6.src",
        "ip.dst",
        "ipv6.dst",
        "tcp.srcport",
        "udp.srcport",
        "tcp.dstport",
        "udp.dstport",
        "tcp.len",
        "udp.length",
        "ip.ttl",
        "ipv6.hlim",
        "ip.dsfield",
        "ipv6.tclass",
    ];
    let mut ways: BTreeMap<Way, Seen> = BTreeMap::new();
    for line in tshark(capture, "(tcp or udp) and not icmp and not icmpv6", "l", &fields)? {
        let either = |at: usize| if line[at].is_empty() { &line[at + 1] } else { &line[at] };
        let is_tcp = !line[8].is_empty();
        let end = |ip: usize, port: usize| format!("{} {}", either(ip), if is_tcp { &line[port] } else { &line[port + 1] });
        let way = (if is_tcp { 6 } else { 17 }, end(0, 4), end(2, 6));
        let seen = ways.entry(way).or_default();
        seen.payload_bytes += if is_tcp { number(&line[8]) } else { number(&line[9]) - 8 };
        seen.ttls.insert(number(either(10)));
        let class = number(either(12));
        seen.dscps.insert(class >> 2);
        seen.ecns.insert(class & 3);
    }
    // Only the least and the greatest are kept.
    for seen in ways.values_mut() {
        seen.ttls = [seen.ttls.first(), seen.ttls.last()].into_iter().flatten().copied().collect();
    }
    Some(ways)
}

/// By NetScope; records of one tuple together.
fn by_netscope(flows: &[Value]) -> BTreeMap<Way, Seen> {
    let mut ways: BTreeMap<Way, Seen> = BTreeMap::new();
    for flow in flows {
        let protocol = match flow["protocol"].as_str() {
            Some("tcp") => 6,
            Some("udp") => 17,
            _ => continue,
        };
        let end = |name: &str| format!("{} {}", flow[name]["ip"].as_str().expect("an address"), flow[name]["port"]);
        let ends = [end("endpoint_a"), end("endpoint_b")];
        for (direction, [source, destination]) in [("a_to_b", [0, 1]), ("b_to_a", [1, 0])] {
            let of = |name: &str| &flow[format!("{name}_{direction}")];
            if *of("ttl_min") == Value::Null {
                assert_eq!((of("dscp"), of("payload_bytes")), (&Value::Array(Vec::new()), &0.into()));
                continue;
            }
            let seen = ways.entry((protocol, ends[source].clone(), ends[destination].clone())).or_default();
            let numbers = |name: &str| {
                of(name).as_array().expect("a list").iter().map(|value| value.as_u64().expect("a number")).collect::<Vec<_>>()
            };
            seen.payload_bytes += of("payload_bytes").as_u64().expect("bytes");
            seen.ttls.extend(["ttl_min", "ttl_max"].map(|name| of(name).as_u64().expect("hops")));
            seen.dscps.extend(numbers("dscp"));
            seen.ecns.extend(numbers("ecn"));
        }
    }
    for seen in ways.values_mut() {
        seen.ttls = [seen.ttls.first(), seen.ttls.last()].into_iter().flatten().copied().collect();
    }
    ways
}

/// Of a capture, each way's payload, TTL, DSCP and ECN are tshark's, with any number of workers.
fn agrees(capture: &Path) {
    let all = ["--headers", "--max-flows", "0", "--flow-timeout-s", "0"];
    let one = flows(capture, &all);
    let several = flows(capture, &[&all[..], &["--workers", "3"]].concat());
    assert_eq!(one, several, "{}", capture.display());
    let Some(expected) = by_tshark(capture) else { return };
    assert!(!expected.is_empty());
    let found = by_netscope(&one);
    let differ: Vec<_> = expected
        .iter()
        .filter(|(way, seen)| found.get(way) != Some(seen))
        .map(|(way, seen)| (way, seen, found.get(way)))
        .collect();
    assert!(differ.is_empty() && found.len() == expected.len(), "{}: {differ:#?}", capture.display());
}

#[test]
fn recordings_agree_with_tshark() {
    for name in ["fragments.pcap", "loss.pcap"] {
        agrees(&fixture(name));
    }
}

/// IPv4 and IPv6, with VLAN tags and in tunnels, cooked; several code points, ECN in use.
#[test]
fn captures_agree_with_tshark() {
    let Some(corpus) = corpus() else { return };
    for name in CAPTURES {
        agrees(&corpus.join("captures").join(name));
    }
}

const CAPTURES: [&str; 15] = [
    "suri__bug-4376-syn_retransmit_with_ts.pcap",
    "mercury__geneve.pcap",
    "ndpi__iphone.pcap",
    "zeek__ldap-gap-data-missing.pcapng",
    "ndpi__sites.pcapng",
    "ndpi__http_ipv6.pcap",
    "pcpp__four_ipv6_http_streams.pcap",
    "ndpi__android.pcap",
    "ndpi__teams.pcap",
    "ndpi__doq_adguard.pcapng",
    "zeek__tcp-ssh-dups.pcap",
    "pcpp__sll.pcap",
    "joy__kali-normal-ssh.pcap",
    "suri__smb2-07-20171220_smb_psexec_add_user.pcap",
    "arkime__wireshark-retrans.pcap",
];

/// Round trips in ns of each side of a tuple, by the time of its acknowledgments.
fn sides_by_tshark(capture: &Path) -> Option<BTreeMap<Way, Vec<u64>>> {
    let fields = ["ip.src", "ipv6.src", "ip.dst", "ipv6.dst", "tcp.srcport", "tcp.dstport", "tcp.analysis.ack_rtt"];
    let mut sides: BTreeMap<Way, Vec<u64>> = BTreeMap::new();
    for line in tshark(capture, "tcp.analysis.ack_rtt and not icmp and not icmpv6", "l", &fields)? {
        let end =
            |ip: usize, port: usize| format!("{} {}", if line[ip].is_empty() { &line[ip + 1] } else { &line[ip] }, line[port]);
        let seconds: f64 = line[6].parse().expect("seconds");
        sides.entry((6, end(0, 4), end(2, 5))).or_default().push((seconds * 1e9).round() as u64);
    }
    Some(sides)
}

/// Samples, and least, average and largest round trip in ms, of the side that acknowledges this way.
fn side(flow: &Value, role: &str) -> Option<(u64, [f64; 3])> {
    let of = |name: &str| flow[format!("rtt_{role}_{name}")].as_f64();
    let numbers = [of("min_ms")?, of("ewma_ms")?, of("max_ms")?];
    Some((flow[format!("rtt_{role}_samples")].as_u64()?, numbers))
}

/// The ways of a flow's acknowledgments: from the server, and from the client.
fn ways(flow: &Value) -> [(&'static str, Way); 2] {
    let end =
        |role: &str| format!("{} {}", flow[format!("{role}_ip")].as_str().expect("an address"), flow[format!("{role}_port")]);
    [("server", (6, end("server"), end("client"))), ("client", (6, end("client"), end("server")))]
}

#[test]
fn a_connection_has_the_round_trips_of_each_side_apart() {
    let capture = fixture("demo.pcapng");
    let flows = flows(&capture, &["--flow-timeout-s", "0"]);
    let flow = flows.iter().find(|flow| flow["client_port"] == 57_350).expect("the connection");
    assert_eq!((&flow["server_ip"], &flow["server_port"]), (&"192.0.2.2".into(), &443.into()));
    assert_eq!((&flow["packets_to_server"], &flow["packets_to_client"]), (&49.into(), &54.into()));
    assert_eq!((&flow["bytes_to_server"], &flow["bytes_to_client"]), (&4337.into(), &69_223.into()));
    // tshark: 4.375 4.529 .. 11.487 ms to the server, all six; 0.0035 to 2.7 ms to the client.
    assert_eq!(side(flow, "server").map(|(samples, [min, _, max])| (samples, min, max)), Some((6, 4.375, 11.487)));
    assert_eq!(side(flow, "client").map(|(samples, [min, _, _])| (samples, min)), Some((28, 0.003)));
    assert_eq!(flow["rtt_path_min_ms"], 4.378);
    assert_eq!((&flow["rtt_min_ms"], &flow["rtt_samples"]), (&0.003.into(), &34.into()), "both sides together, as before");
    let Some(expected) = sides_by_tshark(&capture) else { return };
    let [(_, to_server), _] = ways(flow);
    let expected = &expected[&to_server];
    let mean = expected.iter().sum::<u64>() as f64 / expected.len() as f64 / 1e6;
    let (_, [_, ewma, _]) = side(flow, "server").expect("samples");
    assert!((6.0..6.1).contains(&mean) && (ewma - mean).abs() < 0.6, "{ewma} and {mean}");
}

/// Of every connection with one record and samples of a side on both ends: none is shorter than tshark's shortest, and nearly all
/// shortest ones are the same. (Longest ones are not compared: tshark gives some ACKs no time.)
#[test]
fn round_trips_of_each_side_agree_with_tshark() {
    let mut captures = vec![fixture("demo.pcapng"), fixture("loss.pcap")];
    if let Some(corpus) = corpus() {
        captures.extend(CAPTURES.map(|name| corpus.join("captures").join(name)));
    }
    let (mut compared, mut same) = (0, 0);
    for capture in captures {
        let flows = flows(&capture, &["--flow-timeout-s", "0", "--max-flows", "0"]);
        let Some(expected) = sides_by_tshark(&capture) else { return };
        for flow in flows.iter().filter(|flow| flow["protocol"] == "tcp" && flow["tunnel"].is_null()) {
            let ways = ways(flow);
            if flows.iter().filter(|other| other["protocol"] == "tcp" && self::ways(other)[0] == ways[0]).count() > 1 {
                continue;
            }
            for (role, way) in ways {
                let (Some((_, [min, ewma, max])), Some(all)) = (side(flow, role), expected.get(&way)) else { continue };
                let least = *all.iter().min().expect("samples") as f64 / 1e6;
                // Of what was sent again tshark times the oldest copy, we the one that its ACK's timestamp names.
                let is_resent = flow["retransmissions"] != 0;
                assert!(is_resent || min >= least - 0.0011, "{} {flow}: {least}", capture.display());
                assert!((min..=max).contains(&ewma), "{flow}");
                (compared, same) = (compared + 1, same + u64::from(min <= least * 1.1 + 0.0011));
            }
        }
    }
    println!("{same} of {compared} sides have tshark's least round trip");
    assert!(compared > 40 && same * 100 >= compared * 95, "{same} of {compared}");
}

#[test]
fn addresses_of_the_first_packet_are_tsharks() {
    let capture = fixture("demo.pcapng");
    let flows = flows(&capture, &["--headers", "--flow-timeout-s", "0"]);
    for (filter, vlan) in [("vlan and tcp", Some(5)), ("ipv6 and tcp and not vlan and not vxlan", None)] {
        let Some(lines) = tshark(&capture, filter, "f", &["frame.number", "eth.src", "eth.dst"]) else { return };
        let by_number: BTreeMap<u64, (&str, &str)> =
            lines.iter().map(|line| (number(&line[0]), (line[1].as_str(), line[2].as_str()))).collect();
        let mut seen = 0;
        for flow in &flows {
            if let Some((source, destination)) = by_number.get(&flow["first_packet"].as_u64().expect("a number")) {
                assert_eq!((&flow["source_mac"], &flow["destination_mac"]), (&Value::from(*source), &Value::from(*destination)));
                assert_eq!(flow["vlan"].as_array().and_then(|ids| ids.first()).and_then(Value::as_u64), vlan);
                seen += 1;
            }
        }
        assert!(seen > 0, "{filter}");
    }
}

#[test]
fn a_closed_window_is_timed_from_the_segment_that_closes_it() {
    let capture = fixture("demo.pcapng");
    let flows = flows(&capture, &["--flow-timeout-s", "0"]);
    let closed: Vec<_> = flows.iter().filter(|flow| !flow["zero_window_ms_b_to_a"].is_null()).collect();
    let [flow] = closed[..] else { panic!("one connection: {closed:?}") };
    assert_eq!(
        (&flow["server_port"], &flow["zero_window_ms_a_to_b"], &flow["zero_windows"]),
        (&7001.into(), &Value::Null, &3.into())
    );
    let filter = format!("tcp.srcport == 7001 and tcp.port == {}", flow["client_port"]);
    let fields = ["frame.time_epoch", "tcp.window_size_value", "tcp.flags"];
    let Some(lines) = tshark(&capture, &filter, "l", &fields) else { return };
    let (mut expected, mut since) = (0.0, None);
    for line in &lines {
        let time: f64 = line[0].parse().expect("seconds");
        expected += since.map_or(0.0, |since| time - since) * 1000.0;
        // SYN, RST, FIN.
        since = (number(&line[1]) == 0 && number(&line[2]) & 7 == 0).then_some(time);
    }
    let found = flow["zero_window_ms_b_to_a"].as_f64().expect("a time");
    assert!((found - expected).abs() < 0.01 && found > 100.0, "{found} and {expected}");
}

#[test]
fn nothing_is_said_of_headers_unless_asked() {
    let flows = flows(&fixture("demo.pcapng"), &[]);
    for name in ["source_mac", "ttl_min_a_to_b", "dscp_b_to_a", "ecn_a_to_b", "payload_bytes_a_to_b", "ecn_negotiated"] {
        assert!(flows.iter().all(|flow| flow.get(name) == Some(&Value::Null)), "{name}");
    }
}

/// A pcap file of one IPv4 packet between two hosts, of which so many bytes were captured.
fn one_packet(path: &Path, protocol: u8, carried: &[u8], captured: usize) {
    let mut frame =
        vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 20 + carried.len() as u8, 0, 0, 0, 0, 64, protocol];
    frame.extend([0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    frame.extend(carried);
    let mut file = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1].map(u32::to_le_bytes).concat();
    file.extend([100, 0, captured as u32, frame.len() as u32].map(u32::to_le_bytes).concat());
    file.extend(&frame[..captured]);
    std::fs::write(path, file).expect("a capture");
}

#[test]
fn payload_of_a_header_that_was_cut_off_is_not_known() {
    let directory = temp_dir("packet_headers");
    let capture = directory.path().join("cut.pcap");
    let udp = |len: u8| [&[0x9c, 0x40, 0, 80, 0, len, 0, 0][..], &[b'x'; 45]].concat();
    let tcp = [&[0x9c, 0x40, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 16, 16, 0, 0, 0, 0, 0][..], &[b'x'; 45]].concat();
    for (protocol, carried, captured, expected) in [
        (17, udp(53), 87, Some(45)),
        (17, udp(53), 42, Some(45)),
        (17, udp(53), 41, None),
        (17, udp(53), 38, None),
        (17, udp(5), 87, None),
        (17, udp(0), 50, Some(45)),
        (17, udp(200), 87, Some(45)),
        (6, tcp.clone(), 54, Some(45)),
        (6, tcp, 53, None),
    ] {
        one_packet(&capture, protocol, &carried, captured);
        let flows = flows(&capture, &["--headers"]);
        assert_eq!(flows.len(), 1);
        assert_eq!(flows[0]["payload_bytes_a_to_b"].as_u64(), expected, "{protocol} {captured} {flows:?}");
    }
}
