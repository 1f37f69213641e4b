//! Which recognisers are asked of first bytes, and in which order.
//!
//! Owns what is known of the lists before anything is asked. Invariant: a recogniser is left out only where it would say no or tell nothing
//! yet, or where the port is another one and it needs its own.

use super::look::{Looked, Unread};
use super::{AppProtocol, DATAGRAMS, RECOGNISE_MAX, Recogniser, STREAMS};
use crate::app::first_bytes::{CandidateSet, FirstBytes};
use std::sync::LazyLock;

static OF_STREAMS: LazyLock<Asked> = LazyLock::new(|| Asked::of(STREAMS, [NEED_CLIENT, NEED_SERVER]));
static OF_DATAGRAMS: LazyLock<Asked> = LazyLock::new(|| Asked::of(DATAGRAMS, [DATAGRAMS_NEED_CLIENT, &[]]));
static STREAM_BYTES: FirstBytes =
    FirstBytes::new(STREAMS.len(), |number, client, server| (STREAMS[number].read)(client, server) != Err(Unread::No));

/// Of a datagram, which is whole, a byte alone cannot be asked: [`may_begin_datagram`] says it.
static DATAGRAM_BYTES: LazyLock<[CandidateSet; 256]> = LazyLock::new(|| {
    std::array::from_fn(|byte| {
        CandidateSet::of(DATAGRAMS.len(), |number| may_begin_datagram(DATAGRAMS[number].protocol, byte as u8))
    })
});

/// Over streams, those that tell nothing before the server has spoken.
pub(super) const NEED_SERVER: &[AppProtocol] = &[
    AppProtocol::Cassandra,
    AppProtocol::Ftp,
    AppProtocol::Imap,
    AppProtocol::Kafka,
    AppProtocol::Memcached,
    AppProtocol::MySql,
    AppProtocol::Nats,
    AppProtocol::Pop3,
    AppProtocol::Smtp,
    AppProtocol::Tacacs,
];
/// The same of the client.
pub(super) const NEED_CLIENT: &[AppProtocol] = &[
    AppProtocol::Amqp,
    AppProtocol::BitTorrent,
    AppProtocol::Cassandra,
    AppProtocol::Git,
    AppProtocol::Kafka,
    AppProtocol::Kerberos,
    AppProtocol::Ldap,
    AppProtocol::Memcached,
    AppProtocol::MongoDb,
    AppProtocol::Mqtt,
    AppProtocol::Nfs,
    AppProtocol::Rdp,
    AppProtocol::Redis,
    AppProtocol::Rpc,
    AppProtocol::Rtmp,
    AppProtocol::S7Comm,
    AppProtocol::Sip,
    AppProtocol::Smb,
    AppProtocol::Stun,
    AppProtocol::Syslog,
    AppProtocol::Tacacs,
    AppProtocol::X11,
];

/// Over datagrams, those that tell nothing before the client has spoken.
pub(super) const DATAGRAMS_NEED_CLIENT: &[AppProtocol] = &[
    AppProtocol::Kerberos,
    AppProtocol::Ldap,
    AppProtocol::NetFlow,
    AppProtocol::Nfs,
    AppProtocol::OpenVpn,
    AppProtocol::Rpc,
    AppProtocol::Syslog,
    AppProtocol::Tftp,
];

/// Whether the client's first datagram may begin with the byte; the server's, too, where a protocol is told without the client.
pub(super) const fn may_begin_datagram(protocol: AppProtocol, byte: u8) -> bool {
    match protocol {
        AppProtocol::BacNet => byte == 0x81,
        AppProtocol::BitTorrent => matches!(byte, 0 | b'B' | b'D' | b'b' | b'd'),
        AppProtocol::Capwap => byte <= 1,
        AppProtocol::Dnp3 => byte == 5,
        AppProtocol::EtherNetIp => matches!(byte, 1 | 4 | 0x63..=0x66 | 0x6f | 0x70),
        AppProtocol::Kerberos => matches!(byte, 0x6a | 0x6c | 0x6e),
        AppProtocol::Ldap | AppProtocol::Snmp => byte == 0x30,
        AppProtocol::NatPmp => matches!(byte, 0 | 2),
        AppProtocol::NetBiosDatagram => matches!(byte, 0x10..=0x12),
        AppProtocol::NetFlow | AppProtocol::Tftp => byte == 0,
        AppProtocol::OpenVpn => matches!(byte, 0x38 | 0x50),
        AppProtocol::Radius => matches!(byte, 1..=5 | 11..=13 | 40..=45),
        AppProtocol::Rtcp | AppProtocol::Rtp => byte >> 6 == 2,
        AppProtocol::Sip => byte.is_ascii_alphabetic(),
        AppProtocol::Ssdp => matches!(byte.to_ascii_uppercase(), b'M' | b'N' | b'H'),
        AppProtocol::Stun => byte < 0x40,
        AppProtocol::Syslog => byte == b'<',
        AppProtocol::WireGuard => matches!(byte, 1..=3),
        AppProtocol::WsDiscovery => matches!(byte, b'<' | 0xef),
        _ => true,
    }
}

/// Who is asked, and whether others are left that wait for the side that has not spoken.
pub(super) struct RecogniserAnswers<I> {
    pub looked: I,
    pub others_wait: bool,
}

/// A list and its ports.
struct Asked {
    recognisers: &'static [Recogniser],
    /// Ports in order, each with those whose servers have it.
    ports: Vec<(u16, CandidateSet)>,
    /// Those that are asked at any port.
    strong: CandidateSet,
    /// Those that tell nothing before the client has spoken, and before the server has.
    waiting: [CandidateSet; 2],
}

impl Asked {
    fn of(recognisers: &'static [Recogniser], waiting: [&[AppProtocol]; 2]) -> Self {
        let set = |holds: &dyn Fn(&Recogniser) -> bool| CandidateSet::of(recognisers.len(), |number| holds(&recognisers[number]));
        let mut ports: Vec<u16> = recognisers.iter().flat_map(|one| one.ports).copied().collect();
        ports.sort_unstable();
        ports.dedup();
        let ports = ports.into_iter().map(|port| (port, set(&|one| one.ports.contains(&port)))).collect();
        let waiting = waiting.map(|list| set(&|one| list.contains(&one.protocol)));
        Self { recognisers, ports, strong: set(&|one| !one.is_weak), waiting }
    }

    /// Those whose servers have the port.
    fn at_home(&self, port: u16) -> CandidateSet {
        let found = self.ports.binary_search_by_key(&port, |&(port, _)| port);
        found.map_or(CandidateSet::NONE, |at| self.ports[at].1)
    }

    /// Asks all that are in `left`, those of the port first.
    fn ask<'a>(
        &self,
        left: CandidateSet,
        client: &'a [u8],
        server: &'a [u8],
        port: u16,
    ) -> RecogniserAnswers<impl Iterator<Item = Looked<'a>> + use<'a>> {
        let client = &client[..client.len().min(RECOGNISE_MAX)];
        let server = &server[..server.len().min(RECOGNISE_MAX)];
        let at_home = self.at_home(port);
        let [need_client, need_server] = self.waiting;
        let waiting = match (client.is_empty(), server.is_empty()) {
            (true, false) => need_client,
            (false, true) => need_server,
            _ => CandidateSet::NONE,
        };
        let left = left.and(at_home.or(self.strong));
        let asked = left.without(waiting);
        let (first, then) = (asked.and(at_home), asked.without(at_home));
        let recognisers = self.recognisers;
        let looked = first.numbers().chain(then.numbers()).map(move |number| {
            let one = &recognisers[number];
            let looked = (one.read)(client, server);
            debug_assert!(looked.is_err() || looked.is_ok_and(|mark| mark.protocol == one.protocol), "it tells its own protocol");
            looked
        });
        RecogniserAnswers { looked, others_wait: left != asked }
    }
}

/// Asks of the first bytes of a stream.
pub(super) fn ask_stream<'a>(
    client: &'a [u8],
    server: &'a [u8],
    port: u16,
) -> RecogniserAnswers<impl Iterator<Item = Looked<'a>> + use<'a>> {
    OF_STREAMS.ask(STREAM_BYTES.left(client, server), client, server, port)
}

/// Whether anybody would be asked of a first datagram that begins with this byte, as of a client at a server's port.
pub(super) fn is_asked_of_datagram(byte: u8, port: u16) -> bool {
    let at_port = OF_DATAGRAMS.at_home(port).or(OF_DATAGRAMS.strong);
    DATAGRAM_BYTES[usize::from(byte)].and(at_port) != CandidateSet::NONE
}

/// Asks of the first datagrams of both sides.
pub(super) fn ask_datagram<'a>(
    client: &'a [u8],
    server: &'a [u8],
    port: u16,
) -> RecogniserAnswers<impl Iterator<Item = Looked<'a>> + use<'a>> {
    let [need_client, _] = OF_DATAGRAMS.waiting;
    let left = match (client.first(), server.first()) {
        (Some(&byte), _) => DATAGRAM_BYTES[usize::from(byte)],
        (None, Some(&byte)) => DATAGRAM_BYTES[usize::from(byte)].or(need_client),
        (None, None) => CandidateSet::ALL,
    };
    OF_DATAGRAMS.ask(left, client, server, port)
}
