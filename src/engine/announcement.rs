//! Flows that were announced, on their way to the aggregator.
//!
//! Owns what goes with a box of ended flows. Knows no message and no flow.

use crate::app::AnnouncedProtocol;
use crate::flow::{FlowKey, HostAddress};
use netscope_backends::Timestamp;

/// One end of a flow that is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// The place of the packet that announced it in the order of all workers, as of [`EndedFlow::event`](super::EndedFlow::event).
    pub event: u64,
    /// When it came.
    pub time: Timestamp,
    /// The end's address.
    pub address: HostAddress,
    /// Its port.
    pub port: u16,
    /// The other end's address, where only one is meant.
    pub peer: Option<HostAddress>,
    /// The control connection.
    pub control: FlowKey,
    /// What the flow is.
    pub protocol: AnnouncedProtocol,
}

impl Announcement {
    /// Announcements in one box of ended flows.
    pub const BOX_CAPACITY: usize = 256;
}
