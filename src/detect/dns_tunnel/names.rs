//! What is known of the long names of one domain that a client asked for. Sums and unions.

use crate::detect::texts::FewTexts;
use crate::detect::{Contact, DistinctSet, KeyEvidence, SamplePackets, SeenDns, SeenSpan};

/// A long name that was asked for or answered.
pub(super) struct SeenName<'a> {
    pub name: &'a [u8],
    pub domain: &'a [u8],
    /// Bytes in front of the domain.
    pub data_len: u64,
    /// The name, the type of records and the server with their ranks.
    pub ranked: (u64, Contact),
    pub kind: (u64, Contact),
    pub server: (u64, Contact),
}

/// What is known of long names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LongNames {
    pub(super) span: SeenSpan,
    pub(super) queries: u64,
    pub(super) responses: u64,
    /// Bytes in front of the domain, of all queries.
    pub(super) name_bytes: u64,
    pub(super) names: DistinctSet,
    /// Types of records, as ports.
    pub(super) kinds: DistinctSet,
    pub(super) servers: DistinctSet,
    /// The domain; one, as the key has its digest.
    pub(super) domain: FewTexts<1>,
    pub(super) examples: FewTexts<2>,
    pub(super) samples: SamplePackets,
}

impl LongNames {
    /// Notes a message; what memory grew by, in bytes.
    pub(super) fn note(&mut self, seen: &SeenDns<'_>, own: &SeenName<'_>) -> usize {
        self.span.note(seen.time);
        if seen.message.is_response() {
            self.responses += 1;
        } else {
            self.queries += 1;
            self.name_bytes += own.data_len;
        }
        let sets = self.names.insert(own.ranked.0, own.ranked.1, 1)
            + self.kinds.insert(own.kind.0, own.kind.1, 1)
            + self.servers.insert(own.server.0, own.server.1, 1);
        let texts = self.domain.note(0, own.domain) + self.examples.note(own.ranked.0, own.name);
        sets + texts + self.samples.note((&seen.flow).into())
    }
}

impl KeyEvidence for LongNames {
    fn merge(&mut self, other: &Self) -> usize {
        self.span.merge(other.span);
        self.queries += other.queries;
        self.responses += other.responses;
        self.name_bytes += other.name_bytes;
        let sets = self.names.merge(&other.names) + self.kinds.merge(&other.kinds) + self.servers.merge(&other.servers);
        sets + self.domain.merge(&other.domain) + self.examples.merge(&other.examples) + self.samples.merge(&other.samples)
    }

    /// Names count whether or not they are answered.
    fn merge_answers(&mut self, _later: &Self) {}

    fn clear(&mut self) {
        let Self { span, queries, responses, name_bytes, names, kinds, servers, domain, examples, samples } = self;
        (*span, *queries, *responses, *name_bytes) = (SeenSpan::default(), 0, 0, 0);
        [names, kinds, servers].into_iter().for_each(DistinctSet::clear);
        domain.clear();
        examples.clear();
        samples.clear();
    }

    /// At least as much as there are names.
    fn weight(&self) -> u64 {
        self.queries + self.responses
    }
}
