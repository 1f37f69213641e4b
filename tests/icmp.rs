//! ICMP flows of the whole program: type and code of each, and the Community IDs that other tools give them.

mod common;

use common::{netscope, temp_dir};
use netscope::flow::{Direction, FlowKey, community_id};
use netscope::wire::{IpVersion, Network, Ports};
use serde_json::Value;
use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;

/// Ethernet frames in hexadecimal.
const FRAMES: [&str; 5] = [
    // A datagram.
    "0200000000020200000000010800450000260001000040118e8fc0000201c63364029c40829a00129a5d78787878787878787878",
    // Port unreachable, for it.
    "0200000000010200000000020800450000420001000040018e83c6336402c00002010303e95700000000450000260001000040118e8fc000\
     0201c63364029c40829a00129a5d78787878787878787878",
    // Time exceeded, for it.
    "0200000000010200000000020800450000420001000040017cb7cb007101c00002010b00e15a00000000450000260001000040118e8fc000\
     0201c63364029c40829a00129a5d78787878787878787878",
    // A neighbour solicitation.
    "02000000000202000000000186dd6000000000183aff20010db800000000000000000000000120010db80000000000000000000000028700\
     ef7c0000000020010db8000000000000000000000002",
    // The advertisement.
    "02000000000102000000000286dd6000000000183aff20010db800000000000000000000000220010db80000000000000000000000018800\
     0e7ce000000020010db8000000000000000000000002",
];

fn bytes(hex: &str) -> Vec<u8> {
    hex.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// A pcap file of these frames, a millisecond apart.
fn write(path: &Path, frames: &[Vec<u8>]) {
    let mut file = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1].map(u32::to_le_bytes).concat();
    for (number, frame) in frames.iter().enumerate() {
        let len = frame.len() as u32;
        file.extend([1_700_000_000, number as u32 * 1000, len, len].map(u32::to_le_bytes).concat());
        file.extend(frame);
    }
    fs::write(path, file).unwrap();
}

/// The exported flows of these frames, the same with any number of workers.
fn flows(name: &str, frames: &[Vec<u8>]) -> Vec<Value> {
    flows_with(name, frames, &[])
}

/// The same with these flags.
fn flows_with(name: &str, frames: &[Vec<u8>], flags: &[&str]) -> Vec<Value> {
    let directory = temp_dir(name);
    let capture = directory.path().join("icmp.pcap");
    write(&capture, frames);
    let [one, others @ ..] = ["1", "2", "4", "8"].map(|workers| exported(&capture, &[&["--workers", workers], flags].concat()));
    for (other, workers) in others.iter().zip([2, 4, 8]) {
        assert_eq!(&one, other, "{workers} workers");
    }
    one
}

/// The flow table of this capture.
fn exported(capture: &Path, flags: &[&str]) -> Vec<Value> {
    let export = temp_dir("icmp-export");
    let export = export.path().join("flows.json");
    let mut command = netscope();
    command.args(["--quiet", "--export-json"]).arg(&export).args(flags).arg("--read-pcap").arg(capture);
    let output = command.output().unwrap();
    // A damaged capture is read as far as it goes, which is said.
    assert!(export.exists(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&fs::read(&export).unwrap()).unwrap()
}

fn find(flows: &[Value], kind: u8) -> &Value {
    let mut found = flows.iter().filter(|flow| flow["icmp_type"] == kind);
    let flow = found.next().unwrap_or_else(|| panic!("type {kind} is not in {flows:#?}"));
    assert_eq!(found.next(), None, "one flow of type {kind}");
    flow
}

#[test]
fn errors_are_flows_of_their_own_and_discovery_is_one() {
    let flows = flows("icmp", &FRAMES.map(bytes));
    assert_eq!(flows.len(), 4, "{flows:#?}");
    // Community IDs of the reference implementation.
    for (kind, code, packets, id) in [
        (3, 3, 1, "1:+skj/HPTXEH/w0V98DqgtY/qa4k="),
        (11, 0, 1, "1:3L97LW01hlLMvRPY2Nyvx3XeoL8="),
        (135, 0, 2, "1:R9HBIi387RnKhKUU53rFlnl803U="),
    ] {
        let flow = find(&flows, kind);
        assert_eq!((&flow["icmp_code"], &flow["community_id"]), (&Value::from(code), &Value::from(id)));
        assert_eq!((&flow["packets_total"], &flow["endpoint_a"]["port"]), (&Value::from(packets), &Value::from(0)));
        assert_eq!(flow["icmp_id"], Value::Null);
    }
    let datagram = flows.iter().find(|flow| flow["protocol"] == "udp").unwrap();
    assert_eq!((&datagram["icmp_errors"], &datagram["icmp_error_for"]), (&Value::from(2), &Value::Null));
    for (kind, named) in [(3, &datagram["community_id"]), (11, &datagram["community_id"]), (135, &Value::Null)] {
        assert_eq!((&find(&flows, kind)["icmp_error_for"], &find(&flows, kind)["icmp_errors"]), (named, &Value::from(0)));
    }
}

/// An IPv4 frame in these VLANs, with addresses 10.0.0.x.
fn frame(vlans: &[u16], protocol: u8, from: u8, to: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    for vlan in vlans {
        frame.extend([0x81, 0]);
        frame.extend(vlan.to_be_bytes());
    }
    let len = 20 + payload.len() as u8;
    frame.extend([8, 0, 0x45, 0, 0, len, 0, 0, 0, 0, 64, protocol, 0, 0, 10, 0, 0, from, 10, 0, 0, to]);
    frame.extend(payload);
    frame
}

/// From port 1000 to port 53.
fn datagram(vlans: &[u16], from: u8, to: u8) -> Vec<u8> {
    frame(vlans, 17, from, to, &[3, 232, 0, 53, 0, 12, 0, 0, 1, 2, 3, 4])
}

/// An error by router 10.0.0.99 about `packet`, of which it quotes this many bytes.
fn error(vlans: &[u16], kind: u8, about: &[u8], len: usize) -> Vec<u8> {
    let ip = about.windows(2).position(|bytes| bytes == [0x45, 0]).unwrap();
    let to = about[ip + 15];
    frame(vlans, 1, 99, to, &[&[kind, 0, 0, 0, 0, 0, 0, 0], &about[ip..ip + len]].concat())
}

/// Of many flows some get errors, some before their first packet; quotes are cut.
#[test]
fn each_flow_counts_the_errors_that_quote_it() {
    let mut frames = Vec::new();
    for host in 1..=40 {
        let sent = datagram(&[], host, 50);
        if host % 4 == 0 {
            frames.push(error(&[], 3, &sent, 28));
        }
        frames.push(sent.clone());
        frames.extend((0..host % 5).map(|_| error(&[], [3, 4, 5, 11, 12][usize::from(host % 5)], &sent, 28)));
        // Too little of it, of any kind of cut.
        frames.extend([0, 19, 20, 23].map(|len| error(&[], 12, &sent, len)));
    }
    let flows = flows("icmp-counts", &frames);
    let of_host = |host: u8| {
        let named = |flow: &&Value| flow["endpoint_a"]["ip"] == format!("10.0.0.{host}") && flow["protocol"] == "udp";
        flows.iter().find(named).unwrap()
    };
    for host in 1..=40u8 {
        assert_eq!(of_host(host)["icmp_errors"], host % 5, "host {host}");
    }
    for host in [1u8, 2, 3, 5] {
        let kind = [3, 4, 5, 11, 12][usize::from(host % 5)];
        let about = |flow: &&Value| flow["icmp_type"] == kind && flow["endpoint_a"]["ip"] == format!("10.0.0.{host}");
        let errors = flows.iter().find(about);
        let named = errors.map_or(&Value::Null, |errors| &errors["icmp_error_for"]);
        assert_eq!(named, if host % 5 == 0 { &Value::Null } else { &of_host(host)["community_id"] }, "host {host}");
    }
}

/// The first flow that is named stays, whatever a record's errors quote besides.
#[test]
fn errors_of_one_kind_name_the_first_flow_they_quote() {
    let [first, second] = [datagram(&[], 1, 50), datagram(&[], 1, 51)];
    let frames = [
        second.clone(),
        first.clone(),
        error(&[], 11, &first, 20),
        error(&[], 11, &first, 28),
        error(&[], 11, &second, 28),
        error(&[], 11, &second, 28),
    ];
    let flows = flows("icmp-first", &frames);
    let to = |host: &str| flows.iter().find(|flow| flow["endpoint_b"]["ip"] == host && flow["protocol"] == "udp").unwrap();
    assert_eq!((&to("10.0.0.50")["icmp_errors"], &to("10.0.0.51")["icmp_errors"]), (&Value::from(1), &Value::from(2)));
    assert_eq!(find(&flows, 11)["icmp_error_for"], to("10.0.0.50")["community_id"]);
    assert_eq!(find(&flows, 11)["packets_total"], 4);
}

/// In the VLAN of the error, where VLANs tell flows apart; and in any, where they do not.
#[test]
fn the_quoted_flow_is_looked_for_in_the_vlan_of_the_error() {
    let sent = datagram(&[], 1, 50);
    let frames = [
        datagram(&[7], 1, 50),
        datagram(&[8, 9], 1, 50),
        error(&[7], 3, &sent, 28),
        error(&[8, 9], 3, &sent, 28),
        error(&[6], 3, &sent, 28),
    ];
    let errors = |flags: &[&str]| {
        let flows = flows_with("icmp-vlan", &frames, flags);
        let mut counts: Vec<_> = flows
            .iter()
            .filter(|flow| flow["protocol"] == "udp")
            .map(|flow| (flow["vlan"].to_string(), flow["icmp_errors"].as_u64().unwrap()))
            .collect();
        counts.sort();
        counts
    };
    assert_eq!(errors(&[]), [("[7]".to_owned(), 3)]);
    assert_eq!(errors(&["--flow-key", "vlan"]), [("[7]".to_owned(), 1), ("[8,9]".to_owned(), 1)]);
}

/// A flow that is over counts no more errors, and none keeps it alive.
#[test]
fn an_error_neither_keeps_a_flow_alive_nor_ends_it() {
    let sent = datagram(&[], 1, 50);
    let mut frames = vec![sent.clone()];
    frames.extend((0..9).map(|_| error(&[], 3, &sent, 28)));
    frames.push(sent);
    let flows = flows_with("icmp-timeout", &frames, &["--flow-timeout-s", "0.0045"]);
    let counts: Vec<_> = flows.iter().filter(|flow| flow["protocol"] == "udp").map(|flow| flow["icmp_errors"].as_u64()).collect();
    assert_eq!(counts, [Some(4), Some(0)], "{flows:#?}");
}

/// What tshark says of an error: its number, its own addresses, type and code, and the flow it quotes.
struct Truth {
    number: u64,
    name: (String, String, u64, u64),
    quoted: Option<FlowKey>,
}

fn key(protocol: u8, ips: [&str; 2], ports: [u16; 2]) -> Option<FlowKey> {
    let bytes = |text: &str| match text.parse().ok()? {
        IpAddr::V4(ip) => Some((IpVersion::V4, std::array::from_fn(|at| ip.octets().get(at).copied().unwrap_or(0)))),
        IpAddr::V6(ip) => Some((IpVersion::V6, ip.octets())),
    };
    let ((version, source), (_, destination)) = (bytes(ips[0])?, bytes(ips[1])?);
    let network = Network { version, protocol, ttl: 0, traffic_class: 0, source, destination, fragment: None };
    Some(FlowKey::new(&network, Ports { source: ports[0], destination: ports[1] }).0)
}

/// ICMP errors of a capture that quote TCP or UDP, by tshark: the values of each layer, the quoted packet's last.
fn truth(capture: &Path) -> Vec<Truth> {
    const FIELDS: [&str; 10] = [
        "frame.number",
        "ip.src",
        "ip.dst",
        "ip.proto",
        "icmp.type",
        "icmp.code",
        "udp.srcport",
        "udp.dstport",
        "tcp.srcport",
        "tcp.dstport",
    ];
    let mut command = Command::new("tshark");
    command.args(["-n", "-o", "ip.defragment:FALSE", "-T", "fields", "-Y", "icmp.type in {3, 4, 5, 11, 12}"]);
    FIELDS.iter().for_each(|field| {
        command.args(["-e", field]);
    });
    let output = command.arg("-r").arg(capture).output().expect("tshark");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(of_line).collect()
}

fn of_line(line: &str) -> Option<Truth> {
    let fields: Vec<Vec<&str>> = line.split('\t').map(|field| field.split(',').collect()).collect();
    let last = |index: usize, back: usize| fields[index].iter().rev().nth(back).copied();
    let number = |index: usize| last(index, 0)?.parse().ok();
    let protocol: u8 = number(3)? as u8;
    let ports = match protocol {
        17 => [6, 7],
        6 => [8, 9],
        _ => return None,
    };
    let [source, destination] = ports.map(|index| number(index).map(|port| port as u16));
    let quoted = source.zip(destination).and_then(|(from, to)| key(protocol, [last(1, 0)?, last(2, 0)?], [from, to]));
    let name = (last(1, 1)?.to_owned(), last(2, 1)?.to_owned(), number(4)?, number(5)?);
    Some(Truth { number: last(0, 0)?.parse().ok()?, name, quoted })
}

/// Every error that tshark finds names its flow here, and the flow counts it.
#[test]
fn tshark_finds_the_same_quotes() {
    let (mut named, mut counted) = (0, 0);
    for capture in common::captures() {
        let truth = truth(&capture);
        if truth.is_empty() {
            continue;
        }
        let flows = exported(&capture, &["--flow-timeout-s", "0", "--max-flows", "0"]);
        for first in &truth {
            let (source, destination, kind, code) = &first.name;
            let is_it = |flow: &&Value| {
                let mut ips = [&flow["endpoint_a"]["ip"], &flow["endpoint_b"]["ip"]];
                ips.sort_by_key(|&ip| ip != source);
                ips == [source, destination]
                    && flow["icmp_type"] == *kind
                    && flow["icmp_code"] == *code
                    && flow["protocol"] == "icmp"
            };
            let errors = flows.iter().find(is_it).unwrap_or_else(|| panic!("{} {:?}", capture.display(), first.name));
            if errors["first_packet"] != first.number {
                continue;
            }
            let key = first.quoted.as_ref().expect("the captures quote ports");
            let id = community_id(key, Direction::AToB, 0).as_str().to_owned();
            assert_eq!(errors["icmp_error_for"], *id, "{} {}", capture.display(), first.number);
            named += 1;
            if let Some(flow) = flows.iter().find(|flow| flow["community_id"] == *id) {
                let quoting = |error: &&Truth| error.quoted == first.quoted && flow["first_packet"].as_u64() < Some(error.number);
                assert_eq!(flow["icmp_errors"], truth.iter().filter(quoting).count(), "{} {id}", capture.display());
                counted += 1;
            }
        }
    }
    println!("{named} records of errors, {counted} flows");
    assert!(common::corpus().is_none() || named >= 20 && counted >= 15, "{named} {counted}");
}

/// Two errors of different kinds between the same hosts, in both directions, are four flows; the code of an echo is
/// that of its first packet, and its identifier may be 0.
#[test]
fn kinds_codes_and_directions_are_kept_apart() {
    let error = bytes(FRAMES[1]);
    let with = |kind: u8, code: u8, back: bool| {
        let mut frame = error.clone();
        (frame[34], frame[35]) = (kind, code);
        if back {
            let (source, destination) = (error[26..30].to_vec(), error[30..34].to_vec());
            frame[26..30].copy_from_slice(&destination);
            frame[30..34].copy_from_slice(&source);
        }
        frame
    };
    let kinds = [(3, 3, false), (3, 1, false), (11, 0, false), (11, 0, true), (8, 9, false), (0, 0, true), (8, 9, false)];
    let flows = flows("icmp-kinds", &kinds.map(|(kind, code, back)| with(kind, code, back)));
    let mut seen: Vec<_> =
        flows.iter().map(|flow| ["icmp_type", "icmp_code", "packets_total"].map(|name| flow[name].as_u64().unwrap())).collect();
    seen.sort_unstable();
    assert_eq!(seen, [[3, 1, 1], [3, 3, 1], [8, 9, 3], [11, 0, 1], [11, 0, 1]]);
    assert_eq!(find(&flows, 8)["icmp_id"], 0);
}
