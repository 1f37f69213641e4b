//! One packet as one line of text.
//!
//! Owns the order of a line's parts and which header says what. Knows no flow table: what a flow knows of its packet comes as a
//! note. Its invariant: no byte of the packet is in a line as it came; it was turned into a number or a name of ours, or
//! [escaped](super::untrusted). Nothing is allocated for a line but what protocols of datagrams need to be read.

mod clock;
mod icmp;
mod link;
mod palette;
mod parts;
mod payload;
mod tcp;
#[cfg(test)]
mod tests;
mod tunnel;

use self::clock::LineClock;
use self::link::LinkProtocol;
use self::palette::Palette;
use self::parts::Line;
use super::payload_facts::payload_facts;
use super::text::{FieldWord, TextEnd};
use crate::flow::{FactBuffer, FactSet, FlowNote};
use crate::wire::{self, Dissected, Header, Layer, Ports, Transport, Visitor, extension, walk};
use netscope_backends::Packet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use clock::LineTime;
pub(super) use parts::{Colons, FlagNames, ProtocolAddress};
pub(super) use tcp::mark_names;

/// How packets are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineStyle {
    /// What stands for the time.
    pub time: LineTime,
    /// With times of day, a line with the date comes before the first packet; else only where the date changes.
    pub first_date: bool,
    /// Show link headers with their addresses.
    pub link: bool,
    /// TCP numbers as sent, not counted from the connection's first.
    pub absolute_seq: bool,
    /// Say what the payload says: the protocol, names, versions.
    pub payload: bool,
    /// With colours (ANSI escape sequences).
    pub color: bool,
}

/// Writes packets as lines. Remembers what a line has from those before it: date, time of the latest packet.
pub struct PacketLines {
    style: LineStyle,
    palette: &'static Palette,
    clock: LineClock,
    /// The interface that the next packet came by, where there are several.
    interface: FieldWord,
    /// Of one packet's payload.
    facts: FactBuffer,
}

impl PacketLines {
    /// Before the first packet.
    pub fn new(style: LineStyle) -> Self {
        Self {
            style,
            palette: if style.color { &Palette::COLOR } else { &Palette::PLAIN },
            clock: LineClock::new(style.time, style.first_date),
            interface: FieldWord::EMPTY,
            facts: FactBuffer::default(),
        }
    }

    /// From now on the name of an interface stands behind the time.
    pub fn set_interface(&mut self, name: FieldWord) {
        self.interface = name;
    }

    /// Appends what the payload of a packet says, as in its line, after a space; nothing where it says nothing that is known.
    pub fn push_payload(&mut self, out: &mut TextEnd<'_>, packet: &Packet<'_>) {
        let dissected = wire::dissect(packet.link_type, packet.data, packet.wire_len);
        self.facts.clear();
        payload_facts(&dissected, packet.data, packet.wire_len, &mut self.facts);
        Line { out, palette: self.palette }.facts(self.facts.facts());
    }

    /// Appends a packet's line and its end: `#number time`, then the packet's parts, outermost first, for example `#12
    /// 14:03:07.123456 10.0.0.1:443 > 10.0.0.2:51234 tcp [SYN,ACK] seq=0 ack=1 win=65535 mss=1460 len=0 frame=58`. What
    /// could not be read and what the flow's analysis found come last. Before a packet of another day than the one before, a
    /// line with the date comes, before the first one where that is asked for.
    pub fn push(&mut self, out: &mut TextEnd<'_>, number: u64, note: Option<&FlowNote>, packet: &Packet<'_>) {
        let mut line = Line { out, palette: self.palette };
        self.clock.push_date(&mut line, packet.time);
        line.paint(self.palette.dim, |line| {
            line.text("#");
            line.number(number);
            line.text(" ");
            self.clock.push_time(line, packet.time);
            if self.interface != FieldWord::EMPTY {
                line.text(" ");
                line.text(self.interface.as_str());
            }
        });
        let mut visitor = LineVisitor { line, style: &self.style, pending: None, fragment: None, link: LinkProtocol::Unknown };
        let dissected = walk(packet.link_type, packet.data, packet.wire_len, &mut visitor);
        self.facts.clear();
        if self.style.payload {
            payload_facts(&dissected, packet.data, packet.wire_len, &mut self.facts);
        }
        visitor.end(&dissected, self.facts.facts(), note, packet);
        out.byte(b'\n');
    }
}

/// Identification, offset and whether more follow.
type FragmentFields = (u32, u32, bool);

struct LineVisitor<'a, 'o, 't> {
    line: Line<'o, 't>,
    style: &'a LineStyle,
    /// Addresses of the IP header that was read last, for which ports may still come.
    pending: Option<(IpAddr, IpAddr)>,
    /// Of that IP header or one around it.
    fragment: Option<FragmentFields>,
    /// What the link header that was read last says of what follows.
    link: LinkProtocol,
}

impl Visitor for LineVisitor<'_, '_, '_> {
    #[inline]
    fn header(&mut self, header: &Header<'_>, _offset: usize) {
        match header {
            // At the end, when all is known.
            Header::Tcp(_) | Header::Icmp(_) | Header::Icmpv6(_) | Header::Igmp(_) | Header::Sctp(_) => {}
            Header::Ipv4(h) => {
                self.network(Ipv4Addr::from(h.source()).into(), Ipv4Addr::from(h.destination()).into());
                if h.is_fragment() {
                    self.fragment = Some((h.id().into(), h.fragment_offset(), h.more_fragments()));
                }
            }
            Header::Ipv6(h) => self.network(Ipv6Addr::from(h.source()).into(), Ipv6Addr::from(h.destination()).into()),
            Header::Ipv6Extension(h) if h.kind() == extension::FRAGMENT => {
                self.fragment = Some((h.fragment_id(), h.fragment_offset(), h.more_fragments()));
            }
            Header::Ipv6Extension(_) => {}
            Header::Udp(h) => {
                self.ports(h.ports());
                self.line.paint(self.line.palette.udp, |line| line.text(" udp"));
                self.line.pair(" len=", h.datagram_len().saturating_sub(8).into());
            }
            Header::UdpLite(h) => {
                self.ports(h.ports());
                self.line.paint(self.line.palette.udp, |line| line.text(" udp-lite"));
            }
            Header::Arp(h) => {
                self.link = LinkProtocol::Arp;
                self.line.arp(h);
            }
            other if self.line.link_header(other, &mut self.link, self.style.link) => {}
            other => {
                self.addresses();
                self.line.tunnel_header(other, &mut self.link);
            }
        }
    }
}

impl LineVisitor<'_, '_, '_> {
    /// An IP header was read.
    #[inline]
    fn network(&mut self, source: IpAddr, destination: IpAddr) {
        if self.pending.is_some() {
            self.addresses();
            self.line.text(" ipip");
        }
        self.link = LinkProtocol::Said;
        self.pending = Some((source, destination));
    }

    /// Addresses for which no ports came.
    fn addresses(&mut self) {
        if let Some((source, destination)) = self.pending.take() {
            self.line.text(" ");
            self.line.ip(source);
            self.line.text(" > ");
            self.line.ip(destination);
        }
    }

    /// Addresses and ports.
    fn ports(&mut self, ports: Ports) {
        let Some((source, destination)) = self.pending.take() else { return };
        self.line.text(" ");
        self.line.endpoint(source, ports.source);
        self.line.text(" > ");
        self.line.endpoint(destination, ports.destination);
    }

    /// What only the facts as a whole say.
    fn end(&mut self, facts: &Dissected, payload: FactSet<'_>, note: Option<&FlowNote>, packet: &Packet<'_>) {
        match &facts.transport {
            Transport::Tcp(segment) => {
                self.ports(segment.ports);
                self.line.tcp(segment, note, self.style.absolute_seq);
            }
            Transport::TcpPorts(ports) => {
                self.ports(*ports);
                self.line.paint(self.line.palette.tcp, |line| line.text(" tcp"));
            }
            transport => self.end_other(transport, facts, packet),
        }
        self.line.facts(payload);
        let is_numbered = facts.fault.is_some_and(|fault| fault.kind == wire::FaultKind::Unknown) && self.unknown(facts);
        if let Some((id, offset, more)) = self.fragment {
            self.line.pair_hex(" frag id=", id);
            self.line.pair(" offset=", offset.into());
            self.line.text(if more { " more" } else { "" });
        }
        self.line.pair(" frame=", packet.wire_len.into());
        if packet.data.len() < packet.wire_len as usize {
            self.line.pair(" captured=", packet.data.len() as u64);
        }
        if facts.ipv4_checksum_bad {
            self.line.paint(self.line.palette.alarm, |line| line.text(" (bad ipv4 checksum)"));
        }
        // What is not read here was said by its number.
        if let Some(fault) = facts.fault.filter(|_| !is_numbered) {
            self.line.paint(self.line.palette.mark, |line| {
                line.text(" (");
                line.text(fault.kind.name());
                line.text(" ");
                line.text(fault.layer.name());
                line.text(")");
            });
        }
        if let Some(note) = note {
            self.line.marks(note);
        }
    }

    /// Anything but TCP.
    #[inline(never)]
    fn end_other(&mut self, transport: &Transport, facts: &Dissected, packet: &Packet<'_>) {
        let start = facts.payload_offset as usize;
        let payload = packet.data.get(start..).unwrap_or_default();
        let payload = payload.get(..facts.payload_len as usize).unwrap_or(payload);
        match transport {
            Transport::Udp(ports) if self.pending.is_some() => {
                // Its header is not whole.
                self.ports(*ports);
                self.line.paint(self.line.palette.udp, |line| line.text(" udp"));
            }
            Transport::UdpLite(ports) if self.pending.is_some() => {
                self.ports(*ports);
                self.line.paint(self.line.palette.udp, |line| line.text(" udp-lite"));
            }
            Transport::Sctp(ports) => {
                self.ports(*ports);
                self.line.sctp(payload);
            }
            Transport::Echo { .. } | Transport::Icmp { .. } => {
                self.addresses();
                self.line.icmp(facts, packet.data, payload);
            }
            Transport::Other if facts.layer == Layer::Igmp => {
                self.addresses();
                self.line.igmp(packet.data.get(..start).unwrap_or_default(), payload);
            }
            Transport::Other => self.other_protocol(facts),
            // A later fragment, or nothing that could be read.
            Transport::None if self.pending.is_some() => self.other_protocol(facts),
            Transport::None if facts.network.is_none() => self.line.link_payload(self.link, payload),
            _ => {}
        }
    }

    /// What is not read: true when its number is in the line.
    #[cold]
    fn unknown(&mut self, facts: &Dissected) -> bool {
        if facts.network.is_some() {
            self.addresses();
            self.line.text(if self.link.is_numbered() { " " } else { "" });
            self.line.link_number(self.link);
        }
        self.link.is_numbered()
    }

    /// An IP protocol of which no header was read, or one around something that was not.
    fn other_protocol(&mut self, facts: &Dissected) {
        if self.pending.is_some() {
            self.addresses();
            let protocol = facts.network.map_or(0, |network| network.protocol);
            self.line.paint(self.line.palette.other, |line| {
                line.text(" ");
                line.text(super::names::protocol_name(protocol));
            });
        }
        self.line.pair(" len=", facts.payload_len.into());
    }
}
