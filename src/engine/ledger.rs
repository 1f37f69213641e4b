//! The loss ledger: where every packet that was lent to a worker went.
//!
//! Invariant, at every moment: `packets = in_flows + each reason in `no_flow` ([`Ledger::unaccounted`] is 0). Knows no flow and no protocol
//! beyond the names of layers.

use super::DirectionCounts;
use crate::wire::{Fault, FaultKind, Layer};
use std::ops::AddAssign;

/// Why a packet belongs to no flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum NoFlowReason {
    /// ARP: carried no IP.
    Arp,
    /// LLC, an unknown EtherType and other protocols above the link that are not IP.
    NonIp,
    /// A link type of a capture file's interface that is not read.
    UnsupportedLink,
    /// The headers up to the ports were cut off by the snap length.
    Truncated,
    /// The headers up to the ports contradict themselves.
    Malformed,
    /// More layers in each other than are followed.
    TooDeep,
    /// A later fragment that waits for its first one.
    FragmentsHeld,
    /// Later fragments whose first one never came.
    FragmentsOrphaned,
    /// A TCP segment without data that came after its connection was closed and the record ended.
    AfterClose,
}

impl NoFlowReason {
    /// All no_flow, in the order of their discriminants.
    pub const ALL: [Self; 9] = [
        Self::Arp,
        Self::NonIp,
        Self::UnsupportedLink,
        Self::Truncated,
        Self::Malformed,
        Self::TooDeep,
        Self::FragmentsHeld,
        Self::FragmentsOrphaned,
        Self::AfterClose,
    ];

    /// The name in summaries.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Arp => "arp",
            Self::NonIp => "non_ip",
            Self::UnsupportedLink => "unsupported_link_type",
            Self::Truncated => "truncated",
            Self::Malformed => "malformed",
            Self::TooDeep => "too_deep",
            Self::FragmentsHeld => "fragments_held",
            Self::FragmentsOrphaned => "fragments_orphaned",
            Self::AfterClose => "after_close",
        }
    }
}

/// Protocols that are told apart in totals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ProtocolClass {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP and ICMPv6.
    Icmp,
    /// Anything else in IP.
    OtherIp,
    /// No IP, or none whose header can be read.
    NonIp,
}

impl ProtocolClass {
    /// All of them, in the order of their discriminants.
    pub const ALL: [Self; 5] = [Self::Tcp, Self::Udp, Self::Icmp, Self::OtherIp, Self::NonIp];

    /// The name in summaries.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
            Self::OtherIp => "other_ip",
            Self::NonIp => "non_ip",
        }
    }

    /// The class of an IP protocol number, `None` without IP.
    pub const fn of(protocol: Option<u8>) -> Self {
        match protocol {
            Some(6) => Self::Tcp,
            Some(17) => Self::Udp,
            Some(1 | 58) => Self::Icmp,
            Some(_) => Self::OtherIp,
            None => Self::NonIp,
        }
    }
}

/// Packets and bytes on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrafficCount {
    /// Packets.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl TrafficCount {
    /// What came since it was `before`.
    #[must_use]
    pub const fn since(self, before: Self) -> Self {
        Self { packets: self.packets.saturating_sub(before.packets), bytes: self.bytes.saturating_sub(before.bytes) }
    }
}

impl AddAssign for TrafficCount {
    fn add_assign(&mut self, other: Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
    }
}

/// Packets and bytes of one worker, and where they went. Sums of several workers are the whole link's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// Packets this worker answers for.
    pub packets: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// Of `packets` and `bytes`: those of each protocol, by [`ProtocolClass`]. A fragment that waited stays with the worker that
    /// counted it, so one worker's parts may differ from its `packets`; the sums of all workers agree.
    pub protocols: [TrafficCount; ProtocolClass::ALL.len()],
    /// Of `packets` and `bytes`: those that went each way, by [`TrafficDirection`](super::TrafficDirection). All 0 unless that is
    /// asked for; packets without a flow are under none.
    pub directions: DirectionCounts,
    /// Packets counted in a flow.
    pub in_flows: u64,
    /// Packets counted in no flow, by reason.
    pub no_flow: [u64; NoFlowReason::ALL.len()],
    /// Faults by layer and kind; a packet with a fault may still be in a flow.
    pub faults: [[u64; FaultKind::ALL.len()]; Layer::ALL.len()],
    /// IPv4 packets with a wrong header checksum (also found in sane captures of senders that offload it).
    pub ipv4_checksums_bad: u64,
    /// Packets older than the one before them.
    pub time_regressions: u64,
    /// Packets read but left alone because `--count` was reached, or the run was ended early and all workers stop at one packet.
    pub beyond_count: u64,
    /// Packets that lay in the kernel's buffer when the capture ended (wires only).
    pub unread: u64,
    /// Copies of packets that a tap (the recorder, the packet view) wanted and did not get because no box was
    /// free (wires only).
    pub taps_skipped: u64,
    /// Copies of packets for a [sample](super::TapPolicy::Sampled) for which no box was free. A sample is not complete anyway: no loss.
    pub samples_skipped: u64,
    /// Ended-flow records that were not handed on because no box was free (wires only).
    pub records_skipped: u64,
    /// Records of ended flows that went without their facts because the box had no room for them.
    pub facts_left_out: u64,
    /// Addresses that DNS answers told and that were not handed on because no box was free (wires only).
    pub names_skipped: u64,
    /// Flows that were announced and that were not told because no box was free (wires only).
    pub announcements_skipped: u64,
    /// Snapshots that were not sent because no box was free (wires only). The next one has their totals and their evidence.
    pub snapshots_skipped: u64,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            packets: 0,
            bytes: 0,
            protocols: [TrafficCount::default(); ProtocolClass::ALL.len()],
            directions: DirectionCounts::default(),
            in_flows: 0,
            no_flow: [0; NoFlowReason::ALL.len()],
            faults: [[0; FaultKind::ALL.len()]; Layer::ALL.len()],
            ipv4_checksums_bad: 0,
            time_regressions: 0,
            beyond_count: 0,
            unread: 0,
            taps_skipped: 0,
            samples_skipped: 0,
            records_skipped: 0,
            facts_left_out: 0,
            names_skipped: 0,
            announcements_skipped: 0,
            snapshots_skipped: 0,
        }
    }
}

impl Ledger {
    /// Counts a packet that belongs to no flow.
    pub fn note_no_flow(&mut self, reason: NoFlowReason) {
        self.no_flow[reason as usize] += 1;
    }

    /// Counts packets of a protocol.
    #[inline(always)]
    pub fn note_protocol(&mut self, class: ProtocolClass, traffic: TrafficCount) {
        self.protocols[class as usize] += traffic;
    }

    /// Counts a fault.
    pub fn fault(&mut self, fault: Fault) {
        self.faults[fault.layer as usize][fault.kind as usize] += 1;
    }

    /// Packets that are in no flow and under no rest: 0, or the ledger has a hole.
    pub fn unaccounted(&self) -> i128 {
        let named: u64 = self.no_flow.iter().sum();
        i128::from(self.packets) - i128::from(self.in_flows) - i128::from(named)
    }

    /// Packets with a header that was cut off, malformed or nested too deep.
    pub fn parse_errors(&self) -> u64 {
        self.fault_rows().filter(|(_, kind, _)| kind.is_error()).map(|(.., packets)| packets).sum()
    }

    /// Faults that occurred, with their names and counts.
    pub fn fault_rows(&self) -> impl Iterator<Item = (Layer, FaultKind, u64)> + '_ {
        Layer::ALL
            .iter()
            .flat_map(move |&layer| {
                FaultKind::ALL.iter().map(move |&kind| (layer, kind, self.faults[layer as usize][kind as usize]))
            })
            .filter(|&(_, _, count)| count > 0)
    }
}

impl AddAssign<&Self> for Ledger {
    fn add_assign(&mut self, other: &Self) {
        // Destructured so that a new field cannot be forgotten. Packets may move between workers when a fragment finds its
        // flow (see `Worker`), so a single worker's value may wrap for a moment while the sum is right.
        let Self {
            packets,
            bytes,
            protocols,
            directions,
            in_flows,
            no_flow,
            faults,
            ipv4_checksums_bad,
            time_regressions,
            beyond_count,
            unread,
            taps_skipped,
            samples_skipped,
            records_skipped,
            facts_left_out,
            names_skipped,
            announcements_skipped,
            snapshots_skipped,
        } = other;
        self.packets = self.packets.wrapping_add(*packets);
        self.bytes = self.bytes.wrapping_add(*bytes);
        self.protocols.iter_mut().zip(protocols).for_each(|(sum, one)| *sum += *one);
        self.directions.iter_mut().zip(directions).for_each(|(sum, one)| *sum += *one);
        self.in_flows += in_flows;
        for (sum, one) in self.no_flow.iter_mut().zip(no_flow) {
            *sum = sum.wrapping_add(*one);
        }
        for (sums, ones) in self.faults.iter_mut().zip(faults) {
            for (sum, one) in sums.iter_mut().zip(ones) {
                *sum += one;
            }
        }
        self.ipv4_checksums_bad += ipv4_checksums_bad;
        self.time_regressions += time_regressions;
        self.beyond_count += beyond_count;
        self.unread += unread;
        self.taps_skipped += taps_skipped;
        self.samples_skipped += samples_skipped;
        self.records_skipped += records_skipped;
        self.facts_left_out += facts_left_out;
        self.names_skipped += names_skipped;
        self.announcements_skipped += announcements_skipped;
        self.snapshots_skipped += snapshots_skipped;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn discriminants_are_the_places_in_all() {
        for (i, rest) in NoFlowReason::ALL.iter().enumerate() {
            assert_eq!(*rest as usize, i);
        }
        for (i, class) in ProtocolClass::ALL.iter().enumerate() {
            assert_eq!(*class as usize, i);
        }
        for (i, layer) in Layer::ALL.iter().enumerate() {
            assert_eq!(*layer as usize, i);
        }
    }

    #[test]
    fn a_hole_shows() {
        let mut ledger = Ledger { packets: 2, in_flows: 1, ..Ledger::default() };
        assert_eq!(ledger.unaccounted(), 1);
        ledger.note_no_flow(NoFlowReason::Arp);
        assert_eq!(ledger.unaccounted(), 0);
        let mut sum = Ledger::default();
        sum += &ledger;
        sum += &ledger;
        assert_eq!((sum.packets, sum.no_flow[NoFlowReason::Arp as usize], sum.unaccounted()), (4, 2, 0));
    }
}
