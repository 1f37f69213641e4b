//! What may stand at a place of a filter that is being written.
//!
//! Owns what is suggested and in which order. Knows no flow: values that are there now come from [`LiveValues`]. Invariants: the
//! text is looked at once; a suggestion put in place of its range is part of a filter.

use super::FILTER_LEN_MAX;
use super::expression::{Literal, Operator};
use super::words::{FilterWord, OWN, ValueKind, ValueSource, words_of};
use crate::record::{FACT_SCHEMA, FactSchema, protocol_name};

/// Suggestions that are given.
const SUGGESTIONS_MAX: usize = 50;

/// Values that are there now.
pub trait LiveValues {
    /// Up to `max` values of `word` (a column's name, or `host`, `src`, `dst`, `port`, `sport`, `dport`) that begin with `prefix`,
    /// the most common first.
    fn values(&self, word: &str, prefix: &str, max: usize) -> Vec<String>;
}

/// None.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoLiveValues;

impl LiveValues for NoLiveValues {
    fn values(&self, _word: &str, _prefix: &str, _max: usize) -> Vec<String> {
        Vec::new()
    }
}

/// What may stand at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The first character that a suggestion replaces, from 0.
    pub from: usize,
    /// The one behind the last.
    pub to: usize,
    /// The best first.
    pub suggestions: Vec<Suggestion>,
}

/// A text for a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// What is put there.
    pub text: String,
    /// What is shown.
    pub label: String,
    /// What it means; may be empty.
    pub detail: String,
}

impl Suggestion {
    fn new(text: impl Into<String>, label: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { text: text.into(), label: label.into(), detail: detail.into() }
    }
}

/// What may stand where the cursor is: behind `at` characters of `text`.
pub fn complete(text: &str, at: usize, live: &dyn LiveValues) -> Completion {
    complete_with(text, at, live, FACT_SCHEMA)
}

/// The same where records have these facts.
pub(super) fn complete_with(text: &str, at: usize, live: &dyn LiveValues, schema: FactSchema) -> Completion {
    let letters: Vec<char> = text.chars().take(FILTER_LEN_MAX).collect();
    let at = at.min(letters.len());
    let place = Place::find(&letters, at);
    let mut completion = match place.colon {
        None => complete_word(&letters, &place, at, schema),
        Some(colon) => complete_value(&letters, &place, colon, at, live, schema),
    };
    completion.suggestions.truncate(SUGGESTIONS_MAX);
    completion
}

/// Where in a term the cursor is.
struct Place {
    /// Where the term begins.
    start: usize,
    /// Its colon, if that is before the cursor.
    colon: Option<usize>,
    /// Where its last value begins.
    value: usize,
    /// The quote that is open.
    quote: Option<char>,
    /// Something stands before the term that it can be joined with.
    follows: bool,
}

impl Place {
    fn find(letters: &[char], at: usize) -> Self {
        let mut place = Self { start: 0, colon: None, value: 0, quote: None, follows: false };
        let mut is_escaped = false;
        for (number, &letter) in letters.iter().enumerate().take(at) {
            if let Some(quote) = place.quote {
                if !is_escaped && letter == quote {
                    place.quote = None;
                }
                is_escaped = !is_escaped && letter == '\\';
                continue;
            }
            match letter {
                '"' | '\'' => (place.quote, is_escaped) = (Some(letter), false),
                ',' if place.colon.is_some() => place.value = number + 1,
                ':' if place.colon.is_none() => (place.colon, place.value) = (Some(number), number + 1),
                '(' | ')' | '!' if letter != '!' || place.start == number => {
                    place = Self { start: number + 1, colon: None, value: 0, quote: None, follows: letter == ')' };
                }
                _ if letter.is_whitespace() => {
                    let follows = place.colon.is_some() || (place.follows && place.start == number);
                    place = Self { start: number + 1, colon: None, value: 0, quote: None, follows };
                }
                _ => {}
            }
        }
        place
    }
}

fn complete_word(letters: &[char], place: &Place, at: usize, schema: FactSchema) -> Completion {
    let prefix: String = letters.get(place.start..at).unwrap_or_default().iter().collect::<String>().to_ascii_lowercase();
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.');
    let rest = letters.get(at..).unwrap_or_default();
    let len = rest.iter().position(|&letter| !is_word(letter)).unwrap_or(rest.len());
    let to = at + len + usize::from(rest.get(len) == Some(&':'));
    let mut suggestions = Vec::new();
    let words = words_of(schema);
    // Short words first, then names that begin so, then names and labels that have it anywhere.
    let fits: [&dyn Fn(&FilterWord) -> bool; 3] = [
        &|word| (word.short.is_some() || word.kind.is_none()) && word.shortest().starts_with(&prefix),
        &|word| word.name.starts_with(&prefix),
        &|word| word.name.contains(&prefix) || word.label.to_lowercase().contains(&prefix),
    ];
    for (rank, fits_now) in fits.iter().enumerate() {
        let better = &fits[..rank];
        for word in words.iter().filter(|word| fits_now(word) && !better.iter().any(|better| better(word))) {
            let name = if rank == 0 { word.shortest() } else { &word.name };
            let unit = if word.unit.is_empty() { String::new() } else { format!(" ({})", word.unit) };
            suggestions.push(Suggestion::new(format!("{name}:"), name, format!("{}: {}{unit}", word.label, word.description)));
        }
    }
    let keywords =
        [("AND", "both have to hold", place.follows), ("OR", "one has to hold", place.follows), ("NOT", "the opposite", true)];
    let keywords = keywords.into_iter().filter(|(word, _, may)| *may && word.to_ascii_lowercase().starts_with(&prefix));
    let keywords = keywords.map(|(word, detail, _)| Suggestion::new(format!("{word} "), word, detail));
    // Behind a term, what joins is as likely as a word.
    let first = if place.follows && prefix.is_empty() { 0 } else { suggestions.len().min(SUGGESTIONS_MAX - 3) };
    suggestions.splice(first..first, keywords);
    Completion { from: place.start, to, suggestions }
}

fn complete_value(
    letters: &[char],
    place: &Place,
    colon: usize,
    at: usize,
    live: &dyn LiveValues,
    schema: FactSchema,
) -> Completion {
    let word: String = letters.get(place.start..colon).unwrap_or_default().iter().collect::<String>().to_ascii_lowercase();
    let operators = Operator::ALL.into_iter().filter(|operator| {
        operator.text().chars().eq(letters.iter().skip(colon).take(operator.text().len().min(at - colon)).copied())
    });
    let operator = operators.max_by_key(|operator| operator.text().len()).unwrap_or(Operator::Is);
    let from = place.value.max(colon + operator.text().len()).min(at);
    let rest = letters.get(at..).unwrap_or_default();
    let ends = |letter: char| match place.quote {
        Some(quote) => letter == quote,
        None => letter.is_whitespace() || matches!(letter, ',' | ')' | '('),
    };
    let len = rest.iter().position(|&letter| ends(letter)).unwrap_or(if place.quote.is_some() { 0 } else { rest.len() });
    let closes = place.quote.is_some() && rest.get(len).is_some_and(|&letter| ends(letter));
    let to = at + len + usize::from(closes);
    let written = letters.get(from..at).unwrap_or_default();
    let prefix: String = written.iter().skip(usize::from(place.quote.is_some())).collect();
    let Some(source) = ValueSource::of_word(&word, schema) else { return Completion { from, to, suggestions: Vec::new() } };
    let suggestions = Values { word: &word, source, operator, prefix: &prefix, is_quoted: place.quote.is_some(), schema };
    Completion { from, to, suggestions: suggestions.all(live) }
}

/// What is known of the value that is being written.
struct Values<'a> {
    word: &'a str,
    source: ValueSource,
    operator: Operator,
    prefix: &'a str,
    is_quoted: bool,
    schema: FactSchema,
}

impl Values<'_> {
    fn all(&self, live: &dyn LiveValues) -> Vec<Suggestion> {
        let kind = self.source.kind(self.schema);
        let mut suggestions = Vec::new();
        if !self.operator.is_comparison() {
            suggestions.extend(self.chosen(kind));
            let name = canonical(self.word, self.source, self.schema);
            let found = live.values(&name, self.prefix, SUGGESTIONS_MAX);
            suggestions.extend(found.into_iter().map(|value| Suggestion::new(as_literal(&value), value, "seen now")));
        }
        let is_ordered =
            matches!(kind, ValueKind::Number | ValueKind::Bytes | ValueKind::Duration(_) | ValueKind::Instant | ValueKind::Rate);
        if self.prefix.is_empty() && !self.is_quoted && self.operator == Operator::Is {
            if is_ordered {
                let operators = [(">", "more than"), (">=", "at least"), ("<", "less than"), ("<=", "at most")];
                suggestions.extend(operators.map(|(text, detail)| Suggestion::new(text, text, detail)));
            }
            suggestions.push(Suggestion::new("*", "*", "any value that is known"));
        }
        if is_ordered && !self.is_quoted && self.source.is_single() && (self.operator.is_comparison() || !self.prefix.is_empty())
        {
            suggestions.extend(self.other_words(kind));
        }
        suggestions
    }

    /// Values of a closed list.
    fn chosen(&self, kind: ValueKind) -> Vec<Suggestion> {
        let words: Vec<&'static str> = match kind {
            ValueKind::Choice(words) => words.to_vec(),
            ValueKind::Boolean => vec!["true", "false"],
            ValueKind::Protocol => {
                let mut names = vec!["tcp", "udp"];
                let named = (0..=u8::MAX).map(protocol_name).filter(|name| !name.starts_with("ip-proto"));
                names.extend(named.filter(|name| !matches!(*name, "tcp" | "udp")));
                names
            }
            _ => Vec::new(),
        };
        let alike = |text: &str| text.to_ascii_lowercase().replace('-', "_");
        let prefix = alike(self.prefix);
        let fitting = words.into_iter().filter(|word| alike(word).starts_with(&prefix));
        fitting.map(|word| Suggestion::new(word, word, "")).collect()
    }

    /// Words that this one can be compared with.
    fn other_words(&self, kind: ValueKind) -> Vec<Suggestion> {
        let prefix = self.prefix.to_ascii_lowercase();
        let words = words_of(self.schema);
        let fits = |word: &&FilterWord| {
            let source = ValueSource::of_word(&word.name, self.schema);
            word.name.starts_with(&prefix)
                && source.is_some_and(|source| source != self.source && source.kind(self.schema) == kind && source.is_single())
        };
        words.iter().filter(fits).map(|word| Suggestion::new(word.name.clone(), word.name.clone(), word.label.clone())).collect()
    }
}

/// The column's name, or the word where it has none.
fn canonical(word: &str, source: ValueSource, schema: FactSchema) -> String {
    if OWN.iter().any(|(name, ..)| *name == word) {
        return word.to_owned();
    }
    if word == "client" {
        return "client_ip".to_owned();
    }
    let words = words_of(schema);
    let found = words.iter().find(|other| other.kind.is_some() && ValueSource::of_word(&other.name, schema) == Some(source));
    found.map_or(word, |other| &other.name).to_owned()
}

/// A value in quotes where it needs them.
fn as_literal(value: &str) -> String {
    let is_plain = !value.is_empty() && !value.contains(|letter: char| letter.is_whitespace() || "()\",'*\\".contains(letter));
    Literal { text: value.to_owned(), is_quoted: !is_plain, at: 0, len: 0 }.to_string()
}
