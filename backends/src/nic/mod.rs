//! What Linux says of a network interface: queues, interrupts, offloads, hash, addresses, who else uses it.
//!
//! Owns the asking (netlink, sysfs, one ioctl) and the answers as plain values; judges nothing and captures
//! nothing. Its one invariant: what kernel or driver do not offer is `None` or empty, and only a missing
//! interface or a failed conversation is an error.
//!
//! Everything is answered for the network namespace of the calling thread and needs no privilege,
//! [`set_symmetric_key`] excepted.

mod codec;
mod diag;
mod ethtool;
mod host;
mod ioctl;
mod key;
mod link;
mod netdev;
mod netlink;
mod rss;

use std::io;
use std::net::IpAddr;

use crate::BackendError;

pub use diag::{Fanout, PacketSocket, XdpSocket};
pub use ethtool::{Channels, Features, Rings};
pub use host::cpus_of_node;
pub use ioctl::Driver;
pub use key::{SymmetricKey, set_symmetric_key};
pub use link::{AttachMode, AttachedXdp, Use};
pub use netdev::XdpAbilities;
pub use rss::{HashFunction, Rss, is_symmetric_key, symmetric_key};

use ethtool::Ethtool;
use host::Directory;
use link::{Link, RouteNetlink};

/// Name of the offload that takes VLAN tags off.
pub const VLAN_STRIP: &str = "rx-vlan-hw-parse";

/// An RX queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// Its number.
    pub index: u32,
    /// Its interrupt, where it has one of its own and we can tell which.
    pub interrupt: Option<u32>,
    /// CPUs that serve the interrupt; empty when not known.
    pub cpus: Vec<usize>,
}

/// An interface and all that is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Nic {
    /// Its name.
    pub name: String,
    /// The kernel's number of it.
    pub index: u32,
    /// Kind of a virtual interface ("veth", "bridge", "tun"); `None` for a card.
    pub kind: Option<String>,
    /// Its driver.
    pub driver: Option<Driver>,
    /// Bus of the device ("pci", "virtio").
    pub bus: Option<String>,
    /// Administratively up.
    pub up: bool,
    /// A loopback.
    pub loopback: bool,
    /// Something is at the other end.
    pub carrier: Option<bool>,
    /// Largest packet without the link header, in bytes.
    pub mtu: u32,
    /// Mbit/s.
    pub speed_mbps: Option<u32>,
    /// NUMA node of the device.
    pub numa_node: Option<u32>,
    /// RX queues in use with their interrupts; empty when their number is not known.
    pub queues: Vec<Queue>,
    /// Numbers of queues in use and possible, where they can be set.
    pub channels: Option<Channels>,
    /// Sizes of the rings.
    pub rings: Option<Rings>,
    /// Offloads.
    pub features: Option<Features>,
    /// Name and offloads of a veth's other end, when that lies in this namespace.
    pub peer: Option<(String, Features)>,
    /// Spreading over queues.
    pub rss: Option<Rss>,
    /// What the driver says it can do with XDP.
    pub xdp_abilities: Option<XdpAbilities>,
    /// Attached XDP programs.
    pub xdp: Vec<AttachedXdp>,
    /// Addresses with the bits of their prefixes, link-local ones too.
    pub addresses: Vec<(IpAddr, u8)>,
    /// Why taking its packets away would hurt.
    pub uses: Vec<Use>,
}

impl Nic {
    /// Asks everything.
    ///
    /// # Errors
    /// [`BackendError::Interface`] when there is none of this name or a conversation with the kernel fails.
    pub fn read(interface: &str) -> Result<Self, BackendError> {
        read(interface, RouteNetlink::uses).map_err(|error| failed(interface, &error))
    }

    /// The same without asking what the host uses it for: `uses` is empty.
    pub(crate) fn read_without_uses(interface: &str) -> Result<Self, BackendError> {
        read(interface, |_, _| Ok(Vec::new())).map_err(|error| failed(interface, &error))
    }

    /// Whether both directions of a flow come by the same queue: one queue, or a symmetric hash. `None` when
    /// that cannot be told.
    pub fn keeps_flows_together(&self) -> Option<bool> {
        if self.queues.len() == 1 {
            return Some(true);
        }
        self.rss.as_ref().and_then(Rss::is_symmetric)
    }
}

fn read(interface: &str, uses: fn(&mut RouteNetlink, &Link) -> io::Result<Vec<Use>>) -> io::Result<Nic> {
    let mut route = RouteNetlink::open()?;
    let link = route.link(interface)?;
    let mut ethtool = Ethtool::open(interface)?;
    let directory = Directory::of(&link);
    let channels = ethtool.channels()?;
    let rss = ethtool.rss()?;
    let own_driver = directory.as_ref().and_then(Directory::driver).map(|name| Driver { name, ..Driver::default() });
    Ok(Nic {
        queues: queues(&link, channels, directory.as_ref())?,
        channels,
        driver: ioctl::driver(interface)?.or(own_driver),
        speed_mbps: directory.as_ref().and_then(Directory::speed_mbps),
        numa_node: directory.as_ref().and_then(Directory::numa_node),
        rings: ethtool.rings()?,
        features: ethtool.features()?,
        peer: peer(&mut route, &link)?,
        rss,
        xdp_abilities: netdev::xdp_abilities(link.index)?,
        addresses: route.addresses(link.index)?,
        uses: uses(&mut route, &link)?,
        name: link.name,
        index: link.index,
        kind: link.kind,
        bus: link.bus,
        up: link.up,
        loopback: link.loopback,
        carrier: link.carrier,
        mtu: link.mtu,
        xdp: link.xdp,
    })
}

/// The other end of a veth and its offloads.
fn peer(route: &mut RouteNetlink, link: &Link) -> io::Result<Option<(String, Features)>> {
    let (Some("veth"), Some(index)) = (link.kind.as_deref(), link.lower) else { return Ok(None) };
    let Some(peer) = route.links()?.into_iter().find(|other| other.index == index) else { return Ok(None) };
    let features = Ethtool::open(&peer.name)?.features()?;
    Ok(features.map(|features| (peer.name, features)))
}

/// Number of RX queues in use: what ethtool says, else what sysfs shows, else one where no more were
/// allocated.
fn queue_count(link: &Link, channels: Option<Channels>, directory: Option<&Directory>) -> Option<u32> {
    let by_ethtool = channels.map(|channels| channels.rx_queues()).filter(|count| *count > 0);
    let by_directory = || directory.and_then(Directory::rx_queues);
    by_ethtool.or_else(by_directory).or_else(|| link.rx_queues_allocated.filter(|count| *count == 1))
}

fn queues(link: &Link, channels: Option<Channels>, directory: Option<&Directory>) -> io::Result<Vec<Queue>> {
    let Some(count) = queue_count(link, channels, directory) else { return Ok(Vec::new()) };
    let mut interrupts = netdev::queue_interrupts(link.index)?;
    if interrupts.is_empty() {
        interrupts = directory.map(Directory::queue_interrupts).unwrap_or_default();
    }
    let queue = |index| {
        let interrupt = interrupts.get(&index).copied();
        Queue { index, interrupt, cpus: interrupt.map(host::cpus_of_interrupt).unwrap_or_default() }
    };
    Ok((0..count).map(queue).collect())
}

fn ask<T>(interface: &str, question: impl FnOnce(&mut RouteNetlink, Link) -> io::Result<T>) -> Result<T, BackendError> {
    let answer = RouteNetlink::open().and_then(|mut route| {
        let link = route.link(interface)?;
        question(&mut route, link)
    });
    answer.map_err(|error| failed(interface, &error))
}

/// RX queues in use with their interrupts and CPUs; empty when their number is not known.
///
/// # Errors
/// As for [`Nic::read`].
pub fn rx_queues(interface: &str) -> Result<Vec<Queue>, BackendError> {
    ask(interface, |_, link| {
        let channels = Ethtool::open(interface)?.channels()?;
        queues(&link, channels, Directory::of(&link).as_ref())
    })
}

/// The interface's speed in bits per second; `None` where the kernel does not know it (a link that is down, most virtual ones).
pub fn speed_bps(interface: &str) -> Option<u64> {
    let link = RouteNetlink::open().ok()?.link(interface).ok()?;
    Some(u64::from(Directory::of(&link)?.speed_mbps()?) * 1_000_000)
}

/// Number of RX queues in use; `None` when not known.
///
/// # Errors
/// As for [`Nic::read`].
pub fn rx_queue_count(interface: &str) -> Result<Option<u32>, BackendError> {
    ask(interface, |_, link| {
        let channels = Ethtool::open(interface)?.channels()?;
        Ok(queue_count(&link, channels, Directory::of(&link).as_ref()))
    })
}

/// The first CPU that serves the interrupt of an RX queue; `None` when not known (virtual interfaces have no
/// interrupts).
///
/// # Errors
/// As for [`Nic::read`].
pub fn cpu_of_queue(interface: &str, queue: u32) -> Result<Option<usize>, BackendError> {
    let queues = rx_queues(interface)?;
    Ok(queues.into_iter().find(|own| own.index == queue).and_then(|queue| queue.cpus.first().copied()))
}

/// Why taking packets away from this interface would hurt the host; empty when nothing is known to.
///
/// # Errors
/// As for [`Nic::read`].
pub fn uses(interface: &str) -> Result<Vec<Use>, BackendError> {
    ask(interface, |route, link| route.uses(&link))
}

/// Whether there is an interface of this name and it is up.
pub(crate) fn is_up(interface: &str) -> Result<bool, BackendError> {
    match RouteNetlink::open().and_then(|mut route| route.link(interface)) {
        Ok(link) => Ok(link.up),
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(false),
        Err(error) => Err(failed(interface, &error)),
    }
}

/// XDP programs that are attached.
///
/// # Errors
/// As for [`Nic::read`].
pub fn attached_xdp(interface: &str) -> Result<Vec<AttachedXdp>, BackendError> {
    ask(interface, |_, link| Ok(link.xdp))
}

/// Offloads; `None` where the kernel does not say.
///
/// # Errors
/// As for [`Nic::read`].
pub fn features(interface: &str) -> Result<Option<Features>, BackendError> {
    Ethtool::open(interface).and_then(|mut ethtool| ethtool.features()).map_err(|error| failed(interface, &error))
}

/// Whether the hardware takes VLAN tags off before AF_XDP sees a packet; `None` where the kernel does not
/// say.
///
/// # Errors
/// As for [`Nic::read`].
pub fn strips_vlan(interface: &str) -> Result<Option<bool>, BackendError> {
    Ok(features(interface)?.map(|features| features.is_active(VLAN_STRIP)))
}

/// How received packets are spread over queues; `None` where the driver does not say.
///
/// # Errors
/// As for [`Nic::read`].
pub fn rss(interface: &str) -> Result<Option<Rss>, BackendError> {
    Ethtool::open(interface).and_then(|mut ethtool| ethtool.rss()).map_err(|error| failed(interface, &error))
}

/// What the driver says it can do with XDP; `None` on kernels before 6.3.
///
/// # Errors
/// As for [`Nic::read`].
pub fn xdp_abilities(interface: &str) -> Result<Option<XdpAbilities>, BackendError> {
    ask(interface, |_, link| netdev::xdp_abilities(link.index))
}

/// Packet sockets, of any process, that receive from this interface; `None` where the kernel cannot list them
/// (no packet_diag module).
///
/// # Errors
/// As for [`Nic::read`].
pub fn packet_sockets(interface: &str) -> Result<Option<Vec<PacketSocket>>, BackendError> {
    ask(interface, |_, link| diag::packet_sockets(link.index))
}

/// AF_XDP sockets, of any process, at this interface; `None` where the kernel cannot list them (no xsk_diag
/// module).
///
/// # Errors
/// As for [`Nic::read`].
pub fn xdp_sockets(interface: &str) -> Result<Option<Vec<XdpSocket>>, BackendError> {
    ask(interface, |_, link| diag::xdp_sockets(link.index))
}

/// A failed conversation in words; a missing interface names those that are there.
fn failed(interface: &str, error: &io::Error) -> BackendError {
    let is_missing = matches!(error.raw_os_error(), Some(libc::ENODEV | libc::ENXIO))
        || interface.len() >= libc::IFNAMSIZ
        || interface.is_empty();
    let what = if is_missing {
        match RouteNetlink::open().and_then(|mut route| route.links()) {
            Ok(links) => {
                let names: Vec<_> = links.into_iter().map(|link| link.name).collect();
                format!("there is no such interface; available: {}", names.join(", "))
            }
            Err(_) => "there is no such interface".to_owned(), // the second question's error would hide the first's
        }
    } else {
        format!("the kernel does not answer about it: {error}")
    };
    BackendError::Interface { interface: interface.to_owned(), what }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_loopback() {
        let nic = Nic::read("lo").unwrap();
        assert!(nic.loopback && nic.index > 0 && nic.mtu > 0);
        assert_eq!(nic.queues.len(), 1, "{nic:?}");
        assert_eq!(nic.keeps_flows_together(), Some(true));
        assert_eq!(rx_queue_count("lo").unwrap(), Some(1));
        assert_eq!(cpu_of_queue("lo", 0).unwrap(), None);
        assert_eq!(strips_vlan("lo").unwrap(), Some(false));
        assert_eq!(rss("lo").unwrap(), None);
        assert_eq!(uses("lo").unwrap(), nic.uses);
    }

    #[test]
    fn an_unknown_interface_is_named_with_those_there_are() {
        for name in ["no-such-link", "a-name-of-more-than-fifteen", ""] {
            for error in [Nic::read(name).map(drop), uses(name).map(drop), strips_vlan(name).map(drop)] {
                let said = error.unwrap_err().to_string();
                assert!(said.contains(&format!("interface {name}: there is no such interface; available: ")), "{said}");
                assert!(said.contains("lo"), "{said}");
            }
        }
    }
}
