//! Random filters, random texts and random records.

use crate::flow::FlowRecord;
use crate::query::complete::complete_with;
use crate::query::words::{ValueKind, ValueSource, is_identifier, kind_of_field};
use crate::query::{FlowFilter, NoLiveValues, RecordContext, complete, sort_rank, sortable, words_of};
use crate::record::reference::any_record;
use crate::record::{Exported, FIELDS, FieldValue, TEST_SCHEMA};
use proptest::prelude::*;
use std::net::IpAddr;

/// A filter with its meaning, made without the parser.
#[derive(Clone, Debug)]
enum Meaning {
    Protocol(u8),
    Port(u16, u16),
    SourcePort(u16),
    Network(IpAddr, u32),
    BytesAbove(u64),
    PacketsUpTo(u64),
    Retransmitted,
    MoreToClient,
    HasState,
    Not(Box<Meaning>),
    All(Vec<Meaning>),
    Any(Vec<Meaning>),
}

fn in_network(ip: IpAddr, network: IpAddr, len: u32) -> bool {
    let bits = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.octets().iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect::<Vec<_>>(),
        IpAddr::V6(ip) => ip.octets().iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect(),
    };
    ip.is_ipv4() == network.is_ipv4() && bits(ip)[..len as usize] == bits(network)[..len as usize]
}

impl Meaning {
    fn text(&self) -> String {
        let joined = |parts: &[Self], between: &str| {
            parts.iter().map(|part| format!("( {} )", part.text())).collect::<Vec<_>>().join(between)
        };
        match self {
            Self::Protocol(number) => format!("proto:{number}"),
            Self::Port(low, high) => format!("port:{low}-{high}"),
            Self::SourcePort(port) => format!("sport:=1,{port}"),
            Self::Network(ip, len) => format!("host:{ip}/{len}"),
            Self::BytesAbove(bytes) => format!("bytes:>{bytes}"),
            Self::PacketsUpTo(packets) => format!("packets:<={packets}"),
            Self::Retransmitted => "retransmissions:>0".to_owned(),
            Self::MoreToClient => "bytes_to_client:>bytes_to_server".to_owned(),
            Self::HasState => "tcp_state:*".to_owned(),
            Self::Not(part) => format!("!({})", part.text()),
            Self::All(parts) => joined(parts, " AND "),
            Self::Any(parts) => joined(parts, " or "),
        }
    }

    fn is_true_of(&self, record: &FlowRecord) -> bool {
        let has_ports = matches!(record.key.protocol(), 6 | 17 | 132 | 136);
        let is_a = record.client().index() == 0;
        match self {
            Self::Protocol(number) => record.key.protocol() == *number,
            Self::Port(low, high) => {
                has_ports && [record.key.a_port(), record.key.b_port()].iter().any(|port| (low..=high).contains(&port))
            }
            Self::SourcePort(port) => {
                let own = if is_a { record.key.a_port() } else { record.key.b_port() };
                has_ports && (own == 1 || own == *port)
            }
            Self::Network(ip, len) => [record.key.a_ip(), record.key.b_ip()].iter().any(|&own| in_network(own, *ip, *len)),
            Self::BytesAbove(bytes) => record.bytes[0].saturating_add(record.bytes[1]) > *bytes,
            Self::PacketsUpTo(packets) => record.packets[0].saturating_add(record.packets[1]) <= *packets,
            Self::Retransmitted => record.tcp.is_some_and(|tcp| tcp.retransmissions > 0),
            Self::MoreToClient => {
                let (to_server, to_client) =
                    if is_a { (record.bytes[0], record.bytes[1]) } else { (record.bytes[1], record.bytes[0]) };
                to_client > to_server
            }
            Self::HasState => record.tcp.is_some(),
            Self::Not(part) => !part.is_true_of(record),
            Self::All(parts) => parts.iter().all(|part| part.is_true_of(record)),
            Self::Any(parts) => parts.iter().any(|part| part.is_true_of(record)),
        }
    }
}

fn any_meaning() -> impl Strategy<Value = Meaning> {
    let ports = (any::<u16>(), any::<u16>()).prop_map(|(a, b)| Meaning::Port(a.min(b), a.max(b)));
    let networks = (any::<[u8; 16]>(), any::<bool>(), 0..=128u32).prop_map(|(bytes, is_v6, len)| {
        if is_v6 {
            Meaning::Network(IpAddr::from(bytes), len)
        } else {
            Meaning::Network(IpAddr::from([bytes[0], bytes[1], bytes[2], bytes[3]]), len.min(32))
        }
    });
    let leaf = prop_oneof![
        prop::sample::select(vec![1u8, 6, 17, 58, 132]).prop_map(Meaning::Protocol),
        ports,
        any::<u16>().prop_map(Meaning::SourcePort),
        networks,
        any::<u64>().prop_map(Meaning::BytesAbove),
        any::<u64>().prop_map(Meaning::PacketsUpTo),
        Just(Meaning::Retransmitted),
        Just(Meaning::MoreToClient),
        Just(Meaning::HasState),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|part| Meaning::Not(Box::new(part))),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Meaning::All),
            prop::collection::vec(inner, 1..4).prop_map(Meaning::Any),
        ]
    })
}

/// Pieces that filters are made of, right and wrong.
fn any_text() -> impl Strategy<Value = String> {
    let pieces: Vec<&str> = vec![
        "port:",
        "port:80",
        "host:",
        "10.0.0.1",
        "/8",
        "2001:db8::1",
        "sni:",
        "tls:",
        "client:",
        "rtt:>",
        "bytes:<",
        "1M",
        "state:",
        "est*",
        "*",
        ",",
        "-",
        "(",
        ")",
        "!",
        " ",
        "\t",
        "AND",
        "or",
        "NOT ",
        "&&",
        "||",
        "\"",
        "'",
        "\\",
        "a b",
        ":",
        ":=",
        ":>=",
        "first_seen:",
        "2026-11-30T12:00:00Z",
        "=",
        "é",
        "\u{202e}",
        "bytes_to_client:>bytes_to_server",
        "endpoint_a:[",
        "]",
        "0",
        "99999999999999999999999999",
        "1.5",
        "community_id:1:",
        "vlan:10",
        "ssh:",
        "proto:tcp",
    ];
    let made = prop::collection::vec(prop::sample::select(pieces), 0..30).prop_map(|pieces| pieces.concat());
    prop_oneof![made, any::<String>()]
}

/// A number that a value is compared by.
fn number_of(value: &FieldValue<'_>) -> Option<u128> {
    match *value {
        FieldValue::Number(number) | FieldValue::Seconds(number) | FieldValue::Milliseconds(number) => Some(number.into()),
        FieldValue::Rate(thousandths) => Some(thousandths),
        _ => None,
    }
}

proptest! {
    #[test]
    fn a_filter_means_what_it_says(meaning in any_meaning(), records in prop::collection::vec(any_record(), 1..8)) {
        let text = meaning.text();
        let filter = FlowFilter::parse(&text).unwrap_or_else(|error| panic!("{error}"));
        for record in &records {
            let expected = meaning.is_true_of(record);
            prop_assert_eq!(filter.matches(&Exported::new(record, 0)), expected, "{}", text);
            prop_assert_eq!(filter.matches_record(record, &RecordContext::default()), expected, "{}", text);
        }
        let printed = filter.to_string();
        prop_assert_eq!(FlowFilter::parse(&printed).unwrap_or_else(|error| panic!("{error}")), filter, "{}", printed);
    }

    #[test]
    fn any_text_is_a_filter_or_an_error_with_a_place(text in any_text(), record in any_record(), at in 0..100usize) {
        let len = text.chars().count();
        match FlowFilter::parse_with(&text, TEST_SCHEMA) {
            Ok(filter) => {
                filter.matches(&Exported::new(&record, 0));
                let printed = filter.to_string();
                let again = FlowFilter::parse_with(&printed, TEST_SCHEMA);
                prop_assert_eq!(again.as_ref(), Ok(&filter), "{}", printed);
                prop_assert_eq!(again.map(|again| again.to_string()), Ok(printed));
            }
            Err(error) => {
                prop_assert!((1..=len + 1).contains(&error.column) && error.len >= 1, "{:?}", error);
                prop_assert!(error.column + error.len <= len.max(error.column) + 1, "{:?}", error);
                let shown = error.to_string();
                prop_assert!(shown.lines().count() >= 2 && shown.contains('^'), "{}", shown);
            }
        }
        for completion in [complete(&text, at, &NoLiveValues), complete_with(&text, at, &NoLiveValues, TEST_SCHEMA)] {
            prop_assert!(completion.from <= completion.to && completion.to <= len, "{:?}", completion);
        }
    }

    #[test]
    fn every_number_is_compared_as_it_is(record in any_record(), exact: bool) {
        let exported = Exported::new(&record, 0);
        for field in FIELDS {
            let value = (field.value)(&exported);
            let kind = kind_of_field(field);
            let unit = match kind {
                ValueKind::Duration(_) => "ns",
                ValueKind::Number | ValueKind::Bytes => "",
                _ => continue,
            };
            let Some(number) = number_of(&value) else { continue };
            let other = if exact { number } else { number / 2 + 1 };
            for (operator, expected) in [
                (":", number == other), (":=", number == other), (":>", number > other),
                (":>=", number >= other), (":<", number < other), (":<=", number <= other),
            ] {
                let text = format!("{}{operator}{other}{unit}", field.field.name);
                let filter = FlowFilter::parse(&text).unwrap_or_else(|error| panic!("{error}"));
                prop_assert_eq!(filter.matches(&exported), expected, "{}", text);
            }
        }
    }

    #[test]
    fn a_value_that_is_there_is_known(record in any_record()) {
        let exported = Exported::new(&record, 0);
        for field in FIELDS.iter().filter(|field| field.field.name != "client") {
            let is_known = !matches!((field.value)(&exported), FieldValue::Null | FieldValue::Set(0) | FieldValue::List([]));
            let filter = FlowFilter::parse(&format!("{}:*", field.field.name)).unwrap_or_else(|error| panic!("{error}"));
            prop_assert_eq!(filter.matches(&exported), is_known, "{}", field.field.name);
        }
    }

    #[test]
    fn only_identifiers_have_to_be_made(record in any_record()) {
        let (whole, without) = (Exported::new(&record, 0), Exported::without_ids(&record));
        for field in FIELDS.iter().filter(|field| !is_identifier(field)) {
            prop_assert_eq!((field.value)(&whole), (field.value)(&without), "{}", field.field.name);
        }
    }

    #[test]
    fn closed_lists_have_all_words(record in any_record()) {
        let exported = Exported::new(&record, 0);
        for field in FIELDS {
            if let (ValueKind::Choice(words), FieldValue::Word(word)) = (kind_of_field(field), (field.value)(&exported)) {
                prop_assert!(words.contains(&word), "{} {}", field.field.name, word);
            }
        }
    }

    #[test]
    fn ranks_have_the_order_of_values(first in any_record(), second in any_record()) {
        for name in sortable() {
            let rank = sort_rank(name).expect("it is sortable");
            let (first_rank, second_rank) = (rank(&first), rank(&second));
            let field = FIELDS.iter().find(|field| field.field.name == name).expect("it is a field");
            let exported = [Exported::new(&first, 0), Exported::new(&second, 0)];
            let values = [(field.value)(&exported[0]), (field.value)(&exported[1])];
            match &values {
                [FieldValue::Null, FieldValue::Null] => prop_assert_eq!(first_rank, second_rank),
                [FieldValue::Null, _] => prop_assert_eq!(first_rank, 0),
                [FieldValue::Word(first), FieldValue::Word(second)] => {
                    prop_assert!(first_rank == second_rank || (first_rank < second_rank) == (first < second), "{}", name);
                }
                [FieldValue::Address(first), FieldValue::Address(second)] => {
                    prop_assert!(first_rank == second_rank || (first_rank < second_rank) == (first < second), "{}", name);
                }
                [first, second] => {
                    if let (Some(first), Some(second)) = (number_of(first), number_of(second)) {
                        prop_assert!(first_rank == second_rank || (first_rank < second_rank) == (first < second), "{}", name);
                        prop_assert!(first_rank != second_rank || first == second || first.max(second) >= u64::MAX.into(), "{}", name);
                    }
                }
            }
        }
    }
}

/// Every suggestion, put where it belongs, leads on: to a filter, or to an error behind it.
#[test]
fn suggestions_can_be_taken() {
    for text in [
        "",
        "pro",
        "port:80 ",
        "port:80 A",
        "(",
        "!",
        "proto:",
        "proto:t",
        "state:e",
        "bytes:",
        "bytes_to_client:>",
        "ecn_negotiated:",
    ] {
        let at = text.chars().count();
        let completion = complete(text, at, &NoLiveValues);
        assert!(!completion.suggestions.is_empty(), "{text}");
        for suggestion in completion.suggestions {
            let before: String = text.chars().take(completion.from).collect();
            let taken = format!("{before}{}", suggestion.text);
            if let Err(error) = FlowFilter::parse(&taken) {
                let is_behind = error.column > taken.trim_end().chars().count() || error.message.ends_with("is not closed");
                assert!(is_behind, "{taken}: {error}");
            }
        }
    }
}

#[test]
fn every_word_is_found() {
    for word in words_of(TEST_SCHEMA) {
        for name in [Some(&*word.name), word.short].into_iter().flatten() {
            assert!(ValueSource::of_word(name, TEST_SCHEMA).is_some(), "{name}");
            assert!(FlowFilter::parse_with(&format!("{name}:*"), TEST_SCHEMA).is_ok(), "{name}");
        }
    }
}
