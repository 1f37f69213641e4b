//! `docs/protocols-supported.md` says what is read: every number that leads to a header, and every fault, as the code has them.
//!
//! The code is asked, not a list: a packet that ends right behind the number is truncated in the layer that the number leads to.

use super::build::*;
use super::dissect;
use crate::wire::*;
use netscope_backends::LinkType;
use std::collections::{BTreeMap, BTreeSet};

const DOCUMENT: &str = include_str!("../../../docs/protocols-supported.md");

/// More than any header needs.
const CUT_LEN: u16 = 1000;

/// Cells of the table of layers: layer, what leads to it, reference, what is ignored, what is refused.
fn rows() -> Vec<[&'static str; 5]> {
    let (_, table) = DOCUMENT.split_once("\n| layer |").expect("the table of layers");
    let lines = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    lines
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            cells.try_into().unwrap_or_else(|cells| panic!("five cells: {cells:?}"))
        })
        .collect()
}

/// Words in backquotes.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

fn number(text: &str) -> u32 {
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => text.parse(),
    };
    parsed.unwrap_or_else(|_| panic!("a number: {text}"))
}

/// What the document says leads to which layer: `kind number`, or `kind first-last/step`.
fn documented() -> BTreeSet<(String, u32, &'static str)> {
    let mut found = BTreeSet::new();
    for [layer, from, ..] in rows() {
        let layer = quoted(layer).next().expect("a layer");
        for token in quoted(from) {
            let (kind, numbers) = token.split_once(' ').unwrap_or_else(|| panic!("kind and number: {token}"));
            let (first, rest) = numbers.split_once('-').unwrap_or((numbers, numbers));
            let (last, step) = rest.split_once('/').unwrap_or((rest, "1"));
            let numbers = (number(first)..=number(last)).step_by(number(step) as usize);
            found.extend(numbers.map(|number| (kind.to_owned(), number, layer)));
        }
    }
    found
}

/// The layer that a packet is cut in.
fn layer_behind(link: LinkType, data: &[u8]) -> Option<&'static str> {
    let fault = super::super::dissect(link, data, u32::from(CUT_LEN)).fault?;
    (fault.kind == FaultKind::Truncated).then_some(fault.layer.name())
}

/// An IP packet that says it is longer than it is.
fn cut_ip(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = ipv6(protocol, payload);
    packet[4..6].copy_from_slice(&CUT_LEN.to_be_bytes());
    packet
}

fn cut_udp(port: u16, payload: &[u8]) -> Vec<u8> {
    cut_ip(17, &join(&[&[0xff, 0xff], &port.to_be_bytes(), &CUT_LEN.to_be_bytes(), &[0, 0], payload]))
}

/// What the code says leads to which layer.
fn read() -> BTreeSet<(String, u32, &'static str)> {
    let mut found = BTreeSet::new();
    let mut scan = |kind: &str, numbers: std::ops::RangeInclusive<u16>, packet: &dyn Fn(u16) -> (LinkType, Vec<u8>)| {
        for number in numbers {
            let (link, data) = packet(number);
            found.extend(layer_behind(link, &data).map(|layer| (kind.to_owned(), u32::from(number), layer)));
        }
    };
    let all = 0..=u16::MAX;
    let raw = |data: Vec<u8>| (LinkType::RAW, data);
    let half = |value: u16| value.to_be_bytes();
    scan("link", 0..=400, &|n| (LinkType(n), Vec::new()));
    // Smaller ones are lengths.
    scan("ethertype", 1501..=u16::MAX, &|n| (LinkType::ETHERNET, ethernet(n, &[])));
    scan("sll", 0..=1500, &|n| (LinkType::LINUX_SLL, join(&[&[0, 0, 0, 1], &[0; 10], &half(n)])));
    scan("sll-hardware", all.clone(), &|n| (LinkType::LINUX_SLL, join(&[&[0, 0], &half(n), &[0; 12]])));
    scan("null", 0..=255, &|n| (LinkType::NULL, vec![n as u8, 0, 0, 0]));
    scan("nflog", 0..=255, &|n| (LinkType::NFLOG, join(&[&[n as u8, 0, 0, 0], &[0xff, 0, 9, 0]])));
    scan("hdlc", 0..=1500, &|n| (LinkType::C_HDLC, join(&[&[0x0f, 0], &half(n)])));
    scan("nsh", 0..=255, &|n| (LinkType::ETHERNET, ethernet(0x894f, &nsh(2, n as u8))));
    // Protocol numbers are even in their first byte.
    scan("ppp", all.clone(), &|n| (LinkType::PPP, join(&[&[0xff, 3], &half(n & 0xfeff)])));
    scan("ip", 0..=255, &|n| raw(cut_ip(n as u8, &[])));
    scan("gre", all.clone(), &|n| raw(cut_ip(47, &gre(0x1000, n, &[0; 4], &[]))));
    scan("erspan", 0..=31, &|n| {
        raw(cut_ip(47, &gre(0x1000, 0x22eb, &[0; 4], &[0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, (n as u8) << 2, 0])))
    });
    scan("udp", all.clone(), &|n| raw(cut_udp(n, &[])));
    scan("vxlan-gpe", 0..=255, &|n| raw(cut_udp(4790, &[8, 0, 0, n as u8, 0, 0, 0, 0])));
    scan("geneve", all, &|n| raw(cut_udp(6081, &join(&[&[0, 0], &half(n), &[0; 4]]))));
    scan("lisp", 0..=255, &|n| raw(cut_udp(4341, &[4, 0, 0, n as u8, 0, 0, 0, 0])));
    scan("ayiya", 0..=255, &|n| raw(cut_udp(5072, &[0, 0, 1, n as u8, 0, 0, 0, 0, 0])));
    found.retain(|(kind, number, _)| kind != "ppp" || number & 0x0100 == 0);
    found
}

#[test]
fn what_leads_to_a_header_is_documented() {
    let (code, text) = (read(), documented());
    let missing: Vec<_> = code.difference(&text).collect();
    let wrong: Vec<_> = text.difference(&code).collect();
    assert!(missing.is_empty() && wrong.is_empty(), "not in the document: {missing:?}\nnot in the code: {wrong:?}");
}

#[test]
fn every_layer_has_a_row_with_a_reference() {
    let rows = rows();
    let names: Vec<&str> = rows.iter().map(|row| quoted(row[0]).next().expect("a layer")).collect();
    assert_eq!(names, Layer::ALL.map(Layer::name));
    for row in rows {
        assert!(row[2..].iter().all(|cell| !cell.is_empty()), "{row:?}");
    }
}

/// Link types stand in their own table, too, with the names that messages have.
#[test]
fn every_link_type_has_its_name() {
    let (_, table) = DOCUMENT.split_once("\n| link type |").expect("the table of link types");
    let lines = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let documented: BTreeMap<u16, &str> = lines
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            (cells[0].parse().expect("a number"), cells[1])
        })
        .collect();
    let read = (0..=400).map(LinkType).filter(|link| supports(*link)).map(|link| (link.0, link_name(link)));
    assert_eq!(documented, read.collect());
}

/// Faults of damaged packets: those in the document, no others and none less.
#[test]
fn every_fault_is_documented() {
    let mut seen: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut note = |link: LinkType, data: &[u8]| {
        let fault = super::super::dissect(link, data, data.len() as u32).fault;
        if let Some(fault) = fault.filter(|fault| fault.kind != FaultKind::Truncated) {
            seen.entry(fault.layer.name()).or_default().insert(fault.kind.name());
        }
    };
    let packets = zoo().into_iter().map(|(_, link, bytes)| (link, bytes));
    // By the packet's own length.
    let short = [(101, ipv4(97, &[0x30])), (101, ipv4(47, &gre(0, 0x883e, &[], &[0, 0])))];
    for (link, bytes) in packets.chain(super::nested::packets()).chain(short) {
        (0..=bytes.len()).for_each(|len| note(LinkType(link), &bytes[..len]));
        for at in 0..bytes.len() {
            for value in (0..8).map(|bit| bytes[at] ^ 1 << bit).chain([0, 0xff]) {
                let mut damaged = bytes.clone();
                damaged[at] = value;
                note(LinkType(link), &damaged);
            }
        }
    }
    let documented: BTreeMap<&str, BTreeSet<&str>> = rows()
        .into_iter()
        .map(|row| (quoted(row[0]).next().expect("a layer"), quoted(row[4]).collect::<BTreeSet<_>>()))
        .filter(|(_, kinds)| !kinds.is_empty())
        .collect();
    let difference: Vec<_> = Layer::ALL
        .iter()
        .map(|layer| (layer.name(), seen.get(layer.name()), documented.get(layer.name())))
        .filter(|(_, seen, documented)| seen != documented)
        .collect();
    assert!(difference.is_empty(), "layer, the code's faults, the document's: {difference:#?}");
    assert!(dissect(LinkType::RAW, &[]).fault.is_some());
}
