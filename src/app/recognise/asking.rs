//! Which recognisers are asked of first bytes, and in which order.
//!
//! Owns what is known of the lists before anything is asked. Invariant: a recogniser is left out only where it would say no or tell nothing
//! yet, or where the port is another one and it needs its own.

use super::look::{Looked, Unread};
use super::{AppProtocol, DATAGRAMS, RECOGNISE_MAX, Recogniser, STREAMS};
use crate::app::first_bytes::{CandidateSet, FirstBytes};
use std::sync::LazyLock;

static OF_STREAMS: LazyLock<Asked> = LazyLock::new(|| Asked::of(STREAMS, [NEED_CLIENT, NEED_SERVER]));
static OF_DATAGRAMS: LazyLock<Asked> = LazyLock::new(|| Asked::of(DATAGRAMS, [&[], &[]]));
/// A datagram is whole, so a byte alone tells nothing of what one that begins like that is.
static STREAM_BYTES: FirstBytes =
    FirstBytes::new(STREAMS.len(), |number, client, server| (STREAMS[number].read)(client, server) != Err(Unread::No));

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
    AppProtocol::S7Comm,
    AppProtocol::Stun,
    AppProtocol::Syslog,
    AppProtocol::Tacacs,
];

/// Who is asked, and whether others are left that wait for the side that has not spoken.
pub(super) struct Asking<I> {
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

    /// Asks all that are in `left`, those of the port first.
    fn ask<'a>(
        &self,
        left: CandidateSet,
        client: &'a [u8],
        server: &'a [u8],
        port: u16,
    ) -> Asking<impl Iterator<Item = Looked<'a>> + use<'a>> {
        let client = &client[..client.len().min(RECOGNISE_MAX)];
        let server = &server[..server.len().min(RECOGNISE_MAX)];
        let found = self.ports.binary_search_by_key(&port, |&(port, _)| port);
        let at_home = found.map_or(CandidateSet::NONE, |at| self.ports[at].1);
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
        Asking { looked, others_wait: left != asked }
    }
}

/// Asks of the first bytes of a stream.
pub(super) fn ask_stream<'a>(
    client: &'a [u8],
    server: &'a [u8],
    port: u16,
) -> Asking<impl Iterator<Item = Looked<'a>> + use<'a>> {
    OF_STREAMS.ask(STREAM_BYTES.left(client, server), client, server, port)
}

/// Asks of the first datagrams of both sides.
pub(super) fn ask_datagram<'a>(
    client: &'a [u8],
    server: &'a [u8],
    port: u16,
) -> Asking<impl Iterator<Item = Looked<'a>> + use<'a>> {
    OF_DATAGRAMS.ask(CandidateSet::ALL, client, server, port)
}
