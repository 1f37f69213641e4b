//! Building one Ethernet frame in a buffer that is used again. RFC 791, 8200, 9293, 768; checksums by RFC
//! 1071.

/// Longest frame in bytes that is ever built.
pub const FRAME_MAX: usize = 1518;

const ETHERNET: usize = 14;
const VLAN: usize = 4;

/// TCP control bits: no more data.
pub const FIN: u8 = 0x01;
/// Begins a connection.
pub const SYN: u8 = 0x02;
/// Breaks it off.
pub const RST: u8 = 0x04;
/// Data to hand on.
pub const PSH: u8 = 0x08;
/// The acknowledgment number counts.
pub const ACK: u8 = 0x10;
/// The urgent pointer counts.
pub const URG: u8 = 0x20;

/// Addresses and ports in the direction of one packet.
#[derive(Clone, Copy, Debug)]
pub struct Path {
    /// 16 bytes each; IPv4 stands in the first 4.
    pub source: [u8; 16],
    pub destination: [u8; 16],
    pub source_port: u16,
    pub destination_port: u16,
    pub ipv6: bool,
    pub vlan: Option<u16>,
}

/// What a TCP header says.
#[derive(Clone, Copy, Debug)]
pub struct TcpFields {
    pub sequence: u32,
    pub acknowledgment: u32,
    pub flags: u8,
    pub window: u16,
}

/// The buffer; payload bytes are a fixed pattern, written once.
pub struct FrameBuilder {
    bytes: [u8; FRAME_MAX],
    pattern: [u8; FRAME_MAX],
    len: usize,
    identification: u16,
}

impl FrameBuilder {
    pub fn new() -> Self {
        let pattern = std::array::from_fn(|i| b' ' + (i % 95) as u8);
        Self { bytes: [0; FRAME_MAX], pattern, len: 0, identification: 0 }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// The bytes, to be changed.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.len]
    }

    /// Makes the frame so long, with what was in the buffer behind it.
    pub fn set_len(&mut self, len: usize) {
        self.len = len.min(FRAME_MAX);
    }

    /// Largest payload that fits, for a header of `transport` bytes.
    pub const fn payload_max(path: &Path, transport: usize) -> usize {
        let network = if path.ipv6 { 40 } else { 20 };
        1500 - network - transport
    }

    /// Builds a TCP segment with `payload` bytes of data; a SYN carries MSS, SACK-permitted and window scale.
    pub fn tcp(&mut self, path: &Path, tcp: &TcpFields, payload: usize) {
        const SYN_OPTIONS: [u8; 12] = [2, 4, 0x05, 0xb4, 4, 2, 1, 3, 3, 7, 1, 1];
        let options: &[u8] = if tcp.flags & SYN != 0 { &SYN_OPTIONS } else { &[] };
        let header = 20 + options.len();
        let at = self.lower_layers(path, 6, header + payload);
        let segment = &mut self.bytes[at..at + header + payload];
        segment[0..2].copy_from_slice(&path.source_port.to_be_bytes());
        segment[2..4].copy_from_slice(&path.destination_port.to_be_bytes());
        segment[4..8].copy_from_slice(&tcp.sequence.to_be_bytes());
        segment[8..12].copy_from_slice(&tcp.acknowledgment.to_be_bytes());
        segment[12] = (header as u8 / 4) << 4;
        segment[13] = tcp.flags;
        segment[14..16].copy_from_slice(&tcp.window.to_be_bytes());
        segment[16..20].fill(0);
        segment[20..header].copy_from_slice(options);
        segment[header..].copy_from_slice(&self.pattern[..payload]);
        let sum = finish(pseudo_header(path, 6, segment.len()) + sum(segment));
        segment[16..18].copy_from_slice(&sum.to_be_bytes());
    }

    /// Builds a TCP segment with this data; not a SYN.
    pub fn tcp_data(&mut self, path: &Path, tcp: &TcpFields, data: &[u8]) {
        const HEADER: usize = 20;
        self.tcp(path, &TcpFields { flags: tcp.flags & !SYN, ..*tcp }, data.len());
        let at = ETHERNET + if path.vlan.is_some() { VLAN } else { 0 } + if path.ipv6 { 40 } else { 20 };
        let segment = &mut self.bytes[at..at + HEADER + data.len()];
        segment[HEADER..].copy_from_slice(data);
        segment[16..18].fill(0);
        let sum = finish(pseudo_header(path, 6, segment.len()) + sum(segment));
        segment[16..18].copy_from_slice(&sum.to_be_bytes());
    }

    /// Builds a UDP datagram with `payload` bytes of data.
    pub fn udp(&mut self, path: &Path, payload: usize) {
        let pattern = self.pattern;
        self.udp_data(path, &pattern[..payload]);
    }

    /// Builds a UDP datagram with this data.
    pub fn udp_data(&mut self, path: &Path, data: &[u8]) {
        let len = 8 + data.len();
        let at = self.lower_layers(path, 17, len);
        let datagram = &mut self.bytes[at..at + len];
        datagram[0..2].copy_from_slice(&path.source_port.to_be_bytes());
        datagram[2..4].copy_from_slice(&path.destination_port.to_be_bytes());
        datagram[4..6].copy_from_slice(&(len as u16).to_be_bytes());
        datagram[6..8].fill(0);
        datagram[8..].copy_from_slice(data);
        let sum = match finish(pseudo_header(path, 17, len) + sum(datagram)) {
            0 => 0xffff,
            other => other,
        };
        datagram[6..8].copy_from_slice(&sum.to_be_bytes());
    }

    /// Builds an ICMP message: type, code, 4 bytes of header and the data.
    pub fn icmp(&mut self, path: &Path, kind: u8, code: u8, rest: [u8; 4], data: &[u8]) {
        let len = 8 + data.len();
        let at = self.lower_layers(path, 1, len);
        let message = &mut self.bytes[at..at + len];
        message[..4].copy_from_slice(&[kind, code, 0, 0]);
        message[4..8].copy_from_slice(&rest);
        message[8..].copy_from_slice(data);
        let sum = finish(sum(message));
        message[2..4].copy_from_slice(&sum.to_be_bytes());
    }

    /// Builds an ARP message (RFC 826) of this operation: hardware and protocol address of sender and target.
    pub fn arp(&mut self, operation: u8, sender: ([u8; 6], [u8; 4]), target: ([u8; 6], [u8; 4])) {
        const END: usize = ETHERNET + 28;
        self.bytes[12..22].copy_from_slice(&[0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, operation]);
        for (at, (mac, ip)) in [(22, sender), (32, target)] {
            self.bytes[at..at + 6].copy_from_slice(&mac);
            self.bytes[at + 6..at + 10].copy_from_slice(&ip);
        }
        self.len = 60;
        self.bytes[END..60].fill(0);
    }

    /// Says of an untagged IPv4 packet with TCP and no data that `payload` bytes of data follow, as of segments that a card has joined; at
    /// most 65,400. The frame's bytes stay the headers, as those of a capture that cuts packets. Its length on the wire.
    pub fn announce_payload(&mut self, payload: u16) -> usize {
        let total = u16::from_be_bytes([self.bytes[16], self.bytes[17]]) + payload;
        self.bytes[16..18].copy_from_slice(&total.to_be_bytes());
        self.sum_ipv4_header();
        self.len = ETHERNET + usize::from(total - payload);
        ETHERNET + usize::from(total)
    }

    /// Sets the hardware addresses of the frame that was built.
    pub fn hardware(&mut self, source: [u8; 6], destination: [u8; 6]) {
        self.bytes[0..6].copy_from_slice(&destination);
        self.bytes[6..12].copy_from_slice(&source);
    }

    /// Bytes of a datagram in its first fragment; a multiple of 8.
    const FIRST_FRAGMENT: usize = 32;

    /// Keeps the first fragment of an untagged IPv4 packet, or what is behind it.
    pub fn keep_fragment(&mut self, identification: u16, is_last: bool) {
        const DATA: usize = ETHERNET + 20;
        let total = usize::from(u16::from_be_bytes([self.bytes[16], self.bytes[17]]));
        let end = ETHERNET + total;
        let (len, field) = if is_last {
            self.bytes.copy_within(DATA + Self::FIRST_FRAGMENT..end, DATA);
            (total - 20 - Self::FIRST_FRAGMENT, Self::FIRST_FRAGMENT as u16 / 8)
        } else {
            (Self::FIRST_FRAGMENT, 0x2000)
        };
        let header = &mut self.bytes[ETHERNET..DATA];
        header[2..4].copy_from_slice(&(20 + len as u16).to_be_bytes());
        header[4..6].copy_from_slice(&identification.to_be_bytes());
        header[6..8].copy_from_slice(&field.to_be_bytes());
        self.sum_ipv4_header();
        self.len = (DATA + len).max(60);
        self.bytes[DATA + len..self.len].fill(0);
    }

    /// Breaks a rule in an untagged IPv4 packet with TCP; which one, `choice` says.
    pub fn spoil(&mut self, choice: u64) {
        match choice % 5 {
            0 => self.bytes[ETHERNET] = 0x44,           // the header is shorter than any
            1 => self.bytes[ETHERNET] = 0x75,           // no such version
            2 => self.bytes[ETHERNET + 3] = 19,         // the packet is shorter than its header
            3 => self.bytes[ETHERNET + 20 + 12] = 0x40, // the TCP header is shorter than any
            _ => self.bytes[ETHERNET + 20 + 12] = 0xf0, // the TCP header is longer than the packet
        }
        self.sum_ipv4_header();
    }

    fn sum_ipv4_header(&mut self) {
        let header = &mut self.bytes[ETHERNET..ETHERNET + 20];
        header[10..12].fill(0);
        let sum = finish(sum(header));
        header[10..12].copy_from_slice(&sum.to_be_bytes());
    }

    /// Writes Ethernet, tag and IP headers for `len` bytes of `protocol`; the offset behind them. Frames
    /// shorter than 60 bytes are padded, as a network card does.
    fn lower_layers(&mut self, path: &Path, protocol: u8, len: usize) -> usize {
        let from_low = path.source_port > path.destination_port;
        let (source, destination) = if from_low { (1, 2) } else { (2, 1) };
        self.bytes[0..6].copy_from_slice(&[2, 0, 0x5e, 0x10, 0, destination]);
        self.bytes[6..12].copy_from_slice(&[2, 0, 0x5e, 0x10, 0, source]);
        let mut at = ETHERNET;
        if let Some(id) = path.vlan {
            self.bytes[12..14].copy_from_slice(&[0x81, 0x00]);
            self.bytes[14..16].copy_from_slice(&id.to_be_bytes());
            at += VLAN;
        }
        let ethertype: u16 = if path.ipv6 { 0x86dd } else { 0x0800 };
        self.bytes[at - 2..at].copy_from_slice(&ethertype.to_be_bytes());
        let behind = if path.ipv6 { self.ipv6(at, path, protocol, len) } else { self.ipv4(at, path, protocol, len) };
        let end = behind + len;
        self.len = end.max(60);
        self.bytes[end..self.len].fill(0);
        behind
    }

    fn ipv4(&mut self, at: usize, path: &Path, protocol: u8, len: usize) -> usize {
        self.identification = self.identification.wrapping_add(1);
        let header = &mut self.bytes[at..at + 20];
        header[0] = 0x45;
        header[1] = 0;
        header[2..4].copy_from_slice(&(20 + len as u16).to_be_bytes());
        header[4..6].copy_from_slice(&self.identification.to_be_bytes());
        header[6..8].copy_from_slice(&[0x40, 0]);
        header[8] = 64;
        header[9] = protocol;
        header[10..12].fill(0);
        header[12..16].copy_from_slice(&path.source[..4]);
        header[16..20].copy_from_slice(&path.destination[..4]);
        let sum = finish(sum(header));
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        at + 20
    }

    fn ipv6(&mut self, at: usize, path: &Path, protocol: u8, len: usize) -> usize {
        let header = &mut self.bytes[at..at + 40];
        header[0..4].copy_from_slice(&[0x60, 0, 0, 0]);
        header[4..6].copy_from_slice(&(len as u16).to_be_bytes());
        header[6] = protocol;
        header[7] = 64;
        header[8..24].copy_from_slice(&path.source);
        header[24..40].copy_from_slice(&path.destination);
        at + 40
    }
}

/// The addresses stand with zeros behind them, which add nothing to a sum.
fn pseudo_header(path: &Path, protocol: u8, len: usize) -> u64 {
    sum(&path.source) + sum(&path.destination) + u64::from(protocol) + len as u64
}

/// Sum of big-endian 16-bit words, not yet folded. Eight bytes at a time: a sum of 32-bit words folds to the
/// same.
pub fn sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<4>();
    let mut total: u64 = words.iter().map(|word| u64::from(u32::from_be_bytes(*word))).sum();
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    total += u64::from(u32::from_be_bytes(last));
    total
}

/// Folds to 16 bits and complements.
pub const fn finish(mut sum: u64) -> u16 {
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
