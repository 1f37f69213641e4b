//! One TCP connection of which no sequence number is followed: what stays when every analysis is off.
//!
//! Owns the compact form: [`TcpConnection`] and the facts of its beginning, without clock, directions and side memory. Knows no
//! table, and no table holds it yet. Its invariant: after the same segments, the record is that of a [`TcpTracker`](super::TcpTracker) with every analysis off.

use super::connection::TcpConnection;
use super::sequence::Sequence;
use super::tracker::SCALE_MAX;
use crate::flow::{Direction, TcpRecord};
use crate::wire::{Announced, PlainSegment, SynSegment, TcpFlags, TcpSegment};

/// Everything known of such a connection, 17 bytes without alignment, so that it fits between other fields. Every call takes in
/// its segment: there is nothing that a fast path would have to decline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct CompactTcp {
    connection: TcpConnection,
    beginning: CompactBeginning,
}

/// How the connection began. Numbers are in the machine's byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
struct CompactBeginning {
    /// As [`TcpBeginning`](super::TcpBeginning)'s.
    first: [[u8; 4]; 2],
    mss: [[u8; 2]; 2],
    /// Window shift counts: that of endpoint a in the low four bits, that of b in the high ones.
    window_scales: u8,
}

const _: () = assert!(size_of::<CompactTcp>() == 17 && align_of::<CompactTcp>() == 1);

/// No window scale option was seen.
const NO_SCALE: u8 = 15;
const _: () = assert!(SCALE_MAX < NO_SCALE);

/// Nothing that is followed is acknowledged.
const NOTHING_ACKNOWLEDGED: [bool; 2] = [false; 2];

impl CompactTcp {
    /// Before the first segment.
    pub const BLANK: Self = Self {
        connection: TcpConnection::BLANK,
        beginning: CompactBeginning { first: [[0; 4]; 2], mss: [[0; 2]; 2], window_scales: NO_SCALE << 4 | NO_SCALE },
    };

    /// Makes a blank one a connection that begins with this SYN, no SYN-ACK, and has taken it in.
    #[inline(always)]
    pub fn begin(&mut self, syn: &SynSegment, direction: Direction) {
        self.connection.begin(syn.flags, direction, false);
        self.beginning.first[direction.index()] = syn.sequence.to_ne_bytes();
        self.beginning.note_options(syn.announced, direction);
    }

    /// Takes in any segment, in the order of capture.
    pub fn observe(&mut self, segment: &TcpSegment, direction: Direction) {
        let &TcpSegment { flags, sequence, acknowledgment, payload_len, ref options, .. } = segment;
        self.connection.note_client(flags, direction);
        self.take_in((flags, sequence, acknowledgment), payload_len, direction);
        if flags.has(TcpFlags::SYN) {
            let announced = Announced { mss: options.mss, window_scale: options.window_scale };
            self.beginning.note_options(announced, direction);
        }
    }

    /// The same of a SYN or SYN-ACK.
    #[inline]
    pub fn observe_syn(&mut self, syn: &SynSegment, direction: Direction) {
        self.connection.note_client(syn.flags, direction);
        self.take_in((syn.flags, syn.sequence, syn.acknowledgment), 0, direction);
        self.beginning.note_options(syn.announced, direction);
    }

    /// The same of a plain segment, or the last one of its direction.
    #[inline(always)]
    pub fn observe_plain(&mut self, segment: &PlainSegment, direction: Direction) {
        if self.connection.is_steady() && !segment.is_last() {
            self.connection.note_flags(segment.flags, direction);
        } else {
            let &PlainSegment { flags, sequence, acknowledgment, payload_len, .. } = segment;
            self.take_in((flags, sequence, acknowledgment), payload_len, direction);
        }
    }

    /// Established, and both sides' first numbers are known: a plain segment adds its control bits alone.
    #[inline(always)]
    pub const fn is_steady(&self) -> bool {
        self.connection.is_steady()
    }

    /// True once both sides sent a FIN, or one reset the connection: a short linger applies.
    #[inline(always)]
    pub const fn finished(&self) -> bool {
        self.connection.finished()
    }

    /// As [`TcpConnection::reopens`].
    pub fn reopens(&self, segment: &TcpSegment, direction: Direction) -> bool {
        segment.flags.has(TcpFlags::SYN) && self.is_other_syn(segment.sequence, direction)
    }

    /// As [`TcpConnection::is_other_syn`].
    #[inline]
    pub fn is_other_syn(&self, sequence: u32, direction: Direction) -> bool {
        self.connection.is_opened_again(direction, self.beginning.firsts()[direction.index()], sequence)
    }

    /// The TCP part of the flow's record, as of now: no counts and no times.
    #[inline]
    pub fn record(&self) -> TcpRecord {
        TcpRecord {
            mss: self.beginning.mss.map(u16::from_ne_bytes),
            window_scale: self.beginning.window_scales(),
            ..self.connection.record()
        }
    }

    #[inline]
    fn take_in(&mut self, numbers: (TcpFlags, u32, u32), payload_len: u32, direction: Direction) {
        let flags = numbers.0;
        if !self.connection.knows_both_firsts() {
            let mut first = self.beginning.firsts();
            self.connection.note_firsts(numbers, direction, &mut first);
            self.beginning.first = first.map(|number| number.0.to_ne_bytes());
        }
        self.connection.progress.step(flags, payload_len, direction, NOTHING_ACKNOWLEDGED);
        self.connection.note_flags(flags, direction);
    }
}

impl CompactBeginning {
    fn firsts(&self) -> [Sequence; 2] {
        self.first.map(|number| Sequence(u32::from_ne_bytes(number)))
    }

    fn note_options(&mut self, announced: Announced, direction: Direction) {
        if let Some(mss) = announced.mss {
            self.mss[direction.index()] = mss.to_ne_bytes();
        }
        if let Some(scale) = announced.window_scale {
            let shift = 4 * direction.index();
            self.window_scales = self.window_scales & !(15 << shift) | scale.min(SCALE_MAX) << shift;
        }
    }

    fn window_scales(&self) -> [Option<u8>; 2] {
        [self.window_scales & 15, self.window_scales >> 4].map(|scale| (scale != NO_SCALE).then_some(scale))
    }
}

#[cfg(test)]
mod tests {
    use super::CompactTcp;
    use crate::flow::Direction;
    use crate::flow::tcp::tests::{Parts, wild, wild_segment};
    use crate::flow::tcp::{TcpAnalysis, TcpArena};
    use crate::wire::{PlainSegment, SynSegment, TcpOptions, TcpSegment};
    use netscope_backends::Timestamp;
    use proptest::prelude::*;

    const NOTHING: TcpAnalysis = TcpAnalysis { rtt: false, retransmissions: false, out_of_order: false };

    /// By the call that is made for the segment.
    fn take_in(compact: &mut CompactTcp, segment: &TcpSegment, direction: Direction) {
        match (PlainSegment::of(segment), PlainSegment::last_of(segment), SynSegment::of(segment)) {
            (Some(plain), ..) | (_, Some(plain), _) => compact.observe_plain(&plain, direction),
            (.., Some(syn)) if *compact == CompactTcp::BLANK && !syn.is_answer() => compact.begin(&syn, direction),
            (.., Some(syn)) => compact.observe_syn(&syn, direction),
            _ => compact.observe(segment, direction),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        /// After any exchange: the record of the tracker without analysis, by either call, and the same answers.
        #[test]
        fn the_record_is_that_of_a_tracker_without_analysis(
            segments in wild(),
            shapes in prop::collection::vec((any::<prop::sample::Index>(), any::<[bool; 2]>(), any::<u16>()), 120),
        ) {
            const FLAGS: [u16; 10] = [2, 2, 0x12, 0x12, 0x10, 0x10, 0x18, 0x11, 0x14, 0];
            let mut arena = TcpArena::with_capacity(0);
            let mut full: Option<Parts> = None;
            let (mut fast, mut slow) = (CompactTcp::BLANK, CompactTcp::BLANK);
            for (n, (wild, (flags, [is_usual, is_bare], mss))) in segments.iter().zip(&shapes).enumerate() {
                let (mut s, direction) = wild_segment(wild);
                if *is_usual {
                    s.flags.0 = FLAGS[flags.index(FLAGS.len())];
                    s.payload_len *= u32::from(s.flags.0 & 2 == 0);
                    s.options = TcpOptions { mss: Some(*mss), window_scale: s.options.window_scale, ..TcpOptions::default() };
                }
                if *is_bare {
                    s.options = TcpOptions::default();
                }
                let time = Timestamp(n as u64);
                let full = full.get_or_insert_with(|| Parts::opened(&s, direction, time));
                prop_assert_eq!(fast.reopens(&s, direction), full.connection.reopens(&full.beginning, &s, direction));
                full.observe(&s, direction, time, &mut arena, &NOTHING);
                take_in(&mut fast, &s, direction);
                slow.observe(&s, direction);
                prop_assert_eq!(fast, slow);
                prop_assert_eq!(fast.record(), full.record(&arena));
                prop_assert_eq!((fast.is_steady(), fast.finished()), (full.connection.is_steady(), full.connection.finished()));
            }
        }
    }

    /// The greatest shift count that counts is told from one that was not seen.
    #[test]
    fn shift_counts_of_both_sides_share_a_byte() {
        let mut compact = CompactTcp::BLANK;
        let syn = |scale| {
            let announced = crate::wire::Announced { mss: Some(1460), window_scale: Some(scale) };
            SynSegment { flags: crate::wire::TcpFlags(2), announced, ..SynSegment::default() }
        };
        compact.begin(&syn(u8::MAX), Direction::BToA);
        assert_eq!((compact.record().window_scale, compact.record().mss), ([None, Some(14)], [0, 1460]));
        compact.observe_syn(&syn(0), Direction::AToB);
        compact.observe_syn(&syn(7), Direction::BToA);
        assert_eq!(compact.record().window_scale, [Some(0), Some(7)]);
    }
}
