//! A capture file replayed by the times of its packets, as captured or so many times as fast.
//!
//! Owns copies of packets that were read and are not due yet. Knows no file format. Invariants: packets come in the order of the
//! source and none comes early; a poll waits no longer than it was told; while it waits it says what time it is in the capture.
//!
//! A packet is due at its distance from the first packet, divided by the speed. Time that goes back makes nothing wait: such packets
//! are due at once. A gap takes as long as it is, days too. Whoever is slower than the pace gets what has become due as fast as
//! possible.

use std::time::{Duration, Instant};

use crate::chunk::PacketChunk;
use crate::{BATCH_MAX, Backend, BackendError, Counters, LinkType, Packet, Polled, Position, Timestamp};

/// Shortest sleep: packets that are due within this time of each other come together.
const SLEEP_MIN: Duration = Duration::from_micros(500);

/// How many times as fast as it was captured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReplaySpeed(f64);

impl ReplaySpeed {
    /// Slowest and fastest.
    pub const RANGE: (f64, f64) = (1e-6, 1e9);

    /// This many times as fast; `None` when that is outside [`ReplaySpeed::RANGE`].
    pub fn new(factor: f64) -> Option<Self> {
        let (min, max) = Self::RANGE;
        (min..=max).contains(&factor).then_some(Self(factor))
    }

    /// The factor.
    pub const fn factor(self) -> f64 {
        self.0
    }

    /// How long the replay of this much packet time takes.
    fn takes(self, packet_ns: u64) -> Duration {
        Duration::try_from_secs_f64(packet_ns as f64 / 1e9 / self.0).unwrap_or(Duration::MAX)
    }

    /// How much packet time passes in this time, in ns.
    fn passes(self, time: Duration) -> u64 {
        // Saturates.
        (time.as_secs_f64() * self.0 * 1e9) as u64
    }
}

/// A source whose packets come at their pace.
pub struct PacedBackend {
    inner: Box<dyn Backend>,
    speed: ReplaySpeed,
    /// When the first packet came, and its own time.
    begin: Option<(Instant, Timestamp)>,
    /// Packets that were read and not lent, from `next` on; as many as one poll of the source lent at most.
    ahead: Vec<PacketChunk>,
    /// Chunk, and packet in it.
    next: (usize, usize),
    /// What the source said after them.
    end: Option<Result<(), BackendError>>,
}

impl PacedBackend {
    /// Replays this source, whose packets wait.
    pub fn new(inner: Box<dyn Backend>, speed: ReplaySpeed) -> Self {
        Self { inner, speed, begin: None, ahead: Vec::new(), next: (0, 0), end: None }
    }

    /// Packets that were read and not lent.
    fn waiting(&self) -> u64 {
        let (chunk, packet) = self.next;
        let held: usize = self.ahead.iter().skip(chunk).map(PacketChunk::len).sum();
        held.saturating_sub(packet) as u64
    }

    /// The time of the next packet that was read.
    fn next_time(&self) -> Option<Timestamp> {
        let (chunk, packet) = self.next;
        let chunk = self.ahead.get(chunk).filter(|chunk| packet < chunk.len())?;
        Some(chunk.time(packet))
    }

    /// Lends what is due of what was read; how many.
    fn lend_due(&mut self, visit: &mut dyn FnMut(&[Packet<'_>])) -> u32 {
        let Self { ahead, next: (chunk_at, packet_at), speed, begin, .. } = self;
        let Some(begin) = *begin else { return 0 };
        let elapsed = begin.0.elapsed();
        let mut lent = 0;
        while let Some(chunk) = ahead.get(*chunk_at) {
            let mut batch = [Packet { data: &[], time: Timestamp(0), wire_len: 0, link_type: LinkType::NULL }; BATCH_MAX];
            let due = (*packet_at..chunk.len())
                .map(|at| chunk.packet(at))
                .take_while(|packet| is_due(packet.time, begin.1, elapsed, *speed));
            let count = batch.iter_mut().zip(due).map(|(slot, packet)| *slot = packet).count();
            if count > 0 {
                visit(batch.get(..count).unwrap_or_default());
            }
            (lent, *packet_at) = (lent + count as u32, *packet_at + count);
            if *packet_at == chunk.len() {
                (*chunk_at, *packet_at) = (*chunk_at + 1, 0);
            } else if count < BATCH_MAX {
                break;
            }
        }
        if *chunk_at == ahead.len() {
            // Of the memory, what most polls need is kept.
            ahead.truncate(1);
            ahead.iter_mut().for_each(PacketChunk::clear);
            (*chunk_at, *packet_at) = (0, 0);
        }
        lent
    }

    /// Reads on; what is due is lent as it lies, and the rest is copied.
    fn read(&mut self, timeout: Duration, visit: &mut dyn FnMut(&[Packet<'_>])) -> Result<Polled, BackendError> {
        let Self { inner, speed, begin, ahead, .. } = self;
        let mut lent = 0;
        let polled = inner.poll(timeout, &mut |packets| {
            let mut rest = packets;
            if ahead.iter().all(PacketChunk::is_empty)
                && let Some(first) = packets.first()
            {
                let begin = *begin.get_or_insert_with(|| (Instant::now(), first.time));
                let elapsed = begin.0.elapsed();
                let due = packets.iter().take_while(|packet| is_due(packet.time, begin.1, elapsed, *speed)).count();
                let (now, later) = packets.split_at(due);
                if !now.is_empty() {
                    visit(now);
                }
                (lent, rest) = (lent + due as u32, later);
            }
            rest.iter().for_each(|packet| keep(ahead, packet));
        });
        match polled {
            Ok(Polled::Lent(_)) => Ok(Polled::Lent(lent)),
            Ok(idle @ Polled::Idle(_)) => Ok(idle),
            Ok(Polled::End) => self.end_with(Ok(())),
            Err(error) => self.end_with(Err(error)),
        }
    }

    /// The source has no more; that is said after what was read.
    fn end_with(&mut self, end: Result<(), BackendError>) -> Result<Polled, BackendError> {
        if self.next_time().is_some() {
            self.end = Some(end);
            return Ok(Polled::Lent(0));
        }
        end.map(|()| Polled::End)
    }

    /// Waits for the next packet, whose time is given, and says what time it is: before that packet's.
    fn wait(&self, next: Timestamp, timeout: Duration) -> Polled {
        let Some((start, first)) = self.begin else { return Polled::Idle(Timestamp(0)) };
        let due = self.speed.takes(next.since(first));
        std::thread::sleep(due.saturating_sub(start.elapsed()).max(SLEEP_MIN).min(timeout));
        let now = first.plus(self.speed.passes(start.elapsed()));
        Polled::Idle(now.min(Timestamp(next.0.saturating_sub(1))))
    }
}

/// True when a packet of this time is due `elapsed` after the `first` one.
fn is_due(time: Timestamp, first: Timestamp, elapsed: Duration, speed: ReplaySpeed) -> bool {
    speed.takes(time.since(first)) <= elapsed
}

/// Copies a packet behind those that are there.
fn keep(ahead: &mut Vec<PacketChunk>, packet: &Packet<'_>) {
    if !ahead.last_mut().is_some_and(|chunk| chunk.push(packet)) {
        let mut chunk = PacketChunk::new();
        // No packet is longer than an empty chunk takes.
        let is_kept = chunk.push(packet);
        debug_assert!(is_kept, "a packet of {} bytes", packet.data.len());
        ahead.push(chunk);
    }
}

impl Backend for PacedBackend {
    fn link_type(&self) -> LinkType {
        self.inner.link_type()
    }

    fn waits(&self) -> bool {
        self.inner.waits()
    }

    fn poll(&mut self, timeout: Duration, visit: &mut dyn FnMut(&[Packet<'_>])) -> Result<Polled, BackendError> {
        let Some(next) = self.next_time() else {
            return match self.end.take() {
                Some(end) => end.map(|()| Polled::End),
                None => self.read(timeout, visit),
            };
        };
        match self.lend_due(visit) {
            0 => Ok(self.wait(next, timeout)),
            lent => Ok(Polled::Lent(lent)),
        }
    }

    /// Packets that were read and not lent are not part of it.
    fn counters(&mut self) -> Result<Counters, BackendError> {
        let counters = self.inner.counters()?;
        Ok(Counters { received: counters.received.saturating_sub(self.waiting()), ..counters })
    }

    fn notice(&mut self) -> Option<String> {
        self.inner.notice()
    }

    // `mapped` is not the source's: copies are lent, too.

    fn position(&self) -> Position {
        self.inner.position()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{MemoryBackend, OwnedPacket};

    const MS: u64 = 1_000_000;

    fn packet(ms: u64) -> OwnedPacket {
        OwnedPacket { time: Timestamp(ms * MS), wire_len: 60, link_type: LinkType::ETHERNET, data: vec![ms as u8; 60] }
    }

    /// Replays packets of these times, in ms; each with when it came, and the times that were told while it was awaited.
    fn replayed(times_ms: &[u64], factor: f64) -> Vec<(u64, Duration, Vec<Timestamp>)> {
        let inner = MemoryBackend::new(LinkType::ETHERNET, times_ms.iter().copied().map(packet).collect());
        let mut paced = PacedBackend::new(Box::new(inner), ReplaySpeed::new(factor).expect("a speed"));
        let (mut came, mut told, start) = (Vec::new(), Vec::new(), Instant::now());
        loop {
            let polled = paced.poll(Duration::from_millis(5), &mut |packets| {
                for packet in packets {
                    assert_eq!(packet.data, [(packet.time.0 / MS) as u8; 60]);
                    came.push((packet.time.0 / MS, start.elapsed(), std::mem::take(&mut told)));
                }
            });
            let received = paced.counters().expect("memory counts").received;
            assert_eq!(received, came.len() as u64, "what waits was not received yet");
            match polled.expect("memory does not fail") {
                Polled::Idle(time) => told.push(time),
                Polled::Lent(_) => {}
                Polled::End => return came,
            }
        }
    }

    #[test]
    fn no_packet_comes_early_and_the_time_is_told_meanwhile() {
        let times = [1_000, 1_000, 1_100, 1_101, 1_400];
        for factor in [10.0, 2.0] {
            let came = replayed(&times, factor);
            assert_eq!(came.iter().map(|(ms, ..)| *ms).collect::<Vec<_>>(), times);
            for (ms, after, told) in &came {
                assert!(after.as_secs_f64() * factor >= (ms - 1_000) as f64 / 1e3, "{ms} ms after {after:?}");
                assert!(told.is_sorted() && told.iter().all(|time| time.0 < ms * MS && time.0 >= 1_000 * MS), "{ms}: {told:?}");
            }
            assert!(!came[4].2.is_empty(), "300 ms of the capture are no single wait");
        }
    }

    #[test]
    fn time_that_goes_back_makes_nothing_wait() {
        let came = replayed(&[5_000, 10, 5_020, 4_000], 1.0);
        assert_eq!(came.iter().map(|(ms, ..)| *ms).collect::<Vec<_>>(), [5_000, 10, 5_020, 4_000]);
        assert!(came[3].1 >= Duration::from_millis(20));
    }

    #[test]
    fn a_poll_waits_no_longer_than_it_was_told() {
        let inner = MemoryBackend::new(LinkType::ETHERNET, vec![packet(0), packet(1_000_000_000)]);
        let mut paced = PacedBackend::new(Box::new(inner), ReplaySpeed::new(1e-6).expect("a speed"));
        for _ in 0..50 {
            let polled = paced.poll(Duration::from_millis(1), &mut |packets| assert_eq!(packets[0].time, Timestamp(0)));
            assert!(!matches!(polled, Ok(Polled::End)));
        }
        assert_eq!(paced.counters().expect("memory counts").received, 1);
    }

    #[test]
    fn speeds_are_finite_and_above_zero() {
        for factor in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-7, 2e9] {
            assert_eq!(ReplaySpeed::new(factor), None, "{factor}");
        }
        let fastest = ReplaySpeed::new(1e9).expect("the fastest");
        assert_eq!(fastest.passes(Duration::MAX), u64::MAX);
        assert_eq!(ReplaySpeed::new(1e-6).expect("the slowest").takes(u64::MAX), Duration::from_secs_f64(u64::MAX as f64 / 1e3));
    }
}
