//! A worker's ICMP messages: what they say of other flows.
//!
//! Owns who is told of an error. Its invariant: an error is counted for its own flow by that flow's worker, and for the flow it quotes
//! by the worker that has that one, which are the same or two of those that share the source.

use super::Worker;
use crate::engine::Observer;
use crate::flow::{FlowEvents, Quote, SeenPacket, SeenRefusal};
use crate::wire::{Dissected, IpVersion};
use netscope_backends::Packet;

/// Destination unreachable (RFC 792).
const ICMP_UNREACHABLE: u8 = 3;
/// Destination unreachable (RFC 4443 section 3.1).
const ICMPV6_UNREACHABLE: u8 = 1;

impl<O: Observer> Worker<O> {
    /// After an ICMP message that is no echo. `place`: where its own flow lies; `None` when that is another worker's. The flow that an error
    /// quotes is looked for where its packets are looked for: in the VLAN of the error, and in the tunnel that is quoted or that the
    /// error came in.
    #[cold]
    pub(super) fn icmp_message(&mut self, packet: &Packet<'_>, number: u64, facts: &Dissected, place: Option<u32>) {
        if place.is_some() {
            self.watch.other(packet, facts);
        }
        let Some(Quote { flow, direction, tunnel }) = Quote::of(facts, packet.data) else { return };
        if let Some(place) = place {
            self.flows.note_quote(place, flow);
            if O::WATCHES && is_refusal(facts) {
                self.watch.unreachable(&SeenRefusal { key: flow.key, direction, time: packet.time, number });
            }
        }
        let key = flow.key.in_domain(self.domains.of_parts(facts.vlan, tunnel));
        self.flows.pass(self.clock.now());
        if let Some(place) = self.flows.count_icmp_error(&key)
            && O::WATCHES
            && is_refusal(facts)
        {
            let &Packet { time, wire_len, .. } = packet;
            let direction = direction.reverse();
            self.watch.push(SeenPacket {
                key: flow.key,
                direction,
                initiator: self.flows.initiator(place),
                events: FlowEvents::REFUSED,
                flags: None,
                place,
                time,
                wire_len,
                number,
            });
        }
    }
}

/// The message says that a destination is unreachable.
fn is_refusal(facts: &Dissected) -> bool {
    match (facts.network.map(|network| network.version), facts.transport.icmp_type_and_code()) {
        (Some(IpVersion::V4), Some((kind, _))) => kind == ICMP_UNREACHABLE,
        (Some(IpVersion::V6), Some((kind, _))) => kind == ICMPV6_UNREACHABLE,
        _ => false,
    }
}
