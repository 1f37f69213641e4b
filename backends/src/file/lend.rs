//! Lends the packets of a range of bytes.
//!
//! Owns the inner loop that the mapped and the streaming reader share. Does no I/O. Its one invariant: what
//! it reports as consumed is exactly the records whose packets were lent, filtered or skipped, in order.

use super::pcap::PcapWalker;
use super::scout::Scout;
use super::times::{CaptureTimes, Judged, STEP_NS};
use super::walker::{CaptureWalker, PACKET_LEN_MAX, RecordFault, WalkStep};
use crate::filter::FilterSet;
use crate::prefetch::prefetch_read;
use crate::{BATCH_MAX, LinkType, Packet, PacketChoice, Timestamp};
use std::sync::Arc;

/// Most slices lent by one call, so that the cost per call vanishes and a stop is still noticed soon.
pub(super) const BATCHES_PER_POLL: usize = 16;

/// Bytes of records after which a call lends no more slices: long packets come in as small portions as short ones do.
const POLL_LEN_MAX: usize = 2 << 20;

/// How far ahead of a short record bytes are asked for.
const LOOK_AHEAD_LEN: usize = 4096;

/// What was read so far.
#[derive(Clone, Debug, Default)]
pub(super) struct ReadCounts {
    /// Bytes of the (decompressed) capture consumed.
    pub(super) offset: u64,
    pub(super) received: u64,
    pub(super) filtered: u64,
    pub(super) last_time: Timestamp,
    pub(super) times: CaptureTimes,
}

/// What of a capture is lent.
#[derive(Clone)]
pub(super) struct Selection {
    /// Packets that it takes; all without one.
    pub(super) choice: Option<Arc<dyn PacketChoice>>,
    /// Of these, packets that match; all without one.
    pub(super) filter: Option<FilterSet>,
    /// Bytes of each packet.
    pub(super) snaplen: usize,
}

impl Selection {
    /// True when nothing is left out but by the choice.
    fn is_everything(&self) -> bool {
        self.filter.is_none() && self.snaplen >= PACKET_LEN_MAX
    }

    /// Moves those of the first `len` packets that the choice takes to the front; how many they are, and how many it does not take.
    #[inline(always)]
    fn choose(&self, batch: &mut [Packet<'_>; BATCH_MAX], len: usize) -> (usize, u64) {
        let Some(choice) = &self.choice else { return (len, 0) };
        let mut kept = 0;
        for place in 0..len.min(BATCH_MAX) {
            let packet = batch[place];
            if choice.takes(&packet) {
                batch[kept] = packet;
                kept += 1;
            }
        }
        (kept, (len - kept) as u64)
    }

    #[inline(always)]
    fn wants(&mut self, packet: &Packet<'_>) -> bool {
        self.choice.as_ref().is_none_or(|choice| choice.takes(packet))
            && self.filter.as_mut().is_none_or(|filter| filter.matches(packet))
    }

    /// Everything.
    pub(super) const ALL: Self = Self { choice: None, filter: None, snaplen: usize::MAX };
}

/// Why [`lend`] stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LendEnd {
    /// Enough for one call.
    Full,
    /// The rest is no whole record; this many bytes are needed.
    NeedMore(usize),
    /// The next record starts this many bytes behind the end.
    SkipAhead(usize),
    /// Whether the next packet's time can be right is told by the bytes that come.
    Undecided,
    /// The rest cannot be read.
    Damage(RecordFault),
}

/// What a call of [`lend`] came to.
pub(super) struct Lent {
    /// Bytes of the input that are done with.
    pub(super) consumed: usize,
    /// Packets given to the visitor.
    pub(super) packets: u32,
    pub(super) stop: LendEnd,
}

/// The range of bytes whose packets are lent.
#[derive(Clone, Copy)]
pub(super) struct LentBytes<'a> {
    pub(super) bytes: &'a [u8],
    /// No more are to be waited for.
    pub(super) is_all: bool,
}

/// Lends the packets of `lent_bytes`. Before each slice is lent, `intact` says how many of its packets may be;
/// fewer than all means that the file became shorter. A `scout` looks ahead in bytes that lie in memory, but
/// not in the caches.
pub(super) fn lend<'a>(
    lent_bytes: LentBytes<'a>,
    walker: &mut CaptureWalker,
    selection: &mut Selection,
    tally: &mut ReadCounts,
    mut scout: Option<&mut Scout>,
    intact: impl Fn(&[Packet<'a>]) -> usize,
    visit: &mut dyn FnMut(&[Packet<'_>]),
) -> Lent {
    const NONE: Packet<'_> = Packet { data: &[], time: Timestamp(0), wire_len: 0, link_type: LinkType::NULL };
    let bytes = lent_bytes.bytes;
    let mut batch = [NONE; BATCH_MAX];
    let mut lent = Lent { consumed: 0, packets: 0, stop: LendEnd::Full };
    for _ in 0..BATCHES_PER_POLL {
        let start = lent.consumed;
        let plain = match walker.plain_pcap() {
            Some(pcap) if selection.is_everything() => {
                let rest = bytes.get(start..).unwrap_or_default();
                let is_scouted = scout.as_deref_mut().is_some_and(|scout| scout.look(pcap, rest, tally.offset));
                // The scout has asked for what is needed of long records; nothing lies so far ahead.
                let ahead_len = if is_scouted { usize::MAX } else { LOOK_AHEAD_LEN };
                fill_plain(&mut batch, bytes, pcap, ahead_len, &mut tally.times, &mut lent)
            }
            _ => 0,
        };
        // What is not plain, the end and a step of time included, is for the walker to tell.
        let (len, filtered) = match plain {
            0 => fill(&mut batch, lent_bytes, walker, selection, &mut tally.times, &mut lent),
            len => selection.choose(&mut batch, len),
        };
        tally.offset += (lent.consumed - start) as u64;
        if let Some(scout) = scout.as_deref_mut() {
            scout.saw_batch(lent.consumed - start);
        }
        let filled = batch.get(..len).unwrap_or_default();
        let whole = filled.get(..intact(filled)).unwrap_or(filled);
        if whole.len() < len {
            lent.stop = LendEnd::Damage(RecordFault::Shrunk);
        }
        tally.received += whole.len() as u64 + filtered;
        tally.filtered += filtered;
        if let Some(last) = whole.last() {
            tally.last_time = last.time;
            visit(whole);
            lent.packets += whole.len() as u32;
        }
        if lent.stop != LendEnd::Full || lent.consumed >= POLL_LEN_MAX {
            break;
        }
    }
    lent
}

/// Fills `batch` with whole packets of a plain pcap file, up to one whose time has to be judged; returns how
/// far. Asks for what lies `ahead_len` bytes ahead.
#[inline(always)]
fn fill_plain<'a>(
    batch: &mut [Packet<'a>; BATCH_MAX],
    bytes: &'a [u8],
    pcap: &PcapWalker,
    ahead_len: usize,
    times: &mut CaptureTimes,
    lent: &mut Lent,
) -> usize {
    let (future, mut last) = (times.future, times.last.unwrap_or_default());
    let mut rest = bytes.get(lent.consumed..).unwrap_or_default();
    let mut len = 0_usize;
    for slot in batch.iter_mut() {
        let Some((packet, consumed)) = pcap.plain_packet(rest) else { break };
        // At most 2^32 s: far from the end of 64 bits.
        if packet.time > future && packet.time.0 > last.0 + STEP_NS {
            break;
        }
        last = packet.time;
        // Where a record begins is known only from the one before: without this, small packets wait for
        // memory one by one.
        if let Some(ahead) = rest.get(ahead_len) {
            prefetch_read(ahead);
        }
        *slot = packet;
        rest = rest.get(consumed..).unwrap_or_default();
        len += 1;
    }
    if let Some(last) = len.checked_sub(1).and_then(|last| batch.get(last)) {
        times.pass(last.time);
    }
    lent.consumed = bytes.len() - rest.len();
    len
}

/// Fills `batch`; returns how far, and how many packets did not match. Looks at no more than [`BATCH_MAX`]
/// records.
#[inline(always)]
fn fill<'a>(
    batch: &mut [Packet<'a>; BATCH_MAX],
    LentBytes { bytes, is_all }: LentBytes<'a>,
    walker: &mut CaptureWalker,
    selection: &mut Selection,
    times: &mut CaptureTimes,
    lent: &mut Lent,
) -> (usize, u64) {
    let (mut len, mut filtered, mut at) = (0, 0, lent.consumed);
    for _ in 0..BATCH_MAX {
        match walker.step(bytes.get(at..).unwrap_or_default()) {
            WalkStep::Packet { mut packet, consumed } => {
                if times.is_far(packet.time) {
                    let behind = bytes.get(at + consumed..).unwrap_or_default();
                    match times.judge(packet.time, walker, behind, is_all) {
                        Judged::Possible => {}
                        Judged::Contradicted(time) => {
                            packet.time = time;
                            walker.correct_time(time);
                            times.contradicted += 1;
                        }
                        Judged::Undecided => {
                            lent.stop = LendEnd::Undecided;
                            break;
                        }
                    }
                }
                times.pass(packet.time);
                at += consumed;
                if selection.wants(&packet) {
                    if let Some(slot) = batch.get_mut(len) {
                        let data = packet.data.get(..selection.snaplen).unwrap_or(packet.data);
                        *slot = Packet { data, ..packet };
                        len += 1;
                    }
                } else {
                    filtered += 1;
                }
            }
            WalkStep::Skip { consumed } => {
                let ahead = consumed.saturating_sub(bytes.len() - at);
                at += consumed - ahead;
                if ahead > 0 {
                    lent.stop = LendEnd::SkipAhead(ahead);
                    break;
                }
            }
            WalkStep::NeedMore(needed) => {
                lent.stop = LendEnd::NeedMore(needed);
                break;
            }
            WalkStep::Damage(fault) => {
                lent.stop = LendEnd::Damage(fault);
                break;
            }
        }
    }
    lent.consumed = at;
    (len, filtered)
}
