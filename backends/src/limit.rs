//! A source that ends after a number of bytes or a time.
//!
//! Owns what is still allowed. Knows no source. Its one invariant: of a file, where it ends depends on its packets alone; of a wire, on
//! what all its queues took together and on the clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::file::MappedBytes;
use crate::{Backend, BackendError, Counters, LinkType, Packet, Polled, Position, RingFill, Timestamp};

/// When a capture ends by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CaptureLimits {
    /// With the packet by which this many bytes were on the wire.
    pub bytes: Option<u64>,
    /// After this time: of the clock where packets do not wait, else of the packets.
    pub duration: Option<Duration>,
}

impl CaptureLimits {
    /// True when there is none.
    pub const fn is_none(&self) -> bool {
        self.bytes.is_none() && self.duration.is_none()
    }

    /// Puts all queues of a source under these limits.
    pub fn apply(&self, queues: Vec<Box<dyn Backend>>) -> Vec<Box<dyn Backend>> {
        if self.is_none() {
            return queues;
        }
        let taken = Arc::new(AtomicU64::new(0));
        let limited = |inner| Box::new(LimitedBackend::new(inner, *self, Arc::clone(&taken))) as Box<dyn Backend>;
        queues.into_iter().map(limited).collect()
    }
}

/// One queue of a source with limits.
struct LimitedBackend {
    inner: Box<dyn Backend>,
    limits: CaptureLimits,
    /// Bytes that all queues have lent.
    taken: Arc<AtomicU64>,
    started: Option<Instant>,
    first: Option<Timestamp>,
    is_over: bool,
    /// Packets of a file that lay behind the end.
    beyond: u64,
}

impl LimitedBackend {
    const fn new(inner: Box<dyn Backend>, limits: CaptureLimits, taken: Arc<AtomicU64>) -> Self {
        Self { inner, limits, taken, started: None, first: None, is_over: false, beyond: 0 }
    }

    /// Time that is left of a wire's; `None` without a limit.
    fn time_left(&mut self) -> Option<Duration> {
        let duration = self.limits.duration.filter(|_| !self.inner.waits())?;
        let started = *self.started.get_or_insert_with(Instant::now);
        Some(duration.saturating_sub(started.elapsed()))
    }
}

/// How many of `packets` may be lent, and whether that is the end.
fn allowed(packets: &[Packet<'_>], bytes: Option<u64>, taken: &AtomicU64, until: Option<Timestamp>) -> (usize, bool) {
    let in_time = packets.iter().position(|packet| until.is_some_and(|until| packet.time >= until)).unwrap_or(packets.len());
    let Some(bytes_max) = bytes else { return (in_time, in_time < packets.len()) };
    for (index, packet) in packets.iter().take(in_time).enumerate() {
        // Relaxed: the number alone is shared, and it vouches for no other memory. Pairs with itself on the other queues.
        let before = taken.fetch_add(packet.wire_len.into(), Ordering::Relaxed);
        if before >= bytes_max {
            return (index, true);
        }
    }
    (in_time, in_time < packets.len() || taken.load(Ordering::Relaxed) >= bytes_max)
}

impl Backend for LimitedBackend {
    fn link_type(&self) -> LinkType {
        self.inner.link_type()
    }

    fn waits(&self) -> bool {
        self.inner.waits()
    }

    fn poll(&mut self, timeout: Duration, visit: &mut dyn FnMut(&[Packet<'_>])) -> Result<Polled, BackendError> {
        let left = self.time_left();
        if self.is_over || left == Some(Duration::ZERO) {
            return Ok(Polled::End);
        }
        let waits = self.inner.waits();
        let Self { inner, limits, taken, first, is_over, beyond, .. } = self;
        let mut lent = 0;
        let polled = inner.poll(left.map_or(timeout, |left| left.min(timeout)), &mut |packets| {
            if *is_over {
                *beyond += packets.len() as u64;
                return;
            }
            let until = limits.duration.filter(|_| waits).map(|duration| {
                let first = first.get_or_insert_with(|| packets.first().map_or(Timestamp(0), |packet| packet.time));
                Timestamp(first.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
            });
            let (count, is_end) = allowed(packets, limits.bytes, taken, until);
            let (allowed, rest) = packets.split_at(count.min(packets.len()));
            (*is_over, *beyond) = (is_end, *beyond + rest.len() as u64);
            lent += allowed.len() as u32;
            if !allowed.is_empty() {
                visit(allowed);
            }
        })?;
        // On another queue the last byte may have been taken meanwhile.
        let used_up = self.limits.bytes.is_some_and(|bytes| self.taken.load(Ordering::Relaxed) >= bytes);
        self.is_over |= used_up;
        Ok(match polled {
            Polled::Lent(_) => Polled::Lent(lent),
            other => other,
        })
    }

    /// Of a file, what lies behind the end was not received; of a wire it is what was left unread.
    fn counters(&mut self) -> Result<Counters, BackendError> {
        let counters = self.inner.counters()?;
        let beyond = if self.inner.waits() { self.beyond } else { 0 };
        Ok(Counters { received: counters.received.saturating_sub(beyond), ..counters })
    }

    fn ring_fill(&mut self) -> Option<RingFill> {
        self.inner.ring_fill()
    }

    fn notice(&mut self) -> Option<String> {
        self.inner.notice()
    }

    fn mapped(&self) -> Option<MappedBytes> {
        self.inner.mapped()
    }

    fn position(&self) -> Position {
        self.inner.position()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{MemoryBackend, OwnedPacket};

    const SECOND: u64 = 1_000_000_000;

    /// 200 packets of 100 bytes, one a second.
    fn packets(waits: bool) -> Box<dyn Backend> {
        let packet =
            |i| OwnedPacket { time: Timestamp(i * SECOND), wire_len: 100, link_type: LinkType::ETHERNET, data: vec![0; 60] };
        Box::new(MemoryBackend::new(LinkType::ETHERNET, (0..200).map(packet).collect()).waits_like_file(waits))
    }

    fn lent(limits: CaptureLimits, waits: bool) -> (u64, u64) {
        let mut queues = limits.apply(vec![packets(waits)]);
        let queue = queues.first_mut().expect("there is one");
        let mut seen = 0;
        while queue.poll(Duration::ZERO, &mut |lent| seen += lent.len() as u64).expect("memory does not fail") != Polled::End {}
        (seen, queue.counters().expect("memory does not fail").received)
    }

    #[test]
    fn a_file_ends_with_the_packet_that_reaches_the_bytes() {
        let by_bytes = |bytes| lent(CaptureLimits { bytes: Some(bytes), duration: None }, true);
        assert_eq!(
            [by_bytes(1), by_bytes(100), by_bytes(101), by_bytes(6400), by_bytes(6401)].map(|(seen, _)| seen),
            [1, 1, 2, 64, 65]
        );
        assert_eq!(by_bytes(101), (2, 2), "what lies behind was not received");
        assert_eq!(by_bytes(1 << 40), (200, 200));
    }

    #[test]
    fn a_file_ends_by_the_times_of_its_packets() {
        let by_time = |ns| lent(CaptureLimits { bytes: None, duration: Some(Duration::from_nanos(ns)) }, true);
        assert_eq!(
            [by_time(1), by_time(SECOND), by_time(SECOND + 1), by_time(100 * SECOND)].map(|(seen, _)| seen),
            [1, 1, 2, 100]
        );
        assert_eq!(by_time(1000 * SECOND), (200, 200));
    }

    #[test]
    fn a_wire_ends_by_the_clock_and_counts_what_it_left() {
        let (seen, received) = lent(CaptureLimits { bytes: Some(250), duration: None }, false);
        assert_eq!((seen, received), (3, 64), "the rest of what was taken out of the ring is left unread");
        let over = CaptureLimits { bytes: None, duration: Some(Duration::ZERO) };
        assert_eq!(lent(over, false), (0, 0));
    }

    #[test]
    fn queues_share_the_bytes() {
        let limits = CaptureLimits { bytes: Some(5000), duration: None };
        let mut queues = limits.apply(vec![packets(false), packets(false)]);
        let mut seen = 0;
        for queue in &mut queues {
            while queue.poll(Duration::ZERO, &mut |lent| seen += lent.len()).expect("memory does not fail") != Polled::End {}
        }
        assert_eq!(seen, 50);
    }
}
