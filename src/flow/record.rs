//! What remains of a flow when it leaves the table, and what exports are made of. Plain values, no table inside.

use super::{Direction, FactRef, FlowHeaders, FlowKey, QuotedFlow};
use crate::wire::{Tunnel, VlanTags};
use netscope_backends::Timestamp;

use super::tcp::{TcpState, TcpStateDetail};

/// The control bit of the last segment with data.
const FIN: u8 = 1;

/// Why a flow ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum EndReason {
    /// No packet for the idle timeout.
    Timeout,
    /// The table was full and another flow needed the place.
    Eviction,
    /// TCP closed or reset, and its linger time over or its tuple used again.
    Closed,
    /// Older than the active timeout; what follows is a new record.
    ActiveTimeout,
    /// The program ended.
    Exit,
}

impl EndReason {
    /// All reasons, in the order of their discriminants.
    pub const ALL: [Self; 5] = [Self::Timeout, Self::Eviction, Self::Closed, Self::ActiveTimeout, Self::Exit];

    /// The name in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Eviction => "eviction",
            Self::Closed => "closed",
            Self::ActiveTimeout => "active_timeout",
            Self::Exit => "exit",
        }
    }
}

/// A flow as it is exported. Arrays are indexed by [`Direction::index`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FlowRecord {
    /// Canonical 5-tuple.
    pub key: FlowKey,
    /// Time of the earliest packet.
    pub first_seen: Timestamp,
    /// Time of the latest packet.
    pub last_seen: Timestamp,
    /// Packets per direction, attributed fragments included.
    pub packets: [u64; 2],
    /// Bytes on the wire per direction, link header included.
    pub bytes: [u64; 2],
    /// Later IP fragments among the packets.
    pub fragments: u32,
    /// Who began: the sender of the flow's first packet; for ICMP echo the side that requests.
    pub initiator: Direction,
    /// Number (from 1, in capture order, on its queue) of the packet that opened the flow; unique per record.
    pub first_packet: u64,
    /// VLAN tags of the first packet.
    pub vlan: VlanTags,
    /// Innermost tunnel of the first packet.
    pub tunnel: Option<Tunnel>,
    /// ICMP code of the first packet of echoes, or of a request and its answer; 0 for other flows.
    pub icmp_code: u8,
    /// ICMP errors that quote a packet of the flow, as far as they came where its packets did.
    pub icmp_errors: u32,
    /// Of a flow of ICMP errors, the first flow that one of them names.
    pub quoted: Option<QuotedFlow>,
    /// Set for TCP flows.
    pub tcp: Option<TcpRecord>,
    /// What its packets' headers said, where that is kept ([`FlowSettings::headers`](super::FlowSettings)).
    pub headers: Option<FlowHeaders>,
    /// When the flow ended: last activity plus the timeout, or the time of the packet that ended it, or of the exit.
    pub ended: Timestamp,
    /// Why the flow ended.
    pub reason: EndReason,
    /// Queues on which its packets came. More than 1 in a record that was joined from halves ([`FlowRecord::join`]).
    pub queues: u16,
    /// On which interface it was captured: its place among those of the run, 0 where there is one or none.
    pub interface: u8,
    /// What else is known of the flow: a place in the arena that goes with the record.
    pub facts: FactRef,
}

impl FlowRecord {
    /// Adds what another queue saw of the same flow, beginning no earlier. Who began, tags, tunnel and
    /// code are those of the earlier half. Counters add up; what takes both directions to know (round trips,
    /// answers to a FIN) stays as far as one half knew it. Facts are those of `self`.
    pub fn join(&mut self, later: &Self) {
        let add = |mine: [u64; 2], other: [u64; 2]| [mine[0].saturating_add(other[0]), mine[1].saturating_add(other[1])];
        self.packets = add(self.packets, later.packets);
        self.bytes = add(self.bytes, later.bytes);
        self.fragments = self.fragments.saturating_add(later.fragments);
        self.icmp_errors = self.icmp_errors.saturating_add(later.icmp_errors);
        self.quoted = self.quoted.or(later.quoted);
        self.last_seen = self.last_seen.max(later.last_seen);
        if later.ended > self.ended || later.reason == EndReason::Exit {
            (self.ended, self.reason) = (self.ended.max(later.ended), later.reason);
        }
        match (&mut self.tcp, &later.tcp) {
            (Some(mine), Some(other)) => mine.join(other),
            (mine, other) => *mine = mine.or(*other),
        }
        match (&mut self.headers, &later.headers) {
            (Some(mine), Some(other)) => mine.join(other),
            (mine, other) => *mine = mine.or(*other),
        }
    }

    /// Who counts as the client: who sent the first SYN and, where that was not seen, who began.
    #[inline(always)]
    pub fn client(&self) -> Direction {
        self.tcp.as_ref().and_then(|tcp| tcp.client).unwrap_or(self.initiator)
    }
}

/// TCP part of a record; counts are sums over both directions unless they are arrays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TcpRecord {
    /// One of the seven exported states.
    pub state: TcpState,
    /// The finer state, seen from outside (RFC 9293 section 3.3.2).
    pub detail: TcpStateDetail,
    /// Who sent the first SYN.
    pub client: Option<Direction>,
    /// Union of the control bits per direction (low 8 bits).
    pub flags: [u8; 2],
    /// All retransmissions, fast and spurious ones included.
    pub retransmissions: u32,
    /// Retransmissions after duplicate ACKs.
    pub fast_retransmissions: u32,
    /// Retransmissions of data that was already acknowledged.
    pub spurious_retransmissions: u32,
    /// Segments that arrived late but were not sent again.
    pub out_of_order: u32,
    /// Gaps: segments before this one were never seen.
    pub lost_segments: u32,
    /// Acknowledgments of data that was never seen.
    pub ack_lost_segments: u32,
    /// Duplicate acknowledgments.
    pub duplicate_acks: u32,
    /// Keep-alive probes.
    pub keep_alives: u32,
    /// Segments that announced a zero window.
    pub zero_windows: u32,
    /// Maximum segment size announced per direction; 0 when not seen.
    pub mss: [u16; 2],
    /// Window shift count announced per direction.
    pub window_scale: [Option<u8>; 2],
    /// From the latest SYN to the first segment of either side with ACK and no SYN, in ns.
    pub handshake_rtt_ns: Option<u64>,
    /// Data to ACK round trips as seen from here, of both sides together.
    pub rtt: Option<RttRecord>,
    /// The same of each side, indexed by the direction of its acknowledgments: from here to that endpoint and back.
    pub rtt_sides: [Option<SideRtt>; 2],
    /// How long each direction's window was closed, in ns, up to its latest segment; `None` when it never was.
    pub zero_window_ns: [Option<u64>; 2],
}

impl TcpRecord {
    /// The averaged round trip that stands for the connection, in ns: from here to the server and back where the client is known,
    /// else that of both sides together.
    pub fn typical_rtt_ns(&self) -> Option<u64> {
        let server = self.client.and_then(|client| self.rtt_sides[client.reverse().index()]);
        server.map(|rtt| rtt.ewma_ns).or_else(|| self.rtt.map(|rtt| rtt.ewma_ns))
    }

    fn join(&mut self, later: &Self) {
        self.flags = [self.flags[0] | later.flags[0], self.flags[1] | later.flags[1]];
        if later.state as u8 > self.state as u8 {
            (self.state, self.detail) = (later.state, later.detail);
        }
        if self.state == TcpState::FinWait && self.flags.iter().all(|flags| flags & FIN != 0) {
            // Neither half saw an answer to its FIN.
            (self.state, self.detail) = (TcpState::Closed, TcpStateDetail::Closing);
        }
        self.client = self.client.or(later.client);
        for (mine, other) in [
            (&mut self.retransmissions, later.retransmissions),
            (&mut self.fast_retransmissions, later.fast_retransmissions),
            (&mut self.spurious_retransmissions, later.spurious_retransmissions),
            (&mut self.out_of_order, later.out_of_order),
            (&mut self.lost_segments, later.lost_segments),
            (&mut self.ack_lost_segments, later.ack_lost_segments),
            (&mut self.duplicate_acks, later.duplicate_acks),
            (&mut self.keep_alives, later.keep_alives),
            (&mut self.zero_windows, later.zero_windows),
        ] {
            *mine = mine.saturating_add(other);
        }
        for (mine, other) in self.mss.iter_mut().zip(later.mss) {
            *mine = if *mine == 0 { other } else { *mine };
        }
        for (mine, other) in self.window_scale.iter_mut().zip(later.window_scale) {
            *mine = mine.or(other);
        }
        self.handshake_rtt_ns = self.handshake_rtt_ns.or(later.handshake_rtt_ns);
        let samples = |rtt: &Option<RttRecord>| rtt.map_or(0, |rtt| rtt.samples);
        if samples(&later.rtt) > samples(&self.rtt) {
            self.rtt = later.rtt;
        }
        for (mine, other) in self.rtt_sides.iter_mut().zip(later.rtt_sides) {
            if other.map_or(0, |rtt| rtt.samples) > mine.map_or(0, |rtt| rtt.samples) {
                *mine = other;
            }
        }
        for (mine, other) in self.zero_window_ns.iter_mut().zip(later.zero_window_ns) {
            *mine = match (*mine, other) {
                (Some(mine), Some(other)) => Some(mine.saturating_add(other)),
                (mine, other) => mine.or(other),
            };
        }
    }
}

/// Round-trip times of one side in ns, without its delayed acknowledgments.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SideRtt {
    /// Number of samples.
    pub samples: u32,
    /// Smallest sample.
    pub min_ns: u64,
    /// Exponentially weighted moving average, alpha 0.125.
    pub ewma_ns: u64,
    /// Largest sample.
    pub max_ns: u64,
    /// Acknowledgments that the receiver held back.
    pub delayed_acks: u32,
}

/// Round-trip times in ns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RttRecord {
    /// Latest sample.
    pub last_ns: u64,
    /// Smallest sample.
    pub min_ns: u64,
    /// Exponentially weighted moving average, alpha 0.125.
    pub ewma_ns: u64,
    /// Number of samples.
    pub samples: u32,
}
