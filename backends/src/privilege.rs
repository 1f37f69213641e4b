//! Going on as somebody else: a process that was started as root keeps what it has opened and gives up nearly
//! all rights.
//!
//! Owns the order of the steps. Knows no interface. Invariant: either the process is that user with just the
//! capabilities named, or there is an error and it must end.
//!
//! The calls follow capabilities(7), "Effect of user ID changes on capabilities". Rights belong to threads,
//! so this is done while there is only one.

use std::ffi::{CStr, CString};
use std::fmt;
use std::io;
use std::ptr;

/// A right that is kept (linux/capability.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Capability {
    /// Attach programs, set hash keys.
    NetAdmin = 12,
    /// Open packet sockets.
    NetRaw = 13,
    /// Lock memory beyond the limit.
    IpcLock = 14,
    /// Load programs that read packets by pointers.
    Perfmon = 38,
    /// Load programs.
    Bpf = 39,
}

impl Capability {
    const fn bit(self) -> u64 {
        1 << self as u8
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NetAdmin => "CAP_NET_ADMIN",
            Self::NetRaw => "CAP_NET_RAW",
            Self::IpcLock => "CAP_IPC_LOCK",
            Self::Perfmon => "CAP_PERFMON",
            Self::Bpf => "CAP_BPF",
        })
    }
}

/// Why the process did not become another user.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegeError {
    /// Only root can.
    #[error("--user {user} (run.user) takes root to start with: start it as root, or leave it out")]
    NotRoot {
        /// Who was asked for.
        user: String,
    },
    /// No such name.
    #[error("--user {user} (run.user): there is no such user")]
    Unknown {
        /// Who was asked for.
        user: String,
    },
    /// That user keeps every right.
    #[error("--user {user} (run.user): that is root, who would give nothing up: name another user, or leave it out")]
    Root {
        /// Who was asked for.
        user: String,
    },
    /// A bug of ours: the other threads would keep their rights.
    #[error("--user {user}: {threads} threads are running already; please report this")]
    Threads {
        /// Who was asked for.
        user: String,
        /// How many.
        threads: usize,
    },
    /// The kernel refused a step.
    #[error("--user {user} (run.user): cannot {step}")]
    Refused {
        /// Who was asked for.
        user: String,
        /// What was tried.
        step: &'static str,
        /// Why not.
        source: io::Error,
    },
}

/// Becomes `user` with that user's groups, keeping `kept` and no other right, also not by running another
/// program. Those of `kept` that this process does not have (in a container, or because the kernel does not
/// know them yet) are returned.
///
/// # Errors
/// Any of [`PrivilegeError`]; the process may then have given up part of its rights already.
pub fn become_user(user: &str, kept: &[Capability]) -> Result<Vec<Capability>, PrivilegeError> {
    let refused = |step| move |source| PrivilegeError::Refused { user: user.to_owned(), step, source };
    // JUSTIFICATION: the standard library does not tell the user's number.
    // SAFETY: geteuid(2) takes nothing and cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        return Err(PrivilegeError::NotRoot { user: user.to_owned() });
    }
    let threads = std::fs::read_dir("/proc/self/task").map_err(refused("count threads"))?.count();
    if threads != 1 {
        return Err(PrivilegeError::Threads { user: user.to_owned(), threads });
    }
    let unknown = || PrivilegeError::Unknown { user: user.to_owned() };
    let name = CString::new(user).map_err(|_| unknown())?;
    let (uid, gid) = lookup(&name).map_err(refused("look the user up"))?.ok_or_else(unknown)?;
    if uid == 0 {
        return Err(PrivilegeError::Root { user: user.to_owned() });
    }
    // What is not there cannot be kept, and asking for it would fail when the way back is closed.
    let permitted = permitted().map_err(refused("read the rights there are"))?;
    let (kept, missing): (Vec<_>, Vec<_>) = kept.iter().partition(|capability| permitted & capability.bit() != 0);
    // Else the change of user below takes all capabilities away.
    prctl(libc::PR_SET_KEEPCAPS, 1).map_err(refused("keep capabilities"))?;
    // JUSTIFICATION: the standard library cannot set groups.
    // SAFETY: `name` is a live string that ends in 0; initgroups(3) only reads it.
    done(unsafe { libc::initgroups(name.as_ptr(), gid) }).map_err(refused("take that user's groups"))?;
    // JUSTIFICATION: the standard library cannot change the group of this process.
    // SAFETY: setresgid(2) takes three numbers and touches no memory of ours.
    done(unsafe { libc::setresgid(gid, gid, gid) }).map_err(refused("take that user's group"))?;
    // JUSTIFICATION: the standard library cannot change the user of this process.
    // SAFETY: setresuid(2) takes three numbers and touches no memory of ours.
    done(unsafe { libc::setresuid(uid, uid, uid) }).map_err(refused("become that user"))?;
    set_capabilities(&kept).map_err(refused("keep the rights that are needed"))?;
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1).map_err(refused("forbid new rights"))?;
    Ok(missing)
}

/// Number and group of a user.
fn lookup(name: &CStr) -> io::Result<Option<(libc::uid_t, libc::gid_t)>> {
    let mut memory = vec![0; 16 * 1024];
    // JUSTIFICATION: the standard library knows no users.
    // SAFETY: `passwd` has only numbers and pointers, for which 0 is a value.
    let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
    let mut found: *mut libc::passwd = ptr::null_mut();
    // JUSTIFICATION: as above.
    // SAFETY: all pointers are to live memory of ours for as long as the call runs, and the length is that of
    // `memory`.
    let error = unsafe { libc::getpwnam_r(name.as_ptr(), &raw mut entry, memory.as_mut_ptr(), memory.len(), &raw mut found) };
    match error {
        _ if !found.is_null() => Ok(Some((entry.pw_uid, entry.pw_gid))),
        // getpwnam(3) lists what else says that there is none.
        0 | libc::ENOENT | libc::ESRCH | libc::EBADF | libc::EPERM => Ok(None),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// `_LINUX_CAPABILITY_VERSION_3` of linux/capability.h: 64 rights in two words each.
const VERSION: u32 = 0x2008_0522;

#[repr(C)]
struct CapabilityHeader {
    version: u32,
    /// 0: the calling thread.
    pid: libc::c_int,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapabilityWord {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// The words that stand for these rights, and for no other.
fn words(kept: &[Capability]) -> [CapabilityWord; 2] {
    let mask = kept.iter().fold(0, |mask, capability| mask | capability.bit());
    [mask as u32, (mask >> 32) as u32].map(|half| CapabilityWord { effective: half, permitted: half, inheritable: 0 })
}

/// The rights that this process has or could take, as bits.
fn permitted() -> io::Result<u64> {
    let (mut header, mut words) = (CapabilityHeader { version: VERSION, pid: 0 }, [CapabilityWord::default(); 2]);
    // JUSTIFICATION: no safe crate in use, nor libc, has a wrapper.
    // SAFETY: capget(2) reads a header and writes, in this version, two words, both live and laid out as
    // linux/capability.h has them; it may write to the header, which is ours alone.
    let result = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, words.as_mut_ptr()) };
    if result == 0 {
        let [low, high] = words.map(|word| u64::from(word.permitted));
        Ok(high << 32 | low)
    } else {
        Err(io::Error::last_os_error())
    }
}

fn set_capabilities(kept: &[Capability]) -> io::Result<()> {
    let (mut header, words) = (CapabilityHeader { version: VERSION, pid: 0 }, words(kept));
    // JUSTIFICATION: no safe crate in use, nor libc, has a wrapper.
    // SAFETY: capset(2) reads a header and, in this version, two words, both live and laid out as
    // linux/capability.h has them; it may write to the header, which is ours alone.
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw mut header, words.as_ptr()) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn prctl(option: libc::c_int, value: libc::c_ulong) -> io::Result<()> {
    const NONE: libc::c_ulong = 0;
    // JUSTIFICATION: the standard library has no prctl(2).
    // SAFETY: the two options used here take numbers only.
    done(unsafe { libc::prctl(option, value, NONE, NONE, NONE) })
}

fn done(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_bits() {
        let [low, high] = words(&[Capability::NetRaw, Capability::Bpf]);
        assert_eq!((low.effective, low.permitted, low.inheritable), (1 << 13, 1 << 13, 0));
        assert_eq!((high.effective, high.permitted, high.inheritable), (1 << 7, 1 << 7, 0));
    }

    #[test]
    fn the_rights_there_are_are_those_of_procfs() {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("CapPrm:")).unwrap();
        assert_eq!(permitted().unwrap(), u64::from_str_radix(line.trim(), 16).unwrap());
    }

    #[test]
    fn users_are_found_by_name() {
        assert_eq!(lookup(c"root").unwrap(), Some((0, 0)));
        assert_eq!(lookup(c"nobody-of-this-name").unwrap(), None);
    }

    #[test]
    fn nothing_happens_beside_other_threads() {
        // This test runs in a thread beside the main one.
        match become_user("root", &[]).unwrap_err() {
            PrivilegeError::Threads { threads, .. } => assert!(threads > 1),
            PrivilegeError::NotRoot { .. } => {}
            other => panic!("{other}"),
        }
    }
}
