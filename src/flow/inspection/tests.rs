//! Inspection of made-up streams and datagrams: cut in every way, hostile, too many.

use super::*;
use crate::app::FactId;
use crate::app::FactValue;
use crate::app::tls::tests::{in_records, message};

const SNI: FactId = FactId { object: 1, member: 0 };
const PROTOCOL: FactId = FactId { object: 0, member: 0 };
const CLIENT: Direction = Direction::AToB;
const SERVER: Direction = Direction::BToA;

fn settings() -> InspectionSettings {
    InspectionSettings { enabled: true, ..InspectionSettings::default() }
}

fn segment(bytes: &[u8], sequence: u32, direction: Direction) -> SeenPayload<'_> {
    SeenPayload {
        bytes,
        wire_len: bytes.len(),
        sequence: Some(sequence),
        start: None,
        direction,
        client: CLIENT,
        ports: [40_000, 443],
        time_ns: 0,
    }
}

fn datagram(bytes: &[u8], port: u16) -> SeenPayload<'_> {
    SeenPayload { sequence: None, ports: [40_000, port], ..segment(bytes, 0, CLIENT) }
}

/// A hello that asks for a host, in records.
fn hello(host: &str) -> Vec<u8> {
    let name = host.as_bytes();
    let len = |len: usize| (len as u16).to_be_bytes();
    let sni = [&[0, 0][..], &len(name.len() + 5), &len(name.len() + 3), &[0], &len(name.len()), name].concat();
    let body = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0x13, 0x01, 1, 0], &len(sni.len()), &sni].concat();
    in_records(&message(1, &body), 1 << 14)
}

fn text(inspection: &Inspection, place: u32, id: FactId) -> Option<Vec<u8>> {
    match inspection.facts(place).get(id)? {
        FactValue::Text(text) => Some(text.to_vec()),
        other => panic!("a text: {other:?}"),
    }
}

fn begun(settings: InspectionSettings, places: u32) -> Inspection {
    let mut inspection = Inspection::new(settings);
    (0..places).for_each(|place| inspection.begin(place, false));
    inspection
}

#[test]
fn a_name_is_found_however_the_stream_is_cut() {
    let hello = hello("www.example.com");
    let mut orders: Vec<Vec<(usize, usize)>> = vec![vec![(0, hello.len())]];
    orders.extend((1..hello.len()).map(|at| vec![(0, at), (at, hello.len())]));
    // The second part first, and parts that overlap or come twice.
    orders.extend((2..hello.len() - 2).map(|at| vec![(at, hello.len()), (0, at)]));
    orders.extend((9..hello.len()).map(|at| vec![(0, at), (at - 8, at), (0, at), (at - 4, hello.len())]));
    orders.push((0..hello.len()).map(|at| (at, at + 1)).collect());
    for order in orders {
        let mut inspection = begun(InspectionSettings { packets_max: 1000, ..settings() }, 1);
        for (start, end) in &order {
            inspection.payload(0, &segment(&hello[*start..*end], 0xffff_fff0_u32.wrapping_add(*start as u32), CLIENT));
        }
        assert_eq!(text(&inspection, 0, SNI).as_deref(), Some(&b"www.example.com"[..]), "{order:?}");
        assert_eq!(text(&inspection, 0, PROTOCOL).as_deref(), Some(&b"tls"[..]));
    }
}

#[test]
fn what_is_no_protocol_is_left_alone_after_some_packets() {
    let mut inspection = begun(settings(), 2);
    let limit = u32::from(settings().packets_max);
    for at in 0..limit {
        assert!(inspection.is_watched(0), "packet {at}");
        assert_eq!(inspection.is_watched(1), at < settings().foreign_datagrams().into(), "datagram {at}");
        inspection.payload(0, &segment(&[0xee; 100], at * 100, CLIENT));
        if inspection.is_watched(1) {
            inspection.payload(1, &datagram(&[0xee; 100], 9999));
        }
    }
    assert!(!inspection.is_watched(0));
    assert_eq!((inspection.counters().unknown, inspection.open_bytes), (2, 0));
    assert!(inspection.facts(0).is_empty() && inspection.facts(1).is_empty());
}

#[test]
fn a_connection_that_begins_as_no_protocol_is_given_up_soon() {
    let begun_as = |client: &[u8], server: &[u8]| {
        let mut inspection = begun(settings(), 1);
        let sides = [(client, CLIENT, 100_u32), (server, SERVER, 900)];
        let mut packets = 0;
        for round in 0..20 {
            for (bytes, direction, start) in sides {
                if !bytes.is_empty() && inspection.is_watched(0) {
                    let sequence = start + round * bytes.len() as u32;
                    inspection.payload(0, &SeenPayload { start: Some(start), ..segment(bytes, sequence, direction) });
                    packets += 1;
                }
            }
        }
        packets
    };
    assert_eq!(begun_as(b" !\"#", b" !\"#"), 3, "the first of the server excludes what that of the client left");
    assert_eq!(begun_as(b" !\"#", b""), 20, "the server may still greet");
}

#[test]
fn a_start_that_is_known_puts_what_came_early_in_its_place() {
    let hello = hello("www.example.com");
    let (first, second) = hello.split_at(20);
    let mut inspection = begun(settings(), 1);
    for (bytes, sequence) in [(second, 520), (&b"x"[..], 499), (first, 500)] {
        inspection.payload(0, &SeenPayload { start: Some(500), ..segment(bytes, sequence, CLIENT) });
    }
    assert_eq!(text(&inspection, 0, SNI).as_deref(), Some(&b"www.example.com"[..]));
}

#[test]
fn bytes_that_were_forged_in_front_do_not_hide_a_protocol() {
    let hello = hello("www.example.com");
    let mut inspection = begun(settings(), 1);
    for bytes in [&b"\0\0"[..], &hello] {
        inspection.payload(0, &SeenPayload { start: Some(7), ..segment(bytes, 7, CLIENT) });
    }
    assert_eq!(text(&inspection, 0, SNI).as_deref(), Some(&b"www.example.com"[..]));
}

#[test]
fn what_datagrams_leave_behind_counts_in_the_limit() {
    let mut inspection = begun(settings(), 1);
    // A name that fills its question (RFC 1035), asked of a name server.
    let name = [&[63][..], &[b'a'; 63], &[0]].concat();
    let question = [&[0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], &name, &[0, 1, 0, 1]].concat();
    inspection.payload(0, &datagram(&question, 53));
    assert!(inspection.open_bytes > InspectedFlow::BASE + 63, "{}", inspection.open_bytes);
    let little = InspectionSettings { bytes_max: InspectedFlow::BASE, ..settings() };
    let mut inspection = begun(little, 1);
    inspection.payload(0, &datagram(&question, 53));
    assert_eq!((inspection.counters().bytes_too_many, inspection.open_bytes), (1, 0));
}

#[test]
fn a_protocol_behind_a_preamble_is_found() {
    let hello = hello("behind.example");
    let mut inspection = begun(settings(), 1);
    let start = Some(1);
    inspection.payload(0, &SeenPayload { start, ..segment(&[5, 1, 0], 1, CLIENT) });
    inspection.payload(0, &SeenPayload { start, ..segment(&[5, 0], 1, SERVER) });
    inspection.payload(0, &SeenPayload { start, ..segment(&hello, 4, CLIENT) });
    assert_eq!(text(&inspection, 0, SNI).as_deref(), Some(&b"behind.example"[..]));
}

#[test]
fn a_stream_in_the_middle_is_tried_again() {
    let hello = hello("later.example");
    let mut inspection = begun(settings(), 1);
    inspection.payload(0, &segment(&[0xee; 100], 1000, CLIENT));
    inspection.payload(0, &segment(&hello, 1100, CLIENT));
    assert_eq!(text(&inspection, 0, SNI).as_deref(), Some(&b"later.example"[..]));
}

#[test]
fn limits_are_kept_and_counted() {
    let hello = hello("www.example.com");
    let half = &hello[..hello.len() / 2];
    let few = InspectionSettings { flow_count_max: 2, ..settings() };
    let mut inspection = begun(few, 4);
    (0..4).for_each(|place| inspection.payload(place, &segment(half, 0, CLIENT)));
    let watched = [0, 1, 2, 3].map(|place| inspection.is_watched(place));
    assert_eq!((inspection.counters().flows_too_many, watched), (2, [false, false, true, true]), "the oldest go");
    (2..4).for_each(|place| inspection.payload(place, &segment(&hello[half.len()..], half.len() as u32, CLIENT)));
    assert_eq!([0, 3].map(|place| text(&inspection, place, SNI)), [None, Some(b"www.example.com".to_vec())]);
    // What is known stays with those that go.
    let mut inspection = begun(few, 4);
    (0..4).for_each(|place| inspection.payload(place, &segment(&hello, 0, CLIENT)));
    assert_eq!(inspection.counters().flows_too_many, 2);
    assert!((0..4).all(|place| text(&inspection, place, SNI).as_deref() == Some(&b"www.example.com"[..])));

    let little = InspectionSettings { bytes_max: 4096, ..settings() };
    let mut inspection = begun(little, 100);
    (0..100).for_each(|place| inspection.payload(place, &segment(half, 0, CLIENT)));
    assert!(inspection.counters().bytes_too_many > 0 && inspection.open_bytes <= 4096, "{:?}", inspection.counters());

    let short = InspectionSettings { stream_bytes_max: hello.len() - 1, ..settings() };
    let mut inspection = begun(short, 1);
    for (at, byte) in hello.iter().enumerate() {
        inspection.payload(0, &segment(&[*byte], at as u32, CLIENT));
    }
    assert_eq!(inspection.counters().streams_too_long, 1);
}

#[test]
fn facts_stay_with_a_flow_that_goes_on_and_go_with_one_that_ends() {
    let hello = hello("www.example.com");
    let mut inspection = begun(settings(), 2);
    for place in [0, 1] {
        inspection.payload(place, &segment(&hello, 7, CLIENT));
        // What tells nothing more ends the inspection.
        (0..30).for_each(|at| inspection.payload(place, &segment(&[1; 10], 5000 + at * 10, CLIENT)));
    }
    assert_eq!((inspection.is_watched(0), inspection.open_bytes), (false, 0));
    assert_eq!(inspection.facts(0), inspection.facts(1), "kept once");
    inspection.begin(0, true);
    assert_eq!(text(&inspection, 0, SNI).as_deref(), Some(&b"www.example.com"[..]));
    inspection.begin(0, false);
    assert!(inspection.facts(0).is_empty() && inspection.is_watched(0));
    inspection.release(1);
    assert!(inspection.facts(1).is_empty() && !inspection.is_watched(1));
    assert!(inspection.pool.is_empty());
}

#[test]
fn a_server_that_was_taken_for_the_client_is_understood() {
    let mut inspection = begun(settings(), 1);
    let answer = b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n";
    inspection.payload(0, &SeenPayload { client: SERVER, ..segment(answer, 9, SERVER) });
    let request = b"GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n";
    inspection.payload(0, &SeenPayload { client: SERVER, ..segment(request, 7, CLIENT) });
    assert_eq!(text(&inspection, 0, PROTOCOL).as_deref(), Some(&b"http"[..]));
}

/// The worst segments: each from before all others, so that each would move all that is there.
#[test]
fn a_stream_that_comes_from_behind_is_given_up() {
    let mut inspection = begun(InspectionSettings { packets_max: u16::MAX, ..settings() }, 1);
    for (at, pair) in (0..100_u32).rev().zip([[22, 3]].into_iter().cycle()) {
        inspection.payload(0, &segment(&pair, at * 2, CLIENT));
    }
    assert_eq!(inspection.counters().streams_too_long, 1);
}

#[test]
fn the_time_from_a_request_to_its_answer_is_told() {
    let latency = FactId { object: 4, member: 11 };
    let at = |payload: SeenPayload<'static>, ms: u64| SeenPayload { time_ns: ms * 1_000_000, ..payload };
    let mut inspection = begun(settings(), 2);
    inspection.payload(0, &at(segment(b"GET / HTTP/1.1\r\n", 7, CLIENT), 1));
    inspection.payload(0, &at(segment(b"Host: a\r\n\r\n", 23, CLIENT), 3));
    assert_eq!(inspection.facts(0).get(latency), None);
    inspection.payload(0, &at(segment(b"HTTP/1.1 200 OK\r\n", 9, SERVER), 10));
    inspection.payload(0, &at(segment(b"Server: x\r\n\r\n", 26, SERVER), 20));
    assert_eq!(inspection.facts(0).get(latency), Some(FactValue::Number(7000)));
    inspection.payload(1, &at(segment(b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n", 9, SERVER), 10));
    assert_eq!(inspection.facts(1).get(latency), None, "nobody was seen to ask");
}

/// The answer of a server and a command of a client make FTP.
fn ftp_begins(inspection: &mut Inspection, place: u32) {
    inspection.payload(place, &segment(b"220 FTP ready\r\n", 1, SERVER));
    inspection.payload(place, &segment(b"USER anonymous\r\n", 1, CLIENT));
    assert_eq!(text(inspection, place, PROTOCOL).as_deref(), Some(&b"ftp"[..]));
    assert_eq!(inspection.latest_control(), Some(ControlProtocol::Ftp));
}

#[test]
fn control_connections_stay_watched_within_limits() {
    let settings = InspectionSettings { control_count_max: 2, control_bytes_max: 100, packets_max: 3, ..settings() };
    let mut inspection = begun(settings, 4);
    let idle = |inspection: &mut Inspection, place: u32, count: u32| {
        // Each comes again, so that nothing is found out.
        for _ in 0..count {
            inspection.payload(place, &segment(b"USER anonymous\r\n", 1, CLIENT));
        }
    };
    for place in 0..2 {
        ftp_begins(&mut inspection, place);
        idle(&mut inspection, place, 3);
        assert!(inspection.is_watched(place), "what is known is known, and what it announces is wanted");
        assert_eq!(text(&inspection, place, PROTOCOL).as_deref(), Some(&b"ftp"[..]));
    }
    // Six lines of 16 bytes are 96.
    idle(&mut inspection, 1, 6);
    assert_eq!((inspection.latest_control(), inspection.counters().controls_too_long), (Some(ControlProtocol::Ftp), 0));
    idle(&mut inspection, 1, 1);
    assert_eq!((inspection.latest_control(), inspection.counters().controls_too_long), (None, 1));
    assert_eq!((inspection.is_watched(0), inspection.is_watched(1)), (true, false));
    for place in 2..4 {
        ftp_begins(&mut inspection, place);
        idle(&mut inspection, place, 3);
    }
    assert_eq!(inspection.counters().controls_too_many, 1);
    assert_eq!([0, 1, 2, 3].map(|place| inspection.is_watched(place)), [false, false, true, true]);
    // A place that is used again is another flow's.
    inspection.release(2);
    inspection.begin(2, false);
    inspection.payload(2, &segment(b"\x01", 1, CLIENT));
    assert_eq!((inspection.latest_control(), text(&inspection, 2, PROTOCOL)), (None, None));
    assert_eq!(inspection.counters().recognised, 4);
}

/// A protocol is one file and one line in a list, as `docs/protocols.md` says: the example there is found like any other.
#[test]
fn a_protocol_is_added_by_a_file_and_a_line() {
    const EXAMPLE: &str = include_str!("../../app/protocols/example.rs");
    let how = include_str!("../../../docs/protocols.md");
    assert!(how.contains(EXAMPLE), "docs/protocols.md shows another file");
    let version = FactId { object: 0, member: 2 };
    let opening = b"EXAMPLE/1.2\nhello";
    for cut in 1..opening.len() {
        let mut inspection = begun(settings(), 2);
        let (first, then) = opening.split_at(cut);
        inspection.payload(0, &segment(first, 1, CLIENT));
        inspection.payload(0, &segment(then, 1 + cut as u32, CLIENT));
        assert_eq!(text(&inspection, 0, PROTOCOL).as_deref(), Some(&b"example"[..]), "{cut}");
        assert_eq!(text(&inspection, 0, version).as_deref(), Some(&b"1.2"[..]), "{cut}");
        assert!(!inspection.is_watched(0), "all is known");
        inspection.payload(1, &segment(b"EXAMPLE?1.2\n", 1, CLIENT));
        assert_eq!(text(&inspection, 1, PROTOCOL), None);
    }
}

/// A message of DNS over TCP.
fn dns(id: u16, flags: u16) -> Vec<u8> {
    let question = [&[1, b'a', 7][..], b"example", &[0, 0, 1, 0, 1]].concat();
    let message = [&id.to_be_bytes()[..], &flags.to_be_bytes(), &[0, 1, 0, 0, 0, 0, 0, 0], &question].concat();
    [&(message.len() as u16).to_be_bytes()[..], &message].concat()
}

/// Many messages are not read one by one, and all the same each counts where the flow ends, and none of them makes it be left alone.
#[test]
fn every_message_of_a_stream_counts_once_the_flow_ends() {
    let [queries, responses] = [4, 5].map(|member| FactId { object: 3, member });
    for count in [1_u16, 15, 16, 17, 33, 64, 150] {
        let mut inspection = begun(settings(), 1);
        let mut at = [1_000_u32; 2];
        for id in 0..count {
            for (side, direction, flags) in [(0, CLIENT, 0x0100), (1, SERVER, 0x8180)] {
                let message = dns(id, flags);
                let payload = SeenPayload { ports: [40_000, 53], start: Some(1_000), ..segment(&message, at[side], direction) };
                inspection.payload(0, &payload);
                at[side] += message.len() as u32;
            }
        }
        assert!(inspection.is_watched(0), "{count}");
        inspection.settle(0);
        let expected = Some(FactValue::Number(count.into()));
        assert_eq!([queries, responses].map(|id| inspection.facts(0).get(id)), [expected; 2]);
        inspection.release(0);
        assert_eq!(inspection.open_bytes, 0);
    }
}
