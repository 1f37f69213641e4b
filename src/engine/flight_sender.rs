//! The worker's side of the flight recorder: every packet is copied into boxes that the recorder keeps for a
//! while, or, in a mapped file, noted by its place there.
//!
//! Owns the open box. Knows no flow and no alert. Invariants: nothing is decided for one packet, so all that it
//! costs is the copy; what finds no box on a wire is counted, and the count comes with the next box.

use super::mailbox::Sender;
use netscope_backends::file::MappedBytes;
use netscope_backends::packed::PackedPackets;
use netscope_backends::{Packet, Timestamp};

/// Bytes of one box.
pub const FLIGHT_BOX_BYTES: usize = 1 << 20;
/// Packet time after which a box is sent although it is not full, in ns: an alert wants what came just before it.
const SENT_AFTER_NS: u64 = 100_000_000;

/// How packets are kept for the flight recorder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlightRing {
    /// Boxes of each queue, of [`FLIGHT_BOX_BYTES`] each.
    pub boxes: usize,
    /// Bytes kept of each packet.
    pub snaplen: usize,
}

/// Packets of one queue on their way to the flight recorder.
#[derive(Debug)]
pub struct FlightBox {
    /// In the order in which they came.
    pub packets: PackedPackets,
    /// Packets before them that found no box.
    pub skipped: u64,
}

impl FlightBox {
    /// Empty, with its memory reserved.
    pub fn new() -> Self {
        Self::over(None)
    }

    /// The same for packets of a mapped file, which are kept by their places.
    pub fn over(file: Option<MappedBytes>) -> Self {
        Self { packets: PackedPackets::over(FLIGHT_BOX_BYTES, file), skipped: 0 }
    }
}

impl Default for FlightBox {
    fn default() -> Self {
        Self::new()
    }
}

/// The worker's end.
pub struct FlightSender {
    sender: Sender<FlightBox>,
    open: Option<Box<FlightBox>>,
    skipped: u64,
    snaplen: usize,
    interface: u8,
}

impl FlightSender {
    /// Copies up to `snaplen` bytes of each packet, which come by the interface at this place.
    pub fn new(sender: Sender<FlightBox>, snaplen: usize, interface: u8) -> Self {
        Self { sender, open: None, skipped: 0, snaplen, interface }
    }

    /// Keeps these packets. `waits`: for a box, when there is none.
    pub fn record(&mut self, packets: &[Packet<'_>], waits: bool) {
        let mut rest = packets;
        while !rest.is_empty() {
            let kept = self.open.as_mut().map_or(0, |open| open.packets.push_all(rest, self.snaplen, self.interface));
            rest = rest.get(kept..).unwrap_or_default();
            if let Some((first, behind)) = rest.split_first() {
                self.record_in_next(first, waits);
                rest = behind;
            }
        }
    }

    /// The same for one that the open box has no room for.
    #[inline(never)]
    fn record_in_next(&mut self, packet: &Packet<'_>, waits: bool) {
        self.send();
        self.open = self.take(waits);
        let is_pushed = self.open.as_mut().is_some_and(|open| open.packets.push(packet, self.snaplen, self.interface));
        self.skipped += u64::from(!is_pushed);
    }

    fn take(&self, waits: bool) -> Option<Box<FlightBox>> {
        let mut taken = if waits { self.sender.take() } else { self.sender.try_take() }?;
        taken.packets.clear();
        taken.skipped = 0;
        Some(taken)
    }

    fn send(&mut self) {
        if let Some(mut open) = self.open.take() {
            open.skipped = std::mem::take(&mut self.skipped);
            self.sender.send(open);
        }
    }

    /// Called after each poll of a wire: what has waited long enough is sent, or all when `nothing_came`.
    pub fn flush(&mut self, nothing_came: bool) {
        let is_due = |open: &FlightBox| {
            let (earliest, latest): (Timestamp, Timestamp) = (open.packets.earliest(), open.packets.latest());
            !open.packets.is_empty() && (nothing_came || latest.since(earliest) >= SENT_AFTER_NS)
        };
        // The last box is filled first: a slow recorder is to have whole boxes of room.
        if self.open.as_deref().is_some_and(is_due) && !self.sender.is_out() {
            self.send();
        }
    }

    /// The end: sends what is left, and how many packets found no box. Waits for one if it must.
    pub fn finish(&mut self) {
        if self.open.is_none() && self.skipped > 0 {
            self.open = self.take(true);
        }
        self.send();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::mailbox;
    use netscope_backends::LinkType;

    fn packet(time: u64, data: &[u8]) -> Packet<'_> {
        Packet { data, time: Timestamp(time), wire_len: data.len() as u32, link_type: LinkType::ETHERNET }
    }

    #[test]
    fn what_finds_no_box_is_counted_with_the_next_one() {
        let (sender, receiver) = mailbox(2, FlightBox::new);
        let mut flight = FlightSender::new(sender, 96, 1);
        let data = vec![7; 1500];
        let per_box = FLIGHT_BOX_BYTES / (96 + 16);
        let packets: Vec<_> = (0..2 * per_box as u64 + 5).map(|time| packet(time, &data)).collect();
        flight.record(&packets, false);
        let first = receiver.receive().expect("a full box");
        assert_eq!((first.packets.count(), first.skipped), (per_box as u64, 0));
        assert_eq!(first.packets.at(0).map(|found| (found.packet.data.len(), found.interface)), Some((96, 1)));
        receiver.give_back(first);
        flight.record(&[packet(1, &data)], false);
        flight.finish();
        let boxes: Vec<_> = std::iter::from_fn(|| receiver.receive()).map(|full| (full.packets.count(), full.skipped)).collect();
        assert_eq!(boxes, [(per_box as u64, 0), (1, 5)]);
    }

    #[test]
    fn a_box_waits_a_moment_and_the_last_one_until_it_is_full() {
        let (sender, receiver) = mailbox(3, FlightBox::new);
        let mut flight = FlightSender::new(sender, 96, 0);
        let sent = |flight: &mut FlightSender, time, nothing_came| {
            flight.record(&[packet(time, &[1])], false);
            flight.flush(nothing_came);
            receiver.receive().map(|full| full.packets.count())
        };
        assert_eq!(sent(&mut flight, 1, false), None);
        assert_eq!(sent(&mut flight, SENT_AFTER_NS, false), None);
        assert_eq!(sent(&mut flight, SENT_AFTER_NS + 1, false), Some(3));
        assert_eq!(sent(&mut flight, SENT_AFTER_NS + 2, true), Some(1));
        assert_eq!(sent(&mut flight, SENT_AFTER_NS + 3, true), None, "no box is left");
    }
}
