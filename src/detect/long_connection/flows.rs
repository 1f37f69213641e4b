//! What is known of the long flows of one source to one service. Maxima and unions.

use crate::detect::{Contact, DistinctSet, KeyEvidence, SamplePackets, SeenSpan};
use crate::flow::FlowGrowth;
use netscope_backends::Timestamp;

/// A flow as it stands; ordered by duration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LongFlow {
    pub duration_ns: u64,
    /// Sent and received by who began it.
    pub bytes: [u64; 2],
}

/// What is known of long flows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LongFlows {
    pub(super) span: SeenSpan,
    pub(super) longest: LongFlow,
    /// The flows, by the source's address and port.
    pub(super) flows: DistinctSet,
    pub(super) samples: SamplePackets,
}

impl LongFlows {
    /// Notes a flow; what memory grew by, in bytes.
    pub(super) fn note(&mut self, flow: &FlowGrowth, long: LongFlow, (rank, source): (u64, Contact)) -> usize {
        self.span.note(flow.first_seen);
        self.span.note(flow.last_seen);
        self.longest = self.longest.max(long);
        self.flows.insert(rank, source, 1) + self.samples.note(flow.into())
    }
}

impl KeyEvidence for LongFlows {
    fn merge(&mut self, other: &Self) -> usize {
        self.span.merge(other.span);
        self.longest = self.longest.max(other.longest);
        self.flows.merge(&other.flows) + self.samples.merge(&other.samples)
    }

    fn merge_answers(&mut self, _later: &Self) {}

    fn clear(&mut self) {
        self.flows.clear();
        self.samples.clear();
        (self.span, self.longest) = (SeenSpan::default(), LongFlow::default());
    }

    /// Seconds of the longest.
    fn weight(&self) -> u64 {
        self.longest.duration_ns / Timestamp::NS_PER_SEC
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::EvidenceHash;
    use crate::flow::{Direction, FlowKey, HostAddress};
    use proptest::prelude::*;

    fn noted<'a>(all: impl IntoIterator<Item = &'a (u64, u64, u16)>) -> LongFlows {
        let hash = EvidenceHash::fixed();
        let mut flows = LongFlows::default();
        for &(first, duration_ns, port) in all {
            let grown = FlowGrowth {
                key: FlowKey::BLANK,
                initiator: Direction::AToB,
                packets: [1, 1],
                bytes: [60, 60],
                packets_total: [9, 9],
                bytes_total: [900, 900],
                first_seen: Timestamp(first),
                last_seen: Timestamp(first + duration_ns),
                first_packet: first,
            };
            let source = Contact { host: HostAddress::v4([10, 0, 0, 1]), port };
            flows.note(&grown, LongFlow { duration_ns, bytes: [port.into(), 1] }, (hash.rank(&source), source));
        }
        flows
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_order_and_any_parts_give_the_same(
            all in prop::collection::vec((0_u64..1000, 0_u64..1000, 0_u16..200), 0..200),
            shares in prop::collection::vec(0_usize..4, 200),
        ) {
            let whole = noted(&all);
            let parts: Vec<_> = (0..4)
                .map(|part| noted(all.iter().zip(&shares).filter(|(_, share)| **share == part).map(|(one, _)| one)))
                .collect();
            for order in [[0, 1, 2, 3], [3, 1, 0, 2]] {
                let mut merged = LongFlows::default();
                order.iter().for_each(|&part| { merged.merge(&parts[part]); });
                prop_assert_eq!(&merged, &whole);
            }
            prop_assert_eq!(noted(all.iter().rev()), whole);
        }
    }
}
