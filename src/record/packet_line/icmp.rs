//! ICMP, ICMPv6 and IGMP in a line: what a message says, in words, and the packet that it quotes.

use super::parts::Line;
use crate::record::names::{ICMPV6, protocol_name};
use crate::wire::{
    Dissected, IpVersion, NeighborMessage, NeighborOption, Network, Ports, QuotedPacket, RouterAdvertisement, Transport,
    group_record_name, group_records, icmp_name, icmpv6_name, neighbor_options, unreachable_name, unreachable_v6_name,
};
use std::net::{IpAddr, Ipv4Addr};

/// Groups of a membership report that are shown; the others are counted.
const GROUPS_SHOWN_MAX: usize = 3;
/// Options of a neighbour discovery message that are looked at.
const OPTIONS_MAX: usize = 16;

fn ip(network: &Network, address: [u8; 16]) -> IpAddr {
    match (network.version, address) {
        (IpVersion::V4, [a, b, c, d, ..]) => Ipv4Addr::new(a, b, c, d).into(),
        (IpVersion::V6, address) => address.into(),
    }
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

const fn ports(transport: &Transport) -> Option<Ports> {
    match *transport {
        Transport::Tcp(segment) => Some(segment.ports),
        Transport::TcpPorts(ports) | Transport::Udp(ports) | Transport::UdpLite(ports) | Transport::Sctp(ports) => Some(ports),
        _ => None,
    }
}

impl Line<'_, '_> {
    /// `body`: what follows the ICMP header, of an echo what follows its numbers; `data`: the whole packet.
    #[inline(never)]
    pub fn icmp(&mut self, facts: &Dissected, data: &[u8], body: &[u8]) {
        let Some((kind, code)) = facts.transport.icmp_type_and_code() else { return };
        let is_v6 = facts.network.is_some_and(|network| network.protocol == ICMPV6);
        self.paint(self.palette.control, |line| line.text(if is_v6 { " icmpv6 " } else { " icmp " }));
        if let Transport::Echo { id, .. } = facts.transport {
            self.text(if matches!((is_v6, kind), (false, 8) | (true, 128)) { "echo request" } else { "echo reply" });
            self.pair(" id=", id.into());
            let number = (facts.payload_offset as usize).checked_sub(2).and_then(|at| be16(data, at));
            if let Some(number) = number {
                self.pair(" seq=", number.into());
            }
            return self.pair(" len=", facts.payload_len.into());
        }
        let quoted = facts.quoted_packet(data);
        if is_v6 {
            self.icmpv6_words(kind, code, body, quoted.as_ref());
        } else {
            self.icmp_words(kind, code, body, quoted.as_ref());
        }
        if let Some(quoted) = quoted {
            self.quote(&quoted);
        }
    }

    /// The quoted packet's addresses, ports and protocol.
    fn quote(&mut self, quoted: &QuotedPacket) {
        let QuotedPacket { network, transport, .. } = quoted;
        let [source, destination] = [network.source, network.destination].map(|address| ip(network, address));
        self.text(" (quotes ");
        match ports(transport) {
            Some(ports) => {
                self.endpoint(source, ports.source);
                self.text(" > ");
                self.endpoint(destination, ports.destination);
            }
            None => {
                self.ip(source);
                self.text(" > ");
                self.ip(destination);
            }
        }
        self.text(" ");
        self.text(protocol_name(network.protocol));
        if let Transport::Echo { id, request, .. } = transport {
            self.text(if *request { " echo request" } else { " echo reply" });
            self.pair(" id=", (*id).into());
        }
        self.text(")");
    }

    /// `192.0.2.2 udp port 9 unreachable`
    fn port_unreachable(&mut self, quoted: &QuotedPacket) {
        self.ip(ip(&quoted.network, quoted.network.destination));
        self.text(" ");
        self.text(protocol_name(quoted.network.protocol));
        if let Some(ports) = ports(&quoted.transport) {
            self.pair(" port ", ports.destination.into());
        }
        self.text(" unreachable");
    }

    fn icmp_words(&mut self, kind: u8, code: u8, body: &[u8], quoted: Option<&QuotedPacket>) {
        match (kind, code, quoted) {
            (3, 3, Some(quoted)) => self.port_unreachable(quoted),
            (3, _, Some(quoted)) => {
                self.ip(ip(&quoted.network, quoted.network.destination));
                self.text(" ");
                self.code_name(unreachable_name(code), code);
                match (code, be16(body, 2)) {
                    (2, _) => self.pair(" ", quoted.network.protocol.into()),
                    (4, Some(mtu)) => self.pair(", mtu ", mtu.into()),
                    _ => {}
                }
            }
            (3, ..) => self.code_name(unreachable_name(code), code),
            (5, ..) => {
                self.text(if matches!(code, 0 | 2) { "redirect network" } else { "redirect" });
                if let Some(quoted) = quoted {
                    self.text(" ");
                    self.ip(ip(&quoted.network, quoted.network.destination));
                }
                if let Some(&[a, b, c, d]) = body.first_chunk() {
                    self.text(" to ");
                    self.ipv4([a, b, c, d]);
                }
            }
            (11, ..) => self.text(if code == 1 { "time exceeded in reassembly" } else { "time exceeded in transit" }),
            (12, ..) => {
                self.text("parameter problem");
                if let Some(&pointer) = body.first() {
                    self.pair(" at byte ", pointer.into());
                }
            }
            _ => self.kind_name(icmp_name(kind), kind, code),
        }
    }

    fn icmpv6_words(&mut self, kind: u8, code: u8, body: &[u8], quoted: Option<&QuotedPacket>) {
        match (kind, code, quoted) {
            (1, 4, Some(quoted)) => self.port_unreachable(quoted),
            (1, _, Some(quoted)) => {
                self.ip(ip(&quoted.network, quoted.network.destination));
                self.text(" unreachable, ");
                self.code_name(unreachable_v6_name(code), code);
            }
            (2, ..) => {
                self.text("packet too big");
                if let Some(mtu) = be32(body, 0) {
                    self.pair(", mtu ", mtu.into());
                }
            }
            (3, ..) => self.text(if code == 1 { "time exceeded in reassembly" } else { "time exceeded in transit" }),
            (4, ..) => {
                self.text("parameter problem");
                if let Some(pointer) = be32(body, 0) {
                    self.pair(" at byte ", pointer.into());
                }
            }
            (130..=132, ..) => {
                self.kind_name(icmpv6_name(kind), kind, code);
                // Maximum response delay, reserved, group (RFC 2710 section 3).
                match body.get(4..).and_then(|body| body.first_chunk::<16>()) {
                    Some(&group) if group != [0; 16] => {
                        self.text(" ");
                        self.ipv6(group);
                    }
                    _ => {}
                }
            }
            (143, ..) => {
                self.text("multicast listener report v2");
                self.groups::<16>(body.get(4..).unwrap_or_default());
            }
            (133..=137, ..) => self.neighbor_discovery(kind, code, body),
            _ => self.kind_name(icmpv6_name(kind), kind, code),
        }
    }

    /// Neighbour discovery (RFC 4861).
    fn neighbor_discovery(&mut self, kind: u8, code: u8, body: &[u8]) {
        self.kind_name(icmpv6_name(kind), kind, code);
        let mut options_at = 4;
        match (kind, NeighborMessage::read(body), RouterAdvertisement::read(body)) {
            (135, Some(message), _) => {
                self.text(" who-has ");
                self.ipv6(message.target);
                options_at = NeighborMessage::LEN;
            }
            (136, Some(message), _) => {
                self.text(" ");
                self.ipv6(message.target);
                let said = [(message.router, " router"), (message.solicited, " solicited"), (message.overrides, " override")];
                said.iter().filter(|(is_said, _)| *is_said).for_each(|(_, text)| self.text(text));
                options_at = NeighborMessage::LEN;
            }
            (134, _, Some(router)) => {
                self.pair(" hop limit ", router.hop_limit.into());
                self.pair(", lifetime ", router.lifetime_secs.into());
                self.text(if router.managed { " s, managed" } else { " s" });
                self.text(if router.other { ", other" } else { "" });
                options_at = RouterAdvertisement::LEN;
            }
            // Reserved, target, destination (RFC 4861 section 4.5).
            (137, Some(message), _) => {
                if let Some(&destination) = body.get(20..).and_then(|body| body.first_chunk::<16>()) {
                    self.text(" ");
                    self.ipv6(destination);
                }
                self.text(" to ");
                self.ipv6(message.target);
                options_at = 36;
            }
            _ => {}
        }
        for option in neighbor_options(body.get(options_at..).unwrap_or_default()).take(OPTIONS_MAX) {
            match option {
                NeighborOption::LinkAddress(address) => {
                    self.text(if matches!(kind, 136 | 137) { " is-at " } else { " from " });
                    self.mac(&address);
                }
                NeighborOption::Prefix(prefix, len) => {
                    self.text(" prefix ");
                    self.ipv6(prefix);
                    self.pair("/", len.into());
                }
                NeighborOption::Mtu(mtu) => self.pair(" mtu ", mtu.into()),
                NeighborOption::Other(_) => {}
            }
        }
    }

    /// `headers` end with the eight bytes that all versions share, `body` follows them.
    #[inline(never)]
    pub fn igmp(&mut self, headers: &[u8], body: &[u8]) {
        let Some(&[kind, _, _, _, a, b, c, d]) = headers.last_chunk() else { return };
        self.paint(self.palette.control, |line| line.text(" igmp "));
        match kind {
            0x11 if [a, b, c, d] == [0; 4] => return self.text("general query"),
            0x11 => self.text("query "),
            0x12 => self.text("v1 report "),
            0x16 => self.text("v2 report "),
            0x17 => self.text("leave "),
            0x22 => {
                self.text("v3 report");
                return self.groups::<4>(body);
            }
            0x13 => self.text("dvmrp "),
            0x14 => self.text("pimv1 "),
            _ => self.pair("type ", kind.into()),
        }
        if matches!(kind, 0x11 | 0x12 | 0x16 | 0x17) {
            self.ipv4([a, b, c, d]);
        }
    }

    /// Groups of a report.
    fn groups<const N: usize>(&mut self, body: &[u8]) {
        let mut records = group_records::<N>(body);
        for (i, record) in records.by_ref().take(GROUPS_SHOWN_MAX).enumerate() {
            self.text(if i == 0 { " " } else { ", " });
            match (record.group.first_chunk::<16>(), record.group.first_chunk::<4>()) {
                (Some(&group), _) => self.ipv6(group),
                (None, Some(&group)) => self.ipv4(group),
                (None, None) => {}
            }
            self.text(" ");
            self.code_name(group_record_name(record.kind), record.kind);
            if record.source_count > 0 {
                self.pair(" of ", record.source_count.into());
            }
        }
        let rest = records.count();
        if rest > 0 {
            self.pair(" +", rest as u64);
        }
    }

    fn code_name(&mut self, name: Option<&str>, code: u8) {
        match name {
            Some(name) => self.text(name),
            None => self.pair("code ", code.into()),
        }
    }

    fn kind_name(&mut self, name: Option<&str>, kind: u8, code: u8) {
        match name {
            Some(name) => self.text(name),
            None => {
                self.pair("type ", kind.into());
                self.pair(" code ", code.into());
            }
        }
    }
}
