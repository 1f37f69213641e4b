//! Evidence does not depend on how packets were dealt to queues, nor on the order in which parts are merged. For every detector there is.
//!
//! Packets go through real workers; alerts with low thresholds show what the evidence was. Examples (packet numbers) are of their
//! queue and left out.

mod common;

use common::detection::{all_on, detection_settings};
use common::temp_dir;
use netscope::detect::{
    Alert, BinSpan, Contact, DetectionSettings, DetectorSet, DistinctSet, EvidenceHash, EvidenceSet, JudgeContext, LocalNetworks,
    detectors,
};
use netscope::engine::{Detecting, Detection, EvidenceBox, Outbox, Snapshot, Worker, WorkerSettings, WorkerShare, mailbox};
use netscope::flow::{FlowSettings, HashSecret, HostAddress, InspectionSettings};
use netscope_backends::{BATCH_MAX, LinkType, Packet, Timestamp};
use netscope_perf::scenario::{ACK, FIN, MS, Outcome, PSH, RST, SYN, Script, URG, host, mac};
use proptest::prelude::*;
use std::collections::{BTreeMap, HashMap};

/// Bins of a case at most.
const BINS_MAX: usize = 64;
/// Low enough that everything is told.
const SENSITIVE: &[(&str, &str)] = &[
    ("syn_flood", "syn_threshold = 3\nunique_src_threshold = 3"),
    ("port_scan", "unique_ports_threshold = 3\nunique_hosts_threshold = 3"),
    ("dns_tunnel", "names_threshold = 3\nmin_name_bytes = 20"),
    ("nxdomain_storm", "names_threshold = 3"),
];

/// A source of choices.
struct Choices(proptest::test_runner::TestRng);

impl Choices {
    fn below(&mut self, end: u32) -> u32 {
        self.0.next_u32() % end.max(1)
    }
}

/// Random traffic of few hosts over some seconds.
fn traffic(choices: &mut Choices, count: u32) -> Vec<(u64, Vec<u8>)> {
    const OUTCOMES: [Outcome; 5] =
        [Outcome::Completed, Outcome::HalfOpen, Outcome::Unfinished, Outcome::Refused, Outcome::Silent];
    const FLAGS: [u8; 8] = [SYN, SYN | ACK, ACK, RST, FIN, 0, FIN | PSH | URG, RST | ACK];
    let mut script = Script::default();
    for _ in 0..count {
        let at = u64::from(choices.below(6_000)) * MS;
        let (inside, outside) = (host([10, 0, 0, 1], choices.below(6)), host([203, 0, 113, 1], choices.below(9)));
        let (from, to) = if choices.below(2) == 0 { (inside, outside) } else { (outside, inside) };
        let from = (from, 40_000 + choices.below(30) as u16);
        let to = (to, [22, 53, 80, 443, 123, 67][choices.below(6) as usize] + choices.below(4) as u16);
        match choices.below(12) {
            0..=2 => {
                let rtt = u64::from(choices.below(900)) * MS;
                script.connect(at, from, to, rtt, OUTCOMES[choices.below(5) as usize]);
            }
            // Names: asked for, and not there or in a tunnel.
            10 => {
                let (from, to) = ((inside, 40_000 + choices.below(4) as u16), (outside, 53));
                let (number, rcode) = (choices.below(40), [0, 3][choices.below(2) as usize]);
                let hardware = (mac(from.0), mac(to.0));
                script.datagram_with(at, from, to, &dns(number, 0x0100), hardware);
                script.datagram_with(at + MS, to, from, &dns(number, 0x8180 | rcode), (hardware.1, hardware.0));
            }
            // A login to any port that everybody can read.
            11 => {
                let said: [(bool, &[u8]); 4] =
                    [(true, b"220 FTP\r\n"), (false, b"USER bob\r\n"), (true, b"331 ?\r\n"), (false, b"PASS a\r\n")];
                script.dialogue(at, from, to, 5 * MS, &said);
            }
            // Somebody who finds nobody.
            3 => (0..5).for_each(|i| script.connect(at + i * 100 * MS, from, (to.0, to.1 + 10 * i as u16), MS, Outcome::Silent)),
            4 => script.tcp(at, from, to, FLAGS[choices.below(8) as usize], choices.below(5), choices.below(5)),
            5 => {
                script.datagram(at, from, to, choices.below(1_400) as usize);
                script.datagram(at + u64::from(choices.below(2_000)) * MS, to, from, choices.below(1_400) as usize);
            }
            6 => {
                script.udp(at, from, to);
                script.unreachable(at + MS, from, to);
            }
            7 => {
                script.echo(at, from.0, to.0, choices.below(3) as u16, false);
                script.echo(at + MS, to.0, from.0, choices.below(3) as u16, true);
            }
            8 => script.arp_from(at, 1 + choices.below(2) as u8, (mac(host([10, 0, 0, 1], choices.below(6))), inside), from.0),
            _ => script.fragment(at, from, to, choices.below(4) as u16, choices.below(2) == 0),
        }
    }
    script.timed_frames()
}

/// A message about one of 40 long names.
fn dns(number: u32, flags: u16) -> Vec<u8> {
    let label = format!("{number:02}abcdefghijklmnopqrstuvwxyz{number:02}");
    let mut bytes = [&[0, 1][..], &flags.to_be_bytes(), &[0, 1, 0, 0, 0, 0, 0, 0]].concat();
    for label in [label.as_str(), "example", if number < 20 { "com" } else { "net" }] {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.extend([0, 0, 16, 0, 1]);
    bytes
}

/// The same for all packets of a flow and for all fragments between two hosts: what a card's hash would do.
fn flow_of(frame: &[u8]) -> Vec<u8> {
    if frame[12..14] != [8, 0] {
        return frame.to_vec();
    }
    let (protocol, is_fragment) = (frame[23], frame[20] & 0x3f != 0 || frame[21] != 0);
    let has_ports = matches!(protocol, 6 | 17) && !is_fragment;
    let end = |ip: usize, port: usize| [&frame[ip..ip + 4], if has_ports { &frame[port..port + 2] } else { &[] }].concat();
    let (one, other) = (end(26, 34), end(30, 36));
    let mut flow = vec![protocol, u8::from(is_fragment)];
    flow.extend(if one < other { [one, other].concat() } else { [other, one].concat() });
    flow
}

/// What a queue gathers of its packets, by bin.
fn gathered(packets: &[(u64, Vec<u8>)], detection: &Detection) -> Vec<(u64, EvidenceSet)> {
    let all = detection.detectors();
    let (sender, receiver) = mailbox(BINS_MAX, || EvidenceBox::new(&all));
    let (snapshots, _unread) = mailbox(4, Snapshot::default);
    let settings = WorkerSettings {
        flow: FlowSettings {
            flow_count_max: 4096,
            inspection: InspectionSettings { enabled: true, ..InspectionSettings::default() },
            ..FlowSettings::default()
        },
        tick_ns: u64::MAX,
        count_max: 0,
        share: WorkerShare::WHOLE,
        waits: false,
        secret: HashSecret::random(),
    };
    let observer = Detecting::new(detection, true, sender);
    let mut worker = Worker::new(&settings, Outbox::new(false, snapshots, None, Vec::new()), observer);
    for batch in packets.chunks(BATCH_MAX) {
        let batch: Vec<Packet<'_>> = batch
            .iter()
            .map(|(time, data)| Packet {
                data,
                time: Timestamp(*time),
                wire_len: data.len() as u32,
                link_type: LinkType::ETHERNET,
            })
            .collect();
        worker.batch(&batch);
    }
    worker.finish();
    let mut bins = Vec::new();
    while let Some(mut filled) = receiver.receive() {
        bins.push((filled.bin, std::mem::replace(&mut filled.evidence, all.evidence())));
        receiver.give_back(filled);
    }
    bins
}

/// The alerts of all bins and what found no room; the parts of a bin are merged in pairs that are drawn.
fn judged(parts: Vec<(u64, EvidenceSet)>, detection: &Detection, choices: &mut Choices) -> (Vec<Alert>, u64) {
    let mut all: DetectorSet = detection.detectors();
    let mut bins: BTreeMap<u64, Vec<EvidenceSet>> = BTreeMap::new();
    for (bin, part) in parts {
        bins.entry(bin).or_default().push(part);
    }
    let (mut alerts, mut left_out, mut overflow) = (Vec::new(), 0, 0);
    let local = LocalNetworks::private_and([]);
    let mut end = Timestamp(0);
    for (bin, mut parts) in bins {
        while parts.len() > 1 {
            let one = parts.swap_remove(choices.below(parts.len() as u32) as usize);
            let into = choices.below(parts.len() as u32) as usize;
            all.merge(&mut parts[into], &one);
        }
        let Some(mut sum) = parts.pop() else { continue };
        overflow += all.overflow(&sum);
        let start = Timestamp(bin * detection.bin_ns);
        end = start.plus(detection.bin_ns);
        let context =
            &mut JudgeContext { bin: BinSpan { start, end }, local: &local, alerts: &mut alerts, left_out: &mut left_out };
        all.judge(&mut sum, context);
    }
    let bin = BinSpan { start: end, end };
    all.finish(&mut JudgeContext { bin, local: &local, alerts: &mut alerts, left_out: &mut left_out });
    alerts.iter_mut().for_each(|alert| alert.samples.clear());
    (alerts, overflow)
}

fn settings(table_bytes: usize) -> DetectionSettings {
    let directory = temp_dir("evidence");
    DetectionSettings { table_bytes, ..detection_settings(&all_on(SENSITIVE), directory.path()) }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn alerts_do_not_depend_on_queues_or_on_the_order_of_merging(
        rng in any::<u64>().prop_perturb(|_, rng| rng),
        count in 1_u32..500,
        table_bytes in prop::sample::select(vec![2_000, 20_000, 1 << 20]),
    ) {
        let mut choices = Choices(rng);
        let all = settings(table_bytes);
        let detection = Detection::new(all.bin_ns(), move || detectors(&all));
        let packets = traffic(&mut choices, count);
        let whole = judged(gathered(&packets, &detection), &detection, &mut choices);
        for queue_count in [2, 3, 7] {
            let mut dealt: HashMap<Vec<u8>, u32> = HashMap::new();
            let mut queues = vec![Vec::new(); queue_count as usize];
            for packet in &packets {
                let queue = *dealt.entry(flow_of(&packet.1)).or_insert_with(|| choices.below(queue_count));
                queues[queue as usize].push(packet.clone());
            }
            let parts: Vec<_> = queues.iter().flat_map(|queue| gathered(queue, &detection)).collect();
            let dealt = judged(parts, &detection, &mut choices);
            prop_assert_eq!(&dealt, &whole);
        }
    }
}

/// The harness above shows nothing if nothing is told.
#[test]
fn random_traffic_gives_alerts_of_more_than_one_kind() {
    let mut choices = Choices(proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha));
    let all = settings(1 << 20);
    let detection = Detection::new(all.bin_ns(), move || detectors(&all));
    let packets = traffic(&mut choices, 400);
    let (alerts, overflow) = judged(gathered(&packets, &detection), &detection, &mut choices);
    for kind in ["syn_flood", "port_scan"] {
        assert!(alerts.iter().filter(|alert| alert.kind == kind).count() > 2, "{kind} in {alerts:?}");
    }
    for kind in ["dns_tunnel", "nxdomain_storm", "cleartext_password", "port_mismatch"] {
        assert!(alerts.iter().any(|alert| alert.kind == kind), "{kind} in {alerts:?}");
    }
    assert_eq!(overflow, 0);
    let (_, overflow) = {
        let all = settings(2_000);
        let detection = Detection::new(all.bin_ns(), move || detectors(&all));
        judged(gathered(&packets, &detection), &detection, &mut choices)
    };
    assert!(overflow > 0, "little memory overflows");
}

/// Standard error of the sketch beyond 64 members: 3.25 %. Four times that is left by one of 16,000.
#[test]
fn sketches_stay_within_their_stated_error() {
    let mut squares = 0.0;
    const ROUNDS: u32 = 60;
    for round in 0..ROUNDS {
        let hash = EvidenceHash::random();
        let count = [65, 100, 300, 1_000, 5_000, 40_000][(round % 6) as usize];
        let mut set = DistinctSet::default();
        for i in 0..count {
            let contact = Contact { host: HostAddress::from(std::net::IpAddr::from(host([10, 0, 0, 0], i))), port: 0 };
            set.insert(hash.rank(&contact), contact, 1);
        }
        let estimate = set.cardinality();
        let error = estimate.count as f64 / f64::from(count) - 1.0;
        assert!(!estimate.is_exact && error.abs() <= 4.0 * estimate.error(), "{count}: {estimate:?}");
        squares += error * error;
    }
    let deviation = (squares / f64::from(ROUNDS)).sqrt();
    assert!(deviation < 1.3 * 0.0325, "{deviation}");
}
