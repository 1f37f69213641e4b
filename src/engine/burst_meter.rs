//! Counts bytes in short bins of packet time, for microbursts.
//!
//! Owns the bins of the interval that goes on, and of those that are over and not sent. Knows no link and no rule. Invariant: what it counts depends on the
//! packets and their order alone, so the worker may show it packets before it counts them, in pieces of any length.

use crate::detect::{BurstBin, BurstEvidence, BurstFlow, FRAME_OVERHEAD, MicroburstSettings};
use crate::flow::{FlowKey, ports_of};
use crate::wire;
use netscope_backends::{Packet, Timestamp};
use std::collections::{BTreeMap, VecDeque};

/// Packets of hot bins whose flows are noted, per interval.
const NOTED_MAX: u32 = 1024;

/// How a queue counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BurstMetering {
    /// Length of a bin in ns, at least 1; an interval has a whole number of them.
    pub bin_ns: u64,
    /// Load of a bin above which its packets' flows are noted; `u64::MAX` = never.
    pub hot_load: u64,
}

/// An interval that is over: how much of what is kept is its own.
struct MeteredTick {
    tick: u64,
    bins: usize,
    flows: usize,
    late_packets: u64,
}

/// Counts the packets of one queue, or of a source that several workers share.
pub struct BurstMeter {
    metering: BurstMetering,
    tick_ns: u64,
    /// When the bin that goes on began, what came in it, with [`FRAME_OVERHEAD`], and in how many packets.
    start: u64,
    load: u64,
    packets: u64,
    /// Load above which a packet's flow is noted; `u64::MAX` when enough of them were.
    note_above: u64,
    noted: u32,
    /// The interval that goes on; `None` before the first packet.
    tick: Option<u64>,
    tick_start: u64,
    /// Of each of its bins what came in it before the one that goes on.
    bins: Vec<BurstBin>,
    flows: BTreeMap<FlowKey, BurstFlow>,
    late_packets: u64,
    over: VecDeque<MeteredTick>,
    /// Bins and flows of these, in their order.
    over_bins: VecDeque<BurstBin>,
    over_flows: VecDeque<BurstFlow>,
}

impl BurstMeter {
    /// A meter that has seen nothing, for intervals of `tick_ns`: at most [`MicroburstSettings::BIN_COUNT_MAX`] bins.
    pub fn new(metering: BurstMetering, tick_ns: u64) -> Self {
        let bin_ns = metering.bin_ns.max(1);
        let count = tick_ns.div_ceil(bin_ns).min(MicroburstSettings::BIN_COUNT_MAX);
        Self {
            metering: BurstMetering { bin_ns, ..metering },
            tick_ns: tick_ns.max(1),
            start: 0,
            load: 0,
            packets: 0,
            note_above: metering.hot_load,
            noted: 0,
            tick: None,
            tick_start: 0,
            bins: vec![BurstBin::default(); usize::try_from(count).unwrap_or(0)],
            flows: BTreeMap::new(),
            late_packets: 0,
            over: VecDeque::new(),
            over_bins: VecDeque::new(),
            over_flows: VecDeque::new(),
        }
    }

    /// Counts packets, in order.
    #[inline]
    pub fn count<'a>(&mut self, packets: impl Iterator<Item = Packet<'a>>) {
        let bin_ns = self.metering.bin_ns;
        // In registers, as most packets come in the bin of the one before them.
        let (mut start, mut load, mut count, mut note_above) = (self.start, self.load, self.packets, self.note_above);
        let mut has_bin = self.tick.is_some();
        for packet in packets {
            if packet.time.0.wrapping_sub(start) >= bin_ns || !has_bin {
                (self.load, self.packets) = (load, count);
                if !self.go_to(packet.time) {
                    (load, count) = (self.load, self.packets);
                    continue;
                }
                (start, load, count, note_above, has_bin) = (self.start, self.load, self.packets, self.note_above, true);
            }
            load += u64::from(packet.wire_len) + FRAME_OVERHEAD;
            count += 1;
            if load > note_above {
                note_above = self.note(&packet);
            }
        }
        (self.load, self.packets) = (load, count);
    }

    /// Time is in another bin; false for a packet that comes too late for any.
    #[cold]
    #[inline(never)]
    fn go_to(&mut self, time: Timestamp) -> bool {
        let tick = time.0 / self.tick_ns;
        if self.tick.is_some_and(|current| tick < current) {
            self.late_packets += 1;
            return false;
        }
        self.leave_bin();
        if self.tick != Some(tick) {
            self.end_tick();
            (self.tick, self.tick_start) = (Some(tick), tick * self.tick_ns);
        }
        let bin_ns = self.metering.bin_ns;
        self.start = time.0 - (time.0 - self.tick_start) % bin_ns;
        if let Some(bin) = self.bins.get(self.index()) {
            self.load = bin.load();
            self.packets = bin.packets;
        }
        true
    }

    fn index(&self) -> usize {
        usize::try_from((self.start - self.tick_start) / self.metering.bin_ns).unwrap_or(usize::MAX)
    }

    /// Writes down what came in the bin that goes on.
    fn leave_bin(&mut self) {
        let (index, packets) = (self.index(), std::mem::take(&mut self.packets));
        let bytes = std::mem::take(&mut self.load).saturating_sub(packets.saturating_mul(FRAME_OVERHEAD));
        if let Some(bin) = self.bins.get_mut(index).filter(|_| packets > 0) {
            *bin = BurstBin { bin: self.start / self.metering.bin_ns, bytes, packets };
        }
    }

    /// Puts what came in the interval that goes on with what is to be sent.
    fn end_tick(&mut self) {
        let Some(tick) = self.tick else { return };
        let before = (self.over_bins.len(), self.over_flows.len());
        self.over_bins.extend(self.bins.iter().filter(|bin| bin.packets > 0));
        self.bins.fill(BurstBin::default());
        self.over_flows.extend(std::mem::take(&mut self.flows).into_values());
        (self.noted, self.note_above) = (0, self.metering.hot_load);
        let late_packets = std::mem::take(&mut self.late_packets);
        let (bins, flows) = (self.over_bins.len() - before.0, self.over_flows.len() - before.1);
        self.over.push_back(MeteredTick { tick, bins, flows, late_packets });
    }

    /// A packet came when its bin was hot. The load above which the next one is noted.
    #[cold]
    #[inline(never)]
    fn note(&mut self, packet: &Packet<'_>) -> u64 {
        let facts = wire::dissect(packet.link_type, packet.data, packet.wire_len);
        if let (Some(network), Some(ports)) = (&facts.network, ports_of(&facts)) {
            let (key, direction) = FlowKey::new(network, ports);
            let flow = BurstFlow::new(key, direction, packet.wire_len.into());
            self.flows.entry(key).and_modify(|known| known.add(&flow)).or_insert(flow);
        }
        self.noted += 1;
        if self.noted >= NOTED_MAX {
            self.note_above = u64::MAX;
        }
        self.note_above
    }

    /// The worker has ended this tick: what came in it, and before it, goes to `evidence`.
    pub fn harvest(&mut self, tick: u64, evidence: &mut BurstEvidence) {
        if self.tick.is_some_and(|current| current <= tick) {
            // On a wire its time may have come before its last packets, which are then sent with the next one.
            self.leave_bin();
            self.end_tick();
        }
        while self.over.front().is_some_and(|over| over.tick <= tick) {
            let Some(over) = self.over.pop_front() else { return };
            evidence.bins.extend(self.over_bins.drain(..over.bins));
            evidence.flows.extend(self.over_flows.drain(..over.flows));
            evidence.late_packets += over.late_packets;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netscope_backends::LinkType;
    use proptest::prelude::*;

    const BIN: u64 = 1_000_000;
    const TICK: u64 = 10 * BIN;

    fn packet(time: u64, wire_len: u32) -> Packet<'static> {
        Packet { data: &[], time: Timestamp(time), wire_len, link_type: LinkType::ETHERNET }
    }

    fn meter(hot_load: u64) -> BurstMeter {
        BurstMeter::new(BurstMetering { bin_ns: BIN, hot_load }, TICK)
    }

    #[test]
    fn bytes_fall_into_bins_and_what_is_older_than_its_interval_is_counted() {
        let mut meter = meter(u64::MAX);
        let packets =
            [(5, 100), (BIN - 1, 50), (3 * BIN, 10), (2 * BIN, 7), (4 * BIN, 1), (3 * BIN + 9, 5), (TICK, 70), (TICK - 1, 9)];
        meter.count(packets.iter().map(|&(time, len)| packet(time, len)));
        let mut evidence = BurstEvidence::default();
        meter.harvest(0, &mut evidence);
        let bin = |bin, bytes, packets| BurstBin { bin, bytes, packets };
        assert_eq!(evidence.bins, [bin(0, 150, 2), bin(2, 7, 1), bin(3, 15, 2), bin(4, 1, 1)]);
        assert_eq!(evidence.late_packets, 0, "it came in the next interval");
        evidence.clear();
        meter.harvest(1, &mut evidence);
        assert_eq!((&evidence.bins[..], evidence.late_packets), (&[bin(10, 70, 1)][..], 1));
        // The interval was ended by the clock: what comes of it later is sent with the next one.
        meter.count([packet(TICK + 3, 4), packet(2 * TICK, 8)].into_iter());
        evidence.clear();
        meter.harvest(2, &mut evidence);
        assert_eq!(evidence.bins, [bin(10, 4, 1), bin(20, 8, 1)]);
    }

    proptest! {
        #[test]
        fn no_byte_is_lost_and_pieces_do_not_matter(
            packets in prop::collection::vec((0..6 * TICK, 1..2000_u32), 1..300),
            pieces in prop::collection::vec(1..40_usize, 1..20),
        ) {
            let mut whole = meter(u64::MAX);
            whole.count(packets.iter().map(|&(time, len)| packet(time, len)));
            let mut parts = meter(u64::MAX);
            let mut rest = &packets[..];
            for piece in pieces.iter().cycle() {
                let (now, later) = rest.split_at((*piece).min(rest.len()));
                parts.count(now.iter().map(|&(time, len)| packet(time, len)));
                rest = later;
                if rest.is_empty() {
                    break;
                }
            }
            let (mut one, mut other) = (BurstEvidence::default(), BurstEvidence::default());
            for tick in 0..6 {
                whole.harvest(tick, &mut one);
                parts.harvest(tick, &mut other);
                prop_assert_eq!(&one, &other);
            }
            let counted: u64 = one.bins.iter().map(|bin| bin.packets).sum();
            prop_assert_eq!(counted + one.late_packets, packets.len() as u64);
            let mut late = 0_u64;
            let mut latest = 0;
            let mut bytes = 0_u64;
            for &(time, len) in &packets {
                latest = latest.max(time / TICK);
                if time / TICK < latest { late += 1 } else { bytes += u64::from(len) }
            }
            prop_assert_eq!((one.late_packets, one.bins.iter().map(|bin| bin.bytes).sum::<u64>()), (late, bytes));
        }
    }
}
