//! Flows that FTP, TFTP and SIP announce are what was announced, by the real program, the same for any number of workers.

mod common;

use common::written::{Written, of_capture, of_script, written};
use common::{corpus, fixture};
use netscope_perf::scenario::{End, MS, SEC, Script, mac};
use serde_json::{Value, json};
use std::net::Ipv4Addr;

const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 7);
const OTHER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 8);
const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 80);
/// Protocol and source of the flow between these ports.
fn spoken(found: &Written, ports: [u16; 2]) -> (Value, Value) {
    let flows = found.flows();
    let flow = flows.iter().find(|flow| {
        let found = [&flow["endpoint_a"]["port"], &flow["endpoint_b"]["port"]];
        found == [&json!(ports[0]), &json!(ports[1])] || found == [&json!(ports[1]), &json!(ports[0])]
    });
    let app = &flow.unwrap_or_else(|| panic!("a flow of {ports:?} in {flows:?}"))["app"];
    (app["protocol"].clone(), app["source"].clone())
}

fn announced(name: &str) -> (Value, Value) {
    (json!(name), json!("announced"))
}

const NONE: (Value, Value) = (Value::Null, Value::Null);

fn datagram(script: &mut Script, at: u64, from: End, to: End, data: &[u8]) {
    script.datagram_with(at, from, to, data, (mac(from.0), mac(to.0)));
}

/// A session of FTP on which many commands come before and between those that open data connections.
fn ftp_session(script: &mut Script) {
    let idle = "NOOP\r\n".repeat(200);
    let said: Vec<(bool, &[u8])> = vec![
        (true, b"220 FTP server ready\r\n"),
        (false, b"USER anonymous\r\n"),
        (true, b"331 Password\r\n"),
        (false, b"PORT 10,0,0,7,195,80\r\n"),
        (true, b"200 PORT command successful\r\n"),
        (false, idle.as_bytes()),
        (false, idle.as_bytes()),
        (false, idle.as_bytes()),
        (false, idle.as_bytes()),
        (false, idle.as_bytes()),
        (false, b"PASV\r\n"),
        (true, b"227 Entering Passive Mode (192,0,2,80,195,81)\r\n"),
        (false, b"EPSV\r\n"),
        (true, b"229 Entering Extended Passive Mode (|||50002|)\r\n"),
        (false, b"EPRT |1|10.0.0.7|50003|\r\n"),
    ];
    script.dialogue(SEC, (CLIENT, 40_000), (SERVER, 21), SEC, &said);
}

#[test]
fn data_connections_of_ftp_are_known_by_the_session() {
    let mut script = Script::default();
    let data: [(bool, &[u8]); 1] = [(true, b"\x01\x02\x03 some bytes of a file\r\n")];
    // Before anything was announced.
    script.dialogue(SEC / 2, (SERVER, 20), (CLIENT, 50_001), MS, &data);
    ftp_session(&mut script);
    script.dialogue(9 * SEC, (SERVER, 20), (CLIENT, 50_000), MS, &data);
    script.dialogue(20 * SEC, (CLIENT, 40_001), (SERVER, 50_001), MS, &data);
    script.dialogue(20 * SEC, (CLIENT, 40_002), (SERVER, 50_002), MS, &data);
    script.dialogue(20 * SEC, (SERVER, 20), (CLIENT, 50_003), MS, &data);
    // Nobody else's, and nothing that tells itself what it is.
    script.dialogue(20 * SEC, (OTHER, 40_003), (SERVER, 50_001), MS, &data);
    script.dialogue(21 * SEC, (CLIENT, 40_004), (SERVER, 50_001), MS, &[(true, b"SSH-2.0-x\r\n"), (false, b"SSH-2.0-y\r\n")]);
    // A side says what flows of its own host are, and only the client commands.
    let said: [(bool, &[u8]); 5] = [
        (true, b"220 FTP server ready\r\n"),
        (false, b"PASV\r\n227 Entering Passive Mode (10,0,0,7,195,91)\r\n"),
        (true, b"227 Entering Passive Mode (192,0,2,99,195,90)\r\nPORT 192,0,2,80,195,92\r\n"),
        (false, b"PORT 10,0,0,8,195,93\r\n"),
        (true, b"200 PORT command successful\r\n"),
    ];
    script.dialogue(25 * SEC, (CLIENT, 40_010), (SERVER, 21), MS, &said);
    script.dialogue(26 * SEC, (CLIENT, 40_006), (SERVER, 50_010), MS, &data);
    script.dialogue(26 * SEC, (CLIENT, 40_007), (Ipv4Addr::new(192, 0, 2, 99), 50_010), MS, &data);
    script.dialogue(26 * SEC, (SERVER, 40_008), (CLIENT, 50_011), MS, &data);
    script.dialogue(26 * SEC, (CLIENT, 40_009), (SERVER, 50_012), MS, &data);
    script.dialogue(26 * SEC, (SERVER, 20), (OTHER, 50_013), MS, &data);
    // Long behind it the port is somebody else's.
    script.dialogue(400 * SEC, (CLIENT, 40_005), (SERVER, 50_001), MS, &data);
    let found = of_script(script, "", &["--quiet"]);
    assert_eq!(spoken(&found, [40_000, 21]), (json!("ftp"), json!("content")));
    assert_eq!(spoken(&found, [20, 50_001]), NONE, "it was there before");
    assert_eq!(spoken(&found, [20, 50_000]), announced("ftp_data"));
    assert_eq!(spoken(&found, [40_001, 50_001]), announced("ftp_data"));
    assert_eq!(spoken(&found, [40_002, 50_002]), announced("ftp_data"));
    assert_eq!(spoken(&found, [20, 50_003]), announced("ftp_data"));
    assert_eq!(spoken(&found, [40_003, 50_001]), NONE);
    assert_eq!(spoken(&found, [40_004, 50_001]), (json!("ssh"), json!("content")));
    assert_eq!(spoken(&found, [40_005, 50_001]), NONE);
    assert_eq!(spoken(&found, [40_006, 50_010]), announced("ftp_data"));
    for ports in [[40_007, 50_010], [40_008, 50_011], [40_009, 50_012], [20, 50_013]] {
        assert_eq!(spoken(&found, ports), NONE, "{ports:?}");
    }
    let inspection = found.inspection();
    assert_eq!(["announced", "announcements_forgotten", "announcements_skipped"].map(|name| &inspection[name]), [5, 0, 0]);
}

#[test]
fn without_inspection_nothing_is_announced() {
    let mut script = Script::default();
    ftp_session(&mut script);
    script.dialogue(20 * SEC, (CLIENT, 40_001), (SERVER, 50_001), MS, &[(true, b"\x01\x02")]);
    let found = of_script(script, "", &["--quiet", "--no-dpi"]);
    assert!(!found.files.iter().take(4).any(|file| file.contains("ftp_data")));
    assert_eq!(found.inspection()["announced"], 0);
}

#[test]
fn transfers_of_tftp_are_known_by_the_request() {
    let mut script = Script::default();
    let block = [&[0, 3, 0, 1][..], &[0xee; 512]].concat();
    datagram(&mut script, SEC, (CLIENT, 40_000), (SERVER, 69), b"\0\x01boot.img\0octet\0");
    datagram(&mut script, SEC + MS, (SERVER, 51_000), (CLIENT, 40_000), &block);
    datagram(&mut script, SEC + 2 * MS, (CLIENT, 40_000), (SERVER, 51_000), &[0, 4, 0, 1]);
    // The port is not meant for others.
    datagram(&mut script, SEC + 3 * MS, (OTHER, 51_001), (CLIENT, 40_000), &block);
    let found = of_script(script, "", &["--quiet"]);
    assert_eq!(spoken(&found, [40_000, 69]), (json!("tftp"), json!("content")));
    assert_eq!(spoken(&found, [40_000, 51_000]), announced("tftp"));
    assert_eq!(spoken(&found, [40_000, 51_001]), NONE);
    let transfer = found.flows().into_iter().find(|flow| flow["app"]["source"] == "announced").expect("a transfer");
    assert!(transfer["app"]["object"].is_null(), "the name of the file is the request's: {transfer}");
}

#[test]
fn streams_of_a_call_are_known_by_its_description() {
    let mut script = Script::default();
    let proxy = (Ipv4Addr::new(192, 0, 2, 5), 5060);
    let message = |line: &str, address: &str, port: u16| {
        let body =
            format!("v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n");
        format!("{line}\r\nCall-ID: 1\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    };
    // Requests before the call, so that what SIP is was known long ago.
    for number in 0..40 {
        datagram(&mut script, number * MS, (CLIENT, 5060), proxy, b"OPTIONS sip:a@example SIP/2.0\r\nCall-ID: 0\r\n\r\n");
    }
    let invite = message("INVITE sip:b@example SIP/2.0", "10.0.0.7", 8000);
    datagram(&mut script, SEC, (CLIENT, 5060), proxy, invite.as_bytes());
    let answer = message("SIP/2.0 200 OK", "192.0.2.80", 9000);
    datagram(&mut script, 3 * SEC, proxy, (CLIENT, 5060), answer.as_bytes());
    // Too few to be known by themselves, and silence that is no RTP at all.
    for port in [0, 1] {
        datagram(&mut script, 4 * SEC, (CLIENT, 8000 + port), (SERVER, 9000 + port), b"\x01\x02\x03\x04");
    }
    datagram(&mut script, 4 * SEC, (OTHER, 8000), (SERVER, 9002), b"\x01\x02\x03\x04");
    let found = of_script(script, "", &["--quiet"]);
    assert_eq!(spoken(&found, [5060, 5060]), (json!("sip"), json!("content")));
    assert_eq!(spoken(&found, [8000, 9000]), announced("rtp"));
    assert_eq!(spoken(&found, [8001, 9001]), announced("rtcp"));
    assert_eq!(spoken(&found, [8000, 9002]), NONE);
    assert_eq!(found.inspection()["announced"], 2);
}

/// Many sessions whose ports are used again and again, so that which announcement counts depends on the order.
fn mixed(seed: u64) -> Script {
    let (mut script, mut state) = (Script::default(), seed);
    let mut next = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for step in 0..1500_u64 {
        let (at, port) = (step * 40 * MS, 50_000 + next(12) as u16);
        let client = if next(2) == 0 { CLIENT } else { OTHER };
        match next(3) {
            0 => {
                let [high, low] = port.to_be_bytes();
                let reply = format!("227 Entering Passive Mode (192,0,2,80,{high},{low})\r\n");
                let said: [(bool, &[u8]); 3] = [(true, b"220 FTP\r\n"), (false, b"PASV\r\n"), (true, reply.as_bytes())];
                script.dialogue(at, (client, 30_000 + step as u16), (SERVER, 21), MS, &said);
            }
            _ => script.dialogue(at, (client, 30_000 + step as u16), (SERVER, port), MS, &[(true, b"\x01\x02\x03")]),
        }
    }
    script
}

#[test]
fn flows_are_the_same_for_any_number_of_workers_where_ports_are_used_again() {
    for seed in 1..4 {
        let found = of_script(mixed(seed), "", &["--quiet", "--flow-timeout-s", "0.5", "--active-timeout-s", "1"]);
        let count = found.flows().iter().filter(|flow| flow["app"]["source"] == "announced").count();
        assert!(count > 300, "{count} flows");
        assert_eq!(found.inspection()["announced"], count);
    }
}

/// tshark finds 34 conversations of TFTP there (`tshark -Y tftp`, by addresses and ports): 17 requests and the transfer of each.
#[test]
fn transfers_of_a_real_capture_are_those_that_tshark_finds() {
    let Some(corpus) = corpus() else { return };
    for workers in ["1", "4"] {
        let flows = written(&corpus.join("captures/mercury__emix.pcap"), "", &["--quiet", "--workers", workers]).flows();
        let by = |source: &str| {
            flows.iter().filter(|flow| flow["app"]["protocol"] == "tftp" && flow["app"]["source"] == source).count()
        };
        assert_eq!((by("content"), by("announced")), (17, 17), "{workers} workers");
    }
}

#[test]
fn recordings_without_announcements_have_none() {
    let found = of_capture(&fixture("demo.pcapng"), "", &["--quiet"]);
    assert_eq!(found.inspection()["announced"], 0);
}
