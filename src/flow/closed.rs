//! Connections whose records ended lately: what comes late for one of them belongs to its end and is no new flow.
//!
//! Owns a fixed number of places. Knows no table, no packet and no key but its hash. Its invariants: memory is reserved at the start; what
//! is remembered is forgotten after [`REMEMBERED_NS`], or before that when its set is full, which is counted.

use netscope_backends::Timestamp;

/// For how long after the end of its record a connection is remembered: 60 s, the time that Linux keeps TIME-WAIT
/// (`include/net/tcp.h`, TCP_TIMEWAIT_LEN; RFC 9293 section 3.4.2 has twice the maximum segment lifetime).
pub const REMEMBERED_NS: u64 = 60 * Timestamp::NS_PER_SEC;

/// Connections in a set.
const WAYS: usize = 4;
/// Sets at least, and at most: 4 KiB and 16 MiB.
const SET_COUNTS: (usize, usize) = (1 << 6, 1 << 18);
/// Sets of a table without a bound: 4 MiB.
const SET_COUNT_UNBOUNDED: usize = 1 << 16;

/// Hashes of connections and until when they are remembered, 16 bytes each.
pub(super) struct RecentlyClosed {
    /// A cache line each: first the hashes, then the times in ns, of which 0 means that the place is free.
    sets: Vec<[[u64; WAYS]; 2]>,
    forgotten: u64,
    /// Until when any is remembered at most.
    latest: u64,
}

impl RecentlyClosed {
    /// As many places as the table has flows (0: no bound), rounded up, within the limits above. Untouched memory is not resident.
    pub fn new(flow_count_max: usize) -> Self {
        let (least, most) = SET_COUNTS;
        let count = match flow_count_max {
            0 => SET_COUNT_UNBOUNDED,
            flows => flows.div_ceil(WAYS).clamp(least, most).next_power_of_two(),
        };
        Self { sets: vec![[[0; WAYS]; 2]; count], forgotten: 0, latest: 0 }
    }

    fn set(&mut self, hash: u64) -> &mut [[u64; WAYS]; 2] {
        let at = hash as usize & (self.sets.len() - 1);
        &mut self.sets[at]
    }

    /// The record of a connection ended `at`; it is now `now`.
    pub fn remember(&mut self, hash: u64, at: Timestamp, now: Timestamp) {
        let until = at.plus(REMEMBERED_NS).0;
        if until < now.0 {
            return;
        }
        self.latest = self.latest.max(until);
        let [hashes, times] = self.set(hash);
        let mut best = 0;
        for way in 0..WAYS {
            if hashes[way] == hash && times[way] != 0 {
                best = way;
                break;
            }
            if times[way] < times[best] {
                best = way;
            }
        }
        let is_lost = hashes[best] != hash && times[best] >= now.0.max(1);
        (hashes[best], times[best]) = (hash, until);
        self.forgotten += u64::from(is_lost);
    }

    /// Another connection with this hash has ended without being closed, and it is now `now`.
    pub fn forget(&mut self, hash: u64, now: Timestamp) {
        if self.latest < now.0 {
            return;
        }
        let [hashes, times] = self.set(hash);
        for (_, time) in hashes.iter().zip(times).filter(|(other, _)| **other == hash) {
            *time = 0;
        }
    }

    /// True when the record of this connection ended no longer ago than it is remembered.
    pub fn knows(&mut self, hash: u64, now: Timestamp) -> bool {
        let [hashes, times] = self.set(hash);
        hashes.iter().zip(times).any(|(&other, &mut until)| other == hash && until != 0 && now.0 <= until)
    }

    /// Connections that were forgotten before their time.
    pub const fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Bytes of all places.
    pub const fn memory_bytes(&self) -> usize {
        self.sets.len() * size_of::<[[u64; WAYS]; 2]>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    const SECOND: u64 = Timestamp::NS_PER_SEC;

    proptest! {
        /// Against a map: nothing is known that is not there, and what is missing was counted.
        #[test]
        fn behaves_like_a_map_that_may_forget(steps in prop::collection::vec((0..3u8, 0..400u64, 0..3 * SECOND), 1..400)) {
            let (mut closed, mut model, mut now) = (RecentlyClosed::new(16), HashMap::new(), 100 * SECOND);
            let mut missing = 0;
            for (what, connection, wait) in steps {
                now += wait;
                // Few sets are met, so that some are full.
                let hash = connection << 5;
                match what {
                    0 => {
                        closed.remember(hash, Timestamp(now - wait), Timestamp(now));
                        model.insert(hash, now - wait + REMEMBERED_NS);
                    }
                    1 => {
                        closed.forget(hash, Timestamp(now));
                        model.remove(&hash);
                    }
                    _ => {}
                }
                let expected = model.get(&hash).is_some_and(|&until| now <= until);
                let known = closed.knows(hash, Timestamp(now));
                prop_assert!(expected || !known);
                missing += u64::from(expected && !known);
            }
            prop_assert!(missing == 0 || closed.forgotten() > 0);
        }
    }

    #[test]
    fn nothing_is_forgotten_before_its_time_while_there_is_room() {
        let mut closed = RecentlyClosed::new(16);
        for connection in 0..WAYS as u64 {
            closed.remember(connection << 32, Timestamp(SECOND), Timestamp(SECOND));
        }
        let end = SECOND + REMEMBERED_NS;
        assert!((0..4).all(|connection| closed.knows(connection << 32, Timestamp(end))));
        assert!(!(0..4).any(|connection| closed.knows(connection << 32, Timestamp(end + 1))));
        // Those that are over make room.
        closed.remember(9 << 32, Timestamp(end + 1), Timestamp(end + 1));
        assert_eq!(closed.forgotten(), 0);
        for connection in 10..14 {
            closed.remember(connection << 32, Timestamp(end + 2), Timestamp(end + 2));
        }
        assert_eq!(closed.forgotten(), 1, "the set has four places");
        closed.remember(13 << 32, Timestamp(end + 3), Timestamp(end + 3));
        assert_eq!(closed.forgotten(), 1, "the same again takes no place");
        closed.remember(20 << 32, Timestamp(0), Timestamp(end + 3));
        assert!(!closed.knows(20 << 32, Timestamp(end + 3)), "it was long over");
    }
}
