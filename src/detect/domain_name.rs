//! Names of hosts as detectors compare them: in small letters, cut into what somebody registered and what stands in front.
//!
//! Owns the use of the public-suffix list. Knows no rule. Invariant: a name has at most [`NAME_TEXT_MAX`] bytes, so all of it costs a bounded
//! number of steps.

use super::EvidenceHash;
use crate::app::dns::{DnsName, NAME_TEXT_MAX, NameText};
use crate::flow::HostAddress;
use std::net::{IpAddr, Ipv6Addr};

/// Longest last label that is taken for the end of names of some network, such as `local`.
const INNER_LABEL_MAX: usize = 24;

/// A name in small letters.
pub(super) struct SmallName {
    bytes: [u8; NAME_TEXT_MAX],
    len: usize,
}

impl SmallName {
    /// `None` where the name is broken.
    pub fn read(name: DnsName<'_>) -> Option<Self> {
        let mut text = NameText::default();
        let written = name.write(&mut text)?;
        let mut small = Self { bytes: [0; NAME_TEXT_MAX], len: written.len() };
        small.bytes.get_mut(..written.len())?.copy_from_slice(written);
        small.bytes.make_ascii_lowercase();
        Some(small)
    }

    /// Its text, ASCII, without the dot at its end.
    pub fn text(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// What somebody registered: a public suffix and one label in front. Names that end in no public suffix are cut by the same rule where they look like
/// those of a network of its own (`printer.lan`); else, as in a tunnel without a domain, nothing of them is a domain, and this is empty.
pub(super) fn registered_domain(name: &[u8]) -> &[u8] {
    let last = name.rsplit(|&byte| byte == b'.').next().unwrap_or_default();
    let is_inner =
        || (1..=INNER_LABEL_MAX).contains(&last.len()) && last.iter().all(|byte| byte.is_ascii_lowercase() || *byte == b'-');
    match psl::domain(name) {
        Some(domain) if domain.suffix().is_known() || is_inner() => domain.as_bytes().get(..).unwrap_or_default(),
        Some(_) => &[],
        // The name is a public suffix itself.
        None => name,
    }
}

/// A name that has an address in it: a reverse one, or one by which a list of addresses is asked. There are as many as there are addresses, and that they are
/// not known says nothing.
pub(super) fn holds_address(name: &[u8]) -> bool {
    let is_byte = |label: &[u8]| (1..=3).contains(&label.len()) && label.iter().all(u8::is_ascii_digit);
    let mut labels = name.split(|&byte| byte == b'.');
    let is_reversed = (0..4).all(|_| labels.next().is_some_and(is_byte));
    is_reversed || name.ends_with(b".arpa") || holds_nibbles(name)
}

/// The 32 labels of a reversed IPv6 address.
fn holds_nibbles(name: &[u8]) -> bool {
    let mut labels = name.split(|&byte| byte == b'.');
    (0..32).all(|_| labels.next().is_some_and(|label| matches!(label, [digit] if digit.is_ascii_hexdigit())))
}

/// The name is the domain, or in it.
pub(super) fn is_within(name: &[u8], domain: &[u8]) -> bool {
    name.strip_suffix(domain).is_some_and(|front| front.is_empty() || front.ends_with(b"."))
}

/// Something that is no address, in the place of one in a key or in a set: 128 bits of its hash.
pub(super) fn digest(hash: &EvidenceHash, of: &[u8]) -> HostAddress {
    let bits = u128::from(hash.rank(&of)) << 64 | u128::from(hash.rank(&(of, 1_u8)));
    IpAddr::V6(Ipv6Addr::from_bits(bits)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_by_the_list_of_public_suffixes() {
        for (name, domain) in [
            ("www.example.com", "example.com"),
            ("a.b.example.co.uk", "example.co.uk"),
            ("d111.cloudfront.net", "d111.cloudfront.net"),
            ("example.com", "example.com"),
            ("com", "com"),
            ("x.printer.lan", "printer.lan"),
            ("_ldap._tcp.dc._msdcs.corp.local", "corp.local"),
            ("dnscat.a35c00f5005703.edf0dbda1", ""),
            (".", "."),
            ("", ""),
        ] {
            assert_eq!(String::from_utf8_lossy(registered_domain(name.as_bytes())), domain, "{name}");
        }
    }

    #[test]
    fn names_with_addresses_are_told_apart() {
        let nibbles = format!("{}zen.example.org", "a.".repeat(32));
        for name in ["4.3.2.1.in-addr.arpa", "1.ip6.arpa", "4.3.2.1.zen.example.org", &nibbles] {
            assert!(holds_address(name.as_bytes()), "{name}");
        }
        for name in ["www.example.com", "4.3.2.example.org", "1234.3.2.1.example.org", "arpa.example.com", ""] {
            assert!(!holds_address(name.as_bytes()), "{name}");
        }
        assert!(is_within(b"a.b.c", b"b.c") && is_within(b"b.c", b"b.c") && !is_within(b"ab.c", b"b.c"));
    }
}
