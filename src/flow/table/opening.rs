//! What the first packet of a flow says, taken from its sighting.
//!
//! Owns who counts as the one that began. Keeps nothing. Invariant: the answer depends on that packet alone.

use super::Sighting;
use crate::flow::entry::Opening;
use crate::wire::Transport;
use netscope_backends::Timestamp;

/// Of the flow that this packet begins; `clock` is the table's time.
pub(super) fn opening_of(sighting: &Sighting<'_>, clock: Timestamp) -> Opening {
    let initiator = match sighting.dissected.transport {
        Transport::Echo { request: false, .. } => sighting.direction.reverse(),
        _ => sighting.direction,
    };
    Opening {
        key: *sighting.key,
        time: sighting.time,
        clock,
        number: sighting.number,
        vlan: sighting.dissected.vlan,
        tunnel: sighting.dissected.tunnel,
        initiator,
    }
}
