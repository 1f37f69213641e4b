//! The steps that a capture's link type begins with: cooked captures, loopback, serial lines, netfilter, switch tags.
//!
//! Owns what each link type begins with. Knows nothing of what IP carries.

use super::tag::carried;
use super::{Next, Walker};
use crate::wire::ethernet::{LENGTH_MAX, ethertype};
use crate::wire::view::Unreadable;
use crate::wire::{Dsa, FaultKind, Hdlc, IpVersion, Layer, Nflog, Null, Sll, Sll2, Visitor, hdlc, sll};
use netscope_backends::LinkType;

/// Address families of Linux.
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

impl<V: Visitor> Walker<'_, '_, V> {
    pub(super) fn link(&mut self, link_type: LinkType) -> Next {
        match link_type {
            LinkType::ETHERNET => Next::Ethernet,
            LinkType::LINUX_SLL => self.sll(),
            LinkType::LINUX_SLL2 => self.sll2(),
            LinkType::NULL | LinkType::LOOP => self.null(),
            LinkType::RAW | LinkType::RAW_DLT12 | LinkType::RAW_DLT14 => Next::Ip,
            LinkType::IPV4 => Next::Ipv4,
            LinkType::IPV6 => Next::Ipv6,
            LinkType::PPP => Next::Ppp,
            LinkType::PPP_HDLC => self.ppp_or_hdlc(),
            LinkType::PPPOE => self.pppoe(true),
            LinkType::C_HDLC => self.hdlc(),
            // One byte says the direction. In pppd's it stands in the place of the address, before the control field.
            LinkType::C_HDLC_WITH_DIRECTION => self.behind(1, Self::hdlc),
            LinkType::PPP_WITH_DIRECTION => self.behind(1, |_| Next::Ppp),
            LinkType::PPP_PPPD => self.behind(2, |_| Next::Ppp),
            LinkType::NFLOG => self.nflog(),
            LinkType::DSA => self.dsa(),
            LinkType::EDSA => Next::Ethernet,
            LinkType::IEEE802_11 => self.wlan(false, false),
            LinkType::IEEE802_11_RADIOTAP => self.radiotap(),
            LinkType::IEEE802_11_PRISM | LinkType::IEEE802_11_AVS => self.prism_or_avs(),
            LinkType::PPI => self.ppi(),
            _ => self.fail(Layer::Link, FaultKind::Unknown),
        }
    }

    /// What follows `len` bytes that say nothing of it.
    fn behind(&mut self, len: usize, next: impl FnOnce(&mut Self) -> Next) -> Next {
        if self.rest().len() < len {
            return self.unreadable(Layer::Link, Unreadable::Short(len));
        }
        self.at += len;
        next(self)
    }

    fn sll(&mut self) -> Next {
        match self.header::<Sll>() {
            Some(header) => self.cooked(header.hardware_type(), header.protocol()),
            None => Next::Stop,
        }
    }

    fn sll2(&mut self) -> Next {
        match self.header::<Sll2>() {
            Some(header) => self.cooked(header.hardware_type(), header.protocol()),
            None => Next::Stop,
        }
    }

    fn cooked(&mut self, hardware_type: u16, protocol: u16) -> Next {
        match (hardware_type, protocol) {
            (sll::HARDWARE_RADIOTAP, _) => Next::Link(LinkType::IEEE802_11_RADIOTAP),
            (sll::HARDWARE_WLAN, ..=LENGTH_MAX) => Next::Link(LinkType::IEEE802_11),
            (sll::HARDWARE_PRISM, ..=LENGTH_MAX) => Next::Link(LinkType::IEEE802_11_PRISM),
            (sll::HARDWARE_NETLINK | sll::HARDWARE_FRAME_RELAY, _) => self.unknown(),
            (sll::HARDWARE_GRE, protocol) => carried(protocol).unwrap_or_else(|| self.unknown()),
            (_, sll::PROTOCOL_ETHERNET) => Next::Ethernet,
            (_, sll::PROTOCOL_LLC) => Next::Llc,
            (_, sll::PROTOCOL_PPP) => Next::Ppp,
            (_, ..=LENGTH_MAX) => self.unknown(),
            (_, value) => Next::EtherType(value),
        }
    }

    fn null(&mut self) -> Next {
        match self.header::<Null>().map(|h| h.ip_version()) {
            Some(Some(IpVersion::V4)) => Next::Ipv4,
            Some(Some(IpVersion::V6)) => Next::Ipv6,
            Some(None) => self.unknown(),
            None => Next::Stop,
        }
    }

    fn ppp_or_hdlc(&mut self) -> Next {
        if self.rest().first().is_some_and(|first| hdlc::ADDRESSES.contains(first)) { self.hdlc() } else { Next::Ppp }
    }

    fn hdlc(&mut self) -> Next {
        let Some(header) = self.header::<Hdlc>() else { return Next::Stop };
        match header.ether_type() {
            ..=LENGTH_MAX => self.unknown(),
            ethertype::TRANSPARENT_BRIDGING => Next::Ethernet,
            value => Next::EtherType(value),
        }
    }

    fn nflog(&mut self) -> Next {
        let Some(header) = self.header::<Nflog>() else { return Next::Stop };
        let Some(len) = header.packet_len() else {
            // Logged without its packet, unless the snap length cut the attributes.
            return if self.claimed() > 0 { self.fail(Layer::Nflog, FaultKind::Truncated) } else { Next::Stop };
        };
        self.end_within(self.at + len);
        match header.family() {
            AF_INET => Next::Ipv4,
            AF_INET6 => Next::Ipv6,
            _ => self.unknown(),
        }
    }

    fn dsa(&mut self) -> Next {
        let Some(header) = self.header::<Dsa>() else { return Next::Stop };
        if let Some(id) = header.tag().vlan() {
            self.found_vlan(id);
        }
        Next::EtherType(header.ether_type())
    }
}
