//! Which candidates the first byte of each side leaves: most of them are excluded by one look.
//!
//! Owns the table, which is learnt from the candidates. Knows no protocol. Invariant: a candidate is excluded only by a byte behind which
//! it says no whatever follows.

/// A set of up to 64 candidates, by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CandidateSet(u64);

impl CandidateSet {
    /// Nobody.
    pub const NONE: Self = Self(0);

    /// The candidates for which it holds.
    ///
    /// # Panics
    /// When there are more than 64 candidates.
    pub fn of(count: usize, holds: impl Fn(usize) -> bool) -> Self {
        assert!(count <= 64);
        Self((0..count).filter(|&number| holds(number)).fold(0, |set, number| set | 1 << number))
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

    /// In either set.
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// In both sets.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

/// The candidates that are left, by the first byte of the client and by that of the server.
pub(crate) struct FirstBytes {
    all: CandidateSet,
    client: [CandidateSet; 256],
    server: [CandidateSet; 256],
}

impl FirstBytes {
    /// Asks each of `count` candidates whether it is possible behind each byte: its number, the client's byte or none, the server's.
    ///
    /// # Panics
    /// When there are more than 64 candidates.
    pub fn learn(count: usize, is_possible: impl Fn(usize, &[u8], &[u8]) -> bool) -> Self {
        assert!(count <= 64);
        let set = |is_in: &dyn Fn(usize) -> bool| {
            CandidateSet((0..count).filter(|&number| is_in(number)).fold(0, |set, number| set | 1 << number))
        };
        let by = |is_in: &dyn Fn(usize, &[u8]) -> bool| std::array::from_fn(|byte| set(&|number| is_in(number, &[byte as u8])));
        Self {
            all: set(&|_| true),
            client: by(&|number, byte| is_possible(number, byte, &[])),
            server: by(&|number, byte| is_possible(number, &[], byte)),
        }
    }

    /// Those that the client's bytes leave; where there are none yet, nobody.
    pub fn of_client(&self, client: &[u8]) -> Option<CandidateSet> {
        client.first().map(|&byte| self.client[usize::from(byte)])
    }

    /// The same of the server's.
    pub fn of_server(&self, server: &[u8]) -> Option<CandidateSet> {
        server.first().map(|&byte| self.server[usize::from(byte)])
    }

    /// Those for which each side that has spoken has to fit.
    pub fn by_both(&self, client: &[u8], server: &[u8]) -> CandidateSet {
        let client = self.of_client(client).unwrap_or(self.all);
        client.and(self.of_server(server).unwrap_or(self.all))
    }

    /// Those for which it is enough that one side fits.
    pub fn by_either(&self, client: &[u8], server: &[u8]) -> CandidateSet {
        match (self.of_client(client), self.of_server(server)) {
            (Some(client), Some(server)) => client.or(server),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => self.all,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_leaves_those_that_are_possible_behind_it() {
        // 0 begins with a client's A, 1 with a server's B, 2 with anything.
        let first = FirstBytes::learn(3, |number, client, server| match number {
            0 => client.is_empty() || client == b"A",
            1 => server.is_empty() || server == b"B",
            _ => true,
        });
        let names = |set: CandidateSet| set.numbers().collect::<Vec<_>>();
        assert_eq!(names(first.by_both(b"A", b"")), [0, 1, 2]);
        assert_eq!(names(first.by_both(b"A", b"x")), [0, 2]);
        assert_eq!(names(first.by_both(b"xA", b"B")), [1, 2]);
        assert_eq!(names(first.by_either(b"x", b"x")), [0, 1, 2]);
        assert_eq!(names(first.by_either(b"x", b"")), [1, 2]);
        assert_eq!(names(first.by_both(b"", b"")), names(first.by_either(b"", b"")));
        assert!(names(FirstBytes::learn(1, |_, _, _| false).by_both(b"x", b"")).is_empty());
    }
}
