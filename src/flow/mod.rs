//! Flows: keys, the table, the timer wheel, TCP tracking, records.
//!
//! Owns what is known about each flow on one queue. Time comes in from the caller and never goes back here.
//! Its invariant: memory is reserved by the settings and never exceeds them, whatever arrives.

mod arena;
mod base64;
mod closed;
mod community_id;
mod digest;
mod domain;
mod entries;
mod entry;
mod extra;
mod fragment;
mod growth;
mod headers;
mod icmp;
mod index;
mod inspection;
mod key;
mod last;
mod parts;
mod ports;
mod quote;
mod record;
mod record_id;
mod seen;
mod state;
mod store;
mod synthetic;
mod table;
pub mod tcp;
mod top;
mod wheel;

#[cfg(test)]
mod tests;

pub use crate::app::{FACTS_LEN_MAX, FactArena, FactBuffer, FactId, FactList, FactRef, FactSet, FactValue, FlowFacts};
pub use community_id::{CommunityId, community_id, community_ids};
pub use domain::{Domain, DomainNumbers, KeyScope, number_of_tag};
pub(crate) use entry::{pack_vlan, unpack_vlan};
pub use fragment::{FlowAt, FragmentCounters, FragmentPacket, FragmentTable, Held, Later};
pub use growth::FlowGrowth;
pub use headers::{DirectionHeaders, FlowHeaders};
pub use icmp::IcmpFlow;
pub use inspection::{FactPool, InspectionCounters, InspectionSettings, LatestNews, PoolRef, SeenPayload};
pub use key::{Direction, FlowKey, FoldHash, HashSecret, Keyed, Keying};
pub use last::LastFlows;
pub use ports::{ports_of, transport_ports};
pub use quote::{Quote, QuotedFlow};
pub use record::{EndReason, FlowRecord, RttRecord, SideRtt, TcpRecord};
pub use record_id::RecordId;
pub use seen::{FlowEnd, FragmentRole, HostAddress, SeenAnswer, SeenFlow, SeenFragment, SeenPacket, SeenRefusal};
pub use state::FlowState;
pub use synthetic::{Synthetic, synthetic};
pub use table::{
    Candidate, Content, CountPath, Counted, FlowCounters, FlowEvents, FlowNote, FlowPacket, FlowSettings, FlowTable, FlowVisitor,
    FlowWeight, FullFacts, PacketFacts, StateTimeouts,
};
pub use top::TopFlow;
