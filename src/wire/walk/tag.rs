//! The steps over tags and headers between Ethernet and what it carries.
//!
//! Owns which EtherTypes tag a frame and go on with another type, or with another frame. Knows nothing of what IP carries.

use super::{Next, Walker};
use crate::wire::ethernet::ethertype;
use crate::wire::macsec::ICV_LEN;
use crate::wire::view::View;
use crate::wire::{Cmd, Edsa, Etag, FaultKind, Layer, Macsec, Nsh, Pbb, Redundancy, Visitor, Vntag};

impl<'a, V: Visitor> Walker<'a, '_, V> {
    /// What follows an EtherType that is rarer still.
    pub(super) fn tag(&mut self, value: u16) -> Next {
        match value {
            ethertype::E_TAG => self.tag_before(Etag::ether_type),
            ethertype::VN_TAG => self.tag_before(Vntag::ether_type),
            ethertype::HSR | ethertype::R_TAG => self.tag_before(Redundancy::ether_type),
            ethertype::CISCO_METADATA => self.tag_before(Cmd::ether_type),
            ethertype::EDSA => self.edsa(),
            ethertype::I_TAG => self.counted::<Pbb>().map_or(Next::Stop, |_| Next::Ethernet),
            ethertype::MACSEC => self.macsec(),
            ethertype::NSH => self.nsh(),
            ethertype::TRANSPARENT_BRIDGING if self.count_link_header() => Next::Ethernet,
            ethertype::TRANSPARENT_BRIDGING => self.fail(Layer::Ethernet, FaultKind::TooDeep),
            _ => self.unknown(),
        }
    }

    /// Reads a header that may be there many times.
    fn counted<H: View<'a>>(&mut self) -> Option<H> {
        if self.count_link_header() {
            return self.header::<H>();
        }
        self.fail(H::LAYER, FaultKind::TooDeep);
        None
    }

    /// A tag that says the type of what it tags.
    fn tag_before<H: View<'a>>(&mut self, ether_type: impl FnOnce(&H) -> u16) -> Next {
        self.counted::<H>().map_or(Next::Stop, |header| Next::EtherType(ether_type(&header)))
    }

    fn edsa(&mut self) -> Next {
        let Some(header) = self.counted::<Edsa>() else { return Next::Stop };
        if let Some(id) = header.tag().vlan() {
            self.found_vlan(id);
        }
        Next::EtherType(header.ether_type())
    }

    fn macsec(&mut self) -> Next {
        let Some(header) = self.counted::<Macsec>() else { return Next::Stop };
        let Some(ether_type) = header.ether_type() else { return self.fail(Layer::Macsec, FaultKind::Encrypted) };
        let Some(data_len) = self.claimed().checked_sub(ICV_LEN) else { return self.fail(Layer::Macsec, FaultKind::Malformed) };
        // A short length counts from the EtherType on.
        let short_len = usize::from(header.short_len()).checked_sub(2);
        self.end_within(self.at + short_len.unwrap_or(data_len).min(data_len));
        Next::EtherType(ether_type)
    }

    fn nsh(&mut self) -> Next {
        let Some(header) = self.counted::<Nsh>() else { return Next::Stop };
        match header.next_protocol() {
            1 => Next::Ipv4,
            2 => Next::Ipv6,
            3 => Next::Ethernet,
            4 => Next::EtherType(ethertype::NSH),
            5 => Next::Mpls,
            _ => self.unknown(),
        }
    }
}

/// What a header carries that names it by an EtherType: GRE's and those of headers that took them over.
pub(super) const fn carried(protocol: u16) -> Option<Next> {
    Some(match protocol {
        ethertype::IPV4 => Next::Ipv4,
        ethertype::IPV6 => Next::Ipv6,
        ethertype::TRANSPARENT_BRIDGING => Next::Ethernet,
        ethertype::PPP => Next::Ppp,
        ethertype::ARP | ethertype::MPLS_UNICAST | ethertype::MPLS_MULTICAST | ethertype::NSH => Next::EtherType(protocol),
        _ => return None,
    })
}
