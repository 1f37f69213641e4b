//! Memory shared with the kernel.
//!
//! Owns mappings: the packet memory (UMEM) and the two rings, and every access to them. Knows no packet and
//! no position arithmetic. Its one invariant: an access lies within its mapping, whatever it is asked for.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use super::frames::{Claimed, Descriptor};
use super::receive::SharedRings;

/// `XDP_RING_NEED_WAKEUP` of linux/if_xdp.h.
const NEED_WAKEUP: u32 = 1 << 0;
/// Bytes of the huge pages asked for: the default size on x86-64 and AArch64.
pub(crate) const HUGE_PAGE_BYTES: usize = 2 << 20;
/// `MPOL_PREFERRED` of linux/mempolicy.h: from this node if possible, else from others.
const MPOL_PREFERRED: libc::c_int = 1;

/// A mapping, unmapped when dropped.
#[derive(Debug)]
pub(crate) struct SharedMemory {
    start: NonNull<u8>,
    len: usize,
}

// JUSTIFICATION: a pointer is not Send by itself; the mapping it names belongs to no thread.
// SAFETY: the pointer is used through `&self` and `Drop` only, and a mapping is valid in all threads of the
// process.
unsafe impl Send for SharedMemory {}

impl SharedMemory {
    /// Zeroed memory of our own; with `flags` (MAP_HUGETLB) beside what that takes.
    pub(crate) fn anonymous(len: usize, flags: libc::c_int) -> io::Result<Self> {
        Self::map(len, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | flags, -1, 0)
    }

    /// What a socket shares at `offset`.
    pub(crate) fn of(socket: BorrowedFd<'_>, len: usize, offset: libc::off_t) -> io::Result<Self> {
        Self::map(len, libc::MAP_SHARED | libc::MAP_POPULATE, socket.as_raw_fd(), offset)
    }

    fn map(len: usize, flags: libc::c_int, fd: libc::c_int, offset: libc::off_t) -> io::Result<Self> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // JUSTIFICATION: memory shared with the kernel's rings can only be had by mmap(2).
        // SAFETY: no address is given, so the kernel chooses one where nothing is mapped; a result is checked
        // before it is used.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), len, protection, flags, fd, offset) };
        match NonNull::new(start) {
            Some(found) if start != libc::MAP_FAILED => Ok(Self { start: found.cast(), len }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Where it begins, as the kernel wants to be told.
    pub(crate) fn address(&self) -> u64 {
        self.start.as_ptr() as u64
    }

    /// Bytes.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Asks for large pages; a refusal costs speed only.
    pub(crate) fn prefer_huge_pages(&self) {
        // JUSTIFICATION: only the kernel's call can say how memory is going to be used.
        // SAFETY: the range is this live mapping; the advice keeps every byte as it is.
        unsafe { libc::madvise(self.start.as_ptr().cast(), self.len, libc::MADV_HUGEPAGE) };
    }

    /// Asks that pages come from a NUMA node, before they are touched.
    pub(crate) fn prefer_node(&self, node: u32) -> io::Result<()> {
        let mut mask = [0_u64; 16];
        let Some(word) = mask.get_mut((node / 64) as usize) else {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        };
        *word = 1 << (node % 64);
        // The kernel reads one bit less than it is told.
        let bits = mask.len() * 64 + 1;
        // JUSTIFICATION: the C library has no function for mbind(2).
        // SAFETY: the range is this live mapping, the mask has the bits that are announced and is only read
        // during the call.
        let result =
            unsafe { libc::syscall(libc::SYS_mbind, self.start.as_ptr(), self.len, MPOL_PREFERRED, mask.as_ptr(), bits, 0) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        // JUSTIFICATION: what mmap(2) made only munmap(2) takes away.
        // SAFETY: this is the mapping made in `map`, whole, and nothing borrows it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

/// A ring as the kernel laid it out in its mapping (`struct xdp_ring_offset`).
#[derive(Debug)]
pub(crate) struct RingLayout {
    mapping: SharedMemory,
    producer: usize,
    consumer: usize,
    flags: Option<usize>,
    entries_at: usize,
    /// A power of two.
    entries: u32,
}

impl RingLayout {
    /// Bytes a ring's mapping needs.
    pub(crate) fn mapping_len(offsets: &libc::xdp_ring_offset, entries: u32, entry_len: usize) -> usize {
        (offsets.desc as usize).saturating_add((entries as usize).saturating_mul(entry_len))
    }

    /// A ring of `entries` (a power of two) entries of `entry_len` bytes; EPROTO when the kernel's offsets do
    /// not fit the mapping.
    pub(crate) fn new(
        mapping: SharedMemory,
        offsets: &libc::xdp_ring_offset,
        entries: u32,
        entry_len: usize,
    ) -> io::Result<Self> {
        let end = Self::mapping_len(offsets, entries, entry_len);
        let is_counter = |at: u64| at.is_multiple_of(4) && at.checked_add(4).is_some_and(|end| end <= mapping.len as u64);
        let has_flags = is_counter(offsets.flags) && offsets.flags != 0;
        if !entries.is_power_of_two()
            || end > mapping.len
            || !offsets.desc.is_multiple_of(8)
            || !is_counter(offsets.producer)
            || !is_counter(offsets.consumer)
        {
            return Err(io::Error::from_raw_os_error(libc::EPROTO));
        }
        Ok(Self {
            producer: offsets.producer as usize,
            consumer: offsets.consumer as usize,
            flags: has_flags.then_some(offsets.flags as usize),
            entries_at: offsets.desc as usize,
            entries,
            mapping,
        })
    }

    #[inline]
    fn counter(&self, at: usize) -> &AtomicU32 {
        // JUSTIFICATION: the counter lies in memory that the kernel maps for us.
        // SAFETY: `new` checked that the offset lies within the mapping.
        let pointer = unsafe { self.mapping.start.add(at) };
        // JUSTIFICATION: the kernel writes it at any time, so it has to be an atomic.
        // SAFETY: it is aligned to 4 (the mapping to a page, the offset checked by `new`), mapped as long as
        // `self` lives, and the kernel accesses it by whole atomic loads and stores of 32 bits.
        unsafe { AtomicU32::from_ptr(pointer.as_ptr().cast()) }
    }

    #[inline]
    fn entry<T>(&self, place: u32) -> NonNull<T> {
        let at = self.entries_at + (place & (self.entries - 1)) as usize * size_of::<T>();
        // JUSTIFICATION: entries lie in memory that the kernel maps for us.
        // SAFETY: `new` checked that all entries of the size given there, which is that of `T`, lie within
        // the mapping, and the place is less than their number.
        unsafe { self.mapping.start.add(at) }.cast()
    }
}

/// The two rings of a socket and its packet memory.
#[derive(Debug)]
pub(crate) struct KernelMemory {
    rx: RingLayout,
    fill: RingLayout,
    umem: SharedMemory,
}

impl KernelMemory {
    /// Of one socket. `rx` has entries of 16 bytes, `fill` of 8.
    pub(crate) const fn new(rx: RingLayout, fill: RingLayout, umem: SharedMemory) -> Self {
        Self { rx, fill, umem }
    }

    /// Whether the driver sleeps and has to be woken to take frames from the fill ring.
    pub(crate) fn needs_wakeup(&self) -> bool {
        // Relaxed: a hint, nothing is read after it that it announces. Partner: xsk_set_rx_need_wakeup in
        // net/xdp/xsk.c.
        self.fill.flags.is_some_and(|at| self.fill.counter(at).load(Ordering::Relaxed) & NEED_WAKEUP != 0)
    }
}

impl SharedRings for KernelMemory {
    #[inline]
    fn rx_producer(&self) -> u32 {
        // Partner: smp_store_release of __xskq_prod_submit in net/xdp/xsk_queue.h.
        self.rx.counter(self.rx.producer).load(Ordering::Acquire)
    }

    #[inline]
    fn set_rx_consumer(&self, position: u32) {
        // Partner: __xskq_prod_refresh... reads it (READ_ONCE, ordered by a control dependency) in
        // xskq_prod_nb_free.
        self.rx.counter(self.rx.consumer).store(position, Ordering::Release);
    }

    #[inline]
    fn descriptor(&self, place: u32) -> Descriptor {
        let entry = self.rx.entry::<libc::xdp_desc>(place);
        // JUSTIFICATION: the entry lies in memory shared with the kernel.
        // SAFETY: `entry` points to a whole, aligned entry of the mapping; integers take any bits. The kernel
        // does not write to it between its position (read with Acquire before) and ours (published after).
        let raw = unsafe { entry.read() };
        Descriptor { address: raw.addr, len: raw.len, options: raw.options }
    }

    #[inline]
    fn fill_consumer(&self) -> u32 {
        // Partner: smp_store_release of __xskq_cons_release in net/xdp/xsk_queue.h.
        self.fill.counter(self.fill.consumer).load(Ordering::Acquire)
    }

    #[inline]
    fn set_fill_producer(&self, position: u32) {
        // Partner: smp_load_acquire of __xskq_cons_peek in net/xdp/xsk_queue.h.
        self.fill.counter(self.fill.producer).store(position, Ordering::Release);
    }

    #[inline]
    fn set_fill(&self, place: u32, address: u64) {
        let entry = self.fill.entry::<u64>(place);
        // JUSTIFICATION: the entry lies in memory shared with the kernel.
        // SAFETY: `entry` points to a whole, aligned entry of the mapping, and it is ours until our position
        // is published after it.
        unsafe { entry.write(address) };
    }

    #[inline]
    fn bytes<'a>(&'a self, claimed: &'a Claimed) -> &'a [u8] {
        let end = claimed.start().saturating_add(claimed.len());
        if end > self.umem.len {
            return &[];
        }
        // JUSTIFICATION: the packet lies in memory shared with the kernel, which is the point of it.
        // SAFETY: the range lies within the mapping, as checked.
        let start = unsafe { self.umem.start.add(claimed.start()) };
        // JUSTIFICATION: as above; a copy would cost as much as all the rest.
        // SAFETY: mapped as long as `self` lives. A `Claimed` is the only token of its frame (frames.rs), so
        // while it is borrowed the frame is not in the fill ring and the kernel does not write to it
        // (net/xdp/xsk_buff_pool.c takes frames from there alone); nobody else in this process has a pointer
        // to it.
        unsafe { std::slice::from_raw_parts(start.as_ptr(), claimed.len()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xdp::frames::Frames;

    const OFFSETS: libc::xdp_ring_offset = libc::xdp_ring_offset { producer: 0, consumer: 64, desc: 192, flags: 128 };

    fn ring(entries: u32, entry_len: usize) -> RingLayout {
        let mapping = SharedMemory::anonymous(RingLayout::mapping_len(&OFFSETS, entries, entry_len), 0).unwrap();
        RingLayout::new(mapping, &OFFSETS, entries, entry_len).unwrap()
    }

    #[test]
    fn both_sides_see_the_same_memory() {
        let memory = KernelMemory::new(ring(4, 16), ring(8, 8), SharedMemory::anonymous(4 * 2048, 0).unwrap());
        memory.set_rx_consumer(5);
        assert_eq!(memory.rx.counter(64).load(Ordering::Relaxed), 5);
        memory.rx.counter(0).store(9, Ordering::Relaxed);
        assert_eq!(memory.rx_producer(), 9);
        memory.set_fill_producer(6);
        memory.fill.counter(64).store(2, Ordering::Relaxed);
        assert_eq!((memory.fill_consumer(), memory.fill.counter(0).load(Ordering::Relaxed)), (2, 6));
        assert!(!memory.needs_wakeup());
        memory.fill.counter(128).store(1, Ordering::Relaxed);
        assert!(memory.needs_wakeup());
        for place in [0, 7] {
            memory.set_fill(place, 77);
            // SAFETY: a whole entry of a live mapping; nobody else writes.
            assert_eq!(unsafe { memory.fill.entry::<u64>(place).read() }, 77);
        }
        assert_eq!(memory.descriptor(3), Descriptor { address: 0, len: 0, options: 0 });
    }

    #[test]
    fn a_place_beyond_the_end_stays_inside() {
        let memory = KernelMemory::new(ring(4, 16), ring(8, 8), SharedMemory::anonymous(4096, 0).unwrap());
        memory.set_fill(u32::MAX, 1);
        assert_eq!(memory.descriptor(u32::MAX).len, 0);
        let (mut frames, tokens) = Frames::new(8, 2048, 0); // more than are mapped
        for token in tokens {
            frames.give(token);
        }
        let inside = frames.claim(Descriptor { address: 2048, len: 2048, options: 0 }).unwrap();
        let outside = frames.claim(Descriptor { address: 4096, len: 1, options: 0 }).unwrap();
        assert_eq!((memory.bytes(&inside).len(), memory.bytes(&outside).len()), (2048, 0));
    }

    #[test]
    fn offsets_that_do_not_fit_are_refused() {
        let bad = [
            libc::xdp_ring_offset { producer: 4094, ..OFFSETS },
            libc::xdp_ring_offset { consumer: 2, ..OFFSETS },
            libc::xdp_ring_offset { consumer: u64::MAX - 3, ..OFFSETS },
            libc::xdp_ring_offset { desc: u64::MAX - 7, ..OFFSETS },
            libc::xdp_ring_offset { desc: 4, ..OFFSETS },
            libc::xdp_ring_offset { desc: 4096, ..OFFSETS },
        ];
        for offsets in bad {
            let mapping = SharedMemory::anonymous(4096, 0).unwrap();
            assert_eq!(RingLayout::new(mapping, &offsets, 4, 16).unwrap_err().raw_os_error(), Some(libc::EPROTO), "{offsets:?}");
        }
    }
}
