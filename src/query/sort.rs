//! By what flows can be put in order.
//!
//! Owns the way from a value to its rank. Knows no table. Invariant: a larger value has no smaller rank, and a value that is not
//! known has the smallest.

use super::words::{ValueSource, is_identifier};
use crate::flow::FlowRecord;
use crate::record::{Exported, FIELDS, FieldType, FieldValue, RecordField};
use std::net::IpAddr;
use std::sync::Arc;

/// The rank of a flow: the larger the value, the larger; 0 where it is not known.
pub type SortRank = Arc<dyn Fn(&FlowRecord) -> u64 + Send + Sync>;

/// Ranks flows by the field that this word stands for, short words included; `None` where there is no such field, or flows have no
/// order by it. Text goes by its first eight letters, an IPv6 address by its first 62 bits; equal ranks are in no order.
pub fn sort_rank(name: &str) -> Option<SortRank> {
    let name = name.to_ascii_lowercase();
    let of_name = |name: &str| FIELDS.iter().find(|field| field.field.name == name);
    let field = of_name(&name).or_else(|| match ValueSource::of_word(&name, &[])? {
        ValueSource::Protocol => of_name("protocol"),
        ValueSource::OuterVlan => of_name("vlan"),
        ValueSource::Field(at) => FIELDS.get(at),
        ValueSource::Address(super::words::Ends::Server) => of_name("server_ip"),
        ValueSource::Address(_) | ValueSource::Port(_) | ValueSource::Fact(_) | ValueSource::Object(_) => None,
    });
    let field = *field.filter(|field| is_sortable(field))?;
    Some(Arc::new(move |record| rank((field.value)(&Exported::without_ids(record)))))
}

/// Names of the fields that flows can be sorted by, in the order of columns.
pub fn sortable() -> impl Iterator<Item = &'static str> {
    FIELDS.iter().filter(|field| is_sortable(field)).map(|field| field.field.name)
}

/// Lists but VLAN have no order, identifiers none that says anything, and the other four are not the record's own.
fn is_sortable(field: &RecordField) -> bool {
    let is_own =
        !is_identifier(field) && !matches!(field.field.name, "interface" | "time_resolution" | "flow_state" | "app_known_by");
    is_own && (field.field.kind != FieldType::List || field.field.name == "vlan")
}

fn rank(value: FieldValue<'_>) -> u64 {
    let known = |rank: u64| rank.saturating_add(1);
    match value {
        FieldValue::Null => 0,
        FieldValue::Word(word) => {
            let mut first = [0; 8];
            first.iter_mut().zip(word.bytes()).for_each(|(to, from)| *to = from);
            known(u64::from_be_bytes(first))
        }
        FieldValue::Number(value) | FieldValue::Seconds(value) | FieldValue::Milliseconds(value) => known(value),
        FieldValue::Rate(thousandths) => known(u64::try_from(thousandths).unwrap_or(u64::MAX)),
        FieldValue::Endpoint(ip, _) | FieldValue::Address(ip) => known(address_rank(ip)),
        FieldValue::List(values) => values.first().map_or(0, |&value| known(value.into())),
        FieldValue::Set(bits) => known(bits),
        FieldValue::Mac(bytes) => known(bytes.iter().fold(0, |number, &byte| number << 8 | u64::from(byte))),
        FieldValue::Boolean(value) => known(value.into()),
    }
}

/// IPv4 before IPv6.
fn address_rank(ip: IpAddr) -> u64 {
    match ip {
        IpAddr::V4(ip) => u32::from(ip).into(),
        IpAddr::V6(ip) => 1 << 62 | (u128::from(ip) >> 66) as u64,
    }
}
