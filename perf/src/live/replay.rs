//! The frames of a capture on a wire, at a given rate: sendmmsg(2) on an AF_PACKET socket.
//!
//! Owns the socket and the list of frames. Knows nothing of what is in them. Its one invariant: frames leave
//! in the order of the capture, and what is counted as sent was taken by the kernel.

use super::pace::{Pace, Paced};
use netscope_backends::{LinkType, memory};
use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{
    AddressFamily, ControlMessage, LinkAddr, MsgFlags, MultiHeaders, SockFlag, SockType, bind, sendmmsg, socket,
};
use std::io::IoSlice;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

/// Frames per system call.
const BURST: usize = 64;
/// How long to wait when the queue of the interface is full.
const FULL_WAIT: Duration = Duration::from_micros(100);

/// A capture ready to be sent.
pub struct Replay {
    frames: Vec<Vec<u8>>,
}

/// What was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Frames that the kernel took.
    pub sent: u64,
    /// Times that the kernel had no room, and we waited.
    pub waits: u64,
    /// True where the rate was not kept.
    pub is_late: bool,
}

impl Replay {
    /// Reads all frames of a capture into memory.
    ///
    /// # Errors
    /// When it cannot be read, is not Ethernet throughout, or has packets that were cut.
    pub fn read(path: &Path) -> Result<Self, String> {
        let fail = |reason: &str| format!("{}: {reason}", path.display());
        let packets = memory::read_all(path).map_err(|error| fail(&error.to_string()))?;
        if packets.iter().any(|packet| packet.link_type != LinkType::ETHERNET) {
            return Err(fail("only Ethernet can be sent on this wire"));
        }
        if packets.iter().any(|packet| packet.data.len() < packet.wire_len as usize) {
            return Err(fail("packets are cut by the snap length; they cannot be sent"));
        }
        Ok(Self::new(packets.into_iter().map(|packet| packet.data).collect()))
    }

    /// Frames from memory, Ethernet header first, without the frame check sequence.
    pub const fn new(frames: Vec<Vec<u8>>) -> Self {
        Self { frames }
    }

    /// Number of frames.
    pub const fn len(&self) -> usize {
        self.frames.len()
    }

    /// True without a frame.
    pub const fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Sends all frames `rounds` times into `interface` of the calling thread's namespace. Blocks; needs
    /// CAP_NET_RAW.
    ///
    /// # Errors
    /// When the interface is not there or not up, or a frame does not fit it.
    pub fn send(&self, interface: &str, rounds: u64, pace: &Pace) -> Result<Replayed, String> {
        let socket = open(interface)?;
        let mut replayed = Replayed::default();
        let mut paced = pace.start();
        for _ in 0..rounds {
            let mut left = self.frames.as_slice();
            while !left.is_empty() {
                let Some(allowed) = paced.wait() else { return Ok(ended(replayed, &paced)) };
                let count = left.len().min(usize::try_from(allowed).unwrap_or(usize::MAX));
                let (now, later) = left.split_at(count);
                for burst in now.chunks(BURST) {
                    send_burst(&socket, burst, &mut replayed).map_err(|error| format!("sending on {interface}: {error}"))?;
                }
                paced.sent(count as u64);
                left = later;
            }
        }
        Ok(ended(replayed, &paced))
    }
}

const fn ended(replayed: Replayed, paced: &Paced) -> Replayed {
    Replayed { is_late: paced.is_late(), ..replayed }
}

/// A socket that is bound to `interface` and receives nothing (protocol 0).
fn open(interface: &str) -> Result<OwnedFd, String> {
    let fail = |error: Errno| format!("a packet socket on {interface}: {error}");
    let address = link_address(interface)?;
    let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None).map_err(fail)?;
    bind(socket.as_raw_fd(), &address).map_err(fail)?;
    Ok(socket)
}

/// The kernel's own address of the interface, its index included: taken from there, because no safe function
/// makes one.
fn link_address(interface: &str) -> Result<LinkAddr, String> {
    let all = getifaddrs().map_err(|error| format!("the list of interfaces: {error}"))?;
    let mut own = all.filter(|entry| entry.interface_name == interface).filter_map(|entry| entry.address);
    own.find_map(|address| address.as_link_addr().copied()).ok_or_else(|| format!("there is no interface {interface}"))
}

fn send_burst(socket: &OwnedFd, burst: &[Vec<u8>], replayed: &mut Replayed) -> Result<(), Errno> {
    let mut slices: Vec<[IoSlice<'_>; 1]> = burst.iter().map(|frame| [IoSlice::new(frame)]).collect();
    let addresses: Vec<Option<LinkAddr>> = vec![None; slices.len()];
    let mut left = slices.as_mut_slice();
    while !left.is_empty() {
        let mut headers = MultiHeaders::preallocate(left.len(), None);
        let none: [ControlMessage<'_>; 0] = [];
        let outcome = sendmmsg(socket.as_raw_fd(), &mut headers, left.iter(), &addresses[..left.len()], none, MsgFlags::empty());
        match outcome.map(Iterator::count) {
            Ok(count) => {
                replayed.sent += count as u64;
                left = &mut left[count..];
            }
            Err(Errno::ENOBUFS | Errno::EAGAIN) => {
                replayed.waits += 1;
                std::thread::sleep(FULL_WAIT);
            }
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
