//! TCP and SCTP in a line, and what the flow's analysis found.

use super::parts::Line;
use crate::flow::FlowNote;
use crate::flow::tcp::TcpMarks;
use crate::wire::{TcpFlags, TcpSegment, sctp_chunk_name, sctp_chunks};

/// Chunk types shown of an SCTP packet; the others are counted.
const CHUNKS_SHOWN_MAX: usize = 8;

/// Marks in the order in which they are shown, their texts, and whether something is lost, sent again or refused. A fast or spurious
/// retransmission ends as any other does, so that one search finds all.
const MARKS: [(TcpMarks, &str, bool); 14] = [
    (TcpMarks::RETRANSMISSION, "retransmission", true),
    (TcpMarks::FAST, "fast retransmission", true),
    (TcpMarks::SPURIOUS, "spurious retransmission", true),
    (TcpMarks::OUT_OF_ORDER, "out of order", false),
    (TcpMarks::LOST, "lost segment", true),
    (TcpMarks::ACK_LOST, "ACK of lost segment", true),
    (TcpMarks::OUT_OF_WINDOW, "outside the window", true),
    (TcpMarks::ZERO_WINDOW, "zero window", true),
    (TcpMarks::ZERO_WINDOW_PROBE, "zero window probe", false),
    (TcpMarks::WINDOW_UPDATE, "window update", false),
    (TcpMarks::KEEP_ALIVE, "keep-alive", false),
    (TcpMarks::KEEP_ALIVE_ACK, "keep-alive ACK", false),
    (TcpMarks::ZERO_WINDOW_PROBE_ACK, "zero window probe ACK", false),
    (TcpMarks::DUPLICATE_ACK, "duplicate ACK", false),
];

/// Most duplicate ACKs that are counted in a row.
const DUPLICATES_MAX: u8 = 63;

/// What each of the marks is called.
pub(in crate::record) fn mark_names(marks: TcpMarks) -> impl Iterator<Item = &'static str> {
    MARKS.iter().filter(move |(mark, ..)| marks.has(*mark)).map(|(_, name, _)| *name)
}

impl Line<'_, '_> {
    /// Protocol, control bits, numbers, window, what a SYN announces, SACK blocks, payload length.
    #[inline]
    pub fn tcp(&mut self, segment: &TcpSegment, note: Option<&FlowNote>, absolute: bool) {
        let &TcpSegment { sequence, acknowledgment, flags, window, payload_len, ref options, .. } = segment;
        let note = note.filter(|_| !absolute);
        // As sent where nobody knows where the connection began.
        let own = note.and_then(FlowNote::first_sequence).unwrap_or(0);
        let peer = note.and_then(FlowNote::first_acknowledgment).unwrap_or(0);
        self.paint(self.palette.tcp, |line| line.text(" tcp"));
        self.text(" [");
        self.tcp_flags(flags);
        self.pair("] seq=", sequence.wrapping_sub(own).into());
        if flags.has(TcpFlags::ACK) {
            self.pair(" ack=", acknowledgment.wrapping_sub(peer).into());
        }
        self.pair(" win=", window.into());
        if flags.has(TcpFlags::SYN) {
            self.syn_options(segment);
        }
        for (i, (left, right)) in options.sack.iter().take(options.sack_count.into()).enumerate() {
            self.pair(if i == 0 { " sack=" } else { "," }, left.wrapping_sub(peer).into());
            self.pair("-", right.wrapping_sub(peer).into());
        }
        self.pair(" len=", payload_len.into());
    }

    #[inline(never)]
    fn syn_options(&mut self, segment: &TcpSegment) {
        let options = &segment.options;
        if let Some(mss) = options.mss {
            self.pair(" mss=", mss.into());
        }
        if let Some(shift) = options.window_scale {
            self.pair(" wscale=", shift.into());
        }
        if options.sack_permitted {
            self.text(" sackOK");
        }
        if let Some((value, echo)) = options.timestamps {
            self.pair(" ts=", value.into());
            self.pair("/", echo.into());
        }
    }

    /// What the analysis found in the segment, and the time of the handshake that it completed.
    #[inline]
    pub fn marks(&mut self, note: &FlowNote) {
        if !note.marks.is_empty() {
            self.found_marks(note);
        }
        if let Some(ns) = note.handshake_rtt_ns() {
            self.text(" [handshake ");
            self.milliseconds(ns);
            self.text(" ms]");
        }
    }

    #[inline(never)]
    fn found_marks(&mut self, note: &FlowNote) {
        for &(mark, name, is_alarm) in MARKS.iter().filter(|(mark, ..)| note.marks.has(*mark)) {
            self.text(" ");
            self.paint(if is_alarm { self.palette.alarm } else { self.palette.mark }, |line| {
                line.text("[");
                line.text(name);
                if mark == TcpMarks::DUPLICATE_ACK {
                    line.pair(" #", note.duplicate_acks.into());
                    line.text(if note.duplicate_acks < DUPLICATES_MAX { "" } else { "+" });
                }
                line.text("]");
            });
        }
    }

    /// Three decimals, the rest cut off.
    fn milliseconds(&mut self, ns: u64) {
        self.number(ns / 1_000_000);
        self.text(".");
        self.decimals::<3>((ns / 1000 % 1000) as u32);
    }

    /// Exactly N digits.
    #[inline(always)]
    pub fn decimals<const N: usize>(&mut self, value: u32) {
        let mut digits = [b'0'; N];
        let mut rest = value;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        self.out.put(digits, N);
    }

    /// The types of the chunks.
    #[inline(never)]
    pub fn sctp(&mut self, payload: &[u8]) {
        self.paint(self.palette.other, |line| line.text(" sctp"));
        let mut chunks = sctp_chunks(payload);
        let mut is_first = true;
        for kind in chunks.by_ref().take(CHUNKS_SHOWN_MAX) {
            self.text(if is_first { " [" } else { "," });
            is_first = false;
            match sctp_chunk_name(kind) {
                Some(name) => self.text(name),
                None => self.pair("chunk ", kind.into()),
            }
        }
        if !is_first {
            let rest = chunks.count();
            if rest > 0 {
                self.pair(",+", rest as u64);
            }
            self.text("]");
        }
        self.pair(" len=", payload.len() as u64);
    }
}
