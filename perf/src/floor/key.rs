//! From a frame to its canonical 5-tuple. Owns the little dissection there is: Ethernet, at most one 802.1Q
//! tag, IPv4 with its options or IPv6 without extension headers, TCP or UDP. Its one invariant: both
//! directions of a conversation have the same key.

/// A 5-tuple, the smaller endpoint (address, then port) first. Addresses are 128-bit numbers, high half
/// first, of which IPv4 uses the lowest 32; the last word holds the first port (bits 0 to 15), the second (16
/// to 31), the protocol (32 to 39) and the IP version (40 to 43), so it is never 0.
pub type FloorKey = [u64; 5];

/// Bit of the IP version in the last word of a key.
pub const VERSION_SHIFT: u32 = 40;

const TCP: u8 = 6;
const UDP: u8 = 17;

/// A packet's key, and which way it went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyedPacket {
    /// The conversation.
    pub key: FloorKey,
    /// True for packets from the second endpoint to the first.
    pub is_back: bool,
}

/// The key of an Ethernet frame, or `None` where it has no ports we look for.
#[inline(always)]
pub fn key_of(frame: &[u8]) -> Option<KeyedPacket> {
    let ethertype = u16::from_be_bytes(*frame.get(12..)?.first_chunk()?);
    let (ethertype, packet) = if ethertype == 0x8100 {
        (u16::from_be_bytes(*frame.get(16..)?.first_chunk()?), frame.get(18..)?)
    } else {
        (ethertype, frame.get(14..)?)
    };
    match ethertype {
        0x0800 => ipv4(packet),
        0x86dd => ipv6(packet),
        _ => None,
    }
}

#[inline(always)]
fn ipv4(packet: &[u8]) -> Option<KeyedPacket> {
    let header: &[u8; 20] = packet.first_chunk()?;
    // A later fragment has no ports.
    if header[0] >> 4 != 4 || !is_counted(header[9]) || u16::from_be_bytes([header[6], header[7]]) & 0x1fff != 0 {
        return None;
    }
    let (source_port, destination_port) = ports(packet, usize::from(header[0] & 15) * 4)?;
    let source = u64::from(u32::from_be_bytes([header[12], header[13], header[14], header[15]]));
    let destination = u64::from(u32::from_be_bytes([header[16], header[17], header[18], header[19]]));
    let (from, to) = (source << 16 | source_port, destination << 16 | destination_port);
    let (low, high) = (from.min(to), from.max(to));
    let last = (low & 0xffff) | (high & 0xffff) << 16 | u64::from(header[9]) << 32 | 4 << VERSION_SHIFT;
    Some(KeyedPacket { key: [0, low >> 16, 0, high >> 16, last], is_back: from > to })
}

#[inline(always)]
fn ipv6(packet: &[u8]) -> Option<KeyedPacket> {
    let header: &[u8; 40] = packet.first_chunk()?;
    if header[0] >> 4 != 6 || !is_counted(header[6]) {
        return None;
    }
    let (source_port, destination_port) = ports(packet, 40)?;
    let source = u128::from_be_bytes(*header[8..].first_chunk()?);
    let destination = u128::from_be_bytes(*header[24..].first_chunk()?);
    let is_back = (source, source_port) > (destination, destination_port);
    let (low, high) = if is_back { (destination, source) } else { (source, destination) };
    let (low_port, high_port) = if is_back { (destination_port, source_port) } else { (source_port, destination_port) };
    let last = low_port | high_port << 16 | u64::from(header[6]) << 32 | 6 << VERSION_SHIFT;
    Some(KeyedPacket { key: [(low >> 64) as u64, low as u64, (high >> 64) as u64, high as u64, last], is_back })
}

#[inline(always)]
const fn is_counted(protocol: u8) -> bool {
    protocol == TCP || protocol == UDP
}

#[inline(always)]
fn ports(packet: &[u8], at: usize) -> Option<(u64, u64)> {
    let ports: &[u8; 4] = packet.get(at..)?.first_chunk()?;
    Some((u64::from(u16::from_be_bytes([ports[0], ports[1]])), u64::from(u16::from_be_bytes([ports[2], ports[3]]))))
}
