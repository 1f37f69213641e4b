//! What the program counted since a socket took its queue over.
//!
//! Owns the difference between two readings. Asks nobody. Its one invariant: what a program counted for one
//! socket is not counted for the next one.

use netscope_bpf::xdp::VerdictCounts;

/// A reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RingReading {
    /// Of the queue.
    pub own: VerdictCounts,
    /// Packets that matched, on queues that the interface did not have when it was opened. Asked for by one
    /// backend of an interface.
    pub strays: u64,
}

impl RingReading {
    /// Where a capture begins that has just come to a new program: what passed before is not part of it.
    /// Nothing went to a socket before.
    pub(crate) fn begin(self) -> Self {
        Self { own: VerdictCounts { redirected: 0, unstamped: 0, untagged: 0, ..self.own }, ..self }
    }

    /// What came after `base`.
    pub(crate) fn since(&self, base: &Self) -> Self {
        let VerdictCounts { redirected, passed, dropped, no_socket, unstamped, untagged } = self.own;
        let before = &base.own;
        Self {
            own: VerdictCounts {
                redirected: redirected.saturating_sub(before.redirected),
                passed: passed.saturating_sub(before.passed),
                dropped: dropped.saturating_sub(before.dropped),
                no_socket: no_socket.saturating_sub(before.no_socket),
                unstamped: unstamped.saturating_sub(before.unstamped),
                untagged: untagged.saturating_sub(before.untagged),
            },
            strays: self.strays.saturating_sub(base.strays),
        }
    }

    /// Matching packets that met no socket: the host has them.
    pub(crate) const fn missed(&self) -> u64 {
        self.own.no_socket + self.strays
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_before_is_not_counted() {
        let own = VerdictCounts { redirected: 5, passed: 7, dropped: 2, no_socket: 3, unstamped: 1, untagged: 1 };
        let first = RingReading { own, strays: 4 };
        assert_eq!(first.since(&first), RingReading::default());
        assert_eq!(first.since(&RingReading::default()), first);
        let mut later = first;
        later.own += &own;
        later.strays += 6;
        assert_eq!(later.since(&first), RingReading { own, strays: 6 });
        assert_eq!(later.since(&first).missed(), 9);
    }

    #[test]
    fn what_went_to_the_socket_already_counts() {
        let tally = RingReading {
            own: VerdictCounts { redirected: 5, passed: 7, dropped: 2, no_socket: 3, unstamped: 1, untagged: 1 },
            strays: 4,
        };
        let since = tally.since(&tally.begin());
        assert_eq!(
            (since.own, since.strays),
            (VerdictCounts { redirected: 5, unstamped: 1, untagged: 1, ..VerdictCounts::default() }, 0)
        );
    }
}
