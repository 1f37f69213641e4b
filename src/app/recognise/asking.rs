//! Which recognisers are asked of first bytes, and in which order.
//!
//! Owns what is known of the lists before anything is asked. Invariant: a recogniser is left out only where it would say no, or where the
//! port is another one and it needs its own.

use super::look::{Looked, Unread};
use super::{DATAGRAMS, RECOGNISE_MAX, Recogniser, STREAMS};
use crate::app::first_bytes::{CandidateSet, FirstBytes};
use std::sync::LazyLock;

static OF_STREAMS: LazyLock<Asked> = LazyLock::new(|| Asked::of(STREAMS));
static OF_DATAGRAMS: LazyLock<Asked> = LazyLock::new(|| Asked::of(DATAGRAMS));
/// A datagram is whole, so a byte alone tells nothing of what one that begins like that is.
static STREAM_BYTES: FirstBytes =
    FirstBytes::new(STREAMS.len(), |number, client, server| (STREAMS[number].read)(client, server) != Err(Unread::No));

/// A list and its ports.
struct Asked {
    recognisers: &'static [Recogniser],
    /// Ports in order, each with those whose servers have it.
    ports: Vec<(u16, CandidateSet)>,
    /// Those that are asked at any port.
    strong: CandidateSet,
}

impl Asked {
    fn of(recognisers: &'static [Recogniser]) -> Self {
        let set = |holds: &dyn Fn(&Recogniser) -> bool| CandidateSet::of(recognisers.len(), |number| holds(&recognisers[number]));
        let mut ports: Vec<u16> = recognisers.iter().flat_map(|one| one.ports).copied().collect();
        ports.sort_unstable();
        ports.dedup();
        let ports = ports.into_iter().map(|port| (port, set(&|one| one.ports.contains(&port)))).collect();
        Self { recognisers, ports, strong: set(&|one| !one.is_weak) }
    }

    /// Asks all that are left, those of the port first.
    fn ask<'a>(
        &self,
        left: Option<CandidateSet>,
        client: &'a [u8],
        server: &'a [u8],
        port: u16,
    ) -> impl Iterator<Item = Looked<'a>> + use<'a> {
        let client = &client[..client.len().min(RECOGNISE_MAX)];
        let server = &server[..server.len().min(RECOGNISE_MAX)];
        let found = self.ports.binary_search_by_key(&port, |&(port, _)| port);
        let at_home = found.map_or(CandidateSet::NONE, |at| self.ports[at].1);
        let only_left = |set: CandidateSet| left.map_or(set, |left| set.and(left));
        let (first, then) = (only_left(at_home), only_left(self.strong.without(at_home)));
        let recognisers = self.recognisers;
        first.numbers().chain(then.numbers()).map(move |number| {
            let one = &recognisers[number];
            let looked = (one.read)(client, server);
            debug_assert!(looked.is_err() || looked.is_ok_and(|mark| mark.protocol == one.protocol), "it tells its own protocol");
            looked
        })
    }
}

/// Asks of the first bytes of a stream.
pub(super) fn ask_stream<'a>(client: &'a [u8], server: &'a [u8], port: u16) -> impl Iterator<Item = Looked<'a>> + use<'a> {
    OF_STREAMS.ask(Some(STREAM_BYTES.left(client, server)), client, server, port)
}

/// Asks of the first datagrams of both sides.
pub(super) fn ask_datagram<'a>(client: &'a [u8], server: &'a [u8], port: u16) -> impl Iterator<Item = Looked<'a>> + use<'a> {
    OF_DATAGRAMS.ask(None, client, server, port)
}
