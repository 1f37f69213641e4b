//! Resource records (RFC 1035 section 4.1.3) and the values that are read.
//!
//! Owns what stands in a record's data.

use super::name::{DnsName, end_of_name};
use crate::app::reading::ByteReader;
use crate::app::tls::NameList;

pub(super) const OPT: u16 = 41;

/// Parameters of one SVCB record that are looked at.
const SERVICE_PARAMETERS_MAX: usize = 32;

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnsSection {
    /// The answer.
    Answer,
    /// Who knows more.
    Authority,
    /// What goes with it.
    Additional,
}

/// A record.
#[derive(Clone, Copy, Debug)]
pub struct DnsRecord<'a> {
    /// Where it stands.
    pub section: DnsSection,
    /// Whose it is.
    pub name: DnsName<'a>,
    /// Its type, as [`super::dns_type_name`] knows it.
    pub kind: u16,
    /// Its class as sent; for OPT the size of datagrams that the sender takes.
    pub class: u16,
    /// How long it may be kept; for OPT flags.
    pub ttl_secs: u32,
    /// Its data.
    pub data: &'a [u8],
    /// Where the data begins in the message.
    pub(super) data_at: usize,
}

/// Parameters of a service (RFC 9460).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceParameters<'a> {
    /// Protocols, as in ALPN.
    pub alpn: NameList<'a>,
    /// Another port.
    pub port: Option<u16>,
    /// True with a key for Encrypted ClientHello.
    pub has_ech: bool,
    /// Addresses, 4 bytes each.
    pub ipv4_hints: &'a [u8],
    /// Addresses, 16 bytes each.
    pub ipv6_hints: &'a [u8],
}

/// A record's data, as far as it is read.
#[derive(Clone, Copy, Debug)]
pub enum DnsValue<'a> {
    /// A.
    Ipv4([u8; 4]),
    /// AAAA.
    Ipv6([u8; 16]),
    /// CNAME, NS, PTR or DNAME.
    Name(DnsName<'a>),
    /// MX.
    MailExchange {
        /// The lower the better.
        preference: u16,
        /// The mail server.
        exchange: DnsName<'a>,
    },
    /// TXT; how much text, not which.
    Text {
        /// Bytes of all its strings.
        len: usize,
    },
    /// SRV (RFC 2782).
    Server {
        /// The lower the better.
        priority: u16,
        /// Share among equals.
        weight: u16,
        /// Port.
        port: u16,
        /// Host.
        target: DnsName<'a>,
    },
    /// SOA.
    Authority {
        /// The primary server.
        server: DnsName<'a>,
        /// Mailbox of who is responsible.
        mailbox: DnsName<'a>,
        /// Number of the zone's state.
        serial: u32,
    },
    /// SVCB or HTTPS.
    Service {
        /// 0 for an alias.
        priority: u16,
        /// Host.
        target: DnsName<'a>,
        /// How to reach it.
        parameters: ServiceParameters<'a>,
    },
    /// Any other type, or data that does not fit its type.
    Other,
}

impl<'a> DnsRecord<'a> {
    /// True for another name of its owner (CNAME).
    pub const fn is_alias(&self) -> bool {
        self.kind == 5
    }

    /// Reads the data.
    pub fn value(&self) -> DnsValue<'a> {
        self.read_value().unwrap_or(DnsValue::Other)
    }

    /// The name that begins `at` bytes into the data, and where it ends there.
    fn name_at(&self, at: usize) -> Option<(DnsName<'a>, usize)> {
        let message = self.name.message;
        let start = self.data_at + at;
        let end = end_of_name(message, start)?;
        (end <= self.data_at + self.data.len()).then_some((DnsName { message, at: start }, end - self.data_at))
    }

    fn read_value(&self) -> Option<DnsValue<'a>> {
        let mut data = ByteReader::new(self.data);
        Some(match self.kind {
            1 => DnsValue::Ipv4(self.data.try_into().ok()?),
            28 => DnsValue::Ipv6(self.data.try_into().ok()?),
            2 | 5 | 12 | 39 => DnsValue::Name(self.name_at(0)?.0),
            15 => DnsValue::MailExchange { preference: data.u16()?, exchange: self.name_at(2)?.0 },
            16 => {
                let strings = std::iter::from_fn(|| data.short_block());
                DnsValue::Text { len: strings.map(<[u8]>::len).sum() }
            }
            33 => DnsValue::Server { priority: data.u16()?, weight: data.u16()?, port: data.u16()?, target: self.name_at(6)?.0 },
            6 => {
                let (server, end) = self.name_at(0)?;
                let (mailbox, end) = self.name_at(end)?;
                let serial = self.data.get(end..)?.first_chunk()?;
                DnsValue::Authority { server, mailbox, serial: u32::from_be_bytes(*serial) }
            }
            64 | 65 => {
                let (target, end) = self.name_at(2)?;
                let parameters = service_parameters(self.data.get(end..)?);
                DnsValue::Service { priority: data.u16()?, target, parameters }
            }
            _ => return None,
        })
    }
}

/// Up to the first parameter that is cut.
fn service_parameters(bytes: &[u8]) -> ServiceParameters<'_> {
    let mut reader = ByteReader::new(bytes);
    let mut told = ServiceParameters { alpn: NameList::default(), port: None, has_ech: false, ipv4_hints: &[], ipv6_hints: &[] };
    for _ in 0..SERVICE_PARAMETERS_MAX {
        let (Some(key), Some(value)) = (reader.u16(), reader.block()) else { break };
        match key {
            1 => told.alpn = NameList(value),
            3 => told.port = value.try_into().ok().map(u16::from_be_bytes),
            4 => told.ipv4_hints = value,
            5 => told.has_ech = true,
            6 => told.ipv6_hints = value,
            _ => {}
        }
    }
    told
}
