//! A filter ready for use.
//!
//! Owns nothing but the parsed tree. Knows no thread. Invariant: the text of a filter parses to an equal filter.

use super::evaluate::evaluate;
use super::expression::{Expression, ValueTest};
use super::parser::parse;
use super::subject::{BareRecord, RecordContext, Subject};
use super::words::ValueSource;
use super::{PacketSubject, QueryError};
use crate::engine::Predicate;
use crate::flow::{FactSet, FlowRecord};
use crate::record::{Exported, FACT_SCHEMA, FactSchema};
use std::fmt;

/// Which flows and packets somebody wants. The default is true of all.
#[derive(Clone, Debug, Default)]
pub struct FlowFilter {
    /// As it was written; `None`: everything.
    written: Option<Expression>,
    /// The same, what is quickly decided in front.
    plan: Option<Expression>,
}

impl PartialEq for FlowFilter {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl Eq for FlowFilter {}

impl FlowFilter {
    /// The filter of a text. An empty one is true of everything.
    ///
    /// # Errors
    /// The first place that is wrong.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        Self::parse_with(text, FACT_SCHEMA)
    }

    /// The same where records have these facts.
    ///
    /// # Errors
    /// The first place that is wrong.
    pub fn parse_with(text: &str, schema: FactSchema) -> Result<Self, QueryError> {
        let written = parse(text, schema)?;
        let plan = written.clone().map(Expression::cheapest_first);
        Ok(Self { written, plan })
    }

    /// Whether it is true of everything.
    pub const fn is_everything(&self) -> bool {
        self.written.is_none()
    }

    /// Whether it asks for facts, which [`Self::matches_record`] does not know.
    pub fn asks_for_facts(&self) -> bool {
        let mut asks = false;
        if let Some(written) = &self.written {
            written.for_each_term(&mut |term| asks |= matches!(term.source, ValueSource::Fact(_) | ValueSource::Object(_)));
        }
        asks
    }

    /// Whether it asks for what other flows may tell of a flow.
    pub fn asks_for_told(&self) -> bool {
        let mut asks = false;
        if let Some(written) = &self.written {
            written.for_each_term(&mut |term| {
                asks |= term.source.is_told() || matches!(term.test, ValueTest::Compared(_, other) if other.is_told());
            });
        }
        asks
    }

    /// Whether it asks for a Community ID, so that [`Self::matches`] needs records with theirs ([`Exported::new`]).
    pub fn asks_for_identifiers(&self) -> bool {
        let mut asks = false;
        if let Some(written) = &self.written {
            written.for_each_term(&mut |term| asks |= term.source.is_identifier());
        }
        asks
    }

    fn is_true_of(&self, subject: &impl Subject) -> bool {
        self.plan.as_ref().is_none_or(|plan| evaluate(plan, subject))
    }

    /// Whether a flow fits, with its facts.
    pub fn matches(&self, exported: &Exported<'_>) -> bool {
        self.is_true_of(exported)
    }

    /// Whether a flow fits whose facts are not at hand: each of them is unknown, so tests of facts are false.
    pub fn matches_record(&self, record: &FlowRecord, context: &RecordContext) -> bool {
        self.matches_with_facts(record, FactSet::NONE, context)
    }

    /// Whether a flow with these facts fits.
    pub fn matches_with_facts(&self, record: &FlowRecord, facts: FactSet<'_>, context: &RecordContext) -> bool {
        self.is_true_of(&BareRecord { record, facts, context })
    }

    /// Whether a packet fits.
    pub fn matches_packet(&self, packet: &PacketSubject) -> bool {
        self.is_true_of(packet)
    }

    /// [`Self::matches_with_facts`] as workers take it; `None` where every flow fits.
    pub fn predicate(&self, context: RecordContext) -> Option<Predicate> {
        let plan = self.plan.clone()?;
        let predicate = Predicate::new(move |record, facts| evaluate(&plan, &BareRecord { record, facts, context: &context }));
        Some(predicate.with_told(self.asks_for_told()))
    }
}

/// As text that parses to the same filter: keywords are not written where they are not needed, words are in small letters.
impl fmt::Display for FlowFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.written.iter().try_for_each(|written| written.fmt(f))
    }
}
