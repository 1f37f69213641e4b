//! DNS and what has its layout: mDNS (RFC 6762), LLMNR (RFC 4795), NetBIOS name service (RFC 1002).
//!
//! Owns messages; who asks on which port is not known here.

mod message;
mod name;
mod netbios;
mod record;
mod registry;
mod resolved;
#[cfg(test)]
mod tests;

pub use message::{DnsMessage, DnsQuestion, Edns};
pub use name::{DnsName, NAME_TEXT_MAX, NameLabels, NameText, POINTERS_MAX};
pub use netbios::NetbiosName;
pub use record::{DnsRecord, DnsSection, DnsValue, ServiceParameters};
pub use registry::{dns_class_name, dns_opcode_name, dns_rcode_name, dns_type_name, netbios_type_name};
pub use resolved::resolved_addresses;
