//! A real capture in memory, ready to be written many times.
//!
//! Owns what of a capture is taken and how its times are told. Knows no copies. Its one invariant: every frame that
//! is kept is whole and can be given other addresses.

use super::frame::{FramePlaces, places};
use crate::pcap::SNAP_LEN;
use netscope_backends::LinkType;
use netscope_backends::memory::{OwnedPacket, read_all};
use std::path::Path;

/// Bytes of the largest file that is read.
const FILE_MAX: u64 = 64 << 20;
/// Silence of a whole capture that is longer is cut to this: some captures are several from different years.
pub const SILENCE_NS_MAX: u64 = 1_000_000_000;
/// A capture of which more than one packet in so many was cut by the snap length is left out.
const CUT_SHARE: usize = 100;

/// A frame that is kept.
pub struct RealFrame {
    /// Nanoseconds since the capture's first packet; never less than that of the frame before.
    pub time_ns: u64,
    pub bytes: Vec<u8>,
    pub places: FramePlaces,
}

/// A capture, as far as it is taken.
pub struct RealCapture {
    pub frames: Vec<RealFrame>,
    /// Packets that were left out.
    pub skipped: usize,
}

impl RealCapture {
    /// Reads a capture.
    ///
    /// # Errors
    /// Why it is left out: too large, damaged, not Ethernet throughout, cut, or without a frame that is taken.
    pub fn read(path: &Path) -> Result<Self, String> {
        let len = path.metadata().map_err(|error| error.to_string())?.len();
        if len > FILE_MAX {
            return Err(format!("larger than {} MiB", FILE_MAX >> 20));
        }
        Self::of(read_all(path).map_err(|error| error.to_string())?)
    }

    fn of(packets: Vec<OwnedPacket>) -> Result<Self, String> {
        if let Some(other) = packets.iter().find(|packet| packet.link_type != LinkType::ETHERNET) {
            return Err(format!("link type {}, not Ethernet", other.link_type.0));
        }
        let all = packets.len();
        let cut = packets.iter().filter(|packet| !is_whole(packet)).count();
        if cut * CUT_SHARE > all {
            return Err(format!("{cut} of {all} packets are cut"));
        }
        let (mut time_ns, mut before) = (0, None);
        let mut frames = Vec::new();
        for packet in packets {
            let silence = before.map_or(0, |before| packet.time.since(before));
            time_ns += silence.min(SILENCE_NS_MAX);
            before = Some(packet.time);
            if let Some(places) = places(&packet.data).filter(|_| is_whole(&packet)) {
                frames.push(RealFrame { time_ns, bytes: packet.data, places });
            }
        }
        if frames.is_empty() {
            return Err("no TCP or UDP that is taken".to_owned());
        }
        let skipped = all - frames.len();
        Ok(Self { frames, skipped })
    }
}

/// Not cut by the snap length, and no longer than what the file that is written may hold.
const fn is_whole(packet: &OwnedPacket) -> bool {
    packet.data.len() >= packet.wire_len as usize && packet.data.len() <= SNAP_LEN as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Generator, GeneratorSettings, Profile};
    use netscope_backends::Timestamp;

    fn packets(times_s: &[u64]) -> Vec<OwnedPacket> {
        let settings = GeneratorSettings::new(Profile::SmallPackets, times_s.len() as u64, 1, 1);
        let mut generator = Generator::new(&settings).unwrap();
        let mut packet = |second: &u64| {
            let (_, frame) = generator.next_packet().unwrap();
            let time = Timestamp::from_parts(*second, 0);
            OwnedPacket { time, wire_len: frame.len() as u32, link_type: LinkType::ETHERNET, data: frame.to_vec() }
        };
        times_s.iter().map(&mut packet).collect()
    }

    fn reason(packets: Vec<OwnedPacket>) -> String {
        RealCapture::of(packets).err().unwrap()
    }

    #[test]
    fn long_silence_is_cut_and_time_never_goes_back() {
        let mut packets = packets(&[10, 10, 5, 1_000_000, 1_000_001]);
        packets[1].time = Timestamp(10_300_000_000);
        let source = RealCapture::of(packets).unwrap();
        let times: Vec<u64> = source.frames.iter().map(|frame| frame.time_ns / 100_000_000).collect();
        assert_eq!((times, source.skipped), (vec![0, 3, 3, 13, 23], 0));
    }

    #[test]
    fn what_is_left_out_has_its_reason() {
        let mut other = packets(&[1, 2]);
        other[1].link_type = LinkType::LINUX_SLL;
        assert_eq!(reason(other), "link type 113, not Ethernet");
        let mut cut = packets(&[1, 2, 3]);
        cut[2].wire_len += 1;
        assert_eq!(reason(cut), "1 of 3 packets are cut");
        assert_eq!(reason(Vec::new()), "no TCP or UDP that is taken");
        assert!(RealCapture::read(Path::new("no-such-capture.pcap")).is_err());
    }

    #[test]
    fn one_cut_packet_of_many_and_what_is_no_tcp_or_udp_are_skipped() {
        let mut packets = packets(&[1; 200]);
        packets[3].wire_len += 1;
        packets[7].data[12] = 0x09;
        let source = RealCapture::of(packets).unwrap();
        assert_eq!((source.frames.len(), source.skipped), (198, 2));
    }
}
