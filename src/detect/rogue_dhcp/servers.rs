//! What the servers of a segment answered. Sums, earliest and latest times, unions.
//!
//! Owns the evidence, and what a contradiction is. Invariant: of more servers than [`SERVERS_MAX`] those with the smallest ranks are kept, and what is
//! known of them is complete.

use crate::detect::{Contact, DistinctSet, EvidenceHash, HardwareAddress, KeyEvidence, SamplePacket, SamplePackets, SeenSpan};
use crate::flow::HostAddress;
use netscope_backends::Timestamp;
use std::cmp::Reverse;

/// Servers that are kept.
const SERVERS_MAX: usize = 8;
/// Routers, name servers and hardware addresses that are kept of one server, the smallest ones.
const KEPT: usize = 8;

/// An OFFER or an ACK.
pub(super) struct SeenAnswerOfServer {
    pub server: HostAddress,
    pub source: HostAddress,
    pub mac: Option<HardwareAddress>,
    pub client: Option<HardwareAddress>,
    pub is_ack: bool,
    pub router: Option<[u8; 4]>,
    pub name_servers: [[u8; 4]; 3],
    pub time: Timestamp,
    pub sample: SamplePacket,
}

/// The smallest few of all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Few<T> {
    kept: [Option<T>; KEPT],
}

impl<T: Copy> Default for Few<T> {
    fn default() -> Self {
        Self { kept: [None; KEPT] }
    }
}

impl<T: Copy + Ord> Few<T> {
    fn insert(&mut self, one: T) {
        let mut moved = Some(one);
        for place in &mut self.kept {
            if *place == moved {
                return;
            }
            if place.is_none() || *place > moved {
                std::mem::swap(place, &mut moved);
            }
            if moved.is_none() {
                return;
            }
        }
    }

    fn merge(&mut self, other: &Self) {
        other.all().for_each(|one| self.insert(one));
    }

    /// Those that are kept, in order.
    pub(super) fn all(&self) -> impl Iterator<Item = T> {
        self.kept.into_iter().flatten()
    }

    /// Both have some, and none is in both.
    fn contradicts(&self, other: &Self) -> bool {
        let has_some = self.kept[0].is_some() && other.kept[0].is_some();
        has_some && !self.all().any(|own| other.kept.contains(&Some(own)))
    }
}

/// The answers of one server.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct OneServer {
    pub server: HostAddress,
    rank: u64,
    pub span: SeenSpan,
    pub offers: u64,
    pub acks: u64,
    pub sources: Few<HostAddress>,
    pub macs: Few<HardwareAddress>,
    pub routers: Few<[u8; 4]>,
    pub name_servers: Few<[u8; 4]>,
}

impl OneServer {
    fn add(&mut self, answer: &SeenAnswerOfServer) {
        self.span.note(answer.time);
        *(if answer.is_ack { &mut self.acks } else { &mut self.offers }) += 1;
        self.sources.insert(answer.source);
        answer.mac.into_iter().for_each(|mac| self.macs.insert(mac));
        answer.router.into_iter().for_each(|router| self.routers.insert(router));
        answer.name_servers.into_iter().filter(|server| *server != [0; 4]).for_each(|server| self.name_servers.insert(server));
    }

    fn merge(&mut self, other: &Self) {
        self.span.merge(other.span);
        self.offers += other.offers;
        self.acks += other.acks;
        self.sources.merge(&other.sources);
        self.macs.merge(&other.macs);
        self.routers.merge(&other.routers);
        self.name_servers.merge(&other.name_servers);
    }
}

/// Two servers of one segment hand out different settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Contradiction<'a> {
    /// The one that answered later.
    pub rogue: &'a OneServer,
    /// The one that answered before.
    pub known: &'a OneServer,
    /// The routers differ; else the name servers do.
    pub is_of_router: bool,
}

/// The answers of all servers of a key.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::detect) struct ServerAnswers {
    pub span: SeenSpan,
    pub messages: u64,
    servers: Vec<OneServer>,
    /// There were more servers than are kept.
    pub has_more: bool,
    /// Who was answered.
    pub clients: DistinctSet,
    pub samples: SamplePackets,
}

impl ServerAnswers {
    /// Those who answered, in the order of their first answers.
    pub(super) fn servers(&self) -> Vec<&OneServer> {
        let mut servers: Vec<&OneServer> = self.servers.iter().collect();
        servers.sort_unstable_by_key(|own| (own.span.first(), own.server));
        servers
    }

    /// Notes an answer; what memory grew by, in bytes.
    pub(super) fn note(&mut self, answer: &SeenAnswerOfServer, hash: &EvidenceHash) -> usize {
        self.span.note(answer.time);
        self.messages += 1;
        let client = answer.client.map_or(0, |client| {
            let contact = client.contact();
            self.clients.insert(hash.rank(&contact), contact, 1)
        });
        let rank = hash.rank(&Contact { host: answer.server, port: 0 });
        client + self.samples.note(answer.sample) + self.with(rank, answer.server, |own| own.add(answer))
    }

    /// Changes what is known of a server, as far as it is kept. As soon as there is no room for all, memory stays the same.
    fn with(&mut self, rank: u64, server: HostAddress, change: impl FnOnce(&mut OneServer)) -> usize {
        let at = match self.servers.binary_search_by_key(&(rank, server), |own| (own.rank, own.server)) {
            Ok(at) => {
                change(&mut self.servers[at]);
                return 0;
            }
            Err(at) => at,
        };
        let is_full = self.servers.len() == SERVERS_MAX;
        self.has_more |= is_full;
        if at < SERVERS_MAX {
            let mut new = OneServer { server, rank, ..OneServer::default() };
            change(&mut new);
            self.servers.truncate(SERVERS_MAX - 1);
            self.servers.insert(at, new);
        }
        if is_full { 0 } else { size_of::<OneServer>() }
    }

    /// The first server that hands out another router, or else other name servers, than one that answered before it.
    pub(super) fn contradiction(&self) -> Option<Contradiction<'_>> {
        let servers = self.servers();
        let pairs = servers.iter().enumerate().flat_map(|(at, rogue)| servers[..at].iter().map(move |known| (*rogue, *known)));
        let contradictions = pairs.filter_map(|(rogue, known)| {
            let is_of_router = rogue.routers.contradicts(&known.routers);
            (is_of_router || rogue.name_servers.contradicts(&known.name_servers)).then_some(Contradiction {
                rogue,
                known,
                is_of_router,
            })
        });
        contradictions.min_by_key(|found| (Reverse(found.is_of_router), found.rogue.span.first(), found.known.span.first()))
    }
}

impl KeyEvidence for ServerAnswers {
    fn merge(&mut self, other: &Self) -> usize {
        self.span.merge(other.span);
        self.messages += other.messages;
        self.has_more |= other.has_more;
        let servers: usize =
            other.servers.iter().map(|server| self.with(server.rank, server.server, |own| own.merge(server))).sum();
        servers + self.clients.merge(&other.clients) + self.samples.merge(&other.samples)
    }

    /// A bin's answers are complete with it.
    fn merge_answers(&mut self, _later: &Self) {}

    fn clear(&mut self) {
        let Self { span, messages, servers, has_more, clients, samples } = self;
        (*span, *messages, *has_more) = (SeenSpan::default(), 0, false);
        servers.clear();
        clients.clear();
        samples.clear();
    }

    fn weight(&self) -> u64 {
        self.messages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_few_are_kept_in_any_order() {
        let of = |numbers: &[u8]| {
            let mut few = Few::default();
            numbers.iter().for_each(|number| few.insert(*number));
            few
        };
        assert_eq!(of(&[3, 1, 2, 3, 1]).all().collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(of(&[9, 8, 7, 6, 5, 4, 3, 2, 1]), of(&[1, 2, 3, 4, 5, 6, 7, 8, 9]));
        assert!(of(&[1, 2]).contradicts(&of(&[3])) && !of(&[1, 2]).contradicts(&of(&[2, 3])));
        assert!(!of(&[]).contradicts(&of(&[3])), "who says nothing contradicts nobody");
    }
}
