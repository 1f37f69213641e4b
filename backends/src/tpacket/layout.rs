//! Where the fields of a ring's block and of its packets lie (linux/if_packet.h,
//! Documentation/networking/packet_mmap.rst).
//!
//! Owns numbers alone. Its one invariant: they are those of the kernel's structs, which the compiler checks
//! below.

use std::mem::offset_of;

use libc::{tpacket_block_desc, tpacket_hdr_v1, tpacket_hdr_variant1, tpacket3_hdr};

/// Offset of `block_status` in a block: the word by which kernel and reader hand the block to each other.
pub(super) const BLOCK_STATUS: usize = offset_of!(tpacket_block_desc, hdr) + offset_of!(tpacket_hdr_v1, block_status);
/// Where a reader's bytes of a block begin: behind the status, which is nobody's plain memory.
pub(super) const READABLE: usize = BLOCK_STATUS + size_of::<u32>();
/// Offset of `num_pkts` in a block.
pub(super) const BLOCK_PACKETS: usize = offset_of!(tpacket_block_desc, hdr) + offset_of!(tpacket_hdr_v1, num_pkts);
/// Offset of `offset_to_first_pkt` in a block.
pub(super) const BLOCK_FIRST: usize = offset_of!(tpacket_block_desc, hdr) + offset_of!(tpacket_hdr_v1, offset_to_first_pkt);
/// Offset of `blk_len` in a block: the bytes in use, padding included.
pub(super) const BLOCK_LEN: usize = offset_of!(tpacket_block_desc, hdr) + offset_of!(tpacket_hdr_v1, blk_len);
/// Bytes of a block's own header.
pub(super) const BLOCK_HEADER_LEN: usize = size_of::<tpacket_block_desc>();

/// Bytes of a packet's header. A `sockaddr_ll` and a gap follow, then the link header.
pub(super) const PACKET_HEADER_LEN: usize = size_of::<tpacket3_hdr>();

// The header is read by word number: next_offset, sec, nsec, snaplen, len, status, mac | net, rxhash,
// vlan_tci, vlan_tpid.
const _: () = assert!(offset_of!(tpacket3_hdr, tp_next_offset) == 0);
const _: () = assert!(offset_of!(tpacket3_hdr, tp_sec) == 4);
const _: () = assert!(offset_of!(tpacket3_hdr, tp_nsec) == 8);
const _: () = assert!(offset_of!(tpacket3_hdr, tp_snaplen) == 12);
const _: () = assert!(offset_of!(tpacket3_hdr, tp_len) == 16);
const _: () = assert!(offset_of!(tpacket3_hdr, tp_status) == 20);
const _: () = assert!(offset_of!(tpacket3_hdr, tp_mac) == 24);
const _: () = assert!(offset_of!(tpacket3_hdr, hv1) + offset_of!(tpacket_hdr_variant1, tp_vlan_tci) == 32);
const _: () = assert!(offset_of!(tpacket3_hdr, hv1) + offset_of!(tpacket_hdr_variant1, tp_vlan_tpid) == 36);
const _: () = assert!(PACKET_HEADER_LEN == 48);
const _: () = assert!(BLOCK_STATUS == 8 && READABLE == 12 && BLOCK_HEADER_LEN == 48);
