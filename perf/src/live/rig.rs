//! A wire to measure on: a network namespace with a veth pair inside, nothing outside.
//!
//! Owns the namespace. Knows nothing of what is sent or received on it. Its one invariant: what it made is
//! gone when it is dropped, also after a panic; what a killed process left behind is removed when the next
//! rig is made.

use nix::sched::{CloneFlags, setns};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// The end on which frames are received.
pub const RECEIVER: &str = "veth0";
/// The end into which frames are sent.
pub const SENDER: &str = "veth1";

/// Where `ip netns` keeps its names.
const NAMESPACES: &str = "/run/netns";
const PREFIX: &str = "nsrig-";

/// Makes names differ within one process. Alone: no other memory depends on its order.
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// How the wire is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RigSettings {
    /// Receive and transmit queues of either end. Native XDP wants at least as many receive queues as the
    /// other end has for sending, so both are the same.
    pub queues: u32,
    /// Largest packet in bytes, Ethernet header not counted. Native XDP without multi-buffer takes at most
    /// 3506 on a veth.
    pub mtu: u32,
}

impl Default for RigSettings {
    fn default() -> Self {
        Self { queues: 1, mtu: 1500 }
    }
}

/// A namespace with the pair [`RECEIVER`] - [`SENDER`], up, without addresses and without IPv6: the kernel
/// says nothing on it by itself.
#[derive(Debug)]
pub struct Rig {
    name: String,
}

impl Rig {
    /// Why no rig can be made here, if so: a reason to skip a test.
    pub fn obstacle() -> Option<&'static str> {
        if !nix::unistd::geteuid().is_root() {
            return Some("making network namespaces needs root");
        }
        let worked = Self::new(&RigSettings::default()).is_ok();
        (!worked).then_some("network namespaces or veth pairs cannot be made here")
    }

    /// Makes the namespace and the pair.
    ///
    /// # Errors
    /// When `ip` is missing or refuses; needs root.
    pub fn new(settings: &RigSettings) -> Result<Self, String> {
        remove_leftovers();
        let name = format!("{PREFIX}{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        ip(&["netns", "add", &name])?;
        let rig = Self { name }; // from here on deleted by drop
        rig.inside(without_ipv6)??;
        let (queues, mtu) = (settings.queues.to_string(), settings.mtu.to_string());
        let end = ["mtu", &mtu, "numrxqueues", &queues, "numtxqueues", &queues];
        let pair = [&["link", "add", RECEIVER][..], &end, &["type", "veth", "peer", "name", SENDER], &end].concat();
        rig.ip(&pair)?;
        rig.ip(&["link", "set", "dev", RECEIVER, "up"])?;
        rig.ip(&["link", "set", "dev", SENDER, "up"])?;
        Ok(rig)
    }

    /// Name of the namespace, as `ip netns` shows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `ip` with `arguments` in the namespace.
    ///
    /// # Errors
    /// When it fails; with what it said.
    pub fn ip(&self, arguments: &[&str]) -> Result<(), String> {
        ip(&[&["-n", &self.name], arguments].concat())
    }

    /// A command that runs `program` in the namespace, as the very process that is started.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// Runs `work` on a thread of its own that is inside the namespace. Sockets opened there stay there. A
    /// panic goes on here.
    ///
    /// # Errors
    /// When the namespace cannot be entered.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, String> {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| self.enter().map(|()| work()));
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Moves the calling thread into the namespace, for good.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn enter(&self) -> Result<(), String> {
        let path = PathBuf::from(NAMESPACES).join(&self.name);
        let file = File::open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        setns(file, CloneFlags::CLONE_NEWNET).map_err(|error| format!("cannot enter the namespace {}: {error}", self.name))
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Err(reason) = ip(&["netns", "delete", &self.name]) {
            eprintln!("the namespace {} could not be deleted: {reason}", self.name);
        }
    }
}

/// Packets and drops of an interface in the calling thread's namespace, as the kernel counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InterfaceCounters {
    /// Packets received.
    pub received: u64,
    /// Packets that were to be received and were dropped.
    pub receive_drops: u64,
    /// Packets sent.
    pub sent: u64,
    /// Packets that were to be sent and were dropped.
    pub send_drops: u64,
}

impl InterfaceCounters {
    /// Reads those of `interface`, out of proc(5)'s `net/dev`.
    ///
    /// # Errors
    /// When there is no such interface.
    pub fn of(interface: &str) -> Result<Self, String> {
        // The thread's own: /proc/net is the namespace of the process.
        let path = "/proc/thread-self/net/dev";
        let text = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
        Self::parse(&text, interface).ok_or_else(|| format!("{path} has no interface {interface}"))
    }

    fn parse(text: &str, interface: &str) -> Option<Self> {
        let values = text.lines().find_map(|line| line.trim().strip_prefix(interface)?.strip_prefix(':'))?;
        let values: Vec<u64> = values.split_whitespace().map(|word| word.parse().ok()).collect::<Option<_>>()?;
        // bytes, packets, errors, drops and four more, then the same for sending.
        let at = |index: usize| values.get(index).copied();
        Some(Self { received: at(1)?, receive_drops: at(3)?, sent: at(9)?, send_drops: at(11)? })
    }

    /// What was added since `earlier`.
    #[must_use]
    pub const fn since(&self, earlier: &Self) -> Self {
        Self {
            received: self.received.wrapping_sub(earlier.received),
            receive_drops: self.receive_drops.wrapping_sub(earlier.receive_drops),
            sent: self.sent.wrapping_sub(earlier.sent),
            send_drops: self.send_drops.wrapping_sub(earlier.send_drops),
        }
    }
}

/// Turns IPv6 off for what is and what will be in the calling thread's namespace; a kernel without IPv6 needs
/// nothing.
fn without_ipv6() -> Result<(), String> {
    for family in ["all", "default"] {
        let path = PathBuf::from("/proc/sys/net/ipv6/conf").join(family).join("disable_ipv6");
        match fs::write(&path, "1") {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(format!("{}: {error}", path.display())),
            _ => {}
        }
    }
    Ok(())
}

/// Deletes namespaces of rigs whose process is gone.
fn remove_leftovers() {
    for entry in fs::read_dir(NAMESPACES).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(owner) = owner(&name) else { continue };
        if !Path::new("/proc").join(owner.to_string()).exists() {
            // Another process may have been faster; a namespace too many does not disturb a measurement.
            let _deleted = ip(&["netns", "delete", &name]);
        }
    }
}

/// The process that made a namespace of this name, if it is a rig's.
fn owner(name: &str) -> Option<u32> {
    name.strip_prefix(PREFIX)?.split_once('-')?.0.parse().ok()
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("cannot start `ip`: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("`ip {}`: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_from_their_columns() {
        let text = "Inter-|   Receive\n face |bytes packets\n    lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n veth0:10 20 30 40 50 60 70 80 90 100 110 120 130 140 150 160\n";
        let counters = InterfaceCounters::parse(text, "veth0").unwrap();
        assert_eq!(counters, InterfaceCounters { received: 20, receive_drops: 40, sent: 100, send_drops: 120 });
        assert_eq!(counters.since(&InterfaceCounters::parse(text, "lo").unwrap()).send_drops, 108);
        assert_eq!(InterfaceCounters::parse(text, "veth"), None);
        assert_eq!(InterfaceCounters::parse("veth0: 1 2 x", "veth0"), None);
    }

    #[test]
    fn a_namespace_names_its_owner() {
        assert_eq!(owner("nsrig-17-3"), Some(17));
        assert_eq!(owner("nsrig-x-3"), None);
        assert_eq!(owner("nstest-17-3"), None);
    }
}
