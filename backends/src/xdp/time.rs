//! What a packet's time is.
//!
//! Owns the choice among the batch's time, the program's and the card's. Knows no ring. Its one invariant: a
//! card's time is taken only where it agrees with the program's to a second.
//!
//! A card's clock says what it was set to: time since 1970, TAI, or anything (since it was switched on). The
//! program's time tells which.

use netscope_bpf::xdp::PacketStamp;

use crate::Timestamp;

/// Farthest that a card's time may be from the program's.
const APART_MAX_NS: u64 = 1_000_000_000;

/// Where a packet's time comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PacketClock {
    /// One reading per batch.
    Batch,
    /// What the program wrote in front of the packet: the card's time, else its own.
    Packet {
        /// Nanoseconds to add to the program's clock to have time since 1970 (wrapping).
        offset_ns: u64,
    },
}

/// The stamps of a queue's packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamps {
    /// The newest time that the program wrote. Packets of a queue are in order, so an older one is left from
    /// an earlier packet that was in the same memory.
    newest_ns: u64,
    /// Packets that have the program's time.
    pub by_program: u64,
    /// Packets that have the card's.
    pub by_card: u64,
}

/// A stamp that lies this much in the future says that the clock was set back.
const SET_BACK_NS: u64 = 1_000_000_000;

impl Stamps {
    /// Forgets the newest time where the clock was set back since: it would make every stamp look old until
    /// the clock is there again.
    pub(crate) fn forget_future(&mut self, clock: PacketClock, now: &dyn Fn() -> Timestamp) {
        if let PacketClock::Packet { offset_ns } = clock
            && self.newest_ns > now().0.wrapping_sub(offset_ns).saturating_add(SET_BACK_NS)
        {
            self.newest_ns = 0;
        }
    }

    /// The time that stands in front of a packet, if the program writes one and wrote this one.
    #[inline]
    pub(crate) fn time(&mut self, before: &[u8], clock: PacketClock) -> Option<Timestamp> {
        let (PacketClock::Packet { offset_ns }, Some(before)) = (clock, before.first_chunk()) else { return None };
        let stamp = PacketStamp::read(before).filter(|stamp| stamp.time_ns >= self.newest_ns)?;
        self.newest_ns = stamp.time_ns;
        let time_ns = stamp.time_ns.wrapping_add(offset_ns);
        let card_ns = card_time(stamp, time_ns, offset_ns);
        *(if card_ns.is_some() { &mut self.by_card } else { &mut self.by_program }) += 1;
        Some(Timestamp(card_ns.unwrap_or(time_ns)))
    }
}

/// The card's time since 1970, where its clock tells that or runs with the program's (TAI).
fn card_time(stamp: PacketStamp, time_ns: u64, offset_ns: u64) -> Option<u64> {
    let card_ns = stamp.hardware_ns;
    if card_ns == 0 {
        return None; // not told; a time this early is none
    }
    if card_ns.abs_diff(time_ns) <= APART_MAX_NS {
        return Some(card_ns);
    }
    (card_ns.abs_diff(stamp.time_ns) <= APART_MAX_NS).then(|| card_ns.wrapping_add(offset_ns))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 37 seconds between TAI and time since 1970.
    const OFFSET_NS: u64 = 37_000_000_000_u64.wrapping_neg();
    const TAI_NS: u64 = 1_800_000_037_000_000_000;
    const NOW_NS: u64 = 1_800_000_000_000_000_000;

    fn time(stamps: &mut Stamps, time_ns: u64, hardware_ns: u64) -> Option<u64> {
        let before = [time_ns, hardware_ns, u64::from(PacketStamp::MARK)].map(u64::to_ne_bytes).concat();
        stamps.time(&before, PacketClock::Packet { offset_ns: OFFSET_NS }).map(|time| time.0)
    }

    #[test]
    fn the_cards_time_is_taken_where_its_clock_makes_sense() {
        let mut stamps = Stamps::default();
        for (hardware_ns, expected) in [
            (0, NOW_NS),
            (NOW_NS - 5_000, NOW_NS - 5_000),
            (TAI_NS - 5_000, NOW_NS - 5_000),
            (NOW_NS + APART_MAX_NS, NOW_NS + APART_MAX_NS),
            (NOW_NS - APART_MAX_NS - 1, NOW_NS),
            (123_456_789, NOW_NS),
            (u64::MAX, NOW_NS),
        ] {
            assert_eq!(time(&mut stamps, TAI_NS, hardware_ns), Some(expected), "{hardware_ns}");
        }
        assert_eq!((stamps.by_program, stamps.by_card), (4, 3));
    }

    #[test]
    fn what_is_older_than_the_last_is_left_over() {
        let mut stamps = Stamps::default();
        assert!(time(&mut stamps, TAI_NS, NOW_NS).is_some());
        assert_eq!(time(&mut stamps, TAI_NS - 1, NOW_NS), None);
        assert_eq!(time(&mut stamps, TAI_NS, NOW_NS), Some(NOW_NS));
        assert_eq!(stamps.time(&[0; PacketStamp::LEN], PacketClock::Packet { offset_ns: 0 }), None);
        assert_eq!(stamps.time(&[], PacketClock::Packet { offset_ns: 0 }), None);
        assert_eq!(stamps.time(&[0; PacketStamp::LEN], PacketClock::Batch), None);
        assert_eq!((stamps.by_program, stamps.by_card), (0, 2));
    }
}
