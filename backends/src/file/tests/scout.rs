//! Looking ahead asks for the right places, gives up where it guesses wrong, and changes nothing of what is
//! lent.

use super::{Endian, Maker, numbered};
use crate::file::lend::{LendEnd, LentBytes, ReadCounts, Selection, lend};
use crate::file::pcap::PcapWalker;
use crate::file::scout::{CHAIN_LEN, CHAINS, PAUSE_LEN, Scout, ScoutResult, follow};
use crate::file::walker::{CaptureWalker, PACKET_LEN_MAX, WalkStep};
use crate::file::{CaptureFile, FileOptions};
use crate::{BATCH_MAX, Backend, Packet, Polled};
use proptest::prelude::*;
use std::fs::{self, File};
use std::time::Duration;

const HEADER_LEN: usize = 24;
/// A usual time; of its upper bytes, none is rare in text.
const SECONDS: u32 = 0x6565_6500;

/// Numbers that look random and are the same every time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.below(256) as u8).collect()
    }
}

/// What the bytes of a packet are.
#[derive(Clone, Copy, Debug)]
enum Payload {
    Noise,
    Zeros,
    /// Records that could be real and are not, this long each.
    Fakes(usize),
    /// The last byte of the time, over and over.
    Times,
}

impl Payload {
    fn bytes(self, len: usize, numbers: &mut Numbers) -> Vec<u8> {
        let mut bytes = match self {
            Self::Noise => numbers.bytes(len),
            Self::Zeros => vec![0; len],
            Self::Times => vec![0x65; len],
            Self::Fakes(fake_len) => {
                let mut maker = Maker::new(Endian::Little);
                while maker.bytes.len() < len {
                    maker.pcap_record(SECONDS, 7, fake_len as u32, &vec![0x11; fake_len]);
                }
                maker.bytes
            }
        };
        bytes.truncate(len);
        bytes
    }
}

/// A plain pcap file, and where behind its header the records begin, the end included.
fn capture(packets: impl IntoIterator<Item = (usize, Payload)>) -> (Vec<u8>, Vec<usize>) {
    let (mut maker, mut numbers, mut starts) = (Maker::new(Endian::Little), Numbers(1), Vec::new());
    maker.pcap_header(0xa1b2_c3d4, 4, 1);
    for (number, (len, payload)) in packets.into_iter().enumerate() {
        starts.push(maker.bytes.len() - HEADER_LEN);
        let data = payload.bytes(len, &mut numbers);
        maker.pcap_record(SECONDS + number as u32 / 1_000, number as u32 % 1_000, len as u32 + 4, &data);
    }
    starts.push(maker.bytes.len() - HEADER_LEN);
    (maker.bytes, starts)
}

/// Half small frames and half full ones, at least `len` bytes of them.
fn mixed(len: usize) -> (Vec<u8>, Vec<usize>) {
    let mut numbers = Numbers(2);
    capture(
        (0..len / 500)
            .map(|_| (if numbers.below(2) == 0 { 66 + numbers.below(9) } else { 1_514 - numbers.below(9) }, Payload::Noise)),
    )
}

fn plain(bytes: &[u8]) -> (PcapWalker, &[u8]) {
    let (walker, len) = PcapWalker::start(*bytes.first_chunk().unwrap(), bytes).unwrap();
    assert!(walker.is_plain());
    (walker, &bytes[len..])
}

#[test]
fn all_chains_meet_in_mixed_traffic() {
    let (bytes, starts) = mixed(2 << 20);
    let (walker, records) = plain(&bytes);
    for start in starts.iter().copied().take_while(|start| *start < 300_000) {
        let ScoutResult { arrived, met, is_right } = follow(&walker, records, start);
        assert_eq!((met, is_right), (CHAINS, true), "{start}");
        let end = start + CHAINS * CHAIN_LEN;
        assert_eq!(arrived, *starts.iter().find(|at| **at >= end).unwrap(), "{start}");
    }
}

#[test]
fn a_guess_is_the_first_record_behind_where_it_is_looked_for() {
    let (bytes, starts) = mixed(1 << 20);
    let (walker, records) = plain(&bytes);
    for from in (0..500_000).step_by(37) {
        let found = walker.find_plain(records, from, SECONDS);
        assert_eq!(found, starts.iter().copied().find(|start| *start >= from), "{from}");
    }
    assert_eq!(walker.find_plain(records, 0, SECONDS + (1 << 20)), None, "another time");
    assert_eq!(walker.find_plain(records, records.len() - 5, SECONDS), None);
    assert_eq!(walker.find_plain(records, usize::MAX / 2, SECONDS), None);
    let mut timeless = Maker::new(Endian::Little);
    timeless.pcap_header(0xa1b2_c3d4, 4, 1);
    (0..9).for_each(|number| _ = timeless.pcap_record(number, 0, 900, &[1; 900]));
    assert_eq!(walker.find_plain(&timeless.bytes, 1_000, 5), None, "zeros are no times");
}

#[test]
fn a_chain_ends_at_damage() {
    let (mut bytes, starts) = mixed(1 << 20);
    for number in [0, 1, 50, 51] {
        let start = starts[number];
        bytes[HEADER_LEN + start + 8..][..4].copy_from_slice(&[0, 0, 4, 1]);
        let (walker, records) = plain(&bytes);
        assert_eq!(follow(&walker, records, 0), ScoutResult { arrived: start, met: 1, is_right: false });
        bytes[HEADER_LEN + start + 8..][..4].copy_from_slice(&(starts[number + 1] as u32 - start as u32 - 16).to_le_bytes());
    }
}

#[test]
fn after_a_wrong_guess_it_rests_for_a_while() {
    // Every guess lies in a packet that is a capture itself.
    let (bytes, starts) = capture((0..200).map(|_| (60_000, Payload::Fakes(90))));
    let (walker, records) = plain(&bytes);
    let mut scout = Scout::default();
    assert!(!scout.look(&walker, records, 24), "nothing is known of the records' length");
    assert_eq!(scout.at, 0);
    scout.saw_batch(BATCH_MAX * 60_000);
    assert!(scout.look(&walker, records, 24));
    let arrived = scout.at as usize - 24;
    assert!(
        starts.contains(&arrived) && arrived > 0 && arrived < 3 * CHAIN_LEN,
        "{arrived}: the known chain goes on to the first guess"
    );
    for &start in &starts {
        let before = scout.at;
        let is_ahead = scout.look(&walker, &records[start..], 24 + start as u64);
        if start < arrived + PAUSE_LEN as usize {
            assert_eq!((is_ahead, scout.at), (start < arrived, before), "{start}");
        } else {
            assert!(scout.at > 24 + start as u64, "{start}: it tries again");
            return;
        }
    }
    panic!("it never tried again");
}

#[test]
fn short_records_are_left_to_the_processor() {
    let bytes = numbered(50_000);
    let (walker, records) = plain(&bytes);
    let mut scout = Scout::default();
    scout.saw_batch(BATCH_MAX * 76);
    assert!(!scout.look(&walker, records, 0));
    assert_eq!(scout.at, 0);
}

#[test]
fn a_file_that_becomes_shorter_where_was_looked_ahead_ends_as_damage_after_what_it_still_has() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.pcap");
    let (bytes, starts) = mixed(3 << 20);
    for whole in [BATCH_MAX, 100, 300, 700] {
        fs::write(&path, &bytes).unwrap();
        let mut backend = CaptureFile::open(&path, &FileOptions::default()).unwrap().backend().unwrap();
        let mut packets = 0;
        let error = loop {
            let polled = backend.poll(Duration::ZERO, &mut |batch| {
                if packets == 0 {
                    let len = HEADER_LEN + starts[whole] + 5;
                    File::options().write(true).open(&path).unwrap().set_len(len as u64).unwrap();
                }
                for packet in batch {
                    let start = HEADER_LEN + starts[packets] + 16;
                    assert_eq!(packet.data, &bytes[start..start + packet.data.len()]);
                    packets += 1;
                }
            });
            match polled {
                Ok(polled) => assert!(matches!(polled, Polled::Lent(_)), "{polled:?}"),
                Err(error) => break error.to_string(),
            }
        };
        assert_eq!(packets, whole);
        assert!(error.contains("shorter"), "{error}");
    }
}

/// What is lent: offset, length, length on the wire, time; and how much was consumed, and why no more.
type Lendings = (Vec<(usize, usize, u32, u64)>, usize, LendEnd);

fn lend_all(bytes: &[u8], mut scout: Option<&mut Scout>) -> Lendings {
    let (mut walker, mut selection, mut tally) = (CaptureWalker::new(), Selection::ALL, ReadCounts::default());
    let (mut lent, mut at) = (Vec::new(), 0);
    loop {
        let visit = &mut |batch: &[Packet<'_>]| {
            let place = |data: &[u8]| data.as_ptr() as usize - bytes.as_ptr() as usize;
            lent.extend(batch.iter().map(|packet| (place(packet.data), packet.data.len(), packet.wire_len, packet.time.0)));
        };
        let lent_bytes = LentBytes { bytes: &bytes[at..], is_all: true };
        let more = lend(lent_bytes, &mut walker, &mut selection, &mut tally, scout.as_deref_mut(), <[_]>::len, visit);
        at += more.consumed;
        assert_eq!(tally.offset, at as u64);
        if more.stop != LendEnd::Full {
            assert_eq!(tally.received, lent.len() as u64);
            return (lent, at, more.stop);
        }
    }
}

/// The same, record by record.
fn step_all(bytes: &[u8]) -> Lendings {
    let (mut walker, mut lent, mut at) = (CaptureWalker::new(), Vec::new(), 0);
    loop {
        match walker.step(&bytes[at..]) {
            WalkStep::Packet { packet, consumed } => {
                lent.push((at + consumed - packet.data.len(), packet.data.len(), packet.wire_len, packet.time.0));
                at += consumed;
            }
            WalkStep::Skip { consumed } => at += consumed,
            WalkStep::NeedMore(needed) => return (lent, at, LendEnd::NeedMore(needed)),
            WalkStep::Damage(fault) => return (lent, at, LendEnd::Damage(fault)),
        }
    }
}

fn any_packet() -> impl Strategy<Value = (usize, Payload)> {
    let payload = prop_oneof![
        8 => Just(Payload::Noise),
        1 => Just(Payload::Zeros),
        1 => (0_usize..200).prop_map(Payload::Fakes),
        1 => Just(Payload::Times),
    ];
    (prop_oneof![4 => 54_usize..100, 4 => 1_400_usize..1_515, 1 => 0_usize..70_000, 1 => Just(0)], payload)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn what_is_lent_is_what_lies_there(
        packets in prop::collection::vec(any_packet(), 1..64),
        repeat in 1_usize..40,
        damage in prop::option::of((any::<prop::sample::Index>(), any::<[u8; 4]>())),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let count = packets.len() * repeat;
        let (mut bytes, _) = capture(packets.into_iter().cycle().take(count));
        if let Some((at, damage)) = damage {
            let at = HEADER_LEN + at.index(bytes.len() - HEADER_LEN - 4);
            bytes[at..at + 4].copy_from_slice(&damage);
        }
        if let Some(cut) = cut {
            bytes.truncate(HEADER_LEN + cut.index(bytes.len() - HEADER_LEN));
        }
        // Damage may make a time that others contradict, which is then another one.
        let placed = |(lent, at, end): Lendings| {
            (lent.into_iter().map(|(at, len, wire_len, _)| (at, len, wire_len)).collect::<Vec<_>>(), at, end)
        };
        let expected = placed(step_all(&bytes));
        prop_assert_eq!(&placed(lend_all(&bytes, None)), &expected);
        prop_assert_eq!(&placed(lend_all(&bytes, Some(&mut Scout::default()))), &expected);
    }

    /// From any place, right or wrong: it ends, goes no further than one record behind its chains, and never
    /// back.
    #[test]
    fn a_look_has_an_end(
        packets in prop::collection::vec(any_packet(), 1..64),
        repeat in 1_usize..40,
        start in any::<prop::sample::Index>(),
    ) {
        let count = packets.len() * repeat;
        let (bytes, _) = capture(packets.into_iter().cycle().take(count));
        let (walker, records) = plain(&bytes);
        let start = start.index(records.len() + 100);
        let ScoutResult { arrived, met, .. } = follow(&walker, records, start);
        prop_assert!((1..=CHAINS).contains(&met));
        prop_assert!(arrived >= start && arrived < start + CHAINS * CHAIN_LEN + 16 + PACKET_LEN_MAX);
    }
}
