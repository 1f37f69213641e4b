//! Many short runs of bytes that come and go, without a heap allocation for each.
//!
//! Owns their memory, by classes of length. Knows nothing of what they mean. Invariants: a place is its run's alone until it was given
//! back; memory is taken a piece at a time, so at most a piece of each class is in reserve beside what was ever in use.

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

#[derive(Clone, Default)]
struct Class {
    pieces: Vec<Box<[u8]>>,
    /// Places ever used.
    extent: u32,
    free: Vec<u32>,
}

/// All of them.
#[derive(Clone)]
pub struct ByteSlab {
    classes: [Class; FINE_CLASSES + COARSE_CLASSES],
}

impl Default for ByteSlab {
    fn default() -> Self {
        Self { classes: std::array::from_fn(|_| Class::default()) }
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
        let per_piece = PIECE_LEN / len;
        let Class { pieces, extent, free } = &mut self.classes[class];
        let number = match free.pop() {
            Some(number) => number,
            None => {
                let number = *extent;
                *extent = number.checked_add(1)?;
                number
            }
        };
        let (piece, at) = (number as usize / per_piece, number as usize % per_piece * len);
        if piece == pieces.len() {
            pieces.push(vec![0; per_piece * len].into());
        }
        pieces[piece][at..at + run.len()].copy_from_slice(run);
        Some(SlabPlace(number))
    }

    /// The run of this length at a place.
    pub fn get(&self, SlabPlace(number): SlabPlace, len: usize) -> &[u8] {
        let (class, place_len) = class_of(len);
        let per_piece = PIECE_LEN / place_len;
        let at = number as usize % per_piece * place_len;
        let piece = self.classes[class].pieces.get(number as usize / per_piece);
        piece.and_then(|piece| piece.get(at..at + len)).unwrap_or_default()
    }

    /// The run of this length at a place is over.
    pub fn remove(&mut self, SlabPlace(number): SlabPlace, len: usize) {
        self.classes[class_of(len).0].free.push(number);
    }

    /// Bytes of memory.
    pub fn memory_bytes(&self) -> usize {
        let class = |class: &Class| class.pieces.iter().map(|piece| piece.len()).sum::<usize>() + class.free.capacity() * 4;
        self.classes.iter().map(class).sum()
    }
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
