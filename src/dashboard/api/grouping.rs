//! What flows are grouped by: a label for a person, and the filter that selects the group.
//!
//! Owns the columns. Knows no answer. Invariant: the term of a group selects exactly the flows that have its label.

use super::error::ApiError;
use super::filtering::and;
use super::flow_rows::service;
use super::packet_facts::has_ports;
use super::params::Params;
use super::rates::RatesNow;
use super::service_names::service_name;
use crate::flow::FlowRecord;
use crate::record::protocol_name;
use std::collections::HashMap;
use std::net::IpAddr;

/// By what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GroupColumn {
    /// Either end.
    Host,
    /// Who asked.
    Client,
    /// Who answered.
    Server,
    /// Protocol and the server's port.
    Service,
    /// Client and server.
    Pair,
    /// Protocol.
    Protocol,
    /// The outermost VLAN.
    Vlan,
}

impl GroupColumn {
    /// All of them.
    pub const ALL: [Self; 7] = [Self::Host, Self::Client, Self::Server, Self::Service, Self::Pair, Self::Protocol, Self::Vlan];

    /// The name in requests.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Client => "client",
            Self::Server => "server",
            Self::Service => "service",
            Self::Pair => "pair",
            Self::Protocol => "protocol",
            Self::Vlan => "vlan",
        }
    }

    /// The column of this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn of_name(name: &str) -> Result<Self, ApiError> {
        Self::ALL.into_iter().find(|column| column.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            ApiError::bad_request(format!("flows are not grouped by {:?}", super::params::shortened(name)))
                .with_hint(format!("by: {names}"))
        })
    }

    /// The groups of a flow: one, of hosts one or two.
    pub fn groups(self, record: &FlowRecord) -> (GroupName, Option<GroupName>) {
        let ips = [record.key.a_ip(), record.key.b_ip()];
        let client = record.client();
        let (client, server) = (ips[client.index()], ips[client.reverse().index()]);
        match self {
            Self::Host => (GroupName::Host(client), (client != server).then_some(GroupName::Host(server))),
            Self::Client => (GroupName::Client(client), None),
            Self::Server => (GroupName::Server(server), None),
            Self::Service => {
                let (protocol, port) = service(record);
                (GroupName::Service(protocol, has_ports(protocol).then_some(port)), None)
            }
            Self::Pair => (GroupName::Pair(client, server), None),
            Self::Protocol => (GroupName::Protocol(record.key.protocol()), None),
            Self::Vlan => (GroupName::Vlan((record.vlan.count > 0).then_some(record.vlan.ids[0])), None),
        }
    }
}

/// A group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GroupName {
    /// Either end.
    Host(IpAddr),
    /// Who asked.
    Client(IpAddr),
    /// Who answered.
    Server(IpAddr),
    /// Protocol and the server's port, where it has ports.
    Service(u8, Option<u16>),
    /// Client and server.
    Pair(IpAddr, IpAddr),
    /// Protocol.
    Protocol(u8),
    /// The outermost VLAN, or none.
    Vlan(Option<u16>),
}

impl GroupName {
    /// For a person.
    pub fn label(&self) -> String {
        match *self {
            Self::Host(ip) | Self::Client(ip) | Self::Server(ip) => ip.to_string(),
            Self::Service(protocol, Some(port)) => {
                let name = service_name(protocol, port).map(str::to_owned);
                name.unwrap_or_else(|| format!("{}/{port}", protocol_name(protocol)))
            }
            Self::Service(protocol, None) | Self::Protocol(protocol) => protocol_name(protocol).to_owned(),
            Self::Pair(client, server) => format!("{client} \u{2192} {server}"),
            Self::Vlan(Some(id)) => id.to_string(),
            Self::Vlan(None) => "untagged".to_owned(),
        }
    }

    /// The filter's term.
    pub fn term(&self) -> String {
        let proto = |protocol: u8| format!("proto:{}", protocol_name(protocol));
        match *self {
            Self::Host(ip) => format!("host:{ip}"),
            Self::Client(ip) => format!("src:{ip}"),
            Self::Server(ip) => format!("dst:{ip}"),
            Self::Service(protocol, Some(port)) => format!("{} dport:{port}", proto(protocol)),
            Self::Service(protocol, None) | Self::Protocol(protocol) => proto(protocol),
            Self::Pair(client, server) => format!("src:{client} dst:{server}"),
            Self::Vlan(Some(id)) => format!("outer_vlan:{id}"),
            Self::Vlan(None) => "!outer_vlan:*".to_owned(),
        }
    }
}

/// A filter for what is in none of these groups.
pub fn other_filter(filter: &str, groups: &[GroupName]) -> String {
    let terms: Vec<String> = groups.iter().map(|group| format!("({})", group.term())).collect();
    and(filter, &if terms.is_empty() { String::new() } else { format!("!({})", terms.join(" OR ")) })
}

/// What is added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupMetric {
    /// Bytes on the wire.
    Bytes,
    /// Packets.
    Packets,
    /// Flows.
    Flows,
    /// Bits per second now.
    Rate,
}

impl GroupMetric {
    /// The one of a request.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn of(params: Params<'_>) -> Result<Self, ApiError> {
        Ok(match params.choice("metric", &["bytes", "packets", "flows", "rate"])? {
            "packets" => Self::Packets,
            "flows" => Self::Flows,
            "rate" => Self::Rate,
            _ => Self::Bytes,
        })
    }

    /// The name in requests.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Packets => "packets",
            Self::Flows => "flows",
            Self::Rate => "rate",
        }
    }

    /// The order in which flows are asked for.
    pub const fn sort(self) -> &'static str {
        match self {
            Self::Bytes | Self::Flows => "bytes_total",
            Self::Packets => "packets_total",
            Self::Rate => "rate",
        }
    }

    /// Of a sum.
    pub const fn of_sum(self, sum: &GroupSum) -> u64 {
        match self {
            Self::Bytes => sum.bytes,
            Self::Packets => sum.packets,
            Self::Flows => sum.flows,
            Self::Rate => sum.bps,
        }
    }
}

/// What flows of a group have together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupSum {
    /// Flows.
    pub flows: u64,
    /// Their packets.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bits per second now, of those whose rate is known.
    pub bps: u64,
}

impl GroupSum {
    /// Of one flow.
    pub fn of(flow: &(FlowRecord, bool), rates: &RatesNow) -> Self {
        let (record, is_live) = flow;
        let rate = rates.of(record).filter(|_| *is_live).map_or(0.0, |rates| rates[0] + rates[1]);
        Self {
            flows: 1,
            packets: record.packets[0].saturating_add(record.packets[1]),
            bytes: record.bytes[0].saturating_add(record.bytes[1]),
            bps: rate as u64,
        }
    }

    /// Adds what another has.
    pub fn add(&mut self, other: &Self) {
        self.flows = self.flows.saturating_add(other.flows);
        self.packets = self.packets.saturating_add(other.packets);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.bps = self.bps.saturating_add(other.bps);
    }
}

/// Groups, largest first, and what those behind the first `limit` have together, with their number.
pub fn largest(
    sums: HashMap<GroupName, GroupSum>,
    metric: GroupMetric,
    limit: usize,
) -> (Vec<(GroupName, GroupSum)>, GroupSum, usize) {
    let mut rows: Vec<(GroupName, GroupSum)> = sums.into_iter().collect();
    rows.sort_unstable_by_key(|(name, sum)| (std::cmp::Reverse(metric.of_sum(sum)), *name));
    let rest = rows.split_off(limit.min(rows.len()));
    let mut other = GroupSum::default();
    rest.iter().for_each(|(_, sum)| other.add(sum));
    (rows, other, rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::RecordStyle;
    use crate::dashboard::api::filtering::PageFilter;
    use crate::record::test_records::{icmp_record, tcp_record, udp6_record};
    use crate::wire::VlanTags;

    #[test]
    fn terms_select_their_groups() {
        let tagged = |ids: [u16; 2], count| FlowRecord { vlan: VlanTags { ids, count }, ..tcp_record() };
        let records = [tcp_record(), udp6_record(), icmp_record(), tagged([200, 100], 2), tagged([100, 0], 1)];
        for (column, record) in GroupColumn::ALL.iter().flat_map(|column| records.iter().map(move |record| (column, record))) {
            let (first, second) = column.groups(record);
            assert_eq!(GroupColumn::of_name(column.name()).ok(), Some(*column));
            for group in [Some(first), second].into_iter().flatten() {
                let filter = PageFilter::parse(Some(&group.term()))
                    .unwrap_or_else(|error| panic!("{}: {}", group.term(), error.message()));
                let predicate = filter.predicate(RecordStyle::default()).expect("a filter");
                for other in &records {
                    let (own, own_second) = column.groups(other);
                    let is_in = own == group || own_second == Some(group);
                    assert_eq!(predicate(other), is_in, "{} of {}", group.term(), other.key.a_ip());
                }
                let others = PageFilter::parse(Some(&other_filter("proto:tcp", &[group]))).expect("a filter");
                let predicate = others.predicate(RecordStyle::default()).expect("a filter");
                for other in &records {
                    let (own, own_second) = column.groups(other);
                    let is_in = own == group || own_second == Some(group);
                    assert_eq!(predicate(other), other.key.protocol() == 6 && !is_in);
                }
            }
        }
    }

    #[test]
    fn the_largest_and_all_others_are_everything() {
        let sums =
            (0..10_u16).map(|id| (GroupName::Vlan(Some(id)), GroupSum { flows: 1, bytes: id.into(), ..GroupSum::default() }));
        let (rows, other, count) = largest(sums.collect(), GroupMetric::Bytes, 3);
        let ids: Vec<String> = rows.iter().map(|(name, _)| name.label()).collect();
        assert_eq!((ids, other.bytes, other.flows, count), (vec!["9".to_owned(), "8".to_owned(), "7".to_owned()], 21, 7, 7));
    }
}
