//! The steps into tunnels right behind an IP header.
//!
//! Owns how deep tunnels are followed and what GRE carries. Knows nothing of what is inside.

use super::link_layer::is_ethernet;
use super::tag::carried;
use super::{Next, Walker, depth};
use crate::wire::ethernet::{LENGTH_MAX, ethertype};
use crate::wire::view::{Unreadable, be16};
use crate::wire::{Erspan, EtherIp, Ethernet, FaultKind, Gre, Ipv4, L2tpv3, Layer, Tunnel, TunnelKind, View, Visitor, Wccp, gre};
use netscope_backends::LinkType;

impl<V: Visitor> Walker<'_, '_, V> {
    /// Goes on inside a tunnel, unless there are too many already.
    pub(super) fn enter_tunnel(&mut self, kind: TunnelKind, id: u32, layer: Layer, next: Next) -> Next {
        if self.depth >= depth::tunnels_max() {
            return self.fail(layer, FaultKind::TooDeep);
        }
        self.depth += 1;
        self.pending = Some(Tunnel { kind, id });
        self.link_header_count = 0;
        next
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
            // Type I has neither sequence number nor header of its own.
            ethertype::ERSPAN_I_II if header.sequence().is_none() => {
                return self.enter_tunnel(TunnelKind::Erspan, 0, Layer::Erspan, Next::Ethernet);
            }
            ethertype::ERSPAN_I_II | ethertype::ERSPAN_III => return self.erspan(),
            ethertype::WCCP => self.redirected(),
            protocol if gre::carries_wlan(protocol) => Next::Link(LinkType::IEEE802_11),
            protocol => match carried(protocol) {
                Some(next) => next,
                None => return self.unknown(),
            },
        };
        self.enter_tunnel(TunnelKind::Gre, key, Layer::Gre, next)
    }

    /// A packet that WCCP redirected. Version 2 has a header before it, and nothing else tells the version.
    fn redirected(&mut self) -> Next {
        let has_header = self.rest().first().is_none_or(|first| *first != Wccp::PACKET_OF_VERSION_1);
        if has_header && self.header::<Wccp>().is_none() { Next::Stop } else { Next::Ip }
    }

    fn erspan(&mut self) -> Next {
        let Some(header) = self.header::<Erspan>() else { return Next::Stop };
        let next = match header.frame_type() {
            Erspan::ETHERNET => Next::Ethernet,
            Erspan::IP => Next::Ip,
            _ => return self.unknown(),
        };
        self.enter_tunnel(TunnelKind::Erspan, u32::from(header.session_id()), Layer::Erspan, next)
    }

    pub(super) fn ether_ip(&mut self) -> Next {
        match self.header::<EtherIp>() {
            Some(_) => self.enter_tunnel(TunnelKind::EtherIp, 0, Layer::EtherIp, Next::Ethernet),
            None => Next::Stop,
        }
    }

    /// A data message. What comes between session and frame was agreed on by control messages: the first place is taken from
    /// which on the bytes read as a frame.
    pub(super) fn l2tpv3(&mut self) -> Next {
        let Some(header) = self.header::<L2tpv3>() else { return Next::Stop };
        if header.session_id() == 0 {
            return Next::Stop;
        }
        let rest = self.rest();
        let place = (0..=L2tpv3::AGREED_LEN_MAX).step_by(4).find(|place| is_surely_ethernet(rest.get(*place..).unwrap_or(&[])));
        match place {
            Some(place) => {
                self.at += place;
                self.enter_tunnel(TunnelKind::L2tp, header.session_id(), Layer::L2tp, Next::Ethernet)
            }
            None if rest.len() < self.claimed() => self.unreadable(Layer::L2tp, Unreadable::Short(rest.len() + 1)),
            None => self.unknown(),
        }
    }
}

/// As [`is_ethernet`], where it is not known that anything like a frame begins here: of IP the header is read, too, and of LLC
/// the length has to be right.
pub(super) fn is_surely_ethernet(bytes: &[u8]) -> bool {
    let Some((header, payload)) = bytes.split_first_chunk::<{ Ethernet::LEN }>() else { return false };
    match be16(header, 12) {
        ethertype::IPV4 => Ipv4::read(payload).is_ok(),
        ethertype::IPV6 => payload.first().is_some_and(|first| first >> 4 == 6),
        len @ ..=LENGTH_MAX => len >= 3 && usize::from(len) == payload.len(),
        _ => is_ethernet(bytes),
    }
}
