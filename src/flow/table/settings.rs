//! The settings of a flow table. Plain values.

use crate::flow::tcp::TcpAnalysis;
use crate::flow::{InspectionSettings, KeyScope};
use netscope_backends::Timestamp;

/// What the flow table is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowSettings {
    /// What tells two flows with the same 5-tuple apart.
    pub key: KeyScope,
    /// Most live flows; 0 = no limit but 2^31 - 1.
    pub flow_count_max: usize,
    /// A flow without packets for longer than this is over; 0 = never.
    pub idle_timeout_ns: u64,
    /// The same for a TCP flow that is closed or reset, where it is shorter than the idle timeout; unused when that is never.
    pub closed_timeout_ns: u64,
    /// A flow older than this ends at its next packet and goes on as a new record; 0 = off.
    pub active_timeout_ns: u64,
    /// Measure TCP round-trip times.
    pub rtt: bool,
    /// Find TCP retransmissions.
    pub retransmissions: bool,
    /// Find TCP segments out of order.
    pub out_of_order: bool,
    /// Keep what packets' headers say: MAC addresses, TTL, DSCP, ECN, TCP options, windows, payload bytes.
    pub headers: bool,
    /// What is found out from payload, and within which limits.
    pub inspection: InspectionSettings,
    /// Top talkers per tick; 0 = none.
    pub top_count: usize,
}

impl FlowSettings {
    /// What of TCP is analysed.
    pub const fn analysis(&self) -> TcpAnalysis {
        TcpAnalysis { rtt: self.rtt, retransmissions: self.retransmissions, out_of_order: self.out_of_order }
    }
}

impl Default for FlowSettings {
    fn default() -> Self {
        Self {
            key: KeyScope::Tuple,
            flow_count_max: 100_000,
            idle_timeout_ns: 60 * Timestamp::NS_PER_SEC,
            closed_timeout_ns: 5 * Timestamp::NS_PER_SEC,
            active_timeout_ns: 0,
            rtt: true,
            retransmissions: true,
            out_of_order: true,
            headers: false,
            inspection: InspectionSettings::default(),
            top_count: 0,
        }
    }
}
