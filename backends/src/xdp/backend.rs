//! One queue as a source of packets: waits, lends, counts, and lives through what happens to the interface.
//!
//! Owns one socket and its share of the program. Knows no protocol. Its one invariant: what the program gave
//! to the socket was lent, is named as lost, or is still in the ring.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::attach::AttachState;
use super::group::{Left, QueueGroup, Reopened};
use super::open::{Prepared, QueueSocket, damaged_ring};
use super::pace::{Pacer, Wait};
use super::tally::RingReading;
use crate::chosen::lend_wanted;
use crate::live::{DELETED, Notices, RETRY_INTERVAL, interface_error, now};
use crate::tpacket::interface_drops;
use crate::wait::{Readiness, wait_readable};
use crate::{BATCH_MAX, Backend, BackendError, Counters, LinkType, Packet, Polled, RingFill};

/// Most entries taken by one poll, so that a stop is noticed soon under any load.
const ENTRIES_MAX: u32 = 16 * BATCH_MAX as u32;

/// One queue of an AF_XDP capture.
pub struct XdpBackend {
    group: Arc<QueueGroup>,
    /// Which of the backends of the interface this is. The first one speaks for the interface.
    number: usize,
    queue: u32,
    /// What the interface is called now.
    name: String,
    state: QueueState,
    pacer: Pacer,
    /// Of sockets before this one, and of the interface.
    counters: Counters,
    /// The interface's own drops when last asked; `None` before, and where it does not say.
    drops_last: Option<u64>,
    /// Left out by us, where the filter is not part of the program.
    filtered: u64,
    /// The most entries that a poll found waiting.
    waiting_max: u32,
    notices: Notices,
    /// When to look next what has become of the interface.
    look: Instant,
    /// Times we waited, for tests.
    waits: u64,
}

enum QueueState {
    Open(Box<OpenQueue>),
    /// The interface is gone; when to look for it again, and what was left there.
    Gone(Instant, Left),
    Ended,
}

struct OpenQueue {
    /// Goes first: the program stays attached until nobody needs it.
    socket: QueueSocket,
    prepared: Arc<Prepared>,
    is_down: bool,
    is_detached: bool,
    is_unstamped: bool,
    is_untagged: bool,
    is_timed_by_program: bool,
    has_strays: bool,
}

impl OpenQueue {
    fn new(prepared: Arc<Prepared>, socket: QueueSocket) -> Box<Self> {
        Box::new(Self {
            socket,
            prepared,
            is_down: false,
            is_detached: false,
            is_unstamped: false,
            is_untagged: false,
            is_timed_by_program: false,
            has_strays: false,
        })
    }

    /// Looks what the driver's answers were worth.
    fn look_at_answers(&mut self, queue: u32, notices: &mut Notices) -> Result<(), BackendError> {
        let attachment = &self.prepared.attachment;
        let interface = &attachment.interface;
        if !self.is_untagged && attachment.asked.vlan_tag {
            self.is_untagged = attachment.counts(queue)?.untagged > 0;
            if self.is_untagged {
                notices.push(format!(
                    "interface {interface}: its driver has no room to put VLAN tags back into packets, so they are lost; turn the offload \
                     off that takes them out"
                ));
            }
        }
        if !self.is_timed_by_program && attachment.asked.time && self.socket.receiver.stamps.by_program > 0 {
            self.is_timed_by_program = true;
            notices.push(format!(
                "interface {interface}: its driver does not tell the card's time of packets, or one that is more than a second off (cards \
                 have to be told to take times: `sudo hwstamp_ctl -i {interface} -r 1`); they have the time that the XDP program takes ({})",
                attachment.clock_name().unwrap_or_default()
            ));
        }
        Ok(())
    }

    /// What this socket and the program for it counted; `tally` is the program's part.
    fn counters(&self, tally: &RingReading) -> Result<Counters, BackendError> {
        let attachment = &self.prepared.attachment;
        let statistics =
            self.socket.socket.statistics().map_err(|fault| {
                interface_error(&attachment.interface, format!("reading the counters failed: {}", fault.error))
            })?;
        let tally = tally.since(&self.socket.base);
        let (filtered, missed) = (tally.own.passed + tally.own.dropped, tally.missed());
        Ok(Counters {
            received: tally.own.redirected + filtered + missed,
            filtered,
            // A packet without a free frame is among `rx_dropped` already (xsk_rcv in net/xdp/xsk.c).
            kernel_drops: statistics.rx_dropped + statistics.rx_ring_full + missed,
            ring_full_drops: statistics.rx_ring_full,
            fill_empty_drops: statistics.rx_fill_ring_empty_descs.min(statistics.rx_dropped),
            damaged: self.socket.receiver.damaged,
            ..Counters::default()
        })
    }
}

impl XdpBackend {
    pub(super) fn new(group: Arc<QueueGroup>, number: usize, prepared: Arc<Prepared>, socket: QueueSocket) -> Self {
        let options = &group.opening().options;
        let mut backend = Self {
            pacer: Pacer::new(options.rx_ring.unwrap_or(options.frame_count).min(options.frame_count), options.nap_max),
            group,
            number,
            queue: socket.queue,
            name: prepared.attachment.interface.clone(),
            state: QueueState::Open(OpenQueue::new(prepared, socket)),
            counters: Counters::default(),
            drops_last: None,
            filtered: 0,
            waiting_max: 0,
            notices: Notices::default(),
            look: Instant::now() + RETRY_INTERVAL,
            waits: 0,
        };
        backend.count_interface();
        backend
    }

    /// Name of the interface that is captured from.
    pub fn interface(&self) -> &str {
        &self.group.opening().options.interface
    }

    /// The receive queue.
    pub const fn queue(&self) -> u32 {
        self.queue
    }

    /// Times that this backend slept or blocked since it was opened.
    pub const fn waits(&self) -> u64 {
        self.waits
    }

    /// The program at the interface.
    #[cfg(test)]
    pub(crate) fn attachment(&self) -> &super::attach::Attachment {
        match &self.state {
            QueueState::Open(open) => &open.prepared.attachment,
            QueueState::Gone(..) | QueueState::Ended => panic!("the interface is gone"),
        }
    }

    fn error(&self, what: String) -> BackendError {
        interface_error(self.interface(), what)
    }

    /// Finds out what the interface is called now; it is captured from under any name.
    fn rename(&mut self) {
        let QueueState::Open(open) = &self.state else { return };
        if let Some(name) = open.prepared.attachment.name().filter(|name| *name != self.name) {
            if self.number == 0 {
                self.notices.push(format!("interface {} is called {name} now; the capture goes on", self.name));
            }
            self.name = name;
        }
    }

    /// Adds what the interface dropped before the kernel saw it. It counts once for all queues, so the first
    /// backend does.
    fn count_interface(&mut self) {
        let QueueState::Open(open) = &self.state else { return };
        if self.number != 0 {
            return;
        }
        let attachment = &open.prepared.attachment;
        let drops = i32::try_from(attachment.ifindex).ok().and_then(|index| interface_drops(&self.name, index));
        if let (Some(last), Some(drops)) = (self.drops_last, drops) {
            self.counters.interface_drops += drops.saturating_sub(last);
        }
        self.drops_last = drops.or(self.drops_last);
    }

    /// Lends what is in the ring.
    fn receive(&mut self, visit: &mut dyn FnMut(&[Packet<'_>])) -> Result<u32, BackendError> {
        let Self { state: QueueState::Open(open), pacer, group, filtered, waiting_max, .. } = self else { return Ok(0) };
        let receiver = &mut open.socket.receiver;
        let result = receiver.waiting().and_then(|waiting| {
            if waiting == 0 {
                return Ok(0);
            }
            pacer.found(waiting);
            *waiting_max = (*waiting_max).max(waiting);
            receiver.keep_filled(pacer.worst_count());
            let clock = open.prepared.attachment.clock();
            let filter = &group.opening().filter;
            match filter.as_ref().filter(|_| !open.prepared.attachment.is_filtering) {
                None => receiver.receive(ENTRIES_MAX, clock, &now, visit),
                Some(filter) => receiver.receive(ENTRIES_MAX, clock, &now, &mut |batch| {
                    *filtered += lend_wanted(batch, |packet| filter.matches(packet), visit) as u64;
                }),
            }
        });
        let is_waking = open.socket.receiver.shared().needs_wakeup();
        if is_waking && matches!(result, Ok(1..)) {
            // What has become of the interface is looked at elsewhere.
            let _state = open.socket.socket.kick();
        }
        result.map_err(|overrun| {
            self.state = QueueState::Ended;
            self.error(damaged_ring(overrun))
        })
    }

    /// Waits a while for packets, at most `timeout`.
    fn wait(&mut self, timeout: Duration) -> Result<(), BackendError> {
        let QueueState::Open(open) = &mut self.state else { return Ok(()) };
        self.waits += 1;
        if self.group.opening().options.busy_poll.is_some() && !open.is_down {
            // Here the kernel lets the driver work on this core; there is nothing to sleep for.
            let _state = open.socket.socket.kick();
            return Ok(());
        }
        match self.pacer.nothing() {
            Wait::Nap(nap) => std::thread::sleep(nap.min(timeout)),
            Wait::Block => {
                let readiness = wait_readable(&open.socket.socket, timeout);
                match readiness {
                    Ok(Readiness::Nothing | Readiness::Readable) => {}
                    Ok(Readiness::Error) => self.look = Instant::now(),
                    Err(error) => return Err(self.error(format!("waiting for packets failed: {error}"))),
                }
            }
        }
        Ok(())
    }

    /// Looks what has become of the interface and of the program.
    fn look(&mut self) -> Result<(), BackendError> {
        let is_first = self.number == 0;
        self.rename();
        let QueueState::Open(open) = &mut self.state else { return Ok(()) };
        self.look = Instant::now() + RETRY_INTERVAL;
        open.socket.receiver.settle();
        let interface = &self.name;
        match open.socket.socket.kick().map_err(|error| error.raw_os_error().unwrap_or(0)) {
            Err(libc::ENETDOWN) => {
                if !std::mem::replace(&mut open.is_down, true) && is_first {
                    self.notices.went_down(interface);
                }
            }
            Err(libc::ENXIO | libc::ENODEV) => return self.leave(),
            // Others come from the driver and concern this one wake-up.
            Ok(()) | Err(_) => {
                if std::mem::replace(&mut open.is_down, false) && is_first {
                    self.notices.is_up_again(interface);
                }
            }
        }
        if !is_first {
            return Ok(());
        }
        if !open.is_detached && open.prepared.attachment.held() == AttachState::No {
            open.is_detached = true;
            self.notices.push(format!(
                "interface {interface}: somebody detached our XDP program; no more packets are seen until the capture is started again"
            ));
        }
        if !open.is_unstamped && open.prepared.attachment.clock_name().is_some() {
            open.is_unstamped = open.prepared.attachment.tally(self.queue, false)?.own.unstamped > 0;
            if open.is_unstamped {
                self.notices.push(format!(
                    "interface {interface}: its driver has no room for times in front of packets; they have those of their batches"
                ));
            }
        }
        open.look_at_answers(self.queue, &mut self.notices)
    }

    /// The interface is gone, and the socket with it; or the kernel closed the socket alone, as when the
    /// interface changes its network namespace.
    fn leave(&mut self) -> Result<(), BackendError> {
        let QueueState::Open(open) = &self.state else { return Ok(()) };
        let tally = open.prepared.attachment.tally(self.queue, self.number == 0)?;
        let mut last = open.counters(&tally)?;
        let left = Left { prepared: Arc::downgrade(&open.prepared), tally };
        // What went to the socket while it was taken down was counted by the program alone.
        let known = open.socket.receiver.lent + last.filtered + last.kernel_drops + last.damaged;
        last.kernel_drops += last.received.saturating_sub(known);
        self.counters += &last;
        self.drops_last = None;
        let is_there = open.prepared.attachment.held() == AttachState::Yes;
        if !self.group.opening().options.reopen {
            self.state = QueueState::Ended;
            let what = if is_there { format!("{} and the capture has ended", self.closed()) } else { DELETED.to_owned() };
            return Err(self.error(what));
        }
        self.state = QueueState::Gone(Instant::now() + RETRY_INTERVAL, left);
        if is_there {
            let notice = format!("interface {}: {} and is opened again when it can be", self.interface(), self.closed());
            self.notices.push(notice);
        } else if self.number == 0 {
            let interface = self.group.opening().options.interface.clone();
            self.notices.is_gone(&interface);
        }
        Ok(())
    }

    /// What to say of a socket without an interface, where the program still has one.
    fn closed(&self) -> String {
        format!(
            "the kernel took it away from the socket of receive queue {} (was it moved to another network namespace?), which is closed",
            self.queue
        )
    }

    fn look_for_interface(&mut self, timeout: Duration) {
        let QueueState::Gone(again, left) = &mut self.state else { return };
        std::thread::sleep(timeout.min(again.saturating_duration_since(Instant::now())));
        if Instant::now() < *again {
            return;
        }
        match self.group.reopen(self.queue, left) {
            Ok(Reopened { prepared, socket, said }) => {
                if self.number == 0 {
                    let interface = self.group.opening().options.interface.clone();
                    self.notices.is_back(&interface);
                }
                self.name.clone_from(&prepared.attachment.interface);
                for said in said {
                    self.notices.push(said);
                }
                self.state = QueueState::Open(OpenQueue::new(prepared, socket));
            }
            Err(told) => {
                *again = Instant::now() + RETRY_INTERVAL;
                if let Some(told) = told {
                    self.notices.push(told);
                }
            }
        }
        self.count_interface();
    }
}

impl Backend for XdpBackend {
    fn link_type(&self) -> LinkType {
        LinkType::ETHERNET
    }

    fn waits(&self) -> bool {
        false
    }

    fn poll(&mut self, timeout: Duration, visit: &mut dyn FnMut(&[Packet<'_>])) -> Result<Polled, BackendError> {
        let mut deadline = None;
        loop {
            match &self.state {
                QueueState::Open(_) => {}
                QueueState::Gone(..) => {
                    self.look_for_interface(timeout);
                    return Ok(Polled::Idle(now()));
                }
                QueueState::Ended => return Ok(Polled::End),
            }
            let filtered_before = self.filtered;
            let lent = self.receive(visit)?;
            if lent > 0 {
                return Ok(Polled::Lent(lent - (self.filtered - filtered_before) as u32));
            }
            let begun = Instant::now();
            let left = deadline.get_or_insert(begun + timeout).saturating_duration_since(begun);
            if begun >= self.look {
                self.look()?;
            }
            if left.is_zero() {
                return Ok(Polled::Idle(now()));
            }
            self.wait(left)?;
        }
    }

    /// Received are the packets that the program gave to this queue's socket, those that it left out by the
    /// filter, and those for which there was no socket.
    fn counters(&mut self) -> Result<Counters, BackendError> {
        self.rename();
        self.count_interface();
        let mut counters = self.counters;
        if let QueueState::Open(open) = &mut self.state {
            let tally = open.prepared.attachment.tally(self.queue, self.number == 0)?;
            counters += &open.counters(&tally)?;
            if tally.strays > 0 && !std::mem::replace(&mut open.has_strays, true) {
                let interface = &self.name;
                self.notices.push(format!(
                    "interface {interface}: it has more receive queues than when it was opened; their packets go to the host, are not seen, \
                     and count as dropped by the kernel: start the capture again (ethtool -L changes the number)"
                ));
            }
        }
        counters.filtered += self.filtered;
        Ok(counters)
    }

    fn ring_fill(&mut self) -> Option<RingFill> {
        let QueueState::Open(open) = &mut self.state else { return None };
        let (size, waiting_max) = (open.socket.receiver.rx_entries(), self.waiting_max);
        // A ring that cannot be any more is met by the next poll, which tells of it.
        open.socket.receiver.waiting().ok().map(|waiting| RingFill { size, waiting, waiting_max: waiting_max.max(waiting) })
    }

    fn notice(&mut self) -> Option<String> {
        self.notices.pop()
    }
}
