//! Where syslog messages go: a socket of this machine, or a server.
//!
//! Owns how targets are written. Opens nothing.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A receiver of syslog messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyslogTarget {
    /// A socket of this machine, of datagrams or of a stream.
    Unix(PathBuf),
    /// A datagram per message (RFC 5426).
    Udp(HostPort),
    /// A stream with lengths (RFC 6587, octet counting).
    Tcp(HostPort),
    /// The same, encrypted (RFC 5425).
    Tls(HostPort),
}

/// A name or an address, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// Without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for SyslogTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Udp(to) => write!(f, "udp://{to}"),
            Self::Tcp(to) => write!(f, "tcp://{to}"),
            Self::Tls(to) => write!(f, "tls://{to}"),
        }
    }
}

/// No target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no target: give unix:/dev/log, udp://host:514, tcp://host:601 or tls://host:6514")]
pub struct NoSyslogTarget;

impl FromStr for SyslogTarget {
    type Err = NoSyslogTarget;

    /// A port may be left out: 514, 601 and 6514.
    fn from_str(text: &str) -> Result<Self, NoSyslogTarget> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").filter(|path| path.starts_with('/')).unwrap_or(path);
            return if path.is_empty() { Err(NoSyslogTarget) } else { Ok(Self::Unix(path.into())) };
        }
        let (scheme, rest) = text.split_once("://").ok_or(NoSyslogTarget)?;
        match scheme {
            "udp" => host_port(rest, 514).map(Self::Udp),
            "tcp" => host_port(rest, 601).map(Self::Tcp),
            "tls" => host_port(rest, 6514).map(Self::Tls),
            _ => None,
        }
        .ok_or(NoSyslogTarget)
    }
}

/// `host`, `host:port`, `192.0.2.1:port`, `[2001:db8::1]:port`.
fn host_port(text: &str, default: u16) -> Option<HostPort> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let is_host = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':'));
    let port = port.map_or(Some(default), |port| port.parse().ok().filter(|port| *port > 0))?;
    is_host.then(|| HostPort { host: host.to_owned(), port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_and_shown() {
        let shown = |text: &str| text.parse::<SyslogTarget>().map(|target| target.to_string()).ok();
        for (text, expected) in [
            ("unix:/dev/log", "unix:/dev/log"),
            ("unix:///dev/log", "unix:/dev/log"),
            ("udp://192.0.2.1", "udp://192.0.2.1:514"),
            ("tcp://log.example", "tcp://log.example:601"),
            ("tls://log.example:1234", "tls://log.example:1234"),
            ("tls://[2001:db8::1]", "tls://[2001:db8::1]:6514"),
            ("udp://[::1]:99", "udp://[::1]:99"),
        ] {
            assert_eq!(shown(text).as_deref(), Some(expected));
            assert_eq!(shown(expected).as_deref(), Some(expected));
        }
        for text in [
            "",
            "unix:",
            "/dev/log",
            "http://a",
            "udp://",
            "udp://:514",
            "tcp://a:0",
            "tcp://a:x",
            "tcp://a:1:2",
            "tcp://[a]",
            "tcp://[::1]x",
            "tcp://a/b",
        ] {
            assert_eq!(shown(text), None, "{text}");
        }
    }
}
