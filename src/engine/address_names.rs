//! Names of addresses, as DNS answers told them to clients, on their way to the aggregator.
//!
//! Owns what of them goes with a box of ended flows. Knows no message and no flow. Invariant: a box has at most
//! [`AddressNames::CAPACITY`] of them; their memory is taken when the first one comes, and kept.

use crate::flow::HostAddress;
use netscope_backends::Timestamp;
use std::ops::Range;

/// An address that a client got for a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressName {
    /// The place of the answer in the order of all workers, as of [`EndedFlow::event`](super::EndedFlow::event).
    pub event: u64,
    /// When it came.
    pub time: Timestamp,
    /// Who got it.
    pub client: HostAddress,
    /// The address.
    pub address: HostAddress,
}

/// Addresses in the order in which they were told, with their names.
#[derive(Debug, Default)]
pub struct AddressNames {
    /// Each with the place of its name.
    addresses: Vec<(AddressName, Range<usize>)>,
    /// Names one after the other; one that is the same as that before it is there once.
    names: Vec<u8>,
}

impl AddressNames {
    /// Addresses in one box.
    pub const CAPACITY: usize = 256;

    /// Appends an address; false when the box has no room.
    #[must_use]
    pub fn push(&mut self, address: AddressName, name: &[u8]) -> bool {
        let Self { addresses, names } = self;
        if addresses.len() >= Self::CAPACITY {
            return false;
        }
        if addresses.capacity() == 0 {
            addresses.reserve_exact(Self::CAPACITY);
        }
        let latest = addresses.last().map(|(_, place)| place.clone());
        let place = latest.filter(|place| names.get(place.clone()) == Some(name)).unwrap_or_else(|| {
            let start = names.len();
            names.extend_from_slice(name);
            start..names.len()
        });
        addresses.push((address, place));
        true
    }

    /// True without any.
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty()
    }

    /// All of them, in order, with their names.
    pub fn iter(&self) -> impl Iterator<Item = (AddressName, &[u8])> {
        self.addresses.iter().map(|(address, place)| (*address, self.names.get(place.clone()).unwrap_or_default()))
    }

    /// Forgets all of them; keeps the memory.
    pub fn clear(&mut self) {
        self.addresses.clear();
        self.names.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u32) -> AddressName {
        let client = HostAddress::v4([10, 0, 0, 1]);
        AddressName { event: number.into(), time: Timestamp(7), client, address: HostAddress::v4(number.to_be_bytes()) }
    }

    #[test]
    fn names_come_back_in_order_and_a_box_has_a_limit() {
        let mut box_of_names = AddressNames::default();
        for round in 0..3 {
            for number in 0..AddressNames::CAPACITY as u32 {
                let name = format!("{}.example", number / 3);
                assert!(box_of_names.push(address(number), name.as_bytes()), "round {round}");
            }
            assert!(!box_of_names.push(address(0), b"one more"));
            for (number, (found, name)) in (0..).zip(box_of_names.iter()) {
                assert_eq!((found, name), (address(number), format!("{}.example", number / 3).as_bytes()));
            }
            box_of_names.clear();
            assert!(box_of_names.is_empty() && box_of_names.iter().next().is_none());
        }
    }
}
