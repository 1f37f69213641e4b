//! Application protocols: a few payload bytes in, a typed fact out.
//!
//! Owns what messages look like. Knows no clock, no flow and no packet around the payload. Invariant: any bytes may come, and none is read
//! that is not there.

mod announced;
mod conversation;
mod credentials;
mod datagrams;
mod dhcp;
mod dhcpv6;
mod digest;
pub mod dns;
mod facts;
mod first_bytes;
pub mod http1;
pub mod http2;
mod parsed;
mod pieces;
pub mod protocols;
pub mod quic;
mod reading;
pub mod recognise;
mod single;
mod socks;
pub mod ssh;
pub mod tls;

pub use announced::{AnnouncedEnd, AnnouncedProtocol, ControlPacket, ControlProtocol, announced_ends};
pub use conversation::{Conversation, Reading, StreamProtocol, Wanted};
pub use credentials::credentials_are_clear;
pub use datagrams::{DatagramInspector, DatagramProtocol, DatagramReading, SeenDatagram};
pub use dhcp::{DhcpKind, DhcpMessage, DhcpNames};
pub use dhcpv6::Dhcpv6Names;
pub use digest::Md5Sum;
pub use facts::{FACTS_LEN_MAX, FactArena, FactBuffer, FactId, FactList, FactRef, FactSet, FactValue, FactWriter, FlowFacts};
pub use parsed::Parsed;
pub use pieces::PieceBuffer;
pub use reading::NumberList;
pub use single::SinglePayload;
pub use socks::SocksOpening;
