//! What the tests send, and how they read.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use netscope_backends::Backend;
use netscope_backends::tpacket::{TpacketBackend, TpacketOptions, open};

pub use crate::seen::{Seen, poll_once};

use crate::netns::{NetNs, RECEIVER, SENDER};
use crate::skip;

/// A run that takes longer hangs.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Small rings on the receiving end.
pub fn options() -> TpacketOptions {
    TpacketOptions { interface: Some(RECEIVER.to_owned()), block_count: Some(8), ..TpacketOptions::default() }
}

/// Opens inside the namespace; the sockets stay there.
#[track_caller]
pub fn open_in(namespace: &NetNs, options: TpacketOptions) -> Vec<TpacketBackend> {
    namespace.inside(|| open(options)).unwrap_or_else(|error| panic!("{error}"))
}

#[track_caller]
pub fn open_one(namespace: &NetNs, options: TpacketOptions) -> TpacketBackend {
    open_in(namespace, options).remove(0)
}

/// Sends frames as they are.
pub fn send(namespace: &NetNs, frames: &[Vec<u8>]) {
    namespace.inside(|| {
        let inactive = pcap::Capture::from_device(SENDER).expect("the device is there");
        let mut out = inactive.open().expect("root may open it");
        for frame in frames {
            out.sendpacket(frame.as_slice()).expect("the frame fits the link");
        }
    });
}

/// Reads until `count` packets have come, and a while longer for more that should not.
#[track_caller]
pub fn read(backend: &mut TpacketBackend, count: usize) -> Vec<Seen> {
    let begun = Instant::now();
    let mut seen = Vec::new();
    while seen.len() < count {
        assert!(begun.elapsed() < LIMIT, "{} of {count} packets came", seen.len());
        seen.extend(poll_once(backend, Duration::from_millis(100)));
    }
    seen.extend(poll_once(backend, Duration::from_millis(50)));
    assert_eq!(seen.len(), count);
    seen
}

/// Polls until this is said.
#[track_caller]
pub fn wait_for_notice(backend: &mut TpacketBackend, part: &str) -> String {
    let begun = Instant::now();
    loop {
        poll_once(backend, Duration::from_millis(20));
        if let Some(notice) = backend.notice().filter(|notice| notice.contains(part)) {
            return notice;
        }
        assert!(begun.elapsed() < LIMIT, "\"{part}\" was not said");
    }
}

/// An Ethernet frame of IPv4 and UDP, `payload` bytes long behind the headers; `tag` is put behind the
/// addresses.
pub fn udp(from: [u8; 4], to: [u8; 4], ports: [u16; 2], payload: usize, tag: &[u8]) -> Vec<u8> {
    let len = (8 + payload) as u16;
    let datagram =
        [&ports[0].to_be_bytes()[..], &ports[1].to_be_bytes(), &len.to_be_bytes(), &[0, 0], &vec![0x5a; payload]].concat();
    ipv4(from, to, 17, 0, &datagram, tag)
}

/// An Ethernet frame of IPv4. `fragment` is the field of flags and offset.
pub fn ipv4(from: [u8; 4], to: [u8; 4], protocol: u8, fragment: u16, payload: &[u8], tag: &[u8]) -> Vec<u8> {
    let mut frame = [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2][..], tag, &[8, 0]].concat();
    let len = (20 + payload.len()) as u16;
    let mut header = [&[0x45, 0][..], &len.to_be_bytes(), &[0x12, 0x34], &fragment.to_be_bytes(), &[64, protocol, 0, 0]].concat();
    header.extend(from);
    header.extend(to);
    let sum: u32 = header.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    let checksum = !((sum & 0xffff) + (sum >> 16)) as u16;
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
    frame.extend(header);
    frame.extend(payload);
    frame
}

/// A tun or tap device (a queue of it) and the descriptor by which a program is behind it: what is written is
/// what the device receives. It is gone when the last descriptor is. `None` (told) where there are none.
#[track_caller]
pub fn tun(namespace: &NetNs, name: &str, kind: libc::c_int) -> Option<File> {
    if !std::path::Path::new("/dev/net/tun").exists() {
        skip("no tun devices");
        return None;
    }
    namespace.inside(|| {
        let file = File::options().read(true).write(true).open("/dev/net/tun").expect("root may");
        // SAFETY: integers, arrays and pointers that nobody follows: zero is a value of each.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
            *to = from as libc::c_char;
        }
        request.ifr_ifru.ifru_flags = (kind | libc::IFF_NO_PI) as libc::c_short;
        // SAFETY: the kernel reads and writes one live `ifreq`.
        let done = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF as _, &raw mut request) };
        assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
        Some(file)
    })
}

/// Datagrams between two hosts.
pub fn datagrams(count: usize, payload: usize) -> Vec<Vec<u8>> {
    (0..count).map(|number| udp([10, 0, 0, 1], [10, 0, 0, 2], [1000 + (number % 60_000) as u16, 53], payload, &[])).collect()
}

/// Where the captures of the corpus are.
pub fn corpus() -> Option<PathBuf> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus");
    let path = std::env::var_os("NETSCOPE_CORPUS").map_or_else(beside, PathBuf::from).join("captures");
    if !path.is_dir() {
        skip(&format!("no corpus at {} (NETSCOPE_CORPUS)", path.display()));
        return None;
    }
    Some(path)
}
