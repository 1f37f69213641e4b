//! A wire to measure on: a rig in a namespace, a generator inside the kernel, a replayer of captures.
//!
//! Owns what is needed to offer a known load and to know what became of it. Knows backends, not NetScope. Its
//! one invariant: what is reported as sent is what the kernel took; frames it failed to deliver are told
//! apart.

mod generator;
mod load;
mod pace;
mod program;
mod replay;
mod rig;
mod ring;
mod schedstat;
mod trial;
mod trickle;

pub use generator::{LoadGenerator, Offered, Via};
pub use load::{Load, Speech};
pub use pace::Pace;
pub use replay::{Replay, Replayed};
pub use rig::{InterfaceCounters, RECEIVER, Rig, RigSettings, SENDER};
pub use ring::{BUFFER_BYTES, RingKind};
pub use schedstat::RunTime;
pub use trial::{LiveTrial, Tried};
pub use trickle::trickle_ages;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use std::time::Duration;

/// Lets the calling thread, and the processes it starts, run on one processor alone.
///
/// # Errors
/// When there is no such processor.
pub fn pin_to(cpu: usize) -> Result<(), String> {
    let fail = |error| format!("cannot run on processor {cpu} alone: {error}");
    let mut set = CpuSet::new();
    set.set(cpu).map_err(fail)?;
    sched_setaffinity(Pid::from_raw(0), &set).map_err(fail)
}

/// Offers `packets` frames of `load` inside `rig`, as fast as it goes and at most for 30 s: some 15 million a
/// second where the machine allows. Blocks, on a thread of its own.
///
/// # Errors
/// As [`LoadGenerator::new`] and [`LoadGenerator::run`].
pub fn offer_flat_out(rig: &Rig, load: &Load, via: Via, packets: u64) -> Result<Offered, String> {
    rig.inside(|| LoadGenerator::new(load, via)?.run(&Pace::flat_out(packets, Duration::from_secs(30))))?
}
