//! What is known of the clients of one segment. Sums, earliest and latest times, unions.

use super::is_of_client;
use crate::app::DhcpKind;
use crate::detect::{DistinctSet, EvidenceHash, HardwareAddress, KeyEvidence, SamplePacket, SamplePackets, SeenSpan};
use netscope_backends::Timestamp;

/// A message.
pub(super) struct SeenClient {
    pub client: HardwareAddress,
    pub kind: DhcpKind,
    pub time: Timestamp,
    /// Where the frame came from, if that is neither the client nor a relay agent.
    pub station: Option<HardwareAddress>,
    pub sample: SamplePacket,
}

/// Clients of which more is known than their number: those with the smallest ranks, which is an even sample.
const SAMPLED_MAX: usize = 64;

/// One of them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct SampledClient {
    rank: u64,
    pub mac: HardwareAddress,
    /// Of its messages.
    pub span: SeenSpan,
    pub messages: u64,
    /// It asked for an address that it was offered, or got one.
    pub goes_on: bool,
}

impl SampledClient {
    fn merge(&mut self, other: &Self) {
        self.span.merge(other.span);
        self.messages += other.messages;
        self.goes_on |= other.goes_on;
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::detect) struct ClientCounts {
    /// Of messages of clients.
    pub span: SeenSpan,
    pub client_messages: u64,
    /// Of these the ones in frames of others.
    pub foreign_messages: u64,
    pub discovers: u64,
    pub requests: u64,
    pub offers: u64,
    pub acks: u64,
    pub naks: u64,
    /// Times of OFFERs and ACKs.
    pub answers: SeenSpan,
    /// Clients, with their messages.
    pub clients: DistinctSet,
    /// Those that asked for an address that they were offered, or got one.
    pub going_on: DistinctSet,
    /// Some of both, in the order of ranks.
    sampled: Vec<SampledClient>,
    /// Where frames came from that are neither the client's nor a relay agent's.
    pub stations: DistinctSet,
    pub samples: SamplePackets,
}

impl ClientCounts {
    /// Notes a message; what memory grew by, in bytes.
    pub(super) fn note(&mut self, seen: &SeenClient, hash: &EvidenceHash) -> usize {
        match seen.kind {
            DhcpKind::Discover => self.discovers += 1,
            DhcpKind::Request => self.requests += 1,
            DhcpKind::Offer => self.offers += 1,
            DhcpKind::Ack => self.acks += 1,
            DhcpKind::Nak => self.naks += 1,
            _ => {}
        }
        let contact = seen.client.contact();
        let rank = hash.rank(&contact);
        let mut grown = 0;
        if matches!(seen.kind, DhcpKind::Request | DhcpKind::Ack) {
            grown += self.going_on.insert(rank, contact, 1);
        }
        let mut span = SeenSpan::default();
        if is_of_client(seen.kind) {
            span.note(seen.time);
        }
        let goes_on = matches!(seen.kind, DhcpKind::Request | DhcpKind::Ack);
        let messages = u64::from(is_of_client(seen.kind));
        grown += self.add_sampled(&SampledClient { rank, mac: seen.client, span, messages, goes_on });
        if !is_of_client(seen.kind) {
            self.answers.note(seen.time);
            return grown;
        }
        self.span.note(seen.time);
        self.client_messages += 1;
        if let Some(station) = seen.station.map(HardwareAddress::contact) {
            self.foreign_messages += 1;
            grown += self.stations.insert(hash.rank(&station), station, 1);
        }
        grown + self.clients.insert(rank, contact, 1) + self.samples.note(seen.sample)
    }

    /// Adds what is known of a client, if it is one of the sample; what memory grew by, in bytes.
    fn add_sampled(&mut self, client: &SampledClient) -> usize {
        match self.sampled.binary_search_by_key(&(client.rank, client.mac), |own| (own.rank, own.mac)) {
            Ok(at) => {
                self.sampled[at].merge(client);
                0
            }
            Err(SAMPLED_MAX) => 0,
            Err(at) => {
                let is_full = self.sampled.len() == SAMPLED_MAX;
                self.sampled.truncate(SAMPLED_MAX - 1);
                self.sampled.insert(at, *client);
                if is_full { 0 } else { size_of::<SampledClient>() }
            }
        }
    }

    /// Clients of the sample that sent something.
    pub(super) fn sampled(&self) -> impl Iterator<Item = &SampledClient> {
        self.sampled.iter().filter(|client| client.messages > 0)
    }

    /// The client with the most messages among those listed.
    pub(super) fn busiest(&self) -> Option<(HardwareAddress, u64)> {
        let counted = self.clients.listed().map(|(contact, count)| (HardwareAddress::of_contact(contact).0, u64::from(count)));
        counted.max_by_key(|&(client, count)| (count, client))
    }
}

impl KeyEvidence for ClientCounts {
    fn merge(&mut self, other: &Self) -> usize {
        self.span.merge(other.span);
        self.client_messages += other.client_messages;
        self.foreign_messages += other.foreign_messages;
        self.discovers += other.discovers;
        self.requests += other.requests;
        self.offers += other.offers;
        self.acks += other.acks;
        self.naks += other.naks;
        self.answers.merge(other.answers);
        let sampled: usize = other.sampled.iter().map(|client| self.add_sampled(client)).sum();
        sampled
            + self.clients.merge(&other.clients)
            + self.going_on.merge(&other.going_on)
            + self.stations.merge(&other.stations)
            + self.samples.merge(&other.samples)
    }

    /// A client that goes on in the next bin has not stopped in this one.
    fn merge_answers(&mut self, later: &Self) {
        self.going_on.merge_within(&later.going_on, &self.clients);
        for client in later.sampled.iter().filter(|client| client.goes_on) {
            if let Ok(at) = self.sampled.binary_search_by_key(&(client.rank, client.mac), |own| (own.rank, own.mac)) {
                self.sampled[at].goes_on = true;
            }
        }
    }

    fn clear(&mut self) {
        *self = Self::default();
    }

    fn weight(&self) -> u64 {
        self.client_messages
    }
}
