//! Every generated packet is parsed again here, by hand, and held against what was asked for.

use super::*;
use crate::frame::{finish, sum};
use crate::{Resolution, write_pcap};
use std::collections::{HashMap, HashSet};

fn settings(profile: Profile) -> GeneratorSettings {
    GeneratorSettings { live_flows: 7, ..GeneratorSettings::new(profile, 1003, 50, 42) }
}

/// Ethernet payload, with the tag taken off.
fn network(frame: &[u8]) -> &[u8] {
    if frame[12..14] == [0x81, 0x00] { &frame[18..] } else { &frame[14..] }
}

type Endpoint = (Vec<u8>, u16);

struct Parsed<'a> {
    source: Endpoint,
    destination: Endpoint,
    protocol: u8,
    transport: &'a [u8],
}

fn parse(frame: &[u8]) -> Parsed<'_> {
    let packet = network(frame);
    let (addresses, protocol, transport) = if packet[0] >> 4 == 4 {
        let total = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
        assert_eq!(finish(sum(&packet[..20])), 0, "IPv4 checksum");
        (&packet[12..20], packet[9], &packet[20..total])
    } else {
        let len = usize::from(u16::from_be_bytes([packet[4], packet[5]]));
        (&packet[8..40], packet[6], &packet[40..40 + len])
    };
    let pseudo = sum(addresses) + u64::from(protocol) + transport.len() as u64;
    assert_eq!(finish(pseudo + sum(transport)), 0, "transport checksum");
    let (source, destination) = addresses.split_at(addresses.len() / 2);
    let port = |at: usize| u16::from_be_bytes([transport[at], transport[at + 1]]);
    Parsed { source: (source.to_vec(), port(0)), destination: (destination.to_vec(), port(2)), protocol, transport }
}

#[test]
fn packet_and_flow_counts_are_exact_and_checksums_right_in_every_profile() {
    for (name, profile) in Profile::ALL {
        let mut generator = Generator::new(&settings(*profile)).unwrap();
        let (mut flows, mut packets, mut last_ns, mut bytes) = (HashSet::new(), 0, 0, 0);
        while let Some((time_ns, frame)) = generator.next_packet() {
            assert!(time_ns >= last_ns, "{name}: time goes back");
            assert!((60..=crate::FRAME_MAX).contains(&frame.len()), "{name}: {} bytes", frame.len());
            last_ns = time_ns;
            packets += 1;
            bytes += frame.len() as u64;
            let parsed = parse(frame);
            assert_eq!(parsed.protocol, if *profile == Profile::Udp { 17 } else { 6 }, "{name}");
            let (low, high) = (parsed.source.clone().min(parsed.destination.clone()), parsed.source.max(parsed.destination));
            flows.insert((low, high));
        }
        assert_eq!((packets, flows.len()), (1003, 50), "{name}");
        assert_eq!(generator.generated(), Generated { packets: 1003, flows: 50, bytes }, "{name}");
    }
}

#[test]
fn sequence_and_acknowledgment_numbers_continue_without_gaps() {
    let mut generator = Generator::new(&settings(Profile::HttpMix)).unwrap();
    let mut next: HashMap<(Endpoint, Endpoint), u32> = HashMap::new();
    let (mut fins, mut resets) = (0, 0);
    while let Some((_, frame)) = generator.next_packet() {
        let Parsed { source, destination, transport, .. } = parse(frame);
        let word = |at: usize| u32::from_be_bytes([transport[at], transport[at + 1], transport[at + 2], transport[at + 3]]);
        let (header, flags) = (usize::from(transport[12] >> 4) * 4, transport[13]);
        let forward = (source.clone(), destination.clone());
        if let Some(expected) = next.get(&forward) {
            assert_eq!(word(4), *expected, "sequence number");
        } else {
            assert_eq!(flags & 0x02, 0x02, "the first segment each way is a SYN");
        }
        if flags & 0x10 != 0 {
            assert_eq!(Some(&word(8)), next.get(&(destination, source)), "acknowledgment number");
        }
        let used = (transport.len() - header) as u32 + u32::from(flags & 0x03 != 0);
        next.insert(forward, word(4).wrapping_add(used));
        fins += u32::from(flags & 0x01 != 0);
        resets += u32::from(flags & 0x04 != 0);
    }
    // 50 flows, every sixteenth ends with a reset: numbers 0, 16, 32, 48.
    assert_eq!((fins, resets), (92, 4));
}

#[test]
fn small_packets_are_minimal_frames() {
    let mut generator = Generator::new(&settings(Profile::SmallPackets)).unwrap();
    while let Some((_, frame)) = generator.next_packet() {
        assert!(frame.len() <= 66, "{} bytes", frame.len());
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let bytes = |seed| {
        let mut out = Vec::new();
        write_pcap(&GeneratorSettings { seed, ..settings(Profile::ManyFlows) }, Resolution::Micro, &mut out).unwrap();
        out
    };
    assert_eq!(bytes(1), bytes(1));
    assert_ne!(bytes(1), bytes(2));
}

#[test]
fn the_file_is_a_classic_capture_of_the_stated_resolution() {
    for (resolution, magic, unit) in [(Resolution::Micro, 0xa1b2_c3d4_u32, 1000), (Resolution::Nano, 0xa1b2_3c4d, 1)] {
        let mut out = Vec::new();
        let generated = write_pcap(&settings(Profile::Udp), resolution, &mut out).unwrap();
        assert_eq!(out[..4], magic.to_le_bytes());
        assert_eq!(out.len() as u64, 24 + 16 * generated.packets + generated.bytes);
        let word = |at: usize| u32::from_le_bytes([out[at], out[at + 1], out[at + 2], out[at + 3]]);
        assert_eq!((word(24), word(28)), (1_700_000_000, 0));
        assert!(word(40 + word(32) as usize + 4) * unit <= 2000, "the second packet follows within two gaps");
    }
}

#[test]
fn settings_that_cannot_be_met_are_refused() {
    let refused = |packets, flows| Generator::new(&GeneratorSettings::new(Profile::Udp, packets, flows, 1)).err();
    assert_eq!(refused(10, 0), Some(GenerateError::Flows(0)));
    assert_eq!(refused(9, 10), Some(GenerateError::Packets(9)));
    assert_eq!(refused(10, 10), None);
}

#[test]
fn fragments_are_halves_of_valid_datagrams_each_with_its_own_identification() {
    let mut generator =
        Generator::new(&GeneratorSettings { live_flows: 0, ..GeneratorSettings::new(Profile::Fragments, 1_000, 50, 7) }).unwrap();
    let mut waiting: HashMap<Vec<u8>, Vec<u8>> = HashMap::new();
    let mut whole = 0;
    while let Some((_, frame)) = generator.next_packet() {
        let total = usize::from(u16::from_be_bytes([frame[16], frame[17]]));
        let (header, data) = (&frame[14..34], &frame[34..14 + total]);
        assert_eq!(finish(sum(header)), 0, "header checksum");
        // Identification, protocol, source, destination: RFC 791's name of a datagram.
        let name = [&header[4..6], &header[9..10], &header[12..20]].concat();
        match u16::from_be_bytes([header[6], header[7]]) {
            0x2000 => assert_eq!(waiting.insert(name, data.to_vec()), None, "two datagrams of one name wait at a time"),
            field => {
                let mut datagram = waiting.remove(&name).expect("its first half came before it");
                assert_eq!(usize::from(field) * 8, datagram.len());
                datagram.extend_from_slice(data);
                assert_eq!(usize::from(u16::from_be_bytes([datagram[4], datagram[5]])), datagram.len());
                let pseudo = sum(&header[12..20]) + 17 + datagram.len() as u64;
                assert_eq!(finish(pseudo + sum(&datagram)), 0, "UDP checksum");
                whole += 1;
            }
        }
    }
    assert_eq!((whole, waiting.len()), (500, 0));
}

#[test]
fn every_malformed_frame_breaks_a_rule() {
    let mut generator = Generator::new(&settings(Profile::Malformed)).unwrap();
    let mut seen = [0; 4];
    while let Some((_, frame)) = generator.next_packet() {
        let total = usize::from(u16::from_be_bytes([frame[16], frame[17]]));
        let tcp_header = usize::from(frame[46] >> 4) * 4;
        let broken =
            [frame[14] >> 4 != 4, frame[14] & 15 < 5, total < 20, total >= 20 && !(20..=total - 20).contains(&tcp_header)];
        assert!(broken.contains(&true));
        for (count, is_broken) in seen.iter_mut().zip(broken) {
            *count += usize::from(is_broken);
        }
    }
    assert!(seen.iter().all(|&count| count > 100), "{seen:?}");
}

#[test]
fn colliding_tuples_have_one_sum_and_one_xor() {
    let mut generator = Generator::new(&settings(Profile::Colliding)).unwrap();
    while let Some((_, frame)) = generator.next_packet() {
        let word = |at: usize| u32::from_be_bytes([frame[at], frame[at + 1], frame[at + 2], frame[at + 3]]);
        let port = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
        assert_eq!((word(26) ^ word(30), port(34) ^ port(36)), (u32::MAX, u16::MAX));
        assert_eq!((word(26).wrapping_add(word(30)), port(34).wrapping_add(port(36))), (u32::MAX, u16::MAX));
    }
}
