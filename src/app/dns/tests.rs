//! Messages with every kind of record, cut and damaged.
//!
//! Owns fixtures and what they have to say.

use super::*;
use crate::app::parsed::Parsed;
use proptest::prelude::*;

/// A record whose name is the question's.
fn record(kind: u16, class: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
    let len = (data.len() as u16).to_be_bytes();
    [&[0xc0, 12][..], &kind.to_be_bytes(), &class.to_be_bytes(), &ttl.to_be_bytes(), &len, data].concat()
}

/// A response about `www.example.com` with ten answers, an authority and an OPT record.
fn response() -> Vec<u8> {
    let header = [0x12, 0x34, 0x85, 0x83, 0, 1, 0, 10, 0, 1, 0, 1];
    let question = b"\x03www\x07example\x03com\x00\x00\x01\x00\x01";
    let example = &[0xc0, 16][..];
    let answers = [
        record(1, 1, 300, &[192, 0, 2, 1]),
        record(28, 1, 300, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
        record(5, 1, 60, &[&[3, b'c', b'd', b'n'][..], example].concat()),
        record(2, 1, 60, example),
        record(12, 1, 60, example),
        record(15, 1, 60, &[&[0, 10][..], example].concat()),
        record(16, 1, 60, b"\x03abc\x02de"),
        record(33, 1, 60, &[&[0, 1, 0, 2, 1, 0xbb][..], example].concat()),
        record(65, 1, 60, &[&[0, 1, 0][..], &[0, 1, 0, 3, 2, b'h', b'2', 0, 3, 0, 2, 0x20, 0xfb, 0, 5, 0, 1, 9]].concat()),
        record(1, 1, 60, &[1, 2, 3]),
    ];
    let authority = record(6, 1, 60, &[example, example, &[0, 0, 0, 7], &[0; 16]].concat());
    let opt = [&[0][..], &record(OPT_KIND, 1232, 0x0100_8000, &[])[2..]].concat();
    [&header[..], question, &answers.concat(), &authority, &opt].concat()
}

const OPT_KIND: u16 = 41;

fn text(name: DnsName<'_>) -> String {
    let mut text = NameText::default();
    name.write(&mut text).map(|text| String::from_utf8_lossy(text).into_owned()).unwrap_or_default()
}

#[test]
fn a_response_with_every_kind_of_record() {
    let bytes = response();
    let message = DnsMessage::read(&bytes).unwrap();
    assert!(message.is_response() && message.is_authoritative() && !message.is_truncated());
    assert!(message.wants_recursion() && message.offers_recursion() && message.is_whole());
    assert_eq!((message.id, message.opcode(), message.question_count(), message.answer_count()), (0x1234, 0, 1, 10));
    // NXDOMAIN in the header and 1 in the OPT record: 16 + 3.
    assert_eq!((message.short_rcode(), message.rcode(), dns_rcode_name(19)), (3, 19, Some("BADMODE")));
    let edns = message.edns().unwrap();
    assert_eq!((edns.udp_bytes_max, edns.version, edns.wants_dnssec), (1232, 0, true));
    let question = message.questions().next().unwrap();
    assert_eq!((text(question.name), question.kind, question.class), ("www.example.com".to_owned(), 1, 1));
    assert!(message.answers().all(|record| text(record.name) == "www.example.com"));
    let shown: Vec<String> = message
        .records()
        .map(|record| match record.value() {
            DnsValue::Ipv4(bytes) => std::net::Ipv4Addr::from(bytes).to_string(),
            DnsValue::Ipv6(bytes) => std::net::Ipv6Addr::from(bytes).to_string(),
            DnsValue::Name(name) => text(name),
            DnsValue::MailExchange { preference, exchange } => format!("{preference} {}", text(exchange)),
            DnsValue::Text { len } => format!("{len} bytes"),
            DnsValue::Server { priority, weight, port, target } => format!("{priority} {weight} {port} {}", text(target)),
            DnsValue::Authority { server, mailbox, serial } => format!("{} {} {serial}", text(server), text(mailbox)),
            DnsValue::Service { priority, target, parameters: p } => {
                format!("{priority} {} {:?} {:?} {}", text(target), p.alpn.first(), p.port, p.has_ech)
            }
            DnsValue::Other => format!("type {}", record.kind),
        })
        .collect();
    let expected = [
        "192.0.2.1",
        "2001:db8::1",
        "cdn.example.com",
        "example.com",
        "example.com",
        "10 example.com",
        "5 bytes",
        "1 2 443 example.com",
        "1 . Some([104, 50]) Some(8443) true",
        "type 1",
        "example.com example.com 7",
        "type 41",
    ];
    assert_eq!(shown, expected);
}

#[test]
fn each_cut_says_what_came_before_it() {
    let whole = response();
    let all = DnsMessage::read(&whole).unwrap().records().count();
    for len in 12..whole.len() {
        let message = DnsMessage::read_cut(&whole[..len], whole.len()).unwrap();
        assert!(!message.is_whole(), "{len}");
        assert!(message.records().count() < all);
        assert!(message.records().all(|record| matches!(record.value(), DnsValue::Authority { .. }) == (record.kind == 6)));
    }
    (0..12).for_each(|len| assert!(DnsMessage::read(&whole[..len]).is_none()));
    let mut half = whole[..whole.len() / 3].to_vec();
    assert!(DnsMessage::read(&half).is_none(), "more records than bytes");
    half[2] |= 2;
    assert!(DnsMessage::read(&half).is_some(), "cut at its sender");
}

#[test]
fn over_a_stream() {
    let message = response();
    let stream = [&(message.len() as u16).to_be_bytes()[..], &message, &[0]].concat();
    for len in 0..2 + message.len() {
        let need = if len < 2 { 2 } else { 2 + message.len() };
        assert!(matches!(DnsMessage::read_stream(&stream[..len]), Parsed::More { need: told } if told == need), "{len}");
    }
    assert!(
        matches!(DnsMessage::read_stream(&stream), Parsed::Done((message, len)) if len == stream.len() - 1 && message.id == 0x1234)
    );
    assert!(matches!(DnsMessage::read_stream(&[0, 11]), Parsed::No));
    assert!(matches!(DnsMessage::read_stream(b"GET / HTTP/1.1\r\n"), Parsed::No));
}

#[test]
fn what_cannot_be_dns_is_none() {
    assert!(DnsMessage::read(&[0; 12]).is_none(), "nothing in it");
    assert!(DnsMessage::read(&[0, 1, 0x80, 2, 0, 0, 0, 0, 0, 0, 0, 0]).is_some(), "a bare refusal");
    assert!(DnsMessage::read(&[0, 1, 0x18, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1]).is_none(), "operation 3");
    assert!(DnsMessage::read(&[0, 1, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1]).is_none(), "nine questions in five bytes");
}

#[test]
fn a_name_may_not_leave_its_record() {
    let mut bytes = response();
    // The CNAME's label grows over the end of its data.
    let at = bytes.windows(4).position(|four| four == b"\x03cdn").unwrap();
    bytes[at] = 60;
    let message = DnsMessage::read(&bytes).unwrap();
    assert!(matches!(message.records().nth(2).unwrap().value(), DnsValue::Other));
}

proptest! {
    #[test]
    fn any_damage_is_survived(changes in prop::collection::vec((0_usize..500, any::<u8>()), 0..9)) {
        let mut bytes = response();
        let len = bytes.len();
        changes.into_iter().for_each(|(at, byte)| bytes[at % len] = byte);
        if let Some(message) = DnsMessage::read(&bytes) {
            for record in message.records() {
                let _ = format!("{record:?} {:?}", record.value());
                NetbiosName::of(record.name);
            }
            message.questions().for_each(|question| drop(text(question.name)));
            message.rcode();
            message.is_whole();
        }
        let _ = DnsMessage::read_stream(&bytes);
    }
}
