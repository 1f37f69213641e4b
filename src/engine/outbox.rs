//! The worker's side of its mailboxes: half-filled boxes and the rule: a file waits, a wire skips and counts.
//!
//! Owns the senders. Invariant: what finds no free box on a wire is counted in the ledger, never lost silently.

use super::flight_sender::FlightSender;
use super::mailbox::Sender;
use super::tap_sender::{TapPacket, TapSender};
use super::{AddressName, Announcement, EndedChunk, EndedFlow, Ledger, Snapshot, TapFlows, TapMark};
use crate::flow::{FactRef, FactSet, FlowRecord, LastFlows};
use netscope_backends::{Packet, Timestamp};

/// Boxes that are left to ended flows where names of addresses or announcements ask for one, on a wire.
const BOXES_LEFT: usize = 8;

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
    /// Whether names of addresses go with ended flows.
    takes_names: bool,
    taps: Vec<TapSender>,
    /// Whether a tap is to be told of packets once they were counted.
    taps_counted: bool,
    /// Whether one of them is to be told of all packets.
    taps_all_counted: bool,
    /// Whether workers that share a source copy all packets together, each its own.
    taps_in_sequence: bool,
    /// Copies all packets for the flight recorder.
    flight: Option<FlightSender>,
}

impl Outbox {
    /// An outbox over these mailboxes.
    pub fn new(waits: bool, snapshots: Sender<Snapshot>, ended: Option<Sender<EndedChunk>>, taps: Vec<TapSender>) -> Self {
        let taps_counted = taps.iter().any(|tap| !tap.takes_units());
        let taps_all_counted = taps.iter().any(|tap| !tap.takes_units() && tap.quota().is_none());
        let taps_in_sequence = taps.iter().any(TapSender::is_in_sequence);
        Self {
            waits,
            wants_reports: true,
            snapshots,
            ended,
            ended_open: None,
            ended_sent: 0,
            takes_names: false,
            taps,
            taps_counted,
            taps_all_counted,
            taps_in_sequence,
            flight: None,
        }
    }

    /// The same with a flight recorder, where there is one.
    #[must_use]
    pub fn with_flight(self, flight: Option<FlightSender>) -> Self {
        Self { flight, ..self }
    }

    /// The same where nobody reads reports, unless `wanted`.
    #[must_use]
    pub fn with_reports(self, wanted: bool) -> Self {
        Self { wants_reports: wanted, ..self }
    }

    /// The same where names of addresses go with ended flows, if `wanted` and if these are.
    #[must_use]
    pub fn with_names(self, wanted: bool) -> Self {
        Self { takes_names: wanted && self.ended.is_some(), ..self }
    }

    /// True when [`Outbox::named`] hands something on.
    #[inline]
    pub(super) const fn takes_names(&self) -> bool {
        self.takes_names
    }

    /// True when each tick is to end in a snapshot.
    pub const fn wants_reports(&self) -> bool {
        self.wants_reports
    }

    /// True when there is a tap of packets that were counted.
    #[inline]
    pub(super) const fn taps_counted(&self) -> bool {
        self.taps_counted
    }

    /// True when [`Outbox::tap`] is to be told of those among the packets from number `first` to `last` that were counted. `times`:
    /// theirs, and the latest before them.
    #[inline]
    pub(super) fn taps_some(&self, first: u64, last: u64, times: impl Iterator<Item = Timestamp> + Clone) -> bool {
        self.taps_all_counted || self.taps_counted && self.samples_some(first, last, times)
    }

    #[inline(never)]
    fn samples_some(&self, first: u64, last: u64, times: impl Iterator<Item = Timestamp> + Clone) -> bool {
        self.taps.iter().filter_map(TapSender::quota).any(|quota| quota.may_take(first, last, times.clone()))
    }

    /// True when somebody waits for each packet that this worker has.
    pub(super) const fn taps_in_sequence(&self) -> bool {
        self.taps_in_sequence
    }

    /// True when whole units are copied for somebody.
    pub(super) fn taps_units(&self) -> bool {
        self.taps.iter().any(TapSender::takes_units)
    }

    /// A flow ended at packet number `event`. What of its facts finds no room in the box is counted.
    pub fn ended(&mut self, event: u64, record: &FlowRecord, facts: FactSet<'_>, ledger: &mut Ledger) {
        let Some(sender) = &self.ended else { return };
        let mut open = match self.ended_open.take().or_else(|| take(sender, self.waits)) {
            Some(open) => open,
            None => {
                ledger.records_skipped += 1;
                return;
            }
        };
        let facts = open.facts.push(facts).unwrap_or_else(|| {
            ledger.facts_left_out += 1;
            FactRef::NONE
        });
        open.flows.push(EndedFlow { event, record: FlowRecord { facts, ..*record } });
        if open.flows.len() < EndedChunk::CAPACITY {
            self.ended_open = Some(open);
        } else {
            open.through = event;
            sender.send(open);
            self.ended_sent += 1;
        }
    }

    /// True when [`Outbox::announced`] hands something on.
    pub(super) const fn takes_announcements(&self) -> bool {
        self.ended.is_some()
    }

    /// A client got an address for a name. On a wire it is counted where no box is free beyond those that ended flows may need.
    pub(super) fn named(&mut self, address: AddressName, name: &[u8], ledger: &mut Ledger) {
        let is_told = self.tell(address.event, |open| open.names.push(address, name));
        ledger.names_skipped += u64::from(!is_told);
    }

    /// A flow was announced. Likewise.
    pub(super) fn announced(&mut self, announcement: Announcement, ledger: &mut Ledger) {
        let is_told = self.tell(announcement.event, |open| open.announce(announcement));
        ledger.announcements_skipped += u64::from(!is_told);
    }

    /// Something goes with ended flows, where anybody wants these. `push` gives it to a box and says whether that had room. False where no box
    /// is free.
    fn tell(&mut self, event: u64, push: impl Fn(&mut EndedChunk) -> bool) -> bool {
        let Some(sender) = &self.ended else { return true };
        if let Some(open) = &mut self.ended_open
            && push(open)
        {
            return true;
        }
        let is_free = self.waits || sender.free() > BOXES_LEFT;
        let Some(mut fresh) = is_free.then(|| take(sender, self.waits)).flatten() else { return false };
        // An empty box has room.
        let _has_room = push(&mut fresh);
        if let Some(mut full) = self.ended_open.replace(fresh) {
            full.through = event;
            sender.send(full);
            self.ended_sent += 1;
        }
        true
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

    /// A packet was counted: it is copied to the taps that want it. The packet is asked for by those alone.
    pub(super) fn tap<'a>(&mut self, at: &TapPacket<'_>, packet: impl Fn() -> Packet<'a>, ledger: &mut Ledger) {
        for tap in &mut self.taps {
            let is_skipped = u64::from(!tap.counted(at, &packet, self.waits));
            if tap.quota().is_some() {
                ledger.samples_skipped += is_skipped;
            } else {
                ledger.taps_skipped += is_skipped;
            }
        }
    }

    /// Copies packets of a unit that several workers share, the first of which has number `first_number`, to
    /// the taps of units.
    pub(super) fn tap_unit<'a>(&mut self, first_number: u64, packets: impl Iterator<Item = Packet<'a>>, ledger: &mut Ledger) {
        for (number, packet) in (first_number..).zip(packets) {
            for tap in self.taps.iter_mut().filter(|tap| tap.takes_units()) {
                ledger.taps_skipped += u64::from(!tap.push(TapMark { number, place: None }, None, &packet, self.waits));
            }
        }
    }

    /// True with a flight recorder.
    pub(super) const fn has_flight(&self) -> bool {
        self.flight.is_some()
    }

    /// Keeps packets that are about to be counted, for the flight recorder.
    #[inline]
    pub(super) fn record(&mut self, packets: &[Packet<'_>]) {
        if let Some(flight) = &mut self.flight {
            flight.record(packets, self.waits);
        }
    }

    /// From now on tap number `tap` of the engine follows these flows, where it is one that follows any.
    pub(super) fn select_tap_flows(&mut self, tap: usize, flows: &TapFlows) {
        self.taps.iter_mut().filter(|sender| sender.tap() == tap).for_each(|sender| sender.select(flows));
    }

    /// Sends half-filled boxes of packets, so that a person sees them now.
    pub fn flush_taps(&mut self) {
        self.taps.iter_mut().for_each(|tap| tap.flush(self.waits));
    }

    /// The same of samples alone: a person is to see them now, also where nothing else is sent before a box is full.
    pub fn flush_samples(&mut self) {
        self.taps.iter_mut().filter(|tap| tap.quota().is_some()).for_each(|tap| tap.flush(false));
    }

    /// Sends what the flight recorder is to have now; `nothing_came` since the last time.
    pub fn flush_flight(&mut self, nothing_came: bool) {
        self.flight.iter_mut().for_each(|flight| flight.flush(nothing_came));
    }

    /// The end of all packets: the flight recorder gets what is left.
    pub fn finish_flight(&mut self) {
        self.flight.iter_mut().for_each(FlightSender::finish);
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

/// An empty box: a file waits for one, a wire does not.
fn take<T>(sender: &Sender<T>, waits: bool) -> Option<Box<T>> {
    if waits { sender.take() } else { sender.try_take() }
}
