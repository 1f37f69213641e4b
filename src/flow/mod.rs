//! Flows: keys, the table, the timer wheel, TCP tracking, records.
//!
//! Owns what is known about each conversation on one queue. Time comes in from the caller and never goes back here. Its invariant:
//! memory is reserved by the settings and never exceeds them, whatever arrives.

mod key;
mod record;
pub mod tcp;

pub use key::{Direction, FlowKey, HashSecret};
pub use record::{EndReason, FlowRecord, RttRecord, TcpRecord};
