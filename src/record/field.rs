//! What a field is: its description, and how a format takes its value.
//!
//! Owns the types of fields. Knows no record and no syntax. Invariant: a field's type is the method of
//! [`FieldSink`] that takes it.

use super::text::FieldWord;
use std::net::IpAddr;

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldType {
    /// Text out of packets: untrusted, any bytes.
    Text,
    /// A word of ours: letters, digits and `_-+/=:` alone.
    Word,
    /// A whole number.
    Number,
    /// Seconds: a time since 1970 or a duration.
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// Bits per second.
    Rate,
    /// An address and a port.
    Endpoint,
    /// An address.
    Address,
    /// Several numbers or texts.
    List,
    /// True or false.
    Boolean,
    /// Fields of its own.
    Object,
}

/// The description of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name in JSON and as a column.
    pub name: &'static str,
    /// The name as JSON has it before a value: quoted, with a colon.
    pub json_key: &'static str,
    /// What it holds.
    pub kind: FieldType,
    /// Unit of the value, empty without one.
    pub unit: &'static str,
    /// Columns that the value takes in a table for a person, as a rule.
    pub width: usize,
}

/// Makes a [`Field`] of name, type, unit and width.
macro_rules! field {
    ($name:literal, $kind:expr, $unit:literal, $width:literal) => {
        $crate::record::Field { name: $name, json_key: concat!("\"", $name, "\":"), kind: $kind, unit: $unit, width: $width }
    };
}
pub(crate) use field;

/// The value of a field. `None` in an option, and [`Self::Null`], are a value that is not known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FieldValue<'a> {
    /// Not known.
    Null,
    /// A word of ours.
    Word(&'a str),
    /// A whole number.
    Number(u64),
    /// Seconds, in ns.
    Seconds(u64),
    /// Milliseconds, in ns.
    Milliseconds(u64),
    /// Bits per second, in thousandths.
    Rate(u128),
    /// Address and port.
    Endpoint(IpAddr, u16),
    /// Several small numbers.
    List(&'a [u16]),
    /// Several numbers below 64, one bit each.
    Set(u64),
    /// An address.
    Address(IpAddr),
    /// An IEEE 802 MAC address.
    Mac([u8; 6]),
    /// True or false.
    Boolean(bool),
}

/// One constructor per method of [`FieldSink`] that a record's own fields use, with the same name and the
/// same value.
impl<'a> FieldValue<'a> {
    pub(super) fn word(value: Option<&'a FieldWord>) -> Self {
        value.map_or(Self::Null, |word| Self::Word(word.as_str()))
    }

    pub(super) fn code<const N: usize>(value: Option<&'a [u8; N]>) -> Self {
        // ASCII by contract, so the text is never refused.
        value.map_or(Self::Null, |code| Self::Word(std::str::from_utf8(code).unwrap_or_default()))
    }

    pub(super) fn number(value: Option<u64>) -> Self {
        value.map_or(Self::Null, Self::Number)
    }

    pub(super) fn seconds(ns: u64) -> Self {
        Self::Seconds(ns)
    }

    pub(super) fn milliseconds(ns: Option<u64>) -> Self {
        ns.map_or(Self::Null, Self::Milliseconds)
    }

    pub(super) fn rate(thousandths: u128) -> Self {
        Self::Rate(thousandths)
    }

    pub(super) fn endpoint((ip, port): (IpAddr, u16)) -> Self {
        Self::Endpoint(ip, port)
    }

    pub(super) fn list(values: &'a [u16]) -> Self {
        Self::List(values)
    }

    pub(super) fn set(bits: Option<u64>) -> Self {
        bits.map_or(Self::Null, Self::Set)
    }

    pub(super) fn address(ip: IpAddr) -> Self {
        Self::Address(ip)
    }

    pub(super) fn mac(address: Option<[u8; 6]>) -> Self {
        address.map_or(Self::Null, Self::Mac)
    }

    pub(super) fn boolean(value: Option<bool>) -> Self {
        value.map_or(Self::Null, Self::Boolean)
    }
}

/// A format's way to write one field. Called once per field, in the order of the columns.
pub trait FieldSink {
    /// True when every record has to have the same fields, those without a value too (a table). False when
    /// facts that a record does not have are left out.
    const HAS_COLUMNS: bool;

    /// A word of ours: letters, digits and `_-` alone, so that no format needs to quote it; `None` is null.
    fn word(&mut self, field: &'static Field, value: Option<&FieldWord>);
    /// A code of as many characters as every other in this field: letters, digits and `+/=:` alone; `None` is
    /// null.
    fn code<const N: usize>(&mut self, field: &'static Field, value: Option<&[u8; N]>);
    /// A whole number; `None` is null.
    fn number(&mut self, field: &'static Field, value: Option<u64>);
    /// Seconds, given in ns: a time since 1970 or a duration.
    fn seconds(&mut self, field: &'static Field, ns: u64);
    /// Milliseconds, given in ns; `None` is null.
    fn milliseconds(&mut self, field: &'static Field, ns: Option<u64>);
    /// Bits per second in thousandths.
    fn rate(&mut self, field: &'static Field, thousandths: u128);
    /// Address and port of an endpoint.
    fn endpoint(&mut self, field: &'static Field, value: (IpAddr, u16));
    /// Several small numbers.
    fn list(&mut self, field: &'static Field, values: &[u16]);
    /// The numbers of these bits, lowest first; `None` is null.
    fn set(&mut self, field: &'static Field, bits: Option<u64>);
    /// An address.
    fn address(&mut self, field: &'static Field, ip: IpAddr);
    /// An IEEE 802 MAC address, bytes in hexadecimal with colons; `None` is null.
    fn mac(&mut self, field: &'static Field, address: Option<[u8; 6]>);
    /// Text out of packets, any bytes: the format cuts and escapes it; `None` is null.
    fn text(&mut self, field: &'static Field, value: Option<&[u8]>);
    /// Several texts out of packets.
    fn texts<'t>(&mut self, field: &'static Field, values: impl Iterator<Item = &'t [u8]> + Clone);
    /// True or false; `None` is null.
    fn boolean(&mut self, field: &'static Field, value: Option<bool>);
    /// A field with fields of its own, which `members` gives.
    fn object(&mut self, field: &'static Field, members: impl FnOnce(&mut Self));
}
