//! What is wrong with a filter, and where.
//!
//! Owns the message's form. Knows no grammar. Invariant: a column is one of the text or the one behind it.

use std::fmt::{self, Write as _};

/// Characters of a long filter that are shown before and behind the place of an error.
const SHOWN_BEFORE: usize = 60;
const SHOWN_BEHIND: usize = 40;

/// Why a text is no filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryError {
    /// Where, in characters from 1; one behind the last character where something is missing at the end.
    pub column: usize,
    /// Characters that are wrong; at least 1.
    pub len: usize,
    /// What is wrong, one line.
    pub message: String,
    /// What could stand there instead.
    pub expected: Vec<String>,
    /// What may have been meant.
    pub hint: Option<String>,
    /// The text around the place, and the column of its first character.
    excerpt: (usize, String),
}

impl QueryError {
    /// An error at `at`, from 0, of `len` characters of `text`.
    pub(super) fn new(text: &[char], at: usize, len: usize, message: String) -> Self {
        let start = at.saturating_sub(SHOWN_BEFORE).min(text.len());
        let end = at.saturating_add(len).saturating_add(SHOWN_BEHIND).min(text.len()).min(start + 2 * SHOWN_BEFORE);
        let shown = |&letter: &char| if letter.is_control() { ' ' } else { letter };
        let excerpt = (start + 1, text.get(start..end).unwrap_or_default().iter().map(shown).collect());
        Self { column: at + 1, len: len.max(1), message, expected: Vec::new(), hint: None, excerpt }
    }

    pub(super) fn expecting<T: Into<String>>(mut self, expected: impl IntoIterator<Item = T>) -> Self {
        self.expected.extend(expected.into_iter().map(Into::into));
        self
    }

    pub(super) fn hinting(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }
}

/// The message, the text with a line of carets below the place, what was expected and the hint; several lines, no line end behind
/// the last one.
impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, excerpt) = &self.excerpt;
        let before = self.column.saturating_sub(*first);
        let shown = excerpt.chars().count();
        let carets = self.len.min(shown.saturating_sub(before)).max(1);
        write!(f, "{} (column {})\n  {excerpt}\n  ", self.message, self.column)?;
        (0..before).try_for_each(|_| f.write_char(' '))?;
        (0..carets).try_for_each(|_| f.write_char('^'))?;
        if !self.expected.is_empty() {
            write!(f, "\n  expected: {}", self.expected.join(", "))?;
        }
        self.hint.iter().try_for_each(|hint| write!(f, "\n  {hint}"))
    }
}

impl std::error::Error for QueryError {}
