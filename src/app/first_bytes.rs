//! Which candidates the first bytes of both sides leave: one look at a table excludes most of them.
//!
//! Owns the table; a place is filled when it is asked for. Knows no protocol. Invariant: a candidate is left out only behind first bytes of
//! which it says no, and it then says no whatever follows them.

use std::sync::atomic::{AtomicU64, Ordering};

/// A set of up to [`CandidateSet::COUNT_MAX`] candidates, by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CandidateSet(u64);

impl CandidateSet {
    /// Candidates at most.
    pub const COUNT_MAX: usize = 63;
    /// Nobody.
    pub const NONE: Self = Self(0);

    /// Everybody.
    pub const ALL: Self = Self(FILLED - 1);

    /// The candidates for which it holds.
    ///
    /// # Panics
    /// When there are more than [`CandidateSet::COUNT_MAX`].
    pub fn of(count: usize, holds: impl Fn(usize) -> bool) -> Self {
        assert!(count <= Self::COUNT_MAX);
        Self((0..count).filter(|&number| holds(number)).fold(0, |set, number| set | 1 << number))
    }

    /// In either set.
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// In both sets.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// In this set and not in the other one.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Their numbers in order.
    pub fn numbers(self) -> impl Iterator<Item = usize> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let number = left.trailing_zeros() as usize;
            left &= left.checked_sub(1)?;
            Some(number)
        })
    }
}

/// What a side may begin with: a byte, or nothing yet.
const BEGINNINGS: usize = 257;
/// The place was filled.
const FILLED: u64 = 1 << CandidateSet::COUNT_MAX;

/// The candidates that are left, by the first bytes of client and server: half a megabyte, of which few pages are ever touched.
pub(crate) struct FirstBytes {
    count: usize,
    is_possible: fn(usize, &[u8], &[u8]) -> bool,
    sets: [AtomicU64; BEGINNINGS * BEGINNINGS],
}

impl FirstBytes {
    /// Of `count` candidates. `is_possible`: whether the candidate of a number may be behind the client's bytes and the server's.
    pub const fn new(count: usize, is_possible: fn(usize, &[u8], &[u8]) -> bool) -> Self {
        assert!(count <= CandidateSet::COUNT_MAX);
        Self { count, is_possible, sets: [const { AtomicU64::new(0) }; BEGINNINGS * BEGINNINGS] }
    }

    /// Those that are left behind these bytes.
    pub fn left(&self, client: &[u8], server: &[u8]) -> CandidateSet {
        let place = |side: &[u8]| side.first().map_or(BEGINNINGS - 1, |&byte| usize::from(byte));
        let set = &self.sets[place(client) * BEGINNINGS + place(server)];
        match set.load(Ordering::Relaxed) {
            0 => self.fill(set, client, server),
            filled => CandidateSet(filled & !FILLED),
        }
    }

    #[cold]
    fn fill(&self, set: &AtomicU64, client: &[u8], server: &[u8]) -> CandidateSet {
        let (client, server) = (&client[..client.len().min(1)], &server[..server.len().min(1)]);
        let left = CandidateSet::of(self.count, |number| (self.is_possible)(number, client, server));
        // Whoever else fills it at the same time finds the same.
        set.store(left.0 | FILLED, Ordering::Relaxed);
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 0 begins with a client's A, 1 with a server's B, 2 with either of them, 3 with anything.
    static FIRST: FirstBytes = FirstBytes::new(4, |number, client, server| {
        let [asks, answers] = [client.is_empty() || client == b"A", server.is_empty() || server == b"B"];
        match number {
            0 => asks,
            1 => answers,
            2 => asks || answers,
            _ => true,
        }
    });

    #[test]
    fn first_bytes_leave_those_that_are_possible() {
        let left = |client: &[u8], server: &[u8]| FIRST.left(client, server).numbers().collect::<Vec<_>>();
        for _ in 0..2 {
            assert_eq!(left(b"A", b""), [0, 1, 2, 3]);
            assert_eq!(left(b"Ax", b"x"), [0, 2, 3]);
            assert_eq!(left(b"xA", b"B"), [1, 2, 3]);
            assert_eq!(left(b"x", b"x"), [3]);
            assert_eq!(left(b"\xff", b"\xff"), [3]);
            assert_eq!(left(b"", b""), [0, 1, 2, 3]);
        }
        static NOBODY: FirstBytes = FirstBytes::new(63, |_, _, _| false);
        assert_eq!((NOBODY.left(b"x", b""), NOBODY.left(b"x", b"")), (CandidateSet::NONE, CandidateSet::NONE));
    }

    #[test]
    fn sets() {
        let even = CandidateSet::of(63, |number| number % 2 == 0);
        assert_eq!(even.numbers().count(), 32);
        assert_eq!(even.numbers().last(), Some(62));
        assert_eq!(even.without(even), CandidateSet::NONE);
        assert_eq!(even.and(CandidateSet::of(3, |_| true)).numbers().collect::<Vec<_>>(), [0, 2]);
    }
}
