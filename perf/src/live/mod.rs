//! A wire to measure on: a rig in a namespace, a generator inside the kernel, a replayer of captures.
//!
//! Owns what is needed to offer a known load and to know what became of it. Knows backends, not NetScope. Its one invariant: what
//! is reported as sent is what the kernel took; frames it failed to deliver are told apart.

mod load;
mod pace;
mod replay;
mod rig;

pub use load::{Load, Speech};
pub use pace::Pace;
pub use replay::{Replay, Replayed};
pub use rig::{InterfaceCounters, RECEIVER, Rig, RigSettings, SENDER};
