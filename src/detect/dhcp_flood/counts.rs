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

    /// How many of the listed clients are such; it is told their messages, too.
    pub(super) fn listed(&self, is_such: impl Fn(HardwareAddress, u64) -> bool) -> u64 {
        let listed = self.clients.listed();
        listed.filter(|(contact, count)| is_such(HardwareAddress::of_contact(*contact).0, u64::from(*count))).count() as u64
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
        self.clients.merge(&other.clients)
            + self.going_on.merge(&other.going_on)
            + self.stations.merge(&other.stations)
            + self.samples.merge(&other.samples)
    }

    /// A client that goes on in the next bin has not stopped in this one.
    fn merge_answers(&mut self, later: &Self) {
        self.going_on.merge_within(&later.going_on, &self.clients);
    }

    fn clear(&mut self) {
        *self = Self::default();
    }

    fn weight(&self) -> u64 {
        self.client_messages
    }
}
