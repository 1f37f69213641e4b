//! The generator's traffic in memory, laid out as in a mapped file.
//!
//! Owns the bytes. Its one invariant: a packet's bytes follow those of the packet before.

use netscope_backends::{LinkType, Packet, Timestamp};
use netscope_perf::{Generator, GeneratorSettings, Profile};

/// Packets one behind the other.
pub struct Traffic {
    bytes: Vec<u8>,
    /// Time, first byte, length.
    records: Vec<(u64, usize, usize)>,
}

impl Traffic {
    /// All packets of these settings.
    pub fn new(profile: Profile, packets: u64, flows: u64) -> Self {
        let settings = GeneratorSettings::new(profile, packets, flows, 1);
        let mut generator = Generator::new(&settings).expect("possible settings");
        let (mut bytes, mut records) = (Vec::new(), Vec::new());
        while let Some((time, frame)) = generator.next_packet() {
            records.push((time, bytes.len(), frame.len()));
            bytes.extend_from_slice(frame);
        }
        Self { bytes, records }
    }

    /// Lends the packets.
    pub fn packets(&self) -> Vec<Packet<'_>> {
        let packet = |&(time, start, len): &(u64, usize, usize)| Packet {
            data: &self.bytes[start..start + len],
            time: Timestamp(time),
            wire_len: u32::try_from(len).expect("frames are short"),
            link_type: LinkType::ETHERNET,
        };
        self.records.iter().map(packet).collect()
    }

    /// Time from the first packet to just behind the last, in ns.
    pub fn length_ns(&self) -> u64 {
        match (self.records.first(), self.records.last()) {
            (Some(first), Some(last)) => last.0 - first.0 + 1,
            _ => 0,
        }
    }
}
