//! The worker's side of a tap: which packets are copied for it, and the box they are copied to.
//!
//! Owns the policy's state and the mailbox. Knows no table: a flow is a key and the number of its place.
//! Invariants: a packet that is not wanted is not copied, and what a policy decides depends on the packets of
//! its worker and their time alone.

use super::mailbox::Sender;
use super::sample_quota::SampleQuota;
use super::{TapChunk, TapMark, WorkerShare};
use crate::flow::{FlowKey, FlowNote, HashSecret, Keyed};
use netscope_backends::{Packet, Timestamp};
use std::sync::Arc;

/// Most flows that one tap follows.
pub const TAP_FLOWS_MAX: usize = 16;

/// Which packets a tap gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TapPolicy {
    /// All of them. Where several workers share a source, the leading one copies them as they come, before
    /// they are counted: of these no flow is known.
    All,
    /// All of them, each once it was counted, with a [note](FlowNote) on its flow. Where several workers share a source,
    /// each copies those that it counted; [`consume`](super::consume) puts them in order.
    Counted,
    /// The first ones of each second of packet time, at most so many. Time that goes back begins no second
    /// anew. Each worker has its part of the number, so with fewer than one per worker some workers are not
    /// heard.
    PerSecond(usize),
    /// Those that are counted for these flows.
    Flows(TapFlows),
    /// Every `one_in`th packet by its number (0 counts as 1), each once it was counted, with a [note](FlowNote) on its flow; at most
    /// `per_second_max` per second of packet time, which come free in eight parts of the second, each worker its part of them; of each
    /// at most `snaplen` bytes. Nobody waits for who takes them: what finds no box is left out and
    /// [counted](super::Ledger::samples_skipped), also from a file.
    Sampled {
        /// One in so many.
        one_in: u32,
        /// Most packets in a second.
        per_second_max: usize,
        /// Bytes of a packet.
        snaplen: usize,
    },
}

impl TapPolicy {
    /// What of it falls to one of several workers. A worker of a shared source copies nothing for
    /// [`TapPolicy::All`] unless it leads; that is not decided here.
    pub(super) fn part_of(&self, part: WorkerShare) -> Self {
        match self {
            Self::PerSecond(count) => Self::PerSecond(part.part_of(*count)),
            Self::Sampled { one_in, per_second_max, snaplen } => {
                Self::Sampled { one_in: *one_in, per_second_max: part.part_of(*per_second_max), snaplen: *snaplen }
            }
            Self::All | Self::Counted | Self::Flows(_) => self.clone(),
        }
    }

    /// True when each packet comes with a note on its flow.
    pub(super) const fn has_notes(&self) -> bool {
        matches!(self, Self::Counted | Self::Sampled { .. })
    }
}

/// The flows that a tap follows, at most [`TAP_FLOWS_MAX`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TapFlows(Arc<[FlowKey]>);

impl TapFlows {
    /// These flows; `None` when they are too many.
    pub fn new(keys: &[FlowKey]) -> Option<Self> {
        (keys.len() <= TAP_FLOWS_MAX).then(|| Self(keys.into()))
    }
}

/// A policy, and how far it has come.
enum TapFilter {
    /// Everything of a unit that several workers share; asked for before the unit is counted.
    Units,
    All,
    PerSecond {
        count_max: usize,
        /// Packets that may be copied before `until`.
        left: usize,
        /// End of the second.
        until: Timestamp,
    },
    Flows {
        secret: HashSecret,
        flows: Vec<(u64, FlowKey)>,
    },
    Sampled {
        quota: SampleQuota,
        snaplen: usize,
    },
}

impl TapFilter {
    /// Whether packet `number` is to be copied, which was counted at `now`, for this flow.
    #[inline]
    fn wants(&mut self, number: u64, now: Timestamp, keyed: Option<&Keyed>) -> bool {
        match self {
            Self::Units => false,
            Self::All => true,
            Self::PerSecond { count_max, left, until } => {
                // The last second of all has no end.
                if now >= *until && until.0 < u64::MAX {
                    *left = *count_max;
                    *until = second_end(now);
                }
                let is_wanted = *left > 0;
                *left -= usize::from(is_wanted);
                is_wanted
            }
            Self::Sampled { quota, .. } => quota.takes(number, now),
            Self::Flows { secret, flows } => keyed.is_some_and(|keyed| {
                // What was asked for is a 5-tuple, in all VLANs and tunnels.
                let key = keyed.key.tuple();
                let hash = if key == keyed.key { keyed.hash } else { key.hash(secret) };
                flows.iter().any(|(wanted_hash, wanted)| *wanted_hash == hash && *wanted == key)
            }),
        }
    }
}

/// End of the second of packet time that `now` lies in.
fn second_end(now: Timestamp) -> Timestamp {
    Timestamp((now.0 / Timestamp::NS_PER_SEC + 1).saturating_mul(Timestamp::NS_PER_SEC))
}

/// What is known of a packet once it was counted.
pub(super) struct TapPacket<'a> {
    /// Its number.
    pub(super) number: u64,
    /// The latest packet time that its worker has seen.
    pub(super) now: Timestamp,
    /// The flow and its place.
    pub(super) flow: Option<(&'a Keyed, u32)>,
    /// What else the table knows; not asked for unless a tap has notes and wants the packet.
    pub(super) note: &'a dyn Fn() -> Option<FlowNote>,
}

/// The worker's end of one tap.
pub struct TapSender {
    /// Which one of [`EngineSettings::taps`](super::EngineSettings::taps).
    tap: usize,
    filter: TapFilter,
    has_notes: bool,
    sender: Sender<TapChunk>,
    open: Option<Box<TapChunk>>,
}

impl TapSender {
    /// A tap of packets that are counted. `secret`: with which the worker's table hashes.
    pub fn new(tap: usize, policy: &TapPolicy, secret: HashSecret, sender: Sender<TapChunk>) -> Self {
        let filter = match policy {
            TapPolicy::All | TapPolicy::Counted => TapFilter::All,
            TapPolicy::PerSecond(count_max) => TapFilter::PerSecond { count_max: *count_max, left: 0, until: Timestamp(0) },
            TapPolicy::Flows(_) => TapFilter::Flows { secret, flows: Vec::with_capacity(TAP_FLOWS_MAX) },
            TapPolicy::Sampled { one_in, per_second_max, snaplen } => {
                TapFilter::Sampled { quota: SampleQuota::new(*one_in, *per_second_max), snaplen: *snaplen }
            }
        };
        let mut sender = Self { tap, filter, has_notes: policy.has_notes(), sender, open: None };
        if let TapPolicy::Flows(flows) = policy {
            sender.select(flows);
        }
        sender
    }

    /// A tap of all packets of the units that the workers share, for the leading one.
    pub fn of_units(tap: usize, sender: Sender<TapChunk>) -> Self {
        Self { tap, filter: TapFilter::Units, has_notes: false, sender, open: None }
    }

    /// True for a tap of units.
    pub(super) const fn takes_units(&self) -> bool {
        matches!(self.filter, TapFilter::Units)
    }

    /// The quota of a sample; `None` for any other tap.
    #[inline]
    pub(super) const fn quota(&self) -> Option<&SampleQuota> {
        match &self.filter {
            TapFilter::Sampled { quota, .. } => Some(quota),
            _ => None,
        }
    }

    /// True where somebody puts the packets of all workers in order.
    pub(super) const fn is_in_sequence(&self) -> bool {
        self.has_notes && matches!(self.filter, TapFilter::All)
    }

    /// Which one of the engine's taps this is.
    pub(super) const fn tap(&self) -> usize {
        self.tap
    }

    /// From now on it follows these flows. No effect on a tap that follows none.
    pub(super) fn select(&mut self, TapFlows(keys): &TapFlows) {
        if let TapFilter::Flows { secret, flows } = &mut self.filter {
            flows.clear();
            flows.extend(keys.iter().map(|key| (key.hash(secret), *key)));
        }
    }

    /// A packet was counted; it is copied when it is wanted. False when there was no room for it.
    #[inline]
    pub(super) fn counted<'a>(&mut self, at: &TapPacket<'_>, packet: impl FnOnce() -> Packet<'a>, waits: bool) -> bool {
        if !self.filter.wants(at.number, at.now, at.flow.map(|(keyed, _)| keyed)) {
            return true;
        }
        let note = if self.has_notes { (at.note)() } else { None };
        let (mut packet, mut waits) = (packet(), waits);
        if let TapFilter::Sampled { snaplen, .. } = self.filter {
            packet.data = packet.data.get(..snaplen).unwrap_or(packet.data);
            waits = false;
        }
        self.push(TapMark { number: at.number, place: at.flow.map(|(_, place)| place) }, note, &packet, waits)
    }

    /// Copies a packet. False when there was no room for it.
    pub(super) fn push(&mut self, mark: TapMark, note: Option<FlowNote>, packet: &Packet<'_>, waits: bool) -> bool {
        let has_notes = self.has_notes;
        let copy = |open: &mut TapChunk| if has_notes { open.push_noted(mark, note, packet) } else { open.push(mark, packet) };
        if let Some(open) = &mut self.open {
            if copy(open) {
                return true;
            }
            if let Some(full) = self.open.take() {
                self.sender.send(full);
            }
        }
        let Some(mut open) = (if waits { self.sender.take() } else { self.sender.try_take() }) else { return false };
        open.clear();
        let is_pushed = copy(&mut open);
        self.open = Some(open);
        is_pushed
    }

    /// Sends the half-filled box. On a wire the last box is filled first: a slow receiver is to have whole
    /// boxes of room, not one packet in each.
    pub(super) fn flush(&mut self, waits: bool) {
        if !waits && self.sender.is_out() {
            return;
        }
        if let Some(open) = self.open.take() {
            self.sender.send(open);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{IpVersion, Network, Ports};

    fn keyed(port: u16, secret: &HashSecret) -> Keyed {
        let network = Network {
            version: IpVersion::V4,
            protocol: 17,
            ttl: 64,
            traffic_class: 0,
            source: [1; 16],
            destination: [2; 16],
            fragment: None,
        };
        let (key, direction) = FlowKey::new(&network, Ports { source: port, destination: 53 });
        Keyed { key, hash: key.hash(secret), direction }
    }

    fn filter(policy: &TapPolicy) -> TapFilter {
        TapSender::new(0, policy, HashSecret::FIXED, crate::engine::mailbox(1, TapChunk::new).0).filter
    }

    /// How many of the packets at these times, in ms, are wanted.
    fn wanted(filter: &mut TapFilter, times_ms: impl IntoIterator<Item = u64>) -> usize {
        // As of a worker's clock: it never goes back.
        let mut now = Timestamp(0);
        let mut wants = |ms: u64| {
            now = now.max(Timestamp(ms * 1_000_000));
            filter.wants(1, now, None)
        };
        times_ms.into_iter().filter(|&ms| wants(ms)).count()
    }

    #[test]
    fn a_rate_holds_in_every_second_and_is_reached() {
        for count in [0, 1, 7, 1000, 1001] {
            let mut filter = filter(&TapPolicy::PerSecond(count));
            for second in [0, 1, 2, 900, 1_700_000_000] {
                let all = second * 1000..(second + 1) * 1000;
                assert_eq!(wanted(&mut filter, all), count.min(1000), "{count} in second {second}");
            }
        }
    }

    #[test]
    fn time_that_goes_back_begins_no_second_anew() {
        let mut filter = filter(&TapPolicy::PerSecond(3));
        assert_eq!(wanted(&mut filter, [5_000, 5_001, 4_000, 4_001, 5_002, 1]), 3);
        let mut filter = self::filter(&TapPolicy::PerSecond(3));
        assert_eq!(wanted(&mut filter, [5_999, 6_000, 5_999, 5_998, 6_001, 7_000, 6_000]), 1 + 3 + 2);
    }

    #[test]
    fn the_last_second_of_all_has_a_bound_too() {
        let mut filter = filter(&TapPolicy::PerSecond(2));
        let wanted = [0, u64::MAX - 1, u64::MAX - 1, u64::MAX, u64::MAX].map(|ns| filter.wants(1, Timestamp(ns), None));
        assert_eq!(wanted, [true, true, true, false, false]);
    }

    #[test]
    fn flows_are_told_apart_and_bounded() {
        let secret = HashSecret::FIXED;
        let keys: Vec<FlowKey> = (0..=TAP_FLOWS_MAX as u16).map(|port| keyed(port, &secret).key).collect();
        assert_eq!(TapFlows::new(&keys), None);
        let flows = TapFlows::new(&keys[..TAP_FLOWS_MAX]).expect("as many as there may be");
        let mut filter = filter(&TapPolicy::Flows(flows));
        let ports: Vec<u16> = (0..100).filter(|&port| filter.wants(1, Timestamp(0), Some(&keyed(port, &secret)))).collect();
        assert_eq!(ports, (0..TAP_FLOWS_MAX as u16).collect::<Vec<_>>());
        assert!(!filter.wants(1, Timestamp(0), None));
        let same_hash = Keyed { hash: keyed(3, &secret).hash, ..keyed(99, &secret) };
        assert!(!filter.wants(1, Timestamp(0), Some(&same_hash)), "a hash alone is no flow");
    }

    #[test]
    fn parts_of_a_rate_add_up() {
        let part = |index, count| TapPolicy::PerSecond(7).part_of(WorkerShare { index, count });
        assert_eq!((0..3).map(|index| part(index, 3)).collect::<Vec<_>>(), [3, 2, 2].map(TapPolicy::PerSecond));
        assert_eq!(TapPolicy::All.part_of(WorkerShare { index: 2, count: 3 }), TapPolicy::All);
    }

    #[test]
    fn without_a_box_a_wanted_packet_is_refused_and_an_unwanted_one_is_none() {
        let (sender, receiver) = crate::engine::mailbox(1, TapChunk::new);
        let mut tap = TapSender::new(0, &TapPolicy::PerSecond(3), HashSecret::FIXED, sender);
        let packet = Packet { data: &[7], time: Timestamp(5), wire_len: 1, link_type: netscope_backends::LinkType::ETHERNET };
        let mut counted =
            |number| tap.counted(&TapPacket { number, now: Timestamp(5), flow: None, note: &|| None }, || packet, false);
        assert!(counted(1));
        tap.flush(true);
        let mut counted =
            |number| tap.counted(&TapPacket { number, now: Timestamp(5), flow: None, note: &|| None }, || packet, false);
        assert_eq!([counted(2), counted(3), counted(4)], [false, false, true]);
        let chunk = receiver.receive().expect("the box that was sent");
        assert_eq!(chunk.packets().map(|(mark, _)| mark).collect::<Vec<_>>(), [TapMark { number: 1, place: None }]);
    }
}
