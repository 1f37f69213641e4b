//! The sources that packets can be taken from, each opened the same way: 64 MiB of memory, everything else as
//! it is by default.
//!
//! Owns the list of them. Its one invariant: each is offered its load on the way its kernel code lies on.

use super::generator::Via;
use netscope_backends::Backend;
use netscope_backends::pcap::{LiveBackend, LiveOptions};
use netscope_backends::tpacket::{self, TpacketOptions};
use netscope_backends::xdp::{self, XdpMode, XdpOptions};
use std::time::Duration;

/// Memory between the kernel and a reader, in bytes: the same for all that are compared.
pub const BUFFER_BYTES: u32 = 64 << 20;

/// A way to take packets from an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingKind {
    /// Through libpcap.
    Libpcap,
    /// AF_PACKET, TPACKET_V3.
    Tpacket,
    /// AF_XDP, the program run by the driver, packets copied.
    XdpNative,
    /// AF_XDP, the program run by the stack.
    XdpGeneric,
}

impl RingKind {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Libpcap, Self::Tpacket, Self::XdpNative, Self::XdpGeneric];

    /// What it is called on a command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Libpcap => "libpcap",
            Self::Tpacket => "tpacket",
            Self::XdpNative => "xdp",
            Self::XdpGeneric => "xdp-generic",
        }
    }

    /// The ring of this name.
    ///
    /// # Errors
    /// With the names there are.
    pub fn named(name: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().copied().find(|ring| ring.name() == name);
        let names = || Self::ALL.iter().map(|ring| ring.name()).collect::<Vec<_>>().join(", ");
        found.ok_or_else(|| format!("there is no ring {name:?}; choose one of {}", names()))
    }

    /// The way its load takes.
    pub const fn via(self) -> Via {
        match self {
            Self::Libpcap | Self::Tpacket | Self::XdpGeneric => Via::Stack,
            Self::XdpNative => Via::Wire,
        }
    }

    /// How long to wait until the last packet of a load can be read.
    pub const fn settle(self) -> Duration {
        match self {
            Self::Libpcap | Self::Tpacket => Duration::from_millis(40), // the last block is closed by time
            Self::XdpNative | Self::XdpGeneric => Duration::from_millis(1),
        }
    }

    /// Opens queue 0 of `interface` in the calling thread's namespace.
    ///
    /// # Errors
    /// What the source says.
    pub fn open(self, interface: &str) -> Result<Box<dyn Backend>, String> {
        self.open_with(interface, 0)
    }

    /// The same, so that all its memory can be filled before anybody reads: AF_XDP otherwise gives the kernel
    /// what its naps need.
    ///
    /// # Errors
    /// What the source says.
    pub fn open_to_fill(self, interface: &str) -> Result<Box<dyn Backend>, String> {
        self.open_with(interface, u32::MAX)
    }

    fn open_with(self, interface: &str, ready_count: u32) -> Result<Box<dyn Backend>, String> {
        let said = |error: netscope_backends::BackendError| error.to_string();
        match self {
            Self::Libpcap => {
                let buffer_size_mb = Some(BUFFER_BYTES >> 20);
                let interface = Some(interface.to_owned());
                let options = LiveOptions { interface, buffer_size_mb, ..LiveOptions::default() };
                Ok(Box::new(LiveBackend::open(options).map_err(said)?))
            }
            Self::Tpacket => {
                let options = TpacketOptions { interface: Some(interface.to_owned()), ..TpacketOptions::default() };
                let first = tpacket::open(options).map_err(said)?.into_iter().next();
                Ok(Box::new(first.ok_or("no worker's ring was opened")?))
            }
            Self::XdpNative => open_xdp(interface, XdpMode::Native, ready_count),
            Self::XdpGeneric => open_xdp(interface, XdpMode::Generic, ready_count),
        }
    }
}

/// By default a queue has 32768 frames of 2048 bytes: [`BUFFER_BYTES`].
fn open_xdp(interface: &str, mode: XdpMode, ready_count: u32) -> Result<Box<dyn Backend>, String> {
    let queues = Some(vec![0]);
    let options =
        XdpOptions { interface: interface.to_owned(), queues, mode, ready_count, insist: true, ..XdpOptions::default() };
    let first = xdp::open(options).map_err(|error| error.to_string())?.queues.into_iter().next();
    Ok(Box::new(first.ok_or("no queue was opened")?))
}
