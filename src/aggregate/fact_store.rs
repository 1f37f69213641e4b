//! Where the cold side keeps the facts of records until they are shown.
//!
//! Owns their memory: a piece for each record, freed with it. Knows no record. Invariant: at most
//! [`FACT_BYTES_MAX`] bytes of facts are kept at a time; what finds no room is counted.

use crate::flow::{FACTS_LEN_MAX, FactRef, FactSet, FlowFacts};

/// Bytes of facts that are kept at a time, at most.
pub(super) const FACT_BYTES_MAX: usize = if cfg!(test) { 1 << 20 } else { 256 << 20 };

/// Facts of many records that come and go one by one.
#[derive(Clone, Default)]
pub(super) struct FactStore {
    pieces: Vec<FlowFacts>,
    /// Places given back, used again before new ones.
    free: Vec<u32>,
    byte_count: usize,
    left_out: u64,
}

impl FactStore {
    /// Keeps facts. None, and counted, where there is no room.
    pub fn insert(&mut self, facts: FactSet<'_>) -> FactRef {
        if facts.is_empty() {
            return FactRef::NONE;
        }
        let len = facts.len();
        let index = self.free.last().map_or(self.pieces.len(), |&index| index as usize);
        let has_room = len <= FACTS_LEN_MAX && self.byte_count + len <= FACT_BYTES_MAX;
        let place = FactRef::to_index(index).filter(|_| has_room);
        let Some(place) = place else {
            self.left_out += 1;
            return FactRef::NONE;
        };
        self.byte_count += len;
        match self.pieces.get_mut(index) {
            Some(piece) => {
                self.free.pop();
                *piece = facts.into();
            }
            None => self.pieces.push(facts.into()),
        }
        place
    }

    /// The facts at a place.
    pub fn get(&self, place: FactRef) -> FactSet<'_> {
        place.index().and_then(|index| self.pieces.get(index)).map(FlowFacts::facts).unwrap_or_default()
    }

    /// Forgets the facts at a place, which may be used again.
    pub fn remove(&mut self, place: FactRef) {
        drop(self.take(place));
    }

    /// The same, and gives them away.
    pub fn take(&mut self, place: FactRef) -> FlowFacts {
        let Some((index, piece)) = place.index().and_then(|index| self.pieces.get_mut(index).map(|piece| (index, piece))) else {
            return FlowFacts::default();
        };
        let facts = std::mem::take(piece);
        self.byte_count -= facts.memory_bytes();
        // Below 2^32, as the reference is.
        self.free.push(index as u32);
        facts
    }

    /// Records whose facts found no room.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{FactBuffer, FactId};

    fn facts(text: &[u8]) -> FactBuffer {
        let mut facts = FactBuffer::default();
        assert!(facts.text(FactId { object: 0, member: 0 }, text));
        facts
    }

    #[test]
    fn places_and_memory_are_used_again() {
        let mut store = FactStore::default();
        let stays = store.insert(facts(b"stays").facts());
        for round in 0..10_000 {
            let text = facts(format!("round {round}").as_bytes());
            let place = store.insert(text.facts());
            assert_eq!(store.get(place), text.facts());
            store.remove(place);
        }
        assert_eq!((store.pieces.len(), store.left_out()), (2, 0));
        assert_eq!(store.get(stays), facts(b"stays").facts());
        assert_eq!(store.byte_count, store.get(stays).len());
        assert_eq!(store.take(stays).facts(), facts(b"stays").facts());
        assert_eq!(store.byte_count, 0);
        let none = store.insert(FactSet::NONE);
        assert!(store.get(none).is_empty());
    }

    #[test]
    fn what_finds_no_room_is_counted() {
        let (mut store, facts) = (FactStore::default(), facts(&[b'x'; 4000]));
        let places: Vec<FactRef> = (0..300).map(|_| store.insert(facts.facts())).collect();
        let kept = FACT_BYTES_MAX / facts.facts().len();
        assert!(places[..kept].iter().all(|place| *place != FactRef::NONE));
        assert!(places[kept..].iter().all(|place| *place == FactRef::NONE));
        assert_eq!(store.left_out(), (300 - kept) as u64);
        store.remove(places[3]);
        assert_eq!(store.get(store.pieces.len().checked_sub(1).and_then(FactRef::to_index).unwrap()), facts.facts());
        assert_eq!(store.insert(facts.facts()), places[3], "there is room again");
    }
}
