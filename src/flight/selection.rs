//! Which packets a recording gets: those of an alert's subjects, those of a filter, or all.
//!
//! Owns the comparison, over all IP headers of a packet, tunnels included, and ARP. Knows no ring. Invariant: it
//! looks at the packet alone, so what is selected does not depend on the number of workers or on time.

use crate::detect::{Alert, AlertSubject};
use crate::flow::HostAddress;
use crate::wire::{self, CommonNetwork, Header, Ports, Transport, Visitor, array_at};
use netscope_backends::filter::FilterSet;
use netscope_backends::{BackendError, LinkType, Packet};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Link types that a filter is tried for, before any packet has told its own.
const FILTER_LINK_TYPES: [LinkType; 3] = [LinkType::ETHERNET, LinkType::RAW, LinkType::LINUX_SLL2];

/// An expression of pcap-filter(7), for the first usual link type that it makes sense for.
///
/// # Errors
/// libpcap's reason when it understands it for none.
pub(super) fn compiled(expression: &str) -> Result<FilterSet, BackendError> {
    let [first, others @ ..] = FILTER_LINK_TYPES;
    FilterSet::new(expression, first)
        .or_else(|error| others.into_iter().find_map(|link_type| FilterSet::new(expression, link_type).ok()).ok_or(error))
}

/// What a recording gets.
#[derive(Debug)]
pub(super) enum PacketSelection {
    /// Everything.
    All,
    /// Packets from or to one of these.
    Subjects(Vec<AlertSubject>),
    /// Packets that match.
    Filter(Box<FilterSet>),
}

impl PacketSelection {
    /// Packets that concern an alert: those of its attacker and of its victim; where it names neither, those of the hosts of its
    /// example packets; all, where it has none.
    pub(super) fn of_alert(alert: &Alert) -> Self {
        let mut subjects: Vec<AlertSubject> = alert.attacker.into_iter().chain(alert.victim).collect();
        if subjects.is_empty() {
            for sample in &alert.samples {
                let (a, b) = sample.key.hosts();
                for host in [a, b].map(AlertSubject::host) {
                    if !subjects.contains(&host) {
                        subjects.push(host);
                    }
                }
            }
        }
        if subjects.is_empty() { Self::All } else { Self::Subjects(subjects) }
    }

    /// For a person.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::All => "all".to_owned(),
            Self::Subjects(subjects) => {
                let names: Vec<String> = subjects.iter().map(ToString::to_string).collect();
                format!("from or to {}", names.join(" or "))
            }
            Self::Filter(filter) => format!("that match \"{}\"", filter.expression()),
        }
    }

    /// Whether a packet is selected.
    pub(super) fn takes(&mut self, packet: &Packet<'_>) -> bool {
        match self {
            Self::All => true,
            Self::Filter(filter) => filter.matches(packet),
            Self::Subjects(subjects) => concerns(subjects, packet),
        }
    }
}

fn concerns(subjects: &[AlertSubject], packet: &Packet<'_>) -> bool {
    if let Some(common) = wire::common(packet.link_type, packet.data, packet.wire_len) {
        let ends = match common.network() {
            CommonNetwork::V4(header) => [v4(array_at(header, 12)), v4(array_at(header, 16))],
            CommonNetwork::V6(header) => [v6(array_at(header, 8)), v6(array_at(header, 24))],
        };
        return PacketEnds { hosts: ends, ports: Some(common.ports()) }.concern(subjects);
    }
    let mut seen = SeenEnds { subjects, open: None, has_found: false };
    let dissected = wire::walk(packet.link_type, packet.data, packet.wire_len, &mut seen);
    // Of a header that the snap length cut, the ports may be there.
    if let Transport::TcpPorts(ports) = dissected.transport {
        seen.ports(ports);
    }
    seen.close();
    seen.has_found
}

const fn v4(address: [u8; 4]) -> HostAddress {
    HostAddress::v4(address)
}

fn v6(address: [u8; 16]) -> HostAddress {
    HostAddress::from(std::net::IpAddr::V6(Ipv6Addr::from(address)))
}

/// Who sends a packet to whom.
struct PacketEnds {
    hosts: [HostAddress; 2],
    /// `None` where the packet has none, or they are in another fragment.
    ports: Option<Ports>,
}

impl PacketEnds {
    fn concern(&self, subjects: &[AlertSubject]) -> bool {
        let ports = self.ports.map(|ports| [ports.source, ports.destination]);
        (0..2).any(|end| subjects.iter().any(|subject| is_at(subject, self.hosts[end], ports.map(|ports| ports[end]))))
    }
}

/// Whether this end of a packet is the subject. A packet without ports concerns each service of its hosts.
fn is_at(subject: &AlertSubject, host: HostAddress, port: Option<u16>) -> bool {
    let is_host = match subject.prefix_len {
        Some(len) => host.is_v4() == subject.host.is_v4() && host.prefix(len) == subject.host,
        None => host == subject.host,
    };
    is_host && (subject.port.is_none() || port.is_none() || port == subject.port)
}

/// Looks at the IP headers of a packet, outermost first, each with the ports behind it.
struct SeenEnds<'a> {
    subjects: &'a [AlertSubject],
    /// The latest IP header, until what follows it is known.
    open: Option<[HostAddress; 2]>,
    has_found: bool,
}

impl SeenEnds<'_> {
    fn see(&mut self, hosts: [HostAddress; 2], ports: Option<Ports>) {
        self.has_found = self.has_found || PacketEnds { hosts, ports }.concern(self.subjects);
    }

    fn close(&mut self) {
        if let Some(hosts) = self.open.take() {
            self.see(hosts, None);
        }
    }

    fn ports(&mut self, ports: Ports) {
        if let Some(hosts) = self.open.take() {
            self.see(hosts, Some(ports));
        }
    }
}

impl Visitor for SeenEnds<'_> {
    fn header(&mut self, header: &Header<'_>, _offset: usize) {
        match header {
            Header::Ipv4(ip) => {
                self.close();
                self.open = Some([v4(ip.source()), v4(ip.destination())]);
            }
            Header::Ipv6(ip) => {
                self.close();
                self.open = Some([v6(ip.source()), v6(ip.destination())]);
            }
            Header::Tcp(tcp) => self.ports(tcp.ports()),
            Header::Udp(udp) => self.ports(udp.ports()),
            Header::UdpLite(udp) => self.ports(udp.ports()),
            Header::Sctp(sctp) => self.ports(sctp.ports()),
            Header::Arp(arp) => {
                if let Some(message) = arp.message() {
                    let hosts = [message.sender_ip, message.target_ip].map(|ip| v4(Ipv4Addr::from(ip).octets()));
                    self.see(hosts, None);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netscope_backends::Timestamp;
    use std::net::IpAddr;

    fn subject(text: &str, port: Option<u16>, prefix_len: Option<u8>) -> AlertSubject {
        AlertSubject { host: text.parse::<IpAddr>().expect("an address").into(), prefix_len, port }
    }

    fn ipv4(protocol: u8, more: &[u8]) -> Vec<u8> {
        let len = 20 + more.len() as u8;
        let mut bytes = vec![0x45, 0, 0, len, 0, 0, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 192, 0, 2, 80];
        bytes.extend(more);
        bytes
    }

    fn frame(ether_type: [u8; 2], more: &[u8]) -> Vec<u8> {
        [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2][..], &ether_type, more].concat()
    }

    fn takes(bytes: &[u8], subjects: &[AlertSubject]) -> bool {
        let packet = Packet { data: bytes, time: Timestamp(1), wire_len: bytes.len() as u32, link_type: LinkType::ETHERNET };
        PacketSelection::Subjects(subjects.to_vec()).takes(&packet)
    }

    #[test]
    fn hosts_services_and_networks_by_either_end() {
        let udp = frame([8, 0], &ipv4(17, &[0x30, 0x39, 0, 80, 0, 12, 0, 0, 1, 2, 3, 4]));
        for (subject, expected) in [
            (subject("192.0.2.80", None, None), true),
            (subject("10.0.0.1", None, None), true),
            (subject("10.0.0.2", None, None), false),
            (subject("192.0.2.80", Some(80), None), true),
            (subject("192.0.2.80", Some(12_345), None), false),
            (subject("10.0.0.1", Some(12_345), None), true),
            (subject("192.0.2.0", None, Some(24)), true),
            (subject("192.0.3.0", None, Some(24)), false),
            (subject("::", None, Some(0)), false),
        ] {
            assert_eq!(takes(&udp, &[subject]), expected, "{subject}");
            assert_eq!(takes(&udp, &[self::subject("203.0.113.1", None, None), subject]), expected, "{subject}, and another");
        }
        let icmp = frame([8, 0], &ipv4(1, &[3, 3, 0, 0, 0, 0, 0, 0]));
        assert!(takes(&icmp, &[subject("192.0.2.80", Some(80), None)]), "without ports it may concern each service");
    }

    #[test]
    fn inside_tunnels_and_arp() {
        let inner = ipv4(17, &[0x30, 0x39, 0, 80, 0, 12, 0, 0, 1, 2, 3, 4]);
        let mut outer = vec![0x45, 0, 0, 20 + inner.len() as u8, 0, 0, 0, 0, 64, 4, 0, 0, 172, 16, 0, 1, 172, 16, 0, 2];
        outer.extend(&inner);
        let tunnel = frame([8, 0], &outer);
        assert!(takes(&tunnel, &[subject("192.0.2.80", Some(80), None)]));
        assert!(takes(&tunnel, &[subject("172.16.0.2", None, None)]));
        assert!(!takes(&tunnel, &[subject("192.0.2.80", Some(81), None), subject("10.9.9.9", None, None)]));
        let mut arp = vec![0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 7];
        assert!(takes(&frame([8, 6], &arp), &[subject("10.0.0.7", None, None)]));
        arp.truncate(20);
        assert!(!takes(&frame([8, 6], &arp), &[subject("10.0.0.7", None, None)]), "cut");
    }

    #[test]
    fn cut_anywhere_is_harmless() {
        let whole = frame([8, 0], &ipv4(17, &[0x30, 0x39, 0, 80, 0, 12, 0, 0, 1, 2, 3, 4]));
        for len in 0..whole.len() {
            assert_eq!(takes(&whole[..len], &[subject("10.0.0.1", None, None)]), len >= 34, "{len}");
        }
    }

    #[test]
    fn a_filter_is_checked_before_it_is_used() {
        let mut filter = PacketSelection::Filter(Box::new(compiled("udp port 80").expect("a filter")));
        let udp = frame([8, 0], &ipv4(17, &[0x30, 0x39, 0, 80, 0, 12, 0, 0, 1, 2, 3, 4]));
        let packet = Packet { data: &udp, time: Timestamp(1), wire_len: 46, link_type: LinkType::ETHERNET };
        assert!(filter.takes(&packet));
        assert_eq!(filter.describe(), "that match \"udp port 80\"");
        assert!(compiled("port and").is_err());
    }
}
