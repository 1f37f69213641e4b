//! The protocols that flows are asked for: what each tells of a flow, by the numbers of its facts.
//!
//! Owns the two lists. Knows no segment and no table. Invariants: a protocol is a file here and a line in one of the lists; the numbers of
//! facts are those of `FACT_SCHEMA` in `record/facts.rs`, so they are only ever appended.

mod dns;
mod dns_summary;
mod http;
mod marks;
mod news;
mod postgresql;
mod quic;
mod ssh;
mod tls;

pub use news::{FactNews, ShownCertificate, protocol_of};

use super::{DatagramProtocol, FactBuffer, StreamProtocol};

/// Protocols over TCP, in the order in which they are asked for.
pub const STREAM_PROTOCOLS: &[&StreamProtocol] =
    &[&tls::TLS, &http::HTTP, &http::HTTP2, &ssh::SSH, &dns::DNS_TCP, &postgresql::POSTGRESQL, &marks::MARKED_STREAM];

/// Protocols over UDP, in the order in which they are asked for.
pub const DATAGRAM_PROTOCOLS: &[&DatagramProtocol] =
    &[&dns::DNS, &dns::MDNS, &dns::LLMNR, &dns::NETBIOS, &quic::QUIC, &marks::MARKED_DATAGRAMS];

/// Number of the object that says what a flow is.
const APP: u8 = 0;

/// Its member that says that a password was sent in the clear.
const CREDENTIALS_IN_CLEAR: u8 = 5;

/// A password was sent in the clear, if it was.
fn write_credentials(are_clear: bool, facts: &mut FactBuffer) {
    facts.object(APP).flag(CREDENTIALS_IN_CLEAR, are_clear);
}

/// The flow is of this protocol, as its content says.
fn write_app(name: &str, facts: &mut FactBuffer) {
    write_app_with(name, [&[]; 3], facts);
}

/// The same, with version, software and what is asked for, where they are known.
fn write_app_with(name: &str, more: [&[u8]; 3], facts: &mut FactBuffer) {
    let mut app = facts.object(APP);
    app.text(0, name.as_bytes());
    app.text(1, b"content");
    (2..).zip(more).for_each(|(member, text)| app.text(member, text));
}
