//! What the tests send, and how they read.

use std::time::{Duration, Instant};

use netscope_backends::xdp::{Opened, XdpBackend, XdpMode, XdpOptions, open};
use netscope_backends::{Backend, BackendError};

pub use crate::seen::{Seen, poll_once};

use crate::netns::{NetNs, RECEIVER, SENDER, Wire};

/// A run that takes longer hangs.
pub const LIMIT: Duration = Duration::from_secs(60);

/// The modes that can be shown without a card.
pub const MODES: [XdpMode; 2] = [XdpMode::Native, XdpMode::Generic];

/// A pair of links with as many queues, up.
pub fn namespace(queues: u32, mtu: u32) -> Option<NetNs> {
    NetNs::with_wire(&Wire { queues, mtu })
}

/// Small rings on the receiving end.
pub fn options(mode: XdpMode) -> XdpOptions {
    XdpOptions { interface: RECEIVER.to_owned(), mode, frame_count: 1024, ..XdpOptions::default() }
}

/// Opens inside the namespace; the sockets stay there.
pub fn try_open(namespace: &NetNs, options: XdpOptions) -> Result<Opened, BackendError> {
    namespace.inside(|| open(options))
}

#[track_caller]
pub fn open_in(namespace: &NetNs, options: XdpOptions) -> Opened {
    try_open(namespace, options).unwrap_or_else(|error| panic!("{error}"))
}

#[track_caller]
pub fn open_one(namespace: &NetNs, options: XdpOptions) -> XdpBackend {
    open_in(namespace, options).queues.remove(0)
}

/// Why it does not open.
#[track_caller]
pub fn refusal(namespace: &NetNs, options: XdpOptions) -> String {
    match try_open(namespace, options) {
        Ok(opened) => panic!("it opened: {:?}", opened.said),
        Err(error) => error.to_string(),
    }
}

/// Sends frames as they are.
pub fn send(namespace: &NetNs, frames: &[Vec<u8>]) {
    send_from(namespace, SENDER, frames);
}

/// The same from another interface.
pub fn send_from(namespace: &NetNs, interface: &str, frames: &[Vec<u8>]) {
    namespace.inside(|| {
        let inactive = pcap::Capture::from_device(interface).expect("the device is there");
        let mut out = inactive.open().expect("root may open it");
        for frame in frames {
            out.sendpacket(frame.as_slice()).expect("the frame fits the link");
        }
    });
}

/// Sends `count` numbered datagrams from each of `flows` ports by the host's own stack, which chooses the
/// queue by the flow.
pub fn send_flows(namespace: &NetNs, flows: u16, count: u32) {
    namespace.ip(&["address", "replace", "10.9.0.1/24", "dev", SENDER]);
    namespace.ip(&["neighbor", "replace", "10.9.0.2", "lladdr", "02:00:00:00:00:09", "dev", SENDER]);
    namespace.inside(|| {
        for port in 0..flows {
            let socket = std::net::UdpSocket::bind(("10.9.0.1", 20_000 + port)).expect("the port is free");
            for number in 0..count {
                socket.send_to(&number.to_be_bytes(), "10.9.0.2:9").expect("the link is up");
            }
        }
    });
}

/// Reads all queues until `count` packets have come, and a while longer for more that should not; by queue.
#[track_caller]
pub fn read_all(backends: &mut [XdpBackend], count: usize) -> Vec<Vec<Seen>> {
    let begun = Instant::now();
    let mut seen = vec![Vec::new(); backends.len()];
    let total = |seen: &[Vec<Seen>]| seen.iter().map(Vec::len).sum::<usize>();
    while total(&seen) < count {
        assert!(begun.elapsed() < LIMIT, "{} of {count} packets came", total(&seen));
        for (backend, seen) in backends.iter_mut().zip(&mut seen) {
            seen.extend(poll_once(backend, Duration::from_millis(5)));
        }
    }
    for (backend, seen) in backends.iter_mut().zip(&mut seen) {
        seen.extend(poll_once(backend, Duration::from_millis(30)));
    }
    assert_eq!(total(&seen), count);
    seen
}

/// The same for one queue.
#[track_caller]
pub fn read(backend: &mut XdpBackend, count: usize) -> Vec<Seen> {
    read_all(std::slice::from_mut(backend), count).remove(0)
}

/// Polls until this is said.
#[track_caller]
pub fn wait_for_notice(backend: &mut XdpBackend, part: &str) -> String {
    let begun = Instant::now();
    loop {
        poll_once(backend, Duration::from_millis(20));
        if let Some(notice) = backend.notice().filter(|notice| notice.contains(part)) {
            return notice;
        }
        assert!(begun.elapsed() < LIMIT, "\"{part}\" was not said");
    }
}

/// An Ethernet frame of IPv4 and UDP to `port`, `payload` bytes long behind the headers, numbered.
pub fn udp(number: u32, port: u16, payload: usize) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    let (len, udp_len) = ((28 + payload) as u16, (8 + payload) as u16);
    frame.extend([&[0x45, 0][..], &len.to_be_bytes(), &[0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]].concat());
    frame.extend(
        [&(1000 + (number % 50_000) as u16).to_be_bytes()[..], &port.to_be_bytes(), &udp_len.to_be_bytes(), &[0, 0]].concat(),
    );
    let body: Vec<u8> =
        number.to_be_bytes().into_iter().chain((0..payload).map(|at| (at * 31 + number as usize) as u8)).collect();
    frame.extend(&body[..payload]);
    frame
}

/// `count` datagrams of different lengths and ports.
pub fn datagrams(count: u32) -> Vec<Vec<u8>> {
    (0..count).map(|number| udp(number, 53, 18 + (number as usize * 37) % 1400)).collect()
}
