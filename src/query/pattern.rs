//! Texts that fit a pattern with wildcards.
//!
//! Owns the search. Knows no field. Invariants: a search takes time linear in the text, whatever the pattern is, and allocates
//! nothing.

/// A text, or parts of one with anything between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TextPattern {
    /// What stands between the wildcards, in order; one part where there is no wildcard. Small letters unless `is_exact`.
    parts: Vec<Part>,
    /// Letters have to be of the same case.
    is_exact: bool,
}

/// A part, and where a search goes on when a byte does not fit (Knuth, Morris and Pratt): for each place the length of the longest
/// beginning that also ends there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    bytes: Box<[u8]>,
    back: Box<[u16]>,
}

impl Part {
    fn new(bytes: Vec<u8>) -> Self {
        let mut back = vec![0u16; bytes.len()];
        let mut fits = 0usize;
        for at in 1..bytes.len() {
            while fits > 0 && bytes[at] != bytes[fits] {
                fits = back[fits - 1].into();
            }
            fits += usize::from(bytes[at] == bytes[fits]);
            back[at] = fits as u16;
        }
        Self { bytes: bytes.into(), back: back.into() }
    }

    /// Where the first occurrence ends.
    fn find(&self, text: &[u8], fold: impl Fn(u8) -> u8) -> Option<usize> {
        if self.bytes.is_empty() {
            return Some(0);
        }
        let mut fits = 0usize;
        for (at, &byte) in text.iter().enumerate() {
            let byte = fold(byte);
            while fits > 0 && byte != self.bytes[fits] {
                fits = self.back[fits - 1].into();
            }
            fits += usize::from(byte == self.bytes[fits]);
            if fits == self.bytes.len() {
                return Some(at + 1);
            }
        }
        None
    }

    fn is(&self, text: &[u8], fold: impl Fn(u8) -> u8) -> bool {
        text.len() == self.bytes.len() && text.iter().zip(&self.bytes).all(|(&byte, &own)| fold(byte) == own)
    }
}

impl TextPattern {
    /// With `*` for anything; ASCII letters fit both cases.
    pub fn with_wildcards(text: &str) -> Self {
        Self { parts: text.to_ascii_lowercase().split('*').map(|part| Part::new(part.into())).collect(), is_exact: false }
    }

    /// This text alone, ASCII letters in both cases.
    pub fn literal(text: &str) -> Self {
        Self { parts: vec![Part::new(text.to_ascii_lowercase().into())], is_exact: false }
    }

    /// This text alone.
    pub fn exact(text: &str) -> Self {
        Self { parts: vec![Part::new(text.into())], is_exact: true }
    }

    /// True when the text fits, all of it.
    pub fn matches(&self, text: &[u8]) -> bool {
        let fold = |byte: u8| if self.is_exact { byte } else { byte.to_ascii_lowercase() };
        let [first, middle @ .., last] = &self.parts[..] else {
            return self.parts.first().is_some_and(|part| part.is(text, fold));
        };
        let Some((head, rest)) = text.split_at_checked(first.bytes.len()) else { return false };
        let Some((mut rest, tail)) = rest.len().checked_sub(last.bytes.len()).and_then(|at| rest.split_at_checked(at)) else {
            return false;
        };
        first.is(head, fold)
            && last.is(tail, fold)
            && middle.iter().all(|part| match part.find(rest, fold) {
                Some(end) => {
                    rest = rest.get(end..).unwrap_or_default();
                    true
                }
                None => false,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// By the definition, in exponential time.
    fn naive(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            ([b'*', rest @ ..], _) => naive(rest, text) || text.split_first().is_some_and(|(_, text)| naive(pattern, text)),
            ([letter, pattern @ ..], [byte, text @ ..]) => letter.eq_ignore_ascii_case(byte) && naive(pattern, text),
            _ => false,
        }
    }

    #[test]
    fn wildcards_stand_for_anything() {
        let fits = |pattern: &str, text: &str| TextPattern::with_wildcards(pattern).matches(text.as_bytes());
        assert!(fits("*.Example", "www.example") && !fits("*.example", "example"));
        assert!(fits("*", "") && fits("a*", "a") && !fits("a*a", "a") && fits("a*a", "aa"));
        assert!(!TextPattern::exact("Abc").matches(b"abc") && TextPattern::literal("A*c").matches(b"a*C"));
        assert!(!TextPattern::literal("a*c").matches(b"abc"));
    }

    #[test]
    fn a_hostile_pattern_takes_linear_time() {
        let pattern = TextPattern::with_wildcards(&format!("*{}b*{}c", "a".repeat(2000), "a".repeat(2000)));
        let text = "a".repeat(1 << 20);
        assert!(!pattern.matches(text.as_bytes()));
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_definition(pattern in "[abA*]{0,9}", text in "[abB]{0,12}") {
            prop_assert_eq!(TextPattern::with_wildcards(&pattern).matches(text.as_bytes()), naive(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
