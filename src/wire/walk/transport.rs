//! The steps at transport level: ports, TCP facts, ICMP kinds.
//!
//! Owns what is still said of a transport header that is not whole. Knows no payload.

use super::{Next, Walker};
use crate::wire::icmp::{ECHO, ECHO_V6};
use crate::wire::view::{Unreadable, View, be16};
use crate::wire::{FaultKind, Icmp, Icmpv6, Igmp, Layer, Ports, Sctp, Tcp, TcpSegment, Transport, Udp, UdpLite, Visitor};

impl<'a, V: Visitor> Walker<'a, '_, V> {
    #[inline(always)]
    pub(super) fn tcp(&mut self) -> Next {
        let tcp = match Tcp::read(self.rest()) {
            Ok(tcp) if tcp.header_len() <= self.claimed() => tcp,
            Ok(_) => return self.ports_only(Layer::Tcp, Unreadable::Malformed, Transport::TcpPorts),
            Err(why) => return self.ports_only(Layer::Tcp, why, Transport::TcpPorts),
        };
        self.enter(Layer::Tcp, tcp.wrap(), tcp.header_len());
        if tcp.options_cut() {
            self.fail(Layer::Tcp, FaultKind::Truncated);
        }
        self.found_transport(Transport::Tcp(TcpSegment {
            ports: tcp.ports(),
            sequence: tcp.sequence(),
            acknowledgment: tcp.acknowledgment(),
            flags: tcp.flags(),
            window: tcp.window(),
            payload_len: self.on_wire() as u32,
            options: tcp.options(),
        }));
        Next::Stop
    }

    #[inline(always)]
    pub(super) fn udp(&mut self) -> Next {
        let udp = match Udp::read(self.rest()) {
            Ok(udp) => udp,
            Err(why) => return self.ports_only(Layer::Udp, why, Transport::Udp),
        };
        let len = usize::from(udp.datagram_len());
        if len != 0 && len < Udp::LEN {
            return self.ports_only(Layer::Udp, Unreadable::Malformed, Transport::Udp);
        }
        // The first fragment of a datagram is shorter than the datagram.
        if len > self.claimed() && !self.is_fragment() {
            self.fail(Layer::Udp, FaultKind::Malformed);
        }
        let start = self.at;
        self.enter(Layer::Udp, udp.wrap(), Udp::LEN);
        if len != 0 {
            self.end_within(start + len);
        }
        let ports = udp.ports();
        self.found_transport(Transport::Udp(ports));
        self.udp_tunnel(ports)
    }

    pub(super) fn udp_lite(&mut self) -> Next {
        match UdpLite::read(self.rest()) {
            Ok(header) if matches!(header.coverage(), 1..=7) => {
                self.ports_only(Layer::UdpLite, Unreadable::Malformed, Transport::UdpLite)
            }
            Ok(header) => {
                self.enter(Layer::UdpLite, header.wrap(), UdpLite::LEN);
                self.found_transport(Transport::UdpLite(header.ports()));
                Next::Stop
            }
            Err(why) => self.ports_only(Layer::UdpLite, why, Transport::UdpLite),
        }
    }

    pub(super) fn sctp(&mut self) -> Next {
        match Sctp::read(self.rest()) {
            Ok(header) => {
                self.enter(Layer::Sctp, header.wrap(), Sctp::LEN);
                self.found_transport(Transport::Sctp(header.ports()));
                Next::Stop
            }
            Err(why) => self.ports_only(Layer::Sctp, why, Transport::Sctp),
        }
    }

    pub(super) fn icmp(&mut self) -> Next {
        let Some(header) = self.header::<Icmp>() else { return Next::Stop };
        self.echo_or(header.kind(), header.code(), Layer::Icmp, ECHO)
    }

    pub(super) fn icmpv6(&mut self) -> Next {
        let Some(header) = self.header::<Icmpv6>() else { return Next::Stop };
        self.echo_or(header.kind(), header.code(), Layer::Icmpv6, ECHO_V6)
    }

    fn echo_or(&mut self, kind: u8, code: u8, layer: Layer, (reply, request): (u8, u8)) -> Next {
        if kind != reply && kind != request {
            self.found_transport(Transport::Icmp { kind, code });
            return Next::Stop;
        }
        match self.rest().first_chunk::<4>() {
            Some(word) => {
                self.at += 4;
                self.found_transport(Transport::Echo { id: be16(word, 0), request: kind == request, kind, code });
                Next::Stop
            }
            None => {
                self.found_transport(Transport::Icmp { kind, code });
                self.unreadable(layer, Unreadable::Short(4))
            }
        }
    }

    pub(super) fn igmp(&mut self) -> Next {
        if self.header::<Igmp>().is_some() {
            self.mark_payload();
        }
        Next::Stop
    }

    fn is_fragment(&self) -> bool {
        self.out.network.is_some_and(|n| n.fragment.is_some())
    }

    /// The header is not whole, but its ports may be there.
    #[cold]
    fn ports_only(&mut self, layer: Layer, why: Unreadable, transport: impl FnOnce(Ports) -> Transport) -> Next {
        if let Some(ports) = self.rest().first_chunk::<4>() {
            self.out.transport = transport(Ports { source: be16(ports, 0), destination: be16(ports, 2) });
            self.out.layer = layer;
        }
        self.unreadable(layer, why)
    }
}
