//! The sampled packets: the latest ones, and the consumer that brings them.
//!
//! Owns the ring. Knows no client. Invariant: at most as many packets with at most as many bytes as are set are kept.

use super::packet_facts::{InfoWriter, SampledPacket};
use crate::engine::PacketConsumer;
use crate::flow::FlowNote;
use netscope_backends::Packet;
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Packets kept, whatever is set.
pub const PACKET_BUFFER_MAX: usize = 1_000_000;

/// The latest sampled packets.
pub struct PacketStore {
    ring: Mutex<PacketRing>,
    /// Shared by all who look at packets.
    info: InfoWriter,
    count_max: usize,
    /// Behind the headers of each.
    payload_bytes: usize,
}

#[derive(Default)]
struct PacketRing {
    packets: VecDeque<Arc<SampledPacket>>,
    seen: u64,
}

impl PacketStore {
    /// Keeps so many packets, with so many bytes behind the headers of each.
    pub fn new(count_max: usize, payload_bytes: usize) -> Self {
        let count_max = count_max.min(PACKET_BUFFER_MAX);
        Self { ring: Mutex::default(), info: InfoWriter::default(), count_max, payload_bytes }
    }

    /// Keeps a packet; the oldest one goes for it.
    pub fn push(&self, note: Option<&FlowNote>, packet: &Packet<'_>) {
        let mut ring = self.ring();
        ring.seen += 1;
        let kept = Arc::new(SampledPacket::new(ring.seen, note, packet, self.payload_bytes));
        ring.packets.push_back(kept);
        if ring.packets.len() > self.count_max {
            ring.packets.pop_front();
        }
    }

    /// The packet of this number; `None` when it is not kept any more, or never was.
    pub fn get(&self, id: u64) -> Option<Arc<SampledPacket>> {
        let ring = self.ring();
        let at = id.checked_sub(ring.packets.front()?.id)?;
        ring.packets.get(usize::try_from(at).ok()?).map(Arc::clone)
    }

    /// The latest packets behind this number, at most `max`, oldest first; and how many others were sampled behind it.
    pub fn after(&self, id: u64, max: usize) -> (Vec<Arc<SampledPacket>>, u64) {
        let ring = self.ring();
        let first = ring.packets.partition_point(|packet| packet.id <= id);
        let first = first.max(ring.packets.len().saturating_sub(max));
        let packets: Vec<_> = ring.packets.range(first..).cloned().collect();
        let others = ring.seen.saturating_sub(id).saturating_sub(packets.len() as u64);
        (packets, others)
    }

    /// The latest packets before this number, at most `max`, latest first; and whether older ones are kept.
    pub fn before(&self, id: u64, max: usize) -> (Vec<Arc<SampledPacket>>, bool) {
        let ring = self.ring();
        let end = ring.packets.partition_point(|packet| packet.id < id);
        let first = end.saturating_sub(max);
        (ring.packets.range(first..end).rev().cloned().collect(), first > 0)
    }

    /// Packets that were sampled, and those that are kept.
    pub fn counts(&self) -> (u64, usize) {
        let ring = self.ring();
        (ring.seen, ring.packets.len())
    }

    /// Packets that may be kept.
    pub const fn buffer(&self) -> usize {
        self.count_max
    }

    /// What writes `info`.
    pub const fn info(&self) -> &InfoWriter {
        &self.info
    }

    fn ring(&self) -> MutexGuard<'_, PacketRing> {
        // Nothing that is done under the lock leaves it half done.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Brings sampled packets to the store.
pub struct PacketSampler(pub(super) Arc<PacketStore>);

impl PacketConsumer for PacketSampler {
    type Error = io::Error;

    fn packet(&mut self, _number: u64, note: Option<&FlowNote>, packet: &Packet<'_>) -> io::Result<()> {
        self.0.push(note, packet);
        Ok(())
    }

    fn pause(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netscope_backends::{LinkType, Timestamp};

    fn store_of(count: u64, max: usize) -> PacketStore {
        let store = PacketStore::new(max, 8);
        for number in 0..count {
            let packet = Packet { data: &[0; 60], time: Timestamp(number), wire_len: 60, link_type: LinkType::ETHERNET };
            store.push(None, &packet);
        }
        store
    }

    #[test]
    fn the_latest_are_kept_and_found() {
        let store = store_of(10, 4);
        assert_eq!(store.counts(), (10, 4));
        let ids = |packets: Vec<Arc<SampledPacket>>| packets.iter().map(|packet| packet.id).collect::<Vec<_>>();
        assert_eq!((ids(store.after(8, 9).0), ids(store.before(9, 9).0)), (vec![9, 10], vec![8, 7]));
        assert_eq!(ids(store.after(0, 4).0), [7, 8, 9, 10]);
        let (latest, others) = store.after(7, 2);
        assert_eq!((ids(latest), others, store.after(0, 9).1), (vec![9, 10], 1, 6), "what is not kept is missing, too");
        let (latest, has_older) = store.before(11, 3);
        assert_eq!((ids(latest), has_older, store.before(10, 3).1), (vec![10, 9, 8], true, false));
        assert!(store.get(6).is_none() && store.get(11).is_none() && store.get(0).is_none());
        let headers = crate::wire::dissect(LinkType::ETHERNET, &[0; 60], 60).payload_offset as usize;
        assert_eq!(store.get(7).map(|packet| (packet.id, packet.packet().data.len())), Some((7, headers + 8)));
        let empty = store_of(0, 4);
        assert!(empty.get(1).is_none() && empty.after(0, 9).0.is_empty() && empty.before(5, 9).0.is_empty());
        assert_eq!(store_of(3, 0).counts(), (3, 0), "none is kept where none is wanted");
    }
}
