//! Tests of the rings without a kernel: blocks as the kernel writes them, truthful and lying.

mod opening;
mod ring;
mod walker;

pub(super) use opening::in_new_namespace;

use super::layout::{BLOCK_FIRST, BLOCK_HEADER_LEN, BLOCK_LEN, BLOCK_PACKETS, PACKET_HEADER_LEN};
use super::walker::RingFormat;
use crate::LinkType;

const FORMAT: RingFormat = RingFormat { link_type: LinkType::ETHERNET, snaplen: 65_535 };
/// Where the kernel puts the link header of an Ethernet frame: 68 bytes for its own headers, then aligned.
const MAC: usize = 82;

/// A packet as the kernel got it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Frame {
    data: Vec<u8>,
    /// Bytes that a snap length cut off.
    cut: u32,
    seconds: u32,
    nanoseconds: u32,
    status: u32,
    tci: u16,
    tpid: u16,
}

fn frame(data: &[u8]) -> Frame {
    Frame { data: data.to_vec(), ..Frame::default() }
}

fn put(block: &mut [u8], at: usize, word: u32) {
    block[at..at + 4].copy_from_slice(&word.to_ne_bytes());
}

fn put_half(block: &mut [u8], at: usize, half: u16) {
    block[at..at + 2].copy_from_slice(&half.to_ne_bytes());
}

/// Fills a block as prb_fill_curr_block() and tpacket_rcv() of the kernel do, the status apart; the offsets
/// of the headers.
fn fill(block: &mut [u8], frames: &[Frame]) -> Vec<usize> {
    let mut at = BLOCK_HEADER_LEN;
    let mut offsets = Vec::new();
    for (index, frame) in frames.iter().enumerate() {
        let end = (at + MAC + frame.data.len()).next_multiple_of(8);
        put(block, at, if index + 1 == frames.len() { 0 } else { (end - at) as u32 });
        put(block, at + 4, frame.seconds);
        put(block, at + 8, frame.nanoseconds);
        put(block, at + 12, frame.data.len() as u32);
        put(block, at + 16, frame.data.len() as u32 + frame.cut);
        put(block, at + 20, frame.status);
        put_half(block, at + 24, MAC as u16);
        put(block, at + 32, u32::from(frame.tci));
        put_half(block, at + 36, frame.tpid);
        block[at + PACKET_HEADER_LEN..at + MAC].fill(0xee);
        block[at + MAC..at + MAC + frame.data.len()].copy_from_slice(&frame.data);
        offsets.push(at);
        at = end;
    }
    put(block, BLOCK_PACKETS, frames.len() as u32);
    put(block, BLOCK_FIRST, BLOCK_HEADER_LEN as u32);
    put(block, BLOCK_LEN, at as u32);
    offsets
}
