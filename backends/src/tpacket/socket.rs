//! A packet socket and its mapped ring: the system calls of packet(7), each by its name.
//!
//! Owns the descriptor and the mapping. Decides nothing and explains nothing. Its one invariant: both are
//! gone when it is dropped, and with them the membership in a fanout group and the promiscuous mode.

use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::NonNull;

use libc::{c_int, socklen_t};

use super::ring::BlockRing;
use crate::filter::ClassicInstruction;

/// `struct sock_fprog` (linux/filter.h).
#[repr(C)]
struct SocketFilterProgram {
    len: libc::c_ushort,
    instructions: *const ClassicInstruction,
}

/// What the kernel counted since it was last asked (`struct tpacket_stats_v3`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Statistics {
    /// Packets, dropped ones included.
    pub(super) packets: u32,
    pub(super) drops: u32,
    /// Times it found no free block.
    pub(super) freezes: u32,
}

/// A packet socket that receives nothing until it is bound.
#[derive(Debug)]
pub(super) struct Socket(OwnedFd);

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

fn checked(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn set<T>(socket: &impl AsRawFd, level: c_int, option: c_int, value: &T) -> io::Result<()> {
    let len = size_of::<T>() as socklen_t;
    // JUSTIFICATION: socket options exist as a C call only.
    // SAFETY: the kernel reads `len` bytes at a live value of that size. Callers pass integers and C structs
    // that have the layout the option asks for; the one that holds a pointer keeps its target alive during the
    // call.
    checked(unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, std::ptr::from_ref(value).cast(), len) }).map(drop)
}

/// From the next packet on a packet socket gives only what `program` accepts, in place of any filter before.
pub(crate) fn attach_filter(socket: &impl AsRawFd, program: &[ClassicInstruction]) -> io::Result<()> {
    let len = libc::c_ushort::try_from(program.len()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    let program = SocketFilterProgram { len, instructions: program.as_ptr() };
    set(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
}

impl Socket {
    /// Protocol 0: no packet comes before [`Socket::bind`] names one.
    pub(super) fn new() -> io::Result<Self> {
        // JUSTIFICATION: the standard library has no packet sockets.
        // SAFETY: three integers.
        let descriptor = checked(unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) })?;
        // JUSTIFICATION: a descriptor comes as an integer.
        // SAFETY: just opened, and owned by nobody else.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(descriptor) }))
    }

    fn set<T>(&self, level: c_int, option: c_int, value: &T) -> io::Result<()> {
        set(self, level, option, value)
    }

    /// Callers name a `T` of which every bit pattern is a value.
    fn get<T: Copy + Default>(&self, level: c_int, option: c_int) -> io::Result<T> {
        let mut value = T::default();
        let mut len = size_of::<T>() as socklen_t;
        // JUSTIFICATION: as above.
        // SAFETY: the kernel writes at most `len` bytes to a live value of that size, made of integers.
        checked(unsafe { libc::getsockopt(self.as_raw_fd(), level, option, (&raw mut value).cast(), &raw mut len) })?;
        Ok(value)
    }

    /// Asks for rings of TPACKET_V3 (Linux 3.2; EINVAL before).
    pub(super) fn set_version_3(&self) -> io::Result<()> {
        self.set(libc::SOL_PACKET, libc::PACKET_VERSION, &(libc::tpacket_versions::TPACKET_V3 as c_int))
    }

    /// Has the kernel allocate the ring. A block is closed `retire_ms` after it was begun.
    pub(super) fn set_ring(&self, block_bytes: u32, block_count: u32, retire_ms: u32) -> io::Result<()> {
        let request = libc::tpacket_req3 {
            tp_block_size: block_bytes,
            tp_block_nr: block_count,
            // Frames of TPACKET_V3 have any length; the kernel only checks that these two agree with the
            // blocks.
            tp_frame_size: block_bytes,
            tp_frame_nr: block_count,
            tp_retire_blk_tov: retire_ms,
            tp_sizeof_priv: 0,
            tp_feature_req_word: 0,
        };
        self.set(libc::SOL_PACKET, libc::PACKET_RX_RING, &request)
    }

    /// Also packets that are for nobody here, until the socket is closed.
    pub(super) fn set_promiscuous(&self, index: c_int) -> io::Result<()> {
        let request = libc::packet_mreq {
            mr_ifindex: index,
            mr_type: libc::PACKET_MR_PROMISC as libc::c_ushort,
            mr_alen: 0,
            mr_address: [0; 8],
        };
        self.set(libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, &request)
    }

    /// Receives all protocols from the interface of this index.
    pub(super) fn bind(&self, index: c_int) -> io::Result<()> {
        // JUSTIFICATION: an address of C, whose fields differ between systems; zero is the neutral value of
        // each.
        // SAFETY: integers and an array of them.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as libc::sa_family_t;
        address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
        address.sll_ifindex = index;
        let len = size_of::<libc::sockaddr_ll>() as socklen_t;
        // JUSTIFICATION: the standard library knows no such address.
        // SAFETY: a live address of that length.
        checked(unsafe { libc::bind(self.as_raw_fd(), (&raw const address).cast(), len) }).map(drop)
    }

    /// Joins a fanout group (packet(7)); returns its id. `flags` with UNIQUEID makes a new one.
    pub(super) fn join(&self, id: u16, mode: u16, flags: u16) -> io::Result<u16> {
        let word = u32::from(id) | u32::from(mode | flags) << 16;
        self.set(libc::SOL_PACKET, libc::PACKET_FANOUT, &word)?;
        let joined: u32 = self.get(libc::SOL_PACKET, libc::PACKET_FANOUT)?;
        Ok(joined as u16)
    }

    /// Reads and clears what the kernel counted.
    pub(super) fn statistics(&self) -> io::Result<Statistics> {
        let [packets, drops, freezes]: [u32; 3] = self.get(libc::SOL_PACKET, libc::PACKET_STATISTICS)?;
        Ok(Statistics { packets, drops, freezes })
    }

    /// Reads and clears the error that waits (0: none).
    pub(super) fn error(&self) -> io::Result<c_int> {
        self.get(libc::SOL_SOCKET, libc::SO_ERROR)
    }

    /// An ioctl of netdevice(7) about the interface `name` (or the index in `request`), in the socket's
    /// network namespace.
    fn ask(&self, what: libc::c_ulong, request: &mut libc::ifreq) -> io::Result<()> {
        // JUSTIFICATION: netdevice(7) is spoken by ioctl alone.
        // SAFETY: the kernel reads and writes one live `ifreq`, for each of the requests made below.
        checked(unsafe { libc::ioctl(self.as_raw_fd(), what as _, &raw mut *request) }).map(drop)
    }

    /// Index of the interface of this name.
    pub(super) fn index_of(&self, name: &str) -> io::Result<c_int> {
        let mut request = named(name)?;
        self.ask(libc::SIOCGIFINDEX, &mut request)?;
        // JUSTIFICATION: a union of C.
        // SAFETY: the member this request fills.
        Ok(unsafe { request.ifr_ifru.ifru_ifindex })
    }

    /// Index of the interface it is bound to; `None` once that was deleted, whoever has the number now.
    fn bound_index(&self) -> io::Result<Option<c_int>> {
        // JUSTIFICATION: as in `bind`.
        // SAFETY: integers and an array of them.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        let mut len = size_of::<libc::sockaddr_ll>() as socklen_t;
        // JUSTIFICATION: the standard library knows no such address.
        // SAFETY: the kernel writes at most `len` bytes to a live address of that length.
        checked(unsafe { libc::getsockname(self.as_raw_fd(), (&raw mut address).cast(), &raw mut len) })?;
        // packet_notifier() of the kernel unbinds by the index -1.
        Ok((address.sll_ifindex > 0).then_some(address.sll_ifindex))
    }

    /// Name of the interface it is bound to now; `None` once that was deleted.
    pub(super) fn bound_name(&self) -> io::Result<Option<String>> {
        self.bound_index()?.map_or(Ok(None), |index| self.name_of(index))
    }

    /// Name of the interface of this index now; `None` when there is none any more.
    fn name_of(&self, index: c_int) -> io::Result<Option<String>> {
        let mut request = named("")?;
        request.ifr_ifru.ifru_ifindex = index;
        match self.ask(libc::SIOCGIFNAME, &mut request) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => return Ok(None),
            Err(error) => return Err(error),
        }
        let bytes = request.ifr_name.map(|byte| byte as u8);
        let name = CStr::from_bytes_until_nul(&bytes).map_err(io::Error::other)?;
        Ok(Some(name.to_string_lossy().into_owned()))
    }

    /// Its ARPHRD number (linux/if_arp.h).
    pub(super) fn hardware_of(&self, name: &str) -> io::Result<u16> {
        let mut request = named(name)?;
        self.ask(libc::SIOCGIFHWADDR, &mut request)?;
        // JUSTIFICATION: a union of C.
        // SAFETY: the member this request fills.
        Ok(unsafe { request.ifr_ifru.ifru_hwaddr }.sa_family)
    }

    /// Whether it is up.
    pub(super) fn is_up(&self, name: &str) -> io::Result<bool> {
        let mut request = named(name)?;
        self.ask(libc::SIOCGIFFLAGS, &mut request)?;
        // JUSTIFICATION: a union of C.
        // SAFETY: the member this request fills.
        let flags = unsafe { request.ifr_ifru.ifru_flags };
        Ok(c_int::from(flags) & libc::IFF_UP != 0)
    }
}

/// A request about the interface of this name. A name that no interface can have is one that does not exist.
fn named(name: &str) -> io::Result<libc::ifreq> {
    // JUSTIFICATION: a struct of C with a union; zero is the neutral value.
    // SAFETY: integers, arrays and pointers that nobody follows: all zero is a value of each.
    let mut request: libc::ifreq = unsafe { MaybeUninit::zeroed().assume_init() };
    let name = CString::new(name).map_err(|_| io::Error::from_raw_os_error(libc::ENODEV))?;
    let bytes = name.as_bytes_with_nul();
    if bytes.len() > request.ifr_name.len() {
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    }
    for (to, from) in request.ifr_name.iter_mut().zip(bytes) {
        *to = *from as libc::c_char;
    }
    Ok(request)
}

/// A socket with its ring mapped.
#[derive(Debug)]
pub(super) struct Mapped {
    /// Before the mapping, so that nobody holds an address that is gone.
    pub(super) ring: BlockRing,
    _mapping: RingMemory,
    pub(super) socket: Socket,
}

impl Mapped {
    /// Maps the ring that [`Socket::set_ring`] asked for with the same numbers.
    pub(super) fn new(socket: Socket, block_bytes: u32, block_count: u32) -> io::Result<Self> {
        let (block_len, block_count) = (block_bytes as usize, block_count as usize);
        let len = block_len.checked_mul(block_count).ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // JUSTIFICATION: the ring is the kernel's memory; crate memmap2 maps files of a length, and this has
        // none.
        // SAFETY: a new mapping at an address of the kernel's choice.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), len, protection, libc::MAP_SHARED, socket.as_raw_fd(), 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast::<u8>()).ok_or_else(|| io::Error::other("mapped at address 0"))?;
        let mapping = RingMemory { base, len };
        // JUSTIFICATION: the ring cannot know who keeps its memory.
        // SAFETY: the mapping has `block_count * block_len` bytes (the kernel refuses any other length),
        // begins at a page, and lives in the same struct, of which nobody moves the ring out. The kernel
        // accepts only block lengths that are multiples of a page and at least one block; it writes to a
        // block while the status is its own.
        let ring = unsafe { BlockRing::new(base, block_len, block_count) };
        Ok(Self { ring, _mapping: mapping, socket })
    }
}

/// Memory that is unmapped when dropped.
#[derive(Debug)]
struct RingMemory {
    base: NonNull<u8>,
    len: usize,
}

// JUSTIFICATION: a pointer is not `Send` by itself.
// SAFETY: a mapping belongs to the process, so any thread may unmap it; nothing else is done with the
// pointer.
unsafe impl Send for RingMemory {}

impl Drop for RingMemory {
    fn drop(&mut self) {
        // JUSTIFICATION: what mmap gave only munmap takes.
        // SAFETY: exactly what was mapped, and the ring that used it is dropped by then. It cannot fail for
        // such a range.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}
