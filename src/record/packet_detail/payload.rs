//! What a packet's payload says, as a layer: the protocol and its facts by their names in records.

use super::LayerView;
use crate::flow::{FactBuffer, FactValue};
use crate::record::facts::FACT_SCHEMA;
use crate::record::payload_facts::payload_facts;
use crate::record::untrusted::escaped;
use crate::wire;
use netscope_backends::Packet;

/// All facts of the payload; `None` where it says nothing that is known.
pub fn payload_detail(packet: &Packet<'_>) -> Option<LayerView> {
    let dissected = wire::dissect(packet.link_type, packet.data, packet.wire_len);
    let mut facts = FactBuffer::default();
    payload_facts(&dissected, packet.data, packet.wire_len, &mut facts);
    let named = facts.facts().iter().filter_map(|(id, value)| {
        let object = FACT_SCHEMA.get(usize::from(id.object))?;
        Some((object.members.get(usize::from(id.member))?.name, value))
    });
    let bytes = (dissected.payload_offset as usize, dissected.payload_len as usize);
    let view = LayerView::new("Application").at(bytes.0, bytes.1);
    let view = named.fold(view, |view, (name, value)| match value {
        FactValue::Text(text) => view.with(name, escaped(text)),
        FactValue::Number(number) => view.with(name, number),
        FactValue::Boolean(value) => view.with(name, value),
        FactValue::List(list) => view.with(name, list.iter().map(escaped).collect::<Vec<_>>().join(", ")),
    });
    (!view.fields.is_empty()).then_some(view)
}
