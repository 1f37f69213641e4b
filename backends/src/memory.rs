//! Packets from memory, for tests and for whoever already has them.
//!
//! Owns a list of packets and moments of silence and replays it. Knows no file and no wire. Its one
//! invariant: the order of the list is the order of lending.

use std::path::Path;
use std::time::Duration;

use crate::file::{CaptureFile, FileOptions};
use crate::{BATCH_MAX, Backend, BackendError, Counters, LinkType, Packet, Polled, Timestamp};

/// A packet that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedPacket {
    /// When it was captured.
    pub time: Timestamp,
    /// Length on the wire in bytes.
    pub wire_len: u32,
    /// How to read the first byte.
    pub link_type: LinkType,
    /// Captured bytes.
    pub data: Vec<u8>,
}

impl OwnedPacket {
    /// Lends it.
    pub fn borrow(&self) -> Packet<'_> {
        Packet { data: &self.data, time: self.time, wire_len: self.wire_len, link_type: self.link_type }
    }
}

impl From<&Packet<'_>> for OwnedPacket {
    fn from(packet: &Packet<'_>) -> Self {
        Self { time: packet.time, wire_len: packet.wire_len, link_type: packet.link_type, data: packet.data.to_vec() }
    }
}

/// What happens next in a [`MemoryBackend`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemoryEvent {
    /// A packet arrives.
    Packet(OwnedPacket),
    /// Nothing arrives, and it is this time.
    Idle(Timestamp),
}

/// A source that replays packets from memory.
#[derive(Clone, Debug)]
pub struct MemoryBackend {
    link_type: LinkType,
    events: Vec<MemoryEvent>,
    next: usize,
    waits: bool,
    received: u64,
}

impl MemoryBackend {
    /// Replays `packets` and ends.
    pub fn new(link_type: LinkType, packets: Vec<OwnedPacket>) -> Self {
        Self::with_events(link_type, packets.into_iter().map(MemoryEvent::Packet).collect())
    }

    /// Replays packets with moments of silence between them, each answered by [`Polled::Idle`] from one poll,
    /// and ends.
    pub fn with_events(link_type: LinkType, events: Vec<MemoryEvent>) -> Self {
        Self { link_type, events, next: 0, waits: true, received: 0 }
    }

    /// Sets whether it claims to wait like a file (the default) or to lose like a wire.
    #[must_use]
    pub const fn waits_like_file(mut self, waits: bool) -> Self {
        self.waits = waits;
        self
    }
}

impl Backend for MemoryBackend {
    fn link_type(&self) -> LinkType {
        self.link_type
    }

    fn waits(&self) -> bool {
        self.waits
    }

    fn poll(&mut self, _timeout: Duration, visit: &mut dyn FnMut(&[Packet<'_>])) -> Result<Polled, BackendError> {
        let mut batch = [Packet { data: &[], time: Timestamp(0), wire_len: 0, link_type: self.link_type }; BATCH_MAX];
        let mut len = 0;
        for (slot, event) in batch.iter_mut().zip(self.events.get(self.next..).unwrap_or_default()) {
            match event {
                MemoryEvent::Packet(packet) => *slot = packet.borrow(),
                MemoryEvent::Idle(time) if len == 0 => {
                    self.next += 1;
                    return Ok(Polled::Idle(*time));
                }
                MemoryEvent::Idle(_) => break,
            }
            len += 1;
        }
        let Some(lent @ [_, ..]) = batch.get(..len) else {
            return Ok(Polled::End);
        };
        self.next += len;
        self.received += len as u64;
        visit(lent);
        Ok(Polled::Lent(len as u32))
    }

    fn counters(&mut self) -> Result<Counters, BackendError> {
        Ok(Counters { received: self.received, ..Counters::default() })
    }
}

/// Reads a whole capture file into memory.
///
/// # Errors
/// What opening or reading the file says; damage too, so nothing is returned of a damaged file.
pub fn read_all(path: &Path) -> Result<Vec<OwnedPacket>, BackendError> {
    let mut backend = CaptureFile::open(path, &FileOptions::default())?.backend()?;
    let mut packets = Vec::new();
    loop {
        let polled = backend.poll(Duration::from_secs(1), &mut |lent| packets.extend(lent.iter().map(OwnedPacket::from)))?;
        if polled == Polled::End {
            return Ok(packets);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(number: u64) -> OwnedPacket {
        OwnedPacket { time: Timestamp(number), wire_len: 60, link_type: LinkType::ETHERNET, data: number.to_be_bytes().to_vec() }
    }

    #[test]
    fn lends_in_order_with_silence_between() {
        let mut events: Vec<_> = (0..100).map(|number| MemoryEvent::Packet(packet(number))).collect();
        events.insert(70, MemoryEvent::Idle(Timestamp(1_000)));
        let mut backend = MemoryBackend::with_events(LinkType::ETHERNET, events).waits_like_file(false);
        assert!(!backend.waits());
        let (mut polls, mut seen) = (Vec::new(), Vec::new());
        loop {
            let polled = backend.poll(Duration::ZERO, &mut |lent| seen.extend(lent.iter().map(OwnedPacket::from))).unwrap();
            polls.push(polled);
            if polled == Polled::End {
                break;
            }
        }
        assert_eq!(polls, [Polled::Lent(64), Polled::Lent(6), Polled::Idle(Timestamp(1_000)), Polled::Lent(30), Polled::End]);
        assert_eq!(seen, (0..100).map(packet).collect::<Vec<_>>());
        assert_eq!(backend.counters().unwrap().received, 100);
    }
}
