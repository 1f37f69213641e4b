//! The limits of inspection, and what reaching them is counted as. Plain values.

use std::ops::AddAssign;

/// What inspection may take of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InspectionSettings {
    /// Payload is looked at.
    pub enabled: bool,
    /// Bytes of each direction of a TCP connection that are put in order, at most.
    pub stream_bytes_max: usize,
    /// Packets with payload of one flow that are looked at without finding anything out, at most.
    pub packets_max: u16,
    /// Flows that are being inspected and whose bytes are kept, at most, in one queue.
    pub flow_count_max: usize,
    /// Bytes kept for them at a time, at most, in one queue.
    pub bytes_max: usize,
    /// Control connections (FTP, SIP) that stay watched for what they announce, at most, in one queue.
    pub control_count_max: usize,
    /// Payload of each of them that is looked at, at most.
    pub control_bytes_max: usize,
    /// Names of addresses, as DNS answers told them, that are kept for flows without a name, at most, in all; 0: none.
    pub address_names_max: usize,
}

impl InspectionSettings {
    /// Names of addresses that are kept; 0 where no payload is looked at.
    pub const fn names_max(&self) -> usize {
        if self.enabled { self.address_names_max } else { 0 }
    }

    /// The limit of packets for a connection whose beginning was seen and is that of no protocol: one may begin behind a preamble, such as
    /// that of a proxy.
    pub(super) fn excluded_packets(&self) -> u16 {
        self.packets_max.min(3)
    }

    /// The limit of datagrams that no protocol may begin with: each is whole, and a protocol shows itself in the first ones.
    pub(super) fn foreign_datagrams(&self) -> u16 {
        self.packets_max.min(3)
    }

    /// The limit of datagrams of a flow that may be of a protocol, while none of them tells.
    pub(super) fn unsure_datagrams(&self) -> u16 {
        self.packets_max.min(8)
    }
}

impl Default for InspectionSettings {
    fn default() -> Self {
        Self {
            enabled: false,
            stream_bytes_max: 16 << 10,
            packets_max: 24,
            flow_count_max: 1 << 16,
            bytes_max: 64 << 20,
            control_count_max: 4096,
            control_bytes_max: 16 << 20,
            address_names_max: 1 << 16,
        }
    }
}

/// What inspection did and could not do, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InspectionCounters {
    /// Flows of which something was found out.
    pub recognised: u64,
    /// Flows that were looked at in vain.
    pub unknown: u64,
    /// Flows whose messages were longer than what is put in order.
    pub streams_too_long: u64,
    /// Flows that were left alone early because too many others were inspected.
    pub flows_too_many: u64,
    /// Flows that were left alone early because too many bytes were kept.
    pub bytes_too_many: u64,
    /// Facts that found no room in their record.
    pub facts_too_many: u64,
    /// Control connections that were left alone early because too many others were watched.
    pub controls_too_many: u64,
    /// Control connections with more payload than is looked at.
    pub controls_too_long: u64,
}

impl AddAssign<&Self> for InspectionCounters {
    fn add_assign(&mut self, other: &Self) {
        let Self {
            recognised,
            unknown,
            streams_too_long,
            flows_too_many,
            bytes_too_many,
            facts_too_many,
            controls_too_many,
            controls_too_long,
        } = other;
        self.recognised += recognised;
        self.unknown += unknown;
        self.streams_too_long += streams_too_long;
        self.flows_too_many += flows_too_many;
        self.bytes_too_many += bytes_too_many;
        self.facts_too_many += facts_too_many;
        self.controls_too_many += controls_too_many;
        self.controls_too_long += controls_too_long;
    }
}
