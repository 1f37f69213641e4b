//! The interfaces libpcap knows, and what to say when one cannot be opened.
//!
//! Owns listing and explaining. Opens no capture. Its one invariant: an explanation says what to do.

use std::net::IpAddr;

use pcap::Device;

use super::listed;
use crate::BackendError;
use crate::filter::pcap_reason;

/// An interface that can be captured from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name, as given to [`LiveOptions`](super::LiveOptions).
    pub name: String,
    /// What it is, where the system says.
    pub description: Option<String>,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// True when it is up.
    pub up: bool,
    /// True for the loopback interface.
    pub loopback: bool,
}

impl From<Device> for Interface {
    fn from(device: Device) -> Self {
        Self {
            up: device.flags.is_up(),
            loopback: device.flags.is_loopback(),
            name: device.name,
            description: device.desc,
            addresses: device.addresses.into_iter().map(|address| address.addr).collect(),
        }
    }
}

/// All interfaces libpcap offers, its default one first.
///
/// # Errors
/// [`BackendError::Interface`] when the system refuses the list.
pub fn list_interfaces() -> Result<Vec<Interface>, BackendError> {
    let devices = Device::list().map_err(|error| no_list(&pcap_reason(error)))?;
    Ok(devices.into_iter().map(Interface::from).collect())
}

/// Name of libpcap's default interface.
pub(super) fn default_name() -> Result<String, BackendError> {
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
pub(super) fn is_up(name: &str) -> Option<bool> {
    list_interfaces().ok()?.into_iter().find(|interface| interface.name == name).map(|interface| interface.up)
}

/// Whether the interface is known to be a loopback.
pub(super) fn is_loopback(name: &str) -> bool {
    list_interfaces().is_ok_and(|interfaces| interfaces.iter().any(|interface| interface.name == name && interface.loopback))
}

const fn permission_advice() -> &'static str {
    if cfg!(target_os = "macos") {
        "capturing needs read access to /dev/bpf*: run it with sudo, or install ChmodBPF (it comes with Wireshark)"
    } else {
        "capturing needs root or CAP_NET_RAW: run it with sudo, or allow it once with \
         `sudo setcap cap_net_raw,cap_net_admin=eip $(command -v netscope)`"
    }
}

/// What failed, why and what to do, for an interface that libpcap did not open for `reason`.
pub(super) fn explain(name: &str, reason: &str) -> String {
    let lower = reason.to_lowercase();
    if ["permission", "permitted", "cap_net_raw", "privilege"].iter().any(|word| lower.contains(word)) {
        return format!("no permission to capture ({reason}); {}", permission_advice());
    }
    if let Ok(interfaces) = list_interfaces() {
        match interfaces.iter().find(|interface| interface.name == name) {
            None => {
                let names: Vec<_> = interfaces.into_iter().map(|interface| interface.name).collect();
                return format!("there is no such interface; available: {}", listed(&names));
            }
            Some(interface) if !interface.up => {
                return format!(
                    "it is down; bring it up first (`sudo ip link set {name} up` on Linux, `sudo ifconfig {name} up` on macOS)"
                );
            }
            Some(_) => {}
        }
    }
    if reason.is_empty() { "cannot be opened; libpcap gives no reason".to_owned() } else { format!("cannot be opened: {reason}") }
}
