//! ICMP flows of the whole program: type and code of each, and the Community IDs that other tools give them.

mod common;

use common::{netscope, temp_dir};
use serde_json::Value;
use std::fs;
use std::path::Path;

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
    let directory = temp_dir(name);
    let (capture, export) = (directory.path().join("icmp.pcap"), directory.path().join("flows.json"));
    write(&capture, frames);
    let [one, two, four] = ["1", "2", "4"].map(|workers| {
        let mut command = netscope();
        command.args(["--quiet", "--workers", workers, "--read-pcap"]).arg(&capture);
        let output = command.arg("--export-json").arg(&export).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Vec<Value>>(&fs::read(&export).unwrap()).unwrap()
    });
    assert_eq!((&one, &one), (&two, &four));
    one
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
