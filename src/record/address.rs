//! IP addresses as text, as the standard library and RFC 5952 have it, without its formatting machinery.
//!
//! Owns the digits of addresses. Knows no field. Its invariant: the text is that of `Display` for [`IpAddr`],
//! byte for byte.

use super::text::TextEnd;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Every octet as text with a point behind it, the first character in the lowest byte; above these four bytes
/// the length of both.
const OCTETS: [u64; 256] = {
    let mut octets = [0; 256];
    let mut value = 0;
    while value < 256 {
        let digits = [b'0' + (value / 100) as u8, b'0' + (value / 10 % 10) as u8, b'0' + (value % 10) as u8];
        let (text, len) = match value {
            0..=9 => ([digits[2], b'.', 0, 0], 2),
            10..=99 => ([digits[1], digits[2], b'.', 0], 3),
            _ => ([digits[0], digits[1], digits[2], b'.'], 4),
        };
        octets[value] = u32::from_le_bytes(text) as u64 | len << 32;
        value += 1;
    }
    octets
};

/// Appends an address and the character `behind` it.
#[inline(always)]
pub fn push_ip(out: &mut TextEnd<'_>, ip: IpAddr, behind: u8) {
    match ip {
        IpAddr::V4(ip) => push_ipv4(out, ip, behind),
        IpAddr::V6(ip) => out.aside(|out| push_ipv6(out, ip, behind)),
    }
}

#[inline(always)]
fn push_ipv4(out: &mut TextEnd<'_>, ip: Ipv4Addr, behind: u8) {
    out.fill::<32>(|room| {
        let mut len = 0;
        for octet in ip.octets() {
            let text = OCTETS[usize::from(octet)];
            if let Some(place) = room.get_mut(len..len + 4) {
                place.copy_from_slice(&(text as u32).to_le_bytes());
            }
            // At most 4 each; said so that nothing is left to be checked.
            len += (text >> 32 & 7) as usize;
        }
        // In place of the last point.
        if let Some(place) = len.checked_sub(1).and_then(|last| room.get_mut(last)) {
            *place = behind;
        }
        len
    });
}

/// Appends an IEEE 802 MAC address: six bytes in hexadecimal with colons.
pub fn push_mac(out: &mut TextEnd<'_>, address: [u8; 6]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [b':'; 18];
    for (place, byte) in text.chunks_exact_mut(3).zip(address) {
        place[0] = DIGITS[usize::from(byte >> 4)];
        place[1] = DIGITS[usize::from(byte & 0xf)];
    }
    out.put(text, 17);
}

/// RFC 5952: groups without leading zeros, the first of the longest runs of two or more zero groups as `::`,
/// IPv4-mapped addresses with their last four bytes as IPv4.
#[inline(never)]
fn push_ipv6(out: &mut TextEnd<'_>, ip: Ipv6Addr, behind: u8) {
    if let Some(mapped) = ip.to_ipv4_mapped() {
        out.word(b"::ffff:");
        push_ipv4(out, mapped, behind);
        return;
    }
    let groups = ip.segments();
    let (start, len) = longest_run(&groups);
    for (i, &group) in groups.iter().enumerate() {
        if len > 1 && (start..start + len).contains(&i) {
            if i == start {
                out.byte(b':');
            }
            continue;
        }
        if i > 0 {
            out.byte(b':');
        }
        push_group(out, group);
    }
    if len > 1 && start + len == groups.len() {
        out.byte(b':');
    }
    out.byte(behind);
}

/// Where the first of the longest runs of zero groups begins, and its length.
fn longest_run(groups: &[u16; 8]) -> (usize, usize) {
    let (mut longest, mut current) = ((0, 0), (0, 0));
    for (i, &group) in groups.iter().enumerate() {
        current = match group {
            0 if current.1 == 0 => (i, 1),
            0 => (current.0, current.1 + 1),
            _ => (0, 0),
        };
        if current.1 > longest.1 {
            longest = current;
        }
    }
    longest
}

#[inline(always)]
fn push_group(out: &mut TextEnd<'_>, group: u16) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = [12, 8, 4, 0].map(|shift| DIGITS[usize::from(group >> shift & 0xf)]);
    let leading = (group | 1).leading_zeros() / 4;
    out.put((u32::from_le_bytes(digits) >> (leading * 8)).to_le_bytes(), 4 - leading as usize);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::text::pushed;
    use proptest::prelude::*;

    fn text(ip: IpAddr) -> String {
        let text = String::from_utf8(pushed(|out| push_ip(out, ip, b';'))).unwrap();
        text.strip_suffix(';').unwrap().to_owned()
    }

    #[test]
    fn runs_of_zeros_at_every_place() {
        for zeros in 0..=u8::MAX {
            let groups = std::array::from_fn(|i| if zeros >> i & 1 == 1 { 0 } else { 0xf0 + i as u16 });
            let ip = IpAddr::V6(Ipv6Addr::from(groups));
            assert_eq!(text(ip), ip.to_string());
        }
    }

    #[test]
    fn addresses_with_an_ipv4_address_inside() {
        for ip in ["::ffff:192.0.2.1", "::ffff:0.0.0.0", "::192.0.2.1", "64:ff9b::192.0.2.1", "::1", "::"] {
            let ip: IpAddr = ip.parse().unwrap();
            assert_eq!(text(ip), ip.to_string());
        }
    }

    proptest! {
        #[test]
        fn ipv4_is_the_standard_librarys(octets: [u8; 4]) {
            let ip = IpAddr::from(octets);
            prop_assert_eq!(text(ip), ip.to_string());
        }

        #[test]
        fn ipv6_is_the_standard_librarys(groups in prop::array::uniform8(prop_oneof![Just(0), 0u16..16, any::<u16>()])) {
            let ip = IpAddr::from(groups);
            prop_assert_eq!(text(ip), ip.to_string());
        }
    }
}
