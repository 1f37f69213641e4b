//! The steps from options to sockets with packets in them.
//!
//! Owns their order and what is tried when one is refused. Reads no packet. Its one invariant: what is not
//! opened in the end leaves nothing behind.
//!
//! The order for a queue is: memory, socket, rings, all frames into the fill ring, bind. So the kernel never
//! finds the fill ring empty, and no packet is redirected to a socket that cannot take it. The program comes
//! before the sockets, since it decides how they are bound; it passes everything on until the sockets of all
//! queues are put into its map together.

use std::time::Duration;

use super::asked::{about_tags, about_times};
use super::attach::Attachment;
use super::explain::{ErrorContext, explain, memlock_bytes, reason, smaller};
use super::index::Overrun;
use super::map::{HUGE_PAGE_BYTES, KernelMemory, SharedMemory};
use super::options::{HugePageUse, XdpMode, XdpOptions};
use super::promiscuous::Beside;
use super::receive::{ReceiveShape, XdpReceiver};
use super::socket::{RingSocket, Seam, SocketFault, SocketStep};
use super::tally::RingReading;
use super::uses::refuse_used;
use crate::bpf::Mode;
use crate::filter::Filter;
use crate::live::interface_error;
use crate::nic::Nic;
use crate::{BackendError, LinkType};

/// The kernel takes a closed socket down behind our back, and its locked memory with it; how often a queue
/// that is said to be busy, and memory that is said to be too much, is asked for again,
const BUSY_RETRIES: u32 = 10;
/// and how long is waited in between.
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// A queue's socket with its memory.
pub(crate) struct QueueSocket {
    /// Unmaps first: the kernel takes a socket down only when nothing of it is mapped.
    pub receiver: XdpReceiver<KernelMemory>,
    pub socket: RingSocket,
    pub queue: u32,
    /// What the program had counted when this socket took over.
    pub base: RingReading,
}

/// Opens.
#[derive(Clone, Debug)]
pub(crate) struct XdpOpener {
    pub options: XdpOptions,
    /// The filter of the options.
    pub filter: Option<Filter>,
    pub seam: Seam,
}

/// An interface with its program attached, and the flags that its sockets are bound with.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub attachment: Attachment,
    shape: ReceiveShape,
    flags: u16,
    numa_node: Option<u32>,
}

impl XdpOpener {
    pub(crate) fn new(options: XdpOptions, seam: Seam) -> Result<Self, BackendError> {
        let filter = options.filter.as_deref().map(|expression| Filter::compile(expression, LinkType::ETHERNET)).transpose()?;
        Ok(Self { options, filter, seam })
    }

    fn fail(&self, what: String) -> BackendError {
        interface_error(&self.options.interface, what)
    }

    /// Attaches the program and opens the first of the chosen queues, which decides how the others are bound;
    /// the queues chosen. None is in the program's map.
    ///
    /// `again` are the queues of a capture that goes on, the one to be opened first; others may have ceased
    /// to be.
    pub(crate) fn interface(
        &self,
        again: Option<&[u32]>,
        said: &mut Vec<String>,
    ) -> Result<(Prepared, QueueSocket, Vec<u32>), BackendError> {
        self.options.shape(false)?; // settings that cannot be are said before anything is asked
        refuse_used(&self.options)?;
        let nic = Nic::read_without_uses(&self.options.interface)?;
        self.check(&nic)?;
        let wanted = again.or(self.options.queues.as_deref()).unwrap_or_default();
        let known = u32::try_from(nic.queues.len()).ok().filter(|count| *count > 0);
        let count = known.unwrap_or_else(|| wanted.iter().max().map_or(1, |last| last.saturating_add(1)));
        let queues = match again {
            None => self.options.chosen_queues(count)?,
            Some(queues) => {
                let first = XdpOptions { queues: queues.first().map(|first| vec![*first]), ..self.options.clone() };
                first.chosen_queues(count)?;
                queues.iter().copied().filter(|queue| *queue < count).collect()
            }
        };
        let first = *queues.first().ok_or_else(|| self.fail("it has no receive queue".to_owned()))?;
        let shape = self.options.shape(self.options.needs_fragments(nic.mtu))?;
        // A socket of no further use tells of missing rights and of a kernel without AF_XDP before anything
        // is changed.
        RingSocket::new(self.seam).map_err(|fault| self.explained(&fault, &shape, first))?;
        let attachment = Attachment::new(&self.options, self.filter.as_ref(), &nic, count, self.seam, said)?;
        let mut prepared = Prepared { attachment, shape, flags: 0, numa_node: nic.numa_node.filter(|_| has_several_nodes()) };
        let socket = self.first_queue(&mut prepared, first, said)?;
        self.tell(&prepared, &nic, queues.len() as u32, known, said);
        Ok((prepared, socket, queues))
    }

    /// What AF_XDP cannot do with this interface.
    fn check(&self, nic: &Nic) -> Result<(), BackendError> {
        if !nic.up {
            return Err(self.fail(format!("it is down; bring it up first (`sudo ip link set {} up`)", nic.name)));
        }
        let hardware = Beside::new().and_then(|beside| beside.hardware_type(&nic.name)).map_err(|error| {
            let fault = SocketFault::new(SocketStep::Promiscuous, error);
            self.fail(explain(&fault, &ErrorContext { interface: nic.name.clone(), ..ErrorContext::default() }))
        })?;
        if ![libc::ARPHRD_ETHER, libc::ARPHRD_LOOPBACK].contains(&hardware) {
            return Err(self.fail(format!("it is no Ethernet interface (type {hardware}); take --backend tpacket")));
        }
        Ok(())
    }

    /// Tries the ways of binding from the best on; keeps the first that works in `prepared`.
    fn first_queue(&self, prepared: &mut Prepared, queue: u32, said: &mut Vec<String>) -> Result<QueueSocket, BackendError> {
        let interface = &self.options.interface;
        let is_native = prepared.attachment.mode() == Mode::Native;
        let ways: &[u16] = match self.options.mode {
            XdpMode::Auto if is_native => &[libc::XDP_ZEROCOPY, libc::XDP_COPY],
            XdpMode::ZeroCopy => &[libc::XDP_ZEROCOPY],
            XdpMode::Auto | XdpMode::Native | XdpMode::Generic => &[libc::XDP_COPY],
        };
        let mut socket = self.unbound(prepared, queue, said)?;
        for (number, way) in ways.iter().enumerate() {
            match self.bind_by(prepared, &socket.socket, queue, *way) {
                Ok(flags) => {
                    prepared.flags = flags;
                    if prepared.shape.has_fragments && flags & libc::XDP_USE_SG == 0 {
                        said.push(format!(
                            "interface {interface}: this kernel (before 6.6) gives no packets in several frames: those longer than {} bytes \
                             are counted as dropped by the kernel",
                            self.options.frame_room()
                        ));
                    }
                    return Ok(socket);
                }
                Err(fault) if number + 1 < ways.len() && fault.errno() != libc::EBUSY && fault.errno() != libc::EPERM => {
                    said.push(format!(
                        "interface {interface}: no zero copy with this driver ({}); {}native mode with one copy",
                        reason(&fault),
                        smaller(&self.facts(&prepared.shape, queue))
                    ));
                    // A socket of its own for each way: what a refused bind left of the old one is not known.
                    drop(socket);
                    socket = self.unbound(prepared, queue, &mut Vec::new())?;
                }
                Err(fault) => return Err(self.explained(&fault, &prepared.shape, queue)),
            }
        }
        Err(self.fail("no way to bind a socket is left".to_owned()))
    }

    /// Binds with all that is wanted, then with less where the kernel does not know a flag; the flags that
    /// were taken.
    fn bind_by(&self, prepared: &Prepared, socket: &RingSocket, queue: u32, way: u16) -> Result<u16, SocketFault> {
        let fragments = if prepared.shape.has_fragments { libc::XDP_USE_SG } else { 0 };
        let mut refused = None;
        for flags in [way | fragments | libc::XDP_USE_NEED_WAKEUP, way | libc::XDP_USE_NEED_WAKEUP, way] {
            match self.bind(prepared.attachment.ifindex, socket, queue, flags) {
                Ok(()) => return Ok(flags),
                Err(fault) if fault.errno() == libc::EINVAL => refused = refused.or(Some(fault)),
                Err(fault) => return Err(fault),
            }
        }
        Err(refused.unwrap_or_else(|| SocketFault::new(SocketStep::Bind, std::io::Error::from_raw_os_error(libc::EINVAL))))
    }

    fn bind(&self, ifindex: u32, socket: &RingSocket, queue: u32, flags: u16) -> Result<(), SocketFault> {
        retried(libc::EBUSY, || socket.bind(ifindex, queue, flags))
    }

    /// Opens a further queue as the first one was; it is not in the program's map.
    pub(crate) fn queue(&self, prepared: &Prepared, queue: u32) -> Result<QueueSocket, BackendError> {
        let socket = self.unbound(prepared, queue, &mut Vec::new())?;
        self.bind(prepared.attachment.ifindex, &socket.socket, queue, prepared.flags)
            .map_err(|fault| self.explained(&fault, &prepared.shape, queue))?;
        Ok(socket)
    }

    /// Everything up to the bind.
    fn unbound(&self, prepared: &Prepared, queue: u32, said: &mut Vec<String>) -> Result<QueueSocket, BackendError> {
        let shape = &prepared.shape;
        let mut make = || -> Result<Result<QueueSocket, Overrun>, SocketFault> {
            let memory = self.memory(shape, prepared.numa_node, said)?;
            let socket = RingSocket::new(self.seam)?;
            retried(libc::ENOBUFS, || socket.register(&memory, shape.frame_bytes))?;
            let (rx, fill) = socket.rings(shape.rx_entries, shape.fill_entries)?;
            if let Some(busy_poll) = self.options.busy_poll {
                socket.set_busy_poll(busy_poll)?;
            }
            let receiver = XdpReceiver::new(KernelMemory::new(rx, fill, memory), shape);
            Ok(receiver.map(|receiver| QueueSocket { receiver, socket, queue, base: RingReading::default() }))
        };
        match make() {
            Ok(Ok(socket)) => Ok(socket),
            Ok(Err(overrun)) => Err(self.fail(damaged_ring(overrun))),
            Err(fault) => Err(self.explained(&fault, shape, queue)),
        }
    }

    /// The packet memory: huge pages as asked for, on the device's node where there are several.
    fn memory(&self, shape: &ReceiveShape, node: Option<u32>, said: &mut Vec<String>) -> Result<SharedMemory, SocketFault> {
        let interface = &self.options.interface;
        let bytes = shape.frame_count as usize * shape.frame_bytes as usize;
        let huge_bytes = bytes.next_multiple_of(HUGE_PAGE_BYTES);
        let huge = || {
            self.seam.check(SocketStep::HugePages, 0)?;
            SharedMemory::anonymous(huge_bytes, libc::MAP_HUGETLB | libc::MAP_HUGE_2MB)
                .map_err(|error| SocketFault::new(SocketStep::HugePages, error))
        };
        let ordinary = || {
            self.seam.check(SocketStep::Memory, 0)?;
            SharedMemory::anonymous(bytes, 0).map_err(|error| SocketFault::new(SocketStep::Memory, error))
        };
        let memory = match self.options.huge_pages {
            HugePageUse::Require => huge()?,
            HugePageUse::Off => ordinary()?,
            HugePageUse::Auto => match huge() {
                Ok(memory) => memory,
                Err(_) => {
                    said.push(format!(
                        "interface {interface}: ordinary memory, since not enough huge pages are reserved (a queue takes {}; see vm.nr_hugepages)",
                        huge_bytes / HUGE_PAGE_BYTES
                    ));
                    let memory = ordinary()?;
                    memory.prefer_huge_pages();
                    memory
                }
            },
        };
        if let Some(node) = node
            && let Err(error) = memory.prefer_node(node)
        {
            said.push(format!("interface {interface}: its memory could not be asked from NUMA node {node}: {error}"));
        }
        Ok(memory)
    }

    fn explained(&self, fault: &SocketFault, shape: &ReceiveShape, queue: u32) -> BackendError {
        self.fail(explain(fault, &self.facts(shape, queue)))
    }

    fn facts(&self, shape: &ReceiveShape, queue: u32) -> ErrorContext {
        ErrorContext {
            interface: self.options.interface.clone(),
            queue,
            memory_bytes: u64::from(shape.frame_count) * u64::from(shape.frame_bytes),
            memlock_bytes: memlock_bytes(),
            rx_entries: shape.rx_entries,
            fill_entries: shape.fill_entries,
            frame_bytes: shape.frame_bytes,
            mtu_max: shape.has_fragments.then(|| self.options.mtu_max()),
        }
    }

    /// Says what was reached, and what will not be seen.
    fn tell(&self, prepared: &Prepared, nic: &Nic, chosen: u32, count: Option<u32>, said: &mut Vec<String>) {
        let interface = &self.options.interface;
        let way = match (prepared.attachment.mode(), prepared.flags & libc::XDP_ZEROCOPY != 0) {
            (Mode::Native, true) => "native mode, zero copy",
            (Mode::Native, false) => "native mode, one copy",
            (Mode::Generic, _) => "generic mode",
        };
        let queues = match (chosen, count) {
            (1, None) => "one queue".to_owned(),
            (_, None) => format!("{chosen} queues"),
            (1, Some(1)) => "its one queue".to_owned(),
            (_, Some(count)) if chosen == count => format!("all {count} queues"),
            (_, Some(count)) => format!("{chosen} of {count} queues"),
        };
        said.push(format!("interface {interface}: AF_XDP in {way}, {queues}"));
        let asked = prepared.attachment.asked;
        said.push(format!("interface {interface}: {}", about_times(prepared.attachment.clock_name(), asked)));
        if count.is_none() {
            said.push(format!(
                "interface {interface}: how many receive queues it has is not known; packets of others than were opened go to the host and \
                 are not seen (name all that it has: --xdp-queues, xdp.queues)"
            ));
        }
        if count.is_some_and(|count| chosen < count) {
            said.push(format!("interface {interface}: packets of its other queues go to the host and are not seen"));
        }
        said.extend(about_tags(nic, asked).map(|tags| format!("interface {interface}: {tags}")));
    }
}

/// Tries again for a while as long as the kernel says `errno`.
fn retried(errno: i32, mut attempt: impl FnMut() -> Result<(), SocketFault>) -> Result<(), SocketFault> {
    let mut tries = 0;
    loop {
        match attempt() {
            Err(fault) if fault.errno() == errno && tries < BUSY_RETRIES => {
                tries += 1;
                std::thread::sleep(BUSY_PAUSE);
            }
            result => return result,
        }
    }
}

/// What a ring says that cannot be.
pub(crate) fn damaged_ring(overrun: Overrun) -> String {
    let Overrun { ours, theirs, entries } = overrun;
    format!("a ring is damaged: its positions are {ours} (ours) and {theirs} (the kernel's), with {entries} places")
}

/// Whether the machine has more than one NUMA node.
fn has_several_nodes() -> bool {
    std::fs::read_to_string("/sys/devices/system/node/online").is_ok_and(|online| online.contains([',', '-']))
}
