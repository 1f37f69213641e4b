//! What is known of the packets that a host or a network got and had not asked for. Sums and unions.

use super::classes::{GrowthMeaning, VolumeCount};
use crate::detect::{Contact, DistinctSet, KeyEvidence, SamplePacket, SamplePackets, SeenSpan};
use crate::flow::{FlowGrowth, FragmentRole, SeenFragment};

/// A datagram of 64 KiB has fewer fragments where links carry 1280 bytes (RFC 8200), as almost all do.
const FRAGMENTS_PER_DATAGRAM: u64 = 64;

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct FloodVolume {
    pub span: SeenSpan,
    /// Not asked for when they came. Of fragments: without a first one.
    unasked: VolumeCount,
    /// Of these the ones that were answered later, or whose first one came.
    excused: VolumeCount,
    /// First fragments of datagrams with ports.
    firsts: VolumeCount,
    /// Fragments behind them.
    following: u64,
    /// First fragments of datagrams without ports, whose others never find their first one.
    portless: u64,
    /// Who sent them.
    pub sources: DistinctSet,
    /// To which addresses; of a network alone.
    pub hosts: DistinctSet,
    pub samples: SamplePackets,
}

impl FloodVolume {
    /// Notes a flow's growth; what memory grew by, in bytes.
    pub fn note(&mut self, flow: &FlowGrowth, meaning: GrowthMeaning, source: (u64, Contact)) -> usize {
        match meaning {
            GrowthMeaning::Excused(count) => {
                self.excused.add(count);
                0
            }
            GrowthMeaning::Unasked(count) => {
                self.unasked.add(count);
                self.span.note(flow.last_seen);
                // All of a record that began in this bin.
                if flow.packets == flow.packets_total {
                    self.span.note(flow.first_seen);
                }
                let sample = SamplePacket { number: flow.first_packet, key: flow.key, initiator: flow.initiator };
                self.samples.note(sample) + self.insert(source, count.packets)
            }
        }
    }

    /// Notes a fragment; what memory grew by, in bytes.
    pub fn note_fragment(&mut self, fragment: &SeenFragment, source: (u64, Contact)) -> usize {
        let one = VolumeCount::new(1, fragment.wire_len.into());
        match fragment.role {
            FragmentRole::Following => {
                self.following += 1;
                return 0;
            }
            FragmentRole::FirstWithoutFlow => {
                self.portless += 1;
                return 0;
            }
            FragmentRole::First { found_packets, found_bytes } => {
                self.firsts.add(one);
                self.following += found_packets;
                self.excused.add(VolumeCount::new(found_packets, found_bytes));
            }
            FragmentRole::Waiting => self.unasked.add(one),
        }
        self.span.note(fragment.time);
        self.insert(source, 1)
    }

    fn insert(&mut self, (rank, source): (u64, Contact), packets: u64) -> usize {
        self.sources.insert(rank, source, u32::try_from(packets).unwrap_or(u32::MAX))
    }

    /// Packets that nobody asked for, or fragments that are alone.
    pub fn alone(&self) -> VolumeCount {
        let waiting = self.unasked.less(self.excused);
        let mut alone = waiting.part(waiting.packets.saturating_sub(self.portless * FRAGMENTS_PER_DATAGRAM));
        alone.add(self.firsts.part(self.firsts.packets.saturating_sub(self.following)));
        alone
    }
}

impl KeyEvidence for FloodVolume {
    fn merge(&mut self, other: &Self) -> usize {
        self.span.merge(other.span);
        self.unasked.add(other.unasked);
        self.firsts.add(other.firsts);
        self.merge_answers(other);
        self.sources.merge(&other.sources) + self.hosts.merge(&other.hosts) + self.samples.merge(&other.samples)
    }

    fn merge_answers(&mut self, later: &Self) {
        self.excused.add(later.excused);
        self.following += later.following;
        self.portless += later.portless;
    }

    fn clear(&mut self) {
        let Self { span, unasked, excused, firsts, following, portless, sources, hosts, samples } = self;
        *span = SeenSpan::default();
        (*unasked, *excused, *firsts) = <(VolumeCount, VolumeCount, VolumeCount)>::default();
        (*following, *portless) = (0, 0);
        sources.clear();
        hosts.clear();
        samples.clear();
    }

    /// Bytes.
    fn weight(&self) -> u64 {
        self.unasked.bytes + self.firsts.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::EvidenceHash;
    use crate::flow::HostAddress;
    use netscope_backends::Timestamp;
    use proptest::prelude::*;

    fn source(number: u8, hash: &EvidenceHash) -> (u64, Contact) {
        let contact = Contact { host: HostAddress::v4([11, 0, 0, number]), port: 0 };
        (hash.rank(&contact), contact)
    }

    /// A fragment of 100 bytes by a number: its role, its source, its time.
    fn fragment(kind: u8, from: u8, time: u64) -> SeenFragment {
        let role = match kind % 5 {
            0 => FragmentRole::First { found_packets: 0, found_bytes: 0 },
            1 => FragmentRole::First { found_packets: 2, found_bytes: 200 },
            2 => FragmentRole::FirstWithoutFlow,
            3 => FragmentRole::Following,
            _ => FragmentRole::Waiting,
        };
        SeenFragment {
            role,
            source: HostAddress::v4([11, 0, 0, from]),
            destination: HostAddress::v4([192, 0, 2, 1]),
            protocol: 17,
            wire_len: 100,
            time: Timestamp(time),
            number: time,
        }
    }

    fn volume_of<'a>(all: impl IntoIterator<Item = &'a (u8, u8, u64)>) -> FloodVolume {
        let hash = EvidenceHash::fixed();
        let mut volume = FloodVolume::default();
        for &(kind, from, time) in all {
            volume.note_fragment(&fragment(kind, from, time), source(from, &hash));
        }
        volume
    }

    #[test]
    fn fragments_are_alone_without_their_first_one_or_without_the_others() {
        let alone = |kinds: &[(u8, u64)]| {
            let all: Vec<_> = kinds.iter().flat_map(|&(kind, count)| (0..count).map(move |time| (kind, 1, time))).collect();
            volume_of(&all).alone()
        };
        let count = |packets| VolumeCount { packets, bytes: 100 * packets };
        assert_eq!(alone(&[(4, 500)]), count(500), "others without a first one");
        assert_eq!(alone(&[(0, 500)]), count(500), "first ones without others");
        assert_eq!(alone(&[(0, 100), (3, 2000)]), count(0), "large datagrams");
        assert_eq!(alone(&[(4, 200), (1, 100)]), count(0), "first ones that come last");
        assert_eq!(alone(&[(4, 600), (2, 100)]), count(0), "large datagrams without ports");
        assert_eq!(alone(&[(4, 6500), (2, 100)]), count(100), "no datagram has so many");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_order_and_any_parts_give_the_same(
            all in prop::collection::vec((0_u8..5, 0_u8..200, 0_u64..1000), 0..300), shares in prop::collection::vec(0_usize..4, 300),
        ) {
            let whole = volume_of(&all);
            let parts: Vec<FloodVolume> = (0..4)
                .map(|part| volume_of(all.iter().zip(&shares).filter(|(_, share)| **share == part).map(|(one, _)| one)))
                .collect();
            for order in [[0, 1, 2, 3], [2, 0, 3, 1]] {
                let mut merged = FloodVolume::default();
                order.iter().for_each(|&part| { merged.merge(&parts[part]); });
                prop_assert_eq!(&merged, &whole);
            }
            prop_assert_eq!(volume_of(all.iter().rev()), whole);
        }
    }
}
