//! One synthetic conversation: which packet comes next, with right sequence and acknowledgment numbers.
//!
//! A TCP flow of n packets is: handshake (3), requests and responses, and FIN or RST at the end, each where n
//! leaves room for it.

use crate::deep::Depth;
use crate::frame::{ACK, FIN, FrameBuilder, PSH, Path, RST, SYN, TcpFields};
use crate::random::{Random, mix};

/// Packets of a flow that ends with a FIN exchange, and those of one that ends with a RST, handshake
/// included.
const WITH_FIN_MIN: u32 = 7;
const WITH_RST_MIN: u32 = 5;

/// Bytes that are missing in a flow with a gap.
const GAP_LEN: u32 = 1000;

/// What is done to the flows of a profile that no sound host does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Craft {
    None,
    /// The server's address and port are the client's with every free bit turned.
    Colliding,
    /// Each datagram goes in two fragments, one packet each.
    Fragments,
    /// Each packet breaks a rule.
    Malformed,
    /// All clients have the same server, address and port.
    OneServer,
    /// One client, and one server with all its ports.
    AllPorts,
    /// Servers answer one client that has not asked.
    Reflected,
    /// Clients send datagrams to which nothing comes back.
    OneWay,
    /// The capture lacks the beginning of each client's first request.
    Gap,
    /// Datagrams lie behind many headers.
    Deep(Depth),
}

/// How the flows of a profile look.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub udp: bool,
    pub ipv6: bool,
    pub vlan: bool,
    pub craft: Craft,
    /// Ports of the servers, drawn from.
    pub server_ports: &'static [u16],
    /// Payload bytes from client and server, smallest and largest.
    pub request: (u16, u16),
    pub response: (u16, u16),
}

/// A live flow. Small, because a million of them may be alive.
#[derive(Clone, Debug)]
pub struct SyntheticFlow {
    number: u64,
    /// Packets in all, and those already built.
    packets: u32,
    built: u32,
    /// Next sequence number of client and server.
    sequence: [u32; 2],
}

impl SyntheticFlow {
    pub fn new(number: u64, packets: u32, seed: u64) -> Self {
        let start = mix(seed ^ number.rotate_left(32));
        Self { number, packets, built: 0, sequence: [start as u32, (start >> 32) as u32] }
    }

    pub const fn is_over(&self) -> bool {
        self.built == self.packets
    }

    /// Builds the next packet.
    pub fn build(&mut self, shape: &Shape, random: &mut Random, frame: &mut FrameBuilder) {
        let index = self.built;
        self.built += 1;
        if shape.craft == Craft::Fragments {
            let from_server = index / 2 % 2 == 1;
            let path = self.path(shape, from_server);
            frame.udp(&path, payload_len(shape, from_server, 8, &path, random));
            // The flows between two hosts differ in the lowest 14 bits of their numbers.
            let identification = ((self.number & 0x3fff) << 2 | u64::from(index / 2 % 4)) as u16;
            frame.keep_fragment(identification, index % 2 == 1);
        } else if shape.udp {
            let from_server = match shape.craft {
                Craft::Reflected => true,
                Craft::OneWay => false,
                _ => index % 2 == 1,
            };
            let path = self.path(shape, from_server);
            frame.udp(&path, payload_len(shape, from_server, 8, &path, random));
            if let Craft::Deep(depth) = shape.craft {
                frame.deepen(depth);
            }
        } else {
            self.build_tcp(index, shape, random, frame);
            if shape.craft == Craft::Malformed {
                frame.spoil(random.next());
            }
        }
    }

    fn build_tcp(&mut self, index: u32, shape: &Shape, random: &mut Random, frame: &mut FrameBuilder) {
        let left = self.packets - index;
        let (from_server, flags) = match (index, left) {
            (0, _) => (false, SYN),
            (1, _) => (true, SYN | ACK),
            (2, _) => (false, ACK),
            (_, 1) if self.ends_with_rst() => (false, RST | ACK),
            (_, 4) if self.ends_with_fin() => (false, FIN | ACK),
            (_, 3) if self.ends_with_fin() => (true, ACK),
            (_, 2) if self.ends_with_fin() => (true, FIN | ACK),
            (_, 1) if self.ends_with_fin() => (false, ACK),
            _ => (index.is_multiple_of(2), PSH | ACK), // 3, the first behind the handshake, is the client's
        };
        if shape.craft == Craft::Gap && index == 3 {
            self.sequence[0] = self.sequence[0].wrapping_add(GAP_LEN);
        }
        let path = self.path(shape, from_server);
        let payload = if flags & PSH != 0 { payload_len(shape, from_server, 20, &path, random) } else { 0 };
        let (me, peer) = (usize::from(from_server), usize::from(!from_server));
        let acknowledgment = if flags & ACK != 0 { self.sequence[peer] } else { 0 };
        frame.tcp(&path, &TcpFields { sequence: self.sequence[me], acknowledgment, flags, window: 0xfaf0 }, payload);
        let used = payload as u32 + u32::from(flags & (SYN | FIN) != 0);
        self.sequence[me] = self.sequence[me].wrapping_add(used);
    }

    const fn ends_with_fin(&self) -> bool {
        self.packets >= WITH_FIN_MIN && !self.number.is_multiple_of(16)
    }

    const fn ends_with_rst(&self) -> bool {
        self.packets >= WITH_RST_MIN && self.number.is_multiple_of(16)
    }

    /// Every number below 2^40 has its own client address and port: 2^14 ports, and the rest in the address.
    fn path(&self, shape: &Shape, from_server: bool) -> Path {
        let mut client_port = 0xc000 | (self.number & 0x3fff) as u16;
        let host = self.number >> 14;
        let drawn = mix(self.number);
        let colliding = shape.craft == Craft::Colliding;
        let drawn_port = shape.server_ports[drawn as usize % shape.server_ports.len()];
        let mut server_port = if colliding { !client_port } else { drawn_port };
        let server_host = (drawn >> 32) as u8;
        let (mut client, mut server) = ([0; 16], [0; 16]);
        if shape.ipv6 {
            client[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
            client[8..].copy_from_slice(&host.to_be_bytes());
            server[..6].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8, 0xff, 0xff]);
            server[15] = server_host;
        } else {
            client[0] = 10;
            client[1..4].copy_from_slice(&(host as u32).to_be_bytes()[1..]);
            server[..4].copy_from_slice(&[198, 18, 0, server_host]);
            if colliding {
                server[..4].copy_from_slice(&[!client[0], !client[1], !client[2], !client[3]]);
            }
            // Each of 2^24 numbers has an address of its own, not in order.
            let spread = |number: u64| [11_u8, (number >> 16) as u8, (number >> 8) as u8, number as u8];
            let address = spread(self.number.wrapping_mul(0x9e_3779) & 0x00ff_ffff);
            match shape.craft {
                Craft::OneServer => {
                    client[..4].copy_from_slice(&address);
                    client_port = 0xc000 | (self.number >> 24 & 0x3fff) as u16;
                    server[3] = 1;
                }
                Craft::AllPorts => {
                    client[..4].copy_from_slice(&[10, 0, 0, 1]);
                    client_port = 0xc000 | (self.number >> 16 & 0x3fff) as u16;
                    (server[3], server_port) = (1, (self.number as u16).wrapping_mul(0x9e37));
                }
                Craft::Reflected => {
                    client[..4].copy_from_slice(&[10, 0, 0, 1]);
                    server[..4].copy_from_slice(&address);
                }
                _ => {}
            }
        }
        let vlan = shape.vlan.then_some(1 + (host % 4094) as u16);
        if from_server {
            Path {
                source: server,
                destination: client,
                source_port: server_port,
                destination_port: client_port,
                ipv6: shape.ipv6,
                vlan,
            }
        } else {
            Path {
                source: client,
                destination: server,
                source_port: client_port,
                destination_port: server_port,
                ipv6: shape.ipv6,
                vlan,
            }
        }
    }
}

fn payload_len(shape: &Shape, from_server: bool, transport: usize, path: &Path, random: &mut Random) -> usize {
    let (min, max) = if from_server { shape.response } else { shape.request };
    let len = u64::from(min) + random.below(u64::from(max - min) + 1);
    (len as usize).min(FrameBuilder::payload_max(path, transport))
}
