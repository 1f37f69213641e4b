//! The facts: the interface, this process's rights, the machine.
//!
//! Owns gathering. Judges nothing. Its one invariant: what cannot be read is `None` or empty, never a guess.

use super::holders::{self, Holders};
use super::trial::{self, Trial};
use netscope_backends::BackendError;
use netscope_backends::bpf::{self, Attached};
use netscope_backends::nic::{self, Nic};
use nix::sys::resource::{Resource, getrlimit};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::str::FromStr;

/// Bits of the effective set (`linux/capability.h`).
const CAP_NET_ADMIN: u32 = 12;
const CAP_NET_RAW: u32 = 13;
const CAP_IPC_LOCK: u32 = 14;
const CAP_SYS_ADMIN: u32 = 21;
const CAP_BPF: u32 = 39;

/// Everything that was found.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Release of the kernel.
    pub kernel: String,
    /// The interface.
    pub nic: Nic,
    /// XDP programs that are attached, with their names where we may know them.
    pub xdp: Vec<Attached>,
    /// What the driver took of XDP.
    pub trial: Trial,
    /// Other sockets on the interface.
    pub holders: Holders,
    /// This process.
    pub process: Process,
    /// The machine.
    pub host: Host,
}

/// What this process may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// CAP_NET_RAW.
    pub net_raw: bool,
    /// CAP_NET_ADMIN.
    pub net_admin: bool,
    /// CAP_BPF, or CAP_SYS_ADMIN which contains it.
    pub bpf: bool,
    /// CAP_IPC_LOCK.
    pub ipc_lock: bool,
    /// Most bytes that it may lock into memory; `None` is no limit.
    pub memlock_bytes: Option<u64>,
}

/// Pages of one size above the usual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HugePages {
    /// Size of each in KiB.
    pub kib: u64,
    /// Reserved.
    pub reserved: u64,
    /// Of them, not in use.
    pub free: u64,
}

/// The machine, as far as it changes a capture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// CPUs this process may run on.
    pub cpus: usize,
    /// CPUs of the interface's NUMA node.
    pub cpus_near: Vec<usize>,
    /// Frequency governors in use; empty on machines without.
    pub governors: BTreeSet<String>,
    /// `net.core.bpf_jit_enable`: 0 is off.
    pub bpf_jit: Option<u32>,
    /// Huge pages, by size.
    pub huge_pages: Vec<HugePages>,
    /// A daemon that moves interrupts between CPUs runs.
    pub irqbalance: bool,
}

impl Facts {
    /// Looks at everything. XDP modes are tried on an interface the host uses only when `try_xdp` says so.
    pub fn gather(interface: &str, try_xdp: bool) -> Result<Self, BackendError> {
        let nic = Nic::read(interface)?;
        let process = Process::own();
        Ok(Self {
            kernel: text("/proc/sys/kernel/osrelease").unwrap_or_default(),
            xdp: bpf::programs_at(interface)?,
            trial: trial::try_modes(&nic, process, try_xdp),
            holders: holders::find(interface)?,
            process,
            host: Host::look(nic.numa_node),
            nic,
        })
    }
}

impl Process {
    fn own() -> Self {
        let status = text("/proc/self/status").unwrap_or_default();
        let (soft, _) = getrlimit(Resource::RLIMIT_MEMLOCK).unwrap_or_default();
        Self { memlock_bytes: (soft != nix::libc::RLIM_INFINITY).then_some(soft), ..Self::from_status(&status) }
    }

    /// Rights from the text of `/proc/PID/status`.
    fn from_status(status: &str) -> Self {
        let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
        let bits = line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or_default();
        let has = |capability: u32| bits & (1 << capability) != 0;
        Self {
            net_raw: has(CAP_NET_RAW),
            net_admin: has(CAP_NET_ADMIN),
            bpf: has(CAP_BPF) || has(CAP_SYS_ADMIN),
            ipc_lock: has(CAP_IPC_LOCK),
            memlock_bytes: None,
        }
    }
}

impl Host {
    fn look(node: Option<u32>) -> Self {
        let governors = entries("/sys/devices/system/cpu").filter_map(|cpu| text(cpu.join("cpufreq/scaling_governor")));
        Self {
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            cpus_near: node.map(nic::cpus_of_node).unwrap_or_default(),
            governors: governors.collect(),
            bpf_jit: number("/proc/sys/net/core/bpf_jit_enable"),
            huge_pages: huge_pages(),
            irqbalance: entries("/proc").any(|process| text(process.join("comm")).as_deref() == Some("irqbalance")),
        }
    }
}

fn huge_pages() -> Vec<HugePages> {
    let size = |path: &Path| path.file_name()?.to_str()?.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok();
    let pages = |path: std::path::PathBuf| {
        let (reserved, free) = (number(path.join("nr_hugepages"))?, number(path.join("free_hugepages"))?);
        Some(HugePages { kib: size(&path)?, reserved, free })
    };
    let mut pages: Vec<_> = entries("/sys/kernel/mm/hugepages").filter_map(pages).collect();
    pages.sort_unstable_by_key(|pages| pages.kib);
    pages
}

/// Paths in a directory; none where it cannot be read.
pub fn entries(directory: impl AsRef<Path>) -> impl Iterator<Item = std::path::PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// A short file without its last newline.
pub fn text(path: impl AsRef<Path>) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

fn number<T: FromStr>(path: impl AsRef<Path>) -> Option<T> {
    text(path)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_rights_from_the_status_file() {
        let rights = |hex: &str| Process::from_status(&format!("Name:\tx\nCapEff:\t{hex}\nCapBnd:\tffff\n"));
        assert_eq!(rights("0000000000000000"), Process::default());
        let net_raw = Process { net_raw: true, ..Process::default() };
        assert_eq!(rights("0000000000002000"), net_raw);
        let all = Process { net_raw: true, net_admin: true, bpf: true, ipc_lock: true, memlock_bytes: None };
        assert_eq!((rights("000001ffffffffff"), rights("0000008000007000")), (all, all));
        assert!(rights("0000000000200000").bpf, "CAP_SYS_ADMIN contains it");
        assert_eq!(Process::from_status("nothing"), Process::default());
    }
}
