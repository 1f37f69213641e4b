//! Which hosts a client may ask for, and from which origins: what stops DNS rebinding and other sites.
//!
//! Owns the reading of `Host` and `Origin` (RFC 9110, RFC 6454). Knows no socket. Invariant: a name that nobody allowed is refused; an address is
//! none, and no other site can make a browser send one that is ours with its own origin.

use std::net::{IpAddr, Ipv6Addr};

/// Names that are ours.
pub(super) struct HostRules {
    names: Vec<String>,
    has_tls: bool,
}

/// A host with its port, as a client wrote them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Authority {
    /// Lower case, without the dot of a root.
    host: String,
    port: Option<u16>,
}

impl Authority {
    /// `None` for what is no host with or without a port.
    fn parse(text: &str) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, rest) = rest.split_once(']')?;
                let address: Ipv6Addr = address.parse().ok()?;
                (address.to_string(), if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
            }
            None => match text.split_once(':') {
                Some((host, port)) => (host.to_owned(), Some(port)),
                None => (text.to_owned(), None),
            },
        };
        let port = match port {
            None => None,
            Some(digits) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => Some(digits.parse().ok()?),
            Some(_) => return None,
        };
        let host = host.strip_suffix('.').unwrap_or(&host).to_ascii_lowercase();
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
        (!host.is_empty() && host.bytes().all(is_plain)).then_some(Self { host, port })
    }
}

impl HostRules {
    /// Allows these names, in lower case, besides `localhost` and addresses.
    pub(super) fn new(names: &[String], has_tls: bool) -> Self {
        Self { names: names.to_vec(), has_tls }
    }

    /// True when a client may ask for this host.
    pub(super) fn is_ours(&self, host: &str) -> bool {
        let Some(authority) = Authority::parse(host) else { return false };
        authority.host == "localhost" || authority.host.parse::<IpAddr>().is_ok() || self.names.contains(&authority.host)
    }

    /// True when a request with this `Origin` comes from the page that was served as `host`. A proxy may have taken TLS away, so
    /// without TLS `https` is as good as `http`.
    pub(super) fn is_same_origin(&self, origin: &str, host: &str) -> bool {
        let (rest, default) = match origin.split_once("://") {
            Some(("https", rest)) => (rest, 443),
            Some(("http", rest)) if !self.has_tls => (rest, 80),
            _ => return false,
        };
        match (Authority::parse(rest), Authority::parse(host)) {
            (Some(origin), Some(host)) => {
                origin.host == host.host && origin.port.unwrap_or(default) == host.port.unwrap_or(default)
            }
            _ => false,
        }
    }
}

/// True for a name that may stand in a URL; for the settings.
pub fn is_host_name(name: &str) -> bool {
    Authority::parse(name).is_some_and(|authority| authority.port.is_none() && !authority.host.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_that_nobody_allowed_are_refused() {
        let rules = HostRules::new(&["probe.example".to_owned()], false);
        for host in
            ["localhost", "LOCALHOST:8080", "127.0.0.1", "127.0.0.1:8080", "[::1]:8080", "[::1]", "10.0.0.1", "Probe.Example.:80"]
        {
            assert!(rules.is_ours(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "probe.example.evil.example",
            "127.0.0.1.evil.example",
            "127.0.0.1:8080:1",
            "127.0.0.1:",
            "127.0.0.1:x",
            "127.0.0.1:99999",
            "user@localhost",
            "localhost/x",
            "[::1",
            "[::1]x",
            "[evil.example]",
            "local host",
            "localhost,evil.example",
        ] {
            assert!(!rules.is_ours(host), "{host}");
        }
    }

    #[test]
    fn an_origin_is_the_host_that_was_asked_for() {
        let plain = HostRules::new(&[], false);
        for (origin, host) in [
            ("http://127.0.0.1:8080", "127.0.0.1:8080"),
            ("http://localhost", "localhost:80"),
            ("http://localhost:80", "localhost"),
            ("https://probe.example", "probe.example"),
            ("http://[::1]:8080", "[::1]:8080"),
        ] {
            assert!(plain.is_same_origin(origin, host), "{origin} {host}");
        }
        for (origin, host) in [
            ("null", "localhost"),
            ("", "localhost"),
            ("http://localhost:3000", "localhost:8080"),
            ("http://localhost:8080", "127.0.0.1:8080"),
            ("http://evil.example", "localhost"),
            ("file://localhost", "localhost"),
            ("http://localhost:8080/", "localhost:8080"),
            ("http://localhost@evil.example", "localhost"),
        ] {
            assert!(!plain.is_same_origin(origin, host), "{origin} {host}");
        }
        let tls = HostRules::new(&[], true);
        assert!(tls.is_same_origin("https://localhost:8443", "localhost:8443"));
        assert!(!tls.is_same_origin("http://localhost:8443", "localhost:8443"));
    }

    #[test]
    fn names_of_the_settings() {
        assert!(is_host_name("probe.example") && is_host_name("probe-1") && is_host_name("10.0.0.1"));
        for name in ["", "probe.example:80", "http://probe", "a b", "*.example", "[::1]"] {
            assert!(!is_host_name(name), "{name}");
        }
    }
}
