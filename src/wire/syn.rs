//! SYN segments: what one says that opens a connection or answers.
//!
//! Owns the look through the options of a SYN for the two that are kept. Knows nothing of connections. Its invariant: it finds what
//! [`parse_options`](super::parse_options) finds.

use super::view::{be16, be32};
use super::{TcpFlags, TcpSegment};

/// What the sequence analysis asks of a SYN or SYN-ACK: no FIN or RST, no data, no SACK blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SynSegment {
    /// Sequence number of the SYN itself.
    pub sequence: u32,
    /// Acknowledgment number; meaningless without the ACK flag.
    pub acknowledgment: u32,
    /// Window as sent, unscaled.
    pub window: u16,
    /// Control bits.
    pub flags: TcpFlags,
    /// What its options announce.
    pub announced: Announced,
}

/// Options of a SYN that are kept (RFC 9293 section 3.7.1, RFC 7323 section 2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Announced {
    /// Maximum segment size in bytes.
    pub mss: Option<u16>,
    /// Window shift count as sent.
    pub window_scale: Option<u8>,
}

/// The flags that tell: of these such a segment has SYN alone.
const TELLING: TcpFlags = TcpFlags(TcpFlags::SYN.0 | TcpFlags::FIN.0 | TcpFlags::RST.0);

impl SynSegment {
    /// True when a segment with these flags and so much data may be one.
    #[inline(always)]
    pub(super) const fn is_one(flags: TcpFlags, payload_len: u32) -> bool {
        flags.0 & TELLING.0 == TcpFlags::SYN.0 && payload_len == 0
    }

    /// The same of a dissected segment, where it is one.
    #[inline]
    pub fn of(segment: &TcpSegment) -> Option<Self> {
        let &TcpSegment { sequence, acknowledgment, window, flags, payload_len, ref options, .. } = segment;
        let announced = Announced { mss: options.mss, window_scale: options.window_scale };
        let is_one = Self::is_one(flags, payload_len) && options.sack_count == 0;
        is_one.then_some(Self { sequence, acknowledgment, window, flags, announced })
    }

    /// A SYN-ACK.
    #[inline(always)]
    pub const fn is_answer(&self) -> bool {
        self.flags.has(TcpFlags::ACK)
    }
}

/// What these options announce; `None` where there are SACK blocks, which no SYN should have.
#[inline(always)]
pub(super) fn announced(options: &[u8]) -> Option<Announced> {
    match in_usual_order(options) {
        Some((mss, shift)) => Some(Announced { mss: Some(mss), window_scale: Some(shift) }),
        None => one_by_one(options),
    }
}

/// Segment size and window shift count of options in one of the orders that nearly all systems send; words of 32 bits at once.
#[inline(always)]
fn in_usual_order(options: &[u8]) -> Option<(u16, u8)> {
    const NOP_SCALE: u32 = 0x01_0303;
    const NOPS_SACK: u32 = 0x0101_0402;
    const SACK_TIMES: u32 = 0x0402_080a;
    const SACK_NOP_SCALE: u32 = 0x0402_0103;
    const NOPS_TIMES: u32 = 0x0101_080a;
    let first = options.first_chunk::<4>()?;
    if be16(first, 0) != 0x0204 {
        return None;
    }
    let shift = if let Ok(all) = <&[u8; 12]>::try_from(options) {
        let (second, third) = (be32(all, 4), be32(all, 8));
        // Windows; what Linux answers to it; what has the scale between two and three NOPs.
        match (second >> 8, second, third) {
            (NOP_SCALE, _, NOPS_SACK) => second as u8,
            (_, NOPS_SACK, _) if third >> 8 == NOP_SCALE => third as u8,
            (_, SACK_NOP_SCALE, _) if third & 0xff00_ffff == 0x0300_0101 => (third >> 16) as u8,
            _ => return None,
        }
    } else if let Ok(all) = <&[u8; 20]>::try_from(options) {
        let (second, third, last) = (be32(all, 4), be32(all, 8), be32(all, 16));
        // Linux; the BSDs.
        match (second, second >> 8) {
            (SACK_TIMES, _) if last >> 8 == NOP_SCALE => last as u8,
            (_, NOP_SCALE) if third == SACK_TIMES => second as u8,
            _ => return None,
        }
    } else {
        let all = <&[u8; 24]>::try_from(options).ok()?;
        let second = be32(all, 4);
        // macOS, with the end of the list behind.
        let is_usual = second >> 8 == NOP_SCALE && be32(all, 8) == NOPS_TIMES && be32(all, 20) >> 8 == 0x04_0200;
        is_usual.then_some(second as u8)?
    };
    Some((be16(first, 2), shift))
}

/// The same for any options.
#[inline(never)]
fn one_by_one(mut rest: &[u8]) -> Option<Announced> {
    let mut found = Announced::default();
    loop {
        rest = match *rest {
            [] | [0, ..] => return Some(found),
            [1, ref rest @ ..] => rest,
            [kind, len, ..] if len >= 2 => {
                let Some((option, rest)) = rest.split_at_checked(usize::from(len)) else { return Some(found) };
                match *option {
                    [2, 4, a, b] => found.mss = Some(u16::from_be_bytes([a, b])),
                    [3, 3, shift] => found.window_scale = Some(shift),
                    _ if kind == 5 && matches!(len, 10 | 18 | 26 | 34) => return None,
                    _ => {}
                }
                rest
            }
            _ => return Some(found),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::{Announced, announced, in_usual_order};
    use crate::wire::parse_options;
    use proptest::prelude::*;

    fn agrees(options: &[u8]) {
        let all = parse_options(options);
        let expected = Announced { mss: all.mss, window_scale: all.window_scale };
        assert_eq!(announced(options), (all.sack_count == 0).then_some(expected), "{options:02x?}");
    }

    /// One option, whole or with a length of its own.
    fn option() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            3 => Just(vec![1]),
            1 => Just(vec![0]),
            4 => any::<[u8; 2]>().prop_map(|[a, b]| vec![2, 4, a, b]),
            4 => any::<u8>().prop_map(|shift| vec![3, 3, shift]),
            2 => Just(vec![4, 2]),
            2 => any::<[u8; 8]>().prop_map(|times| [&[8, 10][..], &times].concat()),
            1 => proptest::collection::vec(any::<u8>(), 8).prop_map(|block| [&[5, 10][..], &block].concat()),
            1 => (0..10u8, 0..12u8, proptest::collection::vec(any::<u8>(), 0..10)).prop_map(|(kind, len, body)| [&[kind, len][..], &body].concat()),
        ]
    }

    proptest! {
        #[test]
        fn the_look_finds_what_the_parser_finds(options in proptest::collection::vec(option(), 0..8)) {
            let mut options = options.concat();
            options.truncate(40);
            agrees(&options);
        }
    }

    /// The usual orders, with room for a size, a shift count and times.
    fn usual(size: [u8; 2], shift: u8, times: [u8; 8]) -> [Vec<u8>; 6] {
        let [a, b] = size;
        [
            [&[2, 4, a, b, 4, 2, 8, 10][..], &times, &[1, 3, 3, shift]].concat(),
            [&[2, 4, a, b, 1, 3, 3, shift, 4, 2, 8, 10][..], &times].concat(),
            [&[2, 4, a, b, 1, 3, 3, shift, 1, 1, 8, 10][..], &times, &[4, 2, 0, 0]].concat(),
            vec![2, 4, a, b, 1, 3, 3, shift, 1, 1, 4, 2],
            vec![2, 4, a, b, 1, 1, 4, 2, 1, 3, 3, shift],
            vec![2, 4, a, b, 4, 2, 1, 3, 3, shift, 1, 1],
        ]
    }

    proptest! {
        /// They are known at once; and one byte changed is not taken for what it was.
        #[test]
        fn usual_orders_are_known(size in any::<[u8; 2]>(), shift in any::<u8>(), times in any::<[u8; 8]>(), at in 0..24usize, byte in any::<u8>()) {
            for mut options in usual(size, shift, times) {
                prop_assert_eq!(in_usual_order(&options), Some((u16::from_be_bytes(size), shift)));
                agrees(&options);
                let at = at % options.len();
                options[at] = byte;
                agrees(&options);
                agrees(&options[..at]);
            }
        }
    }
}
