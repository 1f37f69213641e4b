//! Frames with headers in each other, many of them.
//!
//! Owns what is put between the headers of an untagged frame. Its one invariant: lengths and IPv4 checksums of the frame stay right, so
//! that a receiver has no reason to stop but the depth.

use crate::frame::{FRAME_MAX, FrameBuilder, finish, sum};

/// What there is many of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// IPv6 destination options, empty ones. The frame is IPv6.
    ExtensionHeaders(u8),
    /// Bytes of padding, an option each, in one IPv6 hop-by-hop header; 8 times this less 2. The frame is IPv6.
    Padding(u8),
    /// IEEE 802.1Q tags.
    Tags(u8),
    /// MPLS labels.
    Labels(u8),
    /// IPv4 headers before the IPv4 header.
    Tunnels(u8),
}

const ETHERNET: usize = 14;
const IPV4: usize = 20;
const IPV6: usize = 40;
const UDP: u8 = 17;
const DESTINATION_OPTIONS: u8 = 60;

impl FrameBuilder {
    /// Makes the UDP datagram that was built deep.
    pub fn deepen(&mut self, depth: Depth) {
        match depth {
            Depth::ExtensionHeaders(count) => {
                let mut headers = Vec::with_capacity(8 * usize::from(count));
                for left in (0..count).rev() {
                    // A PadN option of four bytes fills it.
                    headers.extend([if left == 0 { UDP } else { DESTINATION_OPTIONS }, 0, 1, 4, 0, 0, 0, 0]);
                }
                self.behind_ipv6(DESTINATION_OPTIONS, &headers);
            }
            Depth::Padding(units) => {
                let mut header = vec![0; 8 * usize::from(units)];
                header[..2].copy_from_slice(&[UDP, units.saturating_sub(1)]);
                self.behind_ipv6(0, &header);
            }
            Depth::Tags(count) => self.insert(ETHERNET - 2, &[0x81, 0, 0, 5].repeat(count.into())),
            Depth::Labels(count) => {
                let mut labels = [0, 1, 0, 64].repeat(count.into());
                if let Some(last) = labels.len().checked_sub(2) {
                    labels[last] |= 1; // the bottom of the stack
                }
                self.bytes_mut()[ETHERNET - 2..ETHERNET].copy_from_slice(&[0x88, 0x47]);
                self.insert(ETHERNET, &labels);
            }
            Depth::Tunnels(count) => (0..count).for_each(|_| self.around_ipv4()),
        }
    }

    /// Puts headers behind that of IPv6, the first of this kind.
    fn behind_ipv6(&mut self, kind: u8, headers: &[u8]) {
        let ipv6 = &mut self.bytes_mut()[ETHERNET..ETHERNET + IPV6];
        let len = u16::from_be_bytes([ipv6[4], ipv6[5]]) + headers.len() as u16;
        ipv6[4..6].copy_from_slice(&len.to_be_bytes());
        ipv6[6] = kind;
        self.insert(ETHERNET + IPV6, headers);
    }

    /// Puts an IPv4 header before the one that is there.
    fn around_ipv4(&mut self) {
        let mut header = [0; IPV4];
        header.copy_from_slice(&self.bytes()[ETHERNET..ETHERNET + IPV4]);
        let total = u16::from_be_bytes([header[2], header[3]]) + IPV4 as u16;
        header[2..4].copy_from_slice(&total.to_be_bytes());
        header[9] = 4;
        header[10..12].fill(0);
        let sum = finish(sum(&header));
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        self.insert(ETHERNET, &header);
    }

    fn insert(&mut self, at: usize, new: &[u8]) {
        let len = self.bytes().len();
        assert!(len + new.len() <= FRAME_MAX, "a frame of {} bytes", len + new.len());
        self.set_len(len + new.len());
        let bytes = self.bytes_mut();
        bytes.copy_within(at..len, at + new.len());
        bytes[at..at + new.len()].copy_from_slice(new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Path;

    fn built(ipv6: bool, depth: Depth) -> Vec<u8> {
        let path = Path { source: [1; 16], destination: [2; 16], source_port: 5, destination_port: 6, ipv6, vlan: None };
        let mut frame = FrameBuilder::new();
        frame.udp(&path, 18);
        frame.deepen(depth);
        frame.bytes().to_vec()
    }

    #[test]
    fn extension_headers_lead_to_the_datagram() {
        let frame = built(true, Depth::ExtensionHeaders(120));
        assert_eq!(usize::from(u16::from_be_bytes([frame[18], frame[19]])), frame.len() - 54);
        let (mut kind, mut at, mut count) = (frame[20], 54, 0);
        while kind == DESTINATION_OPTIONS {
            (kind, at, count) = (frame[at], at + 8 * (usize::from(frame[at + 1]) + 1), count + 1);
        }
        assert_eq!((kind, count, &frame[at..at + 4]), (UDP, 120, &[0, 5, 0, 6][..]));
        let padded = built(true, Depth::Padding(150));
        assert_eq!((padded[20], padded[54], usize::from(padded[55]) + 1), (0, UDP, 150));
        assert_eq!(&padded[54 + 1200..54 + 1204], &[0, 5, 0, 6]);
    }

    #[test]
    fn tags_labels_and_tunnels_lead_to_it_too() {
        let tagged = built(false, Depth::Tags(16));
        assert_eq!((&tagged[12..18], &tagged[76..79]), (&[0x81, 0, 0, 5, 0x81, 0][..], &[8, 0, 0x45][..]));
        let labelled = built(false, Depth::Labels(3));
        assert_eq!(&labelled[12..27], &[0x88, 0x47, 0, 1, 0, 64, 0, 1, 0, 64, 0, 1, 1, 64, 0x45]);
        let inside = built(false, Depth::Tunnels(8));
        for depth in 0..9 {
            let header = &inside[14 + 20 * depth..34 + 20 * depth];
            assert_eq!((header[0], header[9], finish(sum(header))), (0x45, if depth == 8 { UDP } else { 4 }, 0));
            assert_eq!(usize::from(u16::from_be_bytes([header[2], header[3]])), 46 + 20 * (8 - depth));
        }
    }
}
