//! Alerts of the real program: attacks are named as what they are, look-alikes are not, and the number of workers changes no byte.

mod common;

use common::alerts::{alerts_of, begun, last};
use common::detection::all_on;
use common::{corpus, netscope, temp_dir};
use netscope_perf::scenario::{ACK, FIN, MS, Outcome, PSH, RST, SEC, SYN, Script, URG, host};
use serde_json::{Value, json};
use std::fs;
use std::net::Ipv4Addr;

const VICTIM: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 80);
const ATTACKER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 66);
const INSIDE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 5);

fn script_alerts(script: Script, flags: &[&str]) -> Vec<Value> {
    let directory = temp_dir("script");
    let capture = directory.path().join("script.pcap");
    script.write(&capture);
    alerts_of(&capture, flags)
}

fn of_script(fill: impl FnOnce(&mut Script)) -> Vec<Value> {
    let mut script = Script::default();
    fill(&mut script);
    script_alerts(script, &[])
}

#[test]
fn floods_are_named_as_what_they_are() {
    let single = of_script(|script| {
        (0..1500)
            .for_each(|i| script.connect(u64::from(i) * 2 * MS, (ATTACKER, 1024 + i), (VICTIM, 80), MS, Outcome::Unfinished));
    });
    assert_eq!(begun(&single), [("syn_flood", "single_source", "syn")]);
    let update = last(&single, "update");
    assert_eq!((&update["counts"]["attempts"], &update["victim"]["port"]), (&json!(1100), &json!(80)), "at the bin's end");
    let end = last(&single, "end");
    assert_eq!((&end["counts"]["attempts"], &end["ended_by"]), (&json!(1500), &json!("exit")));
    assert_eq!((&end["attacker"]["ip"], &end["completion_ratio"]), (&json!(ATTACKER.to_string()), &json!(0.0)));
    assert_eq!(end["top_sources"], json!([{"ip": ATTACKER.to_string(), "packets": 1500}]));
    assert_eq!(end["packets"], json!([1, 3, 5]));

    let distributed = of_script(|script| {
        for i in 0..4000_u32 {
            script.connect(u64::from(i) * MS, (host([11, 0, 0, 0], i * 7919), 1024), (VICTIM, 443), MS, Outcome::Unfinished);
        }
        // A minute later something else: the alert has ended by then.
        script.udp(100 * SEC, (INSIDE, 5000), (VICTIM, 53));
    });
    assert_eq!(begun(&distributed), [("syn_flood", "distributed", "syn")]);
    let end = last(&distributed, "end");
    let sources = &end["distinct"]["sources"];
    assert!(sources["exact"] == json!(false) && (3600..4400).contains(&sources["count"].as_u64().unwrap()), "{end}");
    assert_eq!(end["ended_by"], "quiet");
    let ts = |alert: &Value| alert["ts"].as_f64().unwrap();
    assert!((ts(end) - ts(&distributed[0]) - 13.0).abs() < 2.0, "{end}");

    // The same SYN again and again.
    let same = of_script(|script| (0..1000).for_each(|i| script.tcp(i * 3 * MS, (ATTACKER, 4000), (VICTIM, 22), SYN, 7, 0)));
    assert_eq!(begun(&same), [("syn_flood", "single_source", "syn")]);

    // Beside a busy neighbour: the network is at the threshold a little earlier, and is not told.
    let beside = of_script(|script| {
        for i in 0..1800_u32 {
            let client = (host([10, 0, 0, 1], i % 40), 20_000 + i as u16);
            script.connect(u64::from(i) * 100 * MS, client, (VICTIM, 443), 2 * MS, Outcome::Completed);
        }
        for i in 0..600_u32 {
            let (source, victim) = ((host([11, 0, 0, 0], i * 7919), 1024), (host([192, 0, 2, 1], 0), 25));
            script.connect(70 * SEC + u64::from(i) * MS, source, victim, MS, Outcome::Silent);
        }
    });
    assert_eq!(begun(&beside), [("syn_flood", "distributed", "syn")]);

    let carpet = of_script(|script| {
        for i in 0..6000_u32 {
            let target = (host([192, 0, 2, 0], i % 256), 80);
            script.connect(u64::from(i) * MS / 2, (host([11, 0, 0, 0], i * 7919), 1024), target, MS, Outcome::Silent);
        }
    });
    assert_eq!(begun(&carpet), [("syn_flood", "carpet", "syn")]);
    assert_eq!(last(&carpet, "begin")["victim"]["network"], "192.0.2.0/24");

    let ports = of_script(|script| {
        for i in 0..4000_u32 {
            let target = (VICTIM, (i * 13 % 60_000) as u16 + 1);
            script.connect(u64::from(i) * MS, (host([11, 0, 0, 0], i * 7919), 1024), target, MS, Outcome::Silent);
        }
    });
    assert_eq!(begun(&ports), [("syn_flood", "distributed", "syn")], "many ports of one host, from everywhere");
    assert_eq!(last(&ports, "begin")["victim"], json!({"ip": VICTIM.to_string(), "port": null, "network": null}));
}

#[test]
fn a_flood_beside_good_clients_and_good_clients_alone() {
    let clients = |script: &mut Script| {
        for i in 0..4000_u32 {
            let client = (host([172, 16, 0, 0], i % 500), 20_000 + (i / 500) as u16);
            script.connect(u64::from(i) * MS, client, (VICTIM, 443), 150 * MS, Outcome::Completed);
        }
    };
    assert_eq!(of_script(clients), [json!(null); 0], "a busy server");
    // All at once, at the end of a bin, over a slow path.
    let burst = of_script(|script| {
        for i in 0..1000_u32 {
            script.connect(650 * MS, (host([172, 16, 0, 0], i), 4000), (VICTIM, 443), 400 * MS, Outcome::Completed);
        }
    });
    assert_eq!(burst, [json!(null); 0]);
    let both = of_script(|script| {
        clients(script);
        (0..20_000_u32).for_each(|i| {
            script.connect(u64::from(i) * MS / 5, (host([11, 0, 0, 0], i * 7919), 1024), (VICTIM, 443), MS, Outcome::Unfinished);
        });
    });
    assert_eq!(begun(&both), [("syn_flood", "distributed", "syn")]);
}

#[test]
fn scans_are_named_by_shape_and_technique() {
    let scan = |outcome: fn(u32) -> Outcome, target: fn(u32) -> (Ipv4Addr, u16), count: u32| {
        of_script(move |script| {
            for i in 0..count {
                script.connect(u64::from(i) * 5 * MS, (ATTACKER, 40_000 + i as u16), target(i), 2 * MS, outcome(i));
            }
        })
    };
    let refused: fn(u32) -> Outcome = |_| Outcome::Refused;
    let vertical: fn(u32) -> (Ipv4Addr, u16) = |i| (VICTIM, 1 + i as u16);
    let found = scan(refused, vertical, 1000);
    assert_eq!(begun(&found), [("port_scan", "vertical", "syn")]);
    assert_eq!(last(&found, "end")["victim"]["ip"], VICTIM.to_string());
    assert_eq!(begun(&scan(refused, vertical, 25)), [("port_scan", "vertical", "syn")], "at the threshold");
    assert_eq!(begun(&scan(refused, vertical, 24)), [], "below it");
    let some_open: fn(u32) -> Outcome = |i| if i % 10 == 0 { Outcome::HalfOpen } else { Outcome::Silent };
    assert_eq!(begun(&scan(some_open, vertical, 300)), [("port_scan", "vertical", "half_open")]);
    let some_served: fn(u32) -> Outcome = |i| if i % 10 == 0 { Outcome::Completed } else { Outcome::Refused };
    assert_eq!(begun(&scan(some_served, vertical, 300)), [("port_scan", "vertical", "connect")]);
    let horizontal: fn(u32) -> (Ipv4Addr, u16) = |i| (host([198, 51, 100, 1], i), 23);
    let found = scan(|_| Outcome::Silent, horizontal, 200);
    assert_eq!(begun(&found), [("port_scan", "horizontal", "syn")]);
    assert_eq!(last(&found, "begin")["ports"], json!([23]));
    assert_eq!(begun(&scan(|_| Outcome::Silent, horizontal, 10)), [("port_scan", "horizontal", "syn")]);
    assert_eq!(begun(&scan(|_| Outcome::Silent, horizontal, 9)), []);
    let block: fn(u32) -> (Ipv4Addr, u16) = |i| (host([198, 51, 100, 1], i % 5), 20 + (i / 5) as u16);
    assert_eq!(begun(&scan(refused, block, 40)), [("port_scan", "block", "syn")]);
}

#[test]
fn scans_without_handshakes() {
    for (flags, technique) in [(FIN, "fin"), (0, "null"), (FIN | PSH | URG, "xmas")] {
        let found = of_script(|script| {
            for port in 1..60 {
                script.tcp(u64::from(port) * 10 * MS, (ATTACKER, 5000), (VICTIM, port), flags, 9, 0);
                if port % 3 == 0 {
                    script.tcp(u64::from(port) * 10 * MS + MS, (VICTIM, port), (ATTACKER, 5000), RST | ACK, 0, 10);
                }
            }
        });
        assert_eq!(begun(&found), [("port_scan", "vertical", technique)]);
    }
    let ack = of_script(|script| {
        for port in 1..60 {
            script.tcp(u64::from(port) * 10 * MS, (ATTACKER, 5000), (VICTIM, port), ACK, 9, 77);
            script.tcp(u64::from(port) * 10 * MS + MS, (VICTIM, port), (ATTACKER, 5000), RST, 77, 0);
        }
    });
    assert_eq!(begun(&ack), [("port_scan", "vertical", "ack")]);
    let udp = of_script(|script| {
        for port in 1..60 {
            script.udp(u64::from(port) * 10 * MS, (ATTACKER, 5000), (VICTIM, port));
            script.unreachable(u64::from(port) * 10 * MS + MS, (ATTACKER, 5000), (VICTIM, port));
        }
    });
    assert_eq!(begun(&udp), [("port_scan", "vertical", "udp")]);
    let sweep = of_script(|script| {
        for i in 0..254 {
            script.echo(u64::from(i) * 10 * MS, ATTACKER, host([192, 0, 2, 1], i), 7, false);
            if i % 20 == 0 {
                script.echo(u64::from(i) * 10 * MS + MS, host([192, 0, 2, 1], i), ATTACKER, 7, true);
            }
        }
    });
    assert_eq!(begun(&sweep), [("port_scan", "horizontal", "icmp_echo")]);
    let arp = of_script(|script| {
        for i in 0..254 {
            script.arp(u64::from(i) * 10 * MS, 1, INSIDE, host([10, 0, 0, 1], i));
        }
    });
    assert_eq!(begun(&arp), [("port_scan", "horizontal", "arp")]);
}

#[test]
fn a_slow_scan_takes_a_window_as_long() {
    let script = || {
        let mut script = Script::default();
        for i in 0..12_u32 {
            script.connect(u64::from(i) * 600 * SEC, (ATTACKER, 4000), (host([198, 51, 100, 1], i), 445), MS, Outcome::Silent);
        }
        script
    };
    assert_eq!(begun(&script_alerts(script(), &[])), []);
    let directory = temp_dir("config");
    let config = directory.path().join("netscope.toml");
    fs::write(&config, "[analysis.anomalies.port_scan]\nwindow_secs = 7200.0\n").expect("the file is written");
    let flags = ["--config", config.to_str().expect("a path of ours")];
    assert_eq!(begun(&script_alerts(script(), &flags)), [("port_scan", "horizontal", "syn")]);
}

#[test]
fn detection_is_off_unless_asked_for_and_says_where_alerts_go() {
    let directory = temp_dir("off");
    let capture = directory.path().join("scan.pcap");
    let mut script = Script::default();
    (0..100).for_each(|i| script.connect(u64::from(i) * MS, (ATTACKER, 4000), (VICTIM, 1 + i), MS, Outcome::Refused));
    script.write(&capture);
    let output = netscope().args(["--quiet", "--read-pcap"]).arg(&capture).output().expect("the program runs");
    assert!(!String::from_utf8_lossy(&output.stdout).contains("alert"));
    let file = directory.path().join("alerts.jsonl");
    let output = netscope().arg("--read-pcap").arg(&capture).arg("--alerts-jsonl").arg(&file).output().expect("the program runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("add --anomalies"));
    let summary = directory.path().join("summary.json");
    let output =
        netscope().args(["--quiet", "--anomalies", "--read-pcap"]).arg(&capture).arg("--summary-json").arg(&summary).output();
    assert!(String::from_utf8_lossy(&output.expect("the program runs").stderr).contains("alerts: 1"));
    let summary: Value = serde_json::from_str(&fs::read_to_string(&summary).expect("a summary")).expect("JSON");
    assert_eq!(summary["detection"]["alerts_begun"], 1);
    assert_eq!(summary["detection"]["alerts_ended"], 1);
}

#[test]
fn little_memory_is_kept_to_counted_and_said() {
    let directory = temp_dir("memory");
    let capture = directory.path().join("flood.pcap");
    let mut script = Script::default();
    // Each of very many sources tries a service of its own.
    for i in 0..40_000_u32 {
        script.connect(
            u64::from(i) * MS / 50,
            (host([11, 0, 0, 0], i * 97), 1024),
            (host([12, 0, 0, 0], i * 89), 80),
            MS,
            Outcome::Silent,
        );
    }
    script.write(&capture);
    let config = directory.path().join("netscope.toml");
    fs::write(&config, "[analysis.anomalies]\ntable_mb = 1\n").expect("the file is written");
    let summary = directory.path().join("summary.json");
    let run = |workers: &str| {
        let mut command = netscope();
        command.args(["--quiet", "--anomalies", "--workers", workers, "--config"]).arg(&config).arg("--read-pcap").arg(&capture);
        let output = command.arg("--summary-json").arg(&summary).output().expect("the program runs");
        let summary: Value = serde_json::from_str(&fs::read_to_string(&summary).expect("a summary")).expect("JSON");
        assert!(String::from_utf8_lossy(&output.stderr).contains("observations without room"));
        summary["detection"].clone()
    };
    let one = run("1");
    assert!(one["evidence_overflow"].as_u64().is_some_and(|overflow| overflow > 10_000), "{one}");
    assert_eq!((&one["alerts_begun"], &one), (&json!(0), &run("4")));
}

/// What is known of the corpus's attacks, and of captures without any.
#[test]
fn real_attacks_and_their_absence() {
    let Some(corpus) = corpus() else { return };
    for (name, expected) in [
        ("attacks/bro__port_scan.pcap", &[][..]),
        ("attacks/bro__scan_with_zero_windows.pcap", &[("port_scan", "horizontal", "syn")][..]),
        ("attacks/bro__445_scan.pcap", &[]),
        ("attacks/bro__backscatter.pcap", &[]),
        ("attacks/slips__sweep.pcap", &[("port_scan", "horizontal", "half_open")]),
        ("attacks/slips__arp_scan.pcap", &[("port_scan", "horizontal", "arp")]),
        ("attacks/sanders__arppoison.pcapng", &[("arp_spoofing", "interception", "")]),
        ("attacks/slips__ssh_bruteforce.pcap", &[("brute_force", "single_source", "")]),
        ("attacks/ndpi__dns_exfiltration.pcap", &[("dns_tunnel", "no_domain", "")]),
        ("captures/sanders__synscan.pcapng", &[("port_scan", "vertical", "half_open")]),
        ("captures/zeek__ftp-bruteforce.pcap", &[("cleartext_password", "ftp", ""), ("brute_force", "single_source", "")]),
    ] {
        let alerts = alerts_of(&corpus.join(name), &[]);
        let mut begun = begun(&alerts);
        // A scan with a pause is told of twice.
        begun.dedup();
        assert_eq!(begun, expected, "{name}");
    }
}

/// Everyday traffic, protocol tests and damaged files, with every detector on but microbursts, as no capture says how fast its link was: nobody is
/// accused but those of whom it is known.
#[test]
fn no_other_capture_of_the_corpus_has_alerts() {
    let Some(corpus) = corpus() else { return };
    let directory = temp_dir("all-on");
    let config = directory.path().join("detection.toml");
    fs::write(&config, all_on(&[])).expect("the file is written");
    let accused = [
        "arkime__arkime_synthetic.pcap",
        "mercury__emix.pcap",
        "ndpi__KakaoTalk_talk.pcap",
        "ndpi__anyconnect-vpn.pcap",
        "ndpi__dnscrypt-v2-doh.pcap",
        "ndpi__false_positives.pcapng",
        "ndpi__gnutella.pcap",
        "ndpi__whatsapp.pcap",
        "pcpp__Ftp.pcap",
        "reseg-dup__ndpi__anyconnect-vpn.pcap",
        "reseg-overlap__ndpi__dnscrypt-v2-doh.pcap",
        "reseg-split5__ndpi__dnscrypt-v2-doh.pcap",
        "sanders__synscan.pcapng",
        "zeek__dhcp-dhcp_flood.pcap",
        "zeek__ftp-bruteforce.pcap",
        "zeek__nmap-vsn.pcap",
        "zeek__smtp.pcap",
    ];
    let mut found = Vec::new();
    for directory in ["captures", "captures/malformed", "captures/derived"] {
        let entries = fs::read_dir(corpus.join(directory)).expect("the corpus has captures");
        for path in entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_file()) {
            let mut command = netscope();
            command.args(["--quiet", "--config"]).arg(&config).arg("--read-pcap").arg(&path);
            let output = command.output().expect("the program runs");
            if String::from_utf8_lossy(&output.stdout).contains("[alert]") {
                found.push(path.file_name().expect("a name").to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    assert_eq!(found, accused);
}
