//! Live capture by TPACKET_V3, the memory-mapped rings of Linux packet sockets (packet(7), packet_mmap.rst).
//!
//! Owns the settings and the public interface. Knows no protocol. Its one invariant: packets are lent from the kernel's
//! own memory, and it gets that memory back whatever happens.
//!
//! One socket with a ring for each worker; several of them form a fanout group, to which the kernel deals
//! packets.
//!
//! | file | owns |
//! |---|---|
//! | `layout` | where the kernel's fields lie |
//! | `walker` | a block's bytes in, packets out; safe and pure |
//! | `ring` | whose turn it is: block by block, taken and given back |
//! | `socket` | the system calls |
//! | `program` | the filter in the kernel |
//! | `open` | the steps of opening, and what to say when one fails |
//! | `group` | all sockets of an interface, and their coming back together after it went away |
//! | `backend` | waiting, lending, counting |

mod backend;
mod group;
mod layout;
mod open;
mod program;
mod ring;
mod socket;
#[cfg(test)]
mod tests;
mod walker;

use std::sync::Arc;

pub use backend::TpacketBackend;
pub(crate) use backend::interface_drops;
pub(crate) use program::fitted;
pub(crate) use socket::attach_filter;

use crate::BackendError;
use crate::file::PACKET_LEN_MAX;
use crate::live::interface_error;
use crate::pcap::interface::default_name;
use group::FanoutGroup;
use open::TpacketOpener;

/// Most sockets that the kernel takes into a fanout group (`PACKET_FANOUT_MAX` before Linux 5.5, its default
/// since).
pub const WORKERS_MAX: usize = 256;

/// Memory of all rings together where [`TpacketOptions::block_count`] is not given.
const RING_BYTES_DEFAULT: u64 = 64 << 20;
/// Fewest blocks of a ring where [`TpacketOptions::block_count`] is not given.
const BLOCK_COUNT_MIN: u64 = 8;
/// A multiple of every page size of Linux.
const BLOCK_BYTES_STEP: u32 = 64 << 10;
/// A packet never spans blocks, and with its headers may be a little longer than 64 KiB.
const BLOCK_BYTES_MIN: u32 = 2 * BLOCK_BYTES_STEP;
/// Longest time a packet may lie in a block that is not full.
const RETIRE_MS_MAX: u32 = 10_000;
/// [`TpacketOptions::retire_ms`] of [`TpacketOptions::immediate`].
const RETIRE_MS_IMMEDIATE: u32 = 1;

/// How the kernel deals packets to the sockets of a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fanout {
    /// By a hash over the outermost addresses and ports that is the same for both directions: a flow stays on
    /// one socket, with any number of queues and whatever the card's own hash is. The kernel does not look
    /// into UDP: the two directions of a flow inside VXLAN, Geneve, GTP-U or Teredo, whose outer ports differ
    /// by direction, may come to two sockets.
    #[default]
    Hash,
    /// By the CPU that receives the packet. Both directions of a flow stay together only where the card's
    /// hash is symmetric.
    Cpu,
    /// By the receive queue of the card, see [`queue_of_ring`]; as [`Fanout::Cpu`].
    Queue,
}

/// The receive queue whose packets come to socket `ring` of a group of `rings` by [`Fanout::Queue`]; with
/// more queues than sockets, the first of them. Holds for cards with several queues, whose drivers record the
/// queue: `fanout_demux_qm()` of the kernel deals by the field in which `skb_record_rx_queue()` keeps the
/// number plus one.
pub const fn queue_of_ring(ring: u32, rings: u32) -> u32 {
    match rings.checked_sub(1) {
        Some(last) => ring.wrapping_add(last) % rings,
        None => 0,
    }
}

/// How to capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TpacketOptions {
    /// Name of the interface; libpcap's default one when none.
    pub interface: Option<String>,
    /// Sockets, each with a ring of its own, 1 to [`WORKERS_MAX`].
    pub workers: usize,
    /// How packets are dealt to several sockets; without meaning for one.
    pub fanout: Fanout,
    /// With several sockets and [`Fanout::Hash`]: the kernel puts IPv4 fragments together before it deals, so
    /// that the whole datagram comes to its flow's socket. It arrives as one packet then, and datagrams that
    /// never become whole are not seen and not counted (nor are they with one packet missing). Without it,
    /// fragments are dealt by addresses alone and arrive as they were on the wire. The fragments of IPv6
    /// always are.
    pub defrag: bool,
    /// Bytes of a block, a multiple of 64 KiB from 128 KiB on. The reader is woken once per block, not per
    /// packet: smaller blocks cost more wake-ups, larger ones wait longer in memory.
    pub block_bytes: u32,
    /// Blocks of each ring, at least 2; when none, as many as make 64 MiB in all, at least 8. A block that is
    /// closed by time counts whole: at a trickle, a reader may stand still for `block_count` times
    /// `retire_ms` before packets are lost.
    pub block_count: Option<u32>,
    /// Milliseconds after which a block that has packets is handed over though it is not full, 1 to 10000.
    pub retire_ms: u32,
    /// Hands packets over as soon as rings of blocks can: `retire_ms` is 1.
    pub immediate: bool,
    /// Bytes kept per packet, cut by the kernel; 0 or more than 262144 means that. A VLAN tag counts as part
    /// of the packet.
    pub snaplen: u32,
    /// Also packets that are not for us. Ends with the process, however it ends.
    pub promiscuous: bool,
    /// Expression in the language of pcap-filter(7), run by the kernel before a packet comes near the ring.
    /// It means what it means for a file: `udp` matches packets without a VLAN tag, `vlan and udp` those with
    /// one. That needs Linux 4.1, which tells a filter the tag's protocol. One that is longer than the kernel's may be runs in user
    /// space.
    pub filter: Option<String>,
    /// When the interface is deleted: true looks for it every second and goes on when one of that name is
    /// there; false reports an error and ends.
    pub reopen: bool,
}

impl Default for TpacketOptions {
    fn default() -> Self {
        Self {
            interface: None,
            workers: 1,
            fanout: Fanout::Hash,
            defrag: true,
            block_bytes: 1 << 20,
            block_count: None,
            retire_ms: 10,
            immediate: false,
            snaplen: 65_535,
            promiscuous: true,
            filter: None,
            reopen: true,
        }
    }
}

impl TpacketOptions {
    /// Blocks of each ring.
    pub fn blocks_per_ring(&self) -> u32 {
        let share = RING_BYTES_DEFAULT / u64::from(self.block_bytes.max(1)) / self.workers.max(1) as u64;
        self.block_count.unwrap_or_else(|| u32::try_from(share.max(BLOCK_COUNT_MIN)).unwrap_or(u32::MAX))
    }

    fn retire_after_ms(&self) -> u32 {
        if self.immediate { RETIRE_MS_IMMEDIATE } else { self.retire_ms }
    }

    fn snaplen_bytes(&self) -> u32 {
        match self.snaplen {
            0 => PACKET_LEN_MAX as u32,
            snaplen => snaplen.min(PACKET_LEN_MAX as u32),
        }
    }

    /// What no kernel could do, said before one is asked.
    fn check(&self) -> Result<(), String> {
        let Self { workers, block_bytes, retire_ms, .. } = self;
        let block_count = self.blocks_per_ring();
        if !(1..=WORKERS_MAX).contains(workers) {
            return Err(format!("{workers} workers cannot share it by tpacket, which takes 1 to {WORKERS_MAX}; ask for fewer"));
        }
        if *block_bytes < BLOCK_BYTES_MIN || !block_bytes.is_multiple_of(BLOCK_BYTES_STEP) {
            return Err(format!(
                "a ring's blocks of {block_bytes} bytes; they must be a multiple of 64 KiB, and 128 KiB at least"
            ));
        }
        if block_count < 2 {
            return Err(format!("a ring of {block_count} blocks; it needs 2 at least, one to be filled and one to be read"));
        }
        if block_bytes.checked_mul(block_count).is_none() {
            return Err(format!(
                "a ring of {block_count} blocks of {block_bytes} bytes is more than the 4 GiB the kernel takes; ask for fewer"
            ));
        }
        if !self.immediate && !(1..=RETIRE_MS_MAX).contains(retire_ms) {
            return Err(format!("blocks handed over after {retire_ms} ms; it must be 1 to {RETIRE_MS_MAX} ms"));
        }
        Ok(())
    }
}

/// Opens the interface: one backend for each worker, in the order of the group's sockets. None sees a packet
/// before all are ready, and no packet is seen by two. The memory of all rings lies on the NUMA node of the
/// calling thread's CPU.
///
/// # Errors
/// [`BackendError::Interface`] saying what to do: for settings that cannot be, without permission, for an
/// unknown name (listing the known ones), an interface that is down or of a kind that has to be read by
/// libpcap, for want of memory, for a kernel that lacks something. [`BackendError::Filter`] when the filter
/// does not compile.
pub fn open(options: TpacketOptions) -> Result<Vec<TpacketBackend>, BackendError> {
    let interface = match &options.interface {
        Some(name) => name.clone(),
        None => default_name()?,
    };
    open_by(&TpacketOpener { refuse: None }, options, interface)
}

fn open_by(opening: &TpacketOpener, options: TpacketOptions, interface: String) -> Result<Vec<TpacketBackend>, BackendError> {
    options.check().map_err(|what| interface_error(&interface, what))?;
    let opened = opening.open(&options, &interface)?;
    let group = Arc::new(FanoutGroup::new(options, interface, opened.members.len()));
    let mut notices = opened.notices;
    let backends = opened.members.into_iter().enumerate().map(|(number, member)| {
        // The first one speaks for all.
        let notices = std::mem::take(&mut notices);
        TpacketBackend::new(Arc::clone(&group), number, member, notices)
    });
    Ok(backends.collect())
}
