//! What a host inside sent out, to all or to one. Sums and unions.

use crate::detect::{Contact, DistinctSet, KeyEvidence, SamplePackets, SeenSpan};
use crate::flow::FlowGrowth;

/// What was sent out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SentBytes {
    pub(super) span: SeenSpan,
    pub(super) bytes: u64,
    /// Of a host the destinations, of a pair the destination's ports.
    pub(super) contacts: DistinctSet,
    pub(super) samples: SamplePackets,
}

impl SentBytes {
    /// Notes what a flow sent; what memory grew by, in bytes.
    pub(super) fn note(&mut self, flow: &FlowGrowth, bytes: u64, (rank, contact): (u64, Contact)) -> usize {
        self.span.note(flow.last_seen);
        self.bytes += bytes;
        self.contacts.insert(rank, contact, 1) + self.samples.note(flow.into())
    }

    /// Adds what another part knows.
    pub(super) fn merge_sent(&mut self, other: &Self) -> usize {
        self.span.merge(other.span);
        self.bytes += other.bytes;
        self.contacts.merge(&other.contacts) + self.samples.merge(&other.samples)
    }
}

impl KeyEvidence for SentBytes {
    fn merge(&mut self, other: &Self) -> usize {
        self.merge_sent(other)
    }

    fn merge_answers(&mut self, _later: &Self) {}

    fn clear(&mut self) {
        self.contacts.clear();
        self.samples.clear();
        (self.span, self.bytes) = (SeenSpan::default(), 0);
    }

    fn weight(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::EvidenceHash;
    use crate::flow::{Direction, FlowKey};
    use netscope_backends::Timestamp;
    use proptest::prelude::*;

    fn noted<'a>(all: impl IntoIterator<Item = &'a (u64, u64, u16)>) -> SentBytes {
        let hash = EvidenceHash::fixed();
        let mut sent = SentBytes::default();
        for &(time, bytes, port) in all {
            let grown = FlowGrowth {
                key: FlowKey::BLANK,
                initiator: Direction::AToB,
                packets: [1, 0],
                bytes: [bytes, 0],
                packets_total: [1, 0],
                bytes_total: [bytes, 0],
                first_seen: Timestamp(time),
                last_seen: Timestamp(time),
                first_packet: time,
            };
            let contact = Contact { port, ..Contact::default() };
            sent.note(&grown, bytes, (hash.rank(&contact), contact));
        }
        sent
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_order_and_any_parts_give_the_same(
            all in prop::collection::vec((1_u64..1000, 0_u64..1 << 40, 0_u16..200), 0..200),
            shares in prop::collection::vec(0_usize..4, 200),
        ) {
            let whole = noted(&all);
            let parts: Vec<_> = (0..4)
                .map(|part| noted(all.iter().zip(&shares).filter(|(_, share)| **share == part).map(|(one, _)| one)))
                .collect();
            for order in [[0, 1, 2, 3], [3, 1, 0, 2]] {
                let mut merged = SentBytes::default();
                order.iter().for_each(|&part| { merged.merge(&parts[part]); });
                prop_assert_eq!(&merged, &whole);
            }
            prop_assert_eq!(noted(all.iter().rev()), whole);
        }
    }
}
