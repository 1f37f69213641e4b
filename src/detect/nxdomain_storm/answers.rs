//! What a client was answered: how often that a name does not exist, and which. Sums and unions.

use crate::detect::texts::FewTexts;
use crate::detect::{Contact, DistinctSet, KeyEvidence, SamplePackets, SeenDns, SeenSpan};

/// Domains whose names are kept.
const DOMAINS_KEPT: usize = 8;

/// A name that does not exist.
pub(super) struct SeenNone<'a> {
    pub domain: &'a [u8],
    /// The name, its domain and the server with their ranks.
    pub name: (u64, Contact),
    pub domain_contact: (u64, Contact),
    pub server: (u64, Contact),
}

/// What is known of a client's answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NameAnswers {
    /// Of those that a name does not exist.
    pub(super) span: SeenSpan,
    pub(super) nxdomain: u64,
    /// All other answers.
    pub(super) others: u64,
    pub(super) names: DistinctSet,
    pub(super) domains: DistinctSet,
    pub(super) servers: DistinctSet,
    pub(super) domain_names: FewTexts<DOMAINS_KEPT>,
    pub(super) samples: SamplePackets,
}

impl NameAnswers {
    /// Notes an answer that a name does not exist; what memory grew by, in bytes.
    pub(super) fn note(&mut self, seen: &SeenDns<'_>, own: &SeenNone<'_>) -> usize {
        self.span.note(seen.time);
        self.nxdomain += 1;
        let sets = self.names.insert(own.name.0, own.name.1, 1)
            + self.domains.insert(own.domain_contact.0, own.domain_contact.1, 1)
            + self.servers.insert(own.server.0, own.server.1, 1);
        sets + self.domain_names.note(own.domain_contact.0, own.domain) + self.samples.note((&seen.flow).into())
    }

    /// Notes any other answer.
    pub(super) fn note_other(&mut self) -> usize {
        self.others += 1;
        0
    }

    /// The domain that half of the answers or more are about, as far as that is known, and its name.
    pub(super) fn most_asked(&self) -> Option<Option<&[u8]>> {
        let (rank, count) = self.domains.listed_ranks().max_by_key(|&(rank, count)| (count, rank))?;
        (u64::from(count) * 2 >= self.nxdomain).then(|| self.domain_names.get(rank))
    }
}

impl KeyEvidence for NameAnswers {
    fn merge(&mut self, other: &Self) -> usize {
        self.span.merge(other.span);
        self.nxdomain += other.nxdomain;
        self.others += other.others;
        let sets = self.names.merge(&other.names) + self.domains.merge(&other.domains) + self.servers.merge(&other.servers);
        sets + self.domain_names.merge(&other.domain_names) + self.samples.merge(&other.samples)
    }

    /// A bin's answers are complete with it.
    fn merge_answers(&mut self, _later: &Self) {}

    fn clear(&mut self) {
        let Self { span, nxdomain, others, names, domains, servers, domain_names, samples } = self;
        (*span, *nxdomain, *others) = (SeenSpan::default(), 0, 0);
        [names, domains, servers].into_iter().for_each(DistinctSet::clear);
        domain_names.clear();
        samples.clear();
    }

    fn weight(&self) -> u64 {
        self.nxdomain
    }
}
