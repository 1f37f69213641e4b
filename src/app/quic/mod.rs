//! QUIC as far as everyone can read it: headers, Initial packets and the hellos inside; Google's older versions.
//!
//! Owns what a passive reader can know without keys of the connection.

mod frame;
mod google;
mod header;
mod initials;
mod keys;
#[cfg(test)]
pub(crate) mod tests;
mod transport;
mod varint;
mod version;

pub use frame::{CLOSE_REASON_MAX, QuicClose, QuicFrame, QuicFrames, quic_error_name};
pub use google::{GoogleHello, USER_AGENT_MAX};
pub use header::{CONNECTION_ID_MAX, LongKind, LongPacket, QuicPacket, QuicPackets};
pub use initials::{OPEN_FAILURES_MAX, QUIC_HELLO_MAX, QuicCloseCode, QuicInitials};
pub use keys::{InitialKeys, QuicSide};
pub use transport::TransportParameters;
pub use version::QuicVersion;
