//! The ports in a flow key, for each transport.

use super::icmp::icmp_ports;
use crate::wire::{Dissected, Ports, Transport};

/// The ports of the flow a packet belongs to, as seen from its sender: real ports for TCP, UDP, UDP-Lite and SCTP, the identifier
/// twice for ICMP echo, type and code for other ICMP messages ([`super::IcmpFlow`]), 0 for everything else that was read. `None`
/// when the packet has no flow of its own: no IP header, a transport header cut or broken before its ports, or a later fragment
/// (see [`super::FragmentTable`]).
pub const fn ports_of(dissected: &Dissected) -> Option<Ports> {
    match &dissected.network {
        Some(network) => transport_ports(network.protocol, &dissected.transport),
        None => None,
    }
}

/// As [`ports_of`], of a transport header below a readable IP header that names this protocol.
pub const fn transport_ports(protocol: u8, transport: &Transport) -> Option<Ports> {
    match *transport {
        Transport::None => None,
        Transport::Tcp(segment) => Some(segment.ports),
        Transport::TcpPorts(ports) | Transport::Udp(ports) | Transport::UdpLite(ports) | Transport::Sctp(ports) => Some(ports),
        Transport::Echo { id, .. } => Some(Ports { source: id, destination: id }),
        Transport::Icmp { kind, code } => Some(icmp_ports(protocol, kind, code)),
        Transport::Other => Some(Ports { source: 0, destination: 0 }),
    }
}
