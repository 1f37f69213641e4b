//! From the rx ring to the visitor and back to the fill ring.
//!
//! Owns both positions, the tokens of all frames and the counts of what was lent and what was damaged. Knows
//! no system call: the memory that is shared with the kernel is behind [`SharedRings`], so that tests play
//! the kernel. Its one invariant: a frame taken from the rx ring is in the fill ring again, or spare, when
//! [`XdpReceiver::receive`] returns or unwinds.
//!
//! Spare frames are a stack: the frame that was read last is filled next, while it still lies in the caches.
//! `level` says how many the kernel is given in advance.

use std::ops::Range;

use netscope_bpf::xdp::PacketStamp;

use super::frames::{Claimed, Descriptor, FrameToken, Frames, Refused};
use super::index::{Consumer, Overrun, Producer};
use super::join::Joiner;
use super::level::Level;
use super::time::{PacketClock, Stamps};
use crate::prefetch::prefetch_read;
use crate::{BATCH_MAX, LinkType, Packet, Timestamp};

/// What the kernel and we share: two rings and the packet memory.
pub(crate) trait SharedRings {
    /// The kernel's position in the rx ring. What it wrote before is visible after (Acquire).
    fn rx_producer(&self) -> u32;
    /// Publishes our position in the rx ring, after all reading (Release).
    fn set_rx_consumer(&self, position: u32);
    /// An entry of the rx ring; `place` is less than its size.
    fn descriptor(&self, place: u32) -> Descriptor;
    /// The kernel's position in the fill ring (Acquire).
    fn fill_consumer(&self) -> u32;
    /// Publishes our position in the fill ring, after all writing (Release).
    fn set_fill_producer(&self, position: u32);
    /// Writes an entry of the fill ring; `place` is less than its size.
    fn set_fill(&self, place: u32, address: u64);
    /// The bytes of a frame that is ours, from `claimed.start()` on.
    fn bytes<'a>(&'a self, claimed: &'a Claimed) -> &'a [u8];
}

/// How to receive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReceiveShape {
    /// Places of the rx ring, a power of two.
    pub rx_entries: u32,
    /// Places of the fill ring, a power of two and at least `frame_count`.
    pub fill_entries: u32,
    /// Frames of the packet memory.
    pub frame_count: u32,
    /// Frames that the kernel is given in advance at least, where that is more than the usual.
    pub ready_count: u32,
    /// Bytes per frame, a power of two.
    pub frame_bytes: u32,
    /// Whether the program writes a time in front of each packet.
    pub has_stamps: bool,
    /// Whether packets may come in several frames.
    pub has_fragments: bool,
    /// Bytes kept per packet.
    pub snaplen: usize,
}

/// A packet on its way to the visitor.
enum Lend {
    Frame(Claimed),
    Joined(Range<usize>, Option<Timestamp>),
}

/// Receives.
pub(crate) struct XdpReceiver<S: SharedRings> {
    shared: S,
    rx: Consumer,
    fill: Producer,
    /// How full we keep the fill ring.
    level: Level,
    frames: Frames,
    lends: Vec<Lend>,
    /// Frames that are done with, the one used last on top.
    spare: Vec<FrameToken>,
    joiner: Joiner,
    metadata_len: usize,
    /// Times in front of packets.
    pub(crate) stamps: Stamps,
    snaplen: usize,
    /// Packets lent since the start.
    pub lent: u64,
    /// Packets that could not be read since the start.
    pub damaged: u64,
}

impl<S: SharedRings> XdpReceiver<S> {
    /// Takes both rings at their beginning and gives every frame to the kernel.
    pub(crate) fn new(shared: S, shape: &ReceiveShape) -> Result<Self, Overrun> {
        Self::at(shared, shape, 0)
    }

    /// As [`Self::new`], for rings whose positions begin elsewhere.
    pub(crate) fn at(shared: S, shape: &ReceiveShape, position: u32) -> Result<Self, Overrun> {
        assert!(shape.frame_count <= shape.fill_entries, "sizes are checked when options are");
        let metadata_len = if shape.has_stamps { PacketStamp::LEN as u32 } else { 0 };
        let (frames, spare) = Frames::new(shape.frame_count, shape.frame_bytes, metadata_len);
        let mut receiver = Self {
            shared,
            rx: Consumer::new(shape.rx_entries, position),
            fill: Producer::new(shape.fill_entries, position),
            level: Level::new(shape.frame_count).at_least(shape.ready_count),
            frames,
            lends: Vec::with_capacity(BATCH_MAX),
            spare,
            joiner: Joiner::new(shape.has_fragments),
            metadata_len: metadata_len as usize,
            stamps: Stamps::default(),
            snaplen: shape.snaplen,
            lent: 0,
            damaged: 0,
        };
        receiver.fill_up(0);
        Ok(receiver)
    }

    /// The memory shared with the kernel.
    pub(crate) const fn shared(&self) -> &S {
        &self.shared
    }

    /// The same, for a test that stands in for the kernel.
    #[cfg(test)]
    pub(crate) const fn shared_mut(&mut self) -> &mut S {
        &mut self.shared
    }

    /// Frames that are neither the kernel's nor spare between two calls, which none should be.
    #[cfg(test)]
    pub(crate) fn held_count(&self) -> u32 {
        self.frames.ours_count() - self.spare.len() as u32
    }

    /// Spare frames.
    #[cfg(test)]
    pub(crate) fn spare_count(&self) -> u32 {
        self.spare.len() as u32
    }

    /// From the next batch on, `frames` are kept in the fill ring at least.
    pub(crate) const fn keep_filled(&mut self, frames: u32) {
        self.level.ask(frames);
    }

    /// A period is over: after some without need, fewer frames are kept in the fill ring again.
    pub(crate) const fn settle(&mut self) {
        self.level.settle();
    }

    /// Entries in the rx ring, 0 when it is empty.
    #[inline]
    pub(crate) fn waiting(&mut self) -> Result<u32, Overrun> {
        let shared = &self.shared;
        self.rx.available(u32::MAX, || shared.rx_producer())
    }

    /// Places of the rx ring.
    pub(crate) const fn rx_entries(&self) -> u32 {
        self.rx.entries()
    }

    /// Lends what is in the ring to `visit`, at most `entries_max` entries of it, in batches whose time `now`
    /// tells. How many packets.
    pub(crate) fn receive(
        &mut self,
        entries_max: u32,
        clock: PacketClock,
        now: &dyn Fn() -> Timestamp,
        visit: &mut dyn FnMut(&[Packet<'_>]),
    ) -> Result<u32, Overrun> {
        self.stamps.forget_future(clock, now);
        let (mut entries, mut lent) = (0, 0);
        while entries < entries_max {
            let shared = &self.shared;
            let available = self.rx.available(BATCH_MAX as u32, || shared.rx_producer())?;
            if available == 0 {
                break;
            }
            let taken = self.gather(available, clock);
            entries += taken;
            let count = self.lends.len() as u32;
            // Counted before the visitor runs, which may unwind: it has them.
            self.lent += u64::from(count);
            lent += count;
            let returning = Returning(self);
            returning.0.stamps = returning.0.lend(now(), clock, visit);
            returning.finish()?;
            if taken == 0 {
                break; // a kernel that lies keeps no place free for the frames in our hands; without them nothing more can be read
            }
        }
        Ok(lent)
    }

    /// Takes entries out of the rx ring until a batch is full; how many.
    fn gather(&mut self, available: u32, clock: PacketClock) -> u32 {
        self.joiner.restart();
        let mut taken = 0;
        while taken < available && self.lends.len() < BATCH_MAX {
            let descriptor = self.shared.descriptor(self.rx.place(taken));
            let is_part = descriptor.is_continued() || self.joiner.has_begun();
            if is_part && !self.joiner.has_room(self.frames.frame_bytes() as usize) {
                break;
            }
            taken += 1;
            match self.frames.claim(descriptor) {
                Ok(claimed) if !is_part => {
                    // Each packet is a miss of its own; asked for here, those of a batch overlap.
                    prefetch_read(self.shared.bytes(&claimed));
                    self.lends.push(Lend::Frame(claimed));
                    continue;
                }
                Ok(claimed) => {
                    let (stamp, part) = self.shared.bytes(&claimed).split_at(self.metadata_len.min(claimed.len()));
                    self.joiner.add(part, self.stamps.time(stamp, clock));
                    self.spare.push(claimed.into_frame());
                }
                Err(Refused(frame)) => {
                    self.spare.extend(frame);
                    self.joiner.spoil();
                }
            }
            if !descriptor.is_continued() {
                match self.joiner.end() {
                    Some((range, time)) => self.lends.push(Lend::Joined(range, time)),
                    None => self.damaged += 1,
                }
            }
        }
        // The descriptors are read, so their places are free; the frames they named are still ours.
        self.shared.set_rx_consumer(self.rx.leave(taken));
        taken
    }

    /// Lends the batch; the stamps seen.
    fn lend(&self, now: Timestamp, clock: PacketClock, visit: &mut dyn FnMut(&[Packet<'_>])) -> Stamps {
        let mut stamps = self.stamps;
        let nothing = Packet { data: &[], time: now, wire_len: 0, link_type: LinkType::ETHERNET };
        let mut batch = [nothing; BATCH_MAX];
        for (slot, lend) in batch.iter_mut().zip(&self.lends) {
            let (data, time) = match lend {
                Lend::Frame(claimed) => {
                    let (stamp, data) = self.shared.bytes(claimed).split_at(self.metadata_len.min(claimed.len()));
                    (data, stamps.time(stamp, clock))
                }
                Lend::Joined(range, time) => (self.joiner.bytes(range), *time),
            };
            // Frames lie 2 KiB apart, where no processor looks ahead by itself: all headers of the batch are
            // asked for before the first is read.
            if let Some(first) = data.first() {
                prefetch_read(first);
            }
            slot.data = data.get(..self.snaplen).unwrap_or(data);
            slot.wire_len = data.len() as u32; // at most PACKET_LEN_MAX
            slot.time = time.unwrap_or(now);
        }
        if !self.lends.is_empty() {
            visit(batch.get(..self.lends.len()).unwrap_or_default());
        }
        stamps
    }

    /// Puts as many frames into the fill ring as are missing there; the others stay spare.
    fn give_back(&mut self) -> Result<(), Overrun> {
        for lend in self.lends.drain(..) {
            if let Lend::Frame(claimed) = lend {
                self.spare.push(claimed.into_frame());
            }
        }
        let shared = &self.shared;
        let used = self.fill.used(|| shared.fill_consumer())?;
        self.level.found(used);
        self.fill_up(used);
        Ok(())
    }

    /// Makes up for what the fill ring, found with `used` entries, has less than it should. It has a place
    /// for every frame.
    fn fill_up(&mut self, used: u32) {
        let missing = self.level.level().saturating_sub(used);
        let mut written = 0;
        while written < missing
            && let Some(frame) = self.spare.pop()
        {
            self.shared.set_fill(self.fill.place(written), self.frames.give(frame));
            written += 1;
        }
        self.shared.set_fill_producer(self.fill.leave(written));
    }
}

/// Gives the frames of a batch back when dropped: also when the visitor panics.
struct Returning<'a, S: SharedRings>(&'a mut XdpReceiver<S>);

impl<S: SharedRings> Returning<'_, S> {
    fn finish(self) -> Result<(), Overrun> {
        self.0.give_back()
        // Dropping finds nothing left to give.
    }
}

impl<S: SharedRings> Drop for Returning<'_, S> {
    fn drop(&mut self) {
        // A kernel that lies here is met again, and told of, by the next call.
        let _overrun = self.0.give_back();
    }
}
