//! Packets of a capture with a known meaning, in any order until they are written.
//!
//! Owns their frames and times. Knows no attack and no detector. Invariant: they are written in the order of time, and packets of the same
//! time in the order in which they were added.

use crate::frame::{ACK, FIN, FrameBuilder, PSH, Path, RST, SYN, TcpFields};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::net::Ipv4Addr;
use std::path;

/// A millisecond in ns.
pub const MS: u64 = 1_000_000;
/// A second in ns.
pub const SEC: u64 = 1_000_000_000;

/// An address and a port.
pub type End = (Ipv4Addr, u16);

/// `base` plus a number.
pub fn host(base: [u8; 4], number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::from(base).to_bits().wrapping_add(number))
}

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

/// Which packets of a scenario reach the capture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Seen {
    /// Both directions.
    #[default]
    Both,
    /// Packets of those who begin connections.
    ClientsOnly,
    /// Packets of those who answer.
    ServersOnly,
}

/// A step of a TCP session.
#[derive(Clone, Copy, Debug)]
pub struct Said {
    /// Who says it.
    pub by_server: bool,
    /// How much, in bytes; more than a segment holds goes in several.
    pub bytes: u32,
    /// How long the speaker waits before it, in ns.
    pub after_ns: u64,
}

struct ScriptPacket {
    at: u64,
    offset: usize,
    len: u32,
    wire_len: u32,
}

/// The packets.
pub struct Script {
    frame: FrameBuilder,
    bytes: Vec<u8>,
    packets: Vec<ScriptPacket>,
    seen: Seen,
    snaplen: usize,
    /// Of client and server of the next session; empty where any data do.
    beginnings: [Vec<u8>; 2],
}

impl Default for Script {
    fn default() -> Self {
        Self {
            frame: FrameBuilder::new(),
            bytes: Vec::new(),
            packets: Vec::new(),
            seen: Seen::Both,
            snaplen: usize::MAX,
            beginnings: [Vec::new(), Vec::new()],
        }
    }
}

/// Hardware address of a host of a script, by its address.
pub fn mac(of: Ipv4Addr) -> [u8; 6] {
    let [a, b, c, d] = of.octets();
    [2, 0, a, b, c, d]
}

impl Script {
    /// When every script begins, in ns since 1970: not at a bin's border.
    pub const START_NS: u64 = 1_700_000_000 * SEC + 300 * MS;
    /// Bytes of a full segment.
    pub const SEGMENT: u32 = 1448;

    /// From now on packets of one direction alone reach the capture.
    pub fn see(&mut self, seen: Seen) {
        self.seen = seen;
    }

    /// From now on so many bytes are kept of each packet.
    pub fn cut_to(&mut self, snaplen: usize) {
        self.snaplen = snaplen;
    }

    /// A segment of `payload` bytes, as a card joins segments; the capture has its headers. `acknowledgment` is of the other direction.
    pub fn joined_segment(&mut self, at: u64, from: End, to: End, sequence: u32, acknowledgment: u32, payload: u16) {
        let fields = TcpFields { sequence, acknowledgment, flags: PSH | ACK, window: 0x1000 };
        self.frame.tcp(&path_of(from, to), &fields, 0);
        let wire_len = self.frame.announce_payload(payload);
        self.frame.hardware(mac(from.0), mac(to.0));
        self.push_of(at, wire_len);
    }

    /// Packets so far.
    pub fn len(&self) -> usize {
        self.packets.len()
    }

    /// True without any.
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// A segment without data, `at` ns after the start.
    pub fn tcp(&mut self, at: u64, from: End, to: End, flags: u8, sequence: u32, acknowledgment: u32) {
        self.segment(at, from, to, TcpFields { sequence, acknowledgment, flags, window: 0x1000 }, 0);
    }

    /// A segment with this data.
    pub fn tcp_data(&mut self, at: u64, from: End, to: End, sequence: u32, acknowledgment: u32, data: &[u8]) {
        let fields = TcpFields { sequence, acknowledgment, flags: PSH | ACK, window: 0x1000 };
        self.frame.tcp_data(&path_of(from, to), &fields, data);
        self.keep(at, from.0, to.0);
    }

    /// What the first segments of client and server of the next session begin with.
    pub fn next_begins_with(&mut self, client: Vec<u8>, server: Vec<u8>) {
        self.beginnings = [client, server];
    }

    fn segment(&mut self, at: u64, from: End, to: End, fields: TcpFields, payload: usize) {
        self.frame.tcp(&path_of(from, to), &fields, payload);
        self.keep(at, from.0, to.0);
    }

    /// A connection attempt whose packets are `rtt` apart.
    pub fn connect(&mut self, at: u64, from: End, to: End, rtt: u64, outcome: Outcome) {
        self.client_tcp(at, from, to, SYN, 1000, 0);
        match outcome {
            Outcome::Silent => return,
            Outcome::Refused => return self.server_tcp(at + rtt, to, from, RST | ACK, 0, 1001),
            _ => self.server_tcp(at + rtt, to, from, SYN | ACK, 5000, 1001),
        }
        match outcome {
            Outcome::HalfOpen => self.client_tcp(at + 2 * rtt, from, to, RST, 1001, 0),
            Outcome::Completed => {
                self.client_tcp(at + rtt + rtt / 10, from, to, ACK, 1001, 5001);
                self.client_tcp(at + 3 * rtt, from, to, FIN | ACK, 1001, 5001);
                self.server_tcp(at + 4 * rtt, to, from, FIN | ACK, 5001, 1002);
                self.client_tcp(at + 5 * rtt, from, to, ACK, 1002, 5002);
            }
            _ => {}
        }
    }

    fn client_tcp(&mut self, at: u64, from: End, to: End, flags: u8, sequence: u32, acknowledgment: u32) {
        if self.seen != Seen::ServersOnly {
            self.tcp(at, from, to, flags, sequence, acknowledgment);
        }
    }

    fn server_tcp(&mut self, at: u64, from: End, to: End, flags: u8, sequence: u32, acknowledgment: u32) {
        if self.seen != Seen::ClientsOnly {
            self.tcp(at, from, to, flags, sequence, acknowledgment);
        }
    }

    /// A whole connection: handshake, what is said, each time acknowledged after `rtt`, and both FINs. When it was over.
    pub fn session(&mut self, at: u64, client: End, server: End, rtt: u64, said: &[Said]) -> u64 {
        let mut next = [1001_u32, 5001];
        self.client_tcp(at, client, server, SYN, 1000, 0);
        self.server_tcp(at + rtt / 2, server, client, SYN | ACK, 5000, 1001);
        self.client_tcp(at + rtt, client, server, ACK, next[0], next[1]);
        let mut now = at + rtt;
        for step in said {
            now += step.after_ns;
            let (me, peer) = (usize::from(step.by_server), usize::from(!step.by_server));
            let (from, to) = if step.by_server { (server, client) } else { (client, server) };
            let hidden = if step.by_server { Seen::ClientsOnly } else { Seen::ServersOnly };
            let mut left = step.bytes;
            while left > 0 {
                let len = left.min(Self::SEGMENT);
                let fields = TcpFields { sequence: next[me], acknowledgment: next[peer], flags: PSH | ACK, window: 0x1000 };
                let mut data = std::mem::take(&mut self.beginnings[me]);
                if self.seen == hidden {
                    // Nobody sees it.
                } else if data.is_empty() {
                    self.segment(now, from, to, fields, len as usize);
                } else {
                    data.resize(len as usize, 0);
                    self.tcp_data(now, from, to, next[me], next[peer], &data);
                }
                next[me] = next[me].wrapping_add(len);
                left -= len;
                // 12 µs for a full segment: a link of 1 Gbit/s.
                now += 12_000;
            }
            now += rtt / 2;
            if step.by_server {
                self.client_tcp(now, client, server, ACK, next[0], next[1]);
            } else {
                self.server_tcp(now, server, client, ACK, next[1], next[0]);
            }
        }
        self.client_tcp(now + rtt, client, server, FIN | ACK, next[0], next[1]);
        self.server_tcp(now + rtt + rtt / 2, server, client, FIN | ACK, next[1], next[0].wrapping_add(1));
        self.client_tcp(now + 2 * rtt, client, server, ACK, next[0].wrapping_add(1), next[1].wrapping_add(1));
        now + 2 * rtt
    }

    /// A whole connection in which both sides say these bytes in turn, each in one segment: who says it, and what. `step_ns` is between two packets.
    pub fn dialogue(&mut self, at: u64, client: End, server: End, step_ns: u64, said: &[(bool, &[u8])]) {
        let mut next = [1001_u32, 5001];
        self.client_tcp(at, client, server, SYN, 1000, 0);
        self.server_tcp(at + step_ns, server, client, SYN | ACK, 5000, 1001);
        let mut now = at + 2 * step_ns;
        self.client_tcp(now, client, server, ACK, next[0], next[1]);
        for &(by_server, data) in said {
            now += step_ns;
            let (me, peer) = (usize::from(by_server), usize::from(!by_server));
            let (from, to) = if by_server { (server, client) } else { (client, server) };
            let fields = TcpFields { sequence: next[me], acknowledgment: next[peer], flags: PSH | ACK, window: 0x1000 };
            if self.seen != (if by_server { Seen::ClientsOnly } else { Seen::ServersOnly }) {
                self.frame.tcp_data(&path_of(from, to), &fields, data);
                self.keep(now, from.0, to.0);
            }
            next[me] = next[me].wrapping_add(data.len() as u32);
        }
        self.client_tcp(now + step_ns, client, server, FIN | ACK, next[0], next[1]);
        self.server_tcp(now + 2 * step_ns, server, client, FIN | ACK, next[1], next[0].wrapping_add(1));
        self.client_tcp(now + 3 * step_ns, client, server, ACK, next[0].wrapping_add(1), next[1].wrapping_add(1));
    }

    /// A datagram of 4 bytes.
    pub fn udp(&mut self, at: u64, from: End, to: End) {
        self.datagram(at, from, to, 4);
    }

    /// A datagram of so many bytes.
    pub fn datagram(&mut self, at: u64, from: End, to: End, bytes: usize) {
        self.frame.udp(&path_of(from, to), bytes);
        self.keep(at, from.0, to.0);
    }

    /// A datagram with this data, from and to these hardware addresses.
    pub fn datagram_with(&mut self, at: u64, from: End, to: End, data: &[u8], hardware: ([u8; 6], [u8; 6])) {
        self.frame.udp_data(&path_of(from, to), data);
        self.frame.hardware(hardware.0, hardware.1);
        self.push(at);
    }

    /// A fragment of a datagram of 56 bytes: the first one, or what is behind it.
    pub fn fragment(&mut self, at: u64, from: End, to: End, identification: u16, is_last: bool) {
        self.frame.udp(&path_of(from, to), 56);
        self.frame.keep_fragment(identification, is_last);
        self.keep(at, from.0, to.0);
    }

    /// The answer "port unreachable" to a datagram of 4 bytes.
    pub fn unreachable(&mut self, at: u64, from: End, to: End) {
        self.frame.udp(&path_of(from, to), 4);
        let quoted = self.frame.bytes()[14..14 + 32].to_vec();
        self.frame.icmp(&path_of((to.0, 0), (from.0, 0)), 3, 3, [0; 4], &quoted);
        self.keep(at, to.0, from.0);
    }

    /// An echo request, or a reply, of so many bytes.
    pub fn echo_of(&mut self, at: u64, from: Ipv4Addr, to: Ipv4Addr, id: u16, is_reply: bool, bytes: usize) {
        let [high, low] = id.to_be_bytes();
        let kind = if is_reply { 0 } else { 8 };
        self.frame.icmp(&path_of((from, 0), (to, 0)), kind, 0, [high, low, 0, 1], &vec![b'x'; bytes]);
        self.keep(at, from, to);
    }

    /// An echo request, or a reply, without data.
    pub fn echo(&mut self, at: u64, from: Ipv4Addr, to: Ipv4Addr, id: u16, is_reply: bool) {
        self.echo_of(at, from, to, id, is_reply, 0);
    }

    /// An ARP message: operation 1 asks, 2 answers.
    pub fn arp(&mut self, at: u64, operation: u8, from: Ipv4Addr, to: Ipv4Addr) {
        self.arp_from(at, operation, (mac(from), from), to);
    }

    /// An ARP message from a host of this hardware address.
    pub fn arp_from(&mut self, at: u64, operation: u8, from: ([u8; 6], Ipv4Addr), to: Ipv4Addr) {
        let asks = operation == 1;
        self.frame.arp(operation, (from.0, from.1.octets()), (if asks { [0; 6] } else { mac(to) }, to.octets()));
        self.frame.hardware(from.0, if asks { [0xff; 6] } else { mac(to) });
        self.push(at);
    }

    /// Any packet in a frame from this hardware address to all stations.
    pub fn broadcast(&mut self, at: u64, source: [u8; 6], ether_type: u16, packet: &[u8]) {
        let frame = [&[0xff; 6][..], &source, &ether_type.to_be_bytes(), packet].concat();
        let len = frame.len() as u32;
        self.packets.push(ScriptPacket { at, offset: self.bytes.len(), len, wire_len: len });
        self.bytes.extend_from_slice(&frame);
    }

    /// Keeps the frame that was built, between these hosts.
    fn keep(&mut self, at: u64, from: Ipv4Addr, to: Ipv4Addr) {
        self.frame.hardware(mac(from), mac(to));
        self.push(at);
    }

    fn push(&mut self, at: u64) {
        self.push_of(at, self.frame.bytes().len());
    }

    /// Keeps the frame that was built, which has so many bytes on the wire.
    fn push_of(&mut self, at: u64, wire_len: usize) {
        let frame = self.frame.bytes();
        let frame = &frame[..frame.len().min(self.snaplen)];
        self.packets.push(ScriptPacket { at, offset: self.bytes.len(), len: frame.len() as u32, wire_len: wire_len as u32 });
        self.bytes.extend_from_slice(frame);
    }

    /// Times, bytes and lengths on the wire, in the order of time.
    fn sorted_with_len(&mut self) -> impl Iterator<Item = (u64, &[u8], u32)> {
        self.packets.sort_by_key(|packet| packet.at);
        let bytes = &self.bytes;
        let data = |packet: &ScriptPacket| &bytes[packet.offset..packet.offset + packet.len as usize];
        self.packets.iter().map(move |packet| (packet.at, data(packet), packet.wire_len))
    }

    fn sorted(&mut self) -> impl Iterator<Item = (u64, &[u8])> {
        self.sorted_with_len().map(|(at, frame, _)| (at, frame))
    }

    /// The frames in the order of time.
    pub fn frames(mut self) -> Vec<Vec<u8>> {
        self.sorted().map(|(_, frame)| frame.to_vec()).collect()
    }

    /// The frames in the order of time, with their times in ns since 1970.
    pub fn timed_frames(mut self) -> Vec<(u64, Vec<u8>)> {
        self.sorted().map(|(at, frame)| (Self::START_NS + at, frame.to_vec())).collect()
    }

    /// Writes a classic capture with nanoseconds.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(mut self, path: &path::Path) -> io::Result<()> {
        let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
        out.write_all(&[0xa1b2_3c4d_u32, 0x0004_0002, 0, 0, 65_535, 1].map(u32::to_le_bytes).concat())?;
        for (at, frame, wire_len) in self.sorted_with_len() {
            let (time, len) = (Self::START_NS + at, frame.len() as u32);
            let seconds = u32::try_from(time / SEC).unwrap_or(u32::MAX);
            out.write_all(&[seconds, (time % SEC) as u32, len, wire_len].map(u32::to_le_bytes).concat())?;
            out.write_all(frame)?;
        }
        out.flush()
    }

    /// [`Self::save`] for tests.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn write(self, path: &path::Path) {
        self.save(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

fn path_of(from: End, to: End) -> Path {
    let bytes = |address: Ipv4Addr| {
        let mut all = [0; 16];
        all[..4].copy_from_slice(&address.octets());
        all
    };
    Path { source: bytes(from.0), destination: bytes(to.0), source_port: from.1, destination_port: to.1, ipv6: false, vlan: None }
}
