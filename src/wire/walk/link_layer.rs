//! The steps below IP: Ethernet, VLAN tags, labels, LLC, PPP.
//!
//! Owns the order of link-layer headers. Knows nothing of what IP carries.

use super::{Next, Walker};
use crate::wire::ethernet::{LENGTH_MAX, ethertype};
use crate::wire::view::View;
use crate::wire::{Arp, Ethernet, FaultKind, Ipv4, Ipv6, Layer, Llc, Mpls, Ppp, Pppoe, Visitor, Vlan, VlanTags, llc, ppp};
use std::num::NonZeroU32;

/// Shortest LLC header.
const LLC_LEN_MIN: usize = 3;

impl<V: Visitor> Walker<'_, '_, V> {
    #[inline(always)]
    pub(super) fn ethernet(&mut self) -> Next {
        match self.header::<Ethernet>() {
            Some(header) => Next::EtherType(header.ether_type()),
            None => Next::Stop,
        }
    }

    /// What follows an Ethernet type field; a value too small for a type is the length of an LLC frame.
    #[inline(always)]
    pub(super) fn ether_type(&mut self, value: u16) -> Next {
        match value {
            ethertype::IPV4 => Next::Ipv4,
            ethertype::IPV6 => Next::Ipv6,
            ethertype::VLAN | ethertype::PROVIDER_VLAN | ethertype::VLAN_9100 | ethertype::VLAN_9200 => self.vlan(),
            _ => self.rare_ether_type(value),
        }
    }

    fn rare_ether_type(&mut self, value: u16) -> Next {
        match value {
            ethertype::ARP => {
                let start = self.at;
                if self.header::<Arp>().is_some() {
                    self.out.arp_offset = NonZeroU32::new(start as u32);
                }
                Next::Stop
            }
            ethertype::MPLS_UNICAST | ethertype::MPLS_MULTICAST => Next::Mpls,
            ethertype::PPPOE_SESSION | ethertype::PPPOE_DISCOVERY => self.pppoe(value == ethertype::PPPOE_SESSION),
            0..=LENGTH_MAX => {
                self.end_within(self.at + usize::from(value));
                Next::Llc
            }
            _ => self.tag(value),
        }
    }

    #[inline(always)]
    fn vlan(&mut self) -> Next {
        loop {
            if !self.count_link_header() {
                return self.fail(Layer::Vlan, FaultKind::TooDeep);
            }
            let Some(header) = self.header::<Vlan>() else { return Next::Stop };
            self.found_vlan(header.id());
            match header.ether_type() {
                ethertype::VLAN | ethertype::PROVIDER_VLAN | ethertype::VLAN_9100 | ethertype::VLAN_9200 => {}
                other => return Next::EtherType(other),
            }
        }
    }

    /// Notes a VLAN id under the outermost network layer.
    #[inline(always)]
    pub(super) fn found_vlan(&mut self, id: u16) {
        if self.out.network.is_none() && self.depth == 0 {
            let tags = &mut self.out.vlan;
            if let Some(place) = tags.ids.get_mut(usize::from(tags.count).min(VlanTags::KEPT)) {
                *place = id;
            }
            tags.count = tags.count.saturating_add(1);
        }
    }

    pub(super) fn llc(&mut self) -> Next {
        if !self.count_link_header() {
            return self.fail(Layer::Llc, FaultKind::TooDeep);
        }
        let Some(header) = self.header::<Llc>() else { return Next::Stop };
        match header.snap() {
            Some((llc::OUI_ETHERTYPE | llc::OUI_BRIDGE_TUNNEL, value)) if value > LENGTH_MAX => Next::EtherType(value),
            None if header.dsap() == llc::SAP_IP && header.control() & 3 == 3 => Next::Ipv4,
            _ => self.unknown(),
        }
    }

    /// Discovery carries no packet. Of a session there is one code.
    pub(super) fn pppoe(&mut self, is_session: bool) -> Next {
        let Some(header) = self.header::<Pppoe>() else { return Next::Stop };
        if header.version_type() != 0x11 || is_session && header.code() != 0 {
            return self.unknown();
        }
        self.end_within(self.at + usize::from(header.payload_len()));
        if is_session { Next::Ppp } else { Next::Stop }
    }

    pub(super) fn ppp(&mut self) -> Next {
        if !self.count_link_header() {
            return self.fail(Layer::Ppp, FaultKind::TooDeep);
        }
        let Some(header) = self.header::<Ppp>() else { return Next::Stop };
        match header.protocol() {
            ppp::protocol::IPV4 => Next::Ipv4,
            ppp::protocol::IPV6 => Next::Ipv6,
            ppp::protocol::MPLS_UNICAST | ppp::protocol::MPLS_MULTICAST => Next::Mpls,
            _ => self.unknown(),
        }
    }

    /// A whole label stack. Nothing in it says what follows: the first nibble decides, as RFC 4928 and RFC 4385 expect.
    pub(super) fn mpls(&mut self) -> Next {
        loop {
            if !self.count_link_header() {
                return self.fail(Layer::Mpls, FaultKind::TooDeep);
            }
            match self.header::<Mpls>() {
                None => return Next::Stop,
                Some(entry) if entry.bottom() => break,
                Some(_) => {}
            }
        }
        let rest = self.rest();
        match rest.first().map(|b| b >> 4) {
            None => self.unreadable_behind_labels(),
            Some(4) if Ipv4::read(rest).is_ok() || !is_ethernet(rest) => Next::Ipv4,
            Some(6) if self.is_ipv6(rest) || !is_ethernet(rest) => Next::Ipv6,
            // Pseudowire control word (RFC 4385 section 3), unless the frame makes sense only without it.
            Some(0) if is_ethernet(rest.get(4..).unwrap_or(&[])) || rest.len() < 4 + Ethernet::LEN || !is_ethernet(rest) => {
                self.at += 4;
                Next::Ethernet
            }
            _ if is_ethernet(rest) => Next::Ethernet,
            _ => self.unknown(),
        }
    }

    #[cold]
    fn unreadable_behind_labels(&mut self) -> Next {
        let kind = if self.claimed() > 0 { FaultKind::Truncated } else { FaultKind::Malformed };
        self.fail(Layer::Mpls, kind)
    }

    fn is_ipv6(&self, bytes: &[u8]) -> bool {
        Ipv6::read(bytes).is_ok_and(|h| usize::from(h.payload_len()) + Ipv6::LEN <= self.claimed())
    }
}

/// True when the bytes look like an Ethernet frame whose type is read here.
pub(super) fn is_ethernet(bytes: &[u8]) -> bool {
    Ethernet::read(bytes).is_ok_and(|h| match h.ether_type() {
        value @ ..=LENGTH_MAX => (LLC_LEN_MIN..=bytes.len() - Ethernet::LEN).contains(&usize::from(value)),
        value => ethertype::name(value).is_some(),
    })
}
