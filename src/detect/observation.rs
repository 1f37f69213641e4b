//! What detectors are told on a queue.
//!
//! Owns the list of what may be told. A new one is a variant here; detectors that do not know it leave it.

use crate::app::DhcpMessage;
use crate::app::dns::DnsMessage;
use crate::app::protocols::FactNews;
use crate::flow::{Direction, Domain, FactSet, FlowEnd, FlowGrowth, FlowKey, HostAddress, SeenFlow, SeenFragment, SeenRefusal};
use crate::wire::ArpMessage;
use netscope_backends::Timestamp;

/// An ARP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenArp {
    /// The message.
    pub message: ArpMessage,
    /// Hardware address that the frame came from, where the link has any and the frame is in no tunnel.
    pub source_mac: Option<[u8; 6]>,
    /// VLAN tags and tunnel.
    pub segment: Domain,
    /// When it was captured.
    pub time: Timestamp,
}

/// A DHCP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenDhcp {
    /// The message.
    pub message: DhcpMessage,
    /// Who sent the datagram; a relay agent where there is one.
    pub source: HostAddress,
    /// Hardware address that the frame came from, where the link has any and the frame is in no tunnel.
    pub source_mac: Option<[u8; 6]>,
    /// VLAN tags and tunnel.
    pub segment: Domain,
    /// Its flow.
    pub key: FlowKey,
    /// The datagram's direction in the key.
    pub direction: Direction,
    /// When it was captured.
    pub time: Timestamp,
    /// Its number on its queue.
    pub number: u64,
}

/// What became known of a flow by its payload.
#[derive(Clone, Copy, Debug)]
pub struct SeenFacts<'a> {
    /// What is new.
    pub news: FactNews,
    /// All that is known.
    pub facts: FactSet<'a>,
    /// Both sides have sent payload.
    pub is_answered: bool,
    /// The flow as it stands.
    pub flow: FlowEnd,
    /// When the packet was captured that told it.
    pub time: Timestamp,
}

/// A DNS message.
#[derive(Clone, Copy, Debug)]
pub struct SeenDns<'a> {
    /// The message.
    pub message: DnsMessage<'a>,
    /// Who asked or is answered.
    pub client: HostAddress,
    /// Who is asked or answers.
    pub server: HostAddress,
    /// Its flow as it stands.
    pub flow: FlowEnd,
    /// When it was captured.
    pub time: Timestamp,
}

/// Something that was seen on a queue.
#[derive(Clone, Copy, Debug)]
pub enum Observation<'a> {
    /// What happened to flows. Each event is told once, by the end of its bin; those of one flow as a rule together. A flow's refusal by an ICMP
    /// error is told here only where the error came on the flow's own queue: [`Observation::Refusal`] is told of each.
    Flows(&'a [SeenFlow]),
    /// An ICMP error says that a destination cannot be reached.
    Refusal(&'a SeenRefusal),
    /// At the end of a bin: what each flow with packets in it grew by, ended flows included. Growth of a record over its bins adds up to
    /// its totals. A flow whose record ended in the bin and began again comes twice.
    Growth(&'a [FlowGrowth]),
    /// A connection was closed or reset, or another flow's record ended.
    End(&'a FlowEnd),
    /// An IP fragment, whether or not it belongs to a known flow.
    Fragment(&'a SeenFragment),
    /// An ARP message.
    Arp(&'a SeenArp),
    /// A DHCP message.
    Dhcp(&'a SeenDhcp),
    /// What became known of a flow, once each, where payload is inspected and a detector [`Detector::follows_facts`](super::Detector::follows_facts).
    Facts(&'a SeenFacts<'a>),
    /// A DNS message, likewise, where a detector [`Detector::follows_dns`](super::Detector::follows_dns).
    Dns(&'a SeenDns<'a>),
}
