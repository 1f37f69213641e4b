//! What a worker tells an observer: each event once, in order, and before time moves on.

use netscope::engine::{
    Observer, Outbox, SeenPacket, Snapshot, Stop, Worker, WorkerSettings, WorkerShare, mailbox, share_mapped,
};
use netscope::flow::{FlowEnd, FlowEvents, FlowGrowth, FlowRecord, FlowSettings, HashSecret, Keying, SeenFragment};
use netscope::wire::Dissected;
use netscope_backends::file::{CaptureFile, FileOptions};
use netscope_backends::{LinkType, Packet, Timestamp};
use std::sync::{Arc, Mutex};

const SECOND: u64 = Timestamp::NS_PER_SEC;
const CLIENT: [u8; 4] = [10, 0, 0, 1];
const SERVER: [u8; 4] = [192, 0, 2, 1];
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;
const FIN: u8 = 1;

/// Writes down what it is told, a line each.
#[derive(Clone, Default)]
struct Notebook(Arc<Mutex<Vec<String>>>);

impl Notebook {
    fn write(&self, line: String) {
        self.0.lock().expect("no panic while writing").push(line);
    }

    fn lines(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().expect("no panic while writing"))
    }
}

impl Observer for Notebook {
    const WATCHES: bool = true;

    fn seen(&mut self, packets: &[SeenPacket]) {
        const NAMES: [(FlowEvents, &str); 6] = [
            (FlowEvents::OPENED, "opened"),
            (FlowEvents::SYN, "syn"),
            (FlowEvents::ANSWERED, "answered"),
            (FlowEvents::ESTABLISHED, "established"),
            (FlowEvents::REFUSED, "refused"),
            (FlowEvents::FINISHED, "finished"),
        ];
        for packet in packets {
            let names = NAMES.iter().filter(|(event, _)| packet.events.has(*event)).map(|(_, name)| *name);
            self.write(format!("{} {}", packet.number, names.collect::<Vec<_>>().join(" ")));
        }
    }

    fn ended(&mut self, record: &FlowRecord) {
        self.write(format!("ended {}", record.reason.name()));
    }

    fn other(&mut self, packet: &Packet<'_>, facts: &Dissected) {
        match facts.arp(packet.data) {
            Some(arp) => self.write(format!("arp {:?} {:?}", arp.sender_ip, arp.target_ip)),
            None => self.write(format!("other {:?}", facts.transport.icmp_type_and_code())),
        }
    }
}

fn ipv4(protocol: u8, source: [u8; 4], destination: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let len = 20 + payload.len() as u16;
    let mut packet = vec![0x45, 0, (len >> 8) as u8, len as u8, 0, 0, 0, 0, 64, protocol, 0, 0];
    packet.extend(source);
    packet.extend(destination);
    packet.extend(payload);
    packet
}

fn frame(ether_type: u16, packet: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    frame.extend(ether_type.to_be_bytes());
    frame.extend(packet);
    frame
}

/// A segment of the client, or of the server as a `reply`.
fn tcp(reply: bool, flags: u8, sequence: u32, acknowledgment: u32) -> Vec<u8> {
    let (client, server) = (40_000u16, 80u16);
    let (ports, [source, destination]) =
        if reply { ([server, client], [SERVER, CLIENT]) } else { ([client, server], [CLIENT, SERVER]) };
    let mut segment: Vec<u8> = ports.iter().flat_map(|port| port.to_be_bytes()).collect();
    segment.extend(sequence.to_be_bytes());
    segment.extend(acknowledgment.to_be_bytes());
    segment.extend([0x50, flags, 0x10, 0, 0, 0, 0, 0]);
    frame(0x0800, &ipv4(6, source, destination, &segment))
}

fn udp(reply: bool) -> Vec<u8> {
    let (ports, [source, destination]) = if reply { ([53u16, 5000], [SERVER, CLIENT]) } else { ([5000, 53], [CLIENT, SERVER]) };
    let mut datagram: Vec<u8> = ports.iter().flat_map(|port| port.to_be_bytes()).collect();
    datagram.extend([0, 12, 0, 0, 1, 2, 3, 4]);
    frame(0x0800, &ipv4(17, source, destination, &datagram))
}

/// What is told of these packets, one batch each, a millisecond apart; and at the end.
fn told(packets: &[Vec<u8>], flow: FlowSettings) -> (Vec<String>, Vec<String>) {
    let notebook = Notebook::default();
    let (snapshots, _mail) = mailbox(4, || Snapshot::new(0));
    let settings = WorkerSettings {
        flow,
        tick_ns: SECOND,
        count_max: 0,
        share: WorkerShare::WHOLE,
        waits: false,
        secret: HashSecret::random(),
    };
    let mut worker = Worker::new(&settings, Outbox::new(false, snapshots, None, Vec::new()), notebook.clone());
    for (number, data) in (1..).zip(packets) {
        let time = Timestamp(100 * SECOND + number * 1_000_000);
        worker.batch(&[Packet { data, time, wire_len: data.len() as u32, link_type: LinkType::ETHERNET }]);
    }
    let lines = notebook.lines();
    worker.idle(Timestamp(1000 * SECOND));
    drop(worker);
    (lines, notebook.lines())
}

#[test]
fn a_connection_from_its_syn_to_its_end() {
    let packets = [
        tcp(false, SYN, 100, 0),
        tcp(false, SYN, 100, 0),
        tcp(true, SYN | ACK, 500, 101),
        tcp(false, ACK, 101, 501),
        tcp(true, ACK, 501, 101),
        tcp(false, FIN | ACK, 101, 501),
        tcp(true, FIN | ACK, 501, 102),
        tcp(false, ACK, 102, 502),
    ];
    // The same whatever is analysed.
    let all = FlowSettings::default();
    let none = FlowSettings { rtt: false, retransmissions: false, out_of_order: false, ..all };
    for settings in [all, FlowSettings { rtt: false, ..all }, FlowSettings { active_timeout_ns: 60 * SECOND, ..all }, none] {
        let (lines, at_the_end) = told(&packets, settings);
        assert_eq!(lines, ["1 opened syn", "2 syn", "3 answered", "4 established", "7 finished"], "{settings:?}");
        assert_eq!(at_the_end, ["ended closed"]);
    }
}

#[test]
fn refusals_by_reset_and_by_icmp() {
    let mut unreachable = vec![3, 3, 0, 0, 0, 0, 0, 0];
    unreachable.extend(&udp(false)[14..]);
    let packets = [
        tcp(false, SYN, 100, 0),
        tcp(true, RST | ACK, 0, 101),
        udp(false),
        frame(0x0800, &ipv4(1, SERVER, CLIENT, &unreachable)),
    ];
    let (lines, _) = told(&packets, FlowSettings::default());
    let expected = ["1 opened syn", "2 answered refused finished", "3 opened", "4 opened", "other Some((3, 3))", "4 refused"];
    assert_eq!(lines, expected);
}

#[test]
fn datagrams_and_packets_without_a_flow() {
    let mut arp = vec![0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 2];
    arp.extend(CLIENT);
    arp.extend([0; 6]);
    arp.extend(SERVER);
    let (lines, at_the_end) = told(&[udp(false), udp(false), frame(0x0806, &arp), udp(true), udp(true)], FlowSettings::default());
    assert_eq!(lines, ["1 opened", "arp [10, 0, 0, 1] [192, 0, 2, 1]", "4 answered"]);
    assert_eq!(at_the_end, ["ended timeout"]);
}

#[test]
fn what_gives_way_has_ended_before_what_takes_its_place_is_told() {
    let settings = FlowSettings { flow_count_max: 1, ..FlowSettings::default() };
    let (lines, _) = told(&[udp(false), tcp(false, SYN, 100, 0)], settings);
    assert_eq!(lines, ["1 opened", "ended eviction", "2 opened syn"]);
}

/// An error is told of the flow that it quotes by the worker that has this flow, however many share the source.
#[test]
fn a_refusal_is_told_once_by_any_number_of_workers() {
    let mut packets = Vec::new();
    for host in 1..=20 {
        let datagram = [[0x13, 0x88, 0, 53], [0, 12, 0, 0], [1, 2, 3, 4]].concat();
        let sent = ipv4(17, [10, 0, 0, host], SERVER, &datagram);
        let error = [&[3, 3, 0, 0, 0, 0, 0, 0], &sent[..28]].concat();
        packets.push(frame(0x0800, &sent));
        packets.push(frame(0x0800, &ipv4(1, SERVER, [10, 0, 0, host], &error)));
    }
    let expected: Vec<String> = (1..=20).map(|host| format!("{:02} refused", 2 * host)).collect();
    for workers in [1, 2, 3, 8] {
        let mut refused = told_by(&packets, workers);
        refused.sort();
        assert_eq!(refused, expected, "{workers} workers");
    }
}

/// Refusals that so many workers on one file are told of.
fn told_by(packets: &[Vec<u8>], count: u32) -> Vec<String> {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("refused.pcap");
    let mut file = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1].map(u32::to_le_bytes).concat();
    for packet in packets {
        file.extend([1, 0, packet.len() as u32, packet.len() as u32].map(u32::to_le_bytes).concat());
        file.extend(packet);
    }
    std::fs::write(&path, file).expect("a capture");
    let flow = FlowSettings::default();
    let secret = HashSecret::random();
    let scanner = CaptureFile::open(&path, &FileOptions::default()).expect("a capture").scanner().expect("a walk");
    let keying = Keying { scope: flow.key, secret };
    let handles = share_mapped(scanner.expect("a plain file"), count as usize, keying, u64::MAX, &Stop::default());
    let notebook = Notebook::default();
    let mut workers: Vec<_> = (0..count)
        .zip(handles)
        .map(|(index, handle)| {
            let (snapshots, mail) = mailbox(4, || Snapshot::new(0));
            let share = WorkerShare { index, count };
            let settings = WorkerSettings { flow, tick_ns: SECOND, count_max: 0, share, waits: true, secret };
            (Worker::new(&settings, Outbox::new(true, snapshots, None, Vec::new()), notebook.clone()), handle, mail)
        })
        .collect();
    // One unit holds them all: each worker in turn finds it, or finds it ready.
    for _ in 0..8 {
        for (worker, handle, _mail) in &mut workers {
            handle.poll(worker, None).expect("a sound file");
        }
    }
    let is_refused = |line: &String| line.contains("refused");
    notebook.lines().into_iter().filter(is_refused).map(|line| if line.len() < 10 { format!("0{line}") } else { line }).collect()
}

/// Packets and bytes by port, and lines.
type Accounted = (std::collections::BTreeMap<u16, (u64, u64)>, Vec<String>);

/// Adds up what flows grew by, in bins of a second, and writes down what comes of connections, fragments and DHCP.
#[derive(Clone, Default)]
struct Accounts(Arc<Mutex<Accounted>>);

struct Accountant {
    accounts: Accounts,
    bin_end: Timestamp,
}

impl Accountant {
    fn write(&self, line: String) {
        self.accounts.0.lock().expect("no panic while writing").1.push(line);
    }
}

impl Observer for Accountant {
    const WATCHES: bool = true;

    fn seen(&mut self, _packets: &[SeenPacket]) {}

    fn ended(&mut self, _record: &FlowRecord) {}

    fn other(&mut self, _packet: &Packet<'_>, _facts: &Dissected) {}

    fn closed(&mut self, connection: &FlowEnd) {
        self.write(format!("closed {:?} {:?}", connection.packets, connection.first_packet));
    }

    fn fragment(&mut self, fragment: &SeenFragment) {
        self.write(format!("fragment {} {} {}", fragment.source, fragment.destination, fragment.number));
    }

    fn dhcp(&mut self, _packet: &Packet<'_>, number: u64, facts: &Dissected) {
        self.write(format!("dhcp {number} {}", facts.payload_len));
    }

    fn follows_growth(&self) -> bool {
        true
    }

    fn grown(&mut self, flows: &[FlowGrowth]) {
        let mut accounts = self.accounts.0.lock().expect("no panic while adding");
        for flow in flows {
            let account = accounts.0.entry(flow.key.a_port().min(flow.key.b_port())).or_default();
            account.0 += flow.packets.iter().sum::<u64>();
            account.1 += flow.bytes.iter().sum::<u64>();
            assert!(flow.packets_total[0] >= flow.packets[0] && flow.packets_total[1] >= flow.packets[1]);
        }
    }

    fn deadline(&self) -> Timestamp {
        self.bin_end
    }

    fn pass(&mut self, now: Timestamp) {
        self.bin_end = Timestamp((now.0 / SECOND + 1) * SECOND);
    }
}

/// What an accountant has of packets at these times.
fn accounts_of(packets: &[(u64, Vec<u8>)], flow: FlowSettings) -> Accounted {
    let accounts = Accounts::default();
    let (snapshots, _mail) = mailbox(4, || Snapshot::new(0));
    let settings = WorkerSettings {
        flow,
        // One tick: nobody takes snapshots away.
        tick_ns: 1_000_000 * SECOND,
        count_max: 0,
        share: WorkerShare::WHOLE,
        waits: false,
        secret: HashSecret::random(),
    };
    let observer = Accountant { accounts: accounts.clone(), bin_end: Timestamp(0) };
    let mut worker = Worker::new(&settings, Outbox::new(false, snapshots, None, Vec::new()), observer);
    for (time, data) in packets {
        let wire_len = data.len() as u32;
        worker.batch(&[Packet { data, time: Timestamp(*time), wire_len, link_type: LinkType::ETHERNET }]);
    }
    worker.finish();
    std::mem::take(&mut accounts.0.lock().expect("no panic while adding"))
}

fn datagram(ports: [u16; 2], payload: &[u8]) -> Vec<u8> {
    let mut datagram: Vec<u8> = ports.iter().flat_map(|port| port.to_be_bytes()).collect();
    datagram.extend((8 + payload.len() as u16).to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(payload);
    frame(0x0800, &ipv4(17, CLIENT, SERVER, &datagram))
}

proptest::proptest! {
    /// Whatever ends flows within or between bins: what is told of their growth adds up to what was sent.
    #[test]
    fn growth_adds_up_to_what_was_sent(
        steps in proptest::collection::vec((0u16..12, 0u64..3_000, 0usize..40), 1..200),
        flow_count_max in 2usize..8,
        active in proptest::bool::ANY,
    ) {
        let flow = FlowSettings {
            flow_count_max,
            idle_timeout_ns: 5 * SECOND,
            active_timeout_ns: if active { 2 * SECOND } else { 0 },
            ..FlowSettings::default()
        };
        let mut sent = std::collections::BTreeMap::<u16, (u64, u64)>::new();
        let mut time = 100 * SECOND;
        let mut packets = Vec::new();
        for (port, step_ms, len) in steps {
            time += step_ms * 1_000_000;
            let packet = datagram([1000 + port, 9000], &vec![0; len]);
            let account = sent.entry(1000 + port).or_default();
            (account.0, account.1) = (account.0 + 1, account.1 + packet.len() as u64);
            packets.push((time, packet));
        }
        proptest::prop_assert_eq!(accounts_of(&packets, flow).0, sent);
    }
}

#[test]
fn closed_connections_fragments_and_dhcp_are_told_at_once() {
    let mut first = ipv4(17, CLIENT, SERVER, &[0, 7, 0, 8, 0, 48, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1]);
    first[6] = 0x20;
    let mut later = ipv4(17, CLIENT, SERVER, &[1; 8]);
    later[7] = 2;
    let packets = [
        tcp(false, SYN, 100, 0),
        tcp(true, SYN | ACK, 500, 101),
        tcp(false, RST, 101, 0),
        frame(0x0800, &first),
        frame(0x0800, &later),
        datagram([68, 67], &[1; 300]),
        datagram([68, 69], &[1; 300]),
    ];
    let packets: Vec<(u64, Vec<u8>)> = (0..).map(|i| 100 * SECOND + i).zip(packets).collect();
    let (_, lines) = accounts_of(&packets, FlowSettings::default());
    let expected = ["closed [2, 1] 1", "fragment 10.0.0.1 192.0.2.1 4", "fragment 10.0.0.1 192.0.2.1 5", "dhcp 6 300"];
    assert_eq!(lines, expected);
}
