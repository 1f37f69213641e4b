//! Tenants with the same addresses, ports and identifications in several VLANs and tunnels: what is one flow under which
//! `--flow-key`, and whose a fragment is.
//!
//! Every run is one of the real program, with 1, 2 and 4 workers, which have to write the same bytes.

mod common;

use common::{netscope, run, temp_dir};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Where a tenant's packets go: tags, outermost first, and a tunnel.
#[derive(Clone, Copy, Debug)]
struct Place {
    tags: &'static [u16],
    tunnel: Option<(&'static str, u32)>,
}

const fn vlan(tags: &'static [u16]) -> Place {
    Place { tags, tunnel: None }
}

const fn tunnel(kind: &'static str, id: u32) -> Place {
    Place { tags: &[], tunnel: Some((kind, id)) }
}

/// All of them are told apart by VLAN and tunnel.
const PLACES: [Place; 13] = [
    vlan(&[]),
    vlan(&[10]),
    vlan(&[20]),
    vlan(&[10, 20]),
    vlan(&[20, 10]),
    vlan(&[10, 21]),
    tunnel("vxlan", 1),
    tunnel("vxlan", 2),
    tunnel("geneve", 1),
    tunnel("gre", 1),
    tunnel("gre", 2),
    tunnel("gtp-u", 1),
    Place { tags: &[10], tunnel: Some(("vxlan", 1)) },
];

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;

fn udp_datagram(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    let len = payload.len() as u16 + 8;
    [&source.to_be_bytes()[..], &destination.to_be_bytes(), &len.to_be_bytes(), &[0, 0], payload].concat()
}

/// From host 1 to host 2, or back. `part`: identification, offset, and whether more follow.
fn ip(ether_type: u16, back: bool, protocol: u8, part: Option<(u16, u16, bool)>, payload: &[u8]) -> Vec<u8> {
    let [from, to] = if back { [2u8, 1] } else { [1, 2] };
    let (id, offset, more) = part.unwrap_or((7, 0, false));
    if ether_type == IPV4 {
        let (len, place) = (payload.len() as u16 + 20, (offset / 8) | (u16::from(more) << 13));
        let front = [&[0x45, 0][..], &len.to_be_bytes(), &id.to_be_bytes(), &place.to_be_bytes(), &[64, protocol]].concat();
        let behind = [&[10, 0, 0, from][..], &[10, 0, 0, to]].concat();
        let sum: u32 = [&front[..], &behind].concat().chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1])).sum();
        let checksum = !((sum & 0xffff) + (sum >> 16)) as u16;
        return [&front[..], &checksum.to_be_bytes(), &behind, payload].concat();
    }
    let place = offset | u16::from(more);
    let extension = [&[protocol, 0][..], &place.to_be_bytes(), &u32::from(id).to_be_bytes()].concat();
    let (next, extension) = if part.is_some() { (44, &extension[..]) } else { (protocol, &[][..]) };
    let len = (extension.len() + payload.len()) as u16;
    let address = |host: u8| [&[0x20, 1, 0xd, 0xb8][..], &[0; 11], &[host]].concat();
    [&[0x60, 0, 0, 0][..], &len.to_be_bytes(), &[next, 64], &address(from), &address(to), extension, payload].concat()
}

fn ethernet(tags: &[u16], ether_type: u16, payload: &[u8]) -> Vec<u8> {
    let tags: Vec<u8> = tags.iter().flat_map(|id| [&[0x81, 0][..], &id.to_be_bytes()].concat()).collect();
    [&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1][..], &tags, &ether_type.to_be_bytes(), payload].concat()
}

impl Place {
    /// A frame with this IP packet.
    fn frame(self, ether_type: u16, packet: &[u8]) -> Vec<u8> {
        let Some((kind, id)) = self.tunnel else { return ethernet(self.tags, ether_type, packet) };
        let inside = ethernet(&[], ether_type, packet);
        let number = (id << 8).to_be_bytes();
        let outside = match kind {
            "vxlan" => (17, udp_datagram(50_000, 4789, &[&[8, 0, 0, 0][..], &number, &inside].concat())),
            "geneve" => (17, udp_datagram(50_000, 6081, &[&[0, 0, 0x65, 0x58][..], &number, &inside].concat())),
            "gre" => (47, [&[0x20, 0][..], &ether_type.to_be_bytes(), &id.to_be_bytes(), packet].concat()),
            "gtp-u" => {
                let len = packet.len() as u16;
                (17, udp_datagram(2152, 2152, &[&[0x30, 255][..], &len.to_be_bytes(), &id.to_be_bytes(), packet].concat()))
            }
            other => panic!("no tunnel {other}"),
        };
        let mut carrier = ip(IPV4, false, outside.0, None, &outside.1);
        // Between other hosts than those inside.
        (carrier[12], carrier[16], carrier[10], carrier[11]) = (172, 172, 0, 0);
        ethernet(self.tags, IPV4, &carrier)
    }

    fn udp(self, source: u16, destination: u16, back: bool) -> Vec<u8> {
        self.frame(IPV4, &ip(IPV4, back, 17, None, &udp_datagram(source, destination, b"payload")))
    }

    /// What its records say.
    fn name(self) -> String {
        let (kind, id) = self.tunnel.map_or((Value::Null, Value::Null), |(kind, id)| (kind.into(), id.into()));
        name(&self.tags.to_vec().into(), &kind, &id)
    }
}

fn name(vlan: &Value, kind: &Value, id: &Value) -> String {
    format!("{vlan} {kind} {id}")
}

/// A connection of 8 packets and 6 back, times in ms; the sequence numbers begin at `isn`.
fn connection(place: Place, isn: u32, began: u64) -> Vec<(u64, Vec<u8>)> {
    let segment = |at: u64, back: bool, flags: u8, sequence: u32, acknowledgment: u32, len: usize| {
        let ports = if back { [80u16, 40_000] } else { [40_000, 80] }.map(u16::to_be_bytes).concat();
        let (sequence, acknowledgment) = (sequence.to_be_bytes(), acknowledgment.to_be_bytes());
        let header = [&ports[..], &sequence, &acknowledgment, &[0x50, flags, 0x10, 0, 0, 0, 0, 0], &vec![0; len]].concat();
        ((began + at) * 1000, place.frame(IPV4, &ip(IPV4, back, 6, None, &header)))
    };
    let (client, server) = (isn + 1, isn + 8001);
    let mut packets = vec![
        segment(0, false, 2, isn, 0, 0),
        segment(20, true, 0x12, server - 1, client, 0),
        segment(22, false, 0x10, client, server, 0),
    ];
    for turn in 0..5 {
        let (sent, answered) = (client + turn * 100, server + turn * 50);
        packets.push(segment(32 + u64::from(turn) * 40, false, 0x18, sent, answered, 100));
        packets.push(segment(52 + u64::from(turn) * 40, true, 0x18, answered, sent + 100, 50));
    }
    packets.push(segment(322, false, 0x10, client + 500, server + 250, 0));
    packets
}

/// What the program writes: the records of the table, its ended flows, and its summary.
struct Written {
    records: Vec<Value>,
    ended: String,
    summary: Value,
}

/// A file in `dir` with these packets.
fn capture_of(dir: &Path, packets: &[(u64, Vec<u8>)]) -> PathBuf {
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let mut file = words(&[0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, 1]);
    for (time, frame) in packets {
        let len = frame.len() as u32;
        file.extend(words(&[1000 + (time / 1_000_000) as u32, (time % 1_000_000) as u32, len, len]));
        file.extend(frame);
    }
    let path = dir.join("capture.pcap");
    fs::write(&path, file).expect("a capture");
    path
}

/// Runs it over these packets (times in µs), in order of time.
fn over(mut packets: Vec<(u64, Vec<u8>)>, more: &[&str]) -> Written {
    packets.sort_by_key(|(time, _)| *time);
    let dir = temp_dir("vlan");
    let capture = capture_of(dir.path(), &packets);
    let mut written: Option<(Written, Vec<u8>)> = None;
    for workers in ["1", "2", "4"] {
        let (new, bytes) = written_by(&capture, dir.path(), &[&["--workers", workers], more].concat());
        if let Some((before, before_bytes)) = &written {
            assert!(bytes == *before_bytes && new.ended == before.ended, "{workers} workers write something else: {more:?}");
            for key in ["flows", "fragments", "packets_in_no_flow"] {
                assert_eq!(new.summary[key], before.summary[key], "{workers} workers: {more:?}");
            }
        }
        written = Some((new, bytes));
    }
    written.expect("three runs").0
}

fn written_by(capture: &Path, dir: &Path, arguments: &[&str]) -> (Written, Vec<u8>) {
    let [table, ended, summary] = ["table.json", "ended.jsonl", "summary.json"].map(|name| dir.join(name));
    run(netscope()
        .args(["--quiet", "--max-flows", "0", "--read-pcap"])
        .arg(capture)
        .args(arguments)
        .arg("--export-json")
        .arg(&table)
        .arg("--expired-flows-jsonl")
        .arg(&ended)
        .arg("--summary-json")
        .arg(&summary))
    .expect_code(0);
    let read = |path: &Path| fs::read(path).expect("it was written");
    let summary: Value = serde_json::from_slice(&read(&summary)).expect("JSON");
    assert_eq!(summary["unaccounted"], 0);
    let bytes = read(&table);
    let records = serde_json::from_slice(&bytes).expect("JSON");
    (Written { records, ended: String::from_utf8(read(&ended)).expect("UTF-8"), summary }, bytes)
}

fn packets_of(record: &Value) -> [u64; 2] {
    ["packets_a_to_b", "packets_b_to_a"].map(|name| record[name].as_u64().expect("a number"))
}

/// Packets by place.
fn by_place(records: &[Value]) -> BTreeMap<String, Vec<[u64; 2]>> {
    let mut found: BTreeMap<String, Vec<[u64; 2]>> = BTreeMap::new();
    for record in records {
        found.entry(name(&record["vlan"], &record["tunnel"], &record["tunnel_id"])).or_default().push(packets_of(record));
    }
    found
}

#[test]
fn two_connections_with_one_tuple_are_told_apart_where_that_is_asked_for() {
    let packets = || [connection(vlan(&[10]), 1000, 0), connection(vlan(&[20]), 78_777, 3)].concat();
    for key in ["vlan", "vlan+tunnel"] {
        let Written { records, summary, .. } = over(packets(), &["--flow-key", key]);
        assert_eq!(records.len(), 2);
        for (record, tags) in records.iter().zip([[10], [20]]) {
            assert_eq!((packets_of(record), &record["vlan"]), ([8, 6], &Value::from(tags.to_vec())));
            assert_eq!((&record["retransmissions"], &record["handshake_rtt_ms"]), (&0.into(), &22.0.into()), "{key}");
        }
        assert_eq!(summary["flows"]["vlan_or_tunnel_changed"], 0);
    }
    let said = over(packets(), &["--flow-key", "tuple"]);
    assert_eq!(said.records.iter().map(|record| packets_of(record).iter().sum::<u64>()).collect::<Vec<_>>(), [24, 3, 1]);
    assert!(said.summary["flows"]["vlan_or_tunnel_changed"].as_u64() >= Some(1));
    assert_eq!(over(packets(), &[]).records, said.records, "that is the default");
}

#[test]
fn connections_that_are_mixed_are_found_without_their_beginnings() {
    for delay in [3, 8, 400] {
        let mut packets = [connection(vlan(&[10]), 1000, 0), connection(vlan(&[20]), 78_777, delay)].concat();
        packets.retain(|(_, frame)| frame[18 + 20 + 13] & 2 == 0);
        let changes = |key: &str| over(packets.clone(), &["--flow-key", key]).summary["flows"]["vlan_or_tunnel_changed"].clone();
        assert_eq!((changes("tuple"), changes("vlan")), (1.into(), 0.into()), "{delay} ms");
    }
}

#[test]
fn the_summary_says_that_a_flow_changed_its_vlan() {
    let dir = temp_dir("vlan-text");
    let packets = [connection(vlan(&[10]), 1, 0), connection(vlan(&[20]), 9, 400)].concat();
    let capture = capture_of(dir.path(), &packets);
    let say = |key: &str| run(netscope().args(["--quiet", "--flow-key", key, "--read-pcap"]).arg(&capture)).expect_code(0).stderr;
    let row = "flows with packets of several VLANs or tunnels (--flow-key tells them apart)";
    assert!(say("tuple").contains(row), "{}", say("tuple"));
    assert!(!say("vlan").contains(row), "{}", say("vlan"));
}

#[test]
fn every_vlan_and_tunnel_is_a_domain_of_its_own() {
    let packets: Vec<_> = (1..).zip(PLACES).flat_map(|(i, place)| connection(place, 100_000 * i, u64::from(i))).collect();
    let Written { records, summary, .. } = over(packets.clone(), &["--flow-key", "vlan+tunnel"]);
    let expected: BTreeMap<_, _> = PLACES.iter().map(|place| (place.name(), vec![[8, 6]])).collect();
    assert_eq!(by_place(&records), expected);
    assert!(records.iter().all(|record| record["retransmissions"] == 0 && record["handshake_rtt_ms"] == 22.0));
    assert_eq!((&summary["flows"]["key_overflow"], &summary["flows"]["vlan_or_tunnel_changed"]), (&0.into(), &0.into()));
    // Without the tunnels, those in one VLAN are one.
    let Written { records, .. } = over(packets.clone(), &["--flow-key", "vlan"]);
    let mut sums: BTreeMap<String, u64> = BTreeMap::new();
    for record in &records {
        *sums.entry(record["vlan"].to_string()).or_default() += packets_of(record).iter().sum::<u64>();
    }
    let expected = [("[10,20]", 14), ("[10,21]", 14), ("[10]", 28), ("[20,10]", 14), ("[20]", 14), ("[]", 98)];
    assert_eq!(sums, expected.map(|(vlan, sum)| (vlan.to_owned(), sum)).into());
    let all: u64 = over(packets, &[]).records.iter().flat_map(packets_of).sum();
    assert_eq!(all, 14 * PLACES.len() as u64);
}

#[test]
fn directions_in_different_vlans_are_one_flow_by_tuple() {
    let flows = |there: Place, back: Place, key: &str| {
        let datagrams = (0..6).map(|i| {
            let (place, is_back) = if i % 2 == 0 { (there, false) } else { (back, true) };
            let ports = if is_back { [53, 5000] } else { [5000, 53] };
            (i * 1000, place.udp(ports[0], ports[1], is_back))
        });
        let Written { records, summary, .. } = over(datagrams.collect(), &["--flow-key", key]);
        (records.len(), summary["flows"]["vlan_or_tunnel_changed"].as_u64().expect("a number"))
    };
    for (there, back, expected) in [
        (vlan(&[10]), vlan(&[20]), [1, 2, 2]),
        (vlan(&[10]), vlan(&[]), [1, 2, 2]),
        (vlan(&[10, 20]), vlan(&[10, 21]), [1, 2, 2]),
        (tunnel("gtp-u", 1), tunnel("gtp-u", 2), [1, 1, 2]),
        // A tag with a priority alone is no VLAN.
        (vlan(&[0]), vlan(&[]), [1, 1, 1]),
        (vlan(&[10]), vlan(&[10]), [1, 1, 1]),
        (tunnel("vxlan", 1), tunnel("vxlan", 1), [1, 1, 1]),
    ] {
        for (key, expected) in ["tuple", "vlan", "vlan+tunnel"].into_iter().zip(expected) {
            // No direction changes its own.
            assert_eq!(flows(there, back, key), (expected, 0), "{there:?} {back:?} {key}");
        }
    }
}

#[test]
fn a_change_is_counted_once_a_record() {
    let changes = |places: &[Place], key: &str| {
        let datagrams = (0..12).zip(places.iter().cycle()).map(|(i, place)| (i * 1000, place.udp(5000, 53, false)));
        let Written { summary, .. } = over(datagrams.collect(), &["--flow-key", key]);
        summary["flows"]["vlan_or_tunnel_changed"].as_u64().expect("a number")
    };
    for (places, expected) in [
        (&[tunnel("vxlan", 1), tunnel("vxlan", 2), tunnel("gre", 1)][..], [1, 1, 0]),
        (&[vlan(&[10, 20]), vlan(&[10, 21])], [1, 0, 0]),
        (&[vlan(&[10, 20])], [0, 0, 0]),
    ] {
        for (key, expected) in ["tuple", "vlan", "vlan+tunnel"].into_iter().zip(expected) {
            assert_eq!(changes(places, key), expected, "{places:?} {key}");
        }
    }
}

#[test]
fn a_record_that_an_answer_opens_tells_of_no_change() {
    let echo = |place: Place, kind: u8, back: bool| {
        place.frame(IPV4, &ip(IPV4, back, 1, None, &[&[kind, 0, 0, 0, 0, 7, 0, 1][..], &[0; 8]].concat()))
    };
    let [there, back] = [vlan(&[10]), vlan(&[20])];
    let seconds = |seconds: u64| seconds * 1_000_000;
    let reply_first = vec![(0, echo(back, 0, true)), (1000, echo(there, 8, false)), (2000, echo(there, 8, false))];
    let answer_first = (0..8).map(|i| {
        let (place, is_back) = if i % 2 == 0 { (there, false) } else { (back, true) };
        let ports = if is_back { [53, 5000] } else { [5000, 53] };
        (seconds(i) + if i > 3 { seconds(1) } else { 0 }, place.udp(ports[0], ports[1], is_back))
    });
    for (packets, records) in [(reply_first, 1), (answer_first.filter(|(time, _)| *time != seconds(5)).collect(), 2)] {
        let written = over(packets, &["--active-timeout-s", "4"]);
        assert_eq!((written.records.len(), &written.summary["flows"]["vlan_or_tunnel_changed"]), (records, &0.into()));
    }
}

#[test]
fn a_record_goes_on_in_its_vlan_after_the_active_timeout() {
    let packets =
        [connection(vlan(&[10]), 1000, 0), connection(vlan(&[20]), 78_777, 3), connection(vlan(&[10, 20]), 5, 5)].concat();
    let Written { records, ended, .. } = over(packets, &["--flow-key", "vlan", "--active-timeout-s", "0.05"]);
    let mut sums: BTreeMap<String, [u64; 2]> = BTreeMap::new();
    for record in &records {
        let [there, back] = packets_of(record);
        let sum = sums.entry(record["vlan"].to_string()).or_default();
        *sum = [sum[0] + there, sum[1] + back];
        assert_eq!((&record["retransmissions"], &record["client"]), (&0.into(), &"a_to_b".into()), "{record}");
        assert_eq!(record["handshake_rtt_ms"], 22.0, "what is known of the connection stays");
    }
    assert_eq!(sums, ["[10]", "[20]", "[10,20]"].map(|vlan| (vlan.to_owned(), [8, 6])).into());
    assert!(records.len() > 6 && ended.lines().count() == records.len());
}

#[test]
fn more_domains_than_numbers_share_the_last_one_and_are_counted() {
    let (given, more) = (28_671_u32, 100);
    let packets = (0..given + more).map(|id| (u64::from(id), tunnel("vxlan", id).udp(5000, 53, false))).collect::<Vec<_>>();
    let dir = temp_dir("vlan-many");
    let capture = capture_of(dir.path(), &packets);
    let (Written { records, summary, .. }, _) =
        written_by(&capture, dir.path(), &["--workers", "1", "--flow-key", "vlan+tunnel"]);
    assert_eq!((records.len() as u32, packets_of(&records[0])), (given + 1, [u64::from(more), 0]));
    assert_eq!(summary["flows"]["key_overflow"], 1);
}

/// The three fragments of a datagram between these ports, all with one identification.
fn fragments(place: Place, ether_type: u16, source: u16, back: bool) -> [Vec<u8>; 3] {
    let ports = if back { [5000, source] } else { [source, 5000] };
    let datagram = udp_datagram(ports[0], ports[1], &[0; 232]);
    [0, 80, 160].map(|at: u16| {
        let part = &datagram[usize::from(at)..usize::from(at) + 80];
        place.frame(ether_type, &ip(ether_type, back, 17, Some((9, at, at < 160)), part))
    })
}

#[test]
fn a_fragment_belongs_to_the_datagram_of_its_vlan_and_tunnel() {
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [1, 2, 0]] {
        let mut packets = Vec::new();
        for (round, part) in (0..).zip(order) {
            for (source, place) in (1000..).zip(PLACES) {
                for (lane, (ether_type, back)) in (0..).zip([(IPV4, false), (IPV6, false), (IPV4, true), (IPV6, true)]) {
                    let time = round * 100_000 + u64::from(source) * 10 + lane;
                    packets.push((time, fragments(place, ether_type, source, back)[part].clone()));
                }
            }
        }
        for key in ["tuple", "vlan+tunnel"] {
            let Written { records, summary, .. } = over(packets.clone(), &["--flow-key", key]);
            assert_eq!(records.len(), 2 * PLACES.len(), "{order:?}");
            for record in &records {
                assert_eq!((packets_of(record), &record["fragments"]), ([3, 3], &4.into()), "{order:?} {record}");
                let source = record["endpoint_a"]["port"].as_u64().expect("a port");
                assert_eq!(
                    name(&record["vlan"], &record["tunnel"], &record["tunnel_id"]),
                    PLACES[source as usize - 1000].name(),
                    "{order:?}"
                );
            }
            assert_eq!(summary["fragments"]["overlapping"], 0, "{order:?}");
            let left = [&summary["packets_in_no_flow"]["fragments_held"], &summary["packets_in_no_flow"]["fragments_orphaned"]];
            assert_eq!(left, [&Value::from(0); 2], "{order:?}");
        }
    }
}

#[test]
fn an_identification_after_a_complete_datagram_belongs_to_the_next_one() {
    let place = vlan(&[10]);
    let [first, second] = [1111, 2222].map(|source| fragments(place, IPV4, source, false));
    let at = |order: [usize; 3], parts: &[Vec<u8>; 3], began: u64| {
        (0..).zip(order).map(|(i, part)| (began + i * 100, parts[part].clone())).collect::<Vec<_>>()
    };
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [2, 0, 1]] {
        let packets = [at([0, 1, 2], &first, 0), at(order, &second, 50_000)].concat();
        let Written { records, summary, .. } = over(packets, &[]);
        let found: Vec<_> = records.iter().map(|record| (packets_of(record), record["fragments"].as_u64())).collect();
        assert_eq!(found, [([3, 0], Some(2)); 2], "{order:?}");
        assert_eq!(summary["fragments"]["overlapping"], 0, "{order:?}");
    }
    // The last one twice, as a mirror shows it.
    let packets = [at([0, 1, 2], &first, 0), vec![(250, first[2].clone())], at([0, 1, 2], &second, 50_000)].concat();
    let Written { records, summary, .. } = over(packets, &[]);
    assert_eq!(records.iter().map(packets_of).collect::<Vec<_>>(), [[4, 0], [3, 0]]);
    assert_eq!((&summary["fragments"]["overlapping"], &summary["packets_in_no_flow"]["fragments_held"]), (&1.into(), &0.into()));
}
