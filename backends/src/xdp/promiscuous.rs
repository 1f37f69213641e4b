//! A packet socket beside the capture: it asks what the interface is and is called, and keeps it promiscuous.
//!
//! Owns one socket that receives nothing. Knows no packet. Its one invariant: the membership ends with the
//! socket, hence with the process, however it ends.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// linux/if_packet.h
const PACKET_ADD_MEMBERSHIP: libc::c_int = 1;
const PACKET_MR_PROMISC: u16 = 1;

/// `struct packet_mreq` of linux/if_packet.h.
#[repr(C)]
struct Membership {
    ifindex: libc::c_int,
    kind: u16,
    address_len: u16,
    address: [u8; 8],
}

/// A question without content.
fn empty() -> libc::ifreq {
    // JUSTIFICATION: `struct ifreq` is C's, with a union; zero is its neutral value.
    // SAFETY: integers, characters and unions of them: all zero is valid.
    unsafe { std::mem::zeroed() }
}

/// The socket.
#[derive(Debug)]
pub(crate) struct Beside(OwnedFd);

impl Beside {
    /// A packet socket for protocol 0: no packet is given to it.
    pub(crate) fn new() -> io::Result<Self> {
        // JUSTIFICATION: the standard library makes no packet sockets.
        // SAFETY: no pointer is passed; the result is checked.
        let descriptor = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // JUSTIFICATION: a number from the C library becomes an owner.
        // SAFETY: the descriptor was just made and nobody else has it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(descriptor) }))
    }

    /// Makes the interface promiscuous as long as the socket lives.
    pub(crate) fn enter(&self, ifindex: u32) -> io::Result<()> {
        let ifindex = libc::c_int::try_from(ifindex).map_err(|_| io::Error::from_raw_os_error(libc::ENODEV))?;
        let membership = Membership { ifindex, kind: PACKET_MR_PROMISC, address_len: 0, address: [0; 8] };
        let (value, len) = ((&raw const membership).cast(), size_of::<Membership>() as libc::socklen_t);
        // JUSTIFICATION: a membership is asked for by setsockopt(2) alone.
        // SAFETY: `value` points to a live struct of `len` bytes, laid out as the kernel reads it.
        let result = unsafe { libc::setsockopt(self.0.as_raw_fd(), libc::SOL_PACKET, PACKET_ADD_MEMBERSHIP, value, len) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// What the interface of this number is called now, in the namespace of the socket; `None` when there is
    /// none.
    pub(crate) fn name_of(&self, ifindex: u32) -> Option<String> {
        let mut request = empty();
        request.ifr_ifru.ifru_ifindex = libc::c_int::try_from(ifindex).ok()?;
        // JUSTIFICATION: the name of a number is asked for by ioctl(2), of this socket's namespace.
        // SAFETY: `request` is live, and the kernel writes no more than the struct.
        let result = unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SIOCGIFNAME, &raw mut request) };
        let name = request.ifr_name.map(|character| character as u8);
        let name = CStr::from_bytes_until_nul(&name).ok().filter(|_| result == 0)?;
        Some(name.to_string_lossy().into_owned())
    }

    /// The kind of link (`ARPHRD_*`).
    pub(crate) fn hardware_type(&self, interface: &str) -> io::Result<u16> {
        let mut request = empty();
        if interface.len() >= request.ifr_name.len() {
            return Err(io::Error::from_raw_os_error(libc::ENODEV));
        }
        for (to, from) in request.ifr_name.iter_mut().zip(interface.bytes()) {
            *to = from as libc::c_char;
        }
        // JUSTIFICATION: the kind of link is asked for by ioctl(2).
        // SAFETY: `request` is live, its name ends with a zero (checked above), and the kernel writes no more
        // than the struct.
        let result = unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SIOCGIFHWADDR, &raw mut request) };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        // JUSTIFICATION: the answer lies in a union of C.
        // SAFETY: after SIOCGIFHWADDR the address is the member in use; any bits are a valid one.
        let address = unsafe { request.ifr_ifru.ifru_hwaddr };
        Ok(address.sa_family)
    }
}
