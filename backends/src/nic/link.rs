//! What rtnetlink says of an interface: the link, its addresses, default routes, who stands above it,
//! attached XDP programs.
//!
//! Owns the messages of `linux/rtnetlink.h` that are asked here. Judges nothing. Its one invariant: only what
//! lies in this thread's network namespace is seen.

use std::fmt;
use std::io;
use std::net::IpAddr;

use nix::sys::socket::SockProtocol;

use super::codec::{AttributeBytes, Attributes, DamagedMessage, u32_at};
use super::netlink::Netlink;

/// Bytes of `ifinfomsg`, `ifaddrmsg` and `rtmsg`.
const LINK_HEADER: usize = 16;
const ADDRESS_HEADER: usize = 8;
const ROUTE_HEADER: usize = 12;

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NUM_RX_QUEUES: u16 = 32;
const IFLA_CARRIER: u16 = 33;
const IFLA_LINK_NETNSID: u16 = 37;
const IFLA_XDP: u16 = 43;
const IFLA_PARENT_DEV_NAME: u16 = 56;
const IFLA_PARENT_DEV_BUS_NAME: u16 = 57;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_XDP_ATTACHED: u16 = 2;
const IFLA_XDP_PROG_ID: u16 = 4;
/// `XDP_ATTACHED_DRV` to `XDP_ATTACHED_MULTI` of `linux/if_link.h`.
const ATTACHED_MODES: [(u8, AttachMode, u16); 3] =
    [(1, AttachMode::Native, 5), (2, AttachMode::Generic, 6), (3, AttachMode::Offload, 7)];
const ATTACHED_MULTI: u8 = 4;

const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const RTA_OIF: u16 = libc::RTA_OIF;
const RTA_GATEWAY: u16 = libc::RTA_GATEWAY;
const RTA_MULTIPATH: u16 = libc::RTA_MULTIPATH;
const RTN_UNICAST: u8 = 1;
/// Bytes of `rtnexthop`.
const NEXT_HOP_HEADER: usize = 8;

/// Kinds of links whose IFLA_LINK names the interface they receive from (for others, such as veth, it is the
/// other end).
const STACKED_KINDS: [&str; 7] = ["vlan", "macvlan", "macvtap", "ipvlan", "ipvtap", "macsec", "hsr"];

/// How an XDP program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AttachMode {
    /// In the driver, before a packet buffer is made.
    Native,
    /// In the stack, for drivers without support.
    Generic,
    /// On the card.
    Offload,
}

impl fmt::Display for AttachMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Native => "native",
            Self::Generic => "generic",
            Self::Offload => "offload",
        })
    }
}

/// An XDP program at an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttachedXdp {
    /// How it is attached.
    pub mode: AttachMode,
    /// The kernel's number of the program, as `bpftool prog show id` takes it.
    pub program_id: u32,
}

/// A link, as RTM_GETLINK describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// The kernel's number of it.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Kind of a virtual link ("veth", "bridge", "tun"); `None` for a card.
    pub kind: Option<String>,
    /// Administratively up.
    pub up: bool,
    /// A loopback.
    pub loopback: bool,
    /// Something is at the other end.
    pub carrier: Option<bool>,
    /// Largest packet without the link header, in bytes.
    pub mtu: u32,
    /// Hardware address.
    pub address: Vec<u8>,
    /// RX queues that were allocated, which may be more than are in use.
    pub rx_queues_allocated: Option<u32>,
    /// Number of the bridge, bond, team or VRF it is a member of.
    pub master: Option<u32>,
    /// Number of the link it stands upon, or of a veth's other end; `None` when that lies in another
    /// namespace.
    pub lower: Option<u32>,
    /// Bus ("pci") and address there of the device behind it.
    pub bus: Option<String>,
    /// Address of the device on its bus.
    pub bus_address: Option<String>,
    /// Attached XDP programs.
    pub xdp: Vec<AttachedXdp>,
}

/// Reason why an interface serves the host, so that taking its packets away would hurt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Use {
    /// It has this address (link-local ones, which every interface gets by itself, do not count).
    Address {
        /// The address.
        address: IpAddr,
        /// Bits of its prefix.
        prefix_bits: u8,
    },
    /// A default route leaves by it.
    DefaultRoute {
        /// Over this router, where one is named.
        gateway: Option<IpAddr>,
    },
    /// It is a member of a bridge, a bond, a team, a VRF or a virtual switch.
    Member {
        /// Name of that.
        of: String,
        /// Its kind, such as "bridge".
        kind: String,
    },
    /// Another interface (VLAN, macvlan) stands upon it.
    Carries {
        /// Name of that.
        name: String,
        /// Its kind, such as "vlan".
        kind: String,
    },
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address { address, prefix_bits } => write!(f, "has the address {address}/{prefix_bits}"),
            Self::DefaultRoute { gateway: Some(gateway) } => write!(f, "carries the default route to {gateway}"),
            Self::DefaultRoute { gateway: None } => write!(f, "carries a default route"),
            Self::Member { of, kind } => write!(f, "is a member of the {kind} {of}"),
            Self::Carries { name, kind } => write!(f, "carries the {kind} {name}"),
        }
    }
}

/// A conversation with rtnetlink.
pub struct RouteNetlink(Netlink);

impl RouteNetlink {
    /// Opens it; needs no privilege.
    pub fn open() -> io::Result<Self> {
        let netlink = Netlink::open(SockProtocol::NetlinkRoute)?;
        netlink.narrow_dumps();
        Ok(Self(netlink))
    }

    /// The link of this name; an error ENODEV when there is none.
    pub fn link(&mut self, name: &str) -> io::Result<Link> {
        let request = AttributeBytes::new(&[0; LINK_HEADER]).text(IFLA_IFNAME, name);
        let answer = self.0.get(libc::RTM_GETLINK, &request)?;
        let payload = answer.first().ok_or_else(|| io::Error::from_raw_os_error(libc::ENODEV))?;
        parse_link(payload).map_err(io::Error::other)
    }

    /// What the link of this number is called now; `None` when there is none.
    pub fn name_of(&mut self, index: u32) -> io::Result<Option<String>> {
        let header = [&[0; 4][..], &index.to_ne_bytes(), &[0; 8]].concat();
        let answer = match self.0.get(libc::RTM_GETLINK, &AttributeBytes::new(&header)) {
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => return Ok(None),
            answer => answer?,
        };
        let link = answer.first().map(|payload| parse_link(payload)).transpose().map_err(io::Error::other)?;
        Ok(link.map(|link| link.name))
    }

    /// All links.
    pub fn links(&mut self) -> io::Result<Vec<Link>> {
        self.0.dump_kept(libc::RTM_GETLINK, &AttributeBytes::new(&[0; LINK_HEADER]), |payload| parse_link(payload).map(Some))
    }

    /// Addresses of an interface with the bits of their prefixes, link-local ones too.
    pub fn addresses(&mut self, index: u32) -> io::Result<Vec<(IpAddr, u8)>> {
        self.0.dump_kept(libc::RTM_GETADDR, &AttributeBytes::new(&[0; ADDRESS_HEADER]), |payload| parse_address(payload, index))
    }

    /// Routers of the default routes that leave by an interface. Of a table of a million routes only these
    /// are kept.
    fn default_routes(&mut self, index: u32) -> io::Result<Vec<Option<IpAddr>>> {
        let request = AttributeBytes::new(&[0; ROUTE_HEADER]).u32(RTA_OIF, index);
        self.0.dump_kept(libc::RTM_GETROUTE, &request, |payload| parse_default_route(payload, index))
    }

    /// All reasons why `link` serves the host.
    pub fn uses(&mut self, link: &Link) -> io::Result<Vec<Use>> {
        let addresses = self.addresses(link.index)?.into_iter().filter(|(address, _)| !is_link_local(address));
        let mut uses: Vec<_> = addresses.map(|(address, prefix_bits)| Use::Address { address, prefix_bits }).collect();
        uses.extend(self.default_routes(link.index)?.into_iter().map(|gateway| Use::DefaultRoute { gateway }));
        uses.extend(relations(link, &self.links()?));
        Ok(uses)
    }
}

/// Uses that come from other links.
fn relations(link: &Link, links: &[Link]) -> Vec<Use> {
    let kind = |other: &Link| other.kind.clone().unwrap_or_else(|| "interface".to_owned());
    let mut uses = Vec::new();
    if let Some(master) = link.master {
        uses.push(match links.iter().find(|other| other.index == master) {
            Some(master) => Use::Member { of: master.name.clone(), kind: kind(master) },
            None => Use::Member { of: format!("number {master}"), kind: "interface".to_owned() },
        });
    }
    let stacked = |other: &&Link| {
        other.lower == Some(link.index) && other.kind.as_deref().is_some_and(|kind| STACKED_KINDS.contains(&kind))
    };
    uses.extend(links.iter().filter(stacked).map(|other| Use::Carries { name: other.name.clone(), kind: kind(other) }));
    uses
}

/// RFC 4291 section 2.5.6 and RFC 3927: addresses that an interface gives itself.
fn is_link_local(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

fn parse_link(payload: &[u8]) -> Result<Link, DamagedMessage> {
    let flags = u32_at(payload, 8)?;
    let attributes = Attributes::parse(payload, LINK_HEADER)?;
    let is_set = |flag: libc::c_int| flags & flag.cast_unsigned() != 0;
    // A number from another namespace means nothing in this one.
    let elsewhere = attributes.get(IFLA_LINK_NETNSID).is_some();
    Ok(Link {
        index: u32_at(payload, 4)?,
        name: attributes.text(IFLA_IFNAME).unwrap_or_default(),
        kind: attributes.nest(IFLA_LINKINFO)?.text(IFLA_INFO_KIND),
        up: is_set(libc::IFF_UP),
        loopback: is_set(libc::IFF_LOOPBACK),
        carrier: attributes.u8(IFLA_CARRIER).map(|carrier| carrier != 0),
        mtu: attributes.u32(IFLA_MTU).unwrap_or_default(),
        address: attributes.get(IFLA_ADDRESS).unwrap_or_default().to_vec(),
        rx_queues_allocated: attributes.u32(IFLA_NUM_RX_QUEUES),
        master: attributes.u32(IFLA_MASTER),
        lower: attributes.u32(IFLA_LINK).filter(|_| !elsewhere),
        bus: attributes.text(IFLA_PARENT_DEV_BUS_NAME),
        bus_address: attributes.text(IFLA_PARENT_DEV_NAME),
        xdp: parse_xdp(&attributes.nest(IFLA_XDP)?),
    })
}

fn parse_xdp(attributes: &Attributes<'_>) -> Vec<AttachedXdp> {
    let attached = attributes.u8(IFLA_XDP_ATTACHED).unwrap_or_default();
    let mut programs = Vec::new();
    for (value, mode, id_of_mode) in ATTACHED_MODES {
        let id = if attached == value { attributes.u32(IFLA_XDP_PROG_ID) } else { None };
        let id = id.or_else(|| attributes.u32(id_of_mode).filter(|_| attached == value || attached == ATTACHED_MULTI));
        programs.extend(id.filter(|id| *id != 0).map(|program_id| AttachedXdp { mode, program_id }));
    }
    programs
}

/// The address, when it belongs to the interface `index`.
fn parse_address(payload: &[u8], index: u32) -> Result<Option<(IpAddr, u8)>, DamagedMessage> {
    if u32_at(payload, 4)? != index {
        return Ok(None);
    }
    let attributes = Attributes::parse(payload, ADDRESS_HEADER)?;
    // On a link between two points IFA_ADDRESS is the other end.
    let bytes = attributes.get(IFA_LOCAL).or_else(|| attributes.get(IFA_ADDRESS));
    let prefix_bits = payload.get(1).copied().unwrap_or_default();
    Ok(bytes.and_then(ip_address).map(|address| (address, prefix_bits)))
}

fn ip_address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from);
    v4.or_else(|| <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from))
}

/// The router, when this is a default route over the interface `index`.
fn parse_default_route(payload: &[u8], index: u32) -> Result<Option<Option<IpAddr>>, DamagedMessage> {
    let destination_bits = payload.get(1).copied().unwrap_or_default();
    let kind = payload.get(7).copied().unwrap_or_default();
    if destination_bits != 0 || kind != RTN_UNICAST {
        return Ok(None);
    }
    let attributes = Attributes::parse(payload, ROUTE_HEADER)?;
    if attributes.u32(RTA_OIF) == Some(index) {
        return Ok(Some(attributes.get(RTA_GATEWAY).and_then(ip_address)));
    }
    let Some(mut hops) = attributes.get(RTA_MULTIPATH) else { return Ok(None) };
    while !hops.is_empty() {
        let length = usize::from(super::codec::u16_at(hops, 0)?);
        let hop = hops.get(..length).filter(|hop| hop.len() >= NEXT_HOP_HEADER).ok_or(DamagedMessage)?;
        if u32_at(hop, 4)? == index {
            return Ok(Some(Attributes::parse(hop, NEXT_HOP_HEADER)?.get(RTA_GATEWAY).and_then(ip_address)));
        }
        hops = hops.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(None)
}

#[cfg(test)]
#[path = "link_tests.rs"]
pub(super) mod tests;
