//! What a flow is, in two words: what is spoken, and what the client asked for by name.
//!
//! Owns which facts these are. Knows no format.

use super::facts::fact_id;
use crate::flow::{FactId, FactSet, FactValue};

/// What is spoken.
pub const SPOKEN: FactId = fact_id("app", "protocol");
/// Names that clients ask for, in the order in which they are looked for.
pub const ASKED_NAMES: [FactId; 4] =
    [fact_id("tls", "sni"), fact_id("quic", "sni"), fact_id("http", "host"), fact_id("dns", "name")];

/// The protocol's name.
pub fn spoken(facts: FactSet<'_>) -> Option<&[u8]> {
    first_text(facts, SPOKEN)
}

/// The first of the names that the client asked for, as it was sent.
pub fn asked_name(facts: FactSet<'_>) -> Option<&[u8]> {
    ASKED_NAMES.iter().find_map(|&id| first_text(facts, id))
}

fn first_text(facts: FactSet<'_>, id: FactId) -> Option<&[u8]> {
    match facts.get(id)? {
        FactValue::Text(text) => Some(text),
        FactValue::List(list) => list.iter().next(),
        FactValue::Number(_) | FactValue::Boolean(_) => None,
    }
}
