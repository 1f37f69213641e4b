//! Where packets come from.
//!
//! This crate owns every packet source of NetScope and is the only one with `unsafe` code. It knows nothing
//! of protocols: it lends bytes, their time, their length on the wire and their link type. Its one invariant:
//! the bytes of a [`Packet`] are valid only while the visitor given to [`Backend::poll`] runs.

use std::ops::AddAssign;
use std::time::Duration;

#[cfg(target_os = "linux")]
pub mod bpf;
mod chosen;
pub mod chunk;
mod error;
pub mod features;
pub mod file;
pub mod filter;
pub mod lanes;
mod limit;
mod live;
pub mod memory;
#[cfg(target_os = "linux")]
pub mod nic;
pub mod packed;
mod packet;
pub mod pages;
pub mod pcap;
pub mod prefetch;
#[cfg(target_os = "linux")]
pub mod privilege;
mod replay;
pub mod savefile;
pub mod signals;
pub mod storage;
pub mod thread;
#[cfg(target_os = "linux")]
pub mod tpacket;
mod wait;
pub mod wide;
pub mod writing;
#[cfg(target_os = "linux")]
pub mod xdp;

pub use chosen::{PacketChoice, chosen};
pub use error::BackendError;
pub use limit::CaptureLimits;
pub use packet::{LinkType, Packet, Timestamp};
pub use replay::{PacedBackend, ReplaySpeed};

/// Most packets that one call of a visitor is lent.
pub const BATCH_MAX: usize = 64;

/// What a call of [`Backend::poll`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polled {
    /// This many packets were lent to the visitor (possibly in several slices); 0 when all that was read did
    /// not match a filter.
    Lent(u32),
    /// Nothing arrived within the timeout; the time by which ticks and expiry may go on.
    Idle(Timestamp),
    /// The source has ended; it will never lend again.
    End,
}

/// Received and lost packets since the source was opened. All values only grow.
///
/// `received` counts every packet the source saw for us, so once nothing is in flight `received = lent to the
/// visitor + filtered + kernel_drops + damaged + skipped`. `interface_drops` lie before `received` and are
/// not part of it; `ring_full_drops` and `fill_empty_drops` are parts of `kernel_drops`; `ring_freezes` are
/// not packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets the source saw for us, lost ones included.
    pub received: u64,
    /// Packets that did not match the filter: those read by us in user space, and of AF_XDP those its program
    /// left out (the filter of another kernel ring does not count here).
    pub filtered: u64,
    /// Packets the kernel dropped because we did not read fast enough (AF_XDP: also those that met no socket
    /// of ours).
    pub kernel_drops: u64,
    /// Of `kernel_drops`: the ring between the kernel and us was full (AF_XDP: `rx_ring_full`).
    pub ring_full_drops: u64,
    /// Of `kernel_drops`: the kernel had no free frame to receive into (AF_XDP: `rx_fill_ring_empty_descs`).
    pub fill_empty_drops: u64,
    /// Times the kernel found no free block and stopped receiving for a while (TPACKET_V3:
    /// `tp_freeze_q_cnt`). Not packets.
    pub ring_freezes: u64,
    /// Packets that a ring announced and that could not be read because its lengths contradict each other.
    pub damaged: u64,
    /// Packets the interface or its driver dropped before the kernel saw them.
    pub interface_drops: u64,
    /// Packets we left out ourselves because no memory was free to hand them on.
    pub skipped: u64,
    /// Packets of a file whose times are far ahead of those around them; they count as captured when the packet before them was. None of
    /// them is lost.
    pub times_contradicted: u64,
}

impl AddAssign<&Self> for Counters {
    fn add_assign(&mut self, other: &Self) {
        // Destructured so that a new field cannot be forgotten.
        let Self {
            received,
            filtered,
            kernel_drops,
            ring_full_drops,
            fill_empty_drops,
            ring_freezes,
            damaged,
            interface_drops,
            skipped,
            times_contradicted,
        } = other;
        self.received += received;
        self.filtered += filtered;
        self.kernel_drops += kernel_drops;
        self.ring_full_drops += ring_full_drops;
        self.fill_empty_drops += fill_empty_drops;
        self.ring_freezes += ring_freezes;
        self.damaged += damaged;
        self.interface_drops += interface_drops;
        self.skipped += skipped;
        self.times_contradicted += times_contradicted;
    }
}

/// How much waits in the ring between the kernel and us: blocks of TPACKET_V3, descriptors of AF_XDP's rx ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingFill {
    /// What the ring holds at most.
    pub size: u32,
    /// What waits now.
    pub waiting: u32,
    /// The most that a call of [`Backend::poll`] has found waiting.
    pub waiting_max: u32,
}

/// How far a source with a known end has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Bytes of the source consumed so far.
    pub bytes_read: u64,
    /// Length of the source in bytes; 0 when unknown (a pipe, a wire).
    pub bytes_total: u64,
}

/// One queue of packets.
pub trait Backend: Send {
    /// Link type of the first packet (a capture file may change it from packet to packet, so each [`Packet`]
    /// carries its own).
    fn link_type(&self) -> LinkType;

    /// True where an unread packet waits for us (a file) instead of being lost (a wire).
    fn waits(&self) -> bool;

    /// Waits at most `timeout`, then lends what is there to `visit`, at most [`BATCH_MAX`] packets per call
    /// of `visit`. The bytes are valid while `visit` runs; afterwards the memory is the source's again.
    ///
    /// # Errors
    /// Damage in a file is reported once, after everything before it has been lent; afterwards the source
    /// says `End`.
    fn poll(&mut self, timeout: Duration, visit: &mut dyn FnMut(&[Packet<'_>])) -> Result<Polled, BackendError>;

    /// Received and lost packets since the start, per place of loss, as the source counts them.
    ///
    /// # Errors
    /// When the kernel refuses its statistics.
    fn counters(&mut self) -> Result<Counters, BackendError>;

    /// What waits in its ring. `None` where there is no ring, or none that we can look into (libpcap).
    fn ring_fill(&mut self) -> Option<RingFill> {
        None
    }

    /// Something a person should know that is no error (an interface went down, packets a filter cannot
    /// judge), once each.
    fn notice(&mut self) -> Option<String> {
        None
    }

    /// The bytes of the file in which all its packets lie, where it is mapped: who keeps packets need not copy them.
    fn mapped(&self) -> Option<file::MappedBytes> {
        None
    }

    /// How far we are, for a progress display.
    fn position(&self) -> Position {
        Position::default()
    }
}
