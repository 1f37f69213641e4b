//! Who else holds packet sockets and AF_XDP sockets, by sock_diag (`linux/packet_diag.h`,
//! `linux/xdp_diag.h`).
//!
//! Owns these two questions. Knows no process: a socket is told by its inode, which stands in `/proc/PID/fd`.
//! Its one invariant: a kernel without the diagnosis module is `None`, not an empty list.

use std::io;

use nix::sys::socket::SockProtocol;

use super::codec::{AttributeBytes, Attributes, DamagedMessage, u16_at, u32_at};
use super::netlink::{Netlink, offered};

/// `SOCK_DIAG_BY_FAMILY`.
const BY_FAMILY: u16 = 20;
const FAMILY_PACKET: u8 = libc::AF_PACKET as u8;
const FAMILY_XDP: u8 = libc::AF_XDP as u8;
/// `PACKET_SHOW_INFO | PACKET_SHOW_FANOUT`.
const SHOW_PACKET: u32 = 1 | 8;
const SHOW_XDP: u32 = 1;
/// Bytes of `packet_diag_msg` and `xdp_diag_msg`.
const HEADER: usize = 16;
const PACKET_INFO: u16 = 0;
const PACKET_FANOUT: u16 = 4;
const XDP_INFO: u16 = 1;

/// A group of packet sockets that share what arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fanout {
    /// Number of the group.
    pub id: u16,
    /// How packets are dealt out, `PACKET_FANOUT_*`, flags included.
    pub mode: u16,
}

impl Fanout {
    /// Name of the way packets are dealt out (packet(7)).
    pub const fn mode_name(&self) -> &'static str {
        match self.mode & 0xff {
            0 => "hash",
            1 => "lb",
            2 => "cpu",
            3 => "rollover",
            4 => "random",
            5 => "qm",
            6 => "cbpf",
            7 => "ebpf",
            _ => "unknown",
        }
    }
}

/// A packet socket that receives from an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketSocket {
    /// Its inode, as in `socket:[N]` under `/proc/PID/fd`.
    pub inode: u32,
    /// EtherType it receives, 3 for all; 0 receives nothing.
    pub protocol: u16,
    /// True when it receives from every interface.
    pub every_interface: bool,
    /// Its group.
    pub fanout: Option<Fanout>,
}

/// An AF_XDP socket bound to an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XdpSocket {
    /// Its inode.
    pub inode: u32,
    /// The queue it is bound to.
    pub queue: u32,
}

/// All sockets of a family; `None` where the kernel cannot list them.
fn sockets(family: u8, show: u32) -> io::Result<Option<Vec<Vec<u8>>>> {
    let mut netlink = Netlink::open(SockProtocol::NetlinkSockDiag)?;
    let mut request = vec![family, 0, 0, 0, 0, 0, 0, 0];
    request.extend_from_slice(&show.to_ne_bytes());
    request.extend_from_slice(&[0xff; 8]); // no cookie
    match offered(netlink.dump(BY_FAMILY, &AttributeBytes::new(&request)).map(Some)) {
        // xdp_diag says EINVAL where AF_XDP itself is not built.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(None),
        answer => answer,
    }
}

/// Packet sockets that receive from interface `index`.
pub fn packet_sockets(index: u32) -> io::Result<Option<Vec<PacketSocket>>> {
    let Some(answer) = sockets(FAMILY_PACKET, SHOW_PACKET)? else { return Ok(None) };
    let found = answer.iter().map(|payload| parse_packet(payload, index)).collect::<Result<Vec<_>, _>>();
    Ok(Some(found.map_err(io::Error::other)?.into_iter().flatten().collect()))
}

/// AF_XDP sockets at interface `index`.
pub fn xdp_sockets(index: u32) -> io::Result<Option<Vec<XdpSocket>>> {
    let Some(answer) = sockets(FAMILY_XDP, SHOW_XDP)? else { return Ok(None) };
    let found = answer.iter().map(|payload| parse_xdp(payload, index)).collect::<Result<Vec<_>, _>>();
    Ok(Some(found.map_err(io::Error::other)?.into_iter().flatten().collect()))
}

fn parse_packet(payload: &[u8], index: u32) -> Result<Option<PacketSocket>, DamagedMessage> {
    let protocol = u16_at(payload, 2)?;
    let inode = u32_at(payload, 4)?;
    let attributes = Attributes::parse(payload, HEADER)?;
    let Some(bound) = attributes.get(PACKET_INFO) else { return Ok(None) };
    let bound = u32_at(bound, 0)?;
    let fanout = attributes.u32(PACKET_FANOUT).map(|word| Fanout { id: word as u16, mode: (word >> 16) as u16 });
    let socket = PacketSocket { inode, protocol, every_interface: bound == 0, fanout };
    // A socket of protocol 0 only sends.
    Ok(Some(socket).filter(|_| protocol != 0 && (bound == 0 || bound == index)))
}

fn parse_xdp(payload: &[u8], index: u32) -> Result<Option<XdpSocket>, DamagedMessage> {
    let inode = u32_at(payload, 4)?;
    let Some(bound) = Attributes::parse(payload, HEADER)?.get(XDP_INFO) else { return Ok(None) };
    let socket = XdpSocket { inode, queue: u32_at(bound, 4)? };
    Ok(Some(socket).filter(|_| u32_at(bound, 0) == Ok(index)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn payload(header: &[u8], attributes: impl FnOnce(AttributeBytes) -> AttributeBytes) -> Vec<u8> {
        attributes(AttributeBytes::new(header)).message(0, 0, 0).split_off(16)
    }

    fn header(protocol: u16, inode: u32) -> Vec<u8> {
        [&[FAMILY_PACKET, 3][..], &protocol.to_ne_bytes(), &inode.to_ne_bytes(), &[0; 8]].concat()
    }

    #[test]
    fn reads_packet_sockets_and_their_groups() {
        let own = |index: u32, protocol| {
            let bytes = payload(&header(protocol, 77), |payload| {
                payload.bytes(PACKET_INFO, &[&index.to_ne_bytes()[..], &[0; 20]].concat()).u32(PACKET_FANOUT, 0x8002_1234)
            });
            parse_packet(&bytes, 5).unwrap()
        };
        let socket = own(5, 3).expect("bound to the interface");
        assert_eq!((socket.inode, socket.protocol, socket.every_interface), (77, 3, false));
        let fanout = socket.fanout.expect("in a group");
        assert_eq!((fanout.id, fanout.mode_name()), (0x1234, "cpu"));
        assert!(own(0, 3).is_some_and(|socket| socket.every_interface));
        assert_eq!((own(6, 3), own(5, 0)), (None, None), "another interface; receives nothing");
    }

    #[test]
    fn reads_xdp_sockets() {
        let bound = [5_u32.to_ne_bytes(), 2_u32.to_ne_bytes()].concat();
        let bytes = payload(&header(0, 9), |payload| payload.bytes(XDP_INFO, &bound));
        assert_eq!(parse_xdp(&bytes, 5), Ok(Some(XdpSocket { inode: 9, queue: 2 })));
        assert_eq!(parse_xdp(&bytes, 6), Ok(None));
    }

    #[test]
    fn the_kernel_answers_or_cannot() {
        assert!(packet_sockets(1).is_ok());
        assert!(xdp_sockets(1).is_ok());
    }

    proptest! {
        #[test]
        fn hostile_answers_never_panic(bytes in vec(any::<u8>(), 0..120), index in any::<u32>()) {
            let _ = parse_packet(&bytes, index);
            let _ = parse_xdp(&bytes, index);
        }
    }
}
