//! The steps into tunnels.
//!
//! Owns which packets are taken for tunnels. Knows nothing of what is inside. A UDP datagram on a tunnel's port that does not
//! read as that tunnel is no fault: ports are only a hint.

use super::{Next, TUNNEL_DEPTH_MAX, Walker};
use crate::wire::ethernet::ethertype;
use crate::wire::view::{View, be16};
use crate::wire::{
    Erspan, FaultKind, Geneve, Gre, Gtpu, Ipv6, L2tp, Layer, Ports, Teredo, Tunnel, TunnelKind, Visitor, Vxlan, gtpu,
};

/// UDP ports of tunnels (IANA service names; 8472 is what Linux used for VXLAN before it had a port).
mod port {
    pub const L2TP: u16 = 1701;
    pub const GTP_U: u16 = 2152;
    pub const TEREDO: u16 = 3544;
    pub const VXLAN: u16 = 4789;
    pub const VXLAN_GPE: u16 = 4790;
    pub const GENEVE: u16 = 6081;
    pub const VXLAN_LINUX: u16 = 8472;
}

impl<'a, V: Visitor> Walker<'a, '_, V> {
    /// Goes on inside a tunnel, unless there are too many already.
    pub(super) fn enter_tunnel(&mut self, kind: TunnelKind, id: u32, layer: Layer, next: Next) -> Next {
        if self.depth == TUNNEL_DEPTH_MAX {
            return self.fail(layer, FaultKind::TooDeep);
        }
        self.depth += 1;
        self.pending = Some(Tunnel { kind, id });
        self.link_header_count = 0;
        next
    }

    /// Tries the tunnel a port stands for; the receiver's port first.
    #[inline(always)]
    pub(super) fn udp_tunnel(&mut self, ports: Ports) -> Next {
        // One look rules out nearly all traffic.
        if !(is_tunnel_port(ports.destination) || is_tunnel_port(ports.source)) {
            return Next::Stop;
        }
        match self.tunnel_on_port(ports.destination) {
            Next::Stop if ports.source != ports.destination && self.out.layer == Layer::Udp => self.tunnel_on_port(ports.source),
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
            _ => Next::Stop,
        }
    }

    fn vxlan(&mut self) -> Next {
        match Vxlan::read(self.rest()) {
            Ok(header) if header.is_plain() => {
                self.enter(Layer::Vxlan, header.wrap(), Vxlan::LEN);
                self.enter_tunnel(TunnelKind::Vxlan, header.vni(), Layer::Vxlan, Next::Ethernet)
            }
            _ => Next::Stop,
        }
    }

    fn vxlan_gpe(&mut self) -> Next {
        let Ok(header) = Vxlan::read(self.rest()) else { return Next::Stop };
        let next = match header.next_protocol() {
            1 => Next::Ipv4,
            2 => Next::Ipv6,
            0 | 3 => Next::Ethernet,
            5 => Next::Mpls,
            _ => return Next::Stop,
        };
        if !header.is_generic() {
            return Next::Stop;
        }
        self.enter(Layer::Vxlan, header.wrap(), Vxlan::LEN);
        self.enter_tunnel(TunnelKind::Vxlan, header.vni(), Layer::Vxlan, next)
    }

    fn geneve(&mut self) -> Next {
        let Ok(header) = Geneve::read(self.rest()) else { return Next::Stop };
        let next = match header.protocol() {
            ethertype::TRANSPARENT_BRIDGING => Next::Ethernet,
            ethertype::IPV4 => Next::Ipv4,
            ethertype::IPV6 => Next::Ipv6,
            ethertype::MPLS_UNICAST | ethertype::MPLS_MULTICAST => Next::Mpls,
            _ => return Next::Stop,
        };
        self.enter(Layer::Geneve, header.wrap(), header.header_len());
        if header.is_control() {
            return Next::Stop;
        }
        self.enter_tunnel(TunnelKind::Geneve, header.vni(), Layer::Geneve, next)
    }

    fn gtpu(&mut self) -> Next {
        let bytes = self.rest();
        match Gtpu::read(bytes) {
            Ok(header) if header.message_type() == gtpu::G_PDU => {
                // The inner packet's version has no field of its own.
                if !matches!(bytes.get(header.header_len()).map(|b| b >> 4), Some(4 | 6)) {
                    return Next::Stop;
                }
                self.enter(Layer::GtpU, header.wrap(), header.header_len());
                self.enter_tunnel(TunnelKind::GtpU, header.teid(), Layer::GtpU, Next::Ip)
            }
            _ => Next::Stop,
        }
    }

    fn teredo(&mut self) -> Next {
        let bytes = self.rest();
        let Ok(header) = Teredo::read(bytes) else { return Next::Stop };
        let inside = self.claimed() - header.header_len();
        let fits = bytes
            .get(header.header_len()..)
            .and_then(|b| b.first_chunk::<6>())
            .is_some_and(|start| usize::from(be16(start, 4)) + Ipv6::LEN <= inside);
        if !fits {
            return Next::Stop;
        }
        self.enter(Layer::Teredo, header.wrap(), header.header_len());
        self.enter_tunnel(TunnelKind::Teredo, 0, Layer::Teredo, Next::Ipv6)
    }

    fn l2tp(&mut self) -> Next {
        let Ok(header) = L2tp::read(self.rest()) else { return Next::Stop };
        let id = u32::from(header.tunnel_id()) << 16 | u32::from(header.session_id());
        self.enter(Layer::L2tp, header.wrap(), header.header_len());
        self.enter_tunnel(TunnelKind::L2tp, id, Layer::L2tp, Next::Ppp)
    }

    pub(super) fn gre(&mut self) -> Next {
        let Some(header) = self.header::<Gre>() else { return Next::Stop };
        let key = header.key().unwrap_or(0);
        if header.version() == 1 {
            // Upper half of the key: length of the payload. Without one this is a bare acknowledgment.
            let len = (key >> 16) as usize;
            if header.protocol() != ethertype::PPP {
                return self.unknown();
            }
            if len == 0 {
                return Next::Stop;
            }
            self.end_within(self.at + len);
            return self.enter_tunnel(TunnelKind::Gre, key & 0xffff, Layer::Gre, Next::Ppp);
        }
        let next = match header.protocol() {
            ethertype::IPV4 => Next::Ipv4,
            ethertype::IPV6 => Next::Ipv6,
            ethertype::TRANSPARENT_BRIDGING => Next::Ethernet,
            ethertype::PPP => Next::Ppp,
            ethertype::MPLS_UNICAST | ethertype::MPLS_MULTICAST => Next::Mpls,
            // Type I has neither sequence number nor header of its own.
            ethertype::ERSPAN_I_II if header.sequence().is_none() => {
                return self.enter_tunnel(TunnelKind::Erspan, 0, Layer::Erspan, Next::Ethernet);
            }
            ethertype::ERSPAN_I_II | ethertype::ERSPAN_III => return self.erspan(),
            _ => return self.unknown(),
        };
        self.enter_tunnel(TunnelKind::Gre, key, Layer::Gre, next)
    }

    fn erspan(&mut self) -> Next {
        let Some(header) = self.header::<Erspan>() else { return Next::Stop };
        let next = if header.carries_ip() { Next::Ip } else { Next::Ethernet };
        self.enter_tunnel(TunnelKind::Erspan, u32::from(header.session_id()), Layer::Erspan, next)
    }
}

#[inline(always)]
pub(in crate::wire) const fn is_tunnel_port(port: u16) -> bool {
    matches!(port, port::L2TP | port::GTP_U | port::TEREDO | port::VXLAN | port::VXLAN_GPE | port::GENEVE | port::VXLAN_LINUX)
}
