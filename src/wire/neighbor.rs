//! Neighbour discovery messages: what follows the ICMPv6 header (RFC 4861 section 4).
//!
//! Owns fields and options that name a neighbour, a router or a prefix. Its invariant: each option moves forward by at least 8
//! bytes, so a message is read in one pass.

use super::view::{array_at, be16, be32};

/// Neighbour solicitation and advertisement: flags, target (RFC 4861 sections 4.3 and 4.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeighborMessage {
    /// Address asked for or answered for.
    pub target: [u8; 16],
    /// Advertisement: the sender is a router.
    pub router: bool,
    /// Advertisement: it answers a solicitation.
    pub solicited: bool,
    /// Advertisement: it overrides what is known.
    pub overrides: bool,
}

impl NeighborMessage {
    /// Bytes before the options.
    pub const LEN: usize = 20;

    /// Of what follows the ICMPv6 header; `None` when it is not whole.
    pub fn read(body: &[u8]) -> Option<Self> {
        let fixed = body.first_chunk::<{ Self::LEN }>()?;
        let [router, solicited, overrides] = [0x80, 0x40, 0x20].map(|bit| fixed[0] & bit != 0);
        Some(Self { target: array_at(fixed, 4), router, solicited, overrides })
    }
}

/// Router advertisement (RFC 4861 section 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouterAdvertisement {
    /// Hop limit that hosts are to use, 0 = not said.
    pub hop_limit: u8,
    /// Addresses come by DHCPv6.
    pub managed: bool,
    /// Other settings come by DHCPv6.
    pub other: bool,
    /// Seconds for which it is a default router; 0 = it is none.
    pub lifetime_secs: u16,
}

impl RouterAdvertisement {
    /// Bytes before the options.
    pub const LEN: usize = 12;

    /// Of what follows the ICMPv6 header; `None` when it is not whole.
    pub fn read(body: &[u8]) -> Option<Self> {
        let fixed = body.first_chunk::<{ Self::LEN }>()?;
        Some(Self {
            hop_limit: fixed[0],
            managed: fixed[1] & 0x80 != 0,
            other: fixed[1] & 0x40 != 0,
            lifetime_secs: be16(fixed, 2),
        })
    }
}

/// An option of such a message (RFC 4861 section 4.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeighborOption {
    /// Link-layer address of the sender (source) or of the target.
    LinkAddress([u8; 6]),
    /// A prefix of the link and its length in bits.
    Prefix([u8; 16], u8),
    /// Largest packet on the link in bytes.
    Mtu(u32),
    /// Any other, by its number.
    Other(u8),
}

/// The options in `bytes`, up to the first that is cut or has no length.
pub fn neighbor_options(mut bytes: &[u8]) -> impl Iterator<Item = NeighborOption> {
    std::iter::from_fn(move || {
        let &[kind, units, ..] = bytes else { return None };
        let len = usize::from(units) * 8;
        let (option, rest) = bytes.split_at_checked(len).filter(|_| len > 0)?;
        bytes = rest;
        Some(match (kind, option.first_chunk::<8>(), option.first_chunk::<32>()) {
            (1 | 2, Some(start), _) if len == 8 => NeighborOption::LinkAddress(array_at(start, 2)),
            (3, _, Some(whole)) => NeighborOption::Prefix(array_at(whole, 16), whole[2]),
            (5, Some(start), _) => NeighborOption::Mtu(be32(start, 4)),
            _ => NeighborOption::Other(kind),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_end_at_the_first_that_is_cut_or_empty() {
        let all = [[1, 1, 2, 0, 0, 0, 0, 7].as_slice(), &[5, 1, 0, 0, 0, 0, 5, 220], &[14, 1, 0, 0, 0, 0, 0, 0]].concat();
        let known = [NeighborOption::LinkAddress([2, 0, 0, 0, 0, 7]), NeighborOption::Mtu(1500), NeighborOption::Other(14)];
        for len in 0..=all.len() {
            assert!(neighbor_options(&all[..len]).eq(known.into_iter().take(len / 8)), "{len}");
        }
        assert_eq!(neighbor_options(&[3, 0, 1, 1, 1, 1, 1, 1]).count(), 0);
    }
}
