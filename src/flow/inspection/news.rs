//! What a packet told of its flow that was not told before: for those who wait for facts.
//!
//! Owns what was told of each flow, and the facts of the latest news. Knows no protocol. Invariant: each of a record's news is told once, with the packet
//! by which it became known; so it does not depend on how many others look at packets.

use super::SeenPayload;
use crate::app::FactSet;
use crate::app::protocols::FactNews;

/// What was told of a flow, and who of its sides has sent something.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ToldNews {
    told: FactNews,
    sides: [bool; 2],
}

/// News of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LatestNews<'a> {
    /// What is new.
    pub news: FactNews,
    /// All that is known.
    pub facts: FactSet<'a>,
    /// Both sides have sent something.
    pub is_answered: bool,
}

/// The news of the latest packet.
#[derive(Debug, Default)]
pub(super) struct FlowNews {
    news: FactNews,
    facts: Vec<u8>,
    is_answered: bool,
}

impl FlowNews {
    /// A packet was inspected. `goes_on`: more is wanted; `gave_up`: no more, as many packets told nothing.
    pub(super) fn note(
        &mut self,
        payload: &SeenPayload<'_>,
        flow: &mut ToldNews,
        facts: FactSet<'_>,
        goes_on: bool,
        gave_up: bool,
    ) {
        flow.sides[usize::from(payload.direction == payload.client)] = true;
        self.is_answered = flow.sides == [true; 2];
        let mut known = FactNews::of(facts);
        // A protocol that only one side speaks is told when nothing more is to come.
        if goes_on && !self.is_answered {
            known = known.without(FactNews::PROTOCOL);
        }
        if gave_up && !goes_on && facts.is_empty() && payload.sequence.is_none() {
            known = known.and(FactNews::UNKNOWN);
        }
        self.news = known.without(flow.told);
        if self.news != FactNews::NONE {
            flow.told = flow.told.and(known);
            self.facts.clear();
            facts.write(&mut self.facts);
        }
    }

    pub(super) fn latest(&self) -> Option<LatestNews<'_>> {
        let Self { news, is_answered, .. } = *self;
        (news != FactNews::NONE).then(|| LatestNews { news, facts: FactSet::of_bytes(&self.facts), is_answered })
    }

    pub(super) fn forget(&mut self) {
        self.news = FactNews::NONE;
    }
}
