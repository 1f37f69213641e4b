//! A choice of packets that is made in user space.
//!
//! Owns the leaving out and its count. Knows neither source nor rule. Its one invariant: every packet that the source lends is lent on or
//! counted as filtered.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::file::MappedBytes;
use crate::{BATCH_MAX, Backend, BackendError, Counters, LinkType, Packet, Polled, Position, RingFill, Timestamp};

/// Says of a packet whether it is wanted. Packets of any link type and any bytes are shown to it, by several threads at once.
pub trait PacketChoice: fmt::Debug + Send + Sync {
    /// True for a packet that is wanted.
    fn takes(&self, packet: &Packet<'_>) -> bool;
}

/// Has all queues of a source lend what `choice` takes.
pub fn chosen(queues: Vec<Box<dyn Backend>>, choice: &Arc<dyn PacketChoice>) -> Vec<Box<dyn Backend>> {
    let one = |inner| Box::new(ChosenBackend { inner, choice: Arc::clone(choice), filtered: 0 }) as Box<dyn Backend>;
    queues.into_iter().map(one).collect()
}

/// One queue of a source, of which some packets are left out.
struct ChosenBackend {
    inner: Box<dyn Backend>,
    choice: Arc<dyn PacketChoice>,
    /// Packets left out.
    filtered: u64,
}

/// Lends those packets of a batch that are wanted, as they lie in it; how many were left out.
pub(crate) fn lend_wanted(
    batch: &[Packet<'_>],
    mut wants: impl FnMut(&Packet<'_>) -> bool,
    visit: &mut dyn FnMut(&[Packet<'_>]),
) -> usize {
    let nothing = Packet { data: &[], time: Timestamp(0), wire_len: 0, link_type: LinkType::NULL };
    let mut wanted = [nothing; BATCH_MAX];
    let mut left_out = 0;
    for batch in batch.chunks(BATCH_MAX) {
        let mut count = 0;
        for packet in batch {
            if wants(packet)
                && let Some(slot) = wanted.get_mut(count)
            {
                *slot = *packet;
                count += 1;
            }
        }
        left_out += batch.len() - count;
        if let Some(wanted) = wanted.get(..count).filter(|wanted| !wanted.is_empty()) {
            visit(wanted);
        }
    }
    left_out
}

impl Backend for ChosenBackend {
    fn link_type(&self) -> LinkType {
        self.inner.link_type()
    }

    fn waits(&self) -> bool {
        self.inner.waits()
    }

    fn poll(&mut self, timeout: Duration, visit: &mut dyn FnMut(&[Packet<'_>])) -> Result<Polled, BackendError> {
        let Self { inner, choice, filtered } = self;
        let before = *filtered;
        let polled = inner.poll(timeout, &mut |batch| {
            *filtered += lend_wanted(batch, |packet| choice.takes(packet), visit) as u64;
        })?;
        Ok(match polled {
            Polled::Lent(lent) => Polled::Lent(lent.saturating_sub((*filtered - before) as u32)),
            other => other,
        })
    }

    fn counters(&mut self) -> Result<Counters, BackendError> {
        let counters = self.inner.counters()?;
        Ok(Counters { filtered: counters.filtered + self.filtered, ..counters })
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

    /// Takes packets whose first byte is odd.
    #[derive(Debug)]
    struct Odd;

    impl PacketChoice for Odd {
        fn takes(&self, packet: &Packet<'_>) -> bool {
            packet.data.first().is_some_and(|byte| byte % 2 == 1)
        }
    }

    #[test]
    fn what_is_not_lent_is_counted_as_filtered() {
        let packet =
            |i: u8| OwnedPacket { time: Timestamp(i.into()), wire_len: 60, link_type: LinkType::ETHERNET, data: vec![i; 60] };
        let memory = MemoryBackend::new(LinkType::ETHERNET, (0..201).map(packet).collect());
        let choice: Arc<dyn PacketChoice> = Arc::new(Odd);
        let mut queues = chosen(vec![Box::new(memory)], &choice);
        let queue = queues.first_mut().expect("there is one");
        let (mut seen, mut said) = (Vec::new(), 0);
        loop {
            let polled = queue.poll(Duration::ZERO, &mut |lent| {
                assert!(!lent.is_empty());
                seen.extend(lent.iter().map(|packet| packet.data[0]));
            });
            match polled.expect("memory does not fail") {
                Polled::Lent(count) => said += count,
                Polled::Idle(_) => {}
                Polled::End => break,
            }
        }
        assert_eq!(seen, (0..201).filter(|i| i % 2 == 1).collect::<Vec<u8>>());
        let Counters { received, filtered, .. } = queue.counters().expect("memory does not fail");
        assert_eq!((said, received, filtered), (100, 201, 101));
    }
}
