//! Flows with facts made by hand, for tests of formats.

use super::facts::fact_id;
use super::test_records::{icmp_record, tcp_record, udp6_record};
use crate::flow::{FactBuffer, FlowFacts, FlowRecord};
use ToldValue::{List, Number, Text};

/// A text that no protocol would send.
pub const HOSTILE: &[u8] = b"-\t,\\x09\n\"\xff\x1b[31m\xe2\x80\xae";

/// Flows of all protocols that tell something of themselves, in the order DNS, TLS, QUIC, HTTP, SSH, and two that tell nothing.
pub fn told_table() -> Vec<(FlowRecord, FlowFacts)> {
    let (tcp, udp, none) = (tcp_record, udp6_record, FlowFacts::default);
    vec![
        (udp(), dns()),
        (tcp(), tls()),
        (udp(), quic()),
        (tcp(), http()),
        (tcp(), ssh()),
        (icmp_record(), none()),
        (udp(), none()),
    ]
}

const TYPE: &str = "type";

enum ToldValue<'a> {
    Text(&'a [u8]),
    Number(u64),
    List(&'a [&'a [u8]]),
}

fn told(protocol: &[u8], object: &str, facts: &[(&str, ToldValue<'_>)]) -> FlowFacts {
    let mut buffer = FactBuffer::default();
    assert!(buffer.text(fact_id("app", "protocol"), protocol));
    for (member, value) in facts {
        let id = fact_id(object, member);
        assert!(match value {
            Text(text) => buffer.text(id, text),
            Number(number) => buffer.number(id, *number),
            List(list) => buffer.list(id, list.iter().copied()),
        });
    }
    FlowFacts::from(buffer.facts())
}

fn dns() -> FlowFacts {
    told(
        b"dns",
        "dns",
        &[
            ("name", List(&[b"www.example.com"])),
            (TYPE, List(&[b"A"])),
            ("rcode", List(&[b"NOERROR"])),
            ("queries", Number(1)),
            ("responses", Number(1)),
            ("latency_us", Number(1500)),
            ("answers", List(&[b"web.example.com", b"192.0.2.80", b"2001:db8::80"])),
        ],
    )
}

fn tls() -> FlowFacts {
    told(
        b"tls",
        "tls",
        &[
            ("sni", Text(HOSTILE)),
            ("version", Text(b"TLSv1.2")),
            ("cipher", Text(b"0xc02f")),
            ("alpn", List(&[b"h2", b"http/1.1"])),
            ("alpn_chosen", Text(b"h2")),
            ("ja4", Text(b"t13d1516h2_8daaf6152771_e5627efa2ab1")),
            ("ja3", Text(b"cd08e31494f9531f560d64c695473da9")),
            ("subject", Text(b"CN=example.com")),
            ("issuer", Text(b"CN=ca, O=o")),
            ("not_before", Number(1_483_526_923)),
            ("not_after", Number(253_402_300_800)),
        ],
    )
}

fn quic() -> FlowFacts {
    told(
        b"quic",
        "quic",
        &[
            ("sni", Text(b"quic.example.com")),
            ("version", Text(b"v1")),
            ("alpn", List(&[b"h3"])),
            ("ja4", Text(b"q13d0312h3_55b375c5d22e_06cda9e17597")),
            ("cipher", Text(b"0x1301")),
            ("tls_version", Text(b"TLSv1.3")),
        ],
    )
}

fn http() -> FlowFacts {
    told(
        b"http",
        "http",
        &[
            ("host", List(&[b"example.com:8080"])),
            ("method", Text(b"GET")),
            ("path", Text(b"/a,b")),
            ("status", Number(404)),
            ("user_agent", Text(&[b'u'; 2000])),
            ("content_type", Text(b"text/html; charset=utf-8")),
            ("version", Text(b"1.1")),
        ],
    )
}

fn ssh() -> FlowFacts {
    told(
        b"ssh",
        "ssh",
        &[
            ("banner", List(&[b"SSH-2.0-OpenSSH_9.6p1", b"SSH-2.0-dropbear"])),
            ("client", Text(b"OpenSSH_9.6p1")),
            ("server", Text(b"dropbear")),
            ("hassh", Text(b"aae6b9604f6f3356543709a376d7f657")),
            ("hassh_server", Text(b"b2d2d3d9e7a9f7c5a1d0f1a5a7b7c2e1")),
            ("key_exchange", Text(b"curve25519-sha256")),
            ("host_key", Text(b"ssh-ed25519")),
            ("cipher", Text(b"aes128-ctr")),
        ],
    )
}

/// The lines that something writes.
pub fn written_lines(write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> Vec<String> {
    let mut out = Vec::new();
    write(&mut out).expect("memory takes all");
    String::from_utf8(out).expect("UTF-8").lines().map(str::to_owned).collect()
}
