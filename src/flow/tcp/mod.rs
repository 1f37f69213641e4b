//! TCP seen from outside: the state machine and the sequence analysis of one flow.
//!
//! Owns what is known about one TCP connection. Knows no table and no clock: segments, directions and times come in. Its
//! invariant: a tracker's size is fixed and its side memory bounded, whatever arrives.

mod acceptable;
mod arena;
mod arrival;
mod beginning;
mod closing;
mod connection;
mod gaps;
mod handshake;
mod loss;
mod marks;
mod plain;
mod rtt;
mod samples;
mod sequence;
mod sequences;
mod state;
mod tcp_direction;
mod tracker;
mod zero_window;

#[cfg(test)]
mod round_trip_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod wild_tests;
#[cfg(test)]
mod window_tests;

pub use arena::TcpArena;
pub use beginning::TcpBeginning;
pub use connection::TcpConnection;
pub use marks::TcpMarks;
pub use sequences::TcpSequences;
pub use state::{TcpState, TcpStateDetail};
pub use tracker::{Analysed, TcpAnalysis, TcpTracker};
