//! The protocols that flows are asked for: what each tells of a flow, by the numbers of its facts.
//!
//! Owns the two lists. Knows no segment and no table. Invariants: a protocol is a file here and a line in one of the lists; the numbers of
//! facts are those of `FACT_SCHEMA` in `record/facts.rs`, so they are only ever appended.

mod dhcp;
mod dns;
mod dns_summary;
mod dtls;
#[cfg(test)]
mod example;
mod http;
mod http2;
mod marks;
mod news;
mod postgresql;
mod quic;
mod rtp;
mod socks;
mod ssh;
mod stage;
mod tls;

pub use news::{FactNews, ShownCertificate, protocol_of};
pub use stage::{AppStage, QuicStage};

use super::first_bytes::FirstBytes;
use super::{Conversation, DatagramProtocol, FactBuffer, FactId, Parsed, StreamProtocol};

/// Protocols over TCP, in the order in which they are asked for.
pub const STREAM_PROTOCOLS: &[&StreamProtocol] = &[
    &tls::TLS,
    &http::HTTP,
    &http2::HTTP2,
    &ssh::SSH,
    &dns::DNS_TCP,
    &postgresql::POSTGRESQL,
    &socks::SOCKS,
    #[cfg(test)]
    &example::EXAMPLE,
    &marks::MARKED_STREAM,
];

/// Protocols over UDP, in the order in which they are asked for.
pub const DATAGRAM_PROTOCOLS: &[&DatagramProtocol] = &[
    &dns::DNS,
    &dns::MDNS,
    &dns::LLMNR,
    &dns::NETBIOS,
    &quic::QUIC,
    &dtls::DTLS,
    &dhcp::DHCP,
    &dhcp::DHCPV6,
    &rtp::RTP,
    &marks::MARKED_DATAGRAMS,
];

/// What first bytes leave of [`STREAM_PROTOCOLS`], at whatever port.
static STREAM_BYTES: FirstBytes = FirstBytes::new(STREAM_PROTOCOLS.len(), |number, client, server| {
    let seen = Conversation::new(client, server, dns::DNS_PORT);
    (STREAM_PROTOCOLS[number].is_spoken)(&seen).is_possible()
});

/// Which protocol a conversation is in, of which at least one byte is there. [`Parsed::More`] asks for one byte more, of either side.
pub fn stream_protocol(conversation: &Conversation<'_>) -> Parsed<&'static StreamProtocol> {
    let left = STREAM_BYTES.left(conversation.client, conversation.server);
    let mut answer = Parsed::No;
    for number in left.numbers() {
        let protocol = STREAM_PROTOCOLS[number];
        match (protocol.is_spoken)(conversation) {
            Parsed::Done(()) => return Parsed::Done(protocol),
            Parsed::More { need } => answer = Parsed::More { need },
            Parsed::No => {}
        }
    }
    answer
}

/// True for names and the like, which are rarely the same for two flows; what else is known of a flow is mostly what its program and its
/// server say of themselves.
pub const fn is_of_one_flow(id: FactId) -> bool {
    const ASKED_FOR: u8 = 4;
    const NAME: u8 = 7;
    match id.object {
        APP => matches!(id.member, ASKED_FOR | NAME),
        tls::OBJECT => tls::is_of_one_flow(id.member),
        quic::OBJECT => id.member == quic::member::SNI,
        http::OBJECT => http::is_of_one_flow(id.member),
        dns_summary::OBJECT => dns_summary::is_of_one_flow(id.member),
        dns_summary::NETBIOS_OBJECT | dhcp::OBJECT => true,
        _ => false,
    }
}

/// Number of the object that says what a flow is.
const APP: u8 = 0;

/// Its member that says that a password was sent in the clear.
const CREDENTIALS_IN_CLEAR: u8 = 6;

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
