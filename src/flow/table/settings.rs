//! The settings of a flow table. Plain values.

use crate::flow::tcp::TcpAnalysis;
use crate::flow::{InspectionSettings, KeyScope};
use netscope_backends::Timestamp;

/// After how long without packets flows end by what they are and how far they are, in ns; 0 = never, `None` = the idle timeout.
///
/// States are those of [`FlowState`](crate::flow::FlowState); what a flow is, payload says. A flow that none of these is about has the
/// idle timeout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateTimeouts {
    /// TCP whose handshake has begun and is not complete.
    pub tcp_handshake_ns: Option<u64>,
    /// Any other TCP that is not closed.
    pub tcp_established_ns: Option<u64>,
    /// The same in which SSH is spoken; `None` = as other TCP.
    pub ssh_ns: Option<u64>,
    /// UDP and UDP-Lite with packets from one side.
    pub udp_one_way_ns: Option<u64>,
    /// The same with packets from both.
    pub udp_two_way_ns: Option<u64>,
    /// ICMP echo without a reply.
    pub echo_request_ns: Option<u64>,
    /// The same with one.
    pub echo_replied_ns: Option<u64>,
    /// DNS over UDP, mDNS and LLMNR without a response; `None` = as other UDP, here and below.
    pub dns_queried_ns: Option<u64>,
    /// The same with one.
    pub dns_answered_ns: Option<u64>,
    /// QUIC whose handshake is not complete.
    pub quic_handshake_ns: Option<u64>,
    /// QUIC whose handshake is complete.
    pub quic_established_ns: Option<u64>,
    /// QUIC that was closed before that.
    pub quic_closed_ns: Option<u64>,
}

/// What the flow table is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowSettings {
    /// What tells two flows with the same 5-tuple apart.
    pub key: KeyScope,
    /// Most live flows; 0 = no limit but 2^31 - 1.
    pub flow_count_max: usize,
    /// A flow without packets for longer than this is over; 0 = never.
    pub idle_timeout_ns: u64,
    /// Other times by protocol and state.
    pub timeouts: StateTimeouts,
    /// The same for a TCP flow that is closed or reset, where it is shorter than what it had before; unused when that is never.
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
            timeouts: StateTimeouts::default(),
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
