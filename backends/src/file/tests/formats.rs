//! The walker, over bytes alone.

use proptest::prelude::*;

use super::{Endian, Maker, owned};
use crate::file::walker::{BLOCK_LEN_MAX, CaptureWalker, INTERFACES_MAX, PACKET_LEN_MAX, RecordFault, WalkStep};
use crate::memory::OwnedPacket;

/// How a walk ended: well, or with a fault.
type Walked = (Vec<OwnedPacket>, Option<RecordFault>);

/// Walks bytes of which at first only `window` are shown, then as many as are asked for.
fn walk_in_windows(bytes: &[u8], window: usize) -> Walked {
    let (mut walker, mut packets, mut at, mut shown) = (CaptureWalker::new(), Vec::new(), 0_usize, window);
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        match walker.step(&rest[..rest.len().min(shown)]) {
            WalkStep::Packet { packet, consumed } => {
                assert!(consumed > 0 && consumed <= rest.len().min(shown));
                packets.push(OwnedPacket::from(&packet));
                at += consumed;
                shown = window;
            }
            WalkStep::Skip { consumed } => {
                assert!(consumed > 0);
                if consumed > rest.len() {
                    return (packets, Some(RecordFault::CutShort));
                }
                at += consumed;
                shown = window;
            }
            WalkStep::NeedMore(needed) if shown >= rest.len() => {
                assert!(needed > rest.len() && needed <= BLOCK_LEN_MAX);
                return (packets, (!rest.is_empty() || !walker.is_started()).then_some(RecordFault::CutShort));
            }
            WalkStep::NeedMore(needed) => {
                assert!(needed > shown);
                shown = needed;
            }
            WalkStep::Damage(fault) => return (packets, Some(fault)),
        }
    }
}

fn walk(bytes: &[u8]) -> Walked {
    walk_in_windows(bytes, usize::MAX)
}

#[test]
fn pcap_in_both_orders_and_all_variants() {
    for endian in [Endian::Little, Endian::Big] {
        for (magic, ns) in [(0xa1b2_c3d4, 7_000), (0xa1b2_3c4d, 7)] {
            let mut maker = Maker::new(endian);
            // The upper bits say that four bytes of frame check sequence follow.
            maker.pcap_header(magic, 4, 0x2400_0001).pcap_record(3, 7, 99, b"abc").pcap_record(4, 0, 0, b"");
            let expected = vec![owned(3_000_000_000 + ns, 99, 1, b"abc"), owned(4_000_000_000, 0, 1, b"")];
            assert_eq!(walk(&maker.bytes), (expected, None), "{endian:?} {magic:x}");
        }
        let mut maker = Maker::new(endian);
        maker.pcap_header(0xa1b2_cd34, 4, 113).u32(1).u32(2).u32(3).u32(4).u32(9).u16(8).raw(&[1, 0]).raw(b"abc");
        assert_eq!(walk(&maker.bytes), (vec![owned(1_000_002_000, 4, 113, b"abc")], None));
    }
}

#[test]
fn old_pcap_has_the_lengths_swapped() {
    for (minor, swapped) in [(2, true), (3, true), (4, false)] {
        let mut maker = Maker::new(Endian::Big);
        maker.pcap_header(0xa1b2_c3d4, minor, 1).u32(1).u32(0);
        if swapped {
            maker.u32(9).u32(3)
        } else {
            maker.u32(3).u32(9)
        };
        maker.raw(b"abc");
        assert_eq!(walk(&maker.bytes), (vec![owned(1_000_000_000, 9, 1, b"abc")], None), "2.{minor}");
    }
}

#[test]
fn pcap_damage() {
    let mut maker = Maker::new(Endian::Little);
    maker.pcap_header(0xa1b2_c3d4, 4, 1).pcap_record(1, 0, 1, b"a");
    let good_len = maker.bytes.len();
    maker.u32(1).u32(1).u32(PACKET_LEN_MAX as u32 + 1).u32(1);
    let (packets, fault) = walk(&maker.bytes);
    assert_eq!((packets.len(), fault), (1, Some(RecordFault::PacketTooLong(262_145))));
    for len in 0..=good_len {
        let (packets, fault) = walk(&maker.bytes[..len]);
        assert_eq!(packets.len(), usize::from(len == good_len));
        assert_eq!(fault.is_none(), len == 24 || len == good_len, "{len}");
    }
    maker.bytes[4] = 1;
    assert_eq!(walk(&maker.bytes).1, Some(RecordFault::Version(1, 4)));
    assert_eq!(walk(b"GET / HTTP/1.1").1, Some(RecordFault::UnknownMagic(*b"GET ")));
}

/// Everything pcapng offers, in two sections of different byte order.
fn rich_pcapng() -> (Vec<u8>, Vec<OwnedPacket>) {
    let mut maker = Maker::new(Endian::Little);
    maker.section();
    maker.interface(1, 4, |_| ());
    maker.interface(113, 0, |maker| {
        maker.option(2, b"eth0").option(9, &[9]).option(14, &(-10_i64).to_le_bytes()).option(0, b"");
    });
    maker.interface(101, 0, |maker| {
        maker.option(9, &[0x80 | 10]);
    });
    maker.interface(12, 0, |maker| {
        maker.option(9, &[12]);
    });
    maker.enhanced(0, 5_000_007, 60, b"abcde");
    maker.block(0x0bad, |maker| {
        maker.raw(b"a custom block");
    });
    maker.enhanced(1, 20_000_000_001, 3, b"xyz");
    maker.block(3, |maker| {
        maker.u32(6).raw(b"simp");
    });
    maker.enhanced(2, 1024 * 7 + 512, 0, b"");
    maker.enhanced(3, 3_000_000_000_999, 1, b"p");
    maker.block(2, |maker| {
        maker.u16(1).u16(77).u32(4).u32(0).u32(2).u32(9).raw(b"ob");
    });
    let mut big = Maker::new(Endian::Big);
    big.section();
    big.interface(276, 0, |maker| {
        maker.option(9, &[3]).option(14, &5_i64.to_be_bytes());
    });
    big.block(4, |_| ());
    big.enhanced(0, 1_500, 2, b"bg");
    maker.raw(&big.bytes);
    let packets = vec![
        owned(5_000_007_000, 60, 1, b"abcde"),
        owned(10_000_000_001, 3, 113, b"xyz"),
        owned(10_000_000_001, 6, 1, b"simp"),
        owned(7_500_000_000, 0, 101, b""),
        owned(3_000_000_000, 1, 12, b"p"),
        owned((4 << 32) - 10_000_000_000, 9, 113, b"ob"),
        owned(6_500_000_000, 2, 276, b"bg"),
    ];
    (maker.bytes, packets)
}

#[test]
fn pcapng_with_everything() {
    let (bytes, packets) = rich_pcapng();
    assert_eq!(walk(&bytes), (packets.clone(), None));
    for window in 1..200 {
        assert_eq!(walk_in_windows(&bytes, window), (packets.clone(), None), "{window}");
    }
    for len in 0..bytes.len() {
        let (read, _) = walk(&bytes[..len]);
        assert_eq!(read, packets[..read.len()], "{len}");
    }
}

#[test]
fn pcapng_damage() {
    let damage = |make: &dyn Fn(&mut Maker)| {
        let mut maker = Maker::new(Endian::Big);
        maker.section().interface(1, 0, |_| ()).enhanced(0, 1, 1, b"a");
        make(&mut maker);
        let (packets, fault) = walk(&maker.bytes);
        assert_eq!(packets.len(), 1);
        fault.unwrap()
    };
    let enhanced = |maker: &mut Maker, index: u32, captured_len: u32| {
        maker.block(6, |maker| {
            maker.u32(index).u64(0).u32(captured_len).u32(captured_len).raw(&[0; 8]);
        });
    };
    assert_eq!(damage(&|maker| enhanced(maker, 1, 8)), RecordFault::UnknownInterface(1));
    assert_eq!(damage(&|maker| enhanced(maker, 0, 9)), RecordFault::PacketBeyondBlock(9, 40));
    assert_eq!(damage(&|maker| enhanced(maker, 0, u32::MAX)), RecordFault::PacketTooLong(u32::MAX));
    assert_eq!(damage(&|maker| _ = maker.u32(6).u32(28).u32(0)), RecordFault::BlockLen(28));
    assert_eq!(damage(&|maker| _ = maker.u32(6).u32(34)), RecordFault::BlockLen(34));
    assert_eq!(damage(&|maker| _ = maker.u32(6).u32(BLOCK_LEN_MAX as u32 + 4)), RecordFault::BlockLen(BLOCK_LEN_MAX as u32 + 4));
    assert_eq!(damage(&|maker| _ = maker.u32(99).u32(8)), RecordFault::BlockLen(8));
    assert_eq!(damage(&|maker| _ = maker.u32(99).u32(16).u32(0).u32(20)), RecordFault::BlockTrailer(16, 20));
    assert_eq!(damage(&|maker| _ = maker.u32(99).u32(u32::MAX - 3).u32(0)), RecordFault::CutShort);
    assert_eq!(
        damage(&|maker| _ = maker.block(0x0a0d_0d0a, |maker| _ = maker.raw(b"\x4d\x3c\x2b\x1b"))),
        RecordFault::ByteOrder(*b"\x4d\x3c\x2b\x1b")
    );
    let section = |maker: &mut Maker| _ = maker.block(0x0a0d_0d0a, |maker| _ = maker.u32(0x1a2b_3c4d).u16(2).u16(1).u64(0));
    assert_eq!(damage(&section), RecordFault::Version(2, 1));
    assert_eq!(damage(&|maker| _ = maker.interface(1, 0, |maker| _ = maker.u16(2).u16(9))), RecordFault::OptionTooLong(9));
    // A section forgets the interfaces of the one before.
    assert_eq!(damage(&|maker| _ = maker.section().enhanced(0, 1, 1, b"a")), RecordFault::UnknownInterface(0));
    let many = |maker: &mut Maker| (0..INTERFACES_MAX).for_each(|_| _ = maker.interface(1, 0, |_| ()));
    assert_eq!(damage(&many), RecordFault::TooManyInterfaces);
}

#[test]
fn extreme_times_saturate() {
    for (resolution, ticks, expected) in [
        (0, u64::MAX, u64::MAX),
        (127, u64::MAX, 0),
        (0xff, u64::MAX, 0),
        (0x80, 3, 3_000_000_000),
        (0x80, u64::MAX, u64::MAX),
        (0xbf, u64::MAX, 1_999_999_999),
    ] {
        let mut maker = Maker::new(Endian::Little);
        maker.section().interface(1, 0, |maker| _ = maker.option(9, &[resolution])).enhanced(0, ticks, 0, b"");
        assert_eq!(walk(&maker.bytes), (vec![owned(expected, 0, 1, b"")], None), "{resolution:#x}");
    }
    for (offset, expected) in [(i64::MIN, 0), (i64::MAX, u64::MAX)] {
        let mut maker = Maker::new(Endian::Little);
        maker.section().interface(1, 0, |maker| _ = maker.option(14, &offset.to_le_bytes())).enhanced(0, 5, 0, b"");
        assert_eq!(walk(&maker.bytes).0, [owned(expected, 0, 1, b"")]);
    }
}

/// Valid captures with a few bytes changed: far more of them reach the depths than random bytes do.
fn nearly_valid() -> impl Strategy<Value = Vec<u8>> {
    let changes = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    (any::<bool>(), changes).prop_map(|(is_pcapng, changes)| {
        let mut bytes = if is_pcapng { rich_pcapng().0 } else { super::numbered(20) };
        for (index, value) in changes {
            let at = index.index(bytes.len());
            bytes[at] = value;
        }
        bytes
    })
}

proptest! {
    #[test]
    fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..400), window in 1_usize..100) {
        prop_assert_eq!(walk_in_windows(&bytes, window), walk(&bytes));
    }

    #[test]
    fn nearly_valid_bytes_end_the_same_however_they_come(bytes in nearly_valid(), window in 1_usize..300) {
        prop_assert_eq!(walk_in_windows(&bytes, window), walk(&bytes));
    }
}
