//! Application protocols: a few payload bytes in, a typed fact out, one file per protocol.
//!
//! Owns what messages look like. Knows no clock, no flow and no packet around the payload. Invariant: any bytes may come, and none is read
//! that is not there.

mod conversation;
mod datagrams;
mod dhcp;
mod facts;

pub use conversation::{Conversation, Reading, StreamProtocol, Wanted};
pub use datagrams::{Datagram, DatagramInspector, DatagramReading};
pub use dhcp::{DhcpKind, DhcpMessage};
pub use facts::{FACTS_LEN_MAX, FactArena, FactBuffer, FactId, FactList, FactRef, FactSet, FactValue};
