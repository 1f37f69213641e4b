//! What flows are grouped by: a label for a person, and the filter that selects the group.
//!
//! Owns the columns. Knows no answer. Invariant: the term of a group selects exactly the flows that are in it; but that of a name
//! selects all flows that have it among their names, and each is in the group of its first one.

use super::error::ApiError;
use super::filtering::and;
use super::flow_rows::service;
use super::packet_facts::has_ports;
use super::params::Params;
use super::rates::RatesNow;
use super::service_names::service_name;
use crate::aggregate::FoundFlow;
use crate::flow::FactId;
use crate::query::quoted;
use crate::record::{ASKED_NAMES, FACT_SCHEMA, SPOKEN, asked_name, protocol_name, shown, spoken};
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
    /// What is spoken, as the content says.
    App,
    /// What the client asked for by name.
    Name,
}

impl GroupColumn {
    /// All of them.
    pub const ALL: [Self; 9] =
        [Self::Host, Self::Client, Self::Server, Self::Service, Self::Pair, Self::Protocol, Self::Vlan, Self::App, Self::Name];

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
            Self::App => "app",
            Self::Name => "name",
        }
    }

    /// True when it is of what is known of flows beyond their records.
    pub const fn asks_for_facts(self) -> bool {
        matches!(self, Self::App | Self::Name)
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
    pub fn groups(self, flow: &FoundFlow) -> (GroupName, Option<GroupName>) {
        let (record, facts) = (&flow.record, flow.facts.facts());
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
            Self::App => (GroupName::App(spoken(facts).map(Into::into)), None),
            Self::Name => (GroupName::Name(asked_name(facts).map(Into::into)), None),
        }
    }
}

/// The column of a fact.
fn column_of(id: FactId) -> String {
    let object = FACT_SCHEMA.get(usize::from(id.object));
    let member = object.and_then(|object| Some((object.field.name, object.members.get(usize::from(id.member))?.name)));
    member.map_or_else(String::new, |(object, member)| format!("{object}_{member}"))
}

/// A filter that is true where one of these facts is this text, or where there is none of them. `None` where it cannot be written:
/// text that is not UTF-8.
fn term_of(ids: &[FactId], text: Option<&[u8]>) -> Option<String> {
    let text = text.map(str::from_utf8).transpose().ok()?;
    let quoted = text.map(quoted);
    let terms = ids.iter().map(|&id| match &quoted {
        Some(quoted) => format!("{}:={quoted}", column_of(id)),
        None => format!("{}:*", column_of(id)),
    });
    let any = terms.collect::<Vec<_>>().join(" OR ");
    Some(match text {
        Some(_) if ids.len() == 1 => any,
        Some(_) => format!("({any})"),
        None => format!("!({any})"),
    })
}

/// A group.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
    /// What is spoken, where it is known.
    App(Option<Box<[u8]>>),
    /// What was asked for, where it is known: out of packets, any bytes.
    Name(Option<Box<[u8]>>),
}

impl GroupName {
    /// For a person.
    pub fn label(&self) -> String {
        match *self {
            Self::App(ref text) => text.as_deref().map_or_else(|| "unknown".to_owned(), |text| shown(text).collect()),
            Self::Name(ref text) => text.as_deref().map_or_else(|| "no name".to_owned(), |text| shown(text).collect()),
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

    /// The filter's term; `None` where there is none for it.
    pub fn term(&self) -> Option<String> {
        let proto = |protocol: u8| format!("proto:{}", protocol_name(protocol));
        Some(match *self {
            Self::App(ref text) => return term_of(&[SPOKEN], text.as_deref()),
            Self::Name(ref text) => return term_of(&ASKED_NAMES, text.as_deref()),
            Self::Host(ip) => format!("host:{ip}"),
            Self::Client(ip) => format!("src:{ip}"),
            Self::Server(ip) => format!("dst:{ip}"),
            Self::Service(protocol, Some(port)) => format!("{} dport:{port}", proto(protocol)),
            Self::Service(protocol, None) | Self::Protocol(protocol) => proto(protocol),
            Self::Pair(client, server) => format!("src:{client} dst:{server}"),
            Self::Vlan(Some(id)) => format!("outer_vlan:{id}"),
            Self::Vlan(None) => "!outer_vlan:*".to_owned(),
        })
    }
}

/// A filter for what is in none of these groups; `None` where there is none for one of them.
pub fn other_filter<'a>(filter: &str, groups: impl Iterator<Item = &'a GroupName>) -> Option<String> {
    let terms: Vec<String> = groups.map(|group| Some(format!("({})", group.term()?))).collect::<Option<_>>()?;
    Some(and(filter, &if terms.is_empty() { String::new() } else { format!("!({})", terms.join(" OR ")) }))
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
    pub fn of(flow: &FoundFlow, rates: &RatesNow) -> Self {
        let FoundFlow { record, is_alive, .. } = flow;
        let rate = rates.of(record).filter(|_| *is_alive).map_or(0.0, |rates| rates[0] + rates[1]);
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
    rows.sort_by_cached_key(|(name, sum)| (std::cmp::Reverse(metric.of_sum(sum)), name.clone()));
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
    use crate::flow::{FactBuffer, FlowRecord};
    use crate::record::test_records::{icmp_record, tcp_record, udp6_record};
    use crate::record::{CUT_MARK, TEXT_LEN_MAX};
    use crate::wire::VlanTags;

    /// A flow of which these texts are known.
    fn with(record: FlowRecord, texts: &[(FactId, &[u8])]) -> FoundFlow {
        let mut facts = FactBuffer::default();
        texts.iter().for_each(|(id, text)| assert!(facts.text(*id, text)));
        FoundFlow::new(record, true, facts.facts().into())
    }

    #[test]
    fn terms_select_their_groups() {
        let tagged = |ids: [u16; 2], count| FlowRecord { vlan: VlanTags { ids, count }, ..tcp_record() };
        let records = [tcp_record(), udp6_record(), icmp_record(), tagged([200, 100], 2), tagged([100, 0], 1)];
        let mut flows: Vec<FoundFlow> = records.iter().map(|record| with(*record, &[])).collect();
        let [tls, quic, http, dns, others] = ASKED_NAMES;
        flows.push(with(tcp_record(), &[(SPOKEN, b"tls"), (tls, b"www.example.com")]));
        flows.push(with(udp6_record(), &[(SPOKEN, b"quic"), (quic, b"www.example.com")]));
        flows.push(with(tcp_record(), &[(SPOKEN, b"http"), (http, b"a \"quoted\" \\ name, (*) OR\n\x1b")]));
        flows.push(with(udp6_record(), &[(SPOKEN, b"dns"), (dns, b"WWW.example.com")]));
        flows.push(with(tcp_record(), &[(others, b"www.example.com")]));
        for (column, flow) in GroupColumn::ALL.iter().flat_map(|column| flows.iter().map(move |flow| (column, flow))) {
            let (first, second) = column.groups(flow);
            assert_eq!(GroupColumn::of_name(column.name()).ok(), Some(*column));
            for group in [Some(first), second].into_iter().flatten() {
                let term = group.term().expect("it can be written");
                let predicate_of = |text: &str| {
                    let filter = PageFilter::parse(Some(text)).unwrap_or_else(|error| panic!("{text}: {}", error.message()));
                    filter.predicate(RecordStyle::default()).expect("a filter")
                };
                let is_in = |flow: &FoundFlow| {
                    let (own, own_second) = column.groups(flow);
                    own == group || own_second.as_ref() == Some(&group)
                };
                let predicate = predicate_of(&term);
                let others = predicate_of(&other_filter("proto:tcp", [&group].into_iter()).expect("it can be written"));
                for other in &flows {
                    let (record, facts) = (&other.record, other.facts.facts());
                    assert_eq!(predicate.is_true(record, facts), is_in(other), "{term} of {other:?}");
                    assert_eq!(others.is_true(record, facts), record.key.protocol() == 6 && !is_in(other));
                }
            }
        }
    }

    #[test]
    fn names_have_one_group_wherever_they_were_asked_for() {
        let [tls, quic, http, dns, others] = ASKED_NAMES;
        let group = |texts: &[(FactId, &[u8])]| GroupColumn::Name.groups(&with(tcp_record(), texts)).0;
        assert_eq!(group(&[(tls, b"a")]), group(&[(quic, b"a")]));
        assert_eq!(group(&[(others, b"a")]), group(&[(tls, b"a")]));
        assert_eq!(group(&[(others, b"b"), (dns, b"a")]), group(&[(tls, b"a")]), "what the flow told itself goes first");
        assert_eq!(group(&[(dns, b"b"), (http, b"a")]), group(&[(tls, b"a")]), "HTTP goes before DNS");
        let mut facts = FactBuffer::default();
        assert!(facts.list(dns, [b"a".as_slice(), b"b"]));
        let listed = FoundFlow::new(tcp_record(), false, facts.facts().into());
        assert_eq!(GroupColumn::Name.groups(&listed).0.label(), "a");
        let odd = group(&[(tls, b"a\xff")]);
        assert_eq!((odd.label(), odd.term(), other_filter("", [&odd].into_iter())), ("a\u{fffd}".to_owned(), None, None));
        assert_eq!(group(&[]).label(), "no name");
        let long = group(&[(tls, "\u{20ac}".repeat(1000).as_bytes())]);
        assert_eq!(long.label(), format!("{}{CUT_MARK}", "\u{20ac}".repeat(TEXT_LEN_MAX / 3)));
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
