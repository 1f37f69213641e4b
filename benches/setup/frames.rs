//! Frames of one kind each for the dissector: the generator's, bare or inside more headers.
//!
//! Owns the headers put around. Its one invariant: lengths and IPv4 checksums are right, so the dissector
//! goes all the way.

use netscope_perf::{Generator, GeneratorSettings, Profile};

/// 1000 frames of 10 flows; together they fit into the second cache.
fn plain(profile: Profile) -> Vec<Vec<u8>> {
    let mut generator = Generator::new(&GeneratorSettings::new(profile, 1000, 10, 1)).expect("possible settings");
    let mut frames = Vec::new();
    while let Some((_, frame)) = generator.next_packet() {
        frames.push(frame.to_vec());
    }
    frames
}

/// Ethernet, IPv4, TCP: what most packets are.
pub fn tcp_ipv4() -> Vec<Vec<u8>> {
    plain(Profile::SmallPackets)
}

/// Ethernet, 802.1ad tag, 802.1Q tag, IPv6, hop-by-hop options, destination options, TCP.
pub fn qinq_ipv6_extensions() -> Vec<Vec<u8>> {
    plain(Profile::Ipv6).iter().map(|frame| with_tags_and_extensions(frame)).collect()
}

fn with_tags_and_extensions(frame: &[u8]) -> Vec<u8> {
    const TAGS: [u8; 8] = [0x88, 0xa8, 0, 100, 0x81, 0, 0, 200];
    // Next header, length 0 (8 bytes), PadN of 4 bytes: RFC 8200 sections 4.2, 4.3, 4.6.
    const EXTENSIONS: [u8; 16] = [60, 0, 1, 4, 0, 0, 0, 0, 6, 0, 1, 4, 0, 0, 0, 0];
    let mut ip = frame[14..54].to_vec();
    let payload = u16::from_be_bytes([ip[4], ip[5]]) + EXTENSIONS.len() as u16;
    ip[4..6].copy_from_slice(&payload.to_be_bytes());
    ip[6] = 0; // hop-by-hop options come first
    [&frame[..12], &TAGS, &frame[12..14], &ip, &EXTENSIONS, &frame[54..]].concat()
}

/// Ethernet, IPv4, UDP, VXLAN, and a whole frame inside.
pub fn vxlan() -> Vec<Vec<u8>> {
    plain(Profile::SmallPackets).iter().map(|frame| in_vxlan(frame)).collect()
}

fn in_vxlan(inner: &[u8]) -> Vec<u8> {
    let udp_len = u16::try_from(8 + 8 + inner.len()).expect("small frames");
    let mut ip = vec![0x45, 0, 0, 0, 0, 1, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
    ip[2..4].copy_from_slice(&(20 + udp_len).to_be_bytes());
    let sum: u32 = ip.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let checksum = !((folded & 0xffff) as u16 + (folded >> 16) as u16);
    ip[10..12].copy_from_slice(&checksum.to_be_bytes());
    let mut udp = vec![0xc0, 0, 0x12, 0xb5, 0, 0, 0, 0]; // to port 4789; no checksum, as RFC 7348 section 5 wishes
    udp[4..6].copy_from_slice(&udp_len.to_be_bytes());
    let vxlan = [8, 0, 0, 0, 0, 0, 42, 0];
    [&inner[..12], &[8, 0], &ip, &udp, &vxlan, inner].concat()
}
