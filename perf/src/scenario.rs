//! Captures with a known meaning: attacks of stated intensity, and what looks like one and is none.
//!
//! Owns the lists [`ATTACKS`] and [`LOOK_ALIKES`], each with a description and a function that makes the packets. Knows no detector: thresholds
//! are given to it. Invariant: the same settings give the same bytes.

mod attacks;
mod busy;
mod look_alikes;
pub mod messages;
mod office;
mod script;

pub use crate::frame::{ACK, FIN, PSH, RST, SYN, URG};
pub use attacks::{ATTACKER, ATTACKS, Attack, AttackKind, GATEWAY, INSIDE, Intensity, Scaling, Truth, VICTIM};
pub use busy::busy_traffic;
pub use look_alikes::{LOOK_ALIKES, LookAlike};
pub use office::office_uplink;
pub use script::{End, MS, Outcome, SEC, Said, Script, Seen, host, mac};

#[cfg(test)]
mod tests;
