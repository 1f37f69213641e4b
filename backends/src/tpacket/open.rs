//! The steps by which an interface is opened, and what to say when one of them is refused.
//!
//! Owns the order of the steps. Reads no packet. Its one invariant: either all sockets of a group are open,
//! or none is.

use std::io;
use std::sync::Arc;

use super::program::{LOCKED, SocketProgram, build};
use super::socket::{Mapped, Socket, attach_filter};
use super::{Fanout, TpacketOptions};
use crate::filter::Filter;
use crate::live::{LONG_FILTER, Notices, explain, interface_error};
use crate::{BackendError, LinkType};

/// What opening asks of the kernel, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OpenStep {
    Socket,
    Interface,
    Version,
    Lock,
    Ring,
    Map,
    Bind,
    Fanout,
    Filter,
}

/// How to open; a test names a step that the kernel shall refuse, with the number of the error.
#[derive(Clone, Copy, Debug)]
pub(super) struct TpacketOpener {
    pub(super) refuse: Option<(OpenStep, i32)>,
}

/// One socket of a group, ready to be read.
#[derive(Debug)]
pub(super) struct FanoutMember {
    pub(super) mapped: Mapped,
    /// Index of the interface.
    pub(super) index: i32,
    pub(super) link_type: LinkType,
    /// Number of the fanout group; `None` for a single socket.
    pub(super) fanout_id: Option<u16>,
    /// What of the filter is run here.
    pub(super) rest: Option<Arc<Filter>>,
}

/// An interface opened.
#[derive(Debug)]
pub(super) struct OpenedInterface {
    pub(super) members: Vec<FanoutMember>,
    pub(super) notices: Notices,
}

/// What the kernel says of an interface.
struct Device {
    index: i32,
    link_type: LinkType,
    is_loopback: bool,
}

/// `ARPHRD_RAWIP` (linux/if_arp.h): no link header.
const ARPHRD_RAWIP: u16 = 519;

/// The link type of a device, from its ARPHRD number (linux/if_arp.h), where that says all.
const fn link_type_of(hardware: u16) -> Option<LinkType> {
    match hardware {
        // The loopback device makes Ethernet headers, with addresses of zero.
        libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK => Some(LinkType::ETHERNET),
        libc::ARPHRD_NONE | ARPHRD_RAWIP | libc::ARPHRD_TUNNEL | libc::ARPHRD_SIT => Some(LinkType::RAW),
        _ => None,
    }
}

impl TpacketOpener {
    fn step<T>(
        &self,
        step: OpenStep,
        options: &TpacketOptions,
        interface: &str,
        call: impl FnOnce() -> io::Result<T>,
    ) -> Result<T, BackendError> {
        let result = match self.refuse {
            Some((refused, number)) if refused == step => Err(io::Error::from_raw_os_error(number)),
            _ => call(),
        };
        result.map_err(|error| interface_error(interface, why(step, &error, options, interface)))
    }

    /// Opens all sockets of a group. None receives anything until all of them are complete.
    pub(super) fn open(&self, options: &TpacketOptions, interface: &str) -> Result<OpenedInterface, BackendError> {
        let step = |step, call: &mut dyn FnMut() -> io::Result<()>| self.step(step, options, interface, call);
        let mut notices = Notices::default();
        let first = self.step(OpenStep::Socket, options, interface, Socket::new)?;
        let device = self.device(options, interface, &first)?;
        let SocketProgram { instructions: program, rest } = build(options, device.link_type, device.is_loopback)?;
        if rest.is_some() {
            notices.push(format!("interface {interface}: {LONG_FILTER}"));
        }
        if device.is_loopback {
            notices.push(format!("interface {interface} carries each packet twice, out and in again; the first is left out"));
        }
        let mut first = Some(first);
        let mut members: Vec<FanoutMember> = Vec::with_capacity(options.workers);
        for _ in 0..options.workers {
            let socket = match first.take() {
                Some(socket) => socket,
                None => self.step(OpenStep::Socket, options, interface, Socket::new)?,
            };
            let mapped = self.ring(options, interface, socket)?;
            let socket = &mapped.socket;
            if options.promiscuous && socket.set_promiscuous(device.index).is_err() && members.is_empty() {
                notices.has_no_promiscuous_mode(interface);
            }
            step(OpenStep::Bind, &mut || {
                socket.bind(device.index)?;
                // A bind to an interface that is down succeeds and leaves this behind.
                match socket.error()? {
                    0 => Ok(()),
                    number => Err(io::Error::from_raw_os_error(number)),
                }
            })?;
            let group = members.first().and_then(|member| member.fanout_id);
            let fanout_id = match options.workers {
                1 => None,
                _ => Some(self.step(OpenStep::Fanout, options, interface, || join(socket, options, group))?),
            };
            members.push(FanoutMember {
                mapped,
                index: device.index,
                link_type: device.link_type,
                fanout_id,
                rest: rest.clone(),
            });
        }
        for member in &members {
            step(OpenStep::Filter, &mut || attach_filter(&member.mapped.socket, &program))?;
        }
        Ok(OpenedInterface { members, notices })
    }

    fn device(&self, options: &TpacketOptions, interface: &str, socket: &Socket) -> Result<Device, BackendError> {
        let fail = |what| interface_error(interface, what);
        if interface == "any" {
            return Err(fail("is no interface but all of them, which tpacket cannot read; use --backend libpcap".to_owned()));
        }
        let (index, hardware, is_up) = self.step(OpenStep::Interface, options, interface, || {
            Ok((socket.index_of(interface)?, socket.hardware_of(interface)?, socket.is_up(interface)?))
        })?;
        if !is_up {
            return Err(fail(explain(interface, "it is down")));
        }
        let Some(link_type) = link_type_of(hardware) else {
            return Err(fail(format!(
                "its kind of device (ARPHRD {hardware}) is not one that tpacket reads; use --backend libpcap"
            )));
        };
        Ok(Device { index, link_type, is_loopback: hardware == libc::ARPHRD_LOOPBACK })
    }

    /// A ring that is locked: no packet comes, whatever the socket is bound to.
    fn ring(&self, options: &TpacketOptions, interface: &str, socket: Socket) -> Result<Mapped, BackendError> {
        let step = |step, call: &mut dyn FnMut() -> io::Result<()>| self.step(step, options, interface, call);
        let (block_bytes, block_count) = (options.block_bytes, options.blocks_per_ring());
        step(OpenStep::Version, &mut || socket.set_version_3())?;
        step(OpenStep::Lock, &mut || attach_filter(&socket, LOCKED))?;
        step(OpenStep::Ring, &mut || socket.set_ring(block_bytes, block_count, options.retire_after_ms()))?;
        self.step(OpenStep::Map, options, interface, || Mapped::new(socket, block_bytes, block_count))
    }
}

/// Makes a group of which the kernel chooses the number, so that it is nobody else's, or joins `group`.
fn join(socket: &Socket, options: &TpacketOptions, group: Option<u16>) -> io::Result<u16> {
    let mode = match options.fanout {
        Fanout::Hash => libc::PACKET_FANOUT_HASH,
        Fanout::Cpu => libc::PACKET_FANOUT_CPU,
        Fanout::Queue => libc::PACKET_FANOUT_QM,
    } as u16;
    let flags = match options.fanout {
        Fanout::Hash if options.defrag => libc::PACKET_FANOUT_FLAG_DEFRAG,
        _ => 0,
    } as u16;
    match group {
        None => socket.join(0, mode, flags | libc::PACKET_FANOUT_FLAG_UNIQUEID as u16),
        Some(id) => socket.join(id, mode, flags),
    }
}

/// What failed, why and what to do.
fn why(step: OpenStep, error: &io::Error, options: &TpacketOptions, interface: &str) -> String {
    let ring = || {
        let (kib, count) = (options.block_bytes >> 10, options.blocks_per_ring());
        let mebibytes = (u64::from(kib) * u64::from(count) * options.workers as u64) >> 10;
        format!("{} rings of {count} blocks of {kib} KiB ({mebibytes} MiB in all)", options.workers)
    };
    match (step, error.raw_os_error()) {
        (OpenStep::Socket, Some(libc::EAFNOSUPPORT)) => {
            format!("the kernel has no packet sockets ({error}); load its module af_packet, or use --backend libpcap")
        }
        (OpenStep::Socket | OpenStep::Interface, _) => explain(interface, &error.to_string()),
        (OpenStep::Version, Some(libc::EINVAL | libc::ENOPROTOOPT)) => {
            format!("the kernel has no TPACKET_V3 rings ({error}), which came with Linux 3.2; use --backend libpcap")
        }
        (OpenStep::Ring | OpenStep::Map, Some(libc::ENOMEM | libc::EAGAIN)) => {
            format!("no memory for {} ({error}); ask for fewer or smaller blocks, or fewer workers", ring())
        }
        (OpenStep::Ring, _) => format!("the kernel refuses {}: {error}; ask for other block sizes or counts", ring()),
        (OpenStep::Bind, Some(libc::ENETDOWN | libc::ENODEV | libc::ENXIO)) => explain(interface, &error.to_string()),
        (OpenStep::Fanout, _) => format!(
            "the kernel refuses a fanout group of {} sockets ({error}), which needs Linux 4.12; ask for one worker, or use --backend libpcap",
            options.workers
        ),
        (OpenStep::Filter, _) => format!("the kernel refuses the filter ({error}); use a shorter one, or --backend libpcap"),
        (OpenStep::Version | OpenStep::Lock | OpenStep::Map | OpenStep::Bind, _) => {
            format!("opening it failed at the step {step:?}: {error}; use --backend libpcap")
        }
    }
}
