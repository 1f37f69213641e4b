//! SYN segments: what one says that opens a connection or answers.
//!
//! Owns the look through the options of a SYN for the two that are kept. Knows nothing of connections. Its invariant: it finds what
//! [`parse_options`](super::parse_options) finds.

use super::view::be16;
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
    /// A place to write to.
    pub const NONE: Self = Self {
        sequence: 0,
        acknowledgment: 0,
        window: 0,
        flags: TcpFlags(0),
        announced: Announced { mss: None, window_scale: None },
    };

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
#[inline]
pub(super) fn announced(options: &[u8]) -> Option<Announced> {
    let mut found = Announced::default();
    let mut rest = options;
    // Nearly all senders align what they announce in the same few ways, so four bytes at a time tell what comes.
    while let Some(&word) = rest.first_chunk::<4>() {
        let word = u32::from_be_bytes(word);
        let len = match word >> 16 {
            0x0204 => 4,
            0x0103 if word >> 8 == 0x01_0303 => 4,
            0x0402 | 0x0101 => 2,
            0x080a => 10,
            _ => break,
        };
        let Some(behind) = rest.get(len..) else { break };
        match word >> 16 {
            0x0204 => found.mss = Some(word as u16),
            0x0103 => found.window_scale = Some(word as u8),
            _ => {}
        }
        rest = behind;
    }
    if rest.is_empty() { Some(found) } else { announced_one_by_one(rest, found) }
}

/// The same for whatever comes, beside what was `found` before it.
#[inline(never)]
fn announced_one_by_one(mut rest: &[u8], mut found: Announced) -> Option<Announced> {
    loop {
        rest = match *rest {
            [] | [0, ..] => return Some(found),
            [1, ref rest @ ..] => rest,
            [kind, len, ..] if len >= 2 => {
                let Some((option, rest)) = rest.split_at_checked(usize::from(len)) else { return Some(found) };
                match (kind, option.len()) {
                    (2, 4) => found.mss = option.first_chunk::<4>().map(|option| be16(option, 2)),
                    (3, 3) => found.window_scale = option.get(2).copied(),
                    (5, 10 | 18 | 26 | 34) => return None,
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
    use super::{Announced, announced};
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

    /// Linux with and without timestamps, its answer to Windows, Windows, macOS.
    #[test]
    fn what_systems_send_is_understood() {
        const TIMES: [u8; 10] = [8, 10, 1, 2, 3, 4, 5, 6, 7, 8];
        let linux = [&[2, 4, 5, 180, 4, 2][..], &TIMES, &[1, 3, 3, 7]].concat();
        let macos = [&[2, 4, 5, 180, 1, 3, 3, 7, 1, 1][..], &TIMES, &[4, 2, 0, 0]].concat();
        let answer = [2, 4, 5, 180, 1, 1, 4, 2, 1, 3, 3, 7];
        let windows = [2, 4, 5, 180, 1, 3, 3, 7, 1, 1, 4, 2];
        for options in [&linux[..], &macos, &answer, &windows] {
            agrees(options);
            assert_eq!(announced(options), Some(Announced { mss: Some(1460), window_scale: Some(7) }));
        }
    }
}
