//! Receiving with a Vec as the kernel: wrap-around, fragments, frames conserved (also on unwind), and a
//! kernel that lies.

use std::cell::{Cell, RefCell};

use netscope_bpf::xdp::PacketStamp;
use proptest::prelude::*;

use crate::file::PACKET_LEN_MAX;
use crate::memory::OwnedPacket;
use crate::xdp::frames::{Claimed, Descriptor};
use crate::xdp::receive::{ReceiveShape, SharedRings, XdpReceiver};
use crate::xdp::time::PacketClock;
use crate::{BATCH_MAX, LinkType, Timestamp};

const HEADROOM: u64 = 256;
const FRAME_BYTES: u64 = 2048;

/// The kernel's side of both rings, and the packet memory.
struct Kernel {
    rx: Vec<Descriptor>,
    rx_producer: u32,
    rx_consumer: Cell<u32>,
    fill: RefCell<Vec<u64>>,
    fill_producer: Cell<u32>,
    fill_consumer: u32,
    memory: Vec<u8>,
    /// Frames the kernel took from the fill ring and has not used.
    free: Vec<u64>,
}

impl Kernel {
    fn new(shape: &ReceiveShape, position: u32) -> Self {
        Self {
            rx: vec![Descriptor { address: 0, len: 0, options: 0 }; shape.rx_entries as usize],
            rx_producer: position,
            rx_consumer: Cell::new(position),
            fill: RefCell::new(vec![u64::MAX; shape.fill_entries as usize]),
            fill_producer: Cell::new(position),
            fill_consumer: position,
            memory: vec![0; shape.frame_count as usize * shape.frame_bytes as usize],
            free: Vec::new(),
        }
    }

    fn announce(&mut self, address: u64, len: u32, options: u32) {
        let place = self.rx_producer as usize % self.rx.len();
        self.rx[place] = Descriptor { address, len, options };
        self.rx_producer = self.rx_producer.wrapping_add(1);
    }

    fn rx_free(&self) -> u32 {
        self.rx.len() as u32 - self.rx_producer.wrapping_sub(self.rx_consumer.get())
    }

    fn take_frame(&mut self) -> Option<u64> {
        if let Some(free) = self.free.pop() {
            return Some(free);
        }
        if self.fill_consumer == self.fill_producer.get() {
            return None;
        }
        let fill = self.fill.borrow();
        let address = fill[self.fill_consumer as usize % fill.len()];
        self.fill_consumer = self.fill_consumer.wrapping_add(1);
        Some(address)
    }

    /// Receives a packet as an honest kernel does, in frames of up to `part_len`; false when it has to drop
    /// it.
    fn deliver(&mut self, packet: &[u8], part_len: usize) -> bool {
        let parts: Vec<_> = if packet.is_empty() { vec![packet] } else { packet.chunks(part_len).collect() };
        if (self.rx_free() as usize) < parts.len() {
            return false;
        }
        let frames: Vec<_> = (0..parts.len()).map_while(|_| self.take_frame()).collect();
        if frames.len() < parts.len() {
            self.free.extend(frames);
            return false;
        }
        for (index, (part, address)) in parts.iter().zip(frames).enumerate() {
            let start = (address + HEADROOM) as usize;
            self.memory[start..start + part.len()].copy_from_slice(part);
            let options = u32::from(index + 1 < parts.len());
            self.announce(address + HEADROOM, part.len() as u32, options);
        }
        true
    }

    /// Frames the kernel has: in the fill ring, in the rx ring, set aside.
    fn count(&self) -> u32 {
        let in_fill = self.fill_producer.get().wrapping_sub(self.fill_consumer);
        in_fill + self.rx_producer.wrapping_sub(self.rx_consumer.get()) + self.free.len() as u32
    }
}

impl SharedRings for Kernel {
    fn rx_producer(&self) -> u32 {
        self.rx_producer
    }
    fn set_rx_consumer(&self, position: u32) {
        self.rx_consumer.set(position);
    }
    fn descriptor(&self, place: u32) -> Descriptor {
        self.rx[place as usize]
    }
    fn fill_consumer(&self) -> u32 {
        self.fill_consumer
    }
    fn set_fill_producer(&self, position: u32) {
        self.fill_producer.set(position);
    }
    fn set_fill(&self, place: u32, address: u64) {
        self.fill.borrow_mut()[place as usize] = address;
    }
    fn bytes<'a>(&'a self, claimed: &'a Claimed) -> &'a [u8] {
        &self.memory[claimed.start()..claimed.start() + claimed.len()]
    }
}

fn shape() -> ReceiveShape {
    ReceiveShape {
        ready_count: 0,
        rx_entries: 32,
        fill_entries: 64,
        frame_count: 50,
        frame_bytes: FRAME_BYTES as u32,
        has_stamps: false,
        has_fragments: true,
        snaplen: PACKET_LEN_MAX,
    }
}

fn receiver(shape: &ReceiveShape, position: u32) -> XdpReceiver<Kernel> {
    XdpReceiver::at(Kernel::new(shape, position), shape, position).unwrap()
}

fn now() -> Timestamp {
    Timestamp(77)
}

/// All that can be received, as owned packets.
fn receive(receiver: &mut XdpReceiver<Kernel>) -> Vec<OwnedPacket> {
    let mut packets = Vec::new();
    let lent = receiver
        .receive(u32::MAX, PacketClock::Batch, &now, &mut |batch| {
            assert!((1..=BATCH_MAX).contains(&batch.len()));
            packets.extend(batch.iter().map(OwnedPacket::from));
        })
        .unwrap();
    assert_eq!(lent as usize, packets.len());
    assert_eq!(receiver.held_count(), 0, "every frame went back");
    packets
}

fn bytes(packets: &[OwnedPacket]) -> Vec<Vec<u8>> {
    packets.iter().map(|packet| packet.data.clone()).collect()
}

#[test]
fn packets_come_as_they_were_sent_over_the_wrap_around() {
    for start in [0, u32::MAX - 40] {
        let mut receiver = receiver(&shape(), start);
        assert_eq!(receiver.shared().count(), 50, "all frames are the kernel's before the first packet");
        for round in 0..40_u8 {
            let sent: Vec<Vec<u8>> = (0..5).map(|index| vec![round, index, 3]).collect();
            for packet in &sent {
                assert!(receiver.shared_mut().deliver(packet, 1792));
            }
            let received = receive(&mut receiver);
            assert_eq!(bytes(&received), sent);
            assert!(
                received
                    .iter()
                    .all(|packet| packet.time == now() && packet.link_type == LinkType::ETHERNET && packet.wire_len == 3)
            );
            assert_eq!(receiver.shared().count(), 50);
        }
        assert_eq!((receiver.lent, receiver.damaged), (200, 0));
    }
}

#[test]
fn a_full_ring_and_an_empty_one() {
    let mut receiver = receiver(&shape(), 0);
    let delivered = (0..100_u8).filter(|number| receiver.shared_mut().deliver(&[*number], 1792)).count();
    assert_eq!(delivered, 32, "the rx ring's size");
    assert_eq!(receiver.waiting(), Ok(32));
    assert_eq!(receive(&mut receiver).len(), 32);
    assert_eq!(receiver.waiting(), Ok(0));
    assert!(receive(&mut receiver).is_empty());
    assert_eq!(receiver.shared().count(), 50);
}

#[test]
fn the_snap_length_cuts_and_the_wire_length_stays() {
    let mut receiver = receiver(&ReceiveShape { snaplen: 60, ..shape() }, 0);
    receiver.shared_mut().deliver(&[5; 100], 1792);
    receiver.shared_mut().deliver(&[6; 9000], 1792);
    let received = receive(&mut receiver);
    let lens: Vec<_> = received.iter().map(|packet| (packet.data.len(), packet.wire_len)).collect();
    assert_eq!(lens, [(60, 100), (60, 9000)]);
}

/// A packet with a stamp of `time_ns` in front, in the frame at `address`.
fn deliver_stamped(receiver: &mut XdpReceiver<Kernel>, address: u64, time_ns: u64, mark: u32) {
    let start = (address + HEADROOM) as usize;
    let stamp = [time_ns.to_ne_bytes(), [0; 8], u64::from(mark).to_ne_bytes()].concat();
    receiver.shared_mut().memory[start - PacketStamp::LEN..start].copy_from_slice(&stamp);
    receiver.shared_mut().memory[start..start + 3].copy_from_slice(b"abc");
    receiver.shared_mut().announce(address + HEADROOM, 3, 0);
}

#[test]
fn a_stamp_in_front_is_the_time_unless_it_is_old_or_none() {
    let mut receiver = receiver(&ReceiveShape { has_stamps: true, ..shape() }, 0);
    for (time_ns, mark) in [(1_000, PacketStamp::MARK), (900, PacketStamp::MARK), (1_100, 0), (1_001, PacketStamp::MARK)] {
        let address = receiver.shared_mut().take_frame().unwrap();
        deliver_stamped(&mut receiver, address, time_ns, mark);
    }
    let mut seen = Vec::new();
    let clock = PacketClock::Packet { offset_ns: 500 };
    receiver.receive(9, clock, &now, &mut |batch| seen.extend(batch.iter().map(OwnedPacket::from))).unwrap();
    assert!(seen.iter().all(|packet| packet.data == b"abc" && packet.wire_len == 3));
    let times: Vec<_> = seen.iter().map(|packet| packet.time.0).collect();
    assert_eq!(times, [1_500, now().0, now().0, 1_501]);
    let address = receiver.shared_mut().take_frame().unwrap();
    deliver_stamped(&mut receiver, address, 1_000, PacketStamp::MARK);
    receiver.receive(9, clock, &now, &mut |batch| assert_eq!(batch[0].time, now(), "older than in the batch before")).unwrap();
}

#[test]
fn stamps_go_on_when_the_clock_is_set_back() {
    let mut receiver = receiver(&ReceiveShape { has_stamps: true, ..shape() }, 0);
    let mut receive = |stamp_ns: u64, now_ns: u64| {
        let address = receiver.shared_mut().take_frame().unwrap();
        deliver_stamped(&mut receiver, address, stamp_ns, PacketStamp::MARK);
        let (mut seen, clock) = (0, PacketClock::Packet { offset_ns: 37_u64.wrapping_neg() });
        receiver.receive(9, clock, &|| Timestamp(now_ns), &mut |batch| seen = batch[0].time.0).unwrap();
        seen
    };
    const SECOND: u64 = 1_000_000_000;
    assert_eq!(receive(60 * SECOND, 60 * SECOND), 60 * SECOND - 37);
    assert_eq!(receive(59 * SECOND, 61 * SECOND), 61 * SECOND, "old, and the clock is where it was");
    assert_eq!(receive(60 * SECOND - 9, 60 * SECOND), 60 * SECOND, "a little is not the clock");
    assert_eq!(receive(20 * SECOND, 20 * SECOND + 5), 20 * SECOND - 37, "set back by 40 s");
    assert_eq!(receive(20 * SECOND - 1, 20 * SECOND + 9), 20 * SECOND + 9);
}

/// Frames pile up in our hands, and nothing waits for places.
#[test]
fn a_lying_fill_consumer_ends() {
    let shape = ReceiveShape { rx_entries: 1024, fill_entries: 1024, frame_count: 1000, ..shape() };
    let mut receiver = receiver(&shape, 0);
    for number in 0..1000_u32 {
        receiver.shared_mut().deliver(&number.to_ne_bytes(), 1792);
    }
    // As if not one of them had left the fill ring.
    receiver.shared_mut().fill_consumer = 0;
    let mut again = || receiver.receive(u32::MAX, PacketClock::Batch, &now, &mut |_| ()).unwrap();
    assert_eq!((again(), again()), (1000, 0), "the frames that find no place stay with us");
}

#[test]
fn fragments_are_put_together_also_over_two_calls() {
    let mut receiver = receiver(&shape(), 0);
    let jumbo: Vec<u8> = (0..9014_u32).map(|index| (index * 7 % 251) as u8).collect();
    receiver.shared_mut().deliver(b"before", 1792);
    receiver.shared_mut().deliver(&jumbo, 1792);
    receiver.shared_mut().deliver(b"after", 1792);
    assert_eq!(bytes(&receive(&mut receiver)), [b"before".to_vec(), jumbo, b"after".to_vec()]);
    // The kernel announces whole packets; one that does not is believed all the same.
    let (first, second) = (receiver.shared_mut().take_frame().unwrap(), receiver.shared_mut().take_frame().unwrap());
    receiver.shared_mut().memory[first as usize..first as usize + 2].copy_from_slice(b"ab");
    receiver.shared_mut().memory[second as usize..second as usize + 2].copy_from_slice(b"cd");
    receiver.shared_mut().announce(first, 2, 1);
    assert!(receive(&mut receiver).is_empty());
    assert_eq!(receiver.shared().count(), 49, "a part that was read does not keep its frame; one is in this test's hands");
    receiver.shared_mut().announce(second, 2, 0);
    assert_eq!(bytes(&receive(&mut receiver)), [b"abcd".to_vec()]);
}

#[test]
fn a_packet_without_end_is_damaged_once() {
    let mut receiver = receiver(&shape(), 0);
    for _ in 0..300 {
        let frame = receiver.shared_mut().take_frame().unwrap();
        receiver.shared_mut().announce(frame, 2048, 1);
        assert!(receive(&mut receiver).is_empty());
    }
    receiver.shared_mut().deliver(b"its end", 1792);
    assert!(receive(&mut receiver).is_empty());
    assert_eq!((receiver.lent, receiver.damaged), (0, 1));
    receiver.shared_mut().deliver(b"the next", 1792);
    assert_eq!(bytes(&receive(&mut receiver)), [b"the next".to_vec()]);
    assert_eq!(receiver.shared().count(), 50);
}

#[test]
fn a_panic_of_the_visitor_loses_no_frame() {
    let mut receiver = receiver(&shape(), u32::MAX - 3);
    for round in 0..20 {
        for number in 0..20 {
            assert!(receiver.shared_mut().deliver(&[number], 1792), "round {round}");
        }
        let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            receiver.receive(u32::MAX, PacketClock::Batch, &now, &mut |_| std::panic::resume_unwind(Box::new("on purpose")))
        }));
        assert!(unwound.is_err());
        assert_eq!((receiver.held_count(), receiver.shared().count()), (0, 50));
    }
    assert_eq!((receiver.lent, receiver.damaged), (400, 0));
}

#[test]
fn at_most_the_given_number_is_read_beyond_a_batch() {
    let shape = ReceiveShape { rx_entries: 1024, fill_entries: 1024, frame_count: 1000, ..shape() };
    let mut receiver = receiver(&shape, 0);
    for number in 0..1000_u32 {
        receiver.shared_mut().deliver(&number.to_ne_bytes(), 1792);
    }
    let mut batches = Vec::new();
    receiver.receive(100, PacketClock::Batch, &now, &mut |batch| batches.push(batch.len())).unwrap();
    assert_eq!(batches, [64, 64]);
}

#[test]
fn positions_that_cannot_be_are_an_error() {
    let mut receiver = receiver(&shape(), 0);
    receiver.shared_mut().rx_producer = 33;
    assert!(receiver.receive(u32::MAX, PacketClock::Batch, &now, &mut |_| panic!("nothing can be read")).is_err());
    assert_eq!(receiver.held_count(), 0);
}

/// What a kernel may do.
#[derive(Clone, Debug)]
enum Act {
    Deliver(usize),
    Lie { address: u64, len: u32, options: u32 },
    Receive,
    Unwind,
}

fn act() -> impl Strategy<Value = Act> {
    let address = prop_oneof![0..(60 * FRAME_BYTES), any::<u64>()];
    let len = prop_oneof![0..4000_u32, any::<u32>()];
    prop_oneof![
        6 => (0..7000_usize).prop_map(Act::Deliver),
        2 => (address, len, 0..4_u32).prop_map(|(address, len, options)| Act::Lie { address, len, options }),
        3 => Just(Act::Receive),
        1 => Just(Act::Unwind),
    ]
}

proptest! {
    /// An honest kernel never loses a frame to us: what it has and what we hold is what there is.
    #[test]
    fn frames_are_conserved(start in any::<u32>(), acts in proptest::collection::vec(act(), 0..120)) {
        let mut receiver = receiver(&shape(), start);
        let (mut sent, mut received, mut unwound) = (Vec::new(), Vec::new(), 0);
        for act in acts {
            match act {
                Act::Deliver(len) => {
                    let packet = vec![sent.len() as u8; len];
                    if receiver.shared_mut().deliver(&packet, 1792) {
                        sent.push(packet);
                    }
                }
                Act::Unwind if receiver.waiting() != Ok(0) => {
                    let before = receiver.lent;
                    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                        receiver.receive(u32::MAX, PacketClock::Batch, &now, &mut |batch| {
                            received.extend(batch.iter().map(|packet| packet.data.to_vec()));
                            std::panic::resume_unwind(Box::new("on purpose"))
                        })
                    }));
                    prop_assert!(result.is_err());
                    unwound += receiver.lent - before;
                }
                Act::Receive | Act::Unwind | Act::Lie { .. } => received.extend(bytes(&receive(&mut receiver))),
            }
            prop_assert_eq!(receiver.held_count(), 0);
            prop_assert_eq!(receiver.shared().count(), 50);
        }
        received.extend(bytes(&receive(&mut receiver)));
        prop_assert!(unwound <= received.len() as u64);
        prop_assert_eq!(received, sent);
        prop_assert_eq!(receiver.damaged, 0);
    }

    /// A kernel that announces nonsense is counted, never believed, and what we hold stays nothing.
    #[test]
    fn lies_are_counted_and_never_read(start in any::<u32>(), acts in proptest::collection::vec(act(), 0..120)) {
        let mut receiver = receiver(&shape(), start);
        let mut ends = 0;
        for act in acts {
            match act {
                Act::Deliver(len) => ends += u64::from(receiver.shared_mut().deliver(&vec![1; len], 1792)),
                Act::Lie { address, len, options } => {
                    if receiver.shared_mut().rx_free() > 0 {
                        receiver.shared_mut().announce(address, len, options);
                        ends += u64::from(options & 1 == 0);
                    }
                }
                // The test kernel's `bytes` panics when what is read lies outside of the packet memory.
                Act::Receive | Act::Unwind => {
                    receive(&mut receiver);
                    prop_assert_eq!(receiver.lent + receiver.damaged, ends, "each packet is lent or damaged");
                }
            }
        }
    }
}

#[test]
fn only_as_many_frames_are_given_in_advance_as_are_needed() {
    let shape = ReceiveShape { rx_entries: 8192, fill_entries: 8192, frame_count: 8192, ..shape() };
    let mut receiver = receiver(&shape, 0);
    let read = |receiver: &mut XdpReceiver<Kernel>, count: usize| {
        for _ in 0..count {
            assert!(receiver.shared_mut().deliver(b"packet", 1000));
        }
        let lent = receiver.receive(u32::MAX, PacketClock::Batch, &|| Timestamp(1), &mut |_| {}).unwrap();
        assert_eq!((lent as usize, receiver.held_count()), (count, 0));
        assert_eq!(receiver.shared().count() + receiver.spare_count(), 8192);
        receiver.shared().count()
    };
    assert_eq!((receiver.shared().count(), receiver.spare_count()), (2048, 6144));
    assert_eq!(read(&mut receiver, 1500), 2048, "what was taken is made up for");
    assert_eq!(read(&mut receiver, 2048), 4096, "all were taken before we looked: more from now on");
    receiver.keep_filled(6000);
    assert_eq!(read(&mut receiver, 10), 6000, "as many as the naps ask for");
    assert_eq!(read(&mut receiver, 6000), 8192);
}
