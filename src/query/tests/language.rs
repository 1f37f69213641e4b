//! What filters are true of, and what is said of those that are none.

use crate::flow::{FactBuffer, FactId, FactSet, FlowRecord};
use crate::query::{DEPTH_MAX, FILTER_LEN_MAX, FlowFilter, PacketSubject, RecordContext, TERMS_MAX, VALUES_MAX};
use crate::record::test_records::{icmp_record, tcp_record, udp6_record};
use crate::record::{Exported, FieldWord, TEST_SCHEMA};
use crate::wire::{Dissected, IpVersion, Network, Ports, Transport, VlanTags};

fn matches(text: &str, record: &FlowRecord) -> bool {
    let filter = FlowFilter::parse(text).unwrap_or_else(|error| panic!("{error}"));
    let found = filter.matches(&Exported::new(record, 0));
    assert_eq!(found, filter.matches_record(record, &RecordContext::default()), "{text}");
    let predicate = filter.predicate(RecordContext::default());
    assert_eq!(found, predicate.is_none_or(|predicate| predicate.is_true(record, FactSet::NONE)), "{text}");
    found
}

/// A client 10.0.0.2:40000 of a server 10.0.0.1:443, see [`tcp_record`].
#[test]
fn what_is_true_of_a_connection() {
    for text in [
        "",
        "  ",
        "proto:tcp",
        "PROTO:TCP",
        "protocol:6",
        "proto:udp,tcp",
        "proto:t*",
        "port:443",
        "port:40000",
        "port:80,443",
        "port:440-450",
        "sport:40000 dport:443",
        "dport:<1024",
        "host:10.0.0.0/8",
        "host:10.0.0.0-10.0.0.1",
        "src:10.0.0.2 AND dst:10.0.0.1",
        "client:10.0.0.2 server:10.0.0.1",
        "client:b_to_a client:*",
        "client_ip:10.0.0.2",
        "endpoint_a:10.0.0.1:443",
        "endpoint_a:10.0.0.0/30 !endpoint_b:10.0.0.1",
        "state:established",
        "state:ESTABLISHED,closed",
        "tcp_state_detail:close-wait",
        "bytes:5000",
        "bytes:=5k",
        "bytes:>4.9kB bytes:<5Ki",
        "bytes:>=5000 bytes:<=5000",
        "bytes_to_client:>bytes_to_server",
        "bytes_to_client:>=bytes_to_client",
        "sport:>dport",
        "client_ip:>1 OR proto:tcp",
        "rtt:2ms",
        "rtt:>1.9 rtt:<0.0021s rtt:1ms-3ms",
        "rtt_server_min_ms:>rtt_client_min_ms",
        "duration:2.5",
        "duration:>2s duration:<1m",
        "first_seen:>=2023-11-14 first_seen:<2023-11-15",
        "first_seen:>2023-11-14T22:13:20Z",
        "first_seen:<last_seen",
        "bps:16k",
        "bps:>10kbit/s bps:<0.1M",
        "vlan:100 vlan:200",
        "outer_vlan:100 !outer_vlan:200 outer_vlan:<sport",
        "vlan:*",
        "tunnel:vxlan tunnel_id:42",
        "retransmissions:>0",
        "end_reason:timeout",
        "reason:time*",
        "tcp_flags_a_to_b:*S*",
        "tcp_flags_b_to_a:\"uaprsf\" OR tcp_flags_b_to_a:=APSF",
        "source_mac:02:00:00:00:00:0B",
        "source_mac:02:*:0b",
        "ecn_negotiated:yes",
        "ttl_max_a_to_b:57",
        "dscp_b_to_a:46",
        "tcp_options_b_to_a:4",
        "mss_b_to_a:* OR mss_a_to_b:*",
        "!mss_b_to_a:*",
        "!proto:udp",
        "NOT proto:udp",
        "not(proto:udp)",
        "!!proto:tcp",
        "(proto:udp OR port:443) (host:10.0.0.1)",
        "proto:udp or port:443 and host:10.0.0.1",
        "proto:udp || port:443 && host:10.0.0.1",
        "community_id:1:*",
        "ip_version:4",
    ] {
        if text.starts_with("client_ip:>1") {
            assert!(FlowFilter::parse(text).is_err());
            continue;
        }
        assert!(matches(text, &tcp_record()), "{text}");
    }
}

#[test]
fn what_is_not_true_of_a_connection() {
    for text in [
        "proto:udp",
        "port:1-442",
        "src:10.0.0.1",
        "dport:40000",
        "host:11.0.0.0/8",
        "host:::/0",
        "endpoint_a:10.0.0.1:444",
        "bytes:>5000",
        "bytes:<0",
        "bytes_to_server:>bytes_to_client",
        "rtt:>50ms",
        "mss_b_to_a:<100",
        "mss_b_to_a:>=0",
        "vlan:300",
        "outer_vlan:200",
        "tcp_flags_b_to_a:=apsf",
        "tunnel:gre",
        "proto:tcp AND NOT port:443",
        "!(proto:tcp OR port:1)",
        "proto:udp port:443 OR proto:icmp",
        "interface:*",
    ] {
        assert!(!matches(text, &tcp_record()), "{text}");
    }
}

#[test]
fn other_protocols_have_other_words() {
    assert!(matches("host:2001:db8::/32 proto:udp dport:53", &udp6_record()));
    assert!(matches("endpoint_a:[2001:db8::1]:53000 endpoint_b:2001:db8::53", &udp6_record()));
    assert!(!matches("tcp_state:*", &udp6_record()) && matches("state:two_way !state:established", &udp6_record()));
    assert!(matches("state:replied", &icmp_record()) && matches("app_known_by:port", &udp6_record()));
    assert!(matches("icmp_id:77", &icmp_record()));
    assert!(!matches("port:*", &icmp_record()), "the key's ports are no ports");
    assert!(matches("server_port:0", &icmp_record()), "a column is what it shows");
}

#[test]
fn identifiers_are_those_of_the_run() {
    let record = tcp_record();
    for seed in [0, 7] {
        let id = crate::flow::community_id(&record.key, record.initiator, seed);
        let filter = FlowFilter::parse(&format!("community_id:{}", id.as_str())).unwrap();
        assert!(filter.asks_for_identifiers() && !FlowFilter::parse("proto:tcp").unwrap().asks_for_identifiers());
        let context = RecordContext { community_id_seed: seed, ..RecordContext::default() };
        assert!(filter.matches_record(&record, &context));
        assert!(!filter.matches_record(&record, &RecordContext { community_id_seed: seed + 1, ..context }));
    }
}

#[test]
fn interfaces_have_the_names_of_the_run() {
    static NAMES: [FieldWord; 2] = [FieldWord::new("eth0"), FieldWord::new("eth1")];
    let context = RecordContext { interfaces: &NAMES, ..RecordContext::default() };
    let record = FlowRecord { interface: 1, ..tcp_record() };
    assert!(FlowFilter::parse("interface:eth1").unwrap().matches_record(&record, &context));
    assert!(!FlowFilter::parse("interface:eth0").unwrap().matches_record(&record, &context));
}

#[test]
fn facts_are_words_when_there_are_such() {
    let (record, mut facts) = (tcp_record(), FactBuffer::default());
    assert!(facts.text(FactId { object: 0, member: 0 }, b"www.Example"));
    assert!(facts.number(FactId { object: 0, member: 1 }, 771));
    assert!(facts.list(FactId { object: 0, member: 2 }, [b"h2".as_slice(), b"http/1.1"]));
    assert!(facts.boolean(FactId { object: 1, member: 0 }, false));
    let exported = Exported::new(&record, 0).with_facts(facts.facts(), TEST_SCHEMA);
    let filter = |text: &str| FlowFilter::parse_with(text, TEST_SCHEMA).unwrap_or_else(|error| panic!("{error}"));
    for (text, expected) in [
        ("sni:*.example", true),
        ("sni:\"www.example\"", true),
        ("sni:=www.example", false),
        ("server_name:www*", true),
        ("tls_server_name:*", true),
        ("tls.version:771", true),
        ("version:>771", false),
        ("alpn:h2", true),
        ("alpn:h3", false),
        ("tls:h2", true),
        ("tls:771", true),
        ("ssh:*", true),
        ("ssh:true", false),
        ("ssh_old:false", true),
    ] {
        let filter = filter(text);
        assert!(filter.asks_for_facts());
        assert_eq!(filter.matches(&exported), expected, "{text}");
        let predicate = filter.predicate(RecordContext::default()).expect("it has a term");
        assert_eq!(predicate.is_true(&record, facts.facts()), expected, "{text}");
        assert!(!filter.matches_record(&record, &RecordContext::default()), "facts are unknown: {text}");
        let is_made_up = text.contains("server_name") || text.contains("old");
        assert!(!is_made_up || FlowFilter::parse(text).is_err(), "there is no such fact: {text}");
    }
}

#[test]
fn packets_have_their_own_ends() {
    let mut address = [0; 16];
    address[..4].copy_from_slice(&[10, 0, 0, 1]);
    let mut other = [0; 16];
    other[..4].copy_from_slice(&[10, 0, 0, 2]);
    let network = Network {
        version: IpVersion::V4,
        protocol: 17,
        ttl: 64,
        traffic_class: 0,
        source: address,
        destination: other,
        fragment: None,
    };
    let dissected = Dissected {
        network: Some(network),
        transport: Transport::Udp(Ports { source: 53, destination: 4000 }),
        vlan: VlanTags { ids: [10, 0], count: 1 },
        ..Dissected::NOTHING
    };
    let packet = PacketSubject::new(&dissected, 90);
    for (text, expected) in [
        ("proto:udp", true),
        ("protocol:udp ip_version:4", true),
        ("src:10.0.0.1 sport:53", true),
        ("dst:10.0.0.2 dport:4000", true),
        ("host:10.0.0.2 port:53", true),
        ("dport:53", false),
        ("vlan:10 bytes:90 len:<100", true),
        ("outer_vlan:10", true),
        ("client:10.0.0.1 OR server:10.0.0.1 OR rtt:>=0 OR state:*", false),
        ("!rtt:>50ms", true),
    ] {
        assert_eq!(FlowFilter::parse(text).unwrap().matches_packet(&packet), expected, "{text}");
    }
    let nothing = PacketSubject::new(&Dissected::NOTHING, 60);
    assert!(!FlowFilter::parse("proto:* OR host:* OR port:* OR vlan:* OR outer_vlan:*").unwrap().matches_packet(&nothing));
}

#[test]
fn errors_point_at_their_place() {
    for (text, column, len, message, hint) in [
        ("prot:tcp", 1, 4, "there is no word `prot`", Some("did you mean `proto`?")),
        ("port:80 tcp.port:3", 9, 8, "there is no word `tcp.port`", Some("here it is `port`")),
        ("port:80 tcp", 9, 3, "`tcp` has no word before it", Some("write proto:tcp")),
        ("10.0.0.0/8", 1, 10, "`10.0.0.0/8` has no word before it", Some("write host:10.0.0.0/8")),
        ("2001:db8::1", 1, 11, "`2001:db8::1` has no word before it", Some("write host:2001:db8::1")),
        ("bytes>1M", 6, 1, "a colon is missing", Some("write bytes:>1M")),
        ("port==80", 5, 1, "a colon is missing", Some("write port:80")),
        ("port:", 6, 1, "a value is missing after `port:`", None),
        ("port:80,", 9, 1, "a value is missing after `port:`", None),
        ("port:(80)", 6, 1, "a value is missing after `port:`", Some("a list is written port:a,b")),
        ("port:http", 6, 4, "`http` is not a number", None),
        ("bytes:1x", 7, 2, "`1x` has a unit that does not fit", None),
        ("packets:1.5", 9, 3, "`1.5` is not a whole number", None),
        ("bytes:2M-1M", 7, 5, "the range ends before it begins", None),
        ("bytes:>1,2", 10, 1, "`:>` compares with one value", None),
        ("bytes:>1-2", 8, 3, "`:>` compares with one number", None),
        ("port:80,*", 9, 1, "`*` stands alone: it is true of every value that is known", None),
        ("state:estblished", 7, 10, "`estblished` is none of this word's values", Some("did you mean `established`?")),
        ("state:>closed", 8, 6, "`:>` is for numbers and times", None),
        ("proto:tpc", 7, 3, "`tpc` is not a protocol of IP", Some("did you mean `tcp`?")),
        ("proto:256", 7, 3, "`256` is not a protocol of IP", None),
        ("host:10.0.0.0/33", 6, 11, "a prefix has 0 to 32 bits", None),
        ("host:10.0.*", 6, 6, "`10.0.*` is not an address", Some("write a network with its prefix, as 10.0.0.0/16")),
        ("host:example.org", 6, 11, "`example.org` is not an address", Some("names are not looked up")),
        ("host:a,10.0.0.1,b", 6, 1, "`a` is not an address", Some("names are not looked up")),
        ("first_seen:>yesterday", 13, 9, "`yesterday` is not a time", None),
        ("bytes:>rtt", 8, 3, "`rtt` is another kind of value", None),
        ("port:=sport", 7, 5, "a comparison of two words takes words with one value each", None),
        ("ecn_negotiated:maybe", 16, 5, "`maybe` is neither true nor false", None),
        ("(port:80", 1, 1, "this `(` is not closed", None),
        ("port:80)", 8, 1, "this `)` has no `(` before it", None),
        ("()", 2, 1, "a term is missing before `)`", None),
        ("port:80 OR", 11, 1, "a term is missing at the end", None),
        ("AND port:80", 1, 3, "a term is missing before `AND`", None),
        ("port:80 !", 10, 1, "a term is missing at the end", None),
        ("interface:\"eth", 11, 1, "this quote is not closed", None),
        ("interface:a\"b\"", 12, 1, "quotes stand around a whole value", Some("inside \"…\" write \\\"")),
        ("port:80(port:1)", 8, 1, "a space is missing before `(`", None),
        ("é:1", 1, 1, "`é:1` has no word before it", None),
        ("interface:é port:x", 18, 1, "`x` is not a number", None),
    ] {
        let error = FlowFilter::parse(text).expect_err(text);
        assert_eq!((error.column, error.message.as_str()), (column, message), "{text}");
        if !text.starts_with('é') {
            assert_eq!(error.len, len, "{text}");
        }
        assert_eq!(error.hint.as_deref(), hint, "{text}");
    }
    let error = FlowFilter::parse("state:estblished port:1").unwrap_err();
    assert_eq!(error.expected[..2], ["unknown", "syn_sent"]);
    let shown = "`estblished` is none of this word's values (column 7)\n  state:estblished port:1\n        ^^^^^^^^^^\n  \
                 expected: unknown, syn_sent, syn_ack, established, fin_wait, closed, reset, initial, handshake, queried, answered, request, replied, one_way, two_way\n  did you mean `established`?";
    assert_eq!(error.to_string(), shown);
    let long = format!("{}port:x {}", "port:1 ".repeat(30), "port:1 ".repeat(30));
    let shown = FlowFilter::parse(&long).unwrap_err().to_string();
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[1].len() < 130 && lines[1].chars().nth(lines[2].find('^').unwrap()) == Some('x'), "{shown}");
}

#[test]
fn limits_are_errors() {
    let message = |text: &str| FlowFilter::parse(text).unwrap_err().message;
    assert!(FlowFilter::parse(&" ".repeat(FILTER_LEN_MAX)).is_ok());
    assert_eq!(message(&" ".repeat(FILTER_LEN_MAX + 1)), "a filter has 4096 characters at most");
    for (open, close) in [("(", ")"), ("!", ""), ("NOT ", ""), ("!(", ")")] {
        let nested = |depth: usize| format!("{}port:1{}", open.repeat(depth), close.repeat(depth));
        assert!(FlowFilter::parse(&nested(DEPTH_MAX / 2)).is_ok());
        assert_eq!(message(&nested(DEPTH_MAX + 1)), "more than 32 parentheses and negations stand in each other");
    }
    assert!(FlowFilter::parse(&"port:1 ".repeat(TERMS_MAX)).is_ok());
    assert_eq!(message(&"port:1 ".repeat(TERMS_MAX + 1)), "a filter has 256 terms at most");
    assert!(FlowFilter::parse(&format!("port:1{}", ",2".repeat(VALUES_MAX - 1))).is_ok());
    assert_eq!(message(&format!("port:1{}", ",2".repeat(VALUES_MAX))), "a filter has 512 values at most");
}

#[test]
fn hostile_text_is_read_in_linear_time() {
    let begun = std::time::Instant::now();
    for unit in ["(", "!", "a", "a:", "\"", "port:", "proto:*,", "port:1 OR ", "x ", "host:::", "é", "\\", "sni:\"\\", "&&", ")"]
    {
        let text = unit.repeat(100_000);
        let _ = FlowFilter::parse(&text);
        let cut: String = text.chars().take(FILTER_LEN_MAX).collect();
        let _ = FlowFilter::parse(&cut);
    }
    assert!(begun.elapsed() < std::time::Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn filters_that_other_flows_may_change_are_known() {
    let all = [
        "app:rtp",
        "app_protocol:rtp",
        "app_source:*",
        "app_name:*",
        "app_known_by:port",
        "app_version:1",
        "port:443",
        "tls_sni:*",
    ];
    let told = all.map(|text| FlowFilter::parse(text).unwrap_or_else(|_| panic!("{text}")).asks_for_told());
    assert_eq!(told, [true, true, true, true, true, false, false, false]);
    let compared = ["app_name:=sni", "bytes:>packets"].map(|text| FlowFilter::parse(text).expect("a filter").asks_for_told());
    assert_eq!(compared, [true, false]);
    let inside = FlowFilter::parse("port:443 and not (bytes:>5 or app_name:x)").expect("a filter");
    assert!(inside.asks_for_told() && inside.predicate(RecordContext::default()).is_some_and(|own| own.asks_for_told()));
}
