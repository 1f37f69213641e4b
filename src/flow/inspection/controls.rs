//! Control connections that stay watched after their protocol is known, as they announce other flows (FTP, SIP).
//!
//! Owns which flows these are, and how much of each was looked at. Invariants: at most `count_max` flows at a time, of which the one that was
//! silent for longest makes room for a new one; at most `bytes_max` bytes of payload of each.

use crate::app::ControlProtocol;
use std::collections::{BTreeMap, HashMap};

/// A control connection.
struct FollowedControl {
    protocol: ControlProtocol,
    /// Payload that may still come.
    bytes_left: usize,
    /// When it had payload last, as a number in the order of all payload.
    used: u64,
}

/// All of one table.
#[derive(Default)]
pub(super) struct FollowedControls {
    by_place: HashMap<u32, FollowedControl>,
    by_use: BTreeMap<u64, u32>,
    uses: u64,
}

impl FollowedControls {
    /// The flow at a place is followed from now on, with so many bytes of payload. The place of the one that had to go for it, if one had to.
    pub fn follow(&mut self, place: u32, protocol: ControlProtocol, bytes_max: usize, count_max: usize) -> Option<u32> {
        self.forget(place);
        if count_max == 0 {
            return Some(place);
        }
        self.uses += 1;
        let used = self.uses;
        self.by_place.insert(place, FollowedControl { protocol, bytes_left: bytes_max, used });
        self.by_use.insert(used, place);
        let (_, gone) = (self.by_use.len() > count_max).then(|| self.by_use.pop_first()).flatten()?;
        self.by_place.remove(&gone);
        Some(gone)
    }

    /// The flow at a place had a packet with so many bytes of payload. `None`: it is not followed any more, as it had too many.
    pub fn payload(&mut self, place: u32, len: usize) -> Option<ControlProtocol> {
        let control = self.by_place.get_mut(&place)?;
        match control.bytes_left.checked_sub(len) {
            Some(left) => {
                control.bytes_left = left;
                // The latest one is so already.
                if control.used != self.uses {
                    self.uses += 1;
                    self.by_use.remove(&control.used);
                    control.used = self.uses;
                    self.by_use.insert(control.used, place);
                }
                Some(control.protocol)
            }
            None => {
                self.forget(place);
                None
            }
        }
    }

    /// The flow at a place is over.
    pub fn forget(&mut self, place: u32) {
        if let Some(control) = self.by_place.remove(&place) {
            self.by_use.remove(&control.used);
        }
    }

    /// Bytes of memory, about.
    pub fn memory_bytes(&self) -> usize {
        self.by_place.capacity() * size_of::<(u32, FollowedControl)>() + self.by_use.len() * 2 * size_of::<(u64, u32)>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_silent_goes_and_each_has_a_limit() {
        let mut controls = FollowedControls::default();
        for place in 0..3 {
            assert_eq!(controls.follow(place, ControlProtocol::Ftp, 10, 3), None);
        }
        assert_eq!(controls.follow(0, ControlProtocol::Ftp, 10, 3), None, "it is followed already");
        assert_eq!(controls.payload(1, 0), Some(ControlProtocol::Ftp));
        assert_eq!(controls.follow(7, ControlProtocol::Sip, 10, 3), Some(2), "1 was used since");
        assert_eq!([0, 1, 2, 7].map(|place| controls.payload(place, 10).is_some()), [true, true, false, true]);
        assert_eq!(controls.payload(7, 1), None);
        assert_eq!(controls.payload(0, 0), Some(ControlProtocol::Ftp));
        [0, 1].into_iter().for_each(|place| controls.forget(place));
        assert!(controls.by_place.is_empty() && controls.by_use.is_empty());
        assert_eq!(controls.follow(9, ControlProtocol::Sip, 10, 0), Some(9));
    }
}
