//! Application protocols: a few payload bytes in, a typed fact out, one file per protocol.
//!
//! Owns what messages look like. Knows no clock, no flow and no packet around the payload. Invariant: any bytes may come, and none is read
//! that is not there.

mod dhcp;

pub use dhcp::{DhcpKind, DhcpMessage};
