//! Names of flows in addresses of the page: what tells one flow's record from all others.
//!
//! Owns their text form. Knows no table. Invariant: a name that was written is read back equal.
//!
//! A name is the 5-tuple and the time of the first packet: `6-10.0.0.1-443-10.0.0.2-51000-1764500000123456789`. Without the time it is
//! the latest flow of that tuple, which is all that a packet knows. Two flows of one tuple in different VLANs or tunnels that began at
//! the same nanosecond have one name.

use crate::flow::{Direction, FlowKey, FlowRecord, TopFlow};
use crate::wire::{IpVersion, Network, Ports};
use netscope_backends::Timestamp;
use std::fmt;
use std::net::IpAddr;

/// The name of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlowName {
    /// The 5-tuple, in no domain.
    pub key: FlowKey,
    /// Time of the first packet; `None`: the latest flow of the tuple.
    pub first_seen: Option<Timestamp>,
}

impl FlowName {
    /// Of a record.
    pub fn of(record: &FlowRecord) -> Self {
        Self { key: record.key.tuple(), first_seen: Some(record.first_seen) }
    }

    /// Of a top flow.
    pub fn of_top(flow: &TopFlow) -> Self {
        Self { key: flow.key.tuple(), first_seen: Some(flow.first_seen) }
    }

    /// Whether a record has this name.
    pub fn fits(&self, record: &FlowRecord) -> bool {
        record.key.tuple() == self.key && self.first_seen.is_none_or(|time| time == record.first_seen)
    }

    /// Reads a name; `None` when it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let protocol = parts.next()?.parse().ok()?;
        let (a, a_port) = (parts.next()?.parse::<IpAddr>().ok()?, parts.next()?.parse().ok()?);
        let (b, b_port) = (parts.next()?.parse::<IpAddr>().ok()?, parts.next()?.parse().ok()?);
        let first_seen = match parts.next() {
            Some(time) => Some(Timestamp(time.parse().ok()?)),
            None => None,
        };
        if parts.next().is_some() || a.is_ipv4() != b.is_ipv4() {
            return None;
        }
        let version = if a.is_ipv4() { IpVersion::V4 } else { IpVersion::V6 };
        let (source, destination) = (octets(a), octets(b));
        let network = Network { version, protocol, ttl: 0, traffic_class: 0, source, destination, fragment: None };
        let (key, direction) = FlowKey::new(&network, Ports { source: a_port, destination: b_port });
        // Only the canonical order is a name.
        (direction == Direction::AToB).then_some(Self { key, first_seen })
    }
}

/// As packets have an address: IPv4 in the first 4 bytes.
pub fn octets(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&ip.octets());
            bytes
        }
        IpAddr::V6(ip) => ip.octets(),
    }
}

impl fmt::Display for FlowName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        write!(f, "{}-{}-{}-{}-{}", key.protocol(), key.a_ip(), key.a_port(), key.b_ip(), key.b_port())?;
        match self.first_seen {
            Some(time) => write!(f, "-{}", time.0),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::test_records::{icmp_record, tcp_record, udp6_record};

    #[test]
    fn names_are_read_back() {
        for record in [tcp_record(), udp6_record(), icmp_record()] {
            let name = FlowName::of(&record);
            assert_eq!(FlowName::parse(&name.to_string()), Some(name), "{name}");
            let tuple = FlowName { first_seen: None, ..name };
            assert_eq!(FlowName::parse(&tuple.to_string()), Some(tuple));
            assert!(name.fits(&record) && tuple.fits(&record));
            let later = FlowRecord { first_seen: record.first_seen.plus(1), ..record };
            assert!(!name.fits(&later) && tuple.fits(&later));
        }
    }

    #[test]
    fn anything_else_is_no_name() {
        for wrong in [
            "",
            "6",
            "6-10.0.0.1-1-::1-2-3",
            "6-10.0.0.2-1-10.0.0.1-2-3",
            "6-10.0.0.1-1-10.0.0.2-2-x",
            "6-10.0.0.1-1-10.0.0.2-2-3-4",
            "300-10.0.0.1-1-10.0.0.2-2-3",
            "6-10.0.0.1-1-10.0.0.2-65536-3",
            "../../etc/passwd",
        ] {
            assert_eq!(FlowName::parse(wrong), None, "{wrong}");
        }
    }
}
