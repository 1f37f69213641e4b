//! One of several workers on a source, and its part of what they share.
//!
//! Knows no packet: whose a packet is, `work_unit.rs` finds out. Invariant: every flow has exactly one owner, which follows from
//! both endpoints, so it is the same for both directions and for every run.

use crate::flow::FlowKey;

/// One worker's part of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerShare {
    /// This worker, from 0.
    pub index: u32,
    /// Workers that see the same packets; 1 where the worker has a queue of its own.
    pub count: u32,
}

impl WorkerShare {
    /// The whole of a queue.
    pub const WHOLE: Self = Self { index: 0, count: 1 };

    /// True when this worker keeps the flow: asked for fragments, which every worker follows.
    #[inline(always)]
    pub fn owns(self, key: &FlowKey) -> bool {
        self.count == 1 || key.share(self.count) == self.index
    }

    /// True for the one worker that also keeps what belongs to no flow, records packets and counts for the source.
    pub fn leads(self) -> bool {
        self.index == 0
    }

    /// This worker's part of a global bound (0 = unlimited stays 0). The parts add up to `total`.
    pub fn part_of(self, total: usize) -> usize {
        let (index, count) = (self.index as usize, self.count as usize);
        total / count + usize::from(index < total % count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{IpVersion, Network, Ports};

    #[test]
    fn every_flow_has_one_owner_and_parts_add_up() {
        let mut per_worker = [0; 4];
        for i in 0..4000u32 {
            let mut source = [0; 16];
            source[..4].copy_from_slice(&i.to_be_bytes());
            let network = Network {
                version: IpVersion::V4,
                protocol: 6,
                ttl: 64,
                traffic_class: 0,
                source,
                destination: [9; 16],
                fragment: None,
            };
            let (key, _) = FlowKey::new(&network, Ports { source: 1, destination: 2 });
            let owners: Vec<u32> = (0..4).filter(|&index| WorkerShare { index, count: 4 }.owns(&key)).collect();
            assert_eq!(owners.len(), 1);
            per_worker[owners[0] as usize] += 1;
        }
        assert!(per_worker.iter().all(|&n| n > 800), "shares are about equal: {per_worker:?}");
        let parts: usize = (0..3).map(|index| WorkerShare { index, count: 3 }.part_of(100_001)).sum();
        assert_eq!(parts, 100_001);
        assert_eq!(WorkerShare { index: 2, count: 3 }.part_of(0), 0);
    }
}
