//! What is known of a TCP connection whatever is analysed: its client, its control bits, its state.
//!
//! Owns four bytes and the rules that fill them, and tells which facts of the connection's beginning are known. Knows no sequence
//! analysis and no options. Its invariant: what is analysed changes nothing here but whether the handshake is timed.

use super::sequence::Sequence;
use super::state::{TcpProgress, TcpStateDetail};
use crate::flow::{Direction, TcpRecord};
use crate::wire::TcpFlags;
use netscope_backends::Timestamp;

/// The handshake's round trip is known.
const RTT_KNOWN: u8 = 1;
/// The time of the latest SYN is known.
const SYN_TIMED: u8 = 1 << 1;
/// The client is known.
const CLIENT_KNOWN: u8 = 1 << 2;
/// The client is endpoint b.
const CLIENT_IS_B: u8 = 1 << 3;
/// The number before the first byte of endpoint a is known; that of endpoint b has the next bit.
const FIRST_KNOWN: u8 = 1 << 4;
/// A SYN carried data (RFC 7413).
const SYN_DATA: u8 = 1 << 6;

/// Client, control bits and state of one TCP connection (RFC 9293), 4 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct TcpConnection {
    /// Union of the control bits per direction (low 8 bits).
    flags: [u8; 2],
    pub(super) progress: TcpProgress,
    bits: u8,
}

const _: () = assert!(size_of::<TcpConnection>() == 4 && align_of::<TcpConnection>() == 1);

impl TcpConnection {
    /// The handshake has begun and is not complete.
    pub const fn is_handshaking(&self) -> bool {
        matches!(self.progress.detail(), TcpStateDetail::SynSent | TcpStateDetail::SynReceived)
    }

    /// A SYN was seen and no answer.
    pub const fn is_syn_sent(&self) -> bool {
        matches!(self.progress.detail(), TcpStateDetail::SynSent)
    }

    /// Both sides may send.
    pub const fn is_established(&self) -> bool {
        self.progress.is_established()
    }

    /// The finer state.
    pub const fn detail(&self) -> TcpStateDetail {
        self.progress.detail()
    }

    /// Before the first segment.
    pub const BLANK: Self = Self { flags: [0; 2], progress: TcpProgress::NEW, bits: 0 };

    /// True once both sides sent a FIN, or one reset the connection: a short linger applies.
    #[inline(always)]
    pub const fn finished(&self) -> bool {
        self.progress.finished()
    }

    /// Established, and the handshake has nothing more to say: a segment without SYN, FIN and RST adds its control bits alone.
    #[inline(always)]
    pub const fn is_steady(&self) -> bool {
        self.is_settled() && self.progress.is_established()
    }

    /// True when the handshake has nothing more to say and both sides' first numbers are known.
    pub(super) const fn is_settled(&self) -> bool {
        self.is_timing_settled() && self.knows_both_firsts()
    }

    pub(super) const fn knows_both_firsts(&self) -> bool {
        const KNOWN: u8 = FIRST_KNOWN | FIRST_KNOWN << 1;
        self.bits & KNOWN == KNOWN
    }

    pub(super) const fn knows_first(&self, index: usize) -> bool {
        self.bits & FIRST_KNOWN << index != 0
    }

    pub(super) const fn knows_handshake_rtt(&self) -> bool {
        self.bits & RTT_KNOWN != 0
    }

    /// True when a SYN or SYN-ACK of this sequence number opens a new connection: it differs from the direction's first number on
    /// record, or it comes once more after a FIN or a reset (RFC 9293 section 3.6.1). One that was captured after the end of its own
    /// connection, of which no SYN of this direction was seen before, opens nothing.
    #[inline]
    pub(super) const fn is_opened_again(&self, direction: Direction, first: Sequence, sequence: u32) -> bool {
        let comes_again = self.flags[direction as usize] & TcpFlags::SYN.0 as u8 != 0;
        self.knows_first(direction.index()) && (first.0 != sequence || comes_again && self.progress.closing())
    }

    /// A segment has so many bytes of data.
    pub(super) fn note_syn_data(&mut self, flags: TcpFlags, payload_len: u32) {
        if flags.has(TcpFlags::SYN) && payload_len > 0 {
            self.bits |= SYN_DATA;
        }
    }

    /// A SYN carried data, so what follows it does not begin one behind its number.
    pub(super) const fn had_syn_data(&self) -> bool {
        self.bits & SYN_DATA != 0
    }

    /// The handshake's round trip in ns, if it is known; `clock` as [`Analysed`](super::Analysed)'s.
    #[inline]
    pub fn handshake_rtt_ns(&self, clock: u64) -> Option<u64> {
        self.knows_handshake_rtt().then_some(clock)
    }

    /// A SYN of this direction was seen.
    pub fn sent_syn(&self, direction: Direction) -> bool {
        self.flags[direction.index()] & TcpFlags::SYN.0 as u8 != 0
    }

    /// Who sent the first SYN, if it is known.
    pub fn client(&self) -> Option<Direction> {
        let b = self.bits & CLIENT_IS_B != 0;
        (self.bits & CLIENT_KNOWN != 0).then_some(if b { Direction::BToA } else { Direction::AToB })
    }

    /// The client sent the first SYN; when only a SYN-ACK is seen, it is who that goes to.
    pub(super) fn note_client(&mut self, flags: TcpFlags, direction: Direction) {
        if self.bits & CLIENT_KNOWN != 0 || !flags.has(TcpFlags::SYN) {
            return;
        }
        let client = if flags.has(TcpFlags::ACK) { direction.reverse() } else { direction };
        self.bits |= CLIENT_KNOWN | if client == Direction::BToA { CLIENT_IS_B } else { 0 };
    }

    /// A segment of the direction has these control bits.
    #[inline(always)]
    pub(in crate::flow) fn note_flags(&mut self, flags: TcpFlags, direction: Direction) {
        self.flags[direction.index()] |= flags.0 as u8;
    }

    /// What a segment tells of the numbers before each side's first byte.
    pub(super) fn note_firsts(
        &mut self,
        (flags, sequence, acknowledgment): (TcpFlags, u32, u32),
        direction: Direction,
        first: &mut [Sequence; 2],
    ) {
        let start = Sequence(sequence);
        let own = if flags.has(TcpFlags::SYN) { start } else { start - 1 };
        self.note_first(direction.index(), own, first);
        if flags.has(TcpFlags::ACK) {
            self.note_first(direction.reverse().index(), Sequence(acknowledgment) - 1, first);
        }
    }

    fn note_first(&mut self, index: usize, number: Sequence, first: &mut [Sequence; 2]) {
        if !self.knows_first(index) {
            first[index] = number;
            self.bits |= FIRST_KNOWN << index;
        }
    }

    /// The first segment of the connection is a SYN, no SYN-ACK; `is_timed`: its time is kept.
    #[inline(always)]
    pub(super) fn begin(&mut self, flags: TcpFlags, direction: Direction, is_timed: bool) {
        let client = if matches!(direction, Direction::BToA) { CLIENT_IS_B } else { 0 };
        self.bits = CLIENT_KNOWN | client | FIRST_KNOWN << direction.index() | if is_timed { SYN_TIMED } else { 0 };
        self.flags[direction.index()] = flags.0 as u8;
        self.progress.begin(false);
    }

    /// Measures the handshake: from the latest SYN to the first segment with an ACK that is no SYN. `clock` holds the time of the
    /// SYN in ns, and in the end the round trip. False as [`TcpConnection::end_handshake`] says.
    pub(super) fn time_handshake(&mut self, flags: TcpFlags, time: Timestamp, clock: &mut u64) -> bool {
        match (flags.has(TcpFlags::SYN), flags.has(TcpFlags::ACK)) {
            (true, false) => self.start_handshake(time, clock),
            (false, true) => return self.end_handshake(time, clock),
            _ => {}
        }
        true
    }

    /// A SYN that is no SYN-ACK.
    pub(super) const fn start_handshake(&mut self, time: Timestamp, clock: &mut u64) {
        if !self.knows_handshake_rtt() {
            *clock = time.0;
            self.bits |= SYN_TIMED;
        }
    }

    /// False when [`TcpConnection::end_handshake`] would find that the clock ran backwards.
    #[inline(always)]
    pub(super) const fn handshake_may_end(&self, time: Timestamp, clock: u64) -> bool {
        self.is_timing_settled() || time.0 >= clock
    }

    /// A segment with an ACK that is no SYN. False when it came before the SYN by its time: then no later segment ends the handshake.
    pub(super) const fn end_handshake(&mut self, time: Timestamp, clock: &mut u64) -> bool {
        if self.is_timing_settled() {
            return true;
        }
        let rtt = time.0.checked_sub(*clock);
        if let Some(rtt) = rtt {
            *clock = rtt;
            self.bits |= RTT_KNOWN;
        } else {
            self.bits &= !SYN_TIMED;
        }
        rtt.is_some()
    }

    /// No handshake is being timed.
    const fn is_timing_settled(&self) -> bool {
        self.bits & (RTT_KNOWN | SYN_TIMED) != SYN_TIMED
    }

    /// The record of a connection of which nothing else is known.
    #[inline(always)]
    pub(super) fn record(&self) -> TcpRecord {
        TcpRecord {
            state: self.progress.state(),
            detail: self.progress.detail(),
            client: self.client(),
            flags: self.flags,
            retransmissions: 0,
            fast_retransmissions: 0,
            spurious_retransmissions: 0,
            out_of_order: 0,
            lost_segments: 0,
            ack_lost_segments: 0,
            duplicate_acks: 0,
            keep_alives: 0,
            zero_windows: 0,
            mss: [0; 2],
            window_scale: [None; 2],
            handshake_rtt_ns: None,
            rtt: None,
            rtt_sides: [None; 2],
            zero_window_ns: [None; 2],
        }
    }
}
