//! The worker: everything that happens to a packet, on the core that received it.
//!
//! Owns its flow table, fragments, clock and ledger by value; shares nothing but mailboxes. Works in waves over a batch:
//! dissect and hash all, then update one by one in order, with memory asked for ahead. Invariant: results depend on the packets and their
//! order alone, not on batch borders or on the wall clock. How many workers there are makes no difference before a bound is reached:
//! each has its own part of the flows, and its own numbers for VLANs and tunnels.

mod fragment;
mod icmp;
mod inspecting;
mod learning;
mod live;
mod part;
mod tapped;
mod wave;

use self::tapped::ExtraWork;
pub(super) use self::wave::{Consecutive, PacketSource};
use super::directions::DirectionMeter;
use super::observer::Watch;
use super::outbox::Outbox;
use super::packet_meta::PacketMeta;
use super::{
    BatchTimes, BurstMeter, BurstMetering, Clock, Ledger, Observer, ProtocolClass, RequestReceiver, StopGroup, TickEvidence,
    TickMeter, TrafficCount, WorkerShare,
};
use crate::detect::LocalNetworks;
use crate::flow::{
    Candidate, Content, Counted, DomainNumbers, FlowPacket, FlowSettings, FlowTable, FragmentCounters, FragmentTable, FullFacts,
    HashSecret, Keyed, PacketFacts,
};
use crate::wire::Dissected;
use hdrhistogram::Histogram;
use netscope_backends::{BATCH_MAX, Counters, Packet, RingFill, Timestamp};
use std::time::{Duration, Instant};

/// Flows looked at for expiry per packet on a wire; what is left waits for the next one. A file has no such bound.
const EXPIRY_BUDGET: usize = 256;
/// The same per idle poll, when there is time.
const IDLE_EXPIRY_BUDGET: usize = 8192;
/// Longest batch time the histogram tells apart, in ns (10 s); longer ones count as this.
const BATCH_NS_MAX: u64 = 10_000_000_000;

/// On a file, batches after which a snapshot's quantiles are read anew.
const QUANTILES_PER_BATCHES: u64 = 64;

/// How a worker is set up.
#[derive(Clone, Debug)]
pub struct WorkerSettings {
    /// Flow table, `flow_count_max` being the whole engine's bound.
    pub flow: FlowSettings,
    /// Length of a tick in ns.
    pub tick_ns: u64,
    /// Packets to process, 0 = all.
    pub count_max: u64,
    /// The worker's part of the source.
    pub share: WorkerShare,
    /// True where the source waits ([`netscope_backends::Backend::waits`]).
    pub waits: bool,
    /// Of the flow hash; the same for workers that share a file.
    pub secret: HashSecret,
}

/// One queue's packets, run to completion.
pub struct Worker<O: Observer = ()> {
    share: WorkerShare,
    clock: Clock,
    flows: FlowTable,
    domains: DomainNumbers,
    /// Of a source that several share empty until its end: who resolves them for all has them.
    fragments: FragmentTable,
    /// Counts of those who have them.
    others_fragments: FragmentCounters,
    /// Orphaned fragments that stand in the ledger.
    orphans_noted: u64,
    /// The same of segments that came after their connection was closed.
    after_close_noted: u64,
    ledger: Ledger,
    outbox: Outbox,
    watch: Watch<O>,
    /// One per packet of a wave.
    metas: Vec<PacketMeta>,
    /// One per packet of a unit that is this worker's, or everybody's.
    listed: Vec<PacketMeta>,
    /// The same; valid for packets that were dissected in full.
    facts: Vec<Dissected>,
    /// How often a packet of the latest wave left the fast path; twice for one that took the slow one.
    slow_path_count: usize,
    /// Before this time no tick ends and no flow falls due.
    next_deadline: Timestamp,
    /// Packets seen, other workers' included; numbers packets from 1.
    number: u64,
    /// Times that nothing came, as often as all who share the source were told so.
    idles: u64,
    count_max: u64,
    /// The workers beside this one.
    group: StopGroup,
    waits: bool,
    /// What the source counted when last asked, and what waited in its ring.
    source: Counters,
    ring: Option<RingFill>,
    tick_ended: bool,
    batch_times: Histogram<u64>,
    /// Batch times as of the latest snapshot that asked for them.
    batches: BatchTimes,
    /// Tells which way packets go; `None` unless that is asked for.
    directions: Option<Box<DirectionMeter>>,
    /// Time spent on batches and on answers, in ns of our own.
    busy_ns: u64,
    /// Counts bytes by bins; `None` unless microbursts are measured here.
    bursts: Option<Box<BurstMeter>>,
    /// Counts sizes and batch times of the tick; `None` unless a history is kept.
    tick_meter: Option<Box<TickMeter>>,
    tick_ns: u64,
    /// Of the tick that ended.
    evidence: TickEvidence,
    /// Of ticks whose snapshots were skipped.
    unsent: TickEvidence,
    top_count: usize,
    /// Flows alive when the end came, for the last snapshot.
    alive_at_exit: Option<u64>,
}

impl<O: Observer> Worker<O> {
    /// A worker that has seen nothing.
    pub fn new(settings: &WorkerSettings, outbox: Outbox, observer: O) -> Self {
        let flow = FlowSettings { flow_count_max: settings.share.part_of(settings.flow.flow_count_max), ..settings.flow };
        let watch = Watch::new(observer);
        let mut flows = FlowTable::new(&flow, settings.secret);
        if watch.follows_growth() {
            flows.follow_growth();
        }
        if watch.follows_facts() {
            flows.follow_news();
        }
        Self {
            share: settings.share,
            clock: Clock::new(settings.tick_ns),
            flows,
            domains: DomainNumbers::new(settings.flow.key),
            fragments: FragmentTable::new(),
            others_fragments: FragmentCounters::default(),
            orphans_noted: 0,
            after_close_noted: 0,
            ledger: Ledger::default(),
            outbox,
            watch,
            metas: vec![PacketMeta::EMPTY; BATCH_MAX],
            listed: Vec::new(),
            facts: vec![Dissected::NOTHING; BATCH_MAX],
            slow_path_count: 0,
            next_deadline: Timestamp(0),
            number: 0,
            idles: 0,
            count_max: if settings.count_max == 0 { u64::MAX } else { settings.count_max },
            group: StopGroup::None,
            waits: settings.waits,
            source: Counters::default(),
            ring: None,
            tick_ended: false,
            batch_times: Histogram::new_with_bounds(1, BATCH_NS_MAX, 2).expect("constant bounds are valid"),
            batches: BatchTimes::default(),
            directions: None,
            busy_ns: 0,
            bursts: None,
            tick_meter: None,
            tick_ns: settings.tick_ns,
            evidence: TickEvidence::new(settings.flow.top_count),
            unsent: TickEvidence::new(settings.flow.top_count),
            top_count: settings.flow.top_count,
            alive_at_exit: None,
        }
    }

    /// Says on which interface its packets are captured. Said before the first packet.
    pub fn on_interface(&mut self, interface: u8) {
        self.flows.set_interface(interface);
    }

    /// From now on bytes are counted by bins: of its queue, or of a source that several share by the leading worker. Said before the
    /// first packet.
    pub fn measure_bursts(&mut self, metering: BurstMetering) {
        self.bursts = self.share.leads().then(|| Box::new(BurstMeter::new(metering, self.tick_ns)));
    }

    /// From now on sizes of packets and times of batches are counted by tick. Said before the first packet.
    pub fn measure_ticks(&mut self) {
        self.tick_meter = Some(Box::new(TickMeter::new(self.tick_ns)));
    }

    /// From now on packets are counted by the way they go: in, out. Said before the first packet.
    pub fn measure_directions(&mut self, inside: LocalNetworks) {
        self.directions = Some(Box::new(DirectionMeter::new(inside)));
    }

    /// Processes what a backend lent.
    pub fn batch(&mut self, packets: &[Packet<'_>]) {
        self.timed(|worker| worker.process(packets));
    }

    /// The same, and answers a part of what is asked. Both keep the next packets waiting, so both are the batch's time.
    pub fn batch_and_answer(&mut self, packets: &[Packet<'_>], requests: &mut RequestReceiver) {
        self.timed(|worker| {
            worker.process(packets);
            requests.answer(worker, false);
        });
    }

    #[inline(always)]
    fn timed(&mut self, batch: impl FnOnce(&mut Self)) {
        let started = Instant::now();
        batch(self);
        let ns = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.note_batch(ns);
    }

    /// Time was spent on answers between batches.
    pub fn note_answering(&mut self, time: Duration) {
        self.busy_ns += u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    }

    #[inline(always)]
    fn note_batch(&mut self, ns: u64) {
        self.busy_ns += ns;
        self.batch_times.saturating_record(ns.clamp(1, BATCH_NS_MAX));
        if let Some(meter) = &mut self.tick_meter {
            meter.batch(ns);
        }
    }

    #[inline(always)]
    fn process(&mut self, packets: &[Packet<'_>]) {
        let room = self.group.room(packets.len() as u64);
        let room = usize::try_from(room.min(self.count_max.saturating_sub(self.number))).unwrap_or(usize::MAX);
        let (packets, beyond) = packets.split_at(packets.len().min(room));
        if self.share.leads() {
            self.ledger.beyond_count += beyond.len() as u64;
        }
        if let Some(bursts) = &mut self.bursts {
            bursts.count(packets.iter().copied());
        }
        if let Some(meter) = self.tick_meter.as_mut().filter(|_| self.share.leads()) {
            meter.count(packets.iter().copied());
        }
        for wave in packets.chunks(BATCH_MAX) {
            self.wave(wave);
        }
    }

    #[inline(always)]
    fn wave(&mut self, packets: &[Packet<'_>]) {
        // Taken out for as long as the worker changes; vectors without memory stand in.
        let (mut metas, mut facts) = (std::mem::take(&mut self.metas), std::mem::take(&mut self.facts));
        self.dissect(packets, &mut metas, &mut facts);
        self.outbox.record(packets);
        let filled = metas.get(..packets.len()).unwrap_or_default();
        let source = Consecutive { packets, first: self.number + 1 };
        let times = packets.iter().map(|packet| packet.time).chain([self.clock.now()]);
        match self.extra(source.first, self.number + packets.len() as u64, times) {
            ExtraWork::None => self.update::<true, { ExtraWork::NONE }>(filled, &mut facts, &source),
            ExtraWork::Directions => self.update::<true, { ExtraWork::DIRECTIONS }>(filled, &mut facts, &source),
            ExtraWork::Inspection => self.update::<true, { ExtraWork::INSPECTION }>(filled, &mut facts, &source),
            ExtraWork::All => self.update::<true, { ExtraWork::ALL }>(filled, &mut facts, &source),
        }
        (self.metas, self.facts) = (metas, facts);
    }

    /// Counts one packet of a flow.
    #[inline(always)]
    fn count(&mut self, packet: FlowPacket<'_>, facts: impl PacketFacts + Copy) -> Counted {
        let Self { flows, outbox, watch, ledger, clock, group, idles, .. } = self;
        // The facts are copied into what is called when a flow ends: if it referred to them, they would be put together for every
        // packet, on the fast path, too.
        let counted = {
            let (watch, outbox, ledger) = (&mut *watch, &mut *outbox, &mut *ledger);
            let (clock, group, idles) = (&*clock, &*group, &*idles);
            flows.count(packet, facts, O::WATCHES, move |record, known| {
                // Where the end stands in the order of all workers, as `event` has it.
                let event = if group.has_own_packets() { clock.now().0 } else { facts.number() + *idles };
                watch.ended(record);
                outbox.ended(event, record, known, ledger);
            })
        };
        if O::WATCHES {
            flows.note_growth(counted.place);
        }
        watch.note(&packet, &facts, &counted, flows);
        self.slow_path_count += counted.path as usize;
        counted
    }

    /// The same for a packet that was dissected in full.
    fn count_full(
        &mut self,
        packet: &Packet<'_>,
        number: u64,
        dissected: &Dissected,
        keyed: &Keyed,
        candidate: Candidate,
        content: Content<'_>,
    ) -> Counted {
        let &Packet { time, wire_len, .. } = packet;
        let facts = FullFacts { number, dissected };
        let counted = self.count(FlowPacket { keyed, candidate, time, wire_len, content }, facts);
        // Later fragments have no transport header.
        if !matches!(content, Content::LaterFragment | Content::Held(_)) {
            self.note_headers(packet, dissected, keyed.direction, counted.place);
        }
        // Anything else takes the slow path, which looks for itself.
        if matches!(content, Content::Datagram | Content::LaterFragment) {
            self.flows.note_domain(counted.place, keyed.direction, &facts);
        }
        if O::WATCHES {
            if counted.place == Counted::NO_PLACE {
                self.watch.other(packet, dissected);
            }
            if matches!(content, Content::Datagram) && keyed.key.is_dhcp() {
                self.watch.dhcp(packet, number, dissected);
            }
        }
        counted
    }

    /// Counts a packet that is ours, whatever becomes of it.
    fn account(&mut self, packet: &Packet<'_>, dissected: &Dissected) {
        self.ledger.packets += 1;
        self.ledger.bytes += u64::from(packet.wire_len);
        let class = ProtocolClass::of(dissected.network.as_ref().map(|network| network.protocol));
        self.ledger.note_protocol(class, TrafficCount { packets: 1, bytes: packet.wire_len.into() });
        self.ledger.ipv4_checksums_bad += u64::from(dissected.ipv4_checksum_bad);
        if let Some(fault) = dissected.fault {
            self.ledger.fault(fault);
        }
    }

    /// Time has moved on; `left` is the tick that was left behind.
    #[inline]
    fn pass_time(&mut self, left: Option<u64>, budget: usize) {
        if let Some(tick) = left {
            self.end_tick(tick);
        }
        self.watch.pass(self.clock.now(), &mut self.flows);
        // A wire does not lose records for want of a box: flows that are over can wait in the table.
        let budget = if self.waits { usize::MAX } else { budget.min(self.outbox.records_free()) };
        let event = self.event();
        let Self { flows, clock, outbox, watch, ledger, .. } = self;
        let done = flows.advance(clock.now(), budget, &mut |record, known| {
            watch.ended(record);
            outbox.ended(event, record, known, ledger);
        });
        let next = flows.next_deadline().min(clock.tick_end()).min(watch.deadline());
        self.next_deadline = if done { next } else { Timestamp(0) };
    }

    /// Tells how far this worker is, where somebody takes ended flows in order.
    pub(super) fn tell_progress(&mut self) {
        self.outbox.flush_ended(self.event());
    }

    fn end_tick(&mut self, tick: u64) {
        self.tick_ended = true;
        self.outbox.flush_samples();
        self.outbox.flush_ended(self.event());
        if self.outbox.wants_reports() {
            self.harvest(tick);
            self.send_snapshot(tick, self.clock.end_of(tick), false);
        }
    }

    /// Gathers the evidence of the tick that ended.
    fn harvest(&mut self, tick: u64) {
        self.flows.end_tick(&mut self.evidence.top);
        self.evidence.bursts.clear();
        if let Some(bursts) = &mut self.bursts {
            bursts.harvest(tick, &mut self.evidence.bursts);
        }
        self.evidence.counts.clear();
        if let Some(meter) = &mut self.tick_meter {
            meter.harvest(tick, &mut self.evidence.counts);
        }
    }

    fn send_snapshot(&mut self, tick: u64, time: Timestamp, last: bool) {
        self.ledger.time_regressions = if self.share.leads() { self.clock.regressions() } else { 0 };
        self.read_batch_times(last);
        let fragments = if self.share.leads() { self.fragment_counters() } else { FragmentCounters::default() };
        let Self { outbox, ledger, source, ring, flows, batches, busy_ns, alive_at_exit, clock, .. } = self;
        let (evidence, unsent) = (&self.evidence, &mut self.unsent);
        unsent.add(evidence, self.top_count);
        let is_sent = outbox.snapshot(|snapshot| {
            snapshot.tick = tick;
            snapshot.next_tick = clock.tick().unwrap_or(tick);
            snapshot.time = time;
            snapshot.ledger = *ledger;
            snapshot.source = *source;
            snapshot.ring = *ring;
            snapshot.flows = flows.counters();
            snapshot.flow_count = alive_at_exit.unwrap_or(flows.len() as u64);
            snapshot.fragments = fragments;
            snapshot.tcp_refused = flows.tcp_arena().refused();
            snapshot.tcp_gaps_forgotten = flows.tcp_arena().gaps_forgotten();
            snapshot.tcp_backward_handshakes = flows.tcp_arena().backward_handshakes();
            snapshot.tcp_out_of_window = flows.tcp_arena().out_of_window();
            snapshot.evidence.copy_from(unsent);
            snapshot.batches = *batches;
            snapshot.busy_ns = *busy_ns;
            snapshot.last = last;
        });
        if is_sent {
            unsent.clear();
        } else {
            ledger.snapshots_skipped += 1;
        }
    }

    /// Brings `batches` up to date. Quantiles are read off a histogram, which takes as long as many packets: where ticks follow each
    /// other as fast as packets do, not for each of them.
    fn read_batch_times(&mut self, last: bool) {
        let times = &self.batch_times;
        if last || !self.waits || times.len() >= self.batches.count + QUANTILES_PER_BATCHES {
            self.batches.p50_ns = times.value_at_quantile(0.5);
            self.batches.p99_ns = times.value_at_quantile(0.99);
            (self.batches.count, self.batches.max_ns) = (times.len(), times.max());
        }
    }

    /// Nothing arrived by `now`: ticks and expiry go on. All workers that share a source are told so at the same place among its packets.
    pub fn idle(&mut self, now: Timestamp) {
        self.idles += 1;
        // A source that does not know the time says 0.
        if now > self.clock.now() {
            let left = self.clock.pass(now);
            self.pass_time(left, IDLE_EXPIRY_BUDGET);
        }
        self.outbox.flush_taps();
        self.outbox.flush_flight(true);
        // What ended now is told, too: the next packet may be long in coming. By time that holds from the next idle poll on, as a packet
        // of the same moment may still come.
        self.outbox.flush_ended(self.event() + u64::from(!self.group.has_own_packets()));
    }

    /// Called after every poll of a live source, so that copied packets are shown without delay.
    pub fn flush(&mut self) {
        self.outbox.flush_taps();
        self.outbox.flush_flight(false);
    }

    /// True once per ended tick: the moment to ask the source for its counters.
    pub fn take_tick_ended(&mut self) -> bool {
        std::mem::take(&mut self.tick_ended)
    }

    /// What the source counted and what waited in its ring; shown in the next snapshot.
    pub fn set_source(&mut self, source: Counters, ring: Option<RingFill>) {
        (self.source, self.ring) = (source, ring);
    }

    /// From now on this worker stops where its `group` do, and not just anywhere. Said before the first packet.
    pub fn join(&mut self, group: StopGroup) {
        self.group = group;
    }

    /// This worker cannot go on; on queues of their own the others end, too.
    pub fn fail(&self) {
        self.group.fail();
    }

    /// The place of what happens now in the order of all workers: where all see the same packets, how many packets came and how many
    /// times none did; where each has its own, the time of this worker in ns. It never goes back.
    #[inline(always)]
    fn event(&self) -> u64 {
        self.event_of(self.number)
    }

    /// The same of what happens with packet `number`.
    #[inline(always)]
    fn event_of(&self, number: u64) -> u64 {
        if self.group.has_own_packets() { self.clock.now().0 } else { number + self.idles }
    }

    /// True when `--count` packets were processed, or when a stop is `requested` and this is where to stop.
    pub fn ends_early(&self, requested: bool) -> bool {
        self.number >= self.count_max || self.group.end(requested)
    }

    /// True for the worker that answers for the source's counters.
    pub fn leads(&self) -> bool {
        self.share.leads()
    }

    /// Packets seen so far; those of other workers on the same packets included.
    pub fn packets_seen(&self) -> u64 {
        self.number
    }

    /// The end: every flow leaves with reason `exit`, everything open is sent.
    pub fn finish(mut self) {
        self.outbox.wait_from_now_on();
        if self.share.leads() && !self.waits {
            let Counters { received, filtered, kernel_drops, damaged, skipped, .. } = self.source;
            let handled = filtered + kernel_drops + damaged + skipped + self.number + self.ledger.beyond_count;
            self.ledger.unread = received.saturating_sub(handled);
        }
        self.fragments.drain();
        self.note_orphans();
        self.harvest(self.clock.tick().unwrap_or(0));
        self.watch.grow(&mut self.flows);
        let event = self.event() + 1;
        let Self { flows, outbox, watch, ledger, .. } = &mut self;
        let last = flows.finish(&mut |record, known| {
            watch.ended(record);
            outbox.ended(event, record, known, ledger);
        });
        // What fell due at the end was ended for that, and not alive.
        self.alive_at_exit = Some(last.len() as u64);
        self.outbox.last(event, last);
        self.outbox.flush_taps();
        self.outbox.finish_flight();
        self.watch.finish(self.clock.now());
        self.send_snapshot(self.clock.tick().unwrap_or(0), self.clock.now(), true);
    }
}
