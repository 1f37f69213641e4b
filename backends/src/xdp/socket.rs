//! An AF_XDP socket.
//!
//! Owns the system calls around one socket and says which of them failed. Knows no packet. Its one invariant:
//! every call can be refused by the [`Seam`] instead of the kernel, so that a test meets any refusal.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::map::{RingLayout, SharedMemory};
use super::options::BusyPoll;

/// A step on the way to packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SocketStep {
    Memory,
    HugePages,
    Socket,
    Register,
    CompletionRing,
    FillRing,
    RxRing,
    Offsets,
    Map,
    BusyPoll,
    Bind,
    Promiscuous,
    Statistics,
}

/// A step that failed.
#[derive(Debug)]
pub(crate) struct SocketFault {
    pub step: SocketStep,
    pub error: io::Error,
}

impl SocketFault {
    pub(crate) fn new(step: SocketStep, error: io::Error) -> Self {
        Self { step, error }
    }

    pub(crate) fn errno(&self) -> i32 {
        self.error.raw_os_error().unwrap_or(0)
    }
}

/// Where a test refuses what the kernel would not. The second value are the flags of a bind, else 0.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seam(pub Option<fn(SocketStep, u16) -> Option<i32>>);

impl Seam {
    /// Whether a test refuses this step.
    pub(crate) fn check(self, step: SocketStep, flags: u16) -> Result<(), SocketFault> {
        match self.0.and_then(|refuse| refuse(step, flags)) {
            Some(errno) => Err(SocketFault::new(step, io::Error::from_raw_os_error(errno))),
            None => Ok(()),
        }
    }

    fn call(self, step: SocketStep, result: impl FnOnce() -> io::Result<()>) -> Result<(), SocketFault> {
        self.check(step, 0)?;
        result().map_err(|error| SocketFault::new(step, error))
    }
}

/// Entries of the completion ring: nothing is sent, but the kernel does not bind a socket without one.
const COMPLETION_ENTRIES: u32 = 64;

/// A socket.
#[derive(Debug)]
pub(crate) struct RingSocket {
    descriptor: OwnedFd,
    seam: Seam,
}

impl RingSocket {
    pub(crate) fn new(seam: Seam) -> Result<Self, SocketFault> {
        seam.check(SocketStep::Socket, 0)?;
        // JUSTIFICATION: the standard library makes no sockets of this family.
        // SAFETY: no pointer is passed; the result is checked.
        let descriptor = unsafe { libc::socket(libc::AF_XDP, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        if descriptor < 0 {
            return Err(SocketFault::new(SocketStep::Socket, io::Error::last_os_error()));
        }
        // JUSTIFICATION: a number from the C library becomes an owner.
        // SAFETY: the descriptor was just made and nobody else has it.
        let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor) };
        Ok(Self { descriptor, seam })
    }

    fn set<T>(&self, level: libc::c_int, name: libc::c_int, value: &T) -> io::Result<()> {
        let len = size_of::<T>() as libc::socklen_t;
        // JUSTIFICATION: options of this family are set by setsockopt(2) alone.
        // SAFETY: `value` is live and `len` bytes long, and the kernel only reads it; every `T` here is a
        // struct or integer of the kernel's interface without pointers.
        let result = unsafe { libc::setsockopt(self.descriptor.as_raw_fd(), level, name, (&raw const *value).cast(), len) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Fills `value`, which is zero; how many bytes the kernel knew.
    fn get<T>(&self, name: libc::c_int, value: &mut T) -> io::Result<usize> {
        let mut len = size_of::<T>() as libc::socklen_t;
        let fd = self.descriptor.as_raw_fd();
        // JUSTIFICATION: options of this family are read by getsockopt(2) alone.
        // SAFETY: `value` is live, writable and `len` bytes long, and the kernel writes no more; every `T`
        // here consists of integers, so any bits are valid.
        let result = unsafe { libc::getsockopt(fd, libc::SOL_XDP, name, (&raw mut *value).cast(), &raw mut len) };
        if result == 0 { Ok(len as usize) } else { Err(io::Error::last_os_error()) }
    }

    /// Makes `memory` the packet memory, in frames of `frame_bytes`.
    pub(crate) fn register(&self, memory: &SharedMemory, frame_bytes: u32) -> Result<(), SocketFault> {
        let registration = libc::xdp_umem_reg {
            addr: memory.address(),
            len: memory.len() as u64,
            chunk_size: frame_bytes,
            headroom: 0,
            flags: 0,
            tx_metadata_len: 0,
        };
        self.seam.call(SocketStep::Register, || self.set(libc::SOL_XDP, libc::XDP_UMEM_REG, &registration))
    }

    /// Makes the rings and maps the two that are used: rx, fill.
    pub(crate) fn rings(&self, rx_entries: u32, fill_entries: u32) -> Result<(RingLayout, RingLayout), SocketFault> {
        let set = |step, name, entries: u32| self.seam.call(step, || self.set(libc::SOL_XDP, name, &entries));
        set(SocketStep::CompletionRing, libc::XDP_UMEM_COMPLETION_RING, COMPLETION_ENTRIES)?;
        set(SocketStep::FillRing, libc::XDP_UMEM_FILL_RING, fill_entries)?;
        set(SocketStep::RxRing, libc::XDP_RX_RING, rx_entries)?;
        let offsets = self.offsets()?;
        let map = |offsets: &libc::xdp_ring_offset, entries, entry_len, page_offset| {
            self.seam.check(SocketStep::Map, 0)?;
            SharedMemory::of(self.descriptor.as_fd(), RingLayout::mapping_len(offsets, entries, entry_len), page_offset)
                .and_then(|mapping| RingLayout::new(mapping, offsets, entries, entry_len))
                .map_err(|error| SocketFault::new(SocketStep::Map, error))
        };
        let rx = map(&offsets.rx, rx_entries, size_of::<libc::xdp_desc>(), libc::XDP_PGOFF_RX_RING)?;
        let fill = map(&offsets.fr, fill_entries, size_of::<u64>(), libc::XDP_UMEM_PGOFF_FILL_RING as libc::off_t)?;
        Ok((rx, fill))
    }

    fn offsets(&self) -> Result<libc::xdp_mmap_offsets, SocketFault> {
        self.seam.check(SocketStep::Offsets, 0)?;
        const NONE: libc::xdp_ring_offset = libc::xdp_ring_offset { producer: 0, consumer: 0, desc: 0, flags: 0 };
        let mut offsets = libc::xdp_mmap_offsets { rx: NONE, tx: NONE, fr: NONE, cr: NONE };
        match self.get(libc::XDP_MMAP_OFFSETS, &mut offsets) {
            Ok(len) if len == size_of_val(&offsets) => Ok(offsets),
            // The layout without flags, of kernels before 5.4.
            Ok(_) => Err(SocketFault::new(SocketStep::Offsets, io::Error::from_raw_os_error(libc::ENOPROTOOPT))),
            Err(error) => Err(SocketFault::new(SocketStep::Offsets, error)),
        }
    }

    /// Asks for preferred busy polling.
    pub(crate) fn set_busy_poll(&self, busy_poll: BusyPoll) -> Result<(), SocketFault> {
        let on: libc::c_int = 1;
        let as_int = |value: u32| libc::c_int::try_from(value).unwrap_or(libc::c_int::MAX);
        for (name, value) in [
            (SO_PREFER_BUSY_POLL, on),
            (SO_BUSY_POLL, as_int(busy_poll.timeout_us)),
            (SO_BUSY_POLL_BUDGET, as_int(busy_poll.budget)),
        ] {
            self.seam.call(SocketStep::BusyPoll, || self.set(libc::SOL_SOCKET, name, &value))?;
        }
        Ok(())
    }

    /// Binds to a queue; `flags` are `XDP_ZEROCOPY` and the like.
    pub(crate) fn bind(&self, ifindex: u32, queue: u32, flags: u16) -> Result<(), SocketFault> {
        self.seam.check(SocketStep::Bind, flags)?;
        let address = libc::sockaddr_xdp {
            sxdp_family: libc::AF_XDP as u16,
            sxdp_flags: flags,
            sxdp_ifindex: ifindex,
            sxdp_queue_id: queue,
            sxdp_shared_umem_fd: 0,
        };
        let len = size_of_val(&address) as libc::socklen_t;
        // JUSTIFICATION: the standard library knows no address of this family.
        // SAFETY: `address` is live and `len` bytes long, and the kernel only reads it.
        let result = unsafe { libc::bind(self.descriptor.as_raw_fd(), (&raw const address).cast(), len) };
        if result == 0 { Ok(()) } else { Err(SocketFault::new(SocketStep::Bind, io::Error::last_os_error())) }
    }

    /// What the kernel counted since the bind.
    pub(crate) fn statistics(&self) -> Result<libc::xdp_statistics, SocketFault> {
        self.seam.check(SocketStep::Statistics, 0)?;
        let mut statistics = libc::xdp_statistics {
            rx_dropped: 0,
            rx_invalid_descs: 0,
            tx_invalid_descs: 0,
            rx_ring_full: 0,
            rx_fill_ring_empty_descs: 0,
            tx_ring_empty_descs: 0,
        };
        // Kernels before 5.9 know the first three alone; the others stay 0.
        self.get(libc::XDP_STATISTICS, &mut statistics).map_err(|error| SocketFault::new(SocketStep::Statistics, error))?;
        Ok(statistics)
    }

    /// Wakes the driver, and with busy polling lets it work; what has become of the interface: ENETDOWN when
    /// it is down, ENXIO when it is gone.
    pub(crate) fn kick(&self) -> io::Result<()> {
        let fd = self.descriptor.as_raw_fd();
        // JUSTIFICATION: the kernel's interface of AF_XDP for this is a recvfrom(2) without a buffer.
        // SAFETY: null with a length of zero is a buffer of no bytes, and no address is asked for.
        let result = unsafe {
            libc::recvfrom(fd, std::ptr::null_mut(), 0, libc::MSG_DONTWAIT, std::ptr::null_mut(), std::ptr::null_mut())
        };
        if result >= 0 {
            return Ok(());
        }
        match io::Error::last_os_error() {
            error if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EBUSY | libc::EINTR | libc::ENOBUFS)) => Ok(()),
            error => Err(error),
        }
    }
}

impl AsFd for RingSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl AsRawFd for RingSocket {
    fn as_raw_fd(&self) -> libc::c_int {
        self.descriptor.as_raw_fd()
    }
}

/// asm-generic/socket.h; the C library crate does not have them.
const SO_BUSY_POLL: libc::c_int = 46;
const SO_PREFER_BUSY_POLL: libc::c_int = 69;
const SO_BUSY_POLL_BUDGET: libc::c_int = 70;
