//! What a neighbour says of itself on a link: LLDP (IEEE 802.1AB clause 8) and CDP (behind SNAP 00:00:0c 0x2000).
//!
//! Owns where each element ends. Its invariant: each moves forward, so a frame is read in one pass; texts are bytes as sent.

/// What LLDP names a chassis or a port by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LldpId<'a> {
    /// A hardware address.
    Address([u8; 6]),
    /// Any other; text as a rule.
    Text(&'a [u8]),
}

/// An LLDP frame's first elements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lldp<'a> {
    /// Chassis of the sender.
    pub chassis: Option<LldpId<'a>>,
    /// Port of the sender.
    pub port: Option<LldpId<'a>>,
    /// Seconds for which this holds.
    pub ttl_secs: Option<u16>,
    /// Name of the sender.
    pub system_name: Option<&'a [u8]>,
}

impl<'a> Lldp<'a> {
    /// Of what follows the EtherType, up to the element that ends it or the first that is cut.
    pub fn read(mut bytes: &'a [u8]) -> Self {
        let mut found = Self::default();
        while let Some((&[high, low], rest)) = bytes.split_first_chunk() {
            let len = usize::from(high & 1) << 8 | usize::from(low);
            let Some((value, rest)) = rest.split_at_checked(len) else { break };
            bytes = rest;
            match high >> 1 {
                0 => break,
                1 => found.chassis = found.chassis.or(id(value, 4)),
                2 => found.port = found.port.or(id(value, 3)),
                3 => found.ttl_secs = value.first_chunk().map(|bytes| u16::from_be_bytes(*bytes)),
                5 => found.system_name = Some(value),
                _ => {}
            }
        }
        found
    }
}

/// `address_kind`: the subtype of hardware addresses.
fn id(value: &[u8], address_kind: u8) -> Option<LldpId<'_>> {
    let (kind, name) = value.split_first()?;
    Some(match <[u8; 6]>::try_from(name) {
        Ok(address) if *kind == address_kind => LldpId::Address(address),
        _ => LldpId::Text(name),
    })
}

/// A CDP frame's elements that say who and where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cdp<'a> {
    /// Protocol version.
    pub version: u8,
    /// Seconds for which this holds.
    pub ttl_secs: u8,
    /// Name of the sender.
    pub device: Option<&'a [u8]>,
    /// Its port.
    pub port: Option<&'a [u8]>,
    /// Its hardware.
    pub platform: Option<&'a [u8]>,
}

impl<'a> Cdp<'a> {
    /// Of what follows the SNAP header, up to the first element that is cut; `None` without a whole header.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (&[version, ttl_secs, _, _], mut bytes) = bytes.split_first_chunk()?;
        let mut found = Self { version, ttl_secs, ..Self::default() };
        while let Some(&[a, b, c, d]) = bytes.first_chunk() {
            let (kind, len) = (u16::from_be_bytes([a, b]), usize::from(u16::from_be_bytes([c, d])));
            let Some((element, rest)) = bytes.split_at_checked(len).filter(|_| len >= 4) else { break };
            bytes = rest;
            let value = element.get(4..);
            match kind {
                1 => found.device = value,
                3 => found.port = value,
                6 => found.platform = value,
                _ => {}
            }
        }
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lldp_of_any_length() {
        let all = [
            &[2, 7, 4, 2, 0, 0, 0, 0, 9][..],
            &[4, 5, 5, b'e', b't', b'h', b'0'],
            &[6, 2, 0, 120],
            &[10, 2, b's', b'w'],
            &[0, 0, 10, 1, b'x'],
        ];
        let all = all.concat();
        let whole = Lldp::read(&all);
        assert_eq!((whole.chassis, whole.port), (Some(LldpId::Address([2, 0, 0, 0, 0, 9])), Some(LldpId::Text(b"eth0"))));
        assert_eq!((whole.ttl_secs, whole.system_name), (Some(120), Some(&b"sw"[..])));
        (0..all.len()).for_each(|len| assert!(Lldp::read(&all[..len]).system_name.is_none_or(|name| name == b"sw")));
    }

    #[test]
    fn cdp_ends_at_an_impossible_length() {
        let all = [2, 180, 0, 0, 0, 1, 0, 6, b's', b'w', 0, 3, 0, 3, b'x', 0, 6, 0, 5, b'y'];
        assert_eq!(Cdp::read(&all), Some(Cdp { version: 2, ttl_secs: 180, device: Some(b"sw"), port: None, platform: None }));
        assert_eq!(Cdp::read(&all[..3]), None);
    }
}
