//! Many short runs of bytes that come and go, without a heap allocation for each.
//!
//! Owns their memory, by classes of length. Knows nothing of what they mean. Invariants: a place is its run's alone until it was given
//! back; memory is taken a piece at a time and given back when none of its places is in use.

/// Longest run.
pub const RUN_LEN_MAX: usize = 4096;
/// Up to this length, classes are [`STEP`] bytes apart; above it, four to each doubling.
const FINE_MAX: usize = 128;
const STEP: usize = 8;
const FINE_CLASSES: usize = FINE_MAX / STEP;
const COARSE_CLASSES: usize = 4 * (RUN_LEN_MAX / FINE_MAX).ilog2() as usize;
/// Bytes that are taken at a time.
const PIECE_LEN: usize = 16 << 10;

/// Where a run lies, among those of its class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlabPlace(u32);

/// Empty pieces that are kept for whatever class needs one next.
const SPARE_MAX: usize = 4;

/// Places of one length that were taken together.
#[derive(Clone, Default)]
struct SlabPiece {
    /// Empty while no place is in use.
    bytes: Box<[u8]>,
    /// Places in use, and places ever used since there are bytes.
    used: u16,
    extent: u16,
    free: Vec<u16>,
    /// It is on the list of those with room.
    is_listed: bool,
}

#[derive(Clone, Default)]
struct Class {
    pieces: Vec<SlabPiece>,
    with_room: Vec<u32>,
}

/// All of them.
#[derive(Clone)]
pub struct ByteSlab {
    classes: [Class; FINE_CLASSES + COARSE_CLASSES],
    spare: Vec<Box<[u8]>>,
}

impl Default for ByteSlab {
    fn default() -> Self {
        Self { classes: std::array::from_fn(|_| Class::default()), spare: Vec::new() }
    }
}

/// The number of the class of runs of this length, from 1 to [`RUN_LEN_MAX`], and how long its places are.
const fn class_of(len: usize) -> (usize, usize) {
    if len <= FINE_MAX {
        let class = len.saturating_sub(1) / STEP;
        return (class, (class + 1) * STEP);
    }
    // A quarter of the power of two below it.
    let octave = (len - 1).ilog2();
    let step = 1 << (octave - 2);
    let quarter = (len - 1) / step - 4;
    (FINE_CLASSES + 4 * (octave - FINE_MAX.ilog2()) as usize + quarter, (quarter + 5) * step)
}

impl ByteSlab {
    /// Keeps a run; `None` where it is longer than [`RUN_LEN_MAX`], or no number is left.
    pub fn insert(&mut self, run: &[u8]) -> Option<SlabPlace> {
        if run.len() > RUN_LEN_MAX {
            return None;
        }
        let (class, len) = class_of(run.len());
        let per_piece = (PIECE_LEN / len) as u32;
        let Class { pieces, with_room } = &mut self.classes[class];
        if with_room.is_empty() {
            let number = u32::try_from(pieces.len()).ok().filter(|&number| number < u32::MAX / per_piece)?;
            pieces.push(SlabPiece { is_listed: true, ..SlabPiece::default() });
            with_room.push(number);
        }
        let &number = with_room.last()?;
        let piece = pieces.get_mut(number as usize)?;
        if piece.bytes.is_empty() {
            piece.bytes = self.spare.pop().unwrap_or_else(|| vec![0; PIECE_LEN].into());
        }
        let at = piece.free.pop().unwrap_or_else(|| {
            piece.extent += 1;
            piece.extent - 1
        });
        piece.used += 1;
        if u32::from(piece.used) == per_piece {
            piece.is_listed = false;
            with_room.pop();
        }
        let start = usize::from(at) * len;
        piece.bytes[start..start + run.len()].copy_from_slice(run);
        Some(SlabPlace(number * per_piece + u32::from(at)))
    }

    /// The run of this length at a place.
    pub fn get(&self, place: SlabPlace, len: usize) -> &[u8] {
        let (class, piece, at, place_len) = split(place, len);
        let start = usize::from(at) * place_len;
        self.classes[class].pieces.get(piece).and_then(|piece| piece.bytes.get(start..start + len)).unwrap_or_default()
    }

    /// The run of this length at a place is over.
    pub fn remove(&mut self, place: SlabPlace, len: usize) {
        let (class, number, at, _) = split(place, len);
        let Class { pieces, with_room } = &mut self.classes[class];
        let Some(piece) = pieces.get_mut(number) else { return };
        piece.used = piece.used.saturating_sub(1);
        if piece.used == 0 {
            let bytes = std::mem::take(&mut piece.bytes);
            *piece = SlabPiece { is_listed: piece.is_listed, ..SlabPiece::default() };
            if self.spare.len() < SPARE_MAX {
                self.spare.push(bytes);
            }
        } else {
            piece.free.push(at);
        }
        if !piece.is_listed {
            piece.is_listed = true;
            with_room.push(number as u32);
        }
    }

    /// Bytes of memory.
    pub fn memory_bytes(&self) -> usize {
        let piece = |piece: &SlabPiece| size_of::<SlabPiece>() + piece.bytes.len() + piece.free.capacity() * 2;
        let class = |class: &Class| class.pieces.iter().map(piece).sum::<usize>() + class.with_room.capacity() * 4;
        self.classes.iter().map(class).sum::<usize>() + self.spare.len() * PIECE_LEN
    }
}

/// The class of a run of this length, the number of its piece, its number there, and how long places are.
const fn split(SlabPlace(number): SlabPlace, len: usize) -> (usize, usize, u16, usize) {
    let (class, place_len) = class_of(len);
    let per_piece = PIECE_LEN / place_len;
    (class, number as usize / per_piece, (number as usize % per_piece) as u16, place_len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn classes_follow_each_other_and_hold_their_runs() {
        let mut before = (0, 0);
        for len in 1..=RUN_LEN_MAX {
            let (class, place_len) = class_of(len);
            assert!(place_len >= len && place_len < len + STEP.max(len / 4), "{len} in {place_len}");
            let is_next = (class, place_len) == before || class == before.0 + 1 || before.1 == 0;
            assert!(is_next && place_len >= before.1, "{len}: {class} of {place_len} after {before:?}");
            before = (class, place_len);
        }
        assert_eq!(before, (FINE_CLASSES + COARSE_CLASSES - 1, RUN_LEN_MAX));
        assert_eq!(class_of(0), class_of(1));
    }

    proptest! {
        #[test]
        fn runs_stay_what_they_are(steps in prop::collection::vec((any::<bool>(), 0..600_usize, any::<u8>()), 0..300)) {
            let (mut slab, mut kept) = (ByteSlab::default(), Vec::new());
            for (keep, len, byte) in steps {
                if keep || kept.is_empty() {
                    let run = vec![byte; len];
                    kept.push((slab.insert(&run).expect("room"), run));
                } else {
                    let (place, run): (SlabPlace, Vec<u8>) = kept.swap_remove(len % kept.len());
                    slab.remove(place, run.len());
                }
                for (place, run) in &kept {
                    prop_assert_eq!(slab.get(*place, run.len()), &run[..]);
                }
            }
        }
    }

    /// Runs of ever other lengths take no more than the ones that are there.
    #[test]
    fn pieces_without_runs_are_given_back() {
        let mut slab = ByteSlab::default();
        for len in (1..RUN_LEN_MAX).step_by(150) {
            let places: Vec<_> = (0..500).filter_map(|_| slab.insert(&vec![7; len])).collect();
            let (memory, needed) = (slab.memory_bytes(), 500 * (len + len / 3 + STEP) + 8 * PIECE_LEN + (64 << 10));
            assert!(places.len() == 500 && memory <= needed, "{len}: {memory} of {needed}");
            places.into_iter().for_each(|place| slab.remove(place, len));
        }
        assert!(slab.memory_bytes() < SPARE_MAX * PIECE_LEN + (64 << 10), "{}", slab.memory_bytes());
    }

    #[test]
    fn places_are_used_again_and_runs_have_a_limit() {
        let mut slab = ByteSlab::default();
        let first = slab.insert(&[1; 100]).expect("room");
        let memory = slab.memory_bytes();
        for _ in 0..1000 {
            slab.remove(first, 100);
            assert_eq!(slab.insert(&[2; 97]), Some(first));
        }
        assert!(slab.memory_bytes() <= memory + 64, "{} after {memory}", slab.memory_bytes());
        assert_eq!(slab.insert(&[0; RUN_LEN_MAX + 1]), None);
    }
}
