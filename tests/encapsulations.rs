//! Tags, headers and tunnels between the link and IP, by the whole program: which flows there are, and what is refused.
//!
//! The right values are tshark 4.0.17's.

mod common;

use common::{fixture, netscope, temp_dir};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Flows and summary of a capture.
fn read(path: &Path) -> (Vec<Value>, Value) {
    let directory = temp_dir("encapsulations");
    let (flows, summary) = (directory.path().join("flows.json"), directory.path().join("summary.json"));
    let mut command = netscope();
    command.args(["--quiet", "--read-pcap"]).arg(path).arg("--export-json").arg(&flows).arg("--summary-json").arg(&summary);
    let output = command.output().expect("netscope runs");
    assert!(output.status.success(), "{}: {}", path.display(), String::from_utf8_lossy(&output.stderr));
    let json = |path: &Path| -> Value { serde_json::from_slice(&std::fs::read(path).expect("written")).expect("JSON") };
    let Value::Array(flows) = json(&flows) else { panic!("a list of flows") };
    (flows, json(&summary))
}

fn text<'a>(flow: &'a Value, field: &str) -> &'a str {
    flow[field].as_str().unwrap_or("null")
}

/// The flows of a case by the client's port: protocol, both packet counts, bytes, state, tunnel and its id.
fn flows(name: &str) -> BTreeMap<u64, String> {
    let (flows, summary) = read(&fixture(&format!("encapsulation/{name}.pcap")));
    assert_eq!(summary["faults"].as_array().map(Vec::len), Some(0), "{name}: {}", summary["faults"]);
    let line = |flow: &Value| {
        let bytes = flow["bytes_a_to_b"].as_u64().expect("bytes") + flow["bytes_b_to_a"].as_u64().expect("bytes");
        let ends =
            format!("{} {}:{}", text(&flow["endpoint_a"], "ip"), text(&flow["endpoint_b"], "ip"), flow["endpoint_b"]["port"]);
        format!(
            "{} {ends} {}+{} packets {bytes} bytes {} {} {} {}",
            text(flow, "protocol"),
            flow["packets_a_to_b"],
            flow["packets_b_to_a"],
            text(flow, "tcp_state"),
            text(flow, "client"),
            text(flow, "tunnel"),
            flow["tunnel_id"]
        )
    };
    flows.iter().map(|flow| (flow["endpoint_a"]["port"].as_u64().expect("port"), line(flow))).collect()
}

/// The bytes of all packets of a classic pcap file.
fn wire_bytes(name: &str) -> u64 {
    let file = std::fs::read(fixture(&format!("encapsulation/{name}.pcap"))).expect("fixture");
    let word = |at: usize| u64::from(u32::from_le_bytes(*file[at..].first_chunk().expect("a record")));
    let (mut at, mut sum) = (24, 0);
    while at < file.len() {
        sum += word(at + 12);
        at += 16 + word(at + 8) as usize;
    }
    sum
}

/// One connection, 4 + 2 packets.
fn one_connection(name: &str) {
    let expected = format!("tcp 192.0.2.1 198.51.100.2:80 4+2 packets {} bytes established a_to_b null null", wire_bytes(name));
    assert_eq!(flows(name), BTreeMap::from([(40_000, expected)]), "{name}");
}

#[test]
fn port_extenders_tag() {
    one_connection("etag-802.1br");
}

#[test]
fn frames_in_backbone_frames() {
    one_connection("pbb-802.1ah");
}

#[test]
fn netfilter_log() {
    one_connection("nflog");
}

/// Port and packets of each flow, and the tunnel.
fn shape(name: &str) -> Vec<(u64, String, String)> {
    let parts = |line: &String| {
        let words: Vec<&str> = line.split(' ').collect();
        (words[3].to_owned(), words[words.len() - 2..].join(" "))
    };
    flows(name).iter().map(|(port, line)| (*port, parts(line).0, parts(line).1)).collect()
}

#[test]
fn network_service_header() {
    let expected = [(40_000, "4+2", "null null"), (40_002, "2+1", "vxlan")];
    let ours = shape("nsh");
    assert_eq!(ours.len(), expected.len(), "{ours:?}");
    for ((port, packets, tunnel), (right_port, right_packets, right_tunnel)) in ours.iter().zip(expected) {
        assert_eq!((*port, packets.as_str()), (right_port, right_packets));
        assert!(tunnel.starts_with(right_tunnel), "{tunnel}");
    }
}

#[test]
fn redirected_to_a_web_cache() {
    let right = [(40_000, "4+2", "gre 0"), (40_002, "2+1", "gre 0")];
    assert_eq!(shape("wccp-gre"), right.map(|(port, packets, tunnel)| (port, packets.to_owned(), tunnel.to_owned())));
}

#[test]
fn reserved_bits_of_vxlan() {
    let right = [40_001, 40_002, 40_003].map(|port| (port, String::from("4+2"), String::from("vxlan 123")));
    assert_eq!(shape("vxlan-reserved-bits"), right);
}

/// A classic pcap file with these packets.
fn write_capture(path: &Path, link: u32, packets: &[Vec<u8>]) {
    let mut file = [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, link].map(u32::to_le_bytes).concat();
    for packet in packets {
        let len = packet.len() as u32;
        file.extend([1_700_000_000, 0, len, len].map(u32::to_le_bytes).concat());
        file.extend(packet);
    }
    std::fs::write(path, file).expect("written");
}

/// What is refused stands in the summary by name; the packet stays in the outer flow, or under non-IP.
#[test]
fn what_is_refused_is_named() {
    let directory = temp_dir("refused");
    let path = directory.path().join("refused.pcap");
    let udp = |port: u16, payload: &[u8]| {
        let len = (payload.len() + 8) as u16;
        let datagram = [&[0xc3, 0x50], &port.to_be_bytes()[..], &len.to_be_bytes(), &[0, 0], payload].concat();
        let total = (len + 20).to_be_bytes();
        let ip = [&[0x45, 0], &total[..], &[0, 1, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 198, 51, 100, 2], &datagram].concat();
        [&[2; 12], &[8, 0][..], &ip].concat()
    };
    let encrypted = [&[2; 12], &[0x88, 0xe5, 0x0c, 0, 0, 0, 0, 1][..], &[7; 40]].concat();
    let packets = [udp(4789, &[0; 60]), udp(6081, &[0x40; 60]), udp(4789, &[0x08; 30]), encrypted];
    write_capture(&path, 1, &packets);
    let (flows, summary) = read(&path);
    assert_eq!(flows.iter().map(|flow| text(flow, "tunnel")).collect::<Vec<_>>(), ["null"; 2]);
    let faults: Vec<String> = summary["faults"]
        .as_array()
        .expect("faults")
        .iter()
        .map(|fault| format!("{}/{} {}", text(fault, "layer"), text(fault, "kind"), fault["packets"]))
        .collect();
    assert_eq!(faults, ["ethernet/unknown 1", "macsec/encrypted 1", "vxlan/unknown 1", "geneve/unknown 1"]);
    assert_eq!(summary["packets"], 4);
}

/// Files of other kinds are told by name.
#[test]
fn other_formats_are_named() {
    let directory = temp_dir("foreign");
    let path = directory.path().join("capture");
    for (bytes, name) in [
        (&b"\xfd7zXZ\0\0\x04\xe6\xd6\xb4\x46"[..], "compressed with xz"),
        (b"BZh91AY&SY\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "compressed with bzip2"),
        (b"\x04\x22\x4d\x18\x64\x40\xa7\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "compressed with lz4"),
        (b"snoop\0\0\0\0\0\0\x02\0\0\0\x04\0\0\0\0\0\0\0\0", "a snoop capture"),
    ] {
        std::fs::write(&path, bytes).expect("written");
        let from_file = netscope().arg("--read-pcap").arg(&path).output().expect("netscope runs");
        let from_pipe = netscope()
            .args(["--read-pcap", "-"])
            .stdin(std::fs::File::open(&path).expect("there"))
            .output()
            .expect("netscope runs");
        for output in [from_file, from_pipe] {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.code() == Some(1) && said.contains(name), "{name}: {said}");
        }
    }
}
