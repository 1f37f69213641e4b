//! Flows that were opened within the bin that goes on, and what became of them so far.
//!
//! Owns them until they are told, once per flow instead of once per packet. Invariant: each event is told once, by the end of its bin, whether or not it was
//! added to the flow's opening; so it makes no difference to sums and sets when the list was full.

use crate::flow::{FlowEvents, SeenFlow, SeenPacket};

/// Flows that are told together at most, some 10 MiB; memory is taken as it is needed.
const FLOWS_MAX: usize = 1 << 17;

/// What is to be told.
#[derive(Default)]
pub(super) struct SeenFlows {
    flows: Vec<SeenFlow>,
    /// By place in the flow table the number of the latest record there, from 1.
    numbers: Vec<u32>,
    /// Number of the first flow that is not told yet.
    base: u32,
}

impl SeenFlows {
    /// Adds a packet; true when all are to be told now.
    pub fn add(&mut self, packet: &SeenPacket) -> bool {
        if packet.events.has(FlowEvents::OPENED) {
            self.open(packet);
        } else if !self.known(packet.place).is_some_and(|flow| flow.add(packet)) {
            self.flows.push(packet.into());
        }
        self.flows.len() >= FLOWS_MAX
    }

    fn open(&mut self, packet: &SeenPacket) {
        let place = packet.place as usize;
        if self.numbers.len() <= place {
            self.numbers.resize(place + 1, 0);
        }
        self.numbers[place] = self.base + 1 + self.flows.len() as u32;
        self.flows.push(packet.into());
    }

    /// The flow that was opened at this place and is not told yet.
    fn known(&mut self, place: u32) -> Option<&mut SeenFlow> {
        let number = *self.numbers.get(place as usize)?;
        self.flows.get_mut(number.checked_sub(self.base + 1)? as usize)
    }

    /// What is to be told.
    pub fn flows(&self) -> &[SeenFlow] {
        &self.flows
    }

    /// All were told.
    pub fn clear(&mut self) {
        self.base += self.flows.len() as u32;
        self.flows.clear();
        if self.base > u32::MAX / 2 {
            self.numbers.clear();
            self.base = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{Direction, FlowKey};
    use crate::wire::TcpFlags;
    use netscope_backends::Timestamp;

    fn packet(place: u32, direction: Direction, events: FlowEvents, flags: TcpFlags, number: u64) -> SeenPacket {
        SeenPacket {
            key: FlowKey::BLANK,
            direction,
            initiator: Direction::AToB,
            events,
            flags: Some(flags),
            place,
            time: Timestamp(number),
            wire_len: 60,
            number,
        }
    }

    #[test]
    fn a_flow_is_told_once_and_what_comes_later_by_itself() {
        let (there, back) = (Direction::AToB, Direction::BToA);
        let syn = FlowEvents::OPENED.and(FlowEvents::SYN);
        let syn_ack = TcpFlags(TcpFlags::SYN.0 | TcpFlags::ACK.0);
        let mut seen = SeenFlows::default();
        for one in [
            packet(7, there, syn, TcpFlags::SYN, 1),
            packet(3, there, syn, TcpFlags::SYN, 2),
            packet(7, there, FlowEvents::SYN, TcpFlags::SYN, 3),
            packet(7, back, FlowEvents::ANSWERED, syn_ack, 4),
            packet(7, there, FlowEvents::ESTABLISHED, TcpFlags::ACK, 5),
            // Another record at the same place.
            packet(7, there, syn, TcpFlags::SYN, 6),
            packet(7, back, FlowEvents::ANSWERED.and(FlowEvents::REFUSED), TcpFlags::RST, 7),
            // Of a flow that was opened before.
            packet(9, there, FlowEvents::ESTABLISHED, TcpFlags::ACK, 8),
        ] {
            assert!(!seen.add(&one));
        }
        let told: Vec<_> = seen
            .flows()
            .iter()
            .map(|flow| (flow.number, flow.events, flow.answer.and_then(|answer| answer.flags), flow.repeats))
            .collect();
        let all = syn.and(FlowEvents::ANSWERED).and(FlowEvents::ESTABLISHED);
        let refused = syn.and(FlowEvents::ANSWERED).and(FlowEvents::REFUSED);
        let expected = [
            (1, all, Some(syn_ack), 1),
            (2, syn, None, 0),
            (6, refused, Some(TcpFlags::RST), 0),
            (8, FlowEvents::ESTABLISHED, None, 0),
        ];
        assert_eq!(told, expected);
        assert_eq!((seen.flows()[0].first, seen.flows()[0].last), (Timestamp(1), Timestamp(3)));
        seen.clear();
        seen.add(&packet(7, there, FlowEvents::SYN, TcpFlags::SYN, 10));
        let told: Vec<_> = seen.flows().iter().map(|flow| (flow.number, flow.events, flow.repeats)).collect();
        assert_eq!(told, [(10, FlowEvents::SYN, 1)]);
    }
}
