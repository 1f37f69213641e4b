//! Attacks on a local network as the real program tells them: ARP spoofing, DHCP floods, rogue servers, and what looks like one of them.

mod common;

use common::{corpus, netscope, temp_dir};
use netscope_perf::scenario::{MS, SEC, Script};
use serde_json::{Value, json};
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

type Mac = [u8; 6];
/// A station: hardware address and address.
type Station = (Mac, Ipv4Addr);

const NOBODY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
const GATEWAY_MAC: Mac = [0, 0x1b, 0x21, 1, 2, 3];
const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 168, 7, 1);
const VICTIM: Station = ([0, 0x25, 0xb3, 1, 2, 3], Ipv4Addr::new(192, 168, 7, 20));
const ATTACKER: Station = ([0, 0x0c, 0x29, 6, 6, 6], Ipv4Addr::new(192, 168, 7, 66));
const VIRTUAL_MAC: Mac = [0, 0, 0x5e, 0, 1, 7];
const REQUEST: u8 = 1;
const REPLY: u8 = 2;

/// What the program writes about a capture, which is the same for any number of workers.
fn alerts_of(capture: &Path, config: &str) -> Vec<Value> {
    let directory = temp_dir("lan");
    let (file, toml) = (directory.path().join("alerts.jsonl"), directory.path().join("netscope.toml"));
    fs::write(&toml, config).expect("the file is written");
    let run = |workers: &str| {
        let mut command = netscope();
        command.args(["--quiet", "--anomalies", "--workers", workers, "--config"]).arg(&toml);
        let output = command.arg("--alerts-jsonl").arg(&file).arg("--read-pcap").arg(capture).output().expect("the program runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        fs::read_to_string(&file).expect("the file is there")
    };
    let text = run("1");
    for workers in ["1", "2", "4", "8"] {
        assert_eq!(run(workers), text, "{workers} workers");
    }
    let schema: Value = serde_json::from_str(include_str!("../docs/alert.schema.json")).expect("the schema is JSON");
    let schema = jsonschema::validator_for(&schema).expect("the schema is one");
    let alerts: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("a JSON object")).collect();
    alerts.iter().for_each(|alert| schema.validate(alert).unwrap_or_else(|error| panic!("{error}: {alert}")));
    let count = |phase: &str| alerts.iter().filter(|alert| alert["phase"] == phase).count();
    assert_eq!(count("begin"), count("end"), "{alerts:?}");
    alerts
}

fn of_script(config: &str, fill: impl FnOnce(&mut Script)) -> Vec<Value> {
    let mut script = Script::default();
    fill(&mut script);
    let directory = temp_dir("lan-script");
    let capture = directory.path().join("script.pcap");
    script.write(&capture);
    alerts_of(&capture, config)
}

/// Kind, variant and severity of the alerts that began.
fn begun(alerts: &[Value]) -> Vec<(&str, &str, &str)> {
    let text = |value: &'_ Value| -> String { value.as_str().unwrap_or("").to_owned() };
    let begins = alerts.iter().filter(|alert| alert["phase"] == "begin");
    begins
        .inspect(|alert| assert!(text(&alert["description"]).len() > 20, "{alert}"))
        .map(|alert| {
            let word = |name: &str| alert[name].as_str().unwrap_or("");
            (word("kind"), word("variant"), word("severity"))
        })
        .collect()
}

fn arp(script: &mut Script, at: u64, operation: u8, from: Station, target: Ipv4Addr) {
    let mut message = vec![0, 1, 8, 0, 6, 4, 0, operation];
    message.extend(from.0);
    message.extend(from.1.octets());
    message.extend([0; 6]);
    message.extend(target.octets());
    script.broadcast(at, from.0, 0x0806, &message);
}

/// The victim asks for the gateway, and this station answers.
fn ask_gateway(script: &mut Script, at: u64, answers: Mac) {
    arp(script, at, REQUEST, VICTIM, GATEWAY);
    arp(script, at + MS, REPLY, (answers, GATEWAY), VICTIM.1);
}

/// A message of DHCP.
struct Dhcp {
    kind: u8,
    client: Mac,
    /// Where its frame comes from.
    station: Mac,
    relay: Ipv4Addr,
    server: Ipv4Addr,
    router: Ipv4Addr,
    /// Source of the datagram.
    source: Ipv4Addr,
}

const DISCOVER: u8 = 1;
const OFFER: u8 = 2;
const ASK: u8 = 3;
const ACK: u8 = 5;

impl Dhcp {
    fn of_client(kind: u8, client: Mac) -> Self {
        Self { kind, client, station: client, relay: NOBODY, server: NOBODY, router: NOBODY, source: NOBODY }
    }

    fn of_server(kind: u8, client: Mac, server: Station, router: Ipv4Addr) -> Self {
        Self { kind, client, station: server.0, relay: NOBODY, server: server.1, router, source: server.1 }
    }

    fn send(&self, script: &mut Script, at: u64) {
        let is_server = self.source != NOBODY;
        let mut payload = vec![0; 236];
        (payload[0], payload[1], payload[2]) = (if is_server { 2 } else { 1 }, 1, 6);
        payload[24..28].copy_from_slice(&self.relay.octets());
        payload[28..34].copy_from_slice(&self.client);
        payload.extend([99, 130, 83, 99, 53, 1, self.kind]);
        for (code, address) in [(54, self.server), (3, self.router)] {
            if address != NOBODY {
                payload.extend([code, 4]);
                payload.extend(address.octets());
            }
        }
        payload.push(255);
        let ports: [u16; 2] = if is_server { [67, 68] } else { [68, 67] };
        let (from, to) = ((self.source, ports[0]), (Ipv4Addr::BROADCAST, ports[1]));
        script.datagram_with(at, from, to, &payload, (self.station, [0xff; 6]));
    }
}

const SERVER: Station = ([0, 0x1b, 0x21, 1, 2, 3], GATEWAY);

/// A client asks and gets an address.
fn get_address(script: &mut Script, at: u64, client: Mac, server: Station, router: Ipv4Addr) {
    Dhcp::of_client(DISCOVER, client).send(script, at);
    Dhcp::of_server(OFFER, client, server, router).send(script, at + 2 * MS);
    Dhcp { server: server.1, ..Dhcp::of_client(ASK, client) }.send(script, at + 4 * MS);
    Dhcp::of_server(ACK, client, server, router).send(script, at + 6 * MS);
}

/// A client of a real maker.
fn client(number: u32) -> Mac {
    let [_, a, b, c] = number.to_be_bytes();
    [0, 0x1b, 0x21, 0x40 | a, b, c]
}

#[test]
fn forged_replies_are_told_with_both_addresses_and_the_gateway_first() {
    let poison = |script: &mut Script| {
        ask_gateway(script, 0, GATEWAY_MAC);
        arp(script, SEC, REQUEST, ATTACKER, GATEWAY);
        arp(script, SEC + MS, REPLY, (GATEWAY_MAC, GATEWAY), ATTACKER.1);
        for i in 0..60 {
            arp(script, 10 * SEC + i * SEC, REPLY, (ATTACKER.0, GATEWAY), VICTIM.1);
            arp(script, 10 * SEC + i * SEC + MS, REPLY, (ATTACKER.0, VICTIM.1), GATEWAY);
        }
        // The victim speaks, too.
        arp(script, 30 * SEC, REQUEST, VICTIM, GATEWAY);
    };
    let alerts = of_script("[analysis.anomalies.arp_spoofing]\ngateways = [\"192.168.7.1\"]\n", poison);
    let found = begun(&alerts);
    assert!(
        found.contains(&("arp_spoofing", "interception", "high")) || found.contains(&("arp_spoofing", "forged_replies", "high"))
    );
    assert!(found.iter().all(|(kind, ..)| *kind == "arp_spoofing"), "{found:?}");
    let gateway = alerts.iter().find(|alert| alert["victim"]["ip"] == GATEWAY.to_string()).expect("an alert about the gateway");
    let start = 1_700_000_000.3;
    assert!(gateway["ts"].as_f64().expect("a number") < start + 16.0, "{gateway}");
    let details = &gateway["details"];
    assert_eq!(details["attacker_mac"], "00:0c:29:06:06:06");
    assert_eq!(details["other_macs"], "00:1b:21:01:02:03");
    assert_eq!(details["gateway_known_from"], "settings");
    assert_eq!(gateway["attacker"]["ip"], ATTACKER.1.to_string());
    let end = alerts.iter().rfind(|alert| alert["key"] == gateway["key"]).expect("it ends");
    assert_eq!((&end["phase"], &end["ended_by"]), (&json!("end"), &json!("exit")));
    assert!(end["counts"]["replies"].as_u64() >= Some(60), "{end}");
}

#[test]
fn a_gateway_is_known_from_dhcp_too() {
    let alerts = of_script("", |script| {
        get_address(script, 0, VICTIM.0, SERVER, GATEWAY);
        ask_gateway(script, SEC, GATEWAY_MAC);
        // Without a request of its own the attacker has no address, and the rule needs some replies.
        (0..20).for_each(|i| arp(script, (400 + 2 * i) * SEC, REPLY, (ATTACKER.0, GATEWAY), VICTIM.1));
        ask_gateway(script, 402 * SEC, GATEWAY_MAC);
    });
    assert_eq!(begun(&alerts), [("arp_spoofing", "forged_replies", "high")]);
    assert_eq!(alerts[0]["details"]["gateway_known_from"], "dhcp");
    assert_eq!(alerts[0]["thresholds"][0]["name"], "unsolicited_threshold");
    let contested = of_script("", |script| {
        for i in 0..8 {
            let mac = if i % 2 == 0 { GATEWAY_MAC } else { ATTACKER.0 };
            arp(script, i * 20 * SEC, REQUEST, (mac, GATEWAY), VICTIM.1);
        }
    });
    assert_eq!(begun(&contested), [("arp_spoofing", "contested", "low")]);
    assert_eq!(contested[0]["details"]["macs"], "00:0c:29:06:06:06, 00:1b:21:01:02:03");
}

#[test]
fn what_looks_like_arp_spoofing_and_is_none() {
    let none = [json!(null); 0];
    let failover = of_script("", |script| {
        for i in 0..20 {
            ask_gateway(script, i * 30 * SEC, if (8..12).contains(&i) { ATTACKER.0 } else { GATEWAY_MAC });
        }
        for (at, mac) in [(240, ATTACKER.0), (360, GATEWAY_MAC)] {
            (0..5).for_each(|i| arp(script, at * SEC + i * 500 * MS, REPLY, (mac, GATEWAY), GATEWAY));
        }
    });
    assert_eq!(failover, none, "a redundant router takes over, and gives back");
    let virtual_routers = of_script("", |script| {
        for i in 0..20 {
            let mac = if i % 2 == 0 { VIRTUAL_MAC } else { [0, 0, 0x0c, 7, 0xac, 1] };
            ask_gateway(script, i * 10 * SEC, mac);
        }
    });
    assert_eq!(virtual_routers, none);
    let moved = of_script("", |script| {
        (0..10).for_each(|i| ask_gateway(script, i * 20 * SEC, GATEWAY_MAC));
        (0..5).for_each(|i| arp(script, 200 * SEC + i * 100 * MS, REQUEST, (ATTACKER.0, GATEWAY), GATEWAY));
        (10..30).for_each(|i| ask_gateway(script, i * 20 * SEC, ATTACKER.0));
    });
    assert_eq!(moved, none, "a machine migrates, or has a new network card");
    let boot = of_script("", |script| {
        for i in 0..30 {
            let own = (client(i), Ipv4Addr::from_bits(GATEWAY.to_bits() + 10 + i));
            (0..3).for_each(|n| arp(script, (u64::from(i) + n) * SEC, REQUEST, (own.0, NOBODY), own.1));
            (3..5).for_each(|n| arp(script, (u64::from(i) + n) * SEC, REQUEST, own, own.1));
        }
    });
    assert_eq!(boot, none, "probes and announcements");
    let conflict = of_script("", |script| {
        (0..10).for_each(|i| ask_gateway(script, i * 30 * SEC, GATEWAY_MAC));
        arp(script, 100 * SEC, REQUEST, (ATTACKER.0, GATEWAY), GATEWAY);
        arp(script, 100 * SEC + 10 * MS, REQUEST, (GATEWAY_MAC, GATEWAY), GATEWAY);
        arp(script, 102 * SEC, REQUEST, (ATTACKER.0, GATEWAY), GATEWAY);
        arp(script, 102 * SEC + 10 * MS, REQUEST, (GATEWAY_MAC, GATEWAY), GATEWAY);
    });
    assert_eq!(conflict, none, "a conflict that is found and given up (RFC 5227)");
    let proxy = of_script("", |script| {
        for i in 0..40 {
            let asked = Ipv4Addr::new(10, 9, 0, i);
            arp(script, u64::from(i) * 2 * SEC, REQUEST, VICTIM, asked);
            arp(script, u64::from(i) * 2 * SEC + MS, REPLY, (GATEWAY_MAC, asked), VICTIM.1);
        }
    });
    assert_eq!(proxy, none, "a router answers for another subnet");
}

#[test]
fn floods_of_dhcp_are_told_by_how_they_show() {
    let unfinished = of_script("", |script| {
        get_address(script, 0, client(1), SERVER, GATEWAY);
        (0..2000).for_each(|i| Dhcp::of_client(DISCOVER, client(100 + i)).send(script, SEC + u64::from(i) * 10 * MS));
    });
    assert_eq!(begun(&unfinished), [("dhcp_flood", "unfinished", "high")]);
    assert_eq!(unfinished[0]["details"]["answers"], "stopped", "{:?}", unfinished[0]);
    let end = unfinished.iter().rfind(|alert| alert["phase"] == "end").expect("it ends");
    assert_eq!((&end["counts"]["discovers"], &end["packets"]), (&json!(2001), &json!([1, 3, 5])));
    assert!(unfinished.iter().any(|alert| alert["phase"] == "update"), "told again at 1000");

    let starvation = of_script("", |script| {
        for i in 0..100 {
            let at = u64::from(i) * 100 * MS;
            Dhcp { station: ATTACKER.0, ..Dhcp::of_client(DISCOVER, client(i)) }.send(script, at);
            Dhcp::of_server(OFFER, client(i), SERVER, GATEWAY).send(script, at + MS);
            Dhcp { station: ATTACKER.0, server: GATEWAY, ..Dhcp::of_client(ASK, client(i)) }.send(script, at + 2 * MS);
            Dhcp::of_server(ACK, client(i), SERVER, GATEWAY).send(script, at + 3 * MS);
        }
    });
    assert_eq!(begun(&starvation), [("dhcp_flood", "foreign_frames", "high")]);
    assert_eq!(starvation[0]["details"]["station_macs"], "00:0c:29:06:06:06");
    assert!(
        starvation[0]["ts"].as_f64().expect("a number") < 1_700_000_000.3 + 7.0,
        "a second after the 50th: {}",
        starvation[0]
    );

    let endless = of_script("", |script| (0..300).for_each(|i| Dhcp::of_client(DISCOVER, client(1)).send(script, i * 20 * MS)));
    assert_eq!(begun(&endless), [("dhcp_flood", "single_client", "medium")]);
}

#[test]
fn a_building_that_has_power_again_is_no_flood() {
    let none = [json!(null); 0];
    let served = of_script("", |script| {
        (0..500).for_each(|i| get_address(script, u64::from(i) * 13 * MS, client(i), SERVER, GATEWAY));
    });
    assert_eq!(served, none, "each gets an address");
    let down = of_script("", |script| {
        for i in 0..500 {
            // Times of RFC 2131, a little different for each.
            for after in [0, 4, 12, 28, 60] {
                let at = u64::from(i * 7 % 3000) * MS + after * SEC + u64::from(i % 11) * 90 * MS;
                Dhcp::of_client(DISCOVER, client(i)).send(script, at);
            }
        }
        (0..500).for_each(|i| get_address(script, 95 * SEC + u64::from(i) * 9 * MS, client(i), SERVER, GATEWAY));
    });
    assert_eq!(down, none, "the server comes later than its clients");
}

#[test]
fn servers_that_should_not_be_there() {
    let rogue: Station = (ATTACKER.0, ATTACKER.1);
    let both = |script: &mut Script| {
        (0..5).for_each(|i| get_address(script, u64::from(i) * 60 * SEC, client(i), SERVER, GATEWAY));
        Dhcp::of_server(OFFER, client(9), rogue, rogue.1).send(script, 200 * SEC);
        Dhcp::of_server(ACK, client(9), rogue, rogue.1).send(script, 201 * SEC);
    };
    let unlisted = of_script("[analysis.anomalies.rogue_dhcp]\nservers = [\"192.168.7.1\"]\n", both);
    assert_eq!(begun(&unlisted), [("rogue_dhcp", "unlisted", "medium")]);
    let end = unlisted.last().expect("it ends");
    assert_eq!((&end["severity"], &end["counts"]["acks"]), (&json!("high"), &json!(1)), "it has bound a client");
    assert_eq!((&end["attacker"]["ip"], &end["details"]["server_macs"]), (&json!("192.168.7.66"), &json!("00:0c:29:06:06:06")));
    let contradicts = of_script("", both);
    assert_eq!(begun(&contradicts), [("rogue_dhcp", "other_router", "medium")]);
    assert_eq!(contradicts[0]["details"]["other_server"], "192.168.7.1");
    assert_eq!(contradicts[0]["details"]["routers"], "192.168.7.66");
    let redundant = of_script("", |script| {
        let second: Station = (client(77), Ipv4Addr::new(192, 168, 7, 2));
        for i in 0..10 {
            Dhcp::of_client(DISCOVER, client(i)).send(script, u64::from(i) * 9 * SEC);
            Dhcp::of_server(OFFER, client(i), SERVER, GATEWAY).send(script, u64::from(i) * 9 * SEC + MS);
            Dhcp::of_server(OFFER, client(i), second, GATEWAY).send(script, u64::from(i) * 9 * SEC + 2 * MS);
            // Two servers behind the relay agent of another segment.
            for server in [Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2)] {
                let router = Ipv4Addr::new(192, 168, 8, 1);
                let answer = Dhcp { relay: router, ..Dhcp::of_server(OFFER, client(i), (GATEWAY_MAC, server), router) };
                answer.send(script, u64::from(i) * 9 * SEC + 3 * MS);
            }
        }
    });
    assert_eq!(redundant, [json!(null); 0]);
}

#[test]
fn keys_are_checked_and_named() {
    let directory = temp_dir("lan-keys");
    let toml = directory.path().join("netscope.toml");
    for (text, named) in [
        ("[analysis.anomalies.arp_spoofing]\ngateways = [\"2001:db8::1\"]\n", "analysis.anomalies.arp_spoofing.gateways"),
        ("[analysis.anomalies.arp_spoofing]\nchanges_threshold = 0\n", "analysis.anomalies.arp_spoofing.changes_threshold"),
        ("[analysis.anomalies.dhcp_flood]\nwindow_secs = 0.0\n", "analysis.anomalies.dhcp_flood.window_secs"),
        ("[analysis.anomalies.dhcp_flood]\nclients = 5\n", "analysis.anomalies.dhcp_flood.clients"),
        ("[analysis.anomalies.rogue_dhcp]\nservers = [\"dhcp\"]\n", "analysis.anomalies.rogue_dhcp.servers"),
    ] {
        fs::write(&toml, text).expect("the file is written");
        let output = netscope().arg("--config").arg(&toml).args(["--read-pcap", "none.pcap"]).output().expect("the program runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && said.contains(named), "{text}: {said}");
    }
}

#[test]
fn real_captures() {
    let Some(corpus) = corpus() else { return };
    let poisoned = alerts_of(&corpus.join("attacks/sanders__arppoison.pcapng"), "");
    assert_eq!(begun(&poisoned), [("arp_spoofing", "interception", "medium")]);
    assert_eq!(poisoned[0]["victim"]["ip"], "172.16.0.1");
    assert_eq!(
        (&poisoned[0]["attacker"]["ip"], &poisoned[0]["details"]["attacker_mac"]),
        (&json!("172.16.0.105"), &json!("00:25:b3:bf:91:ee"))
    );
    let flood = alerts_of(&corpus.join("captures/zeek__dhcp-dhcp_flood.pcap"), "");
    assert_eq!(begun(&flood), [("dhcp_flood", "single_client", "medium")]);
    assert_eq!(flood[0]["details"]["client_mac"], "90:b1:1c:99:49:29");
}
