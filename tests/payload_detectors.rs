//! What detectors make of payload, as the real program tells it: DNS tunnels, storms of NXDOMAIN, certificates, passwords in the clear, protocols on ports of
//! others; and what looks like one of them.

mod common;

use common::{corpus, netscope, run, temp_dir};
use netscope_perf::scenario::{MS, SEC, Script, host, mac};
use serde_json::{Value, json};
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

type End = (Ipv4Addr, u16);

const CLIENT: End = (Ipv4Addr::new(10, 0, 0, 7), 40_000);
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 5);
const RESOLVER: End = (Ipv4Addr::new(10, 0, 0, 53), 53);
const SECRET: &str = "hunter2secret";

/// What the program writes about a capture: the same for any number of workers, as alerts and as lines.
fn alerts_of(capture: &Path, config: &str, flags: &[&str]) -> Vec<Value> {
    let directory = temp_dir("payload");
    let (file, toml) = (directory.path().join("alerts.jsonl"), directory.path().join("netscope.toml"));
    fs::write(&toml, config).expect("the file is written");
    let told = |workers: &str| {
        let mut command = netscope();
        command.args(["--quiet", "--anomalies", "--workers", workers, "--config"]).arg(&toml).args(flags);
        let finished = run(command.arg("--alerts-jsonl").arg(&file).arg("--read-pcap").arg(capture)).expect_code(0);
        (fs::read_to_string(&file).expect("the file is there"), finished.stdout)
    };
    let (text, lines) = told("1");
    for workers in ["1", "2", "4"] {
        assert_eq!(told(workers), (text.clone(), lines.clone()), "{workers} workers");
    }
    let schema: Value = serde_json::from_str(include_str!("../docs/alert.schema.json")).expect("the schema is JSON");
    let schema = jsonschema::validator_for(&schema).expect("the schema is one");
    let alerts: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("a JSON object")).collect();
    alerts.iter().for_each(|alert| schema.validate(alert).unwrap_or_else(|error| panic!("{error}: {alert}")));
    for alert in alerts.iter().filter(|alert| alert["phase"] == "begin") {
        let description = alert["description"].as_str().expect("a text");
        assert!(lines.lines().any(|line| line.starts_with("[alert]") && line.contains(description)), "{description}: {lines}");
    }
    alerts
}

fn of_script(config: &str, fill: impl FnOnce(&mut Script)) -> Vec<Value> {
    let mut script = Script::default();
    fill(&mut script);
    let directory = temp_dir("payload-script");
    let capture = directory.path().join("script.pcap");
    script.write(&capture);
    let none = alerts_of(&capture, "", &["--no-dpi"]);
    assert!(none.iter().all(|alert| !is_ours(alert)), "with --no-dpi nobody looks: {none:?}");
    alerts_of(&capture, config, &["--dpi"])
}

fn is_ours(alert: &Value) -> bool {
    let kinds = ["dns_tunnel", "nxdomain_storm", "tls_certificate", "cleartext_password", "port_mismatch"];
    kinds.iter().any(|kind| alert["kind"] == *kind)
}

/// Kind, variant, severity and victim of those that began.
fn begun(alerts: &[Value]) -> Vec<String> {
    let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let begins = alerts.iter().filter(|alert| alert["phase"] == "begin");
    begins
        .map(|alert| {
            let victim = format!("{}:{}", word(&alert["victim"]["ip"]), alert["victim"]["port"]);
            format!("{} {} {} {victim}", word(&alert["kind"]), word(&alert["variant"]), word(&alert["severity"]))
        })
        .collect()
}

/// A message with one question.
fn dns(id: u16, flags: u16, name: &str) -> Vec<u8> {
    let mut bytes = [id.to_be_bytes(), flags.to_be_bytes(), [0, 1], [0, 0], [0, 0], [0, 0]].concat();
    for label in name.split('.') {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.extend([0, 0, 16, 0, 1]);
    bytes
}

/// A client asks for names, one in `step_ns`, and is answered.
fn ask(script: &mut Script, client: End, step_ns: u64, names: impl IntoIterator<Item = String>, rcode: u16) {
    for (number, name) in (0_u16..).zip(names) {
        let at = u64::from(number) * step_ns;
        let from = (client.0, client.1 + number % 16);
        let macs = (mac(client.0), mac(RESOLVER.0));
        script.datagram_with(at, from, RESOLVER, &dns(number, 0x0100, &name), macs);
        script.datagram_with(at + MS, RESOLVER, from, &dns(number, 0x8180 | rcode, &name), (macs.1, macs.0));
    }
}

fn data(number: u32) -> String {
    let mixed = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("{mixed:016x}{:016x}{:016x}", mixed.rotate_left(17), mixed.rotate_left(31))
}

#[test]
fn a_dns_tunnel_is_told_while_it_goes_on() {
    let alerts = of_script("", |script| {
        ask(script, CLIENT, SEC, (0..80).map(|i| format!("{}.t.example.com", data(i))), 0);
        // Others look for names as one does.
        ask(script, (host([10, 0, 0, 8], 0), 41_000), SEC, (0..80).map(|i| format!("www{i}.example.com")), 0);
    });
    assert_eq!(begun(&alerts), ["dns_tunnel one_domain medium 10.0.0.53:null"]);
    let begin = &alerts[0];
    assert_eq!((&begin["attacker"]["ip"], &begin["details"]["domain"]), (&json!("10.0.0.7"), &json!("example.com")));
    assert_eq!((&begin["distinct"]["names"]["count"], &begin["details"]["types"]), (&json!(50), &json!("TXT")));
    let end = alerts.last().expect("an end");
    assert_eq!((&end["phase"], &end["counts"]["queries"]), (&json!("end"), &json!(80)));
}

#[test]
fn a_storm_of_names_that_do_not_exist_is_told() {
    let alerts = of_script("", |script| ask(script, CLIENT, 100 * MS, (0..150).map(|i| format!("x{i}q.example.net")), 3));
    assert_eq!(begun(&alerts), ["nxdomain_storm one_domain medium 10.0.0.53:null"]);
    assert_eq!(alerts[0]["details"]["domain"], "example.net");
    let reverse = |i| format!("{i}.0.0.10.in-addr.arpa");
    let none = of_script("", |script| ask(script, CLIENT, 100 * MS, (0..150).map(reverse), 3));
    assert_eq!(begun(&none), [""; 0], "addresses that have no name");
}

fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &(body.len() as u32).to_be_bytes()[1..], body].concat()
}

fn record(messages: &[u8]) -> Vec<u8> {
    [&[22, 3, 3][..], &(messages.len() as u16).to_be_bytes(), messages].concat()
}

/// A ClientHello, and a ServerHello of TLS 1.2 with a certificate.
fn tls(certificate: &[u8]) -> [Vec<u8>; 2] {
    let client = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0xc0, 0x2f, 1, 0]].concat();
    let server = [&[3, 3][..], &[8; 32], &[0, 0xc0, 0x2f, 0]].concat();
    let sized = |bytes: &[u8]| [&(bytes.len() as u32).to_be_bytes()[1..], bytes].concat();
    let shown = handshake(11, &sized(&sized(certificate)));
    [record(&handshake(1, &client)), record(&[handshake(2, &server), shown].concat())]
}

/// A certificate that counts between these years; of an issuer, or of itself.
fn certificate(years: [i32; 2], has_issuer: bool) -> Vec<u8> {
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::new(vec!["www.example.com".to_owned()]).expect("a name");
    [params.not_before, params.not_after] = years.map(|year| rcgen::date_time_ymd(year, 1, 1));
    params.distinguished_name.push(rcgen::DnType::CommonName, "www.example.com");
    if !has_issuer {
        return params.self_signed(&key).expect("a certificate").der().to_vec();
    }
    let issuer_key = rcgen::KeyPair::generate().expect("a key");
    let mut issuer = rcgen::CertificateParams::new(Vec::new()).expect("no names");
    issuer.distinguished_name.push(rcgen::DnType::CommonName, "Some Authority");
    let issuer = rcgen::Issuer::new(issuer, issuer_key);
    params.signed_by(&key, &issuer).expect("a certificate").der().to_vec()
}

#[test]
fn certificates_are_judged_by_the_time_of_the_capture() {
    // The capture is of 2023.
    let shown = [
        certificate([2020, 2022], true),
        certificate([2024, 2030], true),
        certificate([2020, 2030], false),
        certificate([2020, 2030], true),
    ];
    let alerts = of_script("", |script| {
        for (i, certificate) in (0_u16..).zip(&shown) {
            let [hello, flight] = tls(certificate);
            for again in 0..2_u16 {
                let client = (CLIENT.0, CLIENT.1 + 2 * i + again);
                let said = [(false, &hello[..]), (true, &flight[..])];
                script.dialogue(u64::from(i) * SEC, client, (OUTSIDE, 8440 + i), MS, &said);
            }
        }
    });
    let expected = [
        "tls_certificate expired medium 203.0.113.5:8440",
        "tls_certificate not_yet_valid medium 203.0.113.5:8441",
        "tls_certificate self_signed low 203.0.113.5:8442",
    ];
    assert_eq!(begun(&alerts), expected);
    assert!(alerts[0]["details"]["subject"].as_str().is_some_and(|subject| subject.contains("www.example.com")), "{}", alerts[0]);
    assert_eq!(alerts[0]["counts"]["flows"], 2);
}

#[test]
fn that_a_password_was_sent_is_told_and_never_which() {
    let basic = format!("GET /a HTTP/1.1\r\nHost: a.example\r\nAuthorization: Basic {SECRET}==\r\n\r\n");
    let pass = format!("PASS {SECRET}\r\n");
    let first = "GET /a HTTP/1.1\r\nHost: a.example\r\n\r\n";
    let refusal = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n";
    let fill = |script: &mut Script| {
        let mut say = |port, said: &[(bool, &str)]| {
            let said: Vec<_> = said.iter().map(|&(by_server, text)| (by_server, text.as_bytes())).collect();
            script.dialogue(u64::from(port) * MS, CLIENT, (OUTSIDE, port), 20 * MS, &said);
        };
        let ftp = |user| [(true, "220 FTP server\r\n"), (false, user), (true, "331 Password\r\n"), (false, pass.as_str())];
        say(21, &ftp("USER bob\r\n"));
        say(2121, &ftp("USER anonymous\r\n"));
        say(80, &[(false, first), (true, refusal), (false, &basic), (true, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")]);
        say(8080, &[(false, first), (true, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")]);
        say(110, &[(true, "+OK ready\r\n"), (false, "USER bob\r\n"), (true, "+OK\r\n"), (false, &pass), (true, "+OK\r\n")]);
    };
    let alerts = of_script("", fill);
    let expected = [
        "cleartext_password ftp medium 203.0.113.5:21",
        "cleartext_password http medium 203.0.113.5:80",
        "cleartext_password pop3 medium 203.0.113.5:110",
    ];
    assert_eq!(begun(&alerts), expected);
    let directory = temp_dir("payload-secrets");
    let [capture, flows, alerts] = ["a.pcap", "flows.json", "alerts.jsonl"].map(|name| directory.path().join(name));
    let mut script = Script::default();
    fill(&mut script);
    script.write(&capture);
    let mut command = netscope();
    command.args(["--dpi", "--anomalies", "-v", "--read-pcap"]).arg(&capture).arg("--export-json").arg(&flows);
    let finished = run(command.arg("--alerts-jsonl").arg(&alerts)).expect_code(0);
    let flows = fs::read_to_string(&flows).expect("the table");
    let told = [finished.stdout, finished.stderr, flows.clone(), fs::read_to_string(&alerts).expect("alerts")];
    assert!(told.iter().all(|text| !text.contains(SECRET)));
    let flows: Vec<Value> = serde_json::from_str(&flows).expect("JSON");
    let clear = flows.iter().filter(|flow| flow["app"]["credentials_in_clear"] == true).count();
    assert_eq!(clear, 3, "the same is on the records");
}

#[test]
fn protocols_on_ports_of_others_are_told() {
    let ssh: [(bool, &[u8]); 2] = [(true, b"SSH-2.0-OpenSSH_9.6\r\n"), (false, b"SSH-2.0-OpenSSH_9.6\r\n")];
    let http: [(bool, &[u8]); 2] =
        [(false, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), (true, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")];
    let fill = |script: &mut Script| {
        for (at, port, said) in
            [(0, 443, &ssh[..]), (1, 22, &ssh), (2, 2222, &ssh), (3, 25, &http), (4, 80, &http), (5, 22, &http[..1])]
        {
            script.dialogue(at * SEC, (CLIENT.0, CLIENT.1 + at as u16), (OUTSIDE, port), MS, said);
        }
        for i in 0..30 {
            let (from, to) = if i % 2 == 0 { (CLIENT, RESOLVER) } else { (RESOLVER, CLIENT) };
            script.datagram_with(10 * SEC + i * MS, from, to, &[0x99; 40], (mac(from.0), mac(to.0)));
        }
    };
    let alerts = of_script("", fill);
    let expected = [
        "port_mismatch other_protocol medium 203.0.113.5:443",
        "port_mismatch other_protocol low 203.0.113.5:25",
        "port_mismatch unknown_protocol medium 10.0.0.53:53",
    ];
    assert_eq!(begun(&alerts), expected);
    assert_eq!((&alerts[0]["details"]["protocol"], &alerts[0]["details"]["service"]), (&json!("ssh"), &json!("https")));
    let allowed = of_script("[analysis.anomalies.port_mismatch]\nallowed_ports = [443, 25, 53]\n", fill);
    assert_eq!(begun(&allowed), [""; 0]);
}

#[test]
fn a_detector_that_needs_payload_is_refused_without_it() {
    let directory = temp_dir("payload-refused");
    let toml = directory.path().join("netscope.toml");
    fs::write(&toml, "[analysis.anomalies.dns_tunnel]\nenabled = true\n").expect("the file is written");
    let mut command = netscope();
    command.args(["--anomalies", "--no-dpi", "--read-pcap", "none.pcap", "--config"]).arg(&toml);
    let finished = run(&mut command).expect_code(1);
    assert!(finished.stderr.contains("analysis.anomalies.dns_tunnel.enabled = true"), "{}", finished.stderr);
    assert!(finished.stderr.contains("--no-dpi"), "{}", finished.stderr);
}

/// What real captures show, by kind, variant and victim.
#[test]
fn real_captures_tell_what_happened() {
    let Some(corpus) = corpus() else { return };
    for (capture, expected) in [
        ("attacks/ndpi__dns_exfiltration.pcap", &["dns_tunnel no_domain medium 192.168.203.167:null"][..]),
        ("attacks/slips__sweep.pcap", &[]),
        ("captures/mercury__emix.pcap", &[]),
    ] {
        let alerts = alerts_of(&corpus.join(capture), "", &["--dpi"]);
        let ours: Vec<Value> = alerts.into_iter().filter(is_ours).collect();
        let tunnels: Vec<String> = begun(&ours).into_iter().filter(|alert| alert.starts_with("dns_tunnel")).collect();
        assert_eq!(tunnels, expected, "{capture}");
    }
}
