//! The walker over truthful, lying and random blocks.

use libc::{TP_STATUS_CSUMNOTREADY, TP_STATUS_VLAN_TPID_VALID, TP_STATUS_VLAN_VALID};
use proptest::prelude::*;

use super::super::layout::READABLE;
use super::super::walker::BlockWalker;
use super::*;
use crate::{Packet, Timestamp};

const BLOCK: usize = 4096;

/// What a walk came to: data, time, length on the wire; and how many packets were announced in vain.
type Walked = (Vec<(Vec<u8>, Timestamp, u32)>, u32);

fn walk(block: &mut [u8], format: RingFormat) -> Walked {
    let readable = &mut block[READABLE..];
    let mut walker = BlockWalker::new(readable, format);
    let packets = (&mut walker).map(|Packet { data, time, wire_len, .. }| (data.to_vec(), time, wire_len)).collect();
    (packets, walker.left())
}

fn walk_frames(frames: &[Frame]) -> Walked {
    let mut block = vec![0; BLOCK];
    fill(&mut block, frames);
    walk(&mut block, FORMAT)
}

#[test]
fn packets_come_as_they_were_written() {
    let frames =
        [Frame { seconds: 7, nanoseconds: 999_999_999, cut: 40, ..frame(b"first packet, cut") }, frame(b""), frame(&[9; 1000])];
    let (packets, left) = walk_frames(&frames);
    let expected = vec![
        (b"first packet, cut".to_vec(), Timestamp(7_999_999_999), 57),
        (Vec::new(), Timestamp(0), 0),
        (vec![9; 1000], Timestamp(0), 1000),
    ];
    assert_eq!((packets, left), (expected, 0));
    assert_eq!(walk_frames(&[]), (Vec::new(), 0));
}

#[test]
fn a_checksum_left_to_the_card_changes_nothing() {
    let (packets, left) = walk_frames(&[Frame { status: TP_STATUS_CSUMNOTREADY, ..frame(b"as ever") }]);
    assert_eq!((packets, left), (vec![(b"as ever".to_vec(), Timestamp(0), 7)], 0));
}

/// Addresses, type and two bytes.
const UNTAGGED: &[u8] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0x08, 0x00, 0x45, 0x46];

fn tagged(tpid: u16, tci: u16) -> Vec<u8> {
    [&UNTAGGED[..12], &tpid.to_be_bytes(), &tci.to_be_bytes(), &UNTAGGED[12..]].concat()
}

#[test]
fn a_tag_is_put_back() {
    let both = TP_STATUS_VLAN_VALID | TP_STATUS_VLAN_TPID_VALID;
    for (status, tci, tpid, expected) in [
        (both, 0x2005, 0x8100, tagged(0x8100, 0x2005)),
        (both, 5, 0x88a8, tagged(0x88a8, 5)),
        // Kernels before 3.14 do not say which protocol, those before 3.2 not that there is a tag.
        (TP_STATUS_VLAN_VALID, 0, 0, tagged(0x8100, 0)),
        (TP_STATUS_VLAN_VALID, 5, 0x1234, tagged(0x8100, 5)),
        (0, 5, 0, tagged(0x8100, 5)),
        (0, 0, 0, UNTAGGED.to_vec()),
    ] {
        let neighbour = frame(&[0x55; 30]);
        let frames = [neighbour.clone(), Frame { status, tci, tpid, cut: 100, ..frame(UNTAGGED) }, neighbour];
        let (packets, left) = walk_frames(&frames);
        assert_eq!(left, 0);
        assert_eq!(packets[1], (expected.clone(), Timestamp(0), expected.len() as u32 + 100), "{status:x} {tci} {tpid:x}");
        assert_eq!((&packets[0].0[..], &packets[2].0[..]), (&[0x55; 30][..], &[0x55; 30][..]));
    }
}

#[test]
fn a_tag_counts_in_the_snap_length() {
    let mut block = vec![0; BLOCK];
    let status = TP_STATUS_VLAN_VALID;
    // The kernel cut at 16 bytes, without the tag that it had taken out.
    fill(&mut block, &[Frame { status, tci: 5, cut: 50, ..frame(UNTAGGED) }]);
    let (packets, _) = walk(&mut block, RingFormat { snaplen: 16, ..FORMAT });
    assert_eq!(packets, [(tagged(0x8100, 5)[..16].to_vec(), Timestamp(0), 70)]);
    // Where the addresses are cut, there is nothing to put a tag behind; its bytes were on the wire all the
    // same.
    fill(&mut block, &[Frame { status, tci: 5, cut: 50, ..frame(&UNTAGGED[..11]) }]);
    let (packets, _) = walk(&mut block, RingFormat { snaplen: 11, ..FORMAT });
    assert_eq!(packets, [(UNTAGGED[..11].to_vec(), Timestamp(0), 65)]);
}

#[test]
fn a_device_without_link_header_has_no_place_for_a_tag() {
    let mut block = vec![0; BLOCK];
    fill(&mut block, &[Frame { status: TP_STATUS_VLAN_VALID, tci: 5, ..frame(UNTAGGED) }]);
    let (packets, _) = walk(&mut block, RingFormat { link_type: LinkType::RAW, ..FORMAT });
    assert_eq!(packets, [(UNTAGGED.to_vec(), Timestamp(0), 16)]);
}

#[test]
fn a_lying_length_ends_the_block_and_the_rest_is_counted() {
    type Lie = fn(&mut [u8], usize);
    let lies: &[(&str, Lie)] = &[
        ("next within its own header", |block, at| put(block, at, 47)),
        ("next is itself", |block, at| put(block, at, 0)),
        ("next within its own data", |block, at| put(block, at, 100)),
        ("next behind the block", |block, at| put(block, at, 1 << 20)),
        ("next at the end of numbers", |block, at| put(block, at, u32::MAX)),
        ("data behind the frame", |block, at| put(block, at + 12, 2000)),
        ("data at the end of numbers", |block, at| put(block, at + 12, u32::MAX)),
        ("link header within the packet's header", |block, at| put_half(block, at + 24, 47)),
        ("link header behind the frame", |block, at| put_half(block, at + 24, u16::MAX)),
        ("a tag without room for it", |block, at| {
            put(block, at + 32, 5);
            put_half(block, at + 24, PACKET_HEADER_LEN as u16 + 3);
        }),
    ];
    for (name, lie) in lies {
        let mut block = vec![0; BLOCK];
        let offsets = fill(&mut block, &[frame(&[1; 100]), frame(&[2; 100]), frame(&[3; 100]), frame(&[4; 100])]);
        lie(&mut block, offsets[1]);
        let (packets, left) = walk(&mut block, FORMAT);
        assert_eq!((packets.len(), left), (1, 3), "{name}");
        assert_eq!(packets[0].0, [1; 100], "{name}");
    }
}

#[test]
fn a_lying_block_header_is_counted() {
    type Lie = fn(&mut [u8]);
    let lies: &[(&str, Lie, usize, u32)] = &[
        ("more packets than there are", |block| put(block, BLOCK_PACKETS, 5), 1, 4),
        ("fewer packets than there are", |block| put(block, BLOCK_PACKETS, 1), 1, 0),
        ("first packet within the header", |block| put(block, BLOCK_FIRST, 11), 0, 2),
        ("first packet behind the block", |block| put(block, BLOCK_FIRST, 5000), 0, 2),
        ("first packet at the end of numbers", |block| put(block, BLOCK_FIRST, u32::MAX), 0, 2),
        ("shorter than its header", |block| put(block, BLOCK_LEN, 5), 0, 2),
        ("shorter than its packets", |block| put(block, BLOCK_LEN, 300), 1, 1),
        ("longer than the block", |block| put(block, BLOCK_LEN, u32::MAX), 2, 0),
    ];
    for (name, lie, expected, expected_left) in lies {
        let mut block = vec![0; BLOCK];
        fill(&mut block, &[frame(&[1; 100]), frame(&[2; 100])]);
        lie(&mut block);
        let (packets, left) = walk(&mut block, FORMAT);
        assert_eq!((packets.len(), left), (*expected, *expected_left), "{name}");
    }
    // Even a block that is too short for its own header.
    for len in 0..BLOCK_HEADER_LEN {
        let mut bytes = vec![0xff; len];
        let mut walker = BlockWalker::new(&mut bytes, FORMAT);
        assert!(walker.next().is_none());
    }
}

fn frames() -> impl Strategy<Value = Vec<Frame>> {
    let frame = (prop::collection::vec(any::<u8>(), 0..200), 0..100_u32, any::<u32>(), 0..1_000_000_000_u32, any::<[u16; 2]>());
    let frame = frame.prop_map(|(data, cut, seconds, nanoseconds, [tci, tpid])| {
        let status = if tci % 2 == 0 { 0 } else { TP_STATUS_VLAN_VALID | TP_STATUS_VLAN_TPID_VALID };
        let (tci, tpid) = if status == 0 { (0, 0) } else { (tci, tpid.max(1)) };
        Frame { data, cut, seconds, nanoseconds, status, tci, tpid }
    });
    prop::collection::vec(frame, 0..12)
}

/// What a reader is to see of a frame.
fn expected(frame: &Frame) -> (Vec<u8>, Timestamp, u32) {
    let time = Timestamp(u64::from(frame.seconds) * 1_000_000_000 + u64::from(frame.nanoseconds));
    let mut data = frame.data.clone();
    let mut wire_len = data.len() as u32 + frame.cut;
    if frame.status != 0 {
        wire_len += 4;
        if data.len() >= 12 {
            data.splice(12..12, [frame.tpid.to_be_bytes(), frame.tci.to_be_bytes()].concat());
        }
    }
    (data, time, wire_len)
}

proptest! {
    #[test]
    fn any_frames_come_out_as_they_went_in(frames in frames()) {
        let (packets, left) = walk_frames(&frames);
        prop_assert_eq!(left, 0);
        prop_assert_eq!(packets, frames.iter().map(expected).collect::<Vec<_>>());
    }

    #[test]
    fn random_bytes_are_harmless_and_counted(mut block in prop::collection::vec(any::<u8>(), 48..600), packets in 0..20_u32) {
        put(&mut block, BLOCK_PACKETS, packets);
        let (walked, left) = walk(&mut block, FORMAT);
        prop_assert_eq!(walked.len() as u32 + left, packets);
    }

    #[test]
    fn one_wrong_word_never_makes_packets_overlap(frames in frames(), at in 48..2000_usize, word in any::<u32>(), small in any::<bool>()) {
        let mut block = vec![0; BLOCK];
        fill(&mut block, &frames);
        put(&mut block, at, if small { word % 300 } else { word });
        let readable = &mut block[READABLE..];
        let bounds = readable.as_ptr_range();
        let mut walker = BlockWalker::new(readable, FORMAT);
        let mut end = bounds.start;
        let mut count = 0;
        for packet in &mut walker {
            let data = packet.data.as_ptr_range();
            prop_assert!(end <= data.start && data.end <= bounds.end);
            end = data.end;
            count += 1;
        }
        prop_assert_eq!(count + walker.left(), frames.len() as u32);
    }
}
