//! What this machine offers to capture with: the version of libpcap, the kernel, and whether it has packet and XDP sockets.
//!
//! Owns the questions. Leaves nothing open. Its one invariant: what a missing right hides is said to be hidden, not missing.

use std::ffi::{CStr, c_char};

unsafe extern "C" {
    /// pcap_lib_version(3PCAP).
    fn pcap_lib_version() -> *const c_char;
}

/// What libpcap says of itself.
pub fn libpcap_version() -> String {
    // JUSTIFICATION: the pcap crate has no safe function for it. SAFETY: it takes nothing and returns a string that libpcap never frees.
    let text = unsafe { pcap_lib_version() };
    // JUSTIFICATION: a C string has no other reader. SAFETY: libpcap returns a terminated string of static lifetime, never null.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// The kernel's name and release.
pub fn kernel() -> Option<String> {
    let name = nix::sys::utsname::uname().ok()?;
    Some(format!("{} {}", name.sysname().to_string_lossy(), name.release().to_string_lossy()))
}

/// Each backend and whether this machine can have it.
#[cfg(target_os = "linux")]
pub fn backends() -> Vec<(&'static str, &'static str)> {
    use libc::{AF_PACKET, AF_XDP, SOCK_RAW};
    use nix::errno::Errno;
    use std::os::fd::{FromRawFd, OwnedFd};

    let state = |family| {
        // JUSTIFICATION: nix has no AF_XDP. SAFETY: it takes numbers alone.
        let made = unsafe { libc::socket(family, SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        if made >= 0 {
            // JUSTIFICATION: it has to be closed. SAFETY: the kernel just gave it to us, and nobody else has its number.
            drop(unsafe { OwnedFd::from_raw_fd(made) });
            return "can be used";
        }
        match Errno::last() {
            Errno::EPERM | Errno::EACCES => "is in the kernel, and takes rights that this process does not have",
            _ => "is not in this kernel",
        }
    };
    vec![("libpcap", "can be used"), ("tpacket", state(AF_PACKET)), ("xdp", state(AF_XDP))]
}

/// Each backend and whether this machine can have it.
#[cfg(not(target_os = "linux"))]
pub fn backends() -> Vec<(&'static str, &'static str)> {
    vec![("libpcap", "can be used"), ("tpacket", "is a part of Linux"), ("xdp", "is a part of Linux")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libpcap_names_itself() {
        assert!(libpcap_version().starts_with("libpcap version "), "{}", libpcap_version());
    }

    #[test]
    fn every_backend_has_a_word() {
        assert_eq!(backends().iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["libpcap", "tpacket", "xdp"]);
        assert!(kernel().is_some());
    }
}
