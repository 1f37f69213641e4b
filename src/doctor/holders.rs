//! Who else receives from the interface.
//!
//! Owns joining sockets with processes by the inodes in `/proc/PID/fd`. Its one invariant: a socket whose process we may not look at is
//! still listed.

use super::facts::{entries, text};
use netscope_backends::BackendError;
use netscope_backends::nic::{self, PacketSocket, XdpSocket};
use std::collections::HashMap;

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its number.
    pub pid: u32,
    /// Its name.
    pub name: String,
}

/// Sockets with their processes; `None` where the kernel cannot list them.
#[derive(Clone, Debug, Default)]
pub struct Holders {
    /// Packet sockets that receive from the interface.
    pub packet: Option<Vec<(PacketSocket, Option<Owner>)>>,
    /// AF_XDP sockets at one of its queues.
    pub xdp: Option<Vec<(XdpSocket, Option<Owner>)>>,
}

/// Lists them.
pub fn find(interface: &str) -> Result<Holders, BackendError> {
    let (packet, xdp) = (nic::packet_sockets(interface)?, nic::xdp_sockets(interface)?);
    let is_empty = packet.as_ref().is_none_or(Vec::is_empty) && xdp.as_ref().is_none_or(Vec::is_empty);
    let owners = if is_empty { HashMap::new() } else { owners() };
    let of = |inode: u32| owners.get(&inode).cloned();
    Ok(Holders {
        packet: packet.map(|sockets| sockets.into_iter().map(|socket| (socket, of(socket.inode))).collect()),
        xdp: xdp.map(|sockets| sockets.into_iter().map(|socket| (socket, of(socket.inode))).collect()),
    })
}

/// The process of each socket's inode, as far as we may look.
fn owners() -> HashMap<u32, Owner> {
    let mut owners = HashMap::new();
    for process in entries("/proc") {
        let pid = process.file_name().and_then(|name| name.to_str()?.parse().ok());
        let Some(pid) = pid else { continue };
        for descriptor in entries(process.join("fd")) {
            let target = std::fs::read_link(descriptor).unwrap_or_default();
            if let Some(inode) = socket_inode(&target.to_string_lossy()) {
                let name = text(process.join("comm")).unwrap_or_default();
                owners.entry(inode).or_insert_with(|| Owner { pid, name });
            }
        }
    }
    owners
}

/// The number in `socket:[N]`.
fn socket_inode(target: &str) -> Option<u32> {
    target.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_process_of_a_socket() {
        assert_eq!(socket_inode("socket:[123]"), Some(123));
        assert_eq!((socket_inode("pipe:[123]"), socket_inode("socket:[]"), socket_inode("")), (None, None, None));
        let _socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let own = std::process::id();
        assert!(owners().values().any(|owner| owner.pid == own), "our own socket is found");
    }
}
