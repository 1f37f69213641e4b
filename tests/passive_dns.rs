//! Flows that tell no name get that of a DNS answer to their client: by the real program, the same for any number of workers.
#![cfg(target_os = "linux")]

mod common;

use common::live::{self, Exports, counted, stop, tally, wait_for_silence};
use common::netns::{NetNs, Wire};
use common::temp_dir;
use common::written::{Written, of_capture, of_script, written};
use netscope_perf::scenario::{MS, SEC, Script, host, mac};
use nix::sys::signal::Signal;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

type End = (Ipv4Addr, u16);

const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 7);
const OTHER_CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 8);
const SERVER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 5);
const RESOLVER: End = (Ipv4Addr::new(10, 0, 0, 53), 53);
/// Name and source of the flow of this client's port.
fn name(found: &Written, port: u16) -> (Value, Value) {
    let flow = found.flows().into_iter().find(|flow| is_of(flow, port)).unwrap_or_else(|| panic!("a flow of {port}"));
    (flow["app"]["name"].clone(), flow["app"]["name_source"].clone())
}

fn is_of(flow: &Value, port: u16) -> bool {
    [&flow["endpoint_a"], &flow["endpoint_b"]].iter().any(|end| end["port"] == port)
}

fn labels(name: &[u8]) -> Vec<u8> {
    let parts = name.split(|&byte| byte == b'.').flat_map(|label| [&[label.len() as u8], label].concat());
    parts.chain([0]).collect()
}

/// A response that gives these addresses for a name that is an alias.
fn answer(id: u16, name: &[u8], addresses: &[IpAddr]) -> Vec<u8> {
    let count = (addresses.len() as u16 + 1).to_be_bytes();
    let mut bytes = [&id.to_be_bytes()[..], &[0x81, 0x80, 0, 1], &count, &[0; 4], &labels(name), &[0, 1, 0, 1]].concat();
    let alias = labels(b"edge.cdn.example");
    bytes.extend([&[0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, alias.len() as u8], &alias[..]].concat());
    // Its name stands in the record before.
    let owner = (0xc000 | (bytes.len() - alias.len()) as u16).to_be_bytes();
    for address in addresses {
        bytes.extend(owner);
        match address {
            IpAddr::V4(address) => bytes.extend([&[0, 1, 0, 1, 0, 0, 0, 60, 0, 4], &address.octets()[..]].concat()),
            IpAddr::V6(address) => bytes.extend([&[0, 28, 0, 1, 0, 0, 0, 60, 0, 16], &address.octets()[..]].concat()),
        }
    }
    bytes
}

/// The resolver answers a client on this port.
fn tell(script: &mut Script, at: u64, client: End, name: &[u8], addresses: &[Ipv4Addr]) {
    let addresses: Vec<IpAddr> = addresses.iter().map(|&address| address.into()).collect();
    script.datagram_with(at, RESOLVER, client, &answer(7, name, &addresses), (mac(RESOLVER.0), mac(client.0)));
}

const PASSIVE: &str = "passive_dns";

fn passive(name: &str) -> (Value, Value) {
    (json!(name), json!(PASSIVE))
}

const NONE: (Value, Value) = (Value::Null, Value::Null);

#[test]
fn later_flows_of_the_client_that_asked_have_the_name() {
    let mut script = Script::default();
    let ssh: [(bool, &[u8]); 2] = [(true, b"SSH-2.0-OpenSSH_9.6\r\n"), (false, b"SSH-2.0-OpenSSH_9.7\r\n")];
    let http: [(bool, &[u8]); 2] =
        [(false, b"GET / HTTP/1.1\r\nHost: own.example\r\n\r\n"), (true, b"HTTP/1.1 204 No Content\r\n\r\n")];
    script.dialogue(0, (CLIENT, 40_000), (SERVER, 22), MS, &ssh);
    tell(&mut script, SEC, (CLIENT, 33_000), b"wWw.Example.COM", &[SERVER, Ipv4Addr::new(203, 0, 113, 6)]);
    script.dialogue(2 * SEC, (CLIENT, 40_001), (SERVER, 22), MS, &ssh);
    script.dialogue(2 * SEC, (CLIENT, 40_002), (SERVER, 80), MS, &http);
    script.dialogue(2 * SEC, (OTHER_CLIENT, 40_003), (SERVER, 22), MS, &ssh);
    script.udp(2 * SEC, (CLIENT, 40_004), (Ipv4Addr::new(203, 0, 113, 6), 9999));
    // One that began before goes on behind an answer with another name, over TCP.
    script.udp(3 * SEC, (CLIENT, 40_005), (SERVER, 9999));
    let message = answer(9, b"second.example", &[SERVER.into()]);
    let framed = [&(message.len() as u16).to_be_bytes()[..], &message].concat();
    script.dialogue(4 * SEC, (CLIENT, 33_001), RESOLVER, MS, &[(true, &framed)]);
    script.udp(5 * SEC, (CLIENT, 40_005), (SERVER, 9999));
    script.udp(5 * SEC, (CLIENT, 40_006), (SERVER, 9999));
    let directory = temp_dir("passive-dns-off");
    let capture = directory.path().join("off.pcap");
    script.write(&capture);
    let found = of_capture(&capture, "", &["--quiet", "--flow-table", "20"]);
    assert_eq!(name(&found, 40_000), NONE, "it was there before");
    assert_eq!(name(&found, 40_001), passive("www.example.com"));
    assert_eq!(name(&found, 40_002), NONE, "it has its own");
    assert_eq!(name(&found, 40_003), NONE, "it did not ask");
    assert_eq!(name(&found, 40_004), passive("www.example.com"));
    assert_eq!(name(&found, 40_005), passive("www.example.com"), "the name of its beginning");
    assert_eq!(name(&found, 40_006), passive("second.example"));
    for flow in found.flows() {
        assert_eq!(flow["app"]["source"].is_null(), flow["app"]["protocol"].is_null(), "a name is no protocol: {flow}");
    }
    let ssh = found.flows().into_iter().find(|flow| is_of(flow, 40_001)).expect("a flow");
    assert_eq!((&ssh["app"]["protocol"], &ssh["app"]["source"]), (&json!("ssh"), &json!("content")));
    let named: Vec<Value> = found.ended().into_iter().filter(|flow| flow["app"]["name_source"] == PASSIVE).collect();
    assert_eq!((named.len(), &found.inspection()["named_by_dns"]), (4, &json!(4)));
    assert!(found.files[1].lines().next().is_some_and(|head| head.contains(",app_name,app_name_source,")));
    assert!(found.stdout.contains("ssh (www.example.com)"), "{}", found.stdout);
    let selected = written(&capture, "", &["--where", "app_name:*.example.com"]);
    assert_eq!((selected.flows().len(), selected.ended().len()), (3, 3));
    for (config, flags) in [("", &["--no-dpi"][..]), ("[analysis]\npassive_dns_names = 0\n", &[])] {
        let without = written(&capture, config, flags);
        assert!(!without.files.iter().take(4).any(|file| file.contains(PASSIVE) || file.contains("\"named_by_dns\": 4")));
    }
}

/// Many answers and flows of few clients, so that names are forgotten and flows end while others go on.
fn mixed(seed: u64) -> Script {
    let (mut script, mut state) = (Script::default(), seed);
    let mut next = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for step in 0..3000_u64 {
        let at = step * 7 * MS;
        let client = host([10, 0, 0, 10], next(5) as u32);
        let server = host([203, 0, 113, 0], next(20) as u32);
        match next(3) {
            0 => {
                let name = format!("n{}.example", next(30));
                let addresses = [server, host([203, 0, 113, 0], next(20) as u32)];
                tell(&mut script, at, (client, 33_000 + next(4) as u16), name.as_bytes(), &addresses);
            }
            _ => script.udp(at, (client, 40_000 + next(200) as u16), (server, 9000)),
        }
    }
    script
}

#[test]
fn names_are_the_same_for_any_number_of_workers_where_many_are_forgotten() {
    for (seed, names) in [(1, 100), (2, 250), (3, 2000)] {
        let config = format!("[analysis]\npassive_dns_names = {names}\n");
        let found = of_script(mixed(seed), &config, &["--quiet", "--flow-timeout-s", "0.5"]);
        let named = found.ended().iter().filter(|flow| flow["app"]["name_source"] == PASSIVE).count();
        assert!(named > 20, "{named} flows with {names} names");
        assert!(found.inspection()["dns_names_forgotten"].as_u64() > Some(0));
    }
}

#[test]
fn a_flood_of_answers_stays_within_the_setting_and_is_counted() {
    let mut script = Script::default();
    // More addresses each than are read.
    for number in 0..1000_u32 {
        let addresses: Vec<Ipv4Addr> = (0..70).map(|at| host([203, 0, 0, 0], number * 70 + at)).collect();
        let name = format!("flood{number}.example");
        tell(&mut script, u64::from(number) * MS, (CLIENT, 33_000), name.as_bytes(), &addresses);
    }
    script.udp(2 * SEC, (CLIENT, 40_000), (host([203, 0, 0, 0], 0), 9000));
    script.udp(2 * SEC, (CLIENT, 40_001), (host([203, 0, 0, 0], 999 * 70 + 10), 9000));
    let found = of_script(script, "[analysis]\npassive_dns_names = 100\n", &["--quiet"]);
    assert_eq!(name(&found, 40_000), NONE, "forgotten");
    assert_eq!(name(&found, 40_001), passive("flood999.example"));
    // Of 64 records one is the alias.
    let inspection = found.inspection();
    assert_eq!((&inspection["dns_names_forgotten"], &inspection["named_by_dns"]), (&json!(1000 * 63 - 100), &json!(1)));
}

#[test]
fn hostile_names_are_escaped_as_other_facts_are() {
    let mut script = Script::default();
    let names: [&[u8]; 4] =
        [b"\x1b[31m.evil", b"<img src=x onerror=alert(1)>.\"',;\\", "\u{202e}gnp.exe\u{0}".as_bytes(), &[0xff; 63]];
    for (at, name) in (0_u16..).zip(names) {
        let server = host([203, 0, 113, 0], u32::from(at));
        tell(&mut script, u64::from(at) * MS, (CLIENT, 33_000 + at), name, &[server]);
        script.udp(SEC, (CLIENT, 40_000 + at), (server, 9000));
    }
    let found = of_script(script, "", &["--quiet", "--flow-table", "10"]);
    assert_eq!(name(&found, 40_000), passive(r"\027[31m.evil"));
    assert_eq!(name(&found, 40_001), passive(r#"<img\032src=x\032onerror=alert(1)>."',;\\"#));
    assert_eq!(name(&found, 40_002), passive(r"\226\128\174gnp.exe\000"));
    assert_eq!(name(&found, 40_003), passive(&r"\255".repeat(63)));
    for text in found.files.iter().chain([&found.stdout]) {
        assert!(!text.contains(['\u{1b}', '\u{202e}', '\0']));
    }
}

/// What flows count, and their names.
fn names_of(flows: &[Map<String, Value>]) -> BTreeMap<String, usize> {
    tally(flows.iter().map(|flow| format!("{} {}", counted(flow), flow.get("app").map_or(&Value::Null, |app| &app["name"]))))
}

#[test]
fn a_live_capture_names_the_same_flows_while_they_live_and_at_the_end() {
    let directory = temp_dir("passive-dns-live");
    let capture = directory.path().join("script.pcap");
    mixed(4).write(&capture);
    let frames = live::frames(&capture).expect("it can be sent");
    let expected = names_of(&live::from_file(&capture).flows());
    assert!(expected.keys().filter(|line| line.contains(".example")).count() > 50, "{expected:#?}");
    for backend in ["tpacket", "libpcap"] {
        let Some(namespace) = NetNs::with_wire(&Wire { queues: 1, mtu: 1500 }) else { return };
        let exports = Exports::new();
        let mut running = live::capture(&namespace, &exports, &["--backend", backend]);
        live::send(&namespace, &frames);
        wait_for_silence(&mut running);
        running.signal(Signal::SIGUSR1);
        exports.wait_for("flows.json");
        assert_eq!(names_of(&exports.flows()), expected, "{backend}, while they live");
        stop(running);
        assert_eq!(names_of(&exports.flows()), expected, "{backend}");
    }
}

/// One worker has all names, the others nothing that ends: each of them waits for news of the other.
#[test]
fn a_flood_in_one_moment_stops_no_worker() {
    let mut script = Script::default();
    let addresses: Vec<Ipv4Addr> = (0..64).map(|number| host([198, 51, 100, 1], number)).collect();
    for number in 0..1400 {
        tell(&mut script, number, (CLIENT, 5353), b"a.example", &addresses);
    }
    for number in 0..20_000 {
        script.udp(2000 + u64::from(number), (host([10, 0, 2, 1], number % 200), 1000), (SERVER, 9));
    }
    let written = of_script(script, "", &["--quiet"]);
    assert_eq!(written.flows().len(), 201);
}
