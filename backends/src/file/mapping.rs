//! A capture file in memory, safe against growing shorter.
//!
//! Owns the mapping and the handling of SIGBUS, the signal that touching a page behind the end of a mapped
//! file raises. Knows no capture format. Its one invariant: as long as a [`MappedFile`] lives, every byte of
//! it can be read; where the file no longer has the page, the byte is zero and [`MappedFile::is_hit`] says
//! so.
//!
//! Another process may also change the bytes under us. The walkers treat every byte as hostile and rely on no
//! byte being the same twice, and a packet's bytes are plain data, so that changes what is reported and
//! nothing else.

use std::fs::File;
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use memmap2::{Advice, Mmap, UncheckedAdvice};

/// Most capture files mapped at a time by one process.
pub const MAPPINGS_MAX: usize = 64;

/// What asks for a range before it is read: Linux maps its pages, other systems read them from the disk.
#[cfg(target_os = "linux")]
const POPULATE: Advice = Advice::PopulateRead;
#[cfg(not(target_os = "linux"))]
const POPULATE: Advice = Advice::WillNeed;

/// A whole file, mapped for reading at the length it had when it was opened.
pub(super) struct MappedFile {
    /// Before `map`, so that the range leaves the table before its addresses can mean something else.
    guard: Guard,
    map: Mmap,
    file: File,
}

impl MappedFile {
    /// Maps `file`, which must not be empty.
    pub(super) fn new(file: File) -> io::Result<Self> {
        install_handler()?;
        // JUSTIFICATION: packets are lent straight from the page cache, without a copy; only a mapping can do
        // that.
        // SAFETY: the mapping is private to this struct and only read. A file that becomes shorter is handled
        // by the signal handler below, one whose bytes change by the walkers (see the top of this file).
        let map = unsafe { Mmap::map(&file) }?;
        // Only a hint: where the kernel refuses it, reading is slower and nothing else.
        let _ = map.advise(Advice::Sequential);
        let guard = Guard::register(map.as_ptr() as usize, map.len())?;
        Ok(Self { guard, map, file })
    }

    /// All bytes, as many as the file had when it was opened.
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// Brings a range of the file into our address space in one step: a fault per few pages costs several
    /// times as much.
    pub(super) fn populate(&self, start: usize, len: usize) {
        let len = len.min(self.map.len().saturating_sub(start));
        if len > 0 {
            // Only a hint: Linux before 5.14 refuses it, and so does a file that became shorter, which reading
            // then finds.
            let _ = self.map.advise_range(POPULATE, start, len);
        }
    }

    /// Takes a range of the file out of our address space. It can be read all the same, for a fault per few
    /// pages.
    pub(super) fn release(&self, start: usize, len: usize) {
        let len = len.min(self.map.len().saturating_sub(start));
        if len > 0 {
            // Only a hint: where the kernel refuses it, the pages stay until the end.
            // JUSTIFICATION: memmap2 calls it unsafe, as memory of ours would lose what was written to it.
            // SAFETY: the mapping is shared and never written to. A page that is read again comes from the
            // file, as it did before; where the signal handler put one of zeros, it is one of zeros again.
            let _ = unsafe { self.map.unchecked_advise_range(UncheckedAdvice::DontNeed, start, len) };
        }
    }

    /// How many of them the file still has.
    pub(super) fn len_now(&self) -> io::Result<usize> {
        let len = self.file.metadata()?.len();
        Ok(usize::try_from(len).unwrap_or(usize::MAX).min(self.map.len()))
    }

    /// True once a page was touched that the file no longer has.
    #[inline]
    pub(super) fn is_hit(&self) -> bool {
        self.guard.slot.is_hit.load(Ordering::Acquire)
    }
}

/// Address of no mapping: the slot is free.
const FREE: usize = 0;
/// Address of no mapping: the slot is being filled.
const CLAIMED: usize = 1;

/// A range whose missing pages the handler fills. `start` is written last (Release) and read first (Acquire)
/// by the handler.
struct FaultRange {
    start: AtomicUsize,
    len: AtomicUsize,
    /// Set by the handler (Release), read by [`MappedFile::is_hit`] (Acquire).
    is_hit: AtomicBool,
}

static SLOTS: [FaultRange; MAPPINGS_MAX] =
    [const { FaultRange { start: AtomicUsize::new(FREE), len: AtomicUsize::new(0), is_hit: AtomicBool::new(false) } };
        MAPPINGS_MAX];

/// Bytes per page; written before the handler is installed, so the handler reads it without ordering.
static PAGE_LEN: AtomicUsize = AtomicUsize::new(0);

/// What handled SIGBUS before us, for faults that are not ours.
static PREVIOUS: OnceLock<libc::sigaction> = OnceLock::new();

struct Guard {
    slot: &'static FaultRange,
}

impl Guard {
    fn register(start: usize, len: usize) -> io::Result<Self> {
        for slot in &SLOTS {
            if slot.start.compare_exchange(FREE, CLAIMED, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                slot.len.store(len, Ordering::Relaxed);
                slot.is_hit.store(false, Ordering::Relaxed);
                slot.start.store(start, Ordering::Release);
                return Ok(Self { slot });
            }
        }
        Err(io::Error::other(format!("{MAPPINGS_MAX} capture files are open already, which is the most")))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.slot.start.store(FREE, Ordering::Release);
    }
}

fn install_handler() -> io::Result<()> {
    static INSTALLED: OnceLock<Result<(), i32>> = OnceLock::new();
    let installed = INSTALLED.get_or_init(|| {
        // JUSTIFICATION: the page size is known to the system alone.
        // SAFETY: sysconf takes no pointer and changes nothing.
        let page_len = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        PAGE_LEN.store(usize::try_from(page_len).map_err(|_| libc::EINVAL)?, Ordering::Relaxed);
        // JUSTIFICATION: `struct sigaction` is C's and differs from system to system; zero is its neutral
        // value.
        // SAFETY: integers, a signal set and an optional function pointer: all zero is a valid value of each.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = on_sigbus;
        action.sa_sigaction = handler as usize;
        // On the alternate stack where a thread has one, as the handler of Rust's runtime that we may have to
        // call expects.
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        let mut previous = action;
        // JUSTIFICATION: only a signal handler can react to a page that vanished between the check and the
        // use.
        // SAFETY: both pointers are to live structs; the handler keeps to what is allowed in a signal handler
        // (see there).
        let done = unsafe { libc::sigaction(libc::SIGBUS, &raw const action, &raw mut previous) };
        if done != 0 {
            return Err(io::Error::last_os_error().raw_os_error().unwrap_or(libc::EINVAL));
        }
        // Nobody else writes it: this closure runs once.
        let _ = PREVIOUS.set(previous);
        Ok(())
    });
    installed.map_err(io::Error::from_raw_os_error)
}

/// Puts a page of zeros where a registered mapping has lost one; passes every other fault on.
///
/// Runs in a signal handler: only atomics that are lock-free, and system calls.
extern "C" fn on_sigbus(signal: libc::c_int, facts: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // JUSTIFICATION: the kernel hands the faulting address over in its own struct, by pointer.
    // SAFETY: with SA_SIGINFO the kernel passes a pointer to a struct that lives as long as the handler runs.
    let facts_read = unsafe { &*facts };
    // JUSTIFICATION: the address lies in a union of C.
    // SAFETY: for SIGBUS the address is the member in use; any bits are a valid address, which is only
    // compared.
    let address = unsafe { facts_read.si_addr() } as usize;
    let slot = SLOTS.iter().find(|slot| {
        let start = slot.start.load(Ordering::Acquire);
        start > CLAIMED && address >= start && address - start < slot.len.load(Ordering::Relaxed)
    });
    match slot {
        Some(slot) if fill_page(address) => slot.is_hit.store(true, Ordering::Release),
        _ => pass_on(signal, facts, context),
    }
}

fn fill_page(address: usize) -> bool {
    let page_len = PAGE_LEN.load(Ordering::Relaxed);
    let page = (address & !(page_len - 1)) as *mut libc::c_void;
    let flags = libc::MAP_FIXED | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // JUSTIFICATION: returning from the handler without a readable page would fault again for ever.
    // SAFETY: the page lies in a mapping that is registered, hence alive (it leaves the table before it is
    // unmapped, and the faulting thread borrows it) and only ever read; replacing a page whose content is
    // gone invalidates nothing. mmap is a plain system call, safe in a signal handler, and does not touch
    // errno when it succeeds.
    let mapped = unsafe { libc::mmap(page, page_len, libc::PROT_READ, flags, -1, 0) };
    mapped == page
}

fn pass_on(signal: libc::c_int, facts: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let previous = PREVIOUS.get().filter(|action| action.sa_sigaction != libc::SIG_DFL && action.sa_sigaction != libc::SIG_IGN);
    let Some(action) = previous else {
        // JUSTIFICATION: the process has to die of this fault as it would have without us, with a core dump.
        // SAFETY: signal(2) takes no pointer of ours and is safe in a handler. The faulting instruction runs
        // again on return.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
        return;
    };
    if action.sa_flags & libc::SA_SIGINFO != 0 {
        // JUSTIFICATION: the kernel keeps handlers as integers.
        // SAFETY: with SA_SIGINFO, the field holds a function of this type: whoever installed it said so to
        // the kernel.
        let handler = unsafe {
            std::mem::transmute::<usize, extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void)>(action.sa_sigaction)
        };
        handler(signal, facts, context);
    } else {
        // JUSTIFICATION: as above.
        // SAFETY: without SA_SIGINFO, and neither default nor ignore, the field holds a function of this
        // type.
        let handler = unsafe { std::mem::transmute::<usize, extern "C" fn(libc::c_int)>(action.sa_sigaction) };
        handler(signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn missing_pages_read_as_zero() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![7; 1 << 20]).unwrap();
        let mapping = MappedFile::new(file.try_clone().unwrap()).unwrap();
        assert_eq!(mapping.bytes()[1 << 19], 7);
        assert_eq!(mapping.len_now().unwrap(), 1 << 20);
        assert!(!mapping.is_hit());
        file.set_len(100).unwrap();
        assert_eq!(mapping.len_now().unwrap(), 100);
        let sum: u64 = mapping.bytes().iter().map(|byte| u64::from(*byte)).sum();
        assert_eq!(sum, 700);
        assert!(mapping.is_hit());
    }

    #[test]
    fn what_was_released_reads_as_before() {
        let mut file = tempfile::tempfile().unwrap();
        let content: Vec<u8> = (0..1 << 20).map(|i: u32| (i / 1000) as u8).collect();
        file.write_all(&content).unwrap();
        let mapping = MappedFile::new(file.try_clone().unwrap()).unwrap();
        assert!(mapping.bytes() == content);
        mapping.release(1 << 12, 1 << 19);
        // More than there is.
        mapping.release(1 << 19, 1 << 30);
        mapping.release(1 << 30, 1);
        assert!(mapping.bytes() == content && !mapping.is_hit());
        // Pages of zeros, too, are given back and come again.
        file.set_len(1 << 12).unwrap();
        for _ in 0..2 {
            assert!(mapping.bytes()[..1 << 12] == content[..1 << 12]);
            assert!(mapping.bytes()[1 << 12..].iter().all(|byte| *byte == 0));
            assert!(mapping.is_hit());
            mapping.release(0, 1 << 20);
        }
    }

    #[test]
    fn a_slot_is_used_again() {
        for _ in 0..3 * MAPPINGS_MAX {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&[1; 10]).unwrap();
            let mapping = MappedFile::new(file).unwrap();
            assert!(!mapping.is_hit());
        }
    }
}
