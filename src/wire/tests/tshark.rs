//! Every packet of the zoo as tshark has it: addresses and ports of the innermost flow, VLAN ids.

use super::build::zoo;
use super::{Header, Visitor, dissect, walk};
use crate::wire::*;
use netscope_backends::LinkType;
use std::process::Command;

/// What tshark 4.0 does not read unless it is told how, and why.
const UNREAD_BY_TSHARK: [(&str, &str); 13] = [
    ("pseudowire", "it guesses that there is no control word"),
    ("ppp pppd", "link type 166 is not known"),
    ("cisco hdlc direction", "link type 205 is not known"),
    ("nflog big", "the byte order is that of the reading host"),
    ("dsa", "link type 284 is not known"),
    ("dsa tagged", "link type 284 is not known"),
    ("edsa", "link type 285 is not known"),
    ("edsa ethertype", "the EtherType is a setting of the switch"),
    ("sll 802.11", "only radiotap is known behind a cooked header"),
    ("sll prism", "only radiotap is known behind a cooked header"),
    ("erspan3 ip", "carries Ethernet alone"),
    ("lisp ethernet", "the generic protocol extension is not known"),
    ("l2tpv3", "needs the control messages, as does L2TPv3 over UDP"),
];

/// A pcapng file with an interface for each link type.
fn pcapng(packets: &[(&str, u16, Vec<u8>)]) -> Vec<u8> {
    let mut links: Vec<u16> = packets.iter().map(|packet| packet.1).collect();
    links.sort_unstable();
    links.dedup();
    let mut file = Vec::new();
    let mut block = |kind: u32, body: &[&[u8]]| {
        let body = body.concat();
        let len = (12 + body.len().next_multiple_of(4)) as u32;
        file.extend(kind.to_le_bytes());
        file.extend(len.to_le_bytes());
        file.extend(&body);
        file.resize(file.len().next_multiple_of(4), 0);
        file.extend(len.to_le_bytes());
    };
    block(0x0a0d_0d0a, &[&0x1a2b_3c4d_u32.to_le_bytes(), &[1, 0, 0, 0], &[0xff; 8]]);
    for link in &links {
        block(1, &[&link.to_le_bytes(), &[0, 0], &65_535_u32.to_le_bytes()]);
    }
    for (_, link, data) in packets {
        let interface = links.binary_search(link).expect("listed") as u32;
        let len = (data.len() as u32).to_le_bytes();
        block(6, &[&interface.to_le_bytes(), &[0; 8], &len, &len, data]);
    }
    file
}

#[derive(Default)]
struct VlanIds(Vec<String>);

impl Visitor for VlanIds {
    fn header(&mut self, header: &Header<'_>, _offset: usize) {
        if let Header::Vlan(tag) = header {
            self.0.push(tag.id().to_string());
        }
    }
}

/// VLAN ids, and the last ports.
fn ours(link: u16, data: &[u8]) -> String {
    let mut ids = VlanIds::default();
    walk(LinkType(link), data, data.len() as u32, &mut ids);
    let facts = dissect(LinkType(link), data);
    let flow = match facts.transport {
        Transport::Tcp(segment) => format!("tcp {} {}", segment.ports.source, segment.ports.destination),
        Transport::Udp(ports) => format!("udp {} {}", ports.source, ports.destination),
        _ => String::from("none"),
    };
    format!("{flow} vlan {}", ids.0.join(","))
}

/// The same out of a line of tshark's, whose values of several layers stand outermost first.
fn theirs(line: &str) -> String {
    let fields: Vec<&str> = line.split('\t').collect();
    let last = |index: usize| fields[index].rsplit(',').next().unwrap_or_default();
    let flow = match fields[0].rsplit(':').find(|name| ["tcp", "udp"].contains(name)) {
        Some("tcp") => format!("tcp {} {}", last(1), last(2)),
        Some(_) => format!("udp {} {}", last(3), last(4)),
        None => String::from("none"),
    };
    let ids: Vec<&str> = fields[5..].iter().flat_map(|field| field.split(',')).filter(|id| !id.is_empty()).collect();
    format!("{flow} vlan {}", ids.join(","))
}

#[test]
fn the_zoo_is_read_as_tshark_reads_it() {
    let is_ip = |packet: &&(&str, u16, Vec<u8>)| !packet.0.contains("error") && !packet.0.contains("udp-lite");
    let packets: Vec<_> = zoo().iter().filter(is_ip).cloned().collect();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("zoo.pcapng");
    std::fs::write(&path, pcapng(&packets)).expect("written");
    let fields = ["frame.protocols", "tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport", "ieee8021ad.id", "vlan.id"];
    let mut command = Command::new("tshark");
    command.arg("-n").arg("-r").arg(&path).args(["-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE", "-T", "fields"]);
    let Ok(output) = command.args(fields.iter().flat_map(|field| ["-e", field])).output() else {
        eprintln!("skipped: no tshark");
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), packets.len(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut differences = Vec::new();
    for ((name, link, data), line) in packets.iter().zip(lines) {
        let (ours, theirs) = (ours(*link, data), theirs(line));
        let is_unread = UNREAD_BY_TSHARK.iter().any(|(unread, _)| unread == name) || *name == "l2tpv3 over udp";
        if (ours == theirs) == is_unread {
            differences.push(format!("{name}: {ours}, tshark {theirs} ({line:?})"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
