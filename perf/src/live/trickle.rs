//! How old a packet is when a reader sees it, at a rate at which no buffer ever fills.
//!
//! Owns the comparison of clocks: the generator writes CLOCK_MONOTONIC into each datagram. Its one invariant:
//! only datagrams of the load are looked at.

use super::generator::LoadGenerator;
use super::load::{Load, SERVER_PORT, Speech};
use super::pace::Pace;
use super::rig::{RECEIVER, Rig, RigSettings};
use super::ring::RingKind;
use netscope_backends::Packet;
use nix::time::{ClockId, clock_gettime};
use std::time::{Duration, Instant};

/// Wait of a poll, as in the program by default.
const POLL: Duration = Duration::from_millis(100);

/// The ages of the packets of a trickle of `rate` packets a second, sorted. On a rig of its own.
///
/// # Errors
/// As the ring and the generator.
pub fn trickle_ages(ring: RingKind, rate: f64, time: Duration) -> Result<Vec<Duration>, String> {
    let rig = Rig::new(&RigSettings::default())?;
    let mut backend = rig.inside(|| ring.open(RECEIVER))??;
    let load = Load { speech: Speech::Udp { stamped: true }, ..Load::udp(10) };
    let mut ages = Vec::new();
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| rig.inside(|| LoadGenerator::new(&load, ring.via())?.run(&Pace::at_rate(rate, time))));
        let start = Instant::now();
        while start.elapsed() < time + 4 * POLL {
            backend.poll(POLL, &mut |packets| ages.extend(packets.iter().filter_map(age))).map_err(|error| error.to_string())?;
        }
        sender.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))??;
        ages.sort();
        Ok(ages)
    })
}

/// How long ago a datagram of the load was made.
fn age(packet: &Packet<'_>) -> Option<Duration> {
    let port = packet.data.get(36..38).filter(|_| packet.data.get(23) == Some(&17))?;
    let is_ours = port == SERVER_PORT.to_be_bytes() || packet.data.get(34..36) == Some(&SERVER_PORT.to_be_bytes()[..]);
    let made = Duration::from_nanos(u64::from_be_bytes(*packet.data.get(50..)?.first_chunk()?));
    let now: Duration = clock_gettime(ClockId::CLOCK_MONOTONIC).ok()?.into();
    is_ours.then(|| now.saturating_sub(made))
}
