//! Captures with a known meaning, made packet by packet: attacks, and what looks like one.
//!
//! Owns frames and their order in time. Knows no detector.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

/// Control bits.
pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const PSH: u8 = 8;
pub const ACK: u8 = 16;
pub const URG: u8 = 32;

/// Milliseconds and seconds in ns.
pub const MS: u64 = 1_000_000;
pub const SEC: u64 = 1_000_000_000;
/// When every script begins: not at a bin's border.
const START: u64 = 1_700_000_000 * SEC + 300 * MS;

/// What becomes of a connection attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Handshake, a request, an answer, both FINs.
    Completed,
    /// A SYN-ACK, and the client resets.
    HalfOpen,
    /// A SYN-ACK, and nothing.
    Unfinished,
    /// A reset.
    Refused,
    /// Nothing.
    Silent,
}

/// An address and a port.
pub type End = (Ipv4Addr, u16);

/// `10.0.0.0` plus a number, and the like.
pub fn host(base: [u8; 4], number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::from(base).to_bits() + number)
}

/// Packets of a capture, in any order.
#[derive(Default)]
pub struct Script(Vec<(u64, Vec<u8>)>);

impl Script {
    /// A segment, `at` ns after the start.
    pub fn tcp(&mut self, at: u64, from: End, to: End, flags: u8, sequence: u32, acknowledgment: u32) {
        let mut segment: Vec<u8> = [from.1.to_be_bytes(), to.1.to_be_bytes()].concat();
        segment.extend(sequence.to_be_bytes());
        segment.extend(acknowledgment.to_be_bytes());
        segment.extend([0x50, flags, 0x10, 0, 0, 0, 0, 0]);
        self.ip(at, 6, from.0, to.0, &segment);
    }

    /// A connection attempt whose packets are `rtt` apart.
    pub fn connect(&mut self, at: u64, from: End, to: End, rtt: u64, outcome: Outcome) {
        self.tcp(at, from, to, SYN, 1000, 0);
        match outcome {
            Outcome::Silent => return,
            Outcome::Refused => return self.tcp(at + rtt, to, from, RST | ACK, 0, 1001),
            _ => self.tcp(at + rtt, to, from, SYN | ACK, 5000, 1001),
        }
        match outcome {
            Outcome::HalfOpen => self.tcp(at + 2 * rtt, from, to, RST, 1001, 0),
            Outcome::Completed => {
                self.tcp(at + rtt + rtt / 10, from, to, ACK, 1001, 5001);
                self.tcp(at + 3 * rtt, from, to, FIN | ACK, 1001, 5001);
                self.tcp(at + 4 * rtt, to, from, FIN | ACK, 5001, 1002);
                self.tcp(at + 5 * rtt, from, to, ACK, 1002, 5002);
            }
            _ => {}
        }
    }

    /// A datagram of 4 bytes.
    pub fn udp(&mut self, at: u64, from: End, to: End) {
        self.ip(at, 17, from.0, to.0, &datagram(from, to));
    }

    /// A datagram of so many bytes.
    pub fn datagram(&mut self, at: u64, from: End, to: End, bytes: usize) {
        self.ip(at, 17, from.0, to.0, &datagram_of(from, to, bytes));
    }

    /// A fragment of a datagram of 56 bytes: the first one, or what is behind it.
    pub fn fragment(&mut self, at: u64, from: End, to: End, identification: u16, is_last: bool) {
        let whole = datagram_of(from, to, 56);
        let (part, offset) = if is_last { (&whole[32..], 4_u16) } else { (&whole[..32], 0x2000) };
        let mut packet = ipv4(17, from.0, to.0, part);
        packet[4..6].copy_from_slice(&identification.to_be_bytes());
        packet[6..8].copy_from_slice(&offset.to_be_bytes());
        set_checksum(&mut packet);
        self.frame(at, 0x0800, &packet);
    }

    /// The answer "port unreachable" to that datagram.
    pub fn unreachable(&mut self, at: u64, from: End, to: End) {
        let mut message = vec![3, 3, 0, 0, 0, 0, 0, 0];
        message.extend(ipv4(17, from.0, to.0, &datagram(from, to)));
        self.ip(at, 1, to.0, from.0, &message);
    }

    /// An echo request, or a reply.
    pub fn echo(&mut self, at: u64, from: Ipv4Addr, to: Ipv4Addr, id: u16, is_reply: bool) {
        self.echo_of(at, from, to, id, is_reply, 0);
    }

    /// An echo request, or a reply, of so many bytes.
    pub fn echo_of(&mut self, at: u64, from: Ipv4Addr, to: Ipv4Addr, id: u16, is_reply: bool, bytes: usize) {
        let mut message = vec![if is_reply { 0 } else { 8 }, 0, 0, 0];
        message.extend(id.to_be_bytes());
        message.extend([0, 1]);
        message.resize(8 + bytes, b'x');
        self.ip(at, 1, from, to, &message);
    }

    /// An ARP message: operation 1 asks, 2 answers.
    pub fn arp(&mut self, at: u64, operation: u8, from: Ipv4Addr, to: Ipv4Addr) {
        let mut message = vec![0, 1, 8, 0, 6, 4, 0, operation, 2, 0, 0, 0, 0, 1];
        message.extend(from.octets());
        message.extend([0; 6]);
        message.extend(to.octets());
        self.frame(at, 0x0806, &message);
    }

    fn ip(&mut self, at: u64, protocol: u8, from: Ipv4Addr, to: Ipv4Addr, payload: &[u8]) {
        self.frame(at, 0x0800, &ipv4(protocol, from, to, payload));
    }

    fn frame(&mut self, at: u64, ether_type: u16, packet: &[u8]) {
        let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
        frame.extend(ether_type.to_be_bytes());
        frame.extend(packet);
        self.0.push((START + at, frame));
    }

    /// The frames in the order of time.
    pub fn frames(mut self) -> Vec<Vec<u8>> {
        self.0.sort_by_key(|(time, _)| *time);
        self.0.into_iter().map(|(_, frame)| frame).collect()
    }

    /// Writes a classic capture with nanoseconds, in the order of time.
    pub fn write(mut self, path: &Path) {
        self.0.sort_by_key(|(time, _)| *time);
        let mut bytes = [0xa1b2_3c4d_u32, 0x0004_0002, 0, 0, 65_535, 1].map(u32::to_le_bytes).concat();
        for (time, frame) in &self.0 {
            let len = frame.len() as u32;
            bytes.extend([(time / SEC) as u32, (time % SEC) as u32, len, len].map(u32::to_le_bytes).concat());
            bytes.extend(frame);
        }
        fs::write(path, bytes).expect("the capture is written");
    }
}

fn datagram(from: End, to: End) -> Vec<u8> {
    [&from.1.to_be_bytes()[..], &to.1.to_be_bytes(), &[0, 12, 0, 0, 1, 2, 3, 4]].concat()
}

fn datagram_of(from: End, to: End, bytes: usize) -> Vec<u8> {
    let len = (8 + bytes) as u16;
    let mut datagram = [from.1, to.1, len, 0].map(u16::to_be_bytes).concat();
    datagram.resize(len.into(), b'x');
    datagram
}

fn ipv4(protocol: u8, from: Ipv4Addr, to: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
    let len = 20 + payload.len() as u16;
    let mut packet = vec![0x45, 0, (len >> 8) as u8, len as u8, 0, 0, 0, 0, 64, protocol, 0, 0];
    packet.extend(from.octets());
    packet.extend(to.octets());
    set_checksum(&mut packet);
    packet.extend(payload);
    packet
}

fn set_checksum(packet: &mut [u8]) {
    packet[10..12].fill(0);
    let sum = packet[..20].chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]]))).sum::<u32>();
    let folded = (sum & 0xffff) + (sum >> 16);
    let checksum = !((folded & 0xffff) + (folded >> 16)) as u16;
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
}
