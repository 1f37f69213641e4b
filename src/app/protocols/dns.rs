//! DNS and its relatives: over UDP and TCP, mDNS, LLMNR, NetBIOS names.
//!
//! Owns on which ports they are looked for: a short message says too little of itself to be told from others anywhere.

use super::dns_summary::DnsSummary;
use super::write_app;
use crate::app::dns::DnsMessage;
use crate::app::{
    Conversation, DatagramInspector, DatagramProtocol, DatagramReading, FactBuffer, Parsed, Reading, SeenDatagram,
    StreamProtocol, Wanted,
};

pub(super) const DNS_PORT: u16 = 53;
const NETBIOS_PORT: u16 = 137;
const MDNS_PORT: u16 = 5353;
const LLMNR_PORT: u16 = 5355;

/// DNS (RFC 1035) over UDP.
pub(super) const DNS: DatagramProtocol =
    DatagramProtocol { may_be: |datagram| may_be(datagram, DNS_PORT), begin: || begin("dns", false) };
/// Multicast DNS (RFC 6762).
pub(super) const MDNS: DatagramProtocol =
    DatagramProtocol { may_be: |datagram| may_be(datagram, MDNS_PORT), begin: || begin("mdns", false) };
/// Link-local multicast name resolution (RFC 4795).
pub(super) const LLMNR: DatagramProtocol =
    DatagramProtocol { may_be: |datagram| may_be(datagram, LLMNR_PORT), begin: || begin("llmnr", false) };
/// NetBIOS name service (RFC 1002).
pub(super) const NETBIOS: DatagramProtocol =
    DatagramProtocol { may_be: |datagram| may_be(datagram, NETBIOS_PORT), begin: || begin("netbios_ns", true) };
/// DNS over TCP (RFC 7766).
pub(super) const DNS_TCP: StreamProtocol = StreamProtocol { is_spoken, read };

/// Messages of a stream that are read.
const MESSAGES_MAX: usize = 256;

struct DnsFlow {
    name: &'static str,
    summary: DnsSummary,
    is_netbios: bool,
}

fn begin(name: &'static str, is_netbios: bool) -> Box<dyn DatagramInspector> {
    Box::new(DnsFlow { name, summary: DnsSummary::default(), is_netbios })
}

fn may_be(datagram: &SeenDatagram<'_>, port: u16) -> bool {
    datagram.server_port == port || datagram.client_port == port
}

impl DatagramInspector for DnsFlow {
    fn datagram(&mut self, datagram: &SeenDatagram<'_>) -> DatagramReading {
        let Some(message) = DnsMessage::read_cut(datagram.payload, datagram.len) else { return DatagramReading::Foreign };
        self.summary.take(&message, Some(datagram.time_ns), self.is_netbios);
        DatagramReading::Told
    }

    fn kept_bytes(&self) -> usize {
        self.summary.kept_bytes()
    }

    fn write(&self, facts: &mut FactBuffer) {
        write_app(self.name, facts);
        if self.is_netbios {
            self.summary.write_netbios(facts);
        } else {
            self.summary.write(facts);
        }
    }
}

fn is_spoken(conversation: &Conversation<'_>) -> Parsed<()> {
    if conversation.server_port != DNS_PORT {
        return Parsed::No;
    }
    let client = DnsMessage::read_stream(conversation.client).map(|_| ());
    let server = DnsMessage::read_stream(conversation.server).map(|_| ());
    match (client, server) {
        (Parsed::Done(()), _) | (_, Parsed::Done(())) => Parsed::Done(()),
        (Parsed::More { need }, _) | (_, Parsed::More { need }) => Parsed::More { need },
        (Parsed::No, Parsed::No) => Parsed::No,
    }
}

fn read(conversation: &Conversation<'_>, facts: &mut FactBuffer) -> Reading {
    let mut summary = DnsSummary::default();
    let mut all = |mut stream: &[u8]| {
        let whole = stream.len();
        for _ in 0..MESSAGES_MAX {
            match DnsMessage::read_stream(stream) {
                Parsed::Done((message, len)) => {
                    summary.take(&message, None, false);
                    stream = stream.get(len..).unwrap_or_default();
                }
                Parsed::More { need } => return Wanted::Bytes(whole - stream.len() + need),
                Parsed::No => return Wanted::Nothing,
            }
        }
        Wanted::Nothing
    };
    let reading = Reading { client: all(conversation.client), server: all(conversation.server) };
    write_app("dns", facts);
    summary.write(facts);
    reading
}
