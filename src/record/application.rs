//! What a flow is, in two words: what is spoken, and what the client asked for by name.
//!
//! Owns which facts these are. Knows no format.

use super::facts::fact_id;
use crate::flow::{FactId, FactSet, FactValue};

/// What is spoken.
pub const SPOKEN: FactId = fact_id("app", "protocol");
/// Where that is from.
pub const SPOKEN_SOURCE: FactId = fact_id("app", "source");
/// Names that clients ask for, in the order in which they are looked for.
pub const ASKED_NAMES: [FactId; 5] =
    [fact_id("tls", "sni"), fact_id("quic", "sni"), fact_id("http", "host"), fact_id("dns", "name"), OTHERS_NAME];

/// The name of a flow that tells none itself.
pub const OTHERS_NAME: FactId = fact_id("app", "name");
/// Where that is from.
pub const OTHERS_NAME_SOURCE: FactId = fact_id("app", "name_source");

/// The protocol's name.
pub fn spoken(facts: FactSet<'_>) -> Option<&[u8]> {
    first_text(facts, SPOKEN)
}

/// The first of the names that the client asked for, as it was sent; the last of them is what another flow told.
pub fn asked_name(facts: FactSet<'_>) -> Option<&[u8]> {
    ASKED_NAMES.iter().find_map(|&id| first_text(facts, id))
}

/// True where that name is what another flow told.
pub fn is_others_name(facts: FactSet<'_>) -> bool {
    asked_name(facts).is_some() && asked_name(facts) == first_text(facts, OTHERS_NAME)
}

fn first_text(facts: FactSet<'_>, id: FactId) -> Option<&[u8]> {
    match facts.get(id)? {
        FactValue::Text(text) => Some(text),
        FactValue::List(list) => list.iter().next(),
        FactValue::Number(_) | FactValue::Boolean(_) => None,
    }
}
