//! The VLAN and the tunnel that a packet was in, and the number by which a flow key knows them.
//!
//! Owns which packets lie apart though their addresses are the same, and the numbers of one worker. Knows no flow. Its invariant:
//! two domains have one number only when both came after all numbers were given out. A number means something to its worker
//! alone: it is in no record.

use super::FoldHash;
use crate::wire::{Dissected, Tunnel, VlanTags};
use std::collections::HashMap;
use std::hash::{Hash, Hasher};

/// What tells two flows with the same 5-tuple apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyScope {
    /// Nothing.
    #[default]
    Tuple,
    /// Their VLAN tags.
    Vlan,
    /// Their VLAN tags and their innermost tunnel: its protocol and identifier.
    VlanTunnel,
}

/// VLAN tags and innermost tunnel of a packet, as far as they are kept: the two outermost tags and how many there are, outside of
/// all tunnels. A single tag with VLAN 0 gives a priority and no VLAN (IEEE 802.1Q-2022 clause 9.6), so it is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Domain {
    vlan: VlanTags,
    tunnel: Option<Tunnel>,
}

impl Domain {
    /// No VLAN and no tunnel.
    pub const NONE: Self = Self { vlan: VlanTags { ids: [0; VlanTags::KEPT], count: 0 }, tunnel: None };

    /// Of these tags and this tunnel.
    #[inline(always)]
    pub const fn new(vlan: VlanTags, tunnel: Option<Tunnel>) -> Self {
        let is_priority_alone = vlan.count == 1 && vlan.ids[0] == 0;
        Self { vlan: if is_priority_alone { Self::NONE.vlan } else { vlan }, tunnel }
    }

    /// Of a packet.
    #[inline(always)]
    pub const fn of(dissected: &Dissected) -> Self {
        Self::new(dissected.vlan, dissected.tunnel)
    }

    /// As much of it as belongs to the key of a flow.
    pub const fn in_scope(scope: KeyScope, vlan: VlanTags, tunnel: Option<Tunnel>) -> Self {
        match scope {
            KeyScope::Tuple => Self::NONE,
            KeyScope::Vlan => Self::new(vlan, None),
            KeyScope::VlanTunnel => Self::new(vlan, tunnel),
        }
    }

    /// All of it, to be hashed and ordered by.
    pub fn numbers(&self) -> (u64, u64) {
        let [outer, inner] = self.vlan.ids.map(u64::from);
        let (kind, id) = self.tunnel.map_or((0, 0), |Tunnel { kind, id }| (kind as u64 + 1, u64::from(id)));
        (outer | inner << 16 | u64::from(self.vlan.count) << 32 | kind << 40, id)
    }

    /// No VLAN and no tunnel.
    #[inline(always)]
    pub const fn is_none(&self) -> bool {
        self.vlan.count == 0 && self.tunnel.is_none()
    }
}

impl Hash for Domain {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (high, low) = self.numbers();
        state.write_u64(high);
        state.write_u64(low);
    }
}

/// VLANs are numbered by their own ids; what is not one VLAN alone has a number from here on.
const FIRST_GIVEN: u16 = 1 << 12;

/// The numbers of domains, below 2^15: 0 for none, its id for a single VLAN, the others as they come.
pub struct DomainNumbers {
    scope: KeyScope,
    given: HashMap<Domain, u16, FoldHash>,
    /// Domains that get a number.
    given_max: usize,
}

impl DomainNumbers {
    /// Most domains of a worker that have a number of their own, single VLANs not counted; it takes 24 bytes for each.
    pub const GIVEN_MAX: usize = (Self::OVERFLOW - FIRST_GIVEN) as usize;
    /// The number that all further domains share.
    pub const OVERFLOW: u16 = (1 << 15) - 1;

    /// No number is given out yet; the memory is reserved here.
    pub fn new(scope: KeyScope) -> Self {
        Self::with_given_max(scope, if scope == KeyScope::Tuple { 0 } else { Self::GIVEN_MAX })
    }

    fn with_given_max(scope: KeyScope, given_max: usize) -> Self {
        Self { scope, given: HashMap::with_capacity_and_hasher(given_max, FoldHash::random()), given_max }
    }

    /// The number of a packet's domain, as far as the scope asks for it.
    #[inline(always)]
    pub fn of(&mut self, dissected: &Dissected) -> u16 {
        self.of_parts(dissected.vlan, dissected.tunnel)
    }

    /// The same of a packet with these tags in this tunnel.
    #[inline(always)]
    pub fn of_parts(&mut self, vlan: VlanTags, tunnel: Option<Tunnel>) -> u16 {
        if self.scope == KeyScope::Tuple { 0 } else { self.number(vlan, tunnel) }
    }

    #[inline(never)]
    fn number(&mut self, vlan: VlanTags, tunnel: Option<Tunnel>) -> u16 {
        match Domain::in_scope(self.scope, vlan, tunnel) {
            Domain { vlan: VlanTags { count: 0, .. }, tunnel: None } => 0,
            Domain { vlan: VlanTags { count: 1, ids: [id, _] }, tunnel: None } if id < FIRST_GIVEN => id,
            domain => match self.given.get(&domain) {
                Some(&number) => number,
                None if self.given.len() >= self.given_max => Self::OVERFLOW,
                None => {
                    let number = FIRST_GIVEN + self.given.len() as u16;
                    self.given.insert(domain, number);
                    number
                }
            },
        }
    }
}

/// The number of a packet that has one tag at most and is in no tunnel: its VLAN's id.
#[inline(always)]
pub const fn number_of_tag(scope: KeyScope, vlan: VlanTags) -> u16 {
    match scope {
        KeyScope::Tuple => 0,
        KeyScope::Vlan | KeyScope::VlanTunnel => vlan.ids[0],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::TunnelKind;
    use proptest::prelude::*;

    fn packet(vlan: VlanTags, tunnel: Option<Tunnel>) -> Dissected {
        Dissected { vlan, tunnel, ..Dissected::NOTHING }
    }

    const fn tags(count: u8, ids: [u16; 2]) -> VlanTags {
        VlanTags { ids, count }
    }

    #[test]
    fn a_single_vlan_is_its_own_number_however_it_was_read() {
        for scope in [KeyScope::Tuple, KeyScope::Vlan, KeyScope::VlanTunnel] {
            let mut numbers = DomainNumbers::new(scope);
            for id in 0..4096 {
                let vlan = tags(1, [id, 0]);
                assert_eq!(numbers.of(&packet(vlan, None)), number_of_tag(scope, vlan));
            }
            assert_eq!(numbers.of(&packet(VlanTags::default(), None)), 0, "untagged is as VLAN 0");
            assert!(numbers.given.is_empty());
        }
    }

    #[test]
    fn what_has_no_number_left_shares_the_last_one() {
        let mut numbers = DomainNumbers::new(KeyScope::VlanTunnel);
        let reserved = numbers.given.capacity();
        let vni = |id| packet(VlanTags::default(), Some(Tunnel { kind: TunnelKind::Vxlan, id }));
        let given: Vec<u16> = (0..40_000).map(|id| numbers.of(&vni(id))).collect();
        let max = DomainNumbers::GIVEN_MAX;
        assert!(given[..max].iter().copied().eq(FIRST_GIVEN..DomainNumbers::OVERFLOW));
        assert!(given[max..].iter().all(|&number| number == DomainNumbers::OVERFLOW));
        assert_eq!((numbers.of(&vni(5)), numbers.of(&packet(tags(1, [7, 0]), None))), (FIRST_GIVEN + 5, 7));
        assert_eq!(numbers.given.capacity(), reserved, "the memory was reserved");
    }

    fn domain() -> impl Strategy<Value = Dissected> {
        let id = || prop_oneof![Just(0u16), Just(1), Just(10), Just(4095)];
        let kind = prop_oneof![Just(TunnelKind::Vxlan), Just(TunnelKind::Gre), Just(TunnelKind::IpInIp)];
        (0u8..4, id(), id(), prop::option::of((kind, 0u32..3))).prop_map(|(count, outer, inner, tunnel)| {
            let ids = [if count > 0 { outer } else { 0 }, if count > 1 { inner } else { 0 }];
            packet(tags(count, ids), tunnel.map(|(kind, id)| Tunnel { kind, id }))
        })
    }

    proptest! {
        /// Two packets have one number if and only if the scope does not tell them apart.
        #[test]
        fn equal_numbers_are_equal_domains(packets in prop::collection::vec(domain(), 1..60)) {
            for scope in [KeyScope::Vlan, KeyScope::VlanTunnel] {
                let mut numbers = DomainNumbers::new(scope);
                let numbered: Vec<(u16, Domain)> = packets
                    .iter()
                    .map(|packet| (numbers.of(packet), Domain::in_scope(scope, packet.vlan, packet.tunnel)))
                    .collect();
                for (number, domain) in &numbered {
                    prop_assert!(*number < DomainNumbers::OVERFLOW);
                    prop_assert_eq!(*number == 0, domain.is_none());
                    for (other_number, other) in &numbered {
                        prop_assert_eq!(number == other_number, domain == other);
                    }
                }
            }
        }
    }
}
