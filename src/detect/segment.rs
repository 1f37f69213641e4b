//! The part of a network that frames stay in: VLAN tags and tunnel, as a part of a key of evidence.
//!
//! Owns how it is packed and named. Invariant: frames of different VLANs or tunnels have different segments, so the same private address
//! in two of them is not taken for one.

use crate::flow::{Domain, HostAddress};
use std::net::{IpAddr, Ipv6Addr};

/// A segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkSegment(HostAddress);

impl From<Domain> for LinkSegment {
    fn from(domain: Domain) -> Self {
        let (tags, tunnel) = domain.numbers();
        Self(IpAddr::V6(Ipv6Addr::from_bits(u128::from(tags) << 64 | u128::from(tunnel))).into())
    }
}

impl LinkSegment {
    /// From its place in a key.
    pub const fn of_key(place: HostAddress) -> Self {
        Self(place)
    }

    /// For its place in a key.
    pub const fn key(self) -> HostAddress {
        self.0
    }

    fn numbers(self) -> (u64, u64) {
        match self.0.ip() {
            IpAddr::V6(packed) => ((packed.to_bits() >> 64) as u64, packed.to_bits() as u64),
            IpAddr::V4(_) => (0, 0),
        }
    }

    /// Its VLAN, such as `5` or `5.17`; `None` without tags.
    pub fn vlan(self) -> Option<String> {
        let (tags, _) = self.numbers();
        let (outer, inner) = (tags & 0xffff, tags >> 16 & 0xffff);
        match tags >> 32 & 0xff {
            0 => None,
            1 => Some(outer.to_string()),
            _ => Some(format!("{outer}.{inner}")),
        }
    }

    /// The identifier of its tunnel.
    pub fn tunnel(self) -> Option<String> {
        let (tags, id) = self.numbers();
        (tags >> 40 != 0).then(|| id.to_string())
    }

    /// Behind what happened in it: nothing, ` in VLAN 5` or ` in tunnel 77`.
    pub fn words(self) -> String {
        let vlan = self.vlan().map_or(String::new(), |vlan| format!(" in VLAN {vlan}"));
        let tunnel = self.tunnel().map_or(String::new(), |tunnel| format!(" in tunnel {tunnel}"));
        vlan + &tunnel
    }

    /// As facts of an alert.
    pub fn details(self) -> impl Iterator<Item = (&'static str, String)> {
        [self.vlan().map(|vlan| ("vlan", vlan)), self.tunnel().map(|tunnel| ("tunnel", tunnel))].into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::VlanTags;

    #[test]
    fn segments_are_named_by_their_tags() {
        let of = |ids, count| LinkSegment::from(Domain::new(VlanTags { ids, count }, None));
        assert_eq!(of([0, 0], 0).words(), "");
        assert_eq!(of([5, 0], 1).words(), " in VLAN 5");
        assert_eq!(of([5, 17], 2).words(), " in VLAN 5.17");
        assert_ne!(of([5, 0], 1), of([6, 0], 1));
        assert_eq!(LinkSegment::of_key(of([5, 0], 1).key()), of([5, 0], 1));
        assert_eq!(of([5, 0], 1).details().collect::<Vec<_>>(), [("vlan", "5".to_owned())]);
    }
}
