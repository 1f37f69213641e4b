//! One packet as one line of text.
//!
//! Owns the wording. Knows no flow. Its invariant: a line has no byte of the packet in it that was not turned
//! into a number.

use crate::wire::{self, Dissected, Header, Transport, Visitor, ethertype, walk};
use netscope_backends::{LinkType, Timestamp};
use std::fmt::{self, Display, Write};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Appends `#number HH:MM:SS.micros` (UTC) and the packet's layers, outermost first, without a line end: for
/// example `#12 14:03:07.123456 eth 02:00:00:00:00:01 > 02:00:00:00:00:02 ipv4 10.0.0.1 > 10.0.0.2 tcp 443 >
/// 51234 [SYN,ACK] seq=1 ack=2 win=65535 len=0`. What could not be read comes last, as in `(truncated tcp)`.
pub fn write_packet_line(out: &mut String, number: u64, time: Timestamp, link_type: LinkType, data: &[u8], wire_len: u32) {
    // Writing to a String cannot fail, here and below.
    let _ = write!(out, "#{number} {}", TimeOfDay(time));
    let mut line = LineVisitor { out, ports_shown: false };
    let facts = walk(link_type, data, wire_len, &mut line);
    line.end(&facts);
}

/// HH:MM:SS.micros of the day, UTC.
struct TimeOfDay(Timestamp);

impl Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, micros) = (self.0.0 / Timestamp::NS_PER_SEC, self.0.0 % Timestamp::NS_PER_SEC / 1000);
        write!(f, "{:02}:{:02}:{:02}.{micros:06}", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60)
    }
}

/// Bytes in hex with colons between them, as hardware addresses are written.
pub(super) struct Colons<'a>(pub &'a [u8]);

impl Display for Colons<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let colon = if index == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02x}")?;
        }
        Ok(())
    }
}

/// Names of the control bits that are set, with commas between them; `none` without any.
pub(super) struct FlagNames(pub wire::TcpFlags);

impl Display for FlagNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 9] = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "AE"];
        let mut comma = "";
        for (_, name) in NAMES.iter().enumerate().filter(|(bit, _)| self.0.0 >> bit & 1 != 0) {
            write!(f, "{comma}{name}")?;
            comma = ",";
        }
        if comma.is_empty() { f.write_str("none") } else { Ok(()) }
    }
}

/// A protocol address out of ARP: IPv4 where it has 4 bytes.
pub(super) struct ProtocolAddress<'a>(pub &'a [u8]);

impl Display for ProtocolAddress<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self.0 {
            [a, b, c, d] => Ipv4Addr::new(a, b, c, d).fmt(f),
            ref other => Colons(other).fmt(f),
        }
    }
}

struct LineVisitor<'a> {
    out: &'a mut String,
    /// The innermost IP header's ports are in the line.
    ports_shown: bool,
}

impl Visitor for LineVisitor<'_> {
    fn header(&mut self, header: &Header<'_>, _offset: usize) {
        self.out.push(' ');
        let _ = match header {
            Header::Tcp(h) => self.tcp(h),
            Header::Ipv4(h) => {
                self.ports_shown = false;
                let _ = write!(self.out, "ipv4 {} > {}", Ipv4Addr::from(h.source()), Ipv4Addr::from(h.destination()));
                if h.is_fragment() { self.fragment(u32::from(h.id()), h.fragment_offset(), h.more_fragments()) } else { Ok(()) }
            }
            Header::Ipv6(h) => {
                self.ports_shown = false;
                write!(self.out, "ipv6 {} > {}", Ipv6Addr::from(h.source()), Ipv6Addr::from(h.destination()))
            }
            Header::Ipv6Extension(h) if h.kind() == wire::extension::FRAGMENT => {
                self.out.pop();
                self.fragment(h.fragment_id(), h.fragment_offset(), h.more_fragments())
            }
            Header::Ipv6Extension(h) => write!(self.out, "ext {}", h.kind()),
            Header::Udp(h) => {
                let _ = self.ports("udp", h.ports());
                write!(self.out, " len={}", h.datagram_len().saturating_sub(8))
            }
            Header::UdpLite(h) => self.ports("udp-lite", h.ports()),
            Header::Sctp(h) => self.ports("sctp", h.ports()),
            Header::Icmp(h) => write!(self.out, "icmp type={} code={}", h.kind(), h.code()),
            Header::Icmpv6(h) => write!(self.out, "icmpv6 type={} code={}", h.kind(), h.code()),
            Header::Igmp(h) => write!(self.out, "igmp type={:#04x} group {}", h.kind(), Ipv4Addr::from(h.group())),
            link_or_tunnel => self.link_or_tunnel(link_or_tunnel),
        };
    }
}

impl LineVisitor<'_> {
    fn tcp(&mut self, header: &wire::Tcp<'_>) -> fmt::Result {
        let (ports, flags) = (header.ports(), header.flags());
        self.ports_shown = true;
        write!(self.out, "tcp {} > {} [{}] seq={}", ports.source, ports.destination, FlagNames(flags), header.sequence())?;
        if flags.has(wire::TcpFlags::ACK) {
            write!(self.out, " ack={}", header.acknowledgment())?;
        }
        write!(self.out, " win={}", header.window())
    }

    fn ports(&mut self, name: &str, ports: wire::Ports) -> fmt::Result {
        self.ports_shown = true;
        write!(self.out, "{name} {} > {}", ports.source, ports.destination)
    }

    fn fragment(&mut self, id: u32, offset: u32, more: bool) -> fmt::Result {
        write!(self.out, " frag id={id:#x} offset={offset}{}", if more { " more" } else { "" })
    }

    fn link_or_tunnel(&mut self, header: &Header<'_>) -> fmt::Result {
        let out = &mut *self.out;
        match header {
            Header::Ethernet(h) => write!(out, "eth {} > {}", Colons(&h.source()), Colons(&h.destination())),
            Header::Vlan(h) => write!(out, "vlan {}", h.id()),
            Header::Llc(h) => write!(out, "llc {:#04x} > {:#04x}", h.ssap(), h.dsap()),
            Header::Mpls(h) => write!(out, "mpls {}", h.label()),
            Header::Pppoe(h) => write!(out, "pppoe session={}", h.session_id()),
            Header::Ppp(h) => write!(out, "ppp {:#06x}", h.protocol()),
            Header::Sll(h) => write!(out, "sll {}", wire::packet_type_name(h.packet_type())),
            Header::Sll2(h) => write!(out, "sll2 if={} {}", h.interface_index(), wire::packet_type_name(h.packet_type())),
            Header::Null(h) => write!(out, "loopback family={}", h.family()),
            Header::Etag(_) | Header::Vntag(_) | Header::Pbb(_) | Header::Nsh(_) | Header::Macsec(_) => self.tag(header),
            Header::Redundancy(_) | Header::Cmd(_) | Header::Dsa(_) | Header::Edsa(_) => self.tag(header),
            Header::Hdlc(h) => write!(out, "hdlc {:#06x}", h.ether_type()),
            Header::Nflog(h) => write!(out, "nflog group={}", h.group()),
            Header::Radiotap(_) => out.write_str("radio"),
            Header::Ppi(h) => write!(out, "ppi {}", h.link_type()),
            Header::Wlan(h) => write!(out, "wlan type={} subtype={}", h.kind(), h.subtype()),
            Header::Arp(h) => {
                let (sender, target) = (ProtocolAddress(h.sender_protocol()), ProtocolAddress(h.target_protocol()));
                match h.operation() {
                    1 => write!(out, "arp who-has {target} tell {sender}"),
                    2 => write!(out, "arp reply {sender} is-at {}", Colons(h.sender_hardware())),
                    other => write!(out, "arp operation={other} {sender} > {target}"),
                }
            }
            Header::Gre(h) => match (h.key(), ethertype::name(h.protocol())) {
                (Some(key), _) => write!(out, "gre key={key:#x}"),
                (None, Some(_)) => out.write_str("gre"),
                (None, None) => write!(out, "gre protocol={:#06x}", h.protocol()),
            },
            Header::Erspan(h) => write!(out, "erspan session={}", h.session_id()),
            Header::Vxlan(h) => write!(out, "vxlan vni={}", h.vni()),
            Header::Geneve(h) => write!(out, "geneve vni={}", h.vni()),
            Header::Gtpu(h) => write!(out, "gtp-u teid={:#x}", h.teid()),
            Header::Teredo(_) => out.write_str("teredo"),
            Header::L2tp(h) => write!(out, "l2tp tunnel={} session={}", h.tunnel_id(), h.session_id()),
            Header::L2tpv3(h) => write!(out, "l2tp session={}", h.session_id()),
            Header::Wccp(h) => write!(out, "wccp service={}", h.service()),
            Header::EtherIp(_) => out.write_str("etherip"),
            Header::Lisp(h) => write!(out, "lisp instance={}", h.instance()),
            Header::Ayiya(h) => write!(out, "ayiya operation={}", h.operation()),
            // All others are written by the caller.
            _ => Ok(()),
        }
    }

    fn tag(&mut self, header: &Header<'_>) -> fmt::Result {
        let out = &mut *self.out;
        match header {
            Header::Etag(h) => write!(out, "e-tag {}", h.channel()),
            Header::Vntag(h) => write!(out, "vn-tag {} > {}", h.source(), h.destination()),
            Header::Pbb(h) => write!(out, "pbb service={}", h.service()),
            Header::Nsh(h) => write!(out, "nsh path={} index={}", h.path(), h.index()),
            Header::Macsec(h) => write!(out, "macsec pn={}", h.packet_number()),
            Header::Redundancy(h) => write!(out, "copy {}", h.sequence()),
            Header::Cmd(h) => write!(out, "cmd group={}", h.group()),
            Header::Dsa(h) => write!(out, "dsa {}:{}", h.tag().device(), h.tag().port()),
            Header::Edsa(h) => write!(out, "dsa {}:{}", h.tag().device(), h.tag().port()),
            _ => Ok(()),
        }
    }

    /// Ports of a header that was not whole and therefore was not shown.
    fn cut_ports(&mut self, name: &str, ports: wire::Ports) -> fmt::Result {
        if self.ports_shown { Ok(()) } else { self.ports(name, ports) }
    }

    /// What only the facts as a whole say: payload length, ports without a header, the fault.
    fn end(&mut self, facts: &Dissected) {
        let _ = match facts.transport {
            Transport::Tcp(segment) => write!(self.out, " len={}", segment.payload_len),
            Transport::TcpPorts(ports) => self.cut_ports(" tcp", ports),
            Transport::Udp(ports) => self.cut_ports(" udp", ports),
            Transport::UdpLite(ports) => self.cut_ports(" udp-lite", ports),
            Transport::Sctp(ports) => self.cut_ports(" sctp", ports),
            Transport::Echo { id, .. } => write!(self.out, " id={id} len={}", facts.payload_len),
            Transport::Other => write!(self.out, " proto={} len={}", facts.network.map_or(0, |n| n.protocol), facts.payload_len),
            _ => Ok(()),
        };
        let out = &mut *self.out;
        if facts.network.is_none() && facts.payload_len > 0 {
            let _ = write!(out, " len={}", facts.payload_len);
        }
        if facts.ipv4_checksum_bad {
            out.push_str(" (bad ipv4 checksum)");
        }
        if let Some(fault) = facts.fault {
            let _ = write!(out, " ({} {})", fault.kind.name(), fault.layer.name());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(link: u16, hex: &str) -> String {
        let digits: Vec<u8> = hex.bytes().filter(|b| b.is_ascii_hexdigit()).collect();
        let data: Vec<u8> = digits.chunks(2).map(|p| u8::from_str_radix(std::str::from_utf8(p).unwrap(), 16).unwrap()).collect();
        let mut out = String::new();
        write_packet_line(&mut out, 12, Timestamp(50_587_123_456_789), LinkType(link), &data, data.len() as u32);
        out
    }

    const IPV4_TCP: &str = "45000028 00014000 40060000 0a000001 0a000002";

    #[test]
    fn a_tcp_packet() {
        let frame = format!("020000000002 020000000001 0800 {IPV4_TCP} 01bbc822 00000001 00000002 5012ffff 00000000");
        assert_eq!(
            line(1, &frame),
            "#12 14:03:07.123456 eth 02:00:00:00:00:01 > 02:00:00:00:00:02 ipv4 10.0.0.1 > 10.0.0.2 tcp 443 > 51234 [SYN,ACK] seq=1 \
             ack=2 win=65535 len=0 (bad ipv4 checksum)"
        );
    }

    #[test]
    fn what_is_cut_or_unknown_is_said() {
        let no_checksum = " (bad ipv4 checksum)";
        assert_eq!(
            line(101, &format!("{IPV4_TCP} 01bbc822 00")),
            format!("#12 14:03:07.123456 ipv4 10.0.0.1 > 10.0.0.2 tcp 443 > 51234{no_checksum} (truncated tcp)")
        );
        assert_eq!(
            line(1, "020000000002 020000000001 88cc 0102"),
            "#12 14:03:07.123456 eth 02:00:00:00:00:01 > 02:00:00:00:00:02 len=2 (unknown ethernet)"
        );
        assert_eq!(line(107, "00"), "#12 14:03:07.123456 len=1 (unknown link)");
    }

    #[test]
    fn arp_and_fragments() {
        assert_eq!(
            line(113, "0000 0001 0006 020000000001 0000 0806 0001 0800 06 04 0001 020000000001 0a000001 000000000000 0a000002"),
            "#12 14:03:07.123456 sll to us arp who-has 10.0.0.2 tell 10.0.0.1"
        );
        assert_eq!(
            line(
                229,
                "60000000 000a 2c40 20010db8000000000000000000000001 20010db8000000000000000000000002 11000011 00000009 0102"
            ),
            "#12 14:03:07.123456 ipv6 2001:db8::1 > 2001:db8::2 frag id=0x9 offset=16 more"
        );
    }

    #[test]
    fn flag_names() {
        assert_eq!(FlagNames(wire::TcpFlags(0)).to_string(), "none");
        assert_eq!(FlagNames(wire::TcpFlags(0x1ff)).to_string(), "FIN,SYN,RST,PSH,ACK,URG,ECE,CWR,AE");
    }
}
