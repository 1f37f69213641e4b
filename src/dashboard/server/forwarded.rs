//! Whom a request of a proxy is for: `X-Forwarded-For` and `Forwarded` (RFC 7239), from proxies that are trusted.
//!
//! Owns the reading of both. Knows no limit. Invariants: what anybody else sends is not looked at; of what a proxy hands on, only the end counts
//! that proxies of ours have written, so no client chooses for whom it counts.

use crate::detect::IpPrefix;
use crate::flow::HostAddress;
use hyper::HeaderMap;
use hyper::header::{FORWARDED, HeaderName};
use std::net::{IpAddr, Ipv6Addr};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Proxies that are trusted.
pub(super) struct TrustedProxies(Vec<IpPrefix>);

/// A trusted proxy did not say for whom it asks, or said two things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UnclearClient;

impl TrustedProxies {
    /// Of these networks.
    pub(super) const fn new(networks: Vec<IpPrefix>) -> Self {
        Self(networks)
    }

    /// True for one of them.
    pub(super) fn trusts(&self, address: IpAddr) -> bool {
        let address = HostAddress::from(address.to_canonical());
        self.0.iter().any(|network| network.contains(address))
    }

    /// Whose request this is: that of the nearest address in front of trusted proxies, or of `peer`.
    ///
    /// # Errors
    /// When a trusted proxy says something that cannot be read, or both headers name different clients: one of them may be the client's own.
    pub(super) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> Result<IpAddr, UnclearClient> {
        if !self.trusts(peer) {
            return Ok(peer);
        }
        let plain = self.nearest(headers, &X_FORWARDED_FOR, |entry| Some(entry));
        let standard = self.nearest(headers, &FORWARDED, for_parameter);
        match (plain, standard) {
            (None, None) => Ok(peer),
            (Some(found), None) | (None, Some(found)) => found,
            (Some(Ok(plain)), Some(Ok(standard))) if plain == standard => Ok(plain),
            _ => Err(UnclearClient),
        }
    }

    /// From the end of a header, the first address that is no trusted proxy; the first of all where all are. `None` without the header.
    fn nearest(
        &self,
        headers: &HeaderMap,
        name: &HeaderName,
        node: fn(&str) -> Option<&str>,
    ) -> Option<Result<IpAddr, UnclearClient>> {
        let values: Vec<_> = headers.get_all(name).iter().collect();
        // Commas within quotes are no exception: of what is in front of the last one, a client may have written all.
        let entries = values.iter().rev().flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b','));
        let mut found = None;
        for entry in entries {
            let address = std::str::from_utf8(entry).ok().and_then(node).and_then(address);
            let Some(address) = address else { return Some(Err(UnclearClient)) };
            found = Some(Ok(address));
            if !self.trusts(address) {
                break;
            }
        }
        found
    }
}

/// The node of `for=` in an element of `Forwarded`.
fn for_parameter(element: &str) -> Option<&str> {
    let pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let mut nodes = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case("for")).map(|(_, node)| node.trim());
    let node = nodes.next().filter(|_| nodes.next().is_none())?;
    match node.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"'),
        None => Some(node),
    }
}

/// An address with or without a port; IPv6 may have brackets.
fn address(node: &str) -> Option<IpAddr> {
    let node = node.trim();
    let is_port = |text: &str| text.is_empty() || text.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    if let Some(rest) = node.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        return address.parse::<Ipv6Addr>().ok().filter(|_| is_port(port)).map(|address| IpAddr::V6(address).to_canonical());
    }
    let (host, port) = match node.split_once(':') {
        Some((host, port)) if !port.contains(':') => (host, port.parse::<u16>().is_ok()),
        _ => (node, true),
    };
    host.parse::<IpAddr>().ok().filter(|_| port).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn proxies() -> TrustedProxies {
        TrustedProxies::new(["127.0.0.0/8", "10.9.0.0/16", "2001:db8:9::/48"].iter().map(|text| text.parse().unwrap()).collect())
    }

    fn of(peer: &str, headers: &[(&str, &str)]) -> Result<String, UnclearClient> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        proxies().client(peer.parse().unwrap(), &map).map(|address| address.to_string())
    }

    #[test]
    fn a_trusted_proxy_says_whose_request_it_is() {
        for (headers, client) in [
            (&[("x-forwarded-for", "192.0.2.1")][..], "192.0.2.1"),
            (&[("x-forwarded-for", "192.0.2.1:4711")], "192.0.2.1"),
            (&[("x-forwarded-for", "2001:db8::1")], "2001:db8::1"),
            (&[("x-forwarded-for", "::ffff:192.0.2.1")], "192.0.2.1"),
            (&[("x-forwarded-for", "192.0.2.1, 10.9.0.1 ,127.0.0.1")], "192.0.2.1"),
            (&[("x-forwarded-for", "192.0.2.1"), ("x-forwarded-for", "10.9.0.1")], "192.0.2.1"),
            (&[("x-forwarded-for", "10.9.0.2, 10.9.0.1")], "10.9.0.2"),
            (&[("forwarded", "for=192.0.2.1;proto=https, For=\"[2001:db8:9::1]:80\"")], "192.0.2.1"),
            (&[("forwarded", "proto=http;FOR=\"192.0.2.1:80\"")], "192.0.2.1"),
            (&[("forwarded", "for=192.0.2.1"), ("x-forwarded-for", "192.0.2.1")], "192.0.2.1"),
            (&[], "127.0.0.1"),
        ] {
            assert_eq!(of("127.0.0.1", headers), Ok(client.to_owned()), "{headers:?}");
        }
    }

    #[test]
    fn what_a_client_writes_itself_counts_for_nothing() {
        // The proxy adds what it sees at the end.
        assert_eq!(of("127.0.0.1", &[("x-forwarded-for", "198.51.100.7, 192.0.2.1")]), Ok("192.0.2.1".to_owned()));
        assert_eq!(of("127.0.0.1", &[("x-forwarded-for", "\"'[, 192.0.2.1")]), Ok("192.0.2.1".to_owned()));
        assert_eq!(of("127.0.0.1", &[("forwarded", "for=\"a, for=192.0.2.1")]), Ok("192.0.2.1".to_owned()));
        let both = [("forwarded", "for=198.51.100.7"), ("x-forwarded-for", "192.0.2.1")];
        assert_eq!(of("127.0.0.1", &both), Err(UnclearClient), "one of them is the client's");
        for peer in ["192.0.2.9", "2001:db8:8::1", "10.8.0.1"] {
            assert_eq!(of(peer, &[("x-forwarded-for", "198.51.100.7")]), Ok(peer.to_owned()), "no proxy of ours");
        }
        for unclear in
            ["", "unknown", "_hidden", "192.0.2.1, ", "192.0.2", "192.0.2.1:x", "[2001:db8::1", "[::1]x", "192.0.2.1:99999"]
        {
            assert_eq!(of("127.0.0.1", &[("x-forwarded-for", unclear)]), Err(UnclearClient), "{unclear}");
        }
        for unclear in ["proto=http", "for=unknown", "for=\"192.0.2.1", "for=192.0.2.1;for=192.0.2.2", "192.0.2.1"] {
            assert_eq!(of("127.0.0.1", &[("forwarded", unclear)]), Err(UnclearClient), "{unclear}");
        }
    }

    proptest! {
        #[test]
        fn any_text_in_front_changes_nothing(text in "[ -~]{0,60}") {
            let (plain, standard) = (format!("{text},192.0.2.1"), format!("{text},for=192.0.2.1"));
            prop_assert_eq!(of("127.0.0.1", &[("x-forwarded-for", &plain)]), Ok("192.0.2.1".to_owned()));
            prop_assert_eq!(of("127.0.0.1", &[("forwarded", &standard)]), Ok("192.0.2.1".to_owned()));
        }
    }
}
