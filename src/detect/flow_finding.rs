//! Evidence that flows have something in common: how many they are, whose, and what it is called.
//!
//! Owns the evidence of detectors that judge facts of flows. Knows no fact. Invariant: sums, unions and earliest packets; the name is the same for
//! all of a key, as the key has its digest.

use super::{Alert, AlertSubject, Contact, EvidenceHash, KeyEvidence, SamplePackets, SeenSpan, Told, top_listed};
use super::{DistinctSet, SeenFacts};
use crate::flow::HostAddress;
use netscope_backends::Timestamp;

/// Each bin is judged by itself: one flow is enough.
pub(super) const WINDOW_NS: u64 = Timestamp::NS_PER_SEC;

/// Flows of one kind to one service.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FlowFinding {
    pub(super) span: SeenSpan,
    pub(super) flows: u64,
    pub(super) clients: DistinctSet,
    /// What was found, as its detector names it.
    pub(super) name: Box<[u8]>,
    pub(super) samples: SamplePackets,
}

impl FlowFinding {
    /// Notes a flow; what memory grew by, in bytes.
    pub(super) fn note(&mut self, seen: &SeenFacts<'_>, name: &[u8], hash: &EvidenceHash) -> usize {
        self.span.note(seen.time);
        self.flows += 1;
        let contact = Contact { host: client_of(seen), port: 0 };
        let clients = self.clients.insert(hash.rank(&contact), contact, 1);
        clients + self.samples.note((&seen.flow).into()) + self.set_name(name)
    }

    fn set_name(&mut self, name: &[u8]) -> usize {
        if !self.name.is_empty() {
            return 0;
        }
        self.name = name.into();
        name.len()
    }

    /// An alert about the service of a key with what all such alerts have: times, counts, clients, examples.
    pub(super) fn fill(told: &Told<'_, Self>, cooldown_ns: u64, bare: Alert) -> Alert {
        let life = told.life;
        let clients = top_listed(&life.clients);
        let client = clients.first().map(|(host, _)| *host);
        Alert {
            time: told.time,
            began: life.span.first(),
            victim: Some(AlertSubject { port: Some(told.key.port), ..AlertSubject::host(told.key.host) }),
            direction: client.map(|client| told.local.direction(client, told.key.host)),
            counts: vec![("flows", life.flows)],
            distinct: vec![("clients", life.clients.cardinality())],
            top_sources: clients,
            samples: life.samples.all().to_vec(),
            is_at_least: told.is_at_least,
            window_ns: WINDOW_NS,
            cooldown_ns,
            ..bare
        }
    }

    /// `by 192.0.2.1`, `by 3 clients`.
    pub(super) fn by_whom(&self) -> String {
        let count = self.clients.cardinality();
        match self.clients.listed().next() {
            Some((client, _)) if count.count == 1 => format!("by {}", client.host),
            _ => format!("by {}{} clients", if count.is_exact { "" } else { "about " }, count.count),
        }
    }
}

/// Who began the flow.
pub(super) fn client_of(seen: &SeenFacts<'_>) -> HostAddress {
    seen.flow.key.source(seen.flow.initiator).0
}

impl KeyEvidence for FlowFinding {
    fn merge(&mut self, other: &Self) -> usize {
        self.span.merge(other.span);
        self.flows += other.flows;
        self.clients.merge(&other.clients) + self.samples.merge(&other.samples) + self.set_name(&other.name)
    }

    /// Facts are complete with their bin.
    fn merge_answers(&mut self, _later: &Self) {}

    fn clear(&mut self) {
        let Self { span, flows, clients, name, samples } = self;
        (*span, *flows, *name) = (SeenSpan::default(), 0, Box::default());
        clients.clear();
        samples.clear();
    }

    fn weight(&self) -> u64 {
        self.flows
    }
}
