//! The largest flows as a table for a person, fitted to the width of the terminal.
//!
//! Owns columns, units and what goes when there is no room. Invariant: no line is wider than asked (down to
//! `COLUMNS_MIN` columns), and nothing but printable ASCII is written.

use super::application::{asked_name, is_others_name, spoken};
use super::fields::{bytes_total, duration_ns, ports, vlan_ids};
use super::names::protocol_name;
use crate::flow::{Direction, FactSet, FlowKey, FlowRecord, FlowState, IcmpFlow};
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

/// Below this many columns lines may be wider than asked.
const COLUMNS_MIN: usize = 60;
/// Endpoints are not cut below this.
const ENDPOINT_MIN: usize = 12;
/// Longest text about what a flow is.
const APP_MAX: usize = 32;

/// A column: its heading, whether it stands right, and how early it goes when there is no room (0 = never).
struct Column {
    heading: &'static str,
    right: bool,
    dispensable: u8,
}

const COLUMNS: [Column; 12] = [
    Column { heading: "PROTO", right: false, dispensable: 0 },
    Column { heading: "CLIENT", right: false, dispensable: 0 },
    Column { heading: "SERVER", right: false, dispensable: 0 },
    Column { heading: "APP", right: false, dispensable: 1 },
    Column { heading: "PACKETS", right: true, dispensable: 0 },
    Column { heading: "BYTES", right: true, dispensable: 0 },
    Column { heading: "DURATION", right: true, dispensable: 5 },
    Column { heading: "STATE", right: false, dispensable: 2 },
    Column { heading: "RETRANS", right: true, dispensable: 6 },
    Column { heading: "RTT", right: true, dispensable: 7 },
    Column { heading: "VLAN", right: false, dispensable: 3 },
    Column { heading: "TUNNEL", right: false, dispensable: 4 },
];
const ENDPOINTS: [usize; 2] = [1, 2];

/// The first `rows` records as lines of at most `columns` characters, with a heading. Client is who sent the
/// first SYN or, failing that, the first packet.
pub fn flow_table<'a>(flows: impl ExactSizeIterator<Item = (FlowRecord, FactSet<'a>)>, rows: usize, columns: usize) -> String {
    let more = flows.len().saturating_sub(rows);
    let cells: Vec<[String; COLUMNS.len()]> = flows.take(rows).map(|(record, facts)| row(&record, facts)).collect();
    let mut widths = COLUMNS.map(|column| column.heading.len());
    for row in &cells {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.len());
        }
    }
    // A column that says nothing of any flow is left out: most links have neither VLANs nor tunnels.
    let says = std::array::from_fn(|at| cells.iter().any(|row| !row[at].is_empty()));
    let shown = fit(&mut widths, says, columns.max(COLUMNS_MIN));
    let mut text = String::new();
    line(&mut text, &COLUMNS.map(|column| column.heading.to_owned()), &widths, &shown);
    for row in &cells {
        line(&mut text, row, &widths, &shown);
    }
    if more > 0 {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "... and {more} more");
    }
    text
}

/// Leaves columns out, then shortens endpoints, until the line fits.
fn fit(widths: &mut [usize; COLUMNS.len()], mut shown: [bool; COLUMNS.len()], columns: usize) -> [bool; COLUMNS.len()] {
    let width_of = |widths: &[usize; COLUMNS.len()], shown: &[bool; COLUMNS.len()]| -> usize {
        let used: usize = widths.iter().zip(shown).filter(|&(_, &shown)| shown).map(|(width, _)| width + 2).sum();
        used.saturating_sub(2)
    };
    for rank in (1..=7).rev() {
        if width_of(widths, &shown) > columns {
            for (shown, column) in shown.iter_mut().zip(&COLUMNS) {
                *shown &= column.dispensable != rank;
            }
        }
    }
    let excess = width_of(widths, &shown).saturating_sub(columns);
    if excess > 0 {
        let room: usize = ENDPOINTS.iter().map(|&at| widths[at]).sum::<usize>().saturating_sub(excess);
        // The shorter endpoint keeps what it needs, the longer one gets the rest.
        let [first, second] = ENDPOINTS;
        let (short, long) = if widths[first] <= widths[second] { (first, second) } else { (second, first) };
        widths[short] = widths[short].min(room / 2).max(ENDPOINT_MIN);
        widths[long] = widths[long].min(room.saturating_sub(widths[short])).max(ENDPOINT_MIN);
    }
    shown
}

fn line(text: &mut String, cells: &[String; COLUMNS.len()], widths: &[usize; COLUMNS.len()], shown: &[bool; COLUMNS.len()]) {
    let start = text.len();
    for (((cell, &width), &shown), column) in cells.iter().zip(widths).zip(shown).zip(&COLUMNS) {
        if !shown {
            continue;
        }
        if text.len() > start {
            text.push_str("  ");
        }
        let cell = shorten(cell, width);
        // Writing to a String cannot fail.
        let _ = if column.right { write!(text, "{cell:>width$}") } else { write!(text, "{cell:<width$}") };
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
}

/// Cuts the middle out: the end of an endpoint holds its port.
fn shorten(cell: &str, width: usize) -> String {
    if cell.len() <= width {
        return cell.to_owned();
    }
    let kept = width.saturating_sub(2);
    let head = kept / 2;
    let tail = cell.len() - (kept - head);
    // Cells are ASCII, so every index is a boundary.
    format!("{}..{}", cell.get(..head).unwrap_or_default(), cell.get(tail..).unwrap_or_default())
}

/// What is spoken and what was asked for, for example `tls www.example.com`; a name that another flow told in parentheses. Both come
/// from the wire.
fn application(facts: FactSet<'_>) -> String {
    let ascii =
        |word: &[u8]| word.iter().map(|&byte| if byte.is_ascii_graphic() { byte.into() } else { '?' }).collect::<String>();
    let name = asked_name(facts).map(ascii);
    let name = name.map(|name| if is_others_name(facts) { format!("({name})") } else { name });
    let words: Vec<String> = spoken(facts).map(ascii).into_iter().chain(name).collect();
    shorten(&words.join(" "), APP_MAX)
}

fn row(record: &FlowRecord, facts: FactSet<'_>) -> [String; COLUMNS.len()] {
    let tcp = record.tcp.as_ref();
    let opener = tcp.and_then(|tcp| tcp.client).unwrap_or(record.initiator);
    let [a, b] = endpoints(&record.key);
    let (client, server) = if opener == Direction::AToB { (a, b) } else { (b, a) };
    let rtt = tcp.and_then(|tcp| tcp.typical_rtt_ns().or(tcp.handshake_rtt_ns));
    [
        protocol_name(record.key.protocol()).to_owned(),
        client,
        server,
        application(facts),
        record.packets[0].saturating_add(record.packets[1]).to_string(),
        human_bytes(bytes_total(record)),
        human_duration(duration_ns(record)),
        FlowState::of(record, facts).map_or("-", FlowState::name).to_owned(),
        tcp.map_or("-".to_owned(), |tcp| tcp.retransmissions.to_string()),
        rtt.map_or("-".to_owned(), human_duration),
        vlan_ids(record).iter().map(u16::to_string).collect::<Vec<_>>().join(","),
        record.tunnel.map_or_else(String::new, |tunnel| format!("{} {}", tunnel.kind.name(), tunnel.id)),
    ]
}

/// Both endpoints as text: `ADDRESS:PORT`, `[ADDRESS]:PORT`, or the address alone where there are no ports.
pub fn endpoints(key: &FlowKey) -> [String; 2] {
    let (a_port, b_port) = ports(key);
    let has_ports = (a_port, b_port) != (0, 0);
    let icmp = IcmpFlow::of(key);
    let one = |ip: IpAddr, port: u16, side: usize| match icmp {
        _ if has_ports => SocketAddr::new(ip, port).to_string(),
        Some(IcmpFlow::Echo(id)) => format!("{ip} id={id}"),
        Some(IcmpFlow::Pair(kinds)) => format!("{ip} type={}", kinds[side]),
        Some(IcmpFlow::OneWay { kind, code, .. }) => format!("{ip} type={kind}/{code}"),
        None => ip.to_string(),
    };
    [one(key.a_ip(), a_port, 0), one(key.b_ip(), b_port, 1)]
}

/// Bytes with a decimal unit: `999 B`, `1.2 kB`, `34.5 MB`.
pub fn human_bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1000.0;
    let mut unit = UNITS[0];
    for &next in &UNITS[1..] {
        // 999.95 would be printed as 1000.0.
        if value < 999.95 {
            break;
        }
        value /= 1000.0;
        unit = next;
    }
    format!("{value:.1} {unit}")
}

/// A duration with three or four digits: `0 s`, `12.3 us`, `4.56 ms`, `7.89 s`, `2 m 03 s`, `1 h 02 m`.
pub fn human_duration(ns: u64) -> String {
    let value = ns as f64;
    let seconds = ns / 1_000_000_000;
    match ns {
        0 => "0 s".to_owned(),
        1..=999 => format!("{ns} ns"),
        1_000..=999_949 => format!("{:.1} us", value / 1e3),
        999_950..=999_994_999 => format!("{:.2} ms", value / 1e6),
        999_995_000..=59_994_999_999 => format!("{:.2} s", value / 1e9),
        _ if seconds < 3600 => format!("{} m {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} m", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::TcpRecord;
    use crate::record::test_records::{icmp_record, tcp_record, udp6_record};
    use crate::record::test_told::told_table;
    use proptest::prelude::*;

    fn without_facts(records: &[FlowRecord]) -> impl ExactSizeIterator<Item = (FlowRecord, FactSet<'static>)> {
        records.iter().map(|record| (*record, FactSet::NONE))
    }

    #[test]
    fn what_a_flow_is_stands_in_a_column_of_its_own() {
        let flows = told_table();
        let text = flow_table(flows.iter().map(|(record, facts)| (*record, facts.facts())), 10, 200);
        let heading = text.lines().next().expect("a heading");
        assert!(heading.contains("SERVER") && heading.contains("  APP "), "{heading}");
        assert!(text.contains(" ssh ") && text.is_ascii() && !text.contains('\x1b'), "{text}");
        for columns in COLUMNS_MIN..140 {
            let text = flow_table(flows.iter().map(|(record, facts)| (*record, facts.facts())), 10, columns);
            assert!(text.lines().all(|line| line.len() <= columns), "{columns}: {text}");
        }
    }

    #[test]
    fn the_round_trip_is_the_servers_where_the_client_is_known() {
        let rtt = |change: fn(&mut TcpRecord)| {
            let mut record = tcp_record();
            record.tcp.as_mut().map(change);
            row(&record, FactSet::NONE)[9].clone()
        };
        assert_eq!(rtt(|_| {}), "6.05 ms");
        assert_eq!(rtt(|tcp| tcp.client = Some(Direction::AToB)), "180.0 us");
        assert_eq!(rtt(|tcp| tcp.client = None), "2.00 ms");
        assert_eq!(rtt(|tcp| tcp.rtt_sides = [None; 2]), "2.00 ms");
        assert_eq!(rtt(|tcp| (tcp.rtt_sides, tcp.rtt) = ([None; 2], None)), "1.23 ms");
    }

    #[test]
    fn a_wide_terminal_shows_everything() {
        let text = flow_table(without_facts(&[tcp_record(), udp6_record(), icmp_record()]), 10, 200);
        assert_eq!(
            text,
            "\
PROTO  CLIENT               SERVER             PACKETS   BYTES  DURATION  STATE        RETRANS      RTT  VLAN     TUNNEL
tcp    10.0.0.2:40000       10.0.0.1:443            17  5.0 kB    2.50 s  established        3  6.05 ms  100,200  vxlan 42
udp    [2001:db8::1]:53000  [2001:db8::53]:53        2   300 B       0 s  two_way            -        -
icmp   192.0.2.1 id=77      192.0.2.2 id=77          4   392 B    3.00 s  replied            -        -
"
        );
    }

    #[test]
    fn vlan_and_tunnel_are_columns_where_a_flow_has_them() {
        let heading = |record, columns| {
            let text = flow_table(without_facts(&[record]), 10, columns);
            text.lines().next().map(str::to_owned)
        };
        let wide = heading(udp6_record(), 200);
        assert!(wide.is_some_and(|heading| heading.ends_with("RTT")), "none has any");
        // What tells flows apart stays longer than what describes them.
        let narrow = heading(tcp_record(), 90);
        assert!(narrow.as_ref().is_some_and(|heading| heading.contains("VLAN") && !heading.contains("RTT")), "{narrow:?}");
    }

    #[test]
    fn what_is_left_out_is_said() {
        let text = flow_table(without_facts(&[tcp_record(), udp6_record()]), 1, 200);
        assert!(text.ends_with("... and 1 more\n"), "{text}");
    }

    #[test]
    fn no_line_is_wider_than_asked() {
        let records = [tcp_record(), udp6_record(), icmp_record()];
        for columns in COLUMNS_MIN..140 {
            for line in flow_table(without_facts(&records), 10, columns).lines() {
                assert!(line.len() <= columns, "{columns}: {line}");
            }
        }
        let narrow = flow_table(without_facts(&records), 10, COLUMNS_MIN);
        assert!(narrow.contains(":443") && narrow.contains("5.0 kB"), "{narrow}");
    }

    #[test]
    fn units() {
        assert_eq!(human_bytes(0), "0 B");
        assert_eq!(human_bytes(999), "999 B");
        assert_eq!(human_bytes(1000), "1.0 kB");
        assert_eq!(human_bytes(999_999), "1.0 MB");
        assert_eq!(human_bytes(u64::MAX), "18.4 EB");
        assert_eq!(human_duration(59_999_999_999), "0 m 59 s");
        assert_eq!(human_duration(125_000_000_000), "2 m 05 s");
        assert_eq!(human_duration(3_725_000_000_000), "1 h 02 m");
        assert_eq!(human_duration(999_999), "1.00 ms");
    }

    proptest! {
        #[test]
        fn any_number_has_a_short_text(value: u64) {
            prop_assert!(human_bytes(value).len() <= 8);
            prop_assert!(human_duration(value).len() <= 14);
        }
    }
}
