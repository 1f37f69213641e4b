//! What the in-kernel generator offers, said once more in Rust: the frame at any position of the load.
//!
//! Owns the addresses, ports, sequence numbers and checksums of the load. Knows nothing of how it is sent.
//! Its one invariant: the program in `program.rs` makes these very frames; a test holds one against the
//! other.

/// Ethernet, IPv4 and TCP headers.
pub(super) const TCP_HEADERS: u16 = 54;
/// Ethernet, IPv4 and UDP headers.
pub(super) const UDP_HEADERS: u16 = 42;
/// Number and time in front of a datagram's payload.
pub(super) const UDP_PROOF: u16 = 16;
/// Rounds of a TCP flow that carry no data.
pub(super) const HANDSHAKE_ROUNDS: u64 = 3;
/// 10.0.0.0/8: a flow's number is the rest of its client's address.
pub(super) const CLIENT_NET: u32 = 0x0a00_0000;
/// 198.18.0.1, of the network for benchmarks (RFC 2544).
pub(super) const SERVER: u32 = 0xc612_0001;
/// The discard service.
pub(super) const SERVER_PORT: u16 = 9;
/// Client ports are these and the lowest bits of the flow's number.
pub(super) const CLIENT_PORT_MIN: u16 = 1024;
pub(super) const CLIENT_PORT_MASK: u32 = 0x3fff;

const WINDOW: u16 = 0x2000;
const SYN: u8 = 0x02;
const SYN_ACK: u8 = 0x12;
const ACK: u8 = 0x10;
const PSH_ACK: u8 = 0x18;

/// What the flows speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speech {
    /// A handshake, then data by turns from server and client, all in order, checksums right.
    Tcp,
    /// Datagrams by turns, each with its number in the load (u64, big endian) and, where asked for,
    /// CLOCK_MONOTONIC in ns when it was made (u64, big endian; else 0) in front of its payload. No checksum.
    Udp {
        /// Whether the time is written: it costs the sender some tens of ns.
        stamped: bool,
    },
}

/// A load: packet `n` belongs to flow `n % flows` and is its packet number `n / flows`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Number of flows, 1 to 2^24.
    pub flows: u32,
    /// Number of the first flow, so that two loads can differ; `first_flow + flows` is at most 2^24.
    pub first_flow: u32,
    /// Bytes of a frame without its check sequence: 60 (which is 64 on a cable) to 1514 (more where the MTU
    /// allows it).
    pub frame_len: u16,
    /// TCP or UDP.
    pub speech: Speech,
}

impl Load {
    /// TCP in frames of 64 bytes on a cable.
    pub const fn tcp(flows: u32) -> Self {
        Self { flows, first_flow: 0, frame_len: 60, speech: Speech::Tcp }
    }

    /// Datagrams in frames of 64 bytes on a cable.
    pub const fn udp(flows: u32) -> Self {
        Self { flows, first_flow: 0, frame_len: 60, speech: Speech::Udp { stamped: false } }
    }

    /// Says what is impossible about it.
    ///
    /// # Errors
    /// With the field, its value and what it may be.
    pub fn check(&self) -> Result<(), String> {
        if self.flows == 0 || self.first_flow.saturating_add(self.flows) > 1 << 24 {
            return Err(format!("flows {} to {}: a load has 1 to 2^24 flows", self.first_flow, self.first_flow + self.flows));
        }
        if !(60..=9000).contains(&self.frame_len) {
            return Err(format!("frames of {} bytes: a load has frames of 60 to 9000 bytes", self.frame_len));
        }
        Ok(())
    }

    /// Payload of a packet that has some.
    pub(super) const fn payload_len(&self) -> u16 {
        match self.speech {
            Speech::Tcp => self.frame_len - TCP_HEADERS,
            Speech::Udp { .. } => self.frame_len - UDP_HEADERS,
        }
    }

    /// Length of the IPv4 packet of a packet of TCP that is `data` or of the handshake, or of any datagram.
    pub(super) const fn total_len(&self, data: bool) -> u16 {
        match self.speech {
            Speech::Tcp if !data => TCP_HEADERS - 14,
            _ => self.frame_len - 14,
        }
    }

    /// TCP's control bits in `round`.
    pub(super) const fn flags(round: u64) -> u8 {
        match round {
            0 => SYN,
            1 => SYN_ACK,
            2 => ACK,
            _ => PSH_ACK,
        }
    }

    /// The frame with all that never changes, and zeros in place of the rest.
    pub(super) fn template(&self) -> Vec<u8> {
        let mut frame: Vec<u8> = (0..self.frame_len).map(|i| b' ' + (i % 95) as u8).collect();
        frame[..14].copy_from_slice(&[2, 0, 0x5e, 0x10, 0, 2, 2, 0, 0x5e, 0x10, 0, 1, 8, 0]);
        frame[14..34].copy_from_slice(&[0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        match self.speech {
            Speech::Tcp => {
                frame[34..54].fill(0);
                frame[46] = 0x50;
                frame[48..50].copy_from_slice(&WINDOW.to_be_bytes());
            }
            Speech::Udp { .. } => {
                frame[16..18].copy_from_slice(&self.total_len(true).to_be_bytes());
                frame[23] = 17;
                frame[34..58].fill(0);
                frame[38..40].copy_from_slice(&(8 + self.payload_len()).to_be_bytes());
            }
        }
        frame
    }

    /// What of a TCP checksum's sum never changes in packets with data or without: everything but the
    /// client's address and port, and sequence and acknowledgment numbers. Control bits are those of `round`.
    pub(super) fn tcp_constant_sum(&self, round: u64) -> u32 {
        let data = round >= HANDSHAKE_ROUNDS;
        let payload = if data { sum(&self.template()[usize::from(TCP_HEADERS)..]) } else { 0 };
        let pseudo = sum(&SERVER.to_be_bytes()) + 6 + u32::from(self.total_len(data) - 20);
        let header = u32::from(SERVER_PORT) + 0x5000 + u32::from(Self::flags(round)) + u32::from(WINDOW);
        u32::from(fold(pseudo + header + payload))
    }

    /// What of the IPv4 header's sum never changes: everything but the client's address.
    pub(super) fn ip_constant_sum(&self, data: bool) -> u32 {
        sum(&self.template()[14..16])
            + u32::from(self.total_len(data))
            + sum(&self.template()[18..34])
            + sum(&SERVER.to_be_bytes())
    }

    /// The frame at `position`, complete, as the generator sends it; a stamp of time is left 0.
    pub fn frame(&self, position: u64) -> Vec<u8> {
        let (flow, round) = (position % u64::from(self.flows), position / u64::from(self.flows));
        let number = flow as u32 + self.first_flow;
        let client = CLIENT_NET | number;
        let client_port = CLIENT_PORT_MIN + (number & CLIENT_PORT_MASK) as u16;
        let data = round >= HANDSHAKE_ROUNDS || self.speech != Speech::Tcp;
        let mut frame = self.template();
        let ((from, from_port), (to, to_port)) = match round % 2 {
            0 => ((client, client_port), (SERVER, SERVER_PORT)),
            _ => ((SERVER, SERVER_PORT), (client, client_port)),
        };
        frame[16..18].copy_from_slice(&self.total_len(data).to_be_bytes());
        frame[26..30].copy_from_slice(&from.to_be_bytes());
        frame[30..34].copy_from_slice(&to.to_be_bytes());
        frame[34..36].copy_from_slice(&from_port.to_be_bytes());
        frame[36..38].copy_from_slice(&to_port.to_be_bytes());
        let client_sum = sum(&client.to_be_bytes());
        let ip_sum = !fold(self.ip_constant_sum(data) + client_sum);
        frame[24..26].copy_from_slice(&ip_sum.to_be_bytes());
        match self.speech {
            Speech::Tcp => {
                let (sequence, acknowledgment) = self.numbers(round);
                frame[38..42].copy_from_slice(&sequence.to_be_bytes());
                frame[42..46].copy_from_slice(&acknowledgment.to_be_bytes());
                frame[47] = Self::flags(round);
                let numbers = sum(&sequence.to_be_bytes()) + sum(&acknowledgment.to_be_bytes());
                let all = self.tcp_constant_sum(round) + client_sum + u32::from(client_port) + numbers;
                frame[50..52].copy_from_slice(&(!fold(all)).to_be_bytes());
            }
            Speech::Udp { .. } => frame[42..50].copy_from_slice(&position.to_be_bytes()),
        }
        frame
    }

    /// Sequence and acknowledgment number in `round`. Both sides start at 0.
    fn numbers(&self, round: u64) -> (u32, u32) {
        if round < HANDSHAKE_ROUNDS {
            return ((round / 2) as u32, round.div_ceil(2) as u32);
        }
        let payload = u32::from(self.payload_len());
        let sequence = (((round - HANDSHAKE_ROUNDS) / 2) as u32).wrapping_mul(payload).wrapping_add(1);
        // The server speaks first; the client acknowledges what it has just heard.
        (sequence, if round.is_multiple_of(2) { sequence.wrapping_add(payload) } else { sequence })
    }
}

/// Sum of 16-bit words; an odd byte counts as the upper half of one (RFC 1071).
fn sum(bytes: &[u8]) -> u32 {
    bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&low| u32::from(low))).sum()
}

const fn fold(sum: u32) -> u16 {
    let once = (sum & 0xffff) + (sum >> 16);
    ((once & 0xffff) + (once >> 16)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp_sum_is_right(frame: &[u8]) -> bool {
        let total = usize::from(u16::from_be_bytes([frame[16], frame[17]]));
        let segment = &frame[34..14 + total];
        fold(sum(&frame[26..34]) + 6 + segment.len() as u32 + sum(segment)) == 0xffff
    }

    #[test]
    fn checksums_are_right_in_every_round() {
        for frame_len in [60, 61, 1514] {
            let load = Load { frame_len, first_flow: 70_000, ..Load::tcp(3) };
            for position in (0..40).chain(1 << 40..(1 << 40) + 9) {
                let frame = load.frame(position);
                assert_eq!(frame.len(), usize::from(frame_len));
                assert_eq!(fold(sum(&frame[14..34])), 0xffff, "IPv4, position {position}");
                assert!(tcp_sum_is_right(&frame), "TCP, position {position}");
            }
            let datagram = Load { frame_len, ..Load::udp(3) }.frame(7);
            assert_eq!(fold(sum(&datagram[14..34])), 0xffff);
            assert_eq!(datagram[42..50], 7_u64.to_be_bytes());
        }
    }

    #[test]
    fn a_flow_shakes_hands_and_then_speaks_by_turns() {
        let load = Load::tcp(1);
        let said = |round| {
            let frame = load.frame(round);
            let number = |at: usize| u32::from_be_bytes([frame[at], frame[at + 1], frame[at + 2], frame[at + 3]]);
            (frame[47], number(26) == SERVER, number(38), number(42))
        };
        let all: Vec<_> = (0..8).map(said).collect();
        let from_client = [(SYN, false, 0, 0), (ACK, false, 1, 1), (PSH_ACK, false, 1, 7), (PSH_ACK, false, 7, 13)];
        let from_server = [(SYN_ACK, true, 0, 1), (PSH_ACK, true, 1, 1), (PSH_ACK, true, 7, 7), (PSH_ACK, true, 13, 13)];
        assert_eq!(all.iter().step_by(2).copied().collect::<Vec<_>>(), from_client);
        assert_eq!(all.iter().skip(1).step_by(2).copied().collect::<Vec<_>>(), from_server);
    }

    #[test]
    fn impossible_loads_are_refused() {
        for load in [Load::tcp(0), Load { first_flow: 1, ..Load::tcp(1 << 24) }, Load { frame_len: 59, ..Load::udp(1) }] {
            assert!(load.check().is_err(), "{load:?}");
        }
        assert_eq!(Load::tcp(1 << 24).check(), Ok(()));
    }
}
