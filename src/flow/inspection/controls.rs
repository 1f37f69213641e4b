//! Control connections that stay watched after their protocol is known, as they announce other flows (FTP, SIP).
//!
//! Owns which flows these are, and how much of each was looked at. Invariants: at most `count_max` flows at a time, of which the oldest
//! makes room for a new one; at most `bytes_max` bytes of payload of each.

use crate::app::ControlProtocol;
use std::collections::{BTreeMap, HashMap};

/// A control connection.
struct FollowedControl {
    protocol: ControlProtocol,
    /// Payload that may still come.
    bytes_left: usize,
    /// Its number in the order in which they came.
    age: u64,
}

/// All of one table.
#[derive(Default)]
pub(super) struct FollowedControls {
    by_place: HashMap<u32, FollowedControl>,
    by_age: BTreeMap<u64, u32>,
    begun: u64,
}

impl FollowedControls {
    /// The flow at a place is followed from now on, with so many bytes of payload. The place of the one that had to go for it, if one had to.
    pub fn follow(&mut self, place: u32, protocol: ControlProtocol, bytes_max: usize, count_max: usize) -> Option<u32> {
        self.forget(place);
        if count_max == 0 {
            return Some(place);
        }
        self.begun += 1;
        let age = self.begun;
        self.by_place.insert(place, FollowedControl { protocol, bytes_left: bytes_max, age });
        self.by_age.insert(age, place);
        let (_, gone) = (self.by_age.len() > count_max).then(|| self.by_age.pop_first()).flatten()?;
        self.by_place.remove(&gone);
        Some(gone)
    }

    /// The flow at a place had a packet with so many bytes of payload. `None`: it is not followed any more, as it had too many.
    pub fn payload(&mut self, place: u32, len: usize) -> Option<ControlProtocol> {
        let control = self.by_place.get_mut(&place)?;
        match control.bytes_left.checked_sub(len) {
            Some(left) => {
                control.bytes_left = left;
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
            self.by_age.remove(&control.age);
        }
    }

    /// Bytes of memory, about.
    pub fn memory_bytes(&self) -> usize {
        self.by_place.capacity() * size_of::<(u32, FollowedControl)>() + self.by_age.len() * 2 * size_of::<(u64, u32)>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_and_each_has_a_limit() {
        let mut controls = FollowedControls::default();
        for place in 0..3 {
            assert_eq!(controls.follow(place, ControlProtocol::Ftp, 10, 3), None);
        }
        assert_eq!(controls.follow(0, ControlProtocol::Ftp, 10, 3), None, "it is followed already");
        assert_eq!(controls.follow(7, ControlProtocol::Sip, 10, 3), Some(1));
        assert_eq!([0, 1, 2, 7].map(|place| controls.payload(place, 10).is_some()), [true, false, true, true]);
        assert_eq!(controls.payload(7, 1), None);
        assert_eq!(controls.payload(0, 0), Some(ControlProtocol::Ftp));
        [0, 2].into_iter().for_each(|place| controls.forget(place));
        assert!(controls.by_place.is_empty() && controls.by_age.is_empty());
        assert_eq!(controls.follow(9, ControlProtocol::Sip, 10, 0), Some(9));
    }
}
