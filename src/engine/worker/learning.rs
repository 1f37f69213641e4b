//! What payload told of a flow, on its way to the observers; and what DNS answers and control connections told of other flows.
//!
//! Owns which messages are DNS: by port 53 and the message itself. Invariant: what a packet told is told before the next packet, so each worker tells of its
//! own flows the same as any other number of workers would.

use super::Worker;
use crate::app::dns::{DnsMessage, resolved_addresses};
use crate::app::{ControlPacket, ControlProtocol, Parsed, announced_ends};
use crate::detect::{SeenDns, SeenFacts};
use crate::engine::{AddressName, Announcement, Observer};
use crate::flow::{Direction, SeenPayload};
use netscope_backends::Timestamp;

const DNS_PORT: u16 = 53;
const FTP_PORT: u16 = 21;
/// DNS messages of one segment that are told.
const MESSAGES_MAX: usize = 64;

impl<O: Observer> Worker<O> {
    /// The payload of the flow at a place was inspected, that of packet `number`.
    pub(super) fn tell_payload(&mut self, place: u32, payload: &SeenPayload<'_>, number: u64) {
        if self.watch.follows_facts() {
            self.tell_news(place, Timestamp(payload.time_ns));
        }
        if payload.ports.contains(&DNS_PORT) && (self.watch.follows_dns() || self.outbox.takes_names()) {
            self.tell_dns(place, payload, number);
        }
        if let Some(control) = self.flows.latest_control() {
            self.tell_announced(place, control, payload, number);
        }
    }

    /// The packet is of a flow that may announce others.
    #[inline(never)]
    fn tell_announced(&mut self, place: u32, control: ControlProtocol, payload: &SeenPayload<'_>, number: u64) {
        if !self.outbox.takes_announcements() {
            return;
        }
        let flow = self.flows.end_at(place);
        let ((sender, source_port), (receiver, _)) =
            (flow.key.source(payload.direction), flow.key.destination(payload.direction));
        let (event, time) = (self.event_of(number), Timestamp(payload.time_ns));
        let is_from_client = payload.direction == control_client(payload);
        let packet = ControlPacket { control, payload: payload.bytes, source_port, is_from_client };
        let Self { outbox, ledger, .. } = self;
        announced_ends(packet, &mut |end| {
            let address = end.address.map_or(sender, Into::into);
            let peer = end.is_with_receiver.then_some(receiver);
            let announcement =
                Announcement { event, time, address, port: end.port, peer, control: flow.key, protocol: end.protocol };
            outbox.announced(announcement, ledger);
        });
    }

    fn tell_news(&mut self, place: u32, time: Timestamp) {
        let Self { flows, watch, .. } = self;
        if let Some(latest) = flows.latest_news() {
            let flow = flows.end_at(place);
            watch.learned(&SeenFacts { news: latest.news, facts: latest.facts, is_answered: latest.is_answered, flow, time });
            flows.forget_news();
        }
    }

    /// A datagram is a message; of a stream those messages are told that lie in one segment and begin with it.
    fn tell_dns(&mut self, place: u32, payload: &SeenPayload<'_>, number: u64) {
        if payload.sequence.is_none() {
            if let Some(message) = DnsMessage::read_cut(payload.bytes, payload.wire_len) {
                self.tell_message(place, payload, message, number);
            }
            return;
        }
        let mut left = payload.bytes;
        for _ in 0..MESSAGES_MAX {
            let Parsed::Done((message, len)) = DnsMessage::read_stream(left) else { return };
            self.tell_message(place, payload, message, number);
            left = left.get(len..).unwrap_or_default();
        }
    }

    fn tell_message(&mut self, place: u32, payload: &SeenPayload<'_>, message: DnsMessage<'_>, number: u64) {
        let flow = self.flows.end_at(place);
        let ((from, from_port), (to, to_port)) = (flow.key.source(payload.direction), flow.key.destination(payload.direction));
        let (client, server, server_port) = if message.is_response() { (to, from, from_port) } else { (from, to, to_port) };
        if server_port != DNS_PORT {
            return;
        }
        let time = Timestamp(payload.time_ns);
        if self.outbox.takes_names() {
            let event = self.event_of(number);
            let Self { outbox, ledger, .. } = self;
            let left_out = resolved_addresses(&message, |name, address| {
                outbox.named(AddressName { event, time, client, address: address.into() }, name, ledger);
            });
            ledger.names_skipped += left_out;
        }
        if self.watch.follows_dns() {
            self.watch.dns(&SeenDns { message, client, server, flow, time });
        }
    }
}

/// The client of a session. Where the connection's SYN was not seen it is the side that began, and where that has FTP's port the other one.
fn control_client(payload: &SeenPayload<'_>) -> Direction {
    match payload.ports.map(|port| port == FTP_PORT) {
        [true, false] => payload.client.reverse(),
        _ => payload.client,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_side_of_ftps_port_is_no_client() {
        for (ports, is_other) in [([40_000, 21], false), ([21, 40_000], true), ([21, 21], false), ([40_000, 2121], false)] {
            let client = Direction::BToA;
            let payload = SeenPayload {
                bytes: b"",
                wire_len: 0,
                sequence: Some(1),
                start: None,
                direction: Direction::AToB,
                client,
                ports,
                time_ns: 0,
            };
            assert_eq!(control_client(&payload) != client, is_other, "{ports:?}");
        }
    }
}
