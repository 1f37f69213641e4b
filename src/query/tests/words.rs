//! Words, their descriptions, and what is suggested.

use crate::query::complete::complete_with;
use crate::query::describe::DESCRIBED;
use crate::query::{LiveValues, NoLiveValues, complete, sort_rank, sortable, words, words_of};
use crate::record::test_records::{icmp_record, tcp_record, udp6_record};
use crate::record::{FIELDS, TEST_SCHEMA};
use std::collections::HashSet;

#[test]
fn every_field_is_described_once() {
    let names: Vec<&str> = DESCRIBED.iter().map(|described| described.name).collect();
    let fields: Vec<&str> = FIELDS.iter().map(|field| field.field.name).collect();
    assert_eq!(names.len(), names.iter().collect::<HashSet<_>>().len());
    for field in &fields {
        assert!(names.contains(field), "{field} has no line in src/query/describe.rs");
    }
    for name in names {
        assert!(fields.contains(&name), "there is no field {name}");
    }
    let words = words();
    for word in &words {
        assert!(!word.label.is_empty() && !word.group.is_empty() && !word.description.is_empty(), "{}", word.name);
        assert!(!word.description.ends_with('.') && !word.description.contains('\n'), "{}", word.name);
    }
    let labels: HashSet<&str> = words.iter().map(|word| &*word.label).collect();
    assert_eq!(labels.len(), words.len(), "labels tell words apart");
    let all: Vec<&str> = words.iter().flat_map(|word| [Some(&*word.name), word.short].into_iter().flatten()).collect();
    assert_eq!(all.len(), all.iter().collect::<HashSet<_>>().len(), "a word means one thing");
}

#[test]
fn facts_are_described_by_their_names() {
    let words = words_of(TEST_SCHEMA);
    let sni = words.iter().find(|word| word.name == "tls_server_name").expect("a word");
    assert_eq!((&*sni.label, &*sni.group, sni.short), ("TLS server name", "TLS", Some("sni")));
    assert_eq!(words.len(), words_of(&[]).len() + 4);
}

#[test]
fn flows_are_sorted_by_any_field() {
    let rank = |name: &str| sort_rank(name).unwrap_or_else(|| panic!("{name}"));
    let records = [tcp_record(), udp6_record(), icmp_record()];
    let order = |name: &str| {
        let rank = rank(name);
        let mut order = [0, 1, 2];
        order.sort_by_key(|&at: &usize| std::cmp::Reverse(rank(&records[at])));
        order
    };
    assert_eq!(order("bytes"), order("bytes_total"));
    assert_eq!(order("BYTES"), [0, 2, 1]);
    assert_eq!(order("duration"), [2, 0, 1]);
    assert_eq!(order("server"), [1, 2, 0], "IPv6 is behind IPv4");
    assert_eq!(order("protocol"), [1, 0, 2]);
    assert_eq!((rank("rtt")(&records[1]), rank("rtt")(&records[0])), (0, 2_000_001));
    for name in ["community_id", "dscp_a_to_b", "host", "port", "interface", "nothing", ""] {
        assert!(sort_rank(name).is_none(), "{name}");
    }
    assert!(sortable().count() > 70 && sortable().all(|name| sort_rank(name).is_some()));
}

struct Live;

impl LiveValues for Live {
    fn values(&self, word: &str, prefix: &str, max: usize) -> Vec<String> {
        assert!(max > 0);
        let all: &[&str] = match word {
            "server_ip" | "host" => &["10.0.0.1", "10.0.0.9", "192.0.2.1"],
            "port" => &["443", "53"],
            "tls_server_name" => &["www.example", "odd name, \"quoted\""],
            _ => &[],
        };
        all.iter().filter(|value| value.starts_with(prefix)).map(|&value| value.to_owned()).collect()
    }
}

/// What is suggested where `|` stands, as the texts that would result.
fn suggested(marked: &str) -> Vec<String> {
    let at = marked.chars().position(|letter| letter == '|').expect("a mark");
    let text = marked.replacen('|', "", 1);
    let completion = complete_with(&text, at, &Live, TEST_SCHEMA);
    let letters: Vec<char> = text.chars().collect();
    let (before, behind): (String, String) =
        (letters[..completion.from].iter().collect(), letters[completion.to..].iter().collect());
    completion.suggestions.iter().map(|suggestion| format!("{before}{}{behind}", suggestion.text)).collect()
}

#[test]
fn words_are_suggested() {
    assert_eq!(suggested("prot|"), ["proto:"]);
    assert_eq!(suggested("port:80 (pro|x:udp OR port:1)")[0], "port:80 (proto:udp OR port:1)");
    assert!(suggested("retrans|").contains(&"retransmissions:".to_owned()));
    assert!(suggested("to serv|").contains(&"to server:".to_owned()));
    assert!(suggested("sni|").contains(&"sni:".to_owned()));
    assert_eq!(suggested("port:80 |")[..3], ["port:80 AND ", "port:80 OR ", "port:80 NOT "]);
    assert_eq!(suggested("(port:80) o|")[0], "(port:80) OR ");
    assert!(!suggested("|").contains(&"AND ".to_owned()) && suggested("|").len() > 20);
    assert_eq!(suggested("!hos|"), ["!host:"]);
    let first = &complete("rtt", 3, &NoLiveValues).suggestions[0];
    assert_eq!((first.text.as_str(), first.label.as_str()), ("rtt:", "rtt"));
    assert_eq!(first.detail, "RTT: round trips of both sides, moving average (ms)");
}

#[test]
fn values_are_suggested() {
    assert_eq!(suggested("proto:|")[..2], ["proto:tcp", "proto:udp"]);
    assert_eq!(suggested("state:syn|"), ["state:syn_sent", "state:syn_ack"]);
    assert_eq!(suggested("state:closed,es| port:1"), ["state:closed,established port:1"]);
    assert_eq!(suggested("server:10.0.0.1|23 !port:1"), ["server:10.0.0.1 !port:1"]);
    assert_eq!(suggested("host:10.|"), ["host:10.0.0.1", "host:10.0.0.9"]);
    assert_eq!(suggested("port:|"), ["port:443", "port:53", "port:>", "port:>=", "port:<", "port:<=", "port:*"]);
    assert_eq!(suggested("sni:|"), ["sni:www.example", "sni:\"odd name, \\\"quoted\\\"\"", "sni:*"]);
    assert_eq!(suggested("sni:\"odd n|x\" port:1"), ["sni:\"odd name, \\\"quoted\\\"\" port:1"]);
    assert_eq!(suggested("ecn_negotiated:t|"), ["ecn_negotiated:true"]);
    assert!(suggested("bytes_to_client:>bytes_to|").contains(&"bytes_to_client:>bytes_to_server".to_owned()));
    assert!(suggested("nothing:|").is_empty());
    let others = suggested("rtt:>|");
    assert!(others.contains(&"rtt:>rtt_server_min_ms".to_owned()) && !others.contains(&"rtt:>rtt_ewma_ms".to_owned()));
    assert!(!others.contains(&"rtt:>bytes_total".to_owned()));
}
