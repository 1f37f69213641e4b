//! What a parser answers.
//!
//! Owns the three answers and what each means for the next call.

/// The answer of a parser of a stream. It got the bytes that one direction has sent so far, from the first one, without a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed<T> {
    /// A valid beginning that ends too early.
    More {
        /// Length of the stream before which another call tells nothing new. Always more than the bytes that were given. Where a
        /// protocol has no lengths it is one byte more: the caller then has to space its calls (for example, at doubled lengths).
        need: usize,
    },
    /// These bytes are not the protocol's, or break its rules.
    No,
    /// The message, or as much of it as the parser is for.
    Done(T),
}

impl<T> Parsed<T> {
    /// The value of a whole message.
    pub fn done(self) -> Option<T> {
        match self {
            Self::Done(value) => Some(value),
            Self::More { .. } | Self::No => None,
        }
    }

    /// Another value in place of the one that was read.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Parsed<U> {
        match self {
            Self::More { need } => Parsed::More { need },
            Self::No => Parsed::No,
            Self::Done(value) => Parsed::Done(change(value)),
        }
    }

    /// The next step of a parser, after this one is done.
    pub fn and_then<U>(self, next: impl FnOnce(T) -> Parsed<U>) -> Parsed<U> {
        match self {
            Self::More { need } => Parsed::More { need },
            Self::No => Parsed::No,
            Self::Done(value) => next(value),
        }
    }

    /// True where these bytes may still become, or are, the protocol's.
    pub const fn is_possible(&self) -> bool {
        !matches!(self, Self::No)
    }
}

/// Whether `stream` begins with `magic`, or may still do so.
pub(crate) fn begins(stream: &[u8], magic: &[u8]) -> Parsed<()> {
    let len = stream.len().min(magic.len());
    if stream[..len] != magic[..len] {
        Parsed::No
    } else if len < magic.len() {
        Parsed::More { need: magic.len() }
    } else {
        Parsed::Done(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_is_known_before_it_is_whole() {
        assert_eq!(begins(b"", b"SSH-"), Parsed::More { need: 4 });
        assert_eq!(begins(b"SS", b"SSH-"), Parsed::More { need: 4 });
        assert_eq!(begins(b"SX", b"SSH-"), Parsed::No);
        assert_eq!(begins(b"SSH-2", b"SSH-"), Parsed::Done(()));
    }

    #[test]
    fn steps_follow_a_whole_answer_alone() {
        let read = |answer: Parsed<u8>| answer.and_then(|value| Parsed::Done(value + 1)).map(u16::from);
        assert_eq!(read(Parsed::Done(1)).done(), Some(2));
        assert_eq!(read(Parsed::More { need: 9 }), Parsed::More { need: 9 });
        assert_eq!(read(Parsed::No), Parsed::No);
        assert!(read(Parsed::More { need: 1 }).is_possible() && !Parsed::<u8>::No.is_possible());
    }
}
