//! The system call bpf(2).
//!
//! Owns the layout of what each command takes (`union bpf_attr` in linux/bpf.h) and the call itself. Knows no
//! program. Its one invariant: every address in an attribute is that of a slice borrowed for the whole call,
//! with that slice's length beside it.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// `enum bpf_cmd`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
enum BpfCommand {
    MapCreate = 0,
    MapLookup = 1,
    MapUpdate = 2,
    MapDelete = 3,
    ProgLoad = 5,
    ProgTestRun = 10,
    ProgGetFdById = 13,
    ObjGetInfoByFd = 15,
    LinkCreate = 28,
    LinkUpdate = 29,
    LinkGetFdById = 30,
    LinkGetNextId = 31,
    LinkDetach = 34,
}

/// Attributes of one command: plain numbers, without padding, of a multiple of four bytes.
///
/// # Safety
/// Every field that holds an address holds 0 or that of memory which stays borrowed as long as the attribute
/// is used, of at least the length that the fields beside it say, and writable where the command writes.
unsafe trait Attribute {}

/// Calls bpf(2).
fn call<A: Attribute>(command: BpfCommand, attribute: &mut A) -> io::Result<i32> {
    loop {
        // JUSTIFICATION: there is no other way to talk to BPF, and neither std nor libc has a function for
        // it.
        // SAFETY: `attribute` is valid for reading and writing of its size, which is passed along; addresses
        // in it are valid by the contract of `Attribute`, kept by the functions of this file, which fill them
        // from slices they borrow.
        let result = unsafe { libc::syscall(libc::SYS_bpf, command as libc::c_int, &raw mut *attribute, size_of::<A>()) };
        if result >= 0 {
            return Ok(result as i32);
        }
        let error = io::Error::last_os_error();
        // EAGAIN: the verifier was interrupted by a signal; nothing has happened. A test run has sent part of
        // its frames.
        let is_to_repeat = matches!(error.raw_os_error(), Some(libc::EINTR | libc::EAGAIN)) && command != BpfCommand::ProgTestRun;
        if !is_to_repeat {
            return Err(error);
        }
    }
}

fn call_for_fd<A: Attribute>(command: BpfCommand, attribute: &mut A) -> io::Result<OwnedFd> {
    let descriptor = call(command, attribute)?;
    // JUSTIFICATION: a descriptor comes out of a raw system call as a number.
    // SAFETY: the command succeeded, so the kernel has just given us this descriptor; nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

fn address<T>(slice: &[T]) -> u64 {
    if slice.is_empty() { 0 } else { slice.as_ptr() as u64 }
}

fn address_mut<T>(slice: &mut [T]) -> u64 {
    if slice.is_empty() { 0 } else { slice.as_mut_ptr() as u64 }
}

fn length<T>(slice: &[T]) -> u32 {
    u32::try_from(size_of_val(slice)).unwrap_or(u32::MAX)
}

/// A name as the kernel takes it: 15 bytes of letters, digits, `_` and `.`, then zeroes; others become `_`.
fn object_name(name: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().take(15).zip(name.bytes()) {
        *to = if from.is_ascii_alphanumeric() || from == b'.' { from } else { b'_' };
    }
    bytes
}

#[repr(C)]
#[derive(Default)]
struct MapCreate {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    map_flags: u32,
    inner_map_fd: u32,
    numa_node: u32,
    map_name: [u8; 16],
}

// SAFETY: no addresses.
unsafe impl Attribute for MapCreate {}

pub(super) fn map_create(kind: u32, key_size: u32, value_size: u32, entries: u32, name: &str) -> io::Result<OwnedFd> {
    let mut attribute = MapCreate {
        map_type: kind,
        key_size,
        value_size,
        max_entries: entries,
        map_name: object_name(name),
        ..MapCreate::default()
    };
    call_for_fd(BpfCommand::MapCreate, &mut attribute)
}

#[repr(C)]
struct MapElement {
    map_fd: u32,
    unused: u32,
    key: u64,
    value: u64,
    flags: u64,
}

// SAFETY: `key` and `value` are filled by `map_lookup`, `map_update` and `map_delete`, whose caller `Map`
// checks that both slices are as long as the map's keys and values (per-CPU: times CPUs).
unsafe impl Attribute for MapElement {}

/// The slices must have the lengths of the map's key and value.
pub(super) fn map_lookup(map: BorrowedFd<'_>, key: &[u8], value: &mut [u8]) -> io::Result<()> {
    let mut attribute =
        MapElement { map_fd: map.as_raw_fd() as u32, unused: 0, key: address(key), value: address_mut(value), flags: 0 };
    call(BpfCommand::MapLookup, &mut attribute).map(drop)
}

/// The slices must have the lengths of the map's key and value.
pub(super) fn map_update(map: BorrowedFd<'_>, key: &[u8], value: &[u8]) -> io::Result<()> {
    let mut attribute =
        MapElement { map_fd: map.as_raw_fd() as u32, unused: 0, key: address(key), value: address(value), flags: 0 };
    call(BpfCommand::MapUpdate, &mut attribute).map(drop)
}

/// The slice must have the length of the map's key.
pub(super) fn map_delete(map: BorrowedFd<'_>, key: &[u8]) -> io::Result<()> {
    let mut attribute = MapElement { map_fd: map.as_raw_fd() as u32, unused: 0, key: address(key), value: 0, flags: 0 };
    call(BpfCommand::MapDelete, &mut attribute).map(drop)
}

const PROG_TYPE_XDP: u32 = 6;
/// `enum bpf_attach_type`: of programs and links.
const ATTACH_XDP: u32 = 37;

#[repr(C)]
#[derive(Default)]
struct ProgLoad {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
    prog_ifindex: u32,
    expected_attach_type: u32,
}

// SAFETY: `prog_load` borrows instructions and log for the call; the license is a constant that ends with a
// zero.
unsafe impl Attribute for ProgLoad {}

/// How to load a program.
pub(super) struct ProgLoadIn<'a> {
    pub(super) name: &'a str,
    pub(super) flags: u32,
    /// The interface it is for; 0 for all.
    pub(super) ifindex: u32,
}

/// Loads an XDP program; the verifier writes its reasons into `log` (none wanted: an empty slice).
pub(super) fn prog_load_xdp(instructions: &[u64], load: &ProgLoadIn<'_>, log: &mut [u8]) -> io::Result<OwnedFd> {
    const LICENSE: &[u8] = b"Dual MIT/GPL\0";
    let mut attribute = ProgLoad {
        prog_type: PROG_TYPE_XDP,
        insn_cnt: u32::try_from(instructions.len()).unwrap_or(u32::MAX),
        insns: address(instructions),
        license: address(LICENSE),
        log_level: u32::from(!log.is_empty()),
        log_size: length(log),
        log_buf: address_mut(log),
        prog_flags: load.flags,
        prog_name: object_name(load.name),
        prog_ifindex: load.ifindex,
        expected_attach_type: ATTACH_XDP,
        ..ProgLoad::default()
    };
    call_for_fd(BpfCommand::ProgLoad, &mut attribute)
}

#[repr(C)]
#[derive(Default)]
struct TestRunAttributes {
    prog_fd: u32,
    retval: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    ctx_size_in: u32,
    ctx_size_out: u32,
    ctx_in: u64,
    ctx_out: u64,
    flags: u32,
    cpu: u32,
    batch_size: u32,
    unused: u32,
}

// SAFETY: `test_run` fills all four addresses and lengths from slices it borrows.
unsafe impl Attribute for TestRunAttributes {}

/// What a test run is given.
pub(super) struct TestRunIn<'a> {
    pub(super) data: &'a [u8],
    pub(super) context: &'a [u8],
    pub(super) data_out: &'a mut [u8],
    pub(super) context_out: &'a mut [u8],
    pub(super) repeat: u32,
    pub(super) flags: u32,
    pub(super) batch_size: u32,
}

/// What it gives back.
pub(super) struct TestRunOut {
    pub(super) verdict: u32,
    pub(super) data_len: u32,
    pub(super) duration_ns: u32,
}

/// Runs a program on frames of ours.
pub(super) fn test_run(program: BorrowedFd<'_>, run: TestRunIn<'_>) -> io::Result<TestRunOut> {
    let mut attribute = TestRunAttributes {
        prog_fd: program.as_raw_fd() as u32,
        data_size_in: length(run.data),
        data_size_out: length(run.data_out),
        data_in: address(run.data),
        data_out: address_mut(run.data_out),
        repeat: run.repeat,
        ctx_size_in: length(run.context),
        ctx_size_out: length(run.context_out),
        ctx_in: address(run.context),
        ctx_out: address_mut(run.context_out),
        flags: run.flags,
        batch_size: run.batch_size,
        ..TestRunAttributes::default()
    };
    call(BpfCommand::ProgTestRun, &mut attribute)?;
    Ok(TestRunOut { verdict: attribute.retval, data_len: attribute.data_size_out, duration_ns: attribute.duration })
}

#[repr(C)]
#[derive(Default)]
struct ObjectId {
    id: u32,
    next_id: u32,
    open_flags: u32,
}

// SAFETY: no addresses.
unsafe impl Attribute for ObjectId {}

pub(super) fn prog_by_id(id: u32) -> io::Result<OwnedFd> {
    call_for_fd(BpfCommand::ProgGetFdById, &mut ObjectId { id, ..ObjectId::default() })
}

pub(super) fn link_by_id(id: u32) -> io::Result<OwnedFd> {
    call_for_fd(BpfCommand::LinkGetFdById, &mut ObjectId { id, ..ObjectId::default() })
}

/// The id of the first link behind `id`; `None` behind the last.
pub(super) fn link_id_after(id: u32) -> io::Result<Option<u32>> {
    let mut attribute = ObjectId { id, ..ObjectId::default() };
    match call(BpfCommand::LinkGetNextId, &mut attribute) {
        Ok(_) => Ok(Some(attribute.next_id)),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

#[repr(C)]
struct ObjectInfo {
    bpf_fd: u32,
    info_len: u32,
    info: u64,
}

// SAFETY: `object_info` fills address and length from one slice it borrows.
unsafe impl Attribute for ObjectInfo {}

/// `struct bpf_prog_info` or `struct bpf_link_info`, as far as it fits. The buffer must be zero: it is also
/// an input.
pub(super) fn object_info(object: BorrowedFd<'_>, info: &mut [u64]) -> io::Result<()> {
    let mut attribute = ObjectInfo { bpf_fd: object.as_raw_fd() as u32, info_len: length(info), info: address_mut(info) };
    call(BpfCommand::ObjGetInfoByFd, &mut attribute).map(drop)
}

#[repr(C)]
struct LinkCreate {
    prog_fd: u32,
    target_ifindex: u32,
    attach_type: u32,
    flags: u32,
}

// SAFETY: no addresses.
unsafe impl Attribute for LinkCreate {}

pub(super) fn link_create_xdp(program: BorrowedFd<'_>, ifindex: u32, flags: u32) -> io::Result<OwnedFd> {
    let mut attribute =
        LinkCreate { prog_fd: program.as_raw_fd() as u32, target_ifindex: ifindex, attach_type: ATTACH_XDP, flags };
    call_for_fd(BpfCommand::LinkCreate, &mut attribute)
}

#[repr(C)]
struct LinkUpdate {
    link_fd: u32,
    new_prog_fd: u32,
    flags: u32,
    old_prog_fd: u32,
}

// SAFETY: no addresses.
unsafe impl Attribute for LinkUpdate {}

pub(super) fn link_update(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let mut attribute =
        LinkUpdate { link_fd: link.as_raw_fd() as u32, new_prog_fd: program.as_raw_fd() as u32, flags: 0, old_prog_fd: 0 };
    call(BpfCommand::LinkUpdate, &mut attribute).map(drop)
}

#[repr(C)]
struct LinkDetach {
    link_fd: u32,
}

// SAFETY: no addresses.
unsafe impl Attribute for LinkDetach {}

pub(super) fn link_detach(link: BorrowedFd<'_>) -> io::Result<()> {
    call(BpfCommand::LinkDetach, &mut LinkDetach { link_fd: link.as_raw_fd() as u32 }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_have_the_layout_of_the_kernel() {
        assert_eq!(size_of::<MapCreate>(), 44);
        assert_eq!(size_of::<MapElement>(), 32);
        assert_eq!(std::mem::offset_of!(ProgLoad, log_buf), 32);
        assert_eq!(std::mem::offset_of!(ProgLoad, prog_name), 48);
        assert_eq!(std::mem::offset_of!(ProgLoad, prog_ifindex), 64);
        assert_eq!(size_of::<ProgLoad>(), 72);
        assert_eq!(std::mem::offset_of!(TestRunAttributes, ctx_in), 48);
        assert_eq!(size_of::<TestRunAttributes>(), 80);
        assert_eq!(size_of::<ObjectInfo>(), 16);
    }

    #[test]
    fn names_are_cut_and_cleaned() {
        assert_eq!(&object_name("a-b.c"), b"a_b.c\0\0\0\0\0\0\0\0\0\0\0");
        assert_eq!(object_name("0123456789abcdefgh")[15], 0);
    }
}
