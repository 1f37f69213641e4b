//! What sysfs and procfs say: NUMA node, speed, queues that are there, interrupts and the CPUs that serve
//! them.
//!
//! Owns the paths under `/sys` and `/proc/irq`. Its one invariant: `/sys/class/net` is believed only where it
//! shows the interface that rtnetlink shows, since a mount of sysfs belongs to one network namespace and we
//! may be in another.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::link::Link;

/// CPUs one list may name; more than any machine has.
const CPU_MAX: usize = 1 << 16;

/// An interface's directory, when it shows this very interface.
pub struct Directory(PathBuf);

impl Directory {
    /// Finds it.
    pub fn of(link: &Link) -> Option<Self> {
        let directory = Self(Path::new("/sys/class/net").join(&link.name));
        let address: Vec<_> = link.address.iter().map(|byte| format!("{byte:02x}")).collect();
        let is_same = directory.number::<u32>("ifindex") == Some(link.index)
            && directory.text("address").unwrap_or_default() == address.join(":");
        is_same.then_some(directory)
    }

    fn text(&self, file: &str) -> Option<String> {
        text(&self.0.join(file))
    }

    fn number<T: FromStr>(&self, file: &str) -> Option<T> {
        self.text(file)?.parse().ok()
    }

    /// Number of RX queues in use.
    pub fn rx_queues(&self) -> Option<u32> {
        let entries = fs::read_dir(self.0.join("queues")).ok()?;
        let names = entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with("rx-"));
        u32::try_from(names.count()).ok().filter(|count| *count > 0)
    }

    /// Speed in Mbit/s; drivers that do not know say -1.
    pub fn speed_mbps(&self) -> Option<u32> {
        self.number::<i64>("speed").and_then(|speed| u32::try_from(speed).ok()).filter(|speed| *speed > 0)
    }

    /// NUMA node of the device; machines with one say -1.
    pub fn numa_node(&self) -> Option<u32> {
        let nodes = ["device/numa_node", "device/../numa_node"]; // virtio devices stand below their PCI device
        nodes.iter().find_map(|file| self.number::<i64>(file)).and_then(|node| u32::try_from(node).ok())
    }

    /// Name of the driver.
    pub fn driver(&self) -> Option<String> {
        let target = fs::read_link(self.0.join("device/driver")).ok()?;
        target.file_name().map(|name| name.to_string_lossy().into_owned())
    }

    /// Interrupts of the RX queues by what their handlers are called.
    pub fn queue_interrupts(&self) -> BTreeMap<u32, u32> {
        let mut interrupts = BTreeMap::new();
        for directory in ["device/msi_irqs", "device/../msi_irqs"] {
            let Ok(entries) = fs::read_dir(self.0.join(directory)) else { continue };
            for irq in entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()) {
                let actions = text(Path::new(&format!("/sys/kernel/irq/{irq}/actions"))).unwrap_or_default();
                if let Some(queue) = actions.split(',').find_map(queue_of_handler) {
                    interrupts.insert(queue, irq);
                }
            }
            break;
        }
        interrupts
    }
}

fn text(path: &Path) -> Option<String> {
    // An unreadable file is a fact that is not known; sysfs refuses many (speed of a link that is down:
    // EINVAL).
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// RX queue that an interrupt handler of this name serves. Drivers name them as they like; these are the
/// common ways: "eth0-TxRx-3", "ice-eth0-TxRx-3", "ens5-Tx-Rx-3", "eth0-rx-3", "eth0-fp-3",
/// "virtio2-input.3", "mlx5_comp3@pci:0000:03:00.0".
fn queue_of_handler(name: &str) -> Option<u32> {
    let name = name.trim().split('@').next().unwrap_or_default();
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = name.get(stem.len()..)?;
    let stem = stem.to_ascii_lowercase();
    let endings = ["txrx-", "tx-rx-", "rxtx-", "-rx-", "-fp-", "-input.", "_comp"];
    let is_rx = endings.iter().any(|ending| stem.ends_with(ending));
    if is_rx { digits.parse().ok() } else { None }
}

/// CPUs that get an interrupt: those it is really delivered to, else those it may be.
pub fn cpus_of_interrupt(irq: u32) -> Vec<usize> {
    ["effective_affinity_list", "smp_affinity_list"]
        .iter()
        .map(|file| cpus_in(&format!("/proc/irq/{irq}/{file}")))
        .find(|cpus| !cpus.is_empty())
        .unwrap_or_default()
}

/// CPUs of a NUMA node; empty when there is none of that number.
pub fn cpus_of_node(node: u32) -> Vec<usize> {
    cpus_in(&format!("/sys/devices/system/node/node{node}/cpulist"))
}

fn cpus_in(path: &str) -> Vec<usize> {
    text(Path::new(path)).and_then(|list| parse_cpus(&list)).unwrap_or_default()
}

/// A list as the kernel writes it, "0-3,8"; `None` when it is not one.
fn parse_cpus(list: &str) -> Option<Vec<usize>> {
    let mut cpus = Vec::new();
    for part in list.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.parse::<usize>().ok()?, last.parse::<usize>().ok()?);
        if first > last || last >= CPU_MAX || cpus.len() > CPU_MAX {
            return None;
        }
        cpus.extend(first..=last);
    }
    Some(cpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_handlers_of_receive_queues() {
        let known = [
            ("eth0-TxRx-3", Some(3)),
            ("ice-enp1s0f0-TxRx-12", Some(12)),
            ("i40e-eth0-TxRx-0", Some(0)),
            ("ens5-Tx-Rx-7", Some(7)),
            ("eth1-rx-1", Some(1)),
            ("eth1-fp-2", Some(2)),
            ("virtio2-input.0", Some(0)),
            ("mlx5_comp3@pci:0000:03:00.0", Some(3)),
            ("mlx5_async0@pci:0000:03:00.0", None),
            ("virtio2-output.0", None),
            ("virtio2-config", None),
            ("eth1-tx-1", None),
            ("eth0", None),
            ("eth0-TxRx-", None),
            ("eth0-TxRx-99999999999", None),
            ("", None),
        ];
        for (name, queue) in known {
            assert_eq!(queue_of_handler(name), queue, "{name}");
        }
    }

    #[test]
    fn reads_lists_of_cpus() {
        assert_eq!(parse_cpus("0-2,5"), Some(vec![0, 1, 2, 5]));
        assert_eq!(parse_cpus("7"), Some(vec![7]));
        assert_eq!(parse_cpus(""), Some(vec![]));
        for wrong in ["3-1", "x", "1-", "0-99999999", "-1"] {
            assert_eq!(parse_cpus(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn believes_only_the_directory_of_this_interface() {
        let link = Link { index: u32::MAX, name: "lo".to_owned(), address: vec![0; 6], ..Link::default() };
        assert!(Directory::of(&link).is_none(), "another index");
    }
}
