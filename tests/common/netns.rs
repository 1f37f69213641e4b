//! A network namespace with a veth pair inside, for tests that need a wire. Linux and root.
//!
//! Both ends lie in the namespace, without addresses and without IPv6, so the kernel says nothing on the wire by itself.

use super::skip;
use nix::sched::{CloneFlags, setns};
use std::fs::File;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// Where the test sends.
pub const SENDER: &str = "veth1";
/// Where the program under test captures.
pub const RECEIVER: &str = "veth0";

/// Makes names differ within one process. Alone: no other memory depends on its order.
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// How the pair is made.
#[derive(Clone, Copy, Debug)]
pub struct Wire {
    /// Receive and transmit queues of either end.
    pub queues: u32,
    /// Longest packet in bytes, Ethernet header not counted.
    pub mtu: u32,
}

impl Default for Wire {
    /// One queue, and any packet fits.
    fn default() -> Self {
        Self { queues: 1, mtu: 65_535 }
    }
}

/// A namespace that is deleted when dropped.
pub struct NetNs {
    name: String,
}

impl NetNs {
    /// A namespace with the pair [`RECEIVER`] - [`SENDER`] up; `None` (told, or a panic in CI) where namespaces cannot be made.
    pub fn with_veth() -> Option<Self> {
        Self::with_wire(&Wire::default())
    }

    /// As [`NetNs::with_veth`], with a pair of this kind.
    pub fn with_wire(wire: &Wire) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            skip("making network namespaces needs root");
            return None;
        }
        let name = format!("nstest-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        if !succeeds(Command::new("ip").args(["netns", "add", &name])) {
            skip("`ip netns add` does not work here");
            return None;
        }
        let namespace = Self { name }; // from here on deleted by drop
        for family in ["all", "default"] {
            namespace.exec(
                "sh",
                &["-c", &format!("echo 1 >/proc/sys/net/ipv6/conf/{family}/disable_ipv6 || test ! -e /proc/sys/net/ipv6")],
            );
        }
        namespace.add_wire(wire);
        Some(namespace)
    }

    /// Adds a pair of this kind.
    pub fn add_wire(&self, wire: &Wire) {
        let (queues, mtu) = (wire.queues.to_string(), wire.mtu.to_string());
        let end = ["mtu", &mtu, "numrxqueues", &queues, "numtxqueues", &queues];
        self.ip(&[&["link", "add", RECEIVER][..], &end, &["type", "veth", "peer", "name", SENDER], &end].concat());
        self.ip(&["link", "set", "dev", RECEIVER, "up"]);
        self.ip(&["link", "set", "dev", SENDER, "up"]);
    }

    /// Runs `ip` in the namespace; panics when it fails.
    #[track_caller]
    pub fn ip(&self, arguments: &[&str]) {
        let mut command = Command::new("ip");
        command.args(["-n", &self.name]).args(arguments);
        assert!(succeeds(&mut command), "{command:?}");
    }

    /// A command that runs `program` in the namespace, as the very process that is started.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// Runs `work` on a thread of its own that is inside the namespace.
    #[track_caller]
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let path = PathBuf::from("/run/netns").join(&self.name);
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                let file = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                setns(file, CloneFlags::CLONE_NEWNET).expect("root may enter a namespace");
                work()
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Runs `program` in the namespace; panics when it fails.
    #[track_caller]
    pub fn exec(&self, program: &str, arguments: &[&str]) {
        let mut command = self.command(program);
        assert!(succeeds(command.args(arguments)), "{command:?}");
    }
}

impl Drop for NetNs {
    fn drop(&mut self) {
        if !succeeds(Command::new("ip").args(["netns", "delete", &self.name])) {
            eprintln!("the namespace {} could not be deleted", self.name);
        }
    }
}

fn succeeds(command: &mut Command) -> bool {
    command.status().is_ok_and(|status| status.success())
}
