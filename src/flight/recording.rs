//! One recording under way: how far it is in each ring, and what it gets.
//!
//! Owns its cursors. Knows no file: packets go into boxes for the writer. Invariant: each selected packet between
//! start and end is passed on once, in the order of its queue; of several queues the oldest of those that are there
//! goes first. What was forgotten before it was looked at makes the recording incomplete.

use super::ring::{QueueRing, RingCursor};
use super::selection::PacketSelection;
use super::writer::{RecordingHeader, WriteBox};
use crate::engine::Sender;
use netscope_backends::Timestamp;
use netscope_backends::packed::PackedPacket;
use std::sync::Weak;
use std::time::Instant;

/// Packets looked at in one step: whoever fills the rings is not to wait longer.
const STEP_PACKETS: usize = 16_384;
/// Bytes of a packet's block in the file beside its own.
const BLOCK_BYTES: u64 = 32;

/// What a recording is to have.
pub(super) struct RecordingPlan {
    pub(super) header: RecordingHeader,
    pub(super) selection: PacketSelection,
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    pub(super) bytes_max: u64,
    /// When it ends at the latest, by the clock.
    pub(super) deadline: Option<Instant>,
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordingStep {
    /// There is more to look at.
    More,
    /// Packets, or boxes of the writer, have to come first.
    Waits,
    /// It is complete and passed on.
    Done,
}

/// A recording under way.
pub(super) struct ActiveRecording {
    id: u64,
    header: Option<RecordingHeader>,
    selection: PacketSelection,
    start: Timestamp,
    end: Timestamp,
    bytes_left: u64,
    deadline: Option<Instant>,
    /// Of each ring.
    cursors: Vec<RingCursor>,
    open: Option<Box<WriteBox>>,
    is_incomplete: bool,
    /// Whoever waits for it, if somebody has to.
    asker: Option<Weak<()>>,
    /// Only the last box is to be sent.
    is_over: bool,
}

impl ActiveRecording {
    /// Begins at the oldest packets of these rings.
    pub(super) fn new(id: u64, plan: RecordingPlan, rings: &[QueueRing]) -> Self {
        let RecordingPlan { header, selection, start, end, bytes_max, deadline } = plan;
        Self {
            id,
            asker: header.reply.as_ref().map(|reply| reply.asker().clone()),
            header: Some(header),
            selection,
            start,
            end,
            bytes_left: bytes_max,
            deadline,
            cursors: rings.iter().map(QueueRing::start).collect(),
            open: None,
            is_incomplete: false,
            is_over: false,
        }
    }

    /// Looks at packets up to time `until`. `ends`: no more come. `waits`: for a box of the writer.
    pub(super) fn step(
        &mut self,
        rings: &[QueueRing],
        until: Timestamp,
        ends: bool,
        writer: &Sender<WriteBox>,
        waits: bool,
    ) -> RecordingStep {
        if self.asker.as_ref().is_some_and(|asker| asker.strong_count() == 0) {
            if self.header.is_some() {
                // The writer knows nothing of it.
                return RecordingStep::Done;
            }
            self.is_over = true;
        }
        self.is_incomplete |= rings.iter().zip(&self.cursors).any(|(ring, cursor)| ring.has_forgotten(*cursor));
        for _ in 0..STEP_PACKETS {
            if self.is_over {
                return self.finish(writer, waits);
            }
            let Some((queue, found)) = self.next(rings) else {
                let is_late = self.deadline.is_some_and(|deadline| Instant::now() >= deadline);
                self.is_over = ends || is_late || self.is_past(rings);
                if self.is_over {
                    continue;
                }
                return RecordingStep::Waits;
            };
            if found.packet.time > until {
                return RecordingStep::Waits;
            }
            if (self.start..=self.end).contains(&found.packet.time) && self.selection.takes(&found.packet) {
                let cost = BLOCK_BYTES + (found.packet.data.len() as u64).next_multiple_of(4);
                if cost > self.bytes_left {
                    (self.is_over, self.is_incomplete) = (true, true);
                    continue;
                }
                if !self.pass_on(&found, writer, waits) {
                    self.is_over |= writer.is_abandoned();
                    return RecordingStep::Waits;
                }
                self.bytes_left -= cost;
            }
            self.cursors[queue] = QueueRing::behind(self.cursors[queue], &found);
        }
        RecordingStep::More
    }

    /// The oldest packet of those that are next on their queues.
    fn next<'a>(&mut self, rings: &'a [QueueRing]) -> Option<(usize, PackedPacket<'a>)> {
        let (start, end) = (self.start, self.end);
        let mut next: Option<(usize, PackedPacket<'a>)> = None;
        for (queue, (ring, cursor)) in rings.iter().zip(&mut self.cursors).enumerate() {
            ring.pass_older(cursor, start);
            let Some(found) = ring.get(cursor) else { continue };
            if !ring.is_past(*cursor, end) && next.as_ref().is_none_or(|(_, oldest)| found.packet.time < oldest.packet.time) {
                next = Some((queue, found));
            }
        }
        next
    }

    /// True when every queue has come beyond the end.
    fn is_past(&self, rings: &[QueueRing]) -> bool {
        rings.iter().zip(&self.cursors).all(|(ring, cursor)| ring.is_past(*cursor, self.end))
    }

    /// Copies a packet for the writer; false when it has no box.
    fn pass_on(&mut self, found: &PackedPacket<'_>, writer: &Sender<WriteBox>, waits: bool) -> bool {
        loop {
            if let Some(open) = &mut self.open {
                if open.packets.push(&found.packet, usize::MAX, found.interface) {
                    return true;
                }
                if let Some(full) = self.open.take() {
                    writer.send(full);
                }
            }
            if !self.open_box(writer, waits) {
                return false;
            }
        }
    }

    /// Takes a box of the writer's, unless one is open.
    fn open_box(&mut self, writer: &Sender<WriteBox>, waits: bool) -> bool {
        if self.open.is_none() {
            let Some(mut taken) = (if waits { writer.take() } else { writer.try_take() }) else { return false };
            (taken.id, taken.header, taken.end) = (self.id, self.header.take(), None);
            taken.packets.clear();
            self.open = Some(taken);
        }
        true
    }

    fn finish(&mut self, writer: &Sender<WriteBox>, waits: bool) -> RecordingStep {
        if !self.open_box(writer, waits) {
            // Without a writer, which only a panic takes away, nothing is ever passed on.
            return if writer.is_abandoned() { RecordingStep::Done } else { RecordingStep::Waits };
        }
        if let Some(mut last) = self.open.take() {
            last.end = Some(self.is_incomplete);
            writer.send(last);
        }
        RecordingStep::Done
    }
}
