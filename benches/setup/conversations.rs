//! Any number of conversations, TCP or UDP, each a step further per round, for the flow table alone.
//!
//! Owns the bytes of such a packet: a real frame, read by the real dissector. Its one invariant: all
//! conversations of a round are at the same step, so no state per flow is kept outside the table.

use netscope::flow::{Direction, FlowKey, ports_of};
use netscope::wire::{Dissected, Transport, dissect};
use netscope_backends::LinkType;

/// Rounds of the handshake; all later ones carry data, by turns from either side.
pub const HANDSHAKE_ROUNDS: u32 = 3;
/// Bytes on the wire of each packet.
pub const WIRE_LEN: u32 = 60;
/// Payload bytes of each packet with data.
const PAYLOAD_LEN: u32 = 6;

/// What is spoken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Tcp = 6,
    Udp = 17,
}

/// What the table has to know of a packet besides its facts.
pub struct TablePacket {
    pub flow: u32,
    pub key: FlowKey,
    pub direction: Direction,
}

/// The packet of `flow` in `round`: its key and which way it goes.
pub fn lane(protocol: Protocol, flow: u32, round: u32) -> TablePacket {
    let dissected = facts(protocol, flow, round);
    let network = dissected.network.as_ref().expect("an IPv4 packet");
    let (key, direction) = FlowKey::new(network, ports_of(&dissected).expect("a packet with ports"));
    TablePacket { flow, key, direction }
}

/// What a packet of `round` says of itself. The flow table takes addresses and ports from the key alone.
pub fn facts(protocol: Protocol, flow: u32, round: u32) -> Dissected {
    let dissected = dissect(LinkType::ETHERNET, &frame(protocol, flow, round), WIRE_LEN);
    let read = match dissected.transport {
        Transport::Tcp(_) => protocol == Protocol::Tcp,
        Transport::Udp(_) => protocol == Protocol::Udp,
        _ => false,
    };
    assert!(read && dissected.fault.is_none(), "{dissected:?}");
    dissected
}

fn frame(protocol: Protocol, flow: u32, round: u32) -> [u8; WIRE_LEN as usize] {
    let from_client = round.is_multiple_of(2);
    let client = ([10_u8, (flow >> 24) as u8, (flow >> 16) as u8, (flow >> 8) as u8], 1024 + (flow & 0xff) as u16);
    let server = ([192_u8, 0, 2, 1], 443);
    let (source, destination) = if from_client { (client, server) } else { (server, client) };
    // Bytes that each side has sent before this round, the SYN among them.
    let data_rounds = round.saturating_sub(HANDSHAKE_ROUNDS);
    let sent_by_server = u32::from(round > 1) + data_rounds.div_ceil(2).wrapping_mul(PAYLOAD_LEN);
    let sent_by_client = u32::from(round > 0) + (data_rounds / 2).wrapping_mul(PAYLOAD_LEN);
    let (sent, received) = if from_client { (sent_by_client, sent_by_server) } else { (sent_by_server, sent_by_client) };
    let payload_len = if round < HANDSHAKE_ROUNDS { 0 } else { PAYLOAD_LEN as u8 };
    let flags = match round {
        0 => 0x02,
        1 => 0x12,
        _ => 0x10,
    };
    let mut frame = [0; WIRE_LEN as usize];
    frame[12..14].copy_from_slice(&[8, 0]);
    frame[14..26].copy_from_slice(&[0x45, 0, 0, 40 + payload_len, 0, 0, 0x40, 0, 64, protocol as u8, 0, 0]);
    frame[26..30].copy_from_slice(&source.0);
    frame[30..34].copy_from_slice(&destination.0);
    frame[34..36].copy_from_slice(&source.1.to_be_bytes());
    frame[36..38].copy_from_slice(&destination.1.to_be_bytes());
    if protocol == Protocol::Udp {
        frame[38..40].copy_from_slice(&[0, 20 + payload_len]); // no checksum; as long as the TCP segment
        return frame;
    }
    frame[38..42].copy_from_slice(&sent.to_be_bytes());
    frame[42..46].copy_from_slice(&if round == 0 { 0 } else { received }.to_be_bytes());
    frame[46..50].copy_from_slice(&[0x50, flags, 0x20, 0]);
    frame
}
