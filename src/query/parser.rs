//! From text to a tree.
//!
//! Owns the grammar:
//!
//! ```text
//! filter  = [ any ]
//! any     = all { ( "OR" | "||" ) all }
//! all     = operand { [ "AND" | "&&" ] operand }
//! operand = ( "NOT" | "!" ) operand | "(" any ")" | term
//! term    = word ( ":" | ":=" | ":>" | ":>=" | ":<" | ":<=" ) value { "," value }
//! value   = letters without space, comma, quote and parenthesis | quoted text
//! ```
//!
//! Knows no record. Invariants: each character is looked at a bounded number of times; calls nest [`DEPTH_MAX`] deep.

use super::error::QueryError;
use super::expression::{Expression, Literal, Operator, Term};
use super::value::{meant, value_test};
use super::words::{Ends, ValueSource, words_of};
use super::{DEPTH_MAX, FILTER_LEN_MAX, TERMS_MAX, VALUES_MAX};
use crate::record::{FactSchema, protocol_name};
use std::net::IpAddr;

/// The tree of a text; `None` where it has no term, which is true of everything.
pub(super) fn parse(text: &str, schema: FactSchema) -> Result<Option<Expression>, QueryError> {
    let letters: Vec<char> = text.chars().take(FILTER_LEN_MAX + 1).collect();
    let mut parser = Parser { letters: &letters, at: 0, terms: 0, values: 0, schema };
    if letters.len() > FILTER_LEN_MAX {
        return Err(parser.error(FILTER_LEN_MAX, 1, format!("a filter has {FILTER_LEN_MAX} characters at most")));
    }
    parser.skip_space();
    if parser.peek().is_none() {
        return Ok(None);
    }
    let expression = parser.any(0)?;
    match parser.peek() {
        None => Ok(Some(expression)),
        Some(_) => Err(parser.error(parser.at, 1, "this `)` has no `(` before it".to_owned())),
    }
}

struct Parser<'a> {
    letters: &'a [char],
    /// The next one.
    at: usize,
    terms: usize,
    values: usize,
    schema: FactSchema,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Keyword {
    And,
    Or,
    Not,
}

/// What a word is made of.
const fn is_word_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.' | '-')
}

/// What ends a value without quotes.
fn ends_value(letter: char) -> bool {
    letter.is_whitespace() || matches!(letter, '(' | ')' | ',' | '"' | '\'')
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<char> {
        self.letters.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    /// Letters from here on that `takes` takes.
    fn run(&self, takes: impl Fn(char) -> bool) -> &'a [char] {
        let rest = self.letters.get(self.at..).unwrap_or_default();
        rest.get(..rest.iter().position(|&letter| !takes(letter)).unwrap_or(rest.len())).unwrap_or_default()
    }

    fn error(&self, at: usize, len: usize, message: String) -> QueryError {
        QueryError::new(self.letters, at, len, message)
    }

    /// The keyword that stands here, and its length.
    fn keyword(&self) -> Option<(Keyword, usize)> {
        let word = self.run(|letter| letter.is_ascii_alphabetic() || matches!(letter, '&' | '|'));
        let is = |text: &str| word.len() == text.len() && word.iter().zip(text.chars()).all(|(a, b)| a.eq_ignore_ascii_case(&b));
        let next = self.letters.get(self.at + word.len());
        let is_alone = !next.is_some_and(|&letter| letter == ':' || is_word_letter(letter));
        [("and", Keyword::And), ("&&", Keyword::And), ("or", Keyword::Or), ("||", Keyword::Or), ("not", Keyword::Not)]
            .into_iter()
            .find(|(text, _)| is(text) && is_alone)
            .map(|(text, keyword)| (keyword, text.len()))
    }

    fn take(&mut self, wanted: Keyword) -> bool {
        self.skip_space();
        match self.keyword() {
            Some((keyword, len)) if keyword == wanted => {
                self.at += len;
                true
            }
            _ => false,
        }
    }

    fn any(&mut self, depth: usize) -> Result<Expression, QueryError> {
        let mut parts = vec![self.all(depth)?];
        while self.take(Keyword::Or) {
            parts.push(self.all(depth)?);
        }
        Ok(Expression::any(parts))
    }

    fn all(&mut self, depth: usize) -> Result<Expression, QueryError> {
        let mut parts = vec![self.operand(depth)?];
        loop {
            let is_named = self.take(Keyword::And);
            let ends =
                matches!(self.peek(), None | Some(')')) || self.keyword().is_some_and(|(keyword, _)| keyword == Keyword::Or);
            if ends && !is_named {
                return Ok(Expression::all(parts));
            }
            parts.push(self.operand(depth)?);
        }
    }

    fn operand(&mut self, depth: usize) -> Result<Expression, QueryError> {
        self.skip_space();
        let start = self.at;
        let too_deep = || self.error(start, 1, format!("more than {DEPTH_MAX} parentheses and negations stand in each other"));
        match (self.peek(), self.keyword()) {
            (Some('!'), _) | (_, Some((Keyword::Not, _))) => {
                if depth >= DEPTH_MAX {
                    return Err(too_deep());
                }
                self.at += self.keyword().map_or(1, |(_, len)| len);
                Ok(Expression::Not(Box::new(self.operand(depth + 1)?)))
            }
            (Some('('), _) => {
                if depth >= DEPTH_MAX {
                    return Err(too_deep());
                }
                self.at += 1;
                let inner = self.any(depth + 1)?;
                if self.peek() != Some(')') {
                    return Err(self.error(start, 1, "this `(` is not closed".to_owned()).expecting([")"]));
                }
                self.at += 1;
                Ok(inner)
            }
            (None, _) => Err(self.missing_term(1)),
            (Some(')'), _) => Err(self.missing_term(1)),
            (_, Some((_, len))) => Err(self.missing_term(len)),
            _ => self.term(),
        }
    }

    fn missing_term(&self, len: usize) -> QueryError {
        let here: String = self.letters.iter().skip(self.at).take(len).collect();
        let place = if here.is_empty() { "at the end".to_owned() } else { format!("before `{here}`") };
        self.error(self.at, len, format!("a term is missing {place}")).expecting(["word:value", "(", "!"])
    }

    fn term(&mut self) -> Result<Expression, QueryError> {
        let start = self.at;
        let word: String = self.run(is_word_letter).iter().collect::<String>().to_ascii_lowercase();
        self.at += word.len();
        if word.is_empty() || self.peek() != Some(':') {
            self.at = start;
            return Err(self.no_term());
        }
        self.terms += 1;
        if self.terms > TERMS_MAX {
            return Err(self.error(start, word.len(), format!("a filter has {TERMS_MAX} terms at most")));
        }
        let source = ValueSource::of_word(&word, self.schema).ok_or_else(|| self.unknown_word(start, &word))?;
        let operator = self.operator();
        let literals = self.literals(&word, operator)?;
        // The column `client` says which side it is; with an address the word is about the client's.
        let is_address = word == "client" && value_test(source, operator, &literals, self.schema).is_err();
        let source = if is_address { ValueSource::Address(Ends::Client) } else { source };
        let test = value_test(source, operator, &literals, self.schema).map_err(|fault| {
            let (at, len) = literals.get(fault.literal).map_or((start, word.len()), |literal| (literal.at, literal.len));
            self.error(at, len, fault.message).expecting(fault.expected).hinting(fault.hint)
        })?;
        Ok(Expression::Term(Term { word, operator, literals, source, test }))
    }

    fn operator(&mut self) -> Operator {
        let here: String = self.letters.iter().skip(self.at).take(3).collect();
        let longest = Operator::ALL.into_iter().filter(|operator| here.starts_with(operator.text()));
        let operator = longest.max_by_key(|operator| operator.text().len()).unwrap_or(Operator::Is);
        self.at += operator.text().len();
        operator
    }

    fn literals(&mut self, word: &str, operator: Operator) -> Result<Vec<Literal>, QueryError> {
        let mut literals = Vec::new();
        loop {
            let literal = self.literal(word, operator)?;
            self.values += 1;
            if self.values > VALUES_MAX {
                return Err(self.error(literal.at, literal.len, format!("a filter has {VALUES_MAX} values at most")));
            }
            literals.push(literal);
            match self.peek() {
                Some(',') => self.at += 1,
                Some(quote @ ('"' | '\'')) => {
                    let message = "quotes stand around a whole value".to_owned();
                    return Err(self.error(self.at, 1, message).hinting(Some(format!("inside {quote}…{quote} write \\{quote}"))));
                }
                Some('(') => {
                    let message = "a space is missing before `(`".to_owned();
                    return Err(self.error(self.at, 1, message));
                }
                _ => return Ok(literals),
            }
        }
    }

    fn literal(&mut self, word: &str, operator: Operator) -> Result<Literal, QueryError> {
        let start = self.at;
        if let Some(quote @ ('"' | '\'')) = self.peek() {
            return self.quoted(quote);
        }
        let text: String = self.run(|letter| !ends_value(letter)).iter().collect();
        let len = text.chars().count();
        self.at += len;
        if len == 0 {
            let hint = (self.peek() == Some('(')).then(|| format!("a list is written {word}:a,b"));
            let error = self.error(start, 1, format!("a value is missing after `{word}{}`", operator.text()));
            return Err(error.expecting(["a value", "*"]).hinting(hint));
        }
        Ok(Literal { text, is_quoted: false, at: start, len })
    }

    fn quoted(&mut self, quote: char) -> Result<Literal, QueryError> {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            let letter = self.peek();
            self.at += 1;
            match letter {
                None => return Err(self.error(start, 1, "this quote is not closed".to_owned()).expecting([quote.to_string()])),
                Some(letter) if letter == quote => {
                    return Ok(Literal { text, is_quoted: true, at: start, len: self.at - start });
                }
                Some('\\') => {
                    // At the end the loop finds nothing, too.
                    text.extend(self.peek());
                    self.at += 1;
                }
                Some(letter) => text.push(letter),
            }
        }
    }

    fn unknown_word(&self, at: usize, word: &str) -> QueryError {
        let words = words_of(self.schema);
        let known = words.iter().flat_map(|word| [Some(&*word.name), word.short]).flatten();
        let rest: String = self.letters.iter().skip(at).take_while(|&&letter| !ends_value(letter)).collect();
        if is_network(&rest) {
            return self
                .error(at, rest.len(), format!("`{rest}` has no word before it"))
                .hinting(Some(format!("write host:{rest}")));
        }
        let hint = habit_word(word).map(|own| format!("here it is `{own}`")).or_else(|| meant(word, known));
        self.error(at, word.len(), format!("there is no word `{word}`")).hinting(hint)
    }

    /// What stands here is no term.
    fn no_term(&self) -> QueryError {
        let text: String = self.run(|letter| !ends_value(letter)).iter().collect();
        let len = text.chars().count();
        if let Some(at) = text.find(['=', '>', '<']) {
            let (word, rest) = text.split_at(at);
            let value = rest.trim_start_matches('=');
            let hint = (!word.is_empty() && !value.is_empty()).then(|| format!("write {}:{value}", word.trim_end_matches('!')));
            return self.error(self.at + word.chars().count(), 1, "a colon is missing".to_owned()).expecting([":"]).hinting(hint);
        }
        let is_protocol = (0..=u8::MAX).map(protocol_name).any(|name| name.eq_ignore_ascii_case(&text));
        let hint = if is_protocol {
            Some(format!("write proto:{text}"))
        } else if text.parse::<u16>().is_ok() {
            Some(format!("write port:{text}"))
        } else if is_network(&text) {
            Some(format!("write host:{text}"))
        } else if let Some(own) = habit_word(&text.to_ascii_lowercase()) {
            Some(format!("write {own}:value"))
        } else if ValueSource::of_word(&text.to_ascii_lowercase(), self.schema).is_some() {
            Some(format!("write {text}:* for a value that is known, {text}:value for this one"))
        } else {
            None
        };
        let message = if len == 0 { "no term begins like this".to_owned() } else { format!("`{text}` has no word before it") };
        self.error(self.at, len.max(1), message).expecting(["word:value"]).hinting(hint)
    }
}

/// An address, perhaps with a prefix.
fn is_network(text: &str) -> bool {
    text.split('/').next().is_some_and(|address| address.parse::<IpAddr>().is_ok())
}

/// Words of other tools.
fn habit_word(word: &str) -> Option<&'static str> {
    Some(match word {
        "ip" | "addr" | "ip.addr" | "ipv6.addr" | "net" => "host",
        "ip.src" | "ipv6.src" | "srcip" | "src_ip" | "saddr" => "src",
        "ip.dst" | "ipv6.dst" | "dstip" | "dst_ip" | "daddr" => "dst",
        "tcp.port" | "udp.port" => "port",
        "tcp.srcport" | "udp.srcport" | "srcport" | "src_port" => "sport",
        "tcp.dstport" | "udp.dstport" | "dstport" | "dst_port" => "dport",
        "ip.proto" | "ipproto" => "proto",
        "frame.len" | "length" | "size" => "bytes",
        "vlan.id" => "vlan",
        _ => return None,
    })
}
