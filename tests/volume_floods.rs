//! Floods by volume through the real program: each is named as what it is, a conversation is none, and the number of workers changes no byte.

mod common;

use common::alerts::{alerts_of, begun, last};
use common::{netscope, temp_dir};
use netscope::detect::{
    Alert, BinSpan, DetectionSettings, Detector, DetectorSettings, Evidence, EvidenceHash, FloodFloors, JudgeContext,
    LocalNetworks, Observation, VolumeFlood, VolumeFloodSettings,
};
use netscope::flow::{FlowGrowth, FlowKey, FragmentRole, HostAddress, SeenFragment};
use netscope::wire::{IpVersion, Network, Ports};
use netscope_backends::Timestamp;
use netscope_perf::scenario::{MS, SEC, Script, host};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::fs;
use std::net::Ipv4Addr;

const VICTIM: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 80);
const ATTACKER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 66);
const INSIDE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 5);
/// When every script begins.
const START: f64 = 1_700_000_000.3;

/// Low enough for small captures.
const LOW: &str = "udp_packets_per_sec = 1000\nudp_bits_per_sec = 20000000\nicmp_packets_per_sec = 500\n\
                   fragment_packets_per_sec = 500\namplification_packets_per_sec = 200\n";

fn alerts_with(settings: &str, fill: impl FnOnce(&mut Script)) -> Vec<Value> {
    let directory = temp_dir("volume");
    let (capture, config) = (directory.path().join("script.pcap"), directory.path().join("netscope.toml"));
    let mut script = Script::default();
    fill(&mut script);
    script.write(&capture);
    fs::write(&config, format!("[analysis.anomalies.volume_flood]\nenabled = true\n{settings}")).expect("the file is written");
    alerts_of(&capture, &["--config", config.to_str().expect("a path of ours")])
}

/// A source that nobody has.
fn forged(number: u32) -> (Ipv4Addr, u16) {
    (host([11, 0, 0, 0], number.wrapping_mul(7919) & 0x00ff_ffff), 1024 + (number % 60_000) as u16)
}

/// So many packets, this many ns apart.
fn each(count: u32, gap: u64) -> impl Iterator<Item = (u64, u32)> {
    (0..count).map(move |i| (u64::from(i) * gap, i))
}

#[test]
fn datagrams_from_one_and_from_many() {
    let one = alerts_with(LOW, |script| {
        each(12_000, MS / 2).for_each(|(at, _)| script.datagram(at, (ATTACKER, 4444), (VICTIM, 27_020), 100));
    });
    assert_eq!(begun(&one), [("volume_flood", "udp", "udp")]);
    let begin = last(&one, "begin");
    assert!(begin["ts"].as_f64().unwrap() - START < 2.5 + 1.0, "within a second of crossing 5,000 in the window: {begin}");
    assert_eq!(begin["thresholds"][0]["name"], "udp_packets_per_sec");
    assert_eq!(begin["details"]["baseline"], "learning, 2 of 3600 s");
    let end = last(&one, "end");
    assert_eq!((&end["counts"]["packets"], &end["counts"]["bytes"]), (&json!(12_000), &json!(12_000 * 142)));
    assert_eq!((&end["counts"]["packets_per_sec"], &end["attacker"]["ip"]), (&json!(2000), &json!(ATTACKER.to_string())));
    assert_eq!((&end["details"]["shape"], &end["severity"]), (&json!("single_source"), &json!("medium")));
    assert_eq!((&end["victim"]["ip"], &end["packets"]), (&json!(VICTIM.to_string()), &json!([1])));

    let many = alerts_with(LOW, |script| {
        each(12_000, MS / 2).for_each(|(at, i)| script.datagram(at, forged(i), (VICTIM, 27_020), 100));
        // Much later something else: the flood has ended by then.
        script.udp(60 * SEC, (INSIDE, 5000), (VICTIM, 53));
    });
    assert_eq!(begun(&many), [("volume_flood", "udp", "udp")]);
    let end = last(&many, "end");
    assert_eq!(
        (&end["details"]["shape"], &end["ended_by"], &end["severity"]),
        (&json!("distributed"), &json!("quiet"), &json!("high"))
    );
    assert!((10_800..13_200).contains(&end["distinct"]["sources"]["count"].as_u64().unwrap()), "{end}");

    // Few packets, many bits: 8 Mbit/s more than the floor.
    let large = alerts_with("udp_packets_per_sec = 100000\nudp_bits_per_sec = 20000000\n", |script| {
        each(18_000, 400_000).for_each(|(at, i)| script.datagram(at, (ATTACKER, 4444), (VICTIM, 1024 + i as u16), 1400));
    });
    assert_eq!(begun(&large), [("volume_flood", "udp", "udp")]);
    assert_eq!(last(&large, "begin")["thresholds"][0]["name"], "udp_bits_per_sec");
}

#[test]
fn at_the_defaults() {
    let at_rate = |per_sec: u32| {
        alerts_with("", |script| {
            each(per_sec * 6, SEC / u64::from(per_sec)).for_each(|(at, _)| script.udp(at, (ATTACKER, 4444), (VICTIM, 80)));
        })
    };
    assert_eq!(begun(&at_rate(21_000)), [("volume_flood", "udp", "udp")]);
    assert_eq!(begun(&at_rate(19_000)), []);
}

#[test]
fn it_is_off_unless_it_is_asked_for() {
    let directory = temp_dir("off");
    let capture = directory.path().join("script.pcap");
    let mut script = Script::default();
    each(150_000, MS / 30).for_each(|(at, _)| script.udp(at, (ATTACKER, 4444), (VICTIM, 80)));
    script.write(&capture);
    let output = netscope().args(["--quiet", "--anomalies", "--read-pcap"]).arg(&capture).output().expect("the program runs");
    assert!(!String::from_utf8_lossy(&output.stdout).contains("[alert]"));
}

#[test]
fn messages_and_fragments() {
    let answered = alerts_with(LOW, |script| {
        for (at, i) in each(6000, MS) {
            script.echo_of(at, ATTACKER, VICTIM, (i % 7) as u16, false, 56);
            script.echo_of(at + MS / 4, VICTIM, ATTACKER, (i % 7) as u16, true, 56);
        }
    });
    assert_eq!(begun(&answered), [("volume_flood", "icmp", "icmp")], "of the victim alone, who answers");
    let end = last(&answered, "end");
    assert_eq!((&end["victim"]["ip"], &end["counts"]["packets"]), (&json!(VICTIM.to_string()), &json!(6000)));

    let replies = alerts_with(LOW, |script| {
        each(6000, MS).for_each(|(at, i)| script.echo(at, host([198, 51, 100, 0], i % 200), VICTIM, i as u16, true));
    });
    assert_eq!(begun(&replies), [("volume_flood", "icmp", "icmp")], "replies that nobody asked for");

    for is_last in [true, false] {
        let alone = alerts_with(LOW, |script| {
            for (at, i) in each(4000, MS) {
                script.fragment(at, (host([203, 0, 113, 0], i % 20), 5000), (VICTIM, 80), i as u16, is_last);
            }
        });
        assert_eq!(begun(&alone), [("volume_flood", "fragments", "fragment")], "{is_last}");
        let end = last(&alone, "end");
        assert_eq!((&end["counts"]["packets"], &end["details"]["shape"]), (&json!(4000), &json!("few_sources")));
    }
}

#[test]
fn answers_that_nobody_asked_for() {
    let protocols = [
        (53, "dns"),
        (123, "ntp"),
        (11_211, "memcached"),
        (1900, "ssdp"),
        (389, "cldap"),
        (19, "chargen"),
        (17, "qotd"),
        (161, "snmp"),
        (5353, "mdns"),
    ];
    for (port, name) in protocols {
        let found = alerts_with(LOW, |script| {
            for (at, i) in each(2000, 2 * MS) {
                script.datagram(at, (host([198, 18, 0, 1], i % 300 * 211), port), (VICTIM, 1024 + (i % 300) as u16), 400);
            }
        });
        assert_eq!(begun(&found), [("volume_flood", "amplification", name)]);
        let end = last(&found, "end");
        assert_eq!((&end["ports"], &end["severity"], &end["counts"]["packets"]), (&json!([port]), &json!("high"), &json!(2000)));
        assert_eq!(end["key"], format!("volume_flood amplification {name} {VICTIM}"));
    }
}

#[test]
fn a_network_whose_hosts_are_flooded_together() {
    let carpet = alerts_with(LOW, |script| {
        for (at, i) in each(12_000, MS / 2) {
            script.datagram(at, forged(i), (host([192, 0, 2, 0], i % 200), 80), 100);
        }
    });
    assert_eq!(begun(&carpet), [("volume_flood", "udp", "udp")], "none of them by itself");
    let end = last(&carpet, "end");
    assert_eq!((&end["victim"]["network"], &end["details"]["shape"]), (&json!("192.0.2.0/24"), &json!("carpet")));
    assert!((180..220).contains(&end["distinct"]["victims"]["count"].as_u64().unwrap()), "{end}");

    let two = alerts_with(LOW, |script| {
        for (at, i) in each(24_000, MS / 4) {
            script.datagram(at, (ATTACKER, 4444), (host([192, 0, 2, 80], i % 2), 80), 100);
        }
    });
    assert_eq!(begun(&two).len(), 2, "each by itself");
    assert!(two.iter().all(|alert| alert["victim"]["network"].is_null()));
}

/// A receiver of unanswered video over the floor is told of once, as what is still learned. It becomes usual; a flood of it is told of, each
/// time, and does not become usual.
#[test]
fn what_is_usual_is_learned_and_a_flood_is_not() {
    let settings = "udp_packets_per_sec = 100\nlearning_secs = 100.0\n";
    let alerts = alerts_with(settings, |script| {
        each(60_000, SEC / 150).for_each(|(at, _)| script.udp(at, (INSIDE, 5004), (VICTIM, 5004)));
        for flood in [250, 320] {
            each(30_000, MS / 2).for_each(|(at, i)| script.udp(flood * SEC + at, forged(i), (VICTIM, 80)));
        }
    });
    let told: Vec<(&str, i64, &str)> = alerts
        .iter()
        .filter(|alert| alert["phase"] != "update")
        .map(|alert| {
            let second = (alert["ts"].as_f64().unwrap() - START) as i64;
            (alert["phase"].as_str().unwrap(), second, alert["details"]["baseline"].as_str().unwrap())
        })
        .collect();
    let usual = "up to 160 packets and less than 200000000 bits a second";
    assert_eq!(
        told,
        [
            ("begin", 3, "learning, 3 of 100 s"),
            ("end", 109, "learning, 99 of 100 s"),
            ("begin", 251, usual),
            ("end", 278, usual),
            ("begin", 321, usual),
            ("end", 348, usual),
        ]
    );
    let flood = alerts.iter().find(|alert| alert["details"]["baseline"] == usual).expect("it is there");
    assert_eq!(
        (&flood["thresholds"][0]["name"], &flood["thresholds"][1]["name"]),
        (&json!("udp_packets_per_sec"), &json!("baseline_factor"))
    );
    assert_eq!(flood["thresholds"][1]["limit"], 5);
}

#[test]
fn conversations_are_no_floods() {
    let none = [json!(null); 0];
    let resolver = alerts_with(LOW, |script| {
        for (at, i) in each(24_000, MS / 4) {
            let client = (host([10, 1, 0, 0], i % 10_000), 30_000 + (i / 10_000 * 1000 + i % 1000) as u16);
            script.datagram(at, client, (INSIDE, 53), 35);
            // One in 25 is not answered.
            if i % 25 != 0 {
                script.datagram(at + 30 * MS, (INSIDE, 53), client, 160);
            }
        }
    });
    assert_eq!(resolver, none, "a resolver and its 10,000 clients");
    for gap in [2, 100, 900] {
        let download = alerts_with(LOW, |script| {
            for (at, i) in each(30_000, MS / 5) {
                script.datagram(at, (ATTACKER, 443), (INSIDE, 50_000), 300);
                if i % gap == 0 {
                    script.udp(at, (INSIDE, 50_000), (ATTACKER, 443));
                }
            }
        });
        assert_eq!(download, none, "a download or a backup over UDP with an acknowledgment for each {gap} packets");
    }
    let late = alerts_with(LOW, |script| {
        each(12_000, MS / 4).for_each(|(at, _)| script.udp(at, (ATTACKER, 443), (INSIDE, 50_000)));
        each(100, MS).for_each(|(at, _)| script.udp(1200 * MS + at, (INSIDE, 50_000), (ATTACKER, 443)));
    });
    assert_eq!(late, none, "who answers a bin later answers");
    let asked = alerts_with(LOW, |script| {
        script.udp(0, (INSIDE, 50_000), (ATTACKER, 5004));
        each(24_000, MS / 4).for_each(|(at, _)| script.udp(MS + at, (ATTACKER, 5004), (INSIDE, 50_000)));
    });
    assert_eq!(asked, none, "a stream that was asked for once");
}

#[test]
fn more_of_what_is_no_flood() {
    let none = [json!(null); 0];
    let conference = alerts_with(LOW, |script| {
        for (at, i) in each(20_000, MS / 4) {
            let member = (host([10, 2, 0, 0], i % 100), 20_000);
            script.datagram(at, member, (VICTIM, 30_000), 160);
            script.datagram(at + MS / 8, (VICTIM, 30_000), member, 160);
        }
    });
    assert_eq!(conference, none, "100 members of a conference");
    let video = alerts_with(LOW, |script| {
        each(24_000, MS / 4).for_each(|(at, _)| script.datagram(at, (INSIDE, 5004), (Ipv4Addr::new(239, 1, 1, 1), 5004), 300));
    });
    assert_eq!(video, none, "multicast video");
    let files = alerts_with(LOW, |script| {
        for (at, i) in each(6000, MS) {
            let (first, last) = if i % 3 == 0 { (MS / 4, 0) } else { (0, MS / 4) };
            script.fragment(at + first, (INSIDE, 900), (VICTIM, 2049), i as u16, false);
            script.fragment(at + last, (INSIDE, 900), (VICTIM, 2049), i as u16, true);
            script.udp(at + MS / 2, (VICTIM, 2049), (INSIDE, 900));
        }
    });
    assert_eq!(files, none, "large datagrams of a file server, in either order");
    let names = alerts_with(LOW, |script| {
        for (at, i) in each(6000, MS) {
            let server = (host([198, 41, 0, 4], i % 400), 53);
            script.udp(at, (INSIDE, 1024 + i as u16), server);
            script.datagram(at + 20 * MS, server, (INSIDE, 1024 + i as u16), 1200);
        }
    });
    assert_eq!(names, none, "answers that were asked for");
}

/// Where one direction alone is captured nobody is seen to answer: a known limit, and said.
#[test]
fn one_direction_alone_looks_like_a_flood() {
    let download = alerts_with(LOW, |script| {
        each(12_000, MS / 2).for_each(|(at, _)| script.datagram(at, (ATTACKER, 443), (INSIDE, 50_000), 300));
    });
    assert_eq!(begun(&download), [("volume_flood", "udp", "udp")]);
}

#[test]
fn values_beyond_their_ranges_name_their_key() {
    let directory = temp_dir("ranges");
    let config = directory.path().join("netscope.toml");
    for (line, key) in [
        ("udp_packets_per_sec = 0", "udp_packets_per_sec"),
        ("amplification_bits_per_sec = 20000000000000", "amplification_bits_per_sec"),
        ("baseline_factor = 1001", "baseline_factor"),
        ("learning_secs = 99.0", "learning_secs"),
        ("window_secs = 181.0", "learning_secs"),
        ("unique_src_threshold = 0", "unique_src_threshold"),
        ("cooldown_secs = -1.0", "cooldown_secs"),
    ] {
        fs::write(&config, format!("[analysis.anomalies.volume_flood]\n{line}\n")).expect("the file is written");
        let output = netscope().args(["--read-pcap", "none.pcap", "--config"]).arg(&config).output().expect("the program runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(&format!("analysis.anomalies.volume_flood.{key}")), "{line}: {said}");
    }
}

/// Something that was seen in a bin: what it is, from whom, to whom, how many packets, how many of the other side.
type Seen = (u8, u8, u8, u16, u16);

fn host_address(network: [u8; 3], number: u8) -> HostAddress {
    HostAddress::v4([network[0], network[1], network[2], number])
}

fn growth(&(kind, from, to, sent, answered): &Seen) -> FlowGrowth {
    let padded = |network: [u8; 3], number: u8| {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&[network[0], network[1], network[2], number]);
        bytes
    };
    let (protocol, port) = [(17, 4000), (17, 53), (1, 9)][usize::from(kind % 3)];
    let network = Network {
        version: IpVersion::V4,
        protocol,
        ttl: 64,
        traffic_class: 0,
        source: padded([11, 0, 0], from),
        destination: padded([192, 0, 2], to % 6),
        fragment: None,
    };
    let other = if protocol == 1 { port } else { 2000 + u16::from(from) };
    let (key, initiator) = FlowKey::new(&network, Ports { source: port, destination: other });
    let mut packets = [0; 2];
    packets[initiator.index()] = u64::from(sent);
    packets[initiator.reverse().index()] = u64::from(answered);
    // What came before the bin counts for nobody but those who answer now.
    let packets_total = packets.map(|packets| packets + u64::from(kind / 3));
    let (bytes, bytes_total) = (packets.map(|packets| packets * 100), packets_total.map(|packets| packets * 100));
    let (first_seen, last_seen) = (Timestamp(u64::from(from)), Timestamp(1000 + u64::from(sent)));
    FlowGrowth {
        key,
        initiator,
        packets,
        bytes,
        packets_total,
        bytes_total,
        first_seen,
        last_seen,
        first_packet: u64::from(from) + 1,
    }
}

fn fragment(&(kind, from, to, sent, _): &Seen) -> SeenFragment {
    let role = match kind % 4 {
        0 => FragmentRole::First { found_packets: u64::from(from % 2), found_bytes: 100 * u64::from(from % 2) },
        1 => FragmentRole::Following,
        _ => FragmentRole::Waiting,
    };
    let (source, destination) = (host_address([11, 0, 0], from), host_address([192, 0, 2], to % 6));
    SeenFragment { role, source, destination, protocol: 17, wire_len: 100, time: Timestamp(sent.into()), number: sent.into() }
}

fn observe(detector: &VolumeFlood, seen: &Seen, evidence: &mut <VolumeFlood as Detector>::Evidence) {
    match seen.0 {
        0..12 => detector.observe(Observation::Growth(&[growth(seen)]), evidence),
        _ => detector.observe(Observation::Fragment(&fragment(seen)), evidence),
    }
}

fn detector(table_bytes: usize) -> VolumeFlood {
    let floors = FloodFloors { packets_per_sec: 100, bits_per_sec: 1_000_000 };
    let settings = VolumeFloodSettings {
        window_ns: Timestamp::NS_PER_SEC,
        udp: floors,
        icmp: floors,
        fragments: FloodFloors { packets_per_sec: 5, ..floors },
        amplification: floors,
        unique_src_threshold: 20,
        baseline_factor: 5,
        learning_ns: 20 * Timestamp::NS_PER_SEC,
        cooldown_ns: 0,
    };
    let detectors = DetectorSettings { volume_flood: Some(settings), ..DetectorSettings::default() };
    VolumeFlood::new(
        settings,
        &DetectionSettings { detectors, table_bytes, local: LocalNetworks::private_and([]), hash: EvidenceHash::fixed() },
    )
}

/// The alerts of a run whose only bin has this evidence.
fn judged(detector: &mut VolumeFlood, evidence: &mut <VolumeFlood as Detector>::Evidence) -> (Vec<Alert>, u64) {
    let (mut alerts, mut left_out) = (Vec::new(), 0);
    let overflow = evidence.overflow();
    let bin = BinSpan { start: Timestamp(0), end: Timestamp(Timestamp::NS_PER_SEC) };
    let local = LocalNetworks::private_and([]);
    let mut context = JudgeContext { bin, local: &local, alerts: &mut alerts, left_out: &mut left_out };
    detector.judge(evidence, &mut context);
    detector.finish(&mut context);
    (alerts, overflow)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_order_and_any_parts_give_the_same_alerts(
        all in prop::collection::vec((0_u8..20, any::<u8>(), any::<u8>(), 0_u16..400, prop::sample::select(vec![0_u16, 0, 0, 1, 9])), 0..300),
        shares in prop::collection::vec(0_usize..4, 300),
        table_bytes in prop::sample::select(vec![5000, 20_000, 4 << 20]),
    ) {
        let evidence_of = |seen: &mut dyn Iterator<Item = &Seen>| {
            let detector = detector(table_bytes);
            let mut evidence = detector.evidence();
            seen.for_each(|one| observe(&detector, one, &mut evidence));
            evidence
        };
        let whole = judged(&mut detector(table_bytes), &mut evidence_of(&mut all.iter()));
        let parts: Vec<_> = (0..4)
            .map(|part| evidence_of(&mut all.iter().zip(&shares).filter(|(_, share)| **share == part).map(|(one, _)| one)))
            .collect();
        for order in [[0, 1, 2, 3], [2, 0, 3, 1]] {
            let mut merged = detector(table_bytes).evidence();
            order.iter().for_each(|&part| merged.merge(&parts[part]));
            prop_assert_eq!(&judged(&mut detector(table_bytes), &mut merged), &whole);
        }
        prop_assert_eq!(&judged(&mut detector(table_bytes), &mut evidence_of(&mut all.iter().rev())), &whole);
    }
}
