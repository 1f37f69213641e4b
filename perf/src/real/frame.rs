//! Other addresses for a real frame.
//!
//! Owns which frames can be given other addresses, and the checksums that follow. Knows no capture and no time. Its
//! one invariant: a checksum that was right stays right, one that was wrong stays as wrong as it was.

const VLAN_TAGS: [u16; 3] = [0x8100, 0x88a8, 0x9100];
const VLAN_TAGS_MAX: usize = 2;
const TCP: u8 = 6;
const UDP: u8 = 17;
/// More fragments flag and fragment offset of IPv4.
const FRAGMENT: u16 = 0x3fff;

/// UDP ports of tunnels (IANA service names; 8472 is what Linux used for VXLAN before it had a port): L2TP, GTP-U,
/// Teredo, LISP, GRE, VXLAN, VXLAN-GPE, AYIYA, CAPWAP, Geneve, MPLS.
const TUNNEL_PORTS: [u16; 13] = [1701, 2152, 3544, 4341, 4754, 4789, 4790, 5072, 5246, 5247, 6081, 6635, 8472];

/// Where the addresses and the checksums of a frame are, in bytes from its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FramePlaces {
    /// The first address; the second one follows it.
    addresses: usize,
    /// Bytes of an address: 4 or 16.
    address_len: usize,
    /// That of the IPv4 header.
    header_checksum: Option<usize>,
    /// That of TCP or UDP; none where UDP over IPv4 has none.
    checksum: Option<usize>,
    is_udp: bool,
}

/// The places of an Ethernet frame with at most two VLAN tags, IPv4 or IPv6 without extension headers, and TCP or
/// UDP. `None` for everything else, for what is malformed, for fragments, and for tunnels over UDP: what is
/// inside would keep its addresses.
pub fn places(frame: &[u8]) -> Option<FramePlaces> {
    let mut at = 12;
    for _ in 0..VLAN_TAGS_MAX {
        if VLAN_TAGS.contains(&be16(frame, at)?) {
            at += 4;
        }
    }
    let network = at + 2;
    let (protocol, transport, addresses, address_len, header_checksum, end) = match be16(frame, at)? {
        0x0800 => {
            let header: &[u8; 20] = frame.get(network..)?.first_chunk()?;
            let header_len = usize::from(header[0] & 15) * 4;
            if header[0] >> 4 != 4 || header_len < 20 || be16(header, 6)? & FRAGMENT != 0 {
                return None;
            }
            let end = network + usize::from(be16(header, 2)?);
            (header[9], network + header_len, network + 12, 4, Some(network + 10), end)
        }
        0x86dd => {
            let header: &[u8; 40] = frame.get(network..)?.first_chunk()?;
            if header[0] >> 4 != 6 {
                return None;
            }
            (header[6], network + 40, network + 8, 16, None, network + 40 + usize::from(be16(header, 4)?))
        }
        _ => return None,
    };
    let segment = frame.get(transport..end)?;
    let checksum = match protocol {
        TCP => is_tcp(segment).then_some(Some(transport + 16))?,
        UDP => is_udp(segment).then_some((be16(segment, 6)? != 0).then_some(transport + 6))?,
        _ => return None,
    };
    Some(FramePlaces { addresses, address_len, header_checksum, checksum, is_udp: protocol == UDP })
}

fn is_tcp(segment: &[u8]) -> bool {
    let header_len = segment.get(12).map_or(0, |byte| usize::from(byte >> 4) * 4);
    header_len >= 20 && header_len <= segment.len()
}

fn is_udp(segment: &[u8]) -> bool {
    let Some(&[a, b, c, d, e, f, _, _]) = segment.first_chunk::<8>() else { return false };
    let [source, destination, len] = [[a, b], [c, d], [e, f]].map(u16::from_be_bytes);
    let is_whole = usize::from(len) >= 8 && usize::from(len) <= segment.len();
    is_whole && !TUNNEL_PORTS.contains(&source) && !TUNNEL_PORTS.contains(&destination)
}

/// Gives a frame with these `places` other addresses: the two bytes behind the first one of an IPv4 address, the fifth
/// and the sixth of an IPv6 address, each XORed with `number`. Multicast stays multicast, and the same number
/// gives the frame back.
pub fn readdress(frame: &mut [u8], places: FramePlaces, number: u16) {
    let range = places.addresses..places.addresses + 2 * places.address_len;
    let Some(addresses) = frame.get_mut(range) else { return };
    // Words whose sum the checksums hold, before and after.
    let mut old = [0; 16];
    let mut new = [0; 16];
    words(addresses, &mut old);
    for address in addresses.chunks_exact_mut(places.address_len) {
        let at = if address.len() == 4 { 1 } else { 4 };
        for (byte, change) in address.iter_mut().skip(at).zip(number.to_be_bytes()) {
            *byte ^= change;
        }
    }
    words(addresses, &mut new);
    for at in places.header_checksum.into_iter().chain(places.checksum) {
        let Some(field) = frame.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<2>()) else { continue };
        let mut sum = old.iter().zip(&new).fold(u16::from_be_bytes(*field), |sum, (old, new)| changed(sum, *old, *new));
        if places.is_udp && places.checksum == Some(at) && sum == 0 {
            sum = 0xffff; // RFC 768: 0 says that there is none
        }
        *field = sum.to_be_bytes();
    }
}

fn words(bytes: &[u8], words: &mut [u16; 16]) {
    for (word, pair) in words.iter_mut().zip(bytes.chunks_exact(2)) {
        *word = u16::from_be_bytes([pair[0], pair[1]]);
    }
}

/// A checksum after one word of what it sums up has changed: RFC 1624, equation 3.
fn changed(checksum: u16, old: u16, new: u16) -> u16 {
    let sum = u32::from(!checksum) + u32::from(!old) + u32::from(new);
    let sum = (sum & 0xffff) + (sum >> 16);
    !(((sum & 0xffff) + (sum >> 16)) as u16)
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::floor::key_of;
    use crate::{Generator, GeneratorSettings, Profile};

    fn frames(profile: Profile) -> Vec<Vec<u8>> {
        let mut generator = Generator::new(&GeneratorSettings::new(profile, 200, 20, 1)).unwrap();
        std::iter::from_fn(|| generator.next_packet().map(|(_, frame)| frame.to_vec())).collect()
    }

    fn sum(bytes: &[u8]) -> u32 {
        bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0))).sum()
    }

    const fn folded(sum: u32) -> u32 {
        let sum = (sum & 0xffff) + (sum >> 16);
        (sum & 0xffff) + (sum >> 16)
    }

    /// Both sums over everything, as a receiver makes them (RFC 1071): 0xffff where they are right.
    fn received(frame: &[u8], places: &FramePlaces) -> [u32; 2] {
        let addresses = &frame[places.addresses..places.addresses + 2 * places.address_len];
        let checksum = places.checksum.unwrap();
        let transport = checksum - if places.is_udp { 6 } else { 16 };
        let end = match places.header_checksum {
            Some(at) => at - 10 + usize::from(be16(frame, at - 8).unwrap()),
            None => transport + usize::from(be16(frame, places.addresses - 4).unwrap()),
        };
        let header = places.header_checksum.map_or(0xffff, |at| folded(sum(&frame[at - 10..transport])));
        let protocol = if places.is_udp { 17 } else { 6 };
        let segment = &frame[transport..end];
        [header, folded(sum(addresses) + protocol + segment.len() as u32 + sum(segment))]
    }

    #[test]
    fn checksums_stay_right_and_the_same_number_gives_the_frame_back() {
        for profile in [Profile::HttpMix, Profile::Udp, Profile::Ipv6, Profile::Vlan] {
            for original in frames(profile) {
                let places = places(&original).unwrap();
                assert_eq!(received(&original, &places), [0xffff; 2]);
                for number in [0, 1, 0x1234, 0xff00, 0xffff] {
                    let mut frame = original.clone();
                    readdress(&mut frame, places, number);
                    assert_eq!(received(&frame, &places), [0xffff; 2], "{profile:?} {number}");
                    assert_eq!(number == 0, key_of(&frame).unwrap().key == key_of(&original).unwrap().key);
                    readdress(&mut frame, places, number);
                    assert_eq!(frame, original, "{profile:?} {number}");
                }
            }
        }
    }

    #[test]
    fn both_directions_stay_one_flow_and_numbers_are_flows_of_their_own() {
        let frames = frames(Profile::SmallPackets);
        let flows = |numbers: &[u16]| {
            let mut keys = std::collections::BTreeSet::new();
            for (frame, number) in frames.iter().flat_map(|frame| numbers.iter().map(move |number| (frame, *number))) {
                let mut frame = frame.clone();
                let places = places(&frame).unwrap();
                readdress(&mut frame, places, number);
                keys.insert(key_of(&frame).unwrap().key);
            }
            keys.len()
        };
        assert_eq!((flows(&[0]), flows(&[7]), flows(&[0, 7, 0x4400])), (20, 20, 60));
    }

    #[test]
    fn a_udp_checksum_never_becomes_none_and_none_stays_none() {
        let original = frames(Profile::Udp).swap_remove(0);
        let places_before = places(&original).unwrap();
        for number in 0..=u16::MAX {
            let mut frame = original.clone();
            readdress(&mut frame, places_before, number);
            assert_ne!(be16(&frame, places_before.checksum.unwrap()), Some(0));
        }
        let mut none = original;
        none[places_before.checksum.unwrap()..][..2].fill(0);
        let places = places(&none).unwrap();
        assert_eq!(places.checksum, None);
        readdress(&mut none, places, 77);
        assert_eq!(none[places_before.checksum.unwrap()..][..2], [0, 0]);
    }

    #[test]
    fn what_cannot_be_given_other_addresses_has_no_places() {
        let tcp = frames(Profile::SmallPackets).swap_remove(0);
        let udp = frames(Profile::Udp).swap_remove(0);
        let with = |frame: &[u8], at: usize, value: u8| {
            let mut frame = frame.to_vec();
            frame[at] = value;
            places(&frame)
        };
        assert!(with(&tcp, 0, 1).is_some());
        assert_eq!(with(&tcp, 12, 0x09), None, "no IP");
        assert_eq!(with(&tcp, 14, 0x65), None, "another version");
        assert_eq!(with(&tcp, 14, 0x44), None, "a header that is too short");
        assert_eq!(with(&tcp, 20, 0x20), None, "a first fragment");
        assert_eq!(with(&tcp, 21, 1), None, "a later fragment");
        assert_eq!(with(&tcp, 23, 47), None, "GRE");
        assert_eq!(with(&tcp, 16, 0x10), None, "longer than the frame");
        assert_eq!(with(&tcp, 46, 0x40), None, "a TCP header that is too short");
        assert_eq!(with(&udp, 38, 0xff), None, "a datagram longer than its packet");
        let mut tunnel = udp;
        tunnel[36..38].copy_from_slice(&4789_u16.to_be_bytes());
        assert_eq!(places(&tunnel), None);
    }

    #[test]
    fn frames_cut_at_every_length_are_refused() {
        for profile in [Profile::SmallPackets, Profile::Udp, Profile::Ipv6, Profile::Vlan] {
            let frame = frames(profile).swap_remove(0);
            let whole = (0..frame.len()).filter(|len| places(&frame[..*len]).is_some()).min();
            // Short frames are padded: what is cut off may be padding alone.
            assert!(whole.is_none_or(|len| len >= 14 + 28), "{profile:?}: {whole:?}");
        }
    }
}
