//! RTP (RFC 3550) on ports that nobody announced.
//!
//! Owns how much has to agree: one datagram says little, so several of one side have to be of one source, of one kind of payload and in
//! order.

use super::write_app_with;
use crate::app::recognise::recognise_datagram;
use crate::app::{DatagramInspector, DatagramProtocol, DatagramReading, FactBuffer, SeenDatagram};

/// The protocol.
pub(super) const RTP: DatagramProtocol = DatagramProtocol { may_be, begin: || Box::<RtpFlow>::default() };

/// Datagrams of a side that have to agree, one after the other.
const AGREEING: u8 = 4;
/// Datagrams that are looked at.
const DATAGRAMS_MAX: u8 = 16;
/// Numbers that may be missing between two datagrams.
const GAP_MAX: u16 = 16;
const HEADER_LEN: usize = 12;

/// What stays the same, and what grows.
#[derive(Clone, Copy, PartialEq, Eq)]
struct RtpHeader {
    kind: u8,
    source: [u8; 4],
    number: u16,
}

/// A header, and nothing that tells more of itself, such as BACnet.
fn may_be(datagram: &SeenDatagram<'_>) -> bool {
    let is_other = || recognise_datagram(datagram.payload, &[], datagram.server_port).done().is_some();
    header(datagram.payload).is_some() && !is_other()
}

fn header(payload: &[u8]) -> Option<RtpHeader> {
    let &[first, second, high, low, _, _, _, _, a, b, c, d, ..] = payload else { return None };
    let sources = usize::from(first & 15);
    // Numbers of RTCP's kinds, without the highest bit, are in between.
    let is_header = first >> 6 == 2 && matches!(second & 0x7f, 0..=34 | 96..=127) && payload.len() > HEADER_LEN + 4 * sources;
    is_header.then_some(RtpHeader { kind: second & 0x7f, source: [a, b, c, d], number: u16::from_be_bytes([high, low]) })
}

/// One flow: the last header of each side, and how many agreed.
#[derive(Default)]
struct RtpFlow {
    last: [Option<RtpHeader>; 2],
    agreed: [u8; 2],
    seen: u8,
}

impl DatagramInspector for RtpFlow {
    fn datagram(&mut self, datagram: &SeenDatagram<'_>) -> DatagramReading {
        let side = usize::from(datagram.is_clients);
        let Some(header) = header(datagram.payload) else { return DatagramReading::Foreign };
        let follows = |last: RtpHeader| {
            let step = header.number.wrapping_sub(last.number);
            last.kind == header.kind && last.source == header.source && (1..=GAP_MAX).contains(&step)
        };
        self.agreed[side] = if self.last[side].is_some_and(follows) { self.agreed[side] + 1 } else { 1 };
        self.last[side] = Some(header);
        self.seen = self.seen.saturating_add(1);
        if self.agreed[side] >= AGREEING {
            DatagramReading::Done
        } else if self.seen < DATAGRAMS_MAX {
            DatagramReading::Unsure
        } else {
            DatagramReading::Foreign
        }
    }

    fn kept_bytes(&self) -> usize {
        0
    }

    fn write(&self, facts: &mut FactBuffer) {
        write_app_with("rtp", [b"2", &[], &[]], facts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(flow: &mut RtpFlow, number: u16, source: u8, is_clients: bool) -> DatagramReading {
        let [high, low] = number.to_be_bytes();
        let payload = [0x80, 96, high, low, 1, 2, 3, 4, 5, 6, 7, source, 0xff];
        flow.datagram(&SeenDatagram { payload: &payload, len: 13, is_clients, server_port: 1, client_port: 2, time_ns: 0 })
    }

    #[test]
    fn several_datagrams_of_one_source_are_a_stream() {
        let mut flow = RtpFlow::default();
        for number in [65_534, 65_535, 1] {
            assert_eq!(send(&mut flow, number, 9, true), DatagramReading::Unsure);
            assert_eq!(send(&mut flow, number, 1, false), DatagramReading::Unsure, "each side has a source of its own");
        }
        assert_eq!(send(&mut flow, 2, 9, true), DatagramReading::Done);
    }

    #[test]
    fn what_does_not_agree_is_none() {
        let mut flow = RtpFlow::default();
        let mut answers = (0..40).map(|number| send(&mut flow, number * 17, 9, true));
        assert!(answers.by_ref().take(15).all(|answer| answer == DatagramReading::Unsure));
        assert!(answers.all(|answer| answer == DatagramReading::Foreign));
        let mut flow = RtpFlow::default();
        assert!((0..8).all(|number| send(&mut flow, number, number as u8, true) == DatagramReading::Unsure), "other sources");
    }

    #[test]
    fn what_tells_more_of_itself_is_left_to_others() {
        let seen =
            |payload| may_be(&SeenDatagram { payload, len: 17, is_clients: true, server_port: 1, client_port: 2, time_ns: 0 });
        let bacnet = [0x81, 10, 0, 17, 1, 0, 0, 5, 1, 12, 12, 0, 0, 0, 1, 0x19, 0x4d];
        assert!(!seen(&bacnet) && seen(&[&bacnet[..3], &[18], &bacnet[4..]].concat()));
    }

    #[test]
    fn each_cut_of_a_header_is_none() {
        let payload = [0x81, 96, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 1, 1, 1, 1, 0xff];
        assert!((0..payload.len()).all(|cut| header(&payload[..cut]).is_none()));
        assert!(header(&payload).is_some() && header(&[&[0x80, 200][..], &payload[2..]].concat()).is_none());
    }
}
