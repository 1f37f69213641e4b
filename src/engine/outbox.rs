//! The worker's side of its mailboxes: half-filled boxes and the rule of the house, *a file waits, a wire skips and counts*.
//!
//! Owns the senders. Invariant: what finds no free box on a wire is counted in the ledger, never lost silently.

use super::mailbox::Sender;
use super::{EndedChunk, EndedFlow, Ledger, Snapshot, TapChunk};
use crate::flow::{FlowRecord, LastFlows};
use netscope_backends::Packet;

/// What a worker sends away.
pub struct Outbox {
    /// True where the source waits for us, so that we may wait for the cold side.
    waits: bool,
    /// Whether anybody reads reports: without a reader a tick needs no snapshot.
    wants_reports: bool,
    snapshots: Sender<Snapshot>,
    /// `None` when nobody wants ended flows.
    ended: Option<Sender<EndedChunk>>,
    ended_open: Option<Box<EndedChunk>>,
    ended_sent: u64,
    taps: Vec<Tap>,
}

/// One receiver of copied packets.
struct Tap {
    sender: Sender<TapChunk>,
    open: Option<Box<TapChunk>>,
}

impl Outbox {
    /// An outbox over these mailboxes. `taps` get a copy of every packet.
    pub fn new(waits: bool, snapshots: Sender<Snapshot>, ended: Option<Sender<EndedChunk>>, taps: Vec<Sender<TapChunk>>) -> Self {
        let taps = taps.into_iter().map(|sender| Tap { sender, open: None }).collect();
        Self { waits, wants_reports: true, snapshots, ended, ended_open: None, ended_sent: 0, taps }
    }

    /// The same where nobody reads reports, unless `wanted`.
    #[must_use]
    pub fn with_reports(self, wanted: bool) -> Self {
        Self { wants_reports: wanted, ..self }
    }

    /// True when each tick is to end in a snapshot.
    pub const fn wants_reports(&self) -> bool {
        self.wants_reports
    }

    /// True when packets are copied for somebody.
    pub fn has_taps(&self) -> bool {
        !self.taps.is_empty()
    }

    /// A flow ended at packet number `event`.
    pub fn ended(&mut self, event: u64, record: &FlowRecord, ledger: &mut Ledger) {
        let Some(sender) = &self.ended else { return };
        let mut open = match self.ended_open.take().or_else(|| take(sender, self.waits)) {
            Some(open) => open,
            None => {
                ledger.records_skipped += 1;
                return;
            }
        };
        open.flows.push(EndedFlow { event, record: *record });
        if open.flows.len() < EndedChunk::CAPACITY {
            self.ended_open = Some(open);
        } else {
            open.through = event;
            sender.send(open);
            self.ended_sent += 1;
        }
    }

    /// Sends the half-filled box of ended flows; everything that ended before packet number `through` has been sent then.
    pub fn flush_ended(&mut self, through: u64) {
        let Some(sender) = &self.ended else { return };
        // Without a box the news that nothing ended can wait for the next time; on a file it is needed by the other queues.
        if let Some(mut open) = self.ended_open.take().or_else(|| take(sender, self.waits)) {
            open.through = through;
            sender.send(open);
            self.ended_sent += 1;
        }
    }

    /// Sends the last box: the ended flows that are left, and what was alive until the end, which is `event`.
    pub fn last(&mut self, event: u64, flows: LastFlows) {
        let Some(sender) = &self.ended else { return };
        if let Some(mut open) = self.ended_open.take().or_else(|| take(sender, self.waits)) {
            open.last = Some((event, Box::new(flows)));
            open.through = u64::MAX;
            sender.send(open);
            self.ended_sent += 1;
        }
    }

    /// Boxes of ended flows begun so far: those sent, and the one that is being filled.
    pub fn ended_boxes(&self) -> u64 {
        self.ended_sent + u64::from(self.ended_open.is_some())
    }

    /// Ended flows that can be taken in without waiting; at least, not exactly.
    pub fn records_free(&self) -> usize {
        let Some(sender) = &self.ended else { return usize::MAX };
        match &self.ended_open {
            Some(open) if sender.is_out() => EndedChunk::CAPACITY - open.flows.len(),
            None if sender.is_out() => 0,
            _ => sender.free() * EndedChunk::CAPACITY,
        }
    }

    /// Copies packets, the first of which has number `first_number`, to every tap.
    pub fn tap(&mut self, first_number: u64, packets: &[Packet<'_>], ledger: &mut Ledger) {
        for tap in &mut self.taps {
            for (number, packet) in (first_number..).zip(packets) {
                if !tap.push(number, packet, self.waits) {
                    ledger.taps_skipped += 1;
                }
            }
        }
    }

    /// Sends half-filled boxes of packets, so that a person sees them now. On a wire the last box is filled first: a slow
    /// receiver is to have whole boxes of room, not one packet in each.
    pub fn flush_taps(&mut self) {
        for tap in &mut self.taps {
            if !self.waits && tap.sender.is_out() {
                continue;
            }
            if let Some(open) = tap.open.take() {
                tap.sender.send(open);
            }
        }
    }

    /// Sends a snapshot filled in by `fill`; false when it was skipped, as on a wire without a free box.
    #[must_use]
    pub fn snapshot(&mut self, fill: impl FnOnce(&mut Snapshot)) -> bool {
        let Some(mut free) = take(&self.snapshots, self.waits) else { return false };
        fill(&mut free);
        self.snapshots.send(free);
        true
    }

    /// From now on even a wire waits for free boxes: the end must not be skipped.
    pub fn wait_from_now_on(&mut self) {
        self.waits = true;
    }
}

impl Tap {
    /// False when there was no room for the packet.
    fn push(&mut self, number: u64, packet: &Packet<'_>, waits: bool) -> bool {
        if let Some(open) = &mut self.open {
            if open.packets.push(packet) {
                return true;
            }
            if let Some(full) = self.open.take() {
                self.sender.send(full);
            }
        }
        let Some(mut open) = take(&self.sender, waits) else { return false };
        open.packets.clear();
        open.first_number = number;
        let pushed = open.packets.push(packet);
        self.open = Some(open);
        pushed
    }
}

/// An empty box: a file waits for one, a wire does not.
fn take<T>(sender: &Sender<T>, waits: bool) -> Option<Box<T>> {
    if waits { sender.take() } else { sender.try_take() }
}
