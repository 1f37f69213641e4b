//! A filter as a tree, and as text again.
//!
//! Owns the tree's shape. Knows no evaluation. Invariants: parts of the same kind do not stand in each other directly, and a list of
//! parts has two at least; the text of a tree parses to the same tree.

use super::pattern::TextPattern;
use super::words::{Ends, ValueSource};
use std::fmt::{self, Write as _};

/// What has to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expression {
    /// All of these.
    All(Vec<Expression>),
    /// One of these.
    Any(Vec<Expression>),
    /// The opposite.
    Not(Box<Expression>),
    /// One condition.
    Term(Term),
}

/// A condition on one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Term {
    /// As it was written, in small letters.
    pub word: String,
    /// As it was written.
    pub operator: Operator,
    /// As they were written.
    pub literals: Vec<Literal>,
    /// Of which source.
    pub source: ValueSource,
    /// What its value has to be.
    pub test: ValueTest,
}

/// What stands between word and value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    /// `:`
    Is,
    /// `:=`
    Equal,
    /// `:>`
    Greater,
    /// `:>=`
    GreaterEqual,
    /// `:<`
    Less,
    /// `:<=`
    LessEqual,
}

impl Operator {
    pub const ALL: [Self; 6] = [Self::Is, Self::Equal, Self::Greater, Self::GreaterEqual, Self::Less, Self::LessEqual];

    /// As text.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Is => ":",
            Self::Equal => ":=",
            Self::Greater => ":>",
            Self::GreaterEqual => ":>=",
            Self::Less => ":<",
            Self::LessEqual => ":<=",
        }
    }

    /// One value is compared with another, as opposed to a list.
    pub const fn is_comparison(self) -> bool {
        !matches!(self, Self::Is | Self::Equal)
    }

    /// Whether it holds between two values.
    pub fn holds<T: Ord>(self, left: &T, right: &T) -> bool {
        match self {
            Self::Is | Self::Equal => left == right,
            Self::Greater => left > right,
            Self::GreaterEqual => left >= right,
            Self::Less => left < right,
            Self::LessEqual => left <= right,
        }
    }
}

/// A value as it was written.
#[derive(Clone, Debug, Eq)]
pub(super) struct Literal {
    /// Without quotes.
    pub text: String,
    /// In quotes.
    pub is_quoted: bool,
    /// Where it was, in characters from 0.
    pub at: usize,
    /// Characters that it took, quotes included.
    pub len: usize,
}

/// Where it was does not count.
impl PartialEq for Literal {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.is_quoted == other.is_quoted
    }
}

/// Numbers from the first to the last one, both included; none where the last is smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub low: u128,
    pub high: u128,
}

impl Span {
    pub const fn holds(&self, value: u128) -> bool {
        self.low <= value && value <= self.high
    }
}

/// Addresses of one version, as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AddressSpan {
    pub is_v6: bool,
    pub span: Span,
}

/// What a value has to be; of several in a list, one has to fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ValueTest {
    /// Known, and of a list not empty.
    Known,
    /// In one of these spans, in the unit of [`super::words::ValueKind`].
    Numbers(Vec<Span>),
    /// In one of these networks.
    Addresses(Vec<AddressSpan>),
    /// In one of these networks, and with this port.
    Endpoints(Vec<(AddressSpan, Option<u16>)>),
    /// One of these words.
    Words(Vec<&'static str>),
    /// Like one of these.
    Texts(Vec<TextPattern>),
    /// This.
    Boolean(bool),
    /// To the value of another source as this says.
    Compared(Operator, ValueSource),
}

impl Expression {
    /// All of `parts`, in the form of the invariant.
    pub fn all(parts: Vec<Self>) -> Self {
        Self::joined(parts, |part| if let Self::All(parts) = part { Ok(parts) } else { Err(part) }, Self::All)
    }

    /// One of `parts`, in the form of the invariant.
    pub fn any(parts: Vec<Self>) -> Self {
        Self::joined(parts, |part| if let Self::Any(parts) = part { Ok(parts) } else { Err(part) }, Self::Any)
    }

    fn joined(parts: Vec<Self>, inner: fn(Self) -> Result<Vec<Self>, Self>, outer: fn(Vec<Self>) -> Self) -> Self {
        let mut flat = Vec::with_capacity(parts.len());
        for part in parts {
            match inner(part) {
                Ok(mut parts) => flat.append(&mut parts),
                Err(part) => flat.push(part),
            }
        }
        if flat.len() == 1
            && let Some(only) = flat.pop()
        {
            return only;
        }
        outer(flat)
    }

    /// The same with what is quickly decided in front.
    pub fn cheapest_first(self) -> Self {
        let sorted = |parts: Vec<Self>| {
            let mut parts: Vec<Self> = parts.into_iter().map(Self::cheapest_first).collect();
            parts.sort_by_cached_key(Self::cost);
            parts
        };
        match self {
            Self::All(parts) => Self::All(sorted(parts)),
            Self::Any(parts) => Self::Any(sorted(parts)),
            Self::Not(part) => Self::Not(Box::new(part.cheapest_first())),
            Self::Term(term) => Self::Term(term),
        }
    }

    /// About how many ns it takes.
    fn cost(&self) -> u32 {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().map(Self::cost).sum(),
            Self::Not(part) => part.cost(),
            Self::Term(term) => term.cost(),
        }
    }

    /// Calls `visit` with every term.
    pub fn for_each_term<'a>(&'a self, visit: &mut impl FnMut(&'a Term)) {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.for_each_term(visit)),
            Self::Not(part) => part.for_each_term(visit),
            Self::Term(term) => visit(term),
        }
    }
}

impl Term {
    fn cost(&self) -> u32 {
        let of = |source: ValueSource| match source {
            ValueSource::Protocol | ValueSource::Port(_) | ValueSource::OuterVlan => 1,
            ValueSource::Address(Ends::Either) => 3,
            ValueSource::Address(_) => 2,
            ValueSource::Field(_) if source.is_identifier() => 200,
            ValueSource::Field(_) => 5,
            ValueSource::Fact(_) | ValueSource::Object(_) => 20,
        };
        let values = self.literals.len() as u32 / 4;
        match &self.test {
            ValueTest::Compared(_, other) => of(self.source) + of(*other),
            ValueTest::Texts(_) => of(self.source) + 10 + 4 * values,
            _ => of(self.source) + values,
        }
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |f: &mut fmt::Formatter<'_>, parts: &[Self], between: &str| {
            for (number, part) in parts.iter().enumerate() {
                f.write_str(if number == 0 { "" } else { between })?;
                let is_loose = matches!((self, part), (Self::All(_), Self::Any(_)));
                if is_loose { write!(f, "({part})")? } else { write!(f, "{part}")? }
            }
            Ok(())
        };
        match self {
            Self::All(parts) => joined(f, parts, " "),
            Self::Any(parts) => joined(f, parts, " OR "),
            Self::Not(part) if matches!(**part, Self::All(_) | Self::Any(_)) => write!(f, "!({part})"),
            Self::Not(part) => write!(f, "!{part}"),
            Self::Term(term) => term.fmt(f),
        }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.word, self.operator.text())?;
        for (number, literal) in self.literals.iter().enumerate() {
            f.write_str(if number == 0 { "" } else { "," })?;
            literal.fmt(f)?;
        }
        Ok(())
    }
}

/// A text as a value of a filter, in quotes.
pub fn quoted(text: &str) -> String {
    Literal { text: text.to_owned(), is_quoted: true, at: 0, len: 0 }.to_string()
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_quoted {
            return f.write_str(&self.text);
        }
        f.write_char('"')?;
        for letter in self.text.chars() {
            if matches!(letter, '"' | '\\') {
                f.write_char('\\')?;
            }
            f.write_char(letter)?;
        }
        f.write_char('"')
    }
}
