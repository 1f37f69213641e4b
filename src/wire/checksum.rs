//! Checksums of TCP, UDP, ICMP and ICMPv6 (RFC 1071, RFC 9293 section 3.1, RFC 768, RFC 792, RFC 4443 section 2.3).
//!
//! Owns the sums. Knows no card: that a checksum was left to one is seen from what stands in its place.

use super::IpVersion;

/// What becomes of a transport checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransportChecksum {
    /// The sum is right.
    Right,
    /// It is wrong; this would be right.
    Wrong(u16),
    /// The sum of the pseudo header alone: the sender's card was to add the rest (Linux `CHECKSUM_PARTIAL`, include/linux/skbuff.h).
    Offloaded,
    /// None was sent (UDP over IPv4, RFC 768).
    None,
}

/// Addresses and protocol, as they go into a pseudo header.
#[derive(Clone, Copy, Debug)]
pub struct PseudoHeader {
    /// Version of the addresses.
    pub version: IpVersion,
    /// Sender; of IPv4 the first 4 bytes.
    pub source: [u8; 16],
    /// Receiver.
    pub destination: [u8; 16],
    /// IANA protocol number.
    pub protocol: u8,
}

/// Sum of 16-bit words, the last one filled up with a zero; not folded. At most 2^32 bytes.
fn sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<2>();
    let last = rest.first().map_or(0, |&byte| u64::from(byte) << 8);
    words.iter().map(|&word| u64::from(u16::from_be_bytes(word))).sum::<u64>() + last
}

/// One's complement sum in 16 bits.
fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum as u16
}

impl PseudoHeader {
    /// Its sum with a length (RFC 9293 section 3.1, RFC 8200 section 8.1); 0 for ICMP, which has none.
    fn sum(&self, len: usize) -> u64 {
        let address_len = match self.version {
            IpVersion::V4 if self.protocol == ICMP => return 0,
            IpVersion::V4 => 4,
            IpVersion::V6 => 16,
        };
        let addresses = [&self.source, &self.destination].map(|address| sum(address.get(..address_len).unwrap_or(address)));
        // Of a length of 32 bits both halves are added.
        addresses.iter().sum::<u64>() + u64::from(self.protocol) + (len as u64 >> 16) + (len as u64 & 0xffff)
    }
}

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;

/// Checks `segment`, a whole transport header with its whole payload. `None` for a protocol without such a checksum, or when the
/// bytes do not reach its checksum.
pub fn verify_transport(header: &PseudoHeader, segment: &[u8]) -> Option<TransportChecksum> {
    let at = match header.protocol {
        TCP => 16,
        UDP => 6,
        ICMP | ICMPV6 => 2,
        _ => return None,
    };
    let sent = u16::from_be_bytes(*segment.get(at..)?.first_chunk()?);
    if header.protocol == UDP && sent == 0 && header.version == IpVersion::V4 {
        return Some(TransportChecksum::None);
    }
    let pseudo = header.sum(segment.len());
    let all = fold(pseudo + sum(segment));
    if all == 0xffff {
        return Some(TransportChecksum::Right);
    }
    // Linux sums the pseudo header with its length, some drivers without.
    let is_partial = header.protocol != ICMP && [pseudo, header.sum(0)].iter().any(|&partial| fold(partial) == sent);
    if is_partial {
        return Some(TransportChecksum::Offloaded);
    }
    let right = !fold(pseudo + sum(segment) + u64::from(!sent));
    // UDP sends 0 as its other form.
    Some(TransportChecksum::Wrong(if right == 0 && header.protocol == UDP { 0xffff } else { right }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(protocol: u8) -> PseudoHeader {
        let (mut source, mut destination) = ([0; 16], [0; 16]);
        source[..4].copy_from_slice(&[192, 0, 2, 1]);
        destination[..4].copy_from_slice(&[192, 0, 2, 2]);
        PseudoHeader { version: IpVersion::V4, source, destination, protocol }
    }

    fn with(mut segment: Vec<u8>, at: usize, checksum: u16) -> Vec<u8> {
        segment[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
        segment
    }

    #[test]
    fn what_would_be_right_is_right() {
        for (protocol, at) in [(TCP, 16), (UDP, 6), (ICMP, 2), (ICMPV6, 2)] {
            for version in [IpVersion::V4, IpVersion::V6] {
                let header = PseudoHeader { version, ..header(protocol) };
                for len in [20, 21, 1480] {
                    let segment: Vec<u8> = (0..len).map(|i| (i * 7 + 3) as u8).collect();
                    let wrong = with(segment, at, 0x1234);
                    let Some(TransportChecksum::Wrong(right)) = verify_transport(&header, &wrong) else { panic!("{protocol}") };
                    assert_eq!(verify_transport(&header, &with(wrong, at, right)), Some(TransportChecksum::Right), "{protocol}");
                }
            }
        }
    }

    #[test]
    fn sums_left_to_the_card_and_none_at_all() {
        let segment: Vec<u8> = (0..32).collect();
        let tcp = header(TCP);
        let partial = fold(tcp.sum(segment.len()));
        assert_eq!(verify_transport(&tcp, &with(segment.clone(), 16, partial)), Some(TransportChecksum::Offloaded));
        assert_eq!(verify_transport(&header(UDP), &with(segment.clone(), 6, 0)), Some(TransportChecksum::None));
        let v6 = PseudoHeader { version: IpVersion::V6, ..header(UDP) };
        assert!(matches!(verify_transport(&v6, &with(segment.clone(), 6, 0)), Some(TransportChecksum::Wrong(_))));
        assert_eq!(verify_transport(&header(132), &segment), None);
        assert_eq!(verify_transport(&tcp, &segment[..17]), None);
    }
}
