//! The words of the language: every field and fact by its name, and a few short words.
//!
//! Owns how a word becomes a source of values. Knows no value. Invariants: fields and facts are words by their name without a line
//! here; a word means one thing.

use super::describe::{Described, LINK, described};
use crate::flow::tcp::{TcpState, TcpStateDetail};
use crate::flow::{Direction, EndReason, FactId, FlowState};
use crate::record::{
    FIELDS, FactSchema, FieldType, KNOWN_BY, OTHERS_NAME, OTHERS_NAME_SOURCE, RecordField, SPOKEN, SPOKEN_SOURCE, TimeResolution,
};
use crate::wire::TunnelKind;
use std::borrow::Cow;

/// Whose address or port. Of a packet, source and destination are its own, and who is client or server is not known; of a flow,
/// the source is the client and the destination the server ([`crate::flow::FlowRecord::client`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// One of both has to fit.
    Either,
    /// The sender of a packet, the client of a flow.
    Source,
    /// The receiver of a packet, the server of a flow.
    Destination,
    /// The client of a flow.
    Client,
    /// The server of a flow.
    Server,
}

/// Where a term takes its value from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValueSource {
    /// The IP protocol number.
    Protocol,
    /// Addresses.
    Address(Ends),
    /// Ports of protocols that have ports.
    Port(Ends),
    /// The first of the VLAN tags.
    OuterVlan,
    /// A place in [`FIELDS`].
    Field(usize),
    /// A fact.
    Fact(FactId),
    /// Any fact of an object.
    Object(u8),
}

/// Which values a source has, and how they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValueKind {
    /// Protocol names and numbers.
    Protocol,
    /// A count, or a number that counts nothing.
    Number,
    /// A number of bytes.
    Bytes,
    /// A duration in ns; a number without a unit is a multiple of so many.
    Duration(u64),
    /// A time since 1970, in ns.
    Instant,
    /// Bits per second, in thousandths.
    Rate,
    /// Addresses and networks.
    Address,
    /// An address, and a port.
    Endpoint,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// True or false.
    Boolean,
    /// Text.
    Text,
}

/// Short words and what they stand for.
const SHORT: &[(&str, &str)] = &[
    ("proto", "protocol"),
    ("state", "flow_state"),
    ("bytes", "bytes_total"),
    ("packets", "packets_total"),
    ("duration", "duration_secs"),
    ("bps", "avg_bps"),
    ("rtt", "rtt_ewma_ms"),
    ("handshake", "handshake_rtt_ms"),
    ("server", "server_ip"),
    ("reason", "end_reason"),
    ("begin", "first_seen"),
];

/// Short words for facts: the first of these that there is.
const SHORT_FACTS: &[(&str, &[&str])] = &[
    ("app", &["app_protocol"]),
    ("sni", &["tls_sni", "tls_server_name"]),
    ("ja4", &["tls_ja4"]),
    ("dns", &["dns_name"]),
    ("ssh", &["ssh_banner"]),
];

/// Words for what has no column of its own.
pub(super) const OWN: &[(&str, ValueSource, Described)] = &[
    own("host", ValueSource::Address(Ends::Either), "Host", "address of either side"),
    own("src", ValueSource::Address(Ends::Source), "Source", "address of the client; of a packet its source"),
    own("dst", ValueSource::Address(Ends::Destination), "Destination", "address of the server; of a packet its destination"),
    own("port", ValueSource::Port(Ends::Either), "Port", "port of either side"),
    own("sport", ValueSource::Port(Ends::Source), "Source port", "port of the client; of a packet its source port"),
    own(
        "dport",
        ValueSource::Port(Ends::Destination),
        "Destination port",
        "port of the server; of a packet its destination port",
    ),
    own("len", ValueSource::Field(field_at("bytes_total")), "Length", "the same as `bytes`"),
    (
        "outer_vlan",
        ValueSource::OuterVlan,
        Described { name: "outer_vlan", label: "Outer VLAN", group: LINK, line: "VLAN id of the outermost tag alone" },
    ),
];

const fn own(
    name: &'static str,
    source: ValueSource,
    label: &'static str,
    line: &'static str,
) -> (&'static str, ValueSource, Described) {
    (name, source, Described { name, label, group: "Addresses", line })
}

/// The place of a field that there is.
const fn field_at(name: &str) -> usize {
    let mut at = 0;
    while !same(FIELDS[at].field.name, name) {
        at += 1;
    }
    at
}

const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut at = 0;
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at == a.len() && at == b.len()
}

const DIRECTIONS: &[&str] = &[Direction::AToB.name(), Direction::BToA.name()];
const STATES: &[&str] = &{
    use TcpState::{Closed, Established, FinWait, Reset, SynAck, SynSent, Unknown};
    [Unknown.name(), SynSent.name(), SynAck.name(), Established.name(), FinWait.name(), Closed.name(), Reset.name()]
};
const STATE_DETAILS: &[&str] = &{
    use TcpStateDetail::{
        CloseWait, Closed, Closing, Established, FinWait1, FinWait2, LastAck, SynReceived, SynSent, TimeWait, Unknown,
    };
    [
        Unknown.name(),
        SynSent.name(),
        SynReceived.name(),
        Established.name(),
        FinWait1.name(),
        FinWait2.name(),
        CloseWait.name(),
        Closing.name(),
        LastAck.name(),
        TimeWait.name(),
        Closed.name(),
    ]
};
const REASONS: &[&str] = &{
    let mut names = [""; EndReason::ALL.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = EndReason::ALL[at].name();
        at += 1;
    }
    names
};
const TUNNELS: &[&str] = &{
    let mut names = [""; TunnelKind::ALL.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = TunnelKind::ALL[at].name();
        at += 1;
    }
    names
};
const RESOLUTIONS: &[&str] = &[TimeResolution::Packet.name(), TimeResolution::Batch.name()];

const NS_PER_MS: u64 = 1_000_000;
const NS_PER_S: u64 = 1_000_000_000;

/// How values of a field are written.
pub(super) fn kind_of_field(field: &RecordField) -> ValueKind {
    match (field.field.name, field.field.kind) {
        ("tcp_state", _) => ValueKind::Choice(STATES),
        ("flow_state", _) => ValueKind::Choice(&FlowState::NAMES),
        ("app_known_by", _) => ValueKind::Choice(&KNOWN_BY),
        ("tcp_state_detail", _) => ValueKind::Choice(STATE_DETAILS),
        ("end_reason", _) => ValueKind::Choice(REASONS),
        ("tunnel", _) => ValueKind::Choice(TUNNELS),
        ("client" | "initiator", _) => ValueKind::Choice(DIRECTIONS),
        ("time_resolution", _) => ValueKind::Choice(RESOLUTIONS),
        ("first_seen" | "last_seen", _) => ValueKind::Instant,
        (_, FieldType::Number | FieldType::List) if field.field.unit == "bytes" => ValueKind::Bytes,
        (_, FieldType::Number | FieldType::List) => ValueKind::Number,
        (_, FieldType::Seconds) => ValueKind::Duration(NS_PER_S),
        (_, FieldType::Milliseconds) => ValueKind::Duration(NS_PER_MS),
        (_, FieldType::Rate) => ValueKind::Rate,
        (_, FieldType::Address) => ValueKind::Address,
        (_, FieldType::Endpoint) => ValueKind::Endpoint,
        (_, FieldType::Boolean) => ValueKind::Boolean,
        (_, FieldType::Word | FieldType::Text | FieldType::Object) => ValueKind::Text,
    }
}

/// A Community ID, which [`crate::record::Exported::without_ids`] has not.
pub(super) fn is_identifier(field: &RecordField) -> bool {
    matches!(field.field.name, "community_id" | "icmp_error_for")
}

impl ValueSource {
    /// How its values are written.
    pub fn kind(self, schema: FactSchema) -> ValueKind {
        match self {
            Self::Protocol => ValueKind::Protocol,
            Self::Address(_) => ValueKind::Address,
            Self::Port(_) | Self::OuterVlan => ValueKind::Number,
            Self::Field(at) => FIELDS.get(at).map_or(ValueKind::Text, kind_of_field),
            Self::Object(_) => ValueKind::Text,
            Self::Fact(FactId { object, member }) => {
                let field = schema.get(usize::from(object)).and_then(|object| object.members.get(usize::from(member)));
                match field {
                    Some(field) if field.kind == FieldType::Number && field.unit == "bytes" => ValueKind::Bytes,
                    Some(field) if field.kind == FieldType::Number => ValueKind::Number,
                    Some(field) if field.kind == FieldType::Boolean => ValueKind::Boolean,
                    _ => ValueKind::Text,
                }
            }
        }
    }

    /// A Community ID, which is made when it is asked for.
    pub fn is_identifier(self) -> bool {
        matches!(self, Self::Field(at) if FIELDS.get(at).is_some_and(is_identifier))
    }

    /// Another flow may tell its value: of passive DNS or an announcement.
    pub fn is_told(self) -> bool {
        match self {
            Self::Fact(id) => [SPOKEN, SPOKEN_SOURCE, OTHERS_NAME, OTHERS_NAME_SOURCE].contains(&id),
            Self::Object(object) => object == SPOKEN.object,
            Self::Field(at) => FIELDS.get(at).is_some_and(|field| field.field.name == "app_known_by"),
            Self::Protocol | Self::Address(_) | Self::Port(_) | Self::OuterVlan => false,
        }
    }

    /// It has one value at most, so it can be compared with another.
    pub fn is_single(self) -> bool {
        match self {
            Self::Address(ends) | Self::Port(ends) => ends != Ends::Either,
            Self::Field(at) => FIELDS.get(at).is_some_and(|field| field.field.kind != FieldType::List),
            Self::Fact(_) | Self::OuterVlan => true,
            Self::Protocol | Self::Object(_) => false,
        }
    }

    /// The source of a word, in small letters.
    pub fn of_word(word: &str, schema: FactSchema) -> Option<Self> {
        match word {
            "protocol" => return Some(Self::Protocol),
            "client_ip" => return Some(Self::Address(Ends::Client)),
            "server_ip" => return Some(Self::Address(Ends::Server)),
            _ => {}
        }
        if let Some(at) = FIELDS.iter().position(|field| field.field.name == word) {
            return Some(Self::Field(at));
        }
        if let Some((_, source, _)) = OWN.iter().find(|(name, ..)| *name == word) {
            return Some(*source);
        }
        if let Some((_, name)) = SHORT.iter().find(|(short, _)| *short == word) {
            return Self::of_word(name, schema);
        }
        let short = SHORT_FACTS.iter().find(|(short, _)| *short == word);
        let of_short = || short.and_then(|(_, names)| names.iter().find_map(|name| Self::of_fact(name, schema)));
        Self::of_fact(word, schema).or_else(of_short)
    }

    /// A fact by its column's name (`tls_version`), with a dot (`tls.version`), by its own name where only one object has such, or
    /// an object.
    fn of_fact(word: &str, schema: FactSchema) -> Option<Self> {
        let all = || {
            (0..).zip(schema).flat_map(|(object, fields)| {
                let members = (0..).zip(fields.members);
                members.map(move |(member, field)| (FactId { object, member }, fields.field.name, field.name))
            })
        };
        let is_column = |object: &str, member: &str| {
            word.strip_prefix(object).and_then(|rest| rest.strip_prefix(['_', '.'])).is_some_and(|rest| rest == member)
        };
        if let Some((id, ..)) = all().find(|(_, object, member)| is_column(object, member)) {
            return Some(Self::Fact(id));
        }
        if let Some((number, _)) = (0..).zip(schema).find(|(_, object)| object.field.name == word) {
            return Some(Self::Object(number));
        }
        let mut named = all().filter(|(.., member)| *member == word);
        match (named.next(), named.next()) {
            (Some((id, ..)), None) => Some(Self::Fact(id)),
            _ => None,
        }
    }
}

/// A word for people: of a field, a fact, or one of the few that have no column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterWord {
    /// The word; of a field or fact its column's name.
    pub name: Cow<'static, str>,
    /// A heading.
    pub label: Cow<'static, str>,
    /// With which words it is shown.
    pub group: Cow<'static, str>,
    /// What it holds; `None` for words without a column.
    pub kind: Option<FieldType>,
    /// Unit of the value, empty without one.
    pub unit: &'static str,
    /// One line.
    pub description: Cow<'static, str>,
    /// A shorter word for the same.
    pub short: Option<&'static str>,
    /// Flows can be sorted by it.
    pub is_sortable: bool,
}

impl FilterWord {
    /// The word that people write.
    pub fn shortest(&self) -> &str {
        self.short.unwrap_or(&self.name)
    }
}

/// All words: those without a column, then fields and facts in the order of columns.
pub fn words() -> Vec<FilterWord> {
    words_of(crate::record::FACT_SCHEMA)
}

/// The same with these facts.
pub fn words_of(schema: FactSchema) -> Vec<FilterWord> {
    let own = OWN.iter().map(|(_, _, described)| FilterWord {
        name: described.name.into(),
        label: described.label.into(),
        group: described.group.into(),
        kind: None,
        unit: if described.name == "len" { "bytes" } else { "" },
        description: described.line.into(),
        short: None,
        is_sortable: false,
    });
    let fields = FIELDS.iter().map(|RecordField { field, .. }| {
        let described = described(field.name);
        FilterWord {
            name: field.name.into(),
            label: described.map_or(field.name, |described| described.label).into(),
            group: described.map_or("", |described| described.group).into(),
            kind: Some(field.kind),
            unit: field.unit,
            description: described.map_or("", |described| described.line).into(),
            short: SHORT.iter().find(|(_, name)| *name == field.name).map(|(short, _)| *short),
            is_sortable: super::sort_rank(field.name).is_some(),
        }
    });
    let facts = schema.iter().flat_map(|object| {
        object.members.iter().map(move |member| {
            let (name, spoken) = (format!("{}_{}", object.field.name, member.name), member.name.replace('_', " "));
            let protocol = object.field.name.to_uppercase();
            let short = SHORT_FACTS.iter().find(|(_, names)| names.contains(&name.as_str())).map(|(short, _)| *short);
            FilterWord {
                label: format!("{protocol} {spoken}").into(),
                description: format!("{spoken}, found in {protocol}").into(),
                group: protocol.into(),
                name: name.into(),
                kind: Some(member.kind),
                unit: member.unit,
                short,
                is_sortable: false,
            }
        })
    });
    own.chain(fields).chain(facts).collect()
}
