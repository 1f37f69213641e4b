//! The interfaces libpcap knows.
//!
//! Owns listing. Opens no capture. Its one invariant: what is not in the system's list does not exist.

use std::net::IpAddr;

use pcap::Device;

use crate::BackendError;
use crate::filter::pcap_reason;
use crate::live::permission_advice;

/// An interface that can be captured from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name, as given to [`LiveOptions`](super::LiveOptions).
    pub name: String,
    /// What it is, where the system says.
    pub description: Option<String>,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Its networks: of each address that has a mask, how many of its first bits count.
    pub networks: Vec<(IpAddr, u8)>,
    /// True when it is up.
    pub up: bool,
    /// True for the loopback interface.
    pub loopback: bool,
}

impl From<Device> for Interface {
    fn from(device: Device) -> Self {
        Self {
            up: device.flags.is_up() || device.name == NFLOG,
            loopback: device.flags.is_loopback(),
            name: device.name,
            description: device.desc,
            networks: device.addresses.iter().filter_map(|address| Some((address.addr, mask_len(address.netmask?)))).collect(),
            addresses: device.addresses.into_iter().map(|address| address.addr).collect(),
        }
    }
}

/// Leading ones of a network mask.
fn mask_len(mask: IpAddr) -> u8 {
    let ones = match mask {
        IpAddr::V4(mask) => mask.to_bits().leading_ones(),
        IpAddr::V6(mask) => mask.to_bits().leading_ones(),
    };
    ones as u8
}

/// The device of Linux' netfilter log: always there, and no network interface.
const NFLOG: &str = "nflog";

/// The name under which a device is listed: `nflog:5`, group 5 of the log, is `nflog`.
pub(crate) fn listed_name(name: &str) -> &str {
    match name.split_once(':') {
        Some((NFLOG, _)) => NFLOG,
        _ => name,
    }
}

/// True for what packets of a network can be captured from. On Linux, libpcap offers buses and queues, too (nfqueue, dbus,
/// bluetooth, usbmon), whose packets are not read.
#[cfg(target_os = "linux")]
fn is_capturable(name: &str) -> bool {
    matches!(name, "any" | NFLOG) || nix::net::if_::if_nametoindex(name).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn is_capturable(_name: &str) -> bool {
    true
}

/// All interfaces that libpcap offers and that can be captured from, its default one first.
///
/// # Errors
/// [`BackendError::Interface`] when the system refuses the list.
pub fn list_interfaces() -> Result<Vec<Interface>, BackendError> {
    let devices = Device::list().map_err(|error| no_list(&pcap_reason(error)))?;
    Ok(devices.into_iter().filter(|device| is_capturable(&device.name)).map(Interface::from).collect())
}

/// Name of libpcap's default interface.
///
/// # Errors
/// [`BackendError::Interface`] when there is none, or no right to see one.
pub fn default_name() -> Result<String, BackendError> {
    match Device::lookup() {
        Ok(Some(device)) => Ok(device.name),
        Ok(None) => Err(no_list(&format!("there is none to capture from; {}", permission_advice()))),
        Err(error) => Err(no_list(&pcap_reason(error))),
    }
}

fn no_list(reason: &str) -> BackendError {
    BackendError::Interface { interface: "list".to_owned(), what: format!("cannot find an interface: {reason}") }
}

/// Whether the interface is up; `None` when there is none of that name, or no list.
pub(crate) fn is_up(name: &str) -> Option<bool> {
    list_interfaces().ok()?.into_iter().find(|interface| interface.name == name).map(|interface| interface.up)
}

/// Whether the interface is known to be a loopback.
pub(super) fn is_loopback(name: &str) -> bool {
    list_interfaces().is_ok_and(|interfaces| interfaces.iter().any(|interface| interface.name == name && interface.loopback))
}
