//! The steps into tunnels over UDP.
//!
//! Owns which datagrams are taken for tunnels. Knows nothing of what is inside. The receiver's port says what a datagram is: one
//! that cannot be read as that, or that carries what is not read, is a fault. The sender's port is a hint alone.

use super::tag::carried;
use super::tunnel::is_surely_ethernet;
use super::{Next, Walker};
use crate::wire::ethernet::ethertype;
use crate::wire::view::{Unreadable, be16};
use crate::wire::{
    Ayiya, FaultKind, Geneve, Gtpu, Ipv6, L2tp, Layer, Lisp, Ports, Teredo, TunnelKind, View, Visitor, Vxlan, gtpu, l2tp,
};

/// UDP ports of tunnels (IANA service names; 8472 is what Linux used for VXLAN before it had a port).
mod port {
    pub const L2TP: u16 = 1701;
    pub const GTP_U: u16 = 2152;
    pub const TEREDO: u16 = 3544;
    pub const LISP: u16 = 4341;
    pub const GRE: u16 = 4754;
    pub const VXLAN: u16 = 4789;
    pub const VXLAN_GPE: u16 = 4790;
    pub const AYIYA: u16 = 5072;
    pub const GENEVE: u16 = 6081;
    pub const MPLS: u16 = 6635;
    pub const VXLAN_LINUX: u16 = 8472;
}

impl<V: Visitor> Walker<'_, '_, V> {
    /// Tries the tunnel a port stands for; the receiver's port first.
    #[inline(always)]
    pub(super) fn udp_tunnel(&mut self, ports: Ports) -> Next {
        // One look rules out nearly all traffic.
        if !(is_tunnel_port(ports.destination) || is_tunnel_port(ports.source)) {
            return Next::Stop;
        }
        self.tunnel_on_ports(ports)
    }

    #[inline(never)]
    fn tunnel_on_ports(&mut self, ports: Ports) -> Next {
        if self.claimed() == 0 {
            return Next::Stop;
        }
        let (start, fault) = (self.at, self.out.fault);
        let next = self.tunnel_on_port(ports.destination);
        // Nothing in a label tells that it is one, and of VXLAN's header a single bit.
        let is_hint = ports.source != ports.destination
            && match ports.source {
                port::MPLS => false,
                port::VXLAN | port::VXLAN_LINUX => self.data.get(start + Vxlan::LEN..).is_some_and(is_surely_ethernet),
                _ => true,
            };
        if !matches!(next, Next::Stop) || self.out.layer != Layer::Udp || !is_hint {
            return next;
        }
        self.at = start;
        let refused = std::mem::replace(&mut self.out.fault, fault);
        match self.tunnel_on_port(ports.source) {
            Next::Stop if self.out.fault.is_some_and(|fault| fault.kind == FaultKind::TooDeep) => Next::Stop,
            Next::Stop => {
                (self.at, self.out.layer, self.out.fault) = (start, Layer::Udp, refused);
                Next::Stop
            }
            next => next,
        }
    }

    fn tunnel_on_port(&mut self, port: u16) -> Next {
        match port {
            port::VXLAN | port::VXLAN_LINUX => self.vxlan(),
            port::VXLAN_GPE => self.vxlan_gpe(),
            port::GENEVE => self.geneve(),
            port::GTP_U => self.gtpu(),
            port::TEREDO => self.teredo(),
            port::L2TP => self.l2tp(),
            port::GRE => self.gre(),
            port::MPLS => self.enter_tunnel(TunnelKind::Mpls, 0, Layer::Mpls, Next::Mpls),
            port::LISP => self.lisp(),
            port::AYIYA => self.ayiya(),
            _ => Next::Stop,
        }
    }

    fn vxlan(&mut self) -> Next {
        match self.header::<Vxlan>() {
            Some(header) => self.enter_tunnel(TunnelKind::Vxlan, header.vni(), Layer::Vxlan, Next::Ethernet),
            None => Next::Stop,
        }
    }

    fn vxlan_gpe(&mut self) -> Next {
        let Some(header) = self.header::<Vxlan>() else { return Next::Stop };
        let next = match header.next_protocol() {
            _ if header.generic_version() != 0 => return self.unknown(),
            1 => Next::Ipv4,
            2 => Next::Ipv6,
            0 | 3 => Next::Ethernet,
            4 => Next::EtherType(ethertype::NSH),
            5 => Next::Mpls,
            _ => return self.unknown(),
        };
        self.enter_tunnel(TunnelKind::Vxlan, header.vni(), Layer::Vxlan, next)
    }

    /// Nobody but a tunnel's end looks into a control packet (RFC 8926 section 3.4).
    fn geneve(&mut self) -> Next {
        let Some(header) = self.header::<Geneve>() else { return Next::Stop };
        match carried(header.protocol()) {
            _ if header.is_control() => Next::Stop,
            Some(next) => self.enter_tunnel(TunnelKind::Geneve, header.vni(), Layer::Geneve, next),
            None => self.unknown(),
        }
    }

    /// Messages of other types carry no packet. What a packet is, no field says: IP, or a frame.
    fn gtpu(&mut self) -> Next {
        let Some(header) = self.header::<Gtpu>() else { return Next::Stop };
        if header.message_type() != gtpu::G_PDU {
            return Next::Stop;
        }
        let rest = self.rest();
        let next = match rest.first().map(|first| first >> 4) {
            Some(4 | 6) => Next::Ip,
            _ if is_surely_ethernet(rest) => Next::Ethernet,
            _ if rest.len() < self.claimed() => return self.unreadable(Layer::GtpU, Unreadable::Short(rest.len() + 1)),
            _ => return self.unknown(),
        };
        self.enter_tunnel(TunnelKind::GtpU, header.teid(), Layer::GtpU, next)
    }

    /// An IPv6 header that says more than the datagram has is none.
    fn teredo(&mut self) -> Next {
        let bytes = self.rest();
        let header = match Teredo::read(bytes) {
            Ok(header) => header,
            Err(why) => return self.unreadable(Layer::Teredo, why),
        };
        let inside = self.claimed() - header.header_len();
        let start = bytes.get(header.header_len()..).and_then(|b| b.first_chunk::<6>());
        if start.is_some_and(|start| usize::from(be16(start, 4)) + Ipv6::LEN > inside) {
            return self.fail(Layer::Teredo, FaultKind::Malformed);
        }
        self.enter(Layer::Teredo, header.wrap(), header.header_len());
        self.enter_tunnel(TunnelKind::Teredo, 0, Layer::Teredo, Next::Ipv6)
    }

    /// Control messages carry no packet.
    fn l2tp(&mut self) -> Next {
        match self.rest().first_chunk::<2>().map(|flags| be16(flags, 0)) {
            Some(flags) if flags & l2tp::CONTROL != 0 && matches!(flags & l2tp::VERSION, 2 | 3) => {
                self.out.layer = Layer::L2tp;
                return Next::Stop;
            }
            Some(flags) if flags & l2tp::VERSION == 3 => {
                self.at += l2tp::LEN_BEFORE_SESSION_V3;
                return self.l2tpv3();
            }
            _ => {}
        }
        let Some(header) = self.header::<L2tp>() else { return Next::Stop };
        let id = u32::from(header.tunnel_id()) << 16 | u32::from(header.session_id());
        self.enter_tunnel(TunnelKind::L2tp, id, Layer::L2tp, Next::Ppp)
    }

    fn lisp(&mut self) -> Next {
        let Some(header) = self.header::<Lisp>() else { return Next::Stop };
        if header.is_encrypted() {
            return self.fail(Layer::Lisp, FaultKind::Encrypted);
        }
        let next = match header.next_protocol() {
            None => match self.any_ip() {
                Next::Stop => return Next::Stop,
                next => next,
            },
            Some(1) => Next::Ipv4,
            Some(2) => Next::Ipv6,
            Some(3) => Next::Ethernet,
            Some(4) => Next::EtherType(ethertype::NSH),
            Some(_) => return self.unknown(),
        };
        self.enter_tunnel(TunnelKind::Lisp, header.instance(), Layer::Lisp, next)
    }

    /// Only the operation "forward" carries a packet.
    fn ayiya(&mut self) -> Next {
        let Some(header) = self.header::<Ayiya>() else { return Next::Stop };
        let next = match (header.operation(), header.next_header()) {
            (Ayiya::FORWARD, 4) => Next::Ipv4,
            (Ayiya::FORWARD, 41) => Next::Ipv6,
            (Ayiya::FORWARD, _) => return self.unknown(),
            _ => return Next::Stop,
        };
        self.enter_tunnel(TunnelKind::Ayiya, 0, Layer::Ayiya, next)
    }
}

#[inline(always)]
pub(in crate::wire) const fn is_tunnel_port(port: u16) -> bool {
    matches!(
        port,
        port::L2TP
            | port::GTP_U
            | port::TEREDO
            | port::LISP
            | port::GRE
            | port::VXLAN
            | port::VXLAN_GPE
            | port::AYIYA
            | port::GENEVE
            | port::MPLS
            | port::VXLAN_LINUX
    )
}
