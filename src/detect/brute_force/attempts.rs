//! What is known of the connections to a login service. Sums and unions.

use crate::detect::{Contact, DistinctSet, KeyEvidence, SamplePacket, SamplePackets, SeenSpan};
use netscope_backends::Timestamp;

/// A connection that was closed.
#[derive(Clone, Copy, Debug)]
pub(super) struct LoginConnection {
    pub sample: SamplePacket,
    pub began: Timestamp,
    pub ended: Timestamp,
    /// Of both directions.
    pub bytes: u64,
    /// Longer or larger than a login that failed.
    pub is_session: bool,
}

/// Classes of sizes: two to each power of two, from 256 bytes on.
const SIZE_CLASSES: usize = 16;
const SIZE_BITS_MIN: u32 = 8;

fn size_class(bytes: u64) -> usize {
    let bits = bytes.max(1).ilog2();
    let Some(octave) = bits.checked_sub(SIZE_BITS_MIN) else { return 0 };
    let is_upper = bytes >> (bits - 1) & 1;
    (2 * octave as usize + is_upper as usize).min(SIZE_CLASSES - 1)
}

/// Attempts are alike when so many of four are in two neighbouring classes of sizes.
const ALIKE_OF_FOUR: u64 = 3;
/// So many attempts at least for each session, or it is somebody at work.
const ATTEMPTS_PER_SESSION: u64 = 2;

/// What is known of the logins that were tried.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoginAttempts {
    /// Of the attempts.
    pub(super) span: SeenSpan,
    pub(super) attempts: u64,
    /// Of the attempts, both directions.
    pub(super) bytes: u64,
    sizes: [u32; SIZE_CLASSES],
    pub(super) sessions: u64,
    /// When the latest session began.
    session_began: Timestamp,
    /// The other hosts, of a server or of a source, with their attempts.
    pub(super) peers: DistinctSet,
    pub(super) samples: SamplePackets,
}

impl LoginAttempts {
    /// Notes a connection; what memory grew by, in bytes.
    pub(super) fn note(&mut self, connection: &LoginConnection, peer: Option<(u64, Contact)>) -> usize {
        if connection.is_session {
            self.sessions += 1;
            self.session_began = self.session_began.max(connection.began);
            return 0;
        }
        self.span.note(connection.began);
        self.span.note(connection.ended);
        self.attempts += 1;
        self.bytes += connection.bytes;
        self.sizes[size_class(connection.bytes)] += 1;
        peer.map_or(0, |(rank, contact)| self.peers.insert(rank, contact, 1)) + self.samples.note(connection.sample)
    }

    /// Failures of one service by one program differ by little more than the length of names.
    pub(super) fn are_alike(&self) -> bool {
        let most = self.sizes.windows(2).map(|two| u64::from(two[0]) + u64::from(two[1])).max().unwrap_or(0);
        most * 4 >= self.attempts * ALIKE_OF_FOUR
    }

    pub(super) fn has_few_sessions(&self) -> bool {
        self.sessions * ATTEMPTS_PER_SESSION <= self.attempts
    }

    /// A session began after the first attempt.
    pub(super) fn has_session_after(&self) -> bool {
        self.sessions > 0 && self.session_began >= self.span.first()
    }
}

impl KeyEvidence for LoginAttempts {
    fn merge(&mut self, other: &Self) -> usize {
        self.span.merge(other.span);
        self.attempts += other.attempts;
        self.bytes += other.bytes;
        self.sizes.iter_mut().zip(other.sizes).for_each(|(own, more)| *own = own.saturating_add(more));
        self.sessions += other.sessions;
        self.session_began = self.session_began.max(other.session_began);
        self.peers.merge(&other.peers) + self.samples.merge(&other.samples)
    }

    fn merge_answers(&mut self, _later: &Self) {}

    fn clear(&mut self) {
        self.peers.clear();
        self.samples.clear();
        let samples = std::mem::take(&mut self.samples);
        *self = Self { samples, ..Self::default() };
    }

    fn weight(&self) -> u64 {
        self.attempts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::EvidenceHash;
    use crate::flow::{Direction, FlowKey, HostAddress};
    use proptest::prelude::*;

    fn connection(number: u64, bytes: u64, is_session: bool) -> LoginConnection {
        let sample = SamplePacket { number, key: FlowKey::BLANK, initiator: Direction::AToB };
        let began = Timestamp(1_000 + number * 10);
        LoginConnection { sample, began, ended: began.plus(5), bytes, is_session }
    }

    fn noted<'a>(all: impl IntoIterator<Item = &'a (u64, u64, bool, u8)>) -> LoginAttempts {
        let hash = EvidenceHash::fixed();
        let mut attempts = LoginAttempts::default();
        for &(number, bytes, is_session, host) in all {
            let contact = Contact { host: HostAddress::v4([10, 0, 0, host]), port: 0 };
            attempts.note(&connection(number, bytes, is_session), Some((hash.rank(&contact), contact)));
        }
        attempts
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_order_and_any_parts_give_the_same(
            all in prop::collection::vec((0_u64..500, 0_u64..100_000, any::<bool>(), any::<u8>()), 0..200),
            shares in prop::collection::vec(0_usize..4, 200),
        ) {
            let whole = noted(&all);
            let parts: Vec<_> = (0..4)
                .map(|part| noted(all.iter().zip(&shares).filter(|(_, share)| **share == part).map(|(one, _)| one)))
                .collect();
            for order in [[0, 1, 2, 3], [3, 1, 0, 2]] {
                let mut merged = LoginAttempts::default();
                order.iter().for_each(|&part| { merged.merge(&parts[part]); });
                prop_assert_eq!(&merged, &whole);
            }
            prop_assert_eq!(noted(all.iter().rev()), whole.clone());
            let mut cleared = whole;
            cleared.clear();
            prop_assert_eq!(cleared, LoginAttempts::default());
        }
    }

    #[test]
    fn classes_of_sizes_are_half_powers_of_two() {
        let sizes = [0, 255, 256, 383, 384, 511, 512, 767, 768, 1024, u64::MAX];
        assert_eq!(sizes.map(size_class), [0, 0, 0, 0, 1, 1, 2, 2, 3, 4, 15]);
    }

    #[test]
    fn alike_means_three_of_four_within_about_a_factor_of_two() {
        let of = |sizes: &[u64]| {
            let all: Vec<_> = sizes.iter().enumerate().map(|(number, &bytes)| (number as u64, bytes, false, 1)).collect();
            noted(&all).are_alike()
        };
        assert!(of(&[1500, 1510, 1700, 20_000]) && of(&[700, 800, 900, 1000]));
        assert!(!of(&[1500, 1510, 9000, 20_000]) && !of(&[500, 1000, 2000, 4000]));
    }

    #[test]
    fn a_session_counts_as_one_that_came_after() {
        assert!(!noted(&[(1, 9, true, 1), (5, 9, false, 1)]).has_session_after(), "it came before");
        let after = noted(&[(9, 9, true, 1), (5, 9, false, 1), (6, 9, false, 1)]);
        assert!(after.has_session_after() && after.has_few_sessions());
        assert!(!noted(&[(9, 9, true, 1), (5, 9, false, 1)]).has_few_sessions());
    }
}
