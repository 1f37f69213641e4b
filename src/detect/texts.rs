//! Texts out of packets as examples: which are kept, and how they are shown.
//!
//! Owns the few with the smallest ranks, and what stands for a byte that may do harm where it is shown. Invariants: what is kept depends on no order and on no
//! parts; what is shown has no control character and nothing that turns the direction of writing.

use std::fmt::Write as _;

/// Bytes of a text that are kept.
const TEXT_MAX: usize = 255;
/// Characters of a text that are shown.
const SHOWN_MAX: usize = 120;

/// The texts with the smallest ranks, `COUNT` at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FewTexts<const COUNT: usize>(Vec<(u64, Box<[u8]>)>);

impl<const COUNT: usize> FewTexts<COUNT> {
    /// Bytes that count for each text that is kept, however long it is: so memory does not shrink when a shorter one takes a place.
    const BYTES_EACH: usize = size_of::<(u64, Box<[u8]>)>() + TEXT_MAX;

    /// Notes a text; what memory grew by, in bytes.
    pub fn note(&mut self, rank: u64, text: &[u8]) -> usize {
        let text = &text[..text.len().min(TEXT_MAX)];
        let Err(at) = self.0.binary_search_by(|(own, kept)| (*own, &**kept).cmp(&(rank, text))) else { return 0 };
        if at == COUNT {
            return 0;
        }
        let is_full = self.0.len() == COUNT;
        self.0.truncate(COUNT - 1);
        self.0.insert(at, (rank, text.into()));
        if is_full { 0 } else { Self::BYTES_EACH }
    }

    /// Notes those of another part.
    pub fn merge(&mut self, other: &Self) -> usize {
        other.0.iter().map(|(rank, text)| self.note(*rank, text)).sum()
    }

    /// The one of this rank, if it is kept.
    pub fn get(&self, rank: u64) -> Option<&[u8]> {
        self.0.iter().find(|(own, _)| *own == rank).map(|(_, text)| &**text)
    }

    /// Those that are kept, in the order of ranks.
    pub fn all(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|(_, text)| &**text)
    }

    /// Forgets all, keeps some memory.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// A text as a person may see it: letters, digits and ASCII's signs as they are, all else escaped; at most 120 characters, and `...` where it is longer.
pub(super) fn shown(text: &[u8]) -> String {
    let lossy = String::from_utf8_lossy(text);
    let mut out = String::new();
    for (number, character) in lossy.chars().enumerate() {
        if number == SHOWN_MAX {
            out.push_str("...");
            break;
        }
        match character {
            ' '..='~' => out.push(character),
            _ if character.is_alphanumeric() => out.push(character),
            _ => write!(out, "{}", character.escape_unicode()).expect("a text grows"),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(all: &[(u64, u8)]) -> (FewTexts<3>, usize) {
        let mut few = FewTexts::default();
        let bytes = all.iter().map(|&(rank, text)| few.note(rank, &vec![text; text.into()])).sum();
        (few, bytes)
    }

    proptest! {
        #[test]
        fn the_same_few_are_kept_in_any_order_and_any_parts(all in prop::collection::vec((0_u64..9, 0_u8..9), 0..30), at in 0_usize..30) {
            let (whole, bytes) = of(&all);
            let (one, other) = all.split_at(at.min(all.len()));
            let (mut merged, mut grown) = of(other);
            grown += merged.merge(&of(one).0);
            prop_assert_eq!((&merged, grown), (&whole, bytes));
            prop_assert!(whole.all().count() <= 3);
        }
    }

    #[test]
    fn what_is_shown_does_no_harm() {
        assert_eq!(shown("CN=M\u{fc}ller, O=a b".as_bytes()), "CN=M\u{fc}ller, O=a b");
        assert_eq!(shown(b"a\x1b[2J\n\xff"), "a\\u{1b}[2J\\u{a}\\u{fffd}");
        assert_eq!(shown("\u{202e}a\u{200f}".as_bytes()), "\\u{202e}a\\u{200f}");
        assert_eq!(shown(&[b'x'; 1000]).len(), SHOWN_MAX + 3);
        assert_eq!(of(&[(1, 2)]).0.get(1), Some(&[2, 2][..]));
    }
}
