//! One socket of a group as a source of packets: waits, lends, counts, and lives through what happens to the
//! interface.
//!
//! Owns one socket and its ring. Knows no protocol. Its one invariant: what the kernel counted is what was
//! lent, named as lost, or still in the ring.
//!
//! Waiting follows the blocks: poll(2) is called only when the next block has not been handed over, and after
//! it every block that has been is read, at most one lap of the ring, so that a stop is noticed under any
//! load.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::group::FanoutGroup;
use super::open::FanoutMember;
use super::ring::BlockRing;
use super::walker::{BlockWalker, RingFormat};
use crate::chosen::lend_wanted;
use crate::live::{DELETED, Notices, RETRY_INTERVAL, interface_error, now};
use crate::wait::{Readiness, wait_readable};
use crate::{BATCH_MAX, Backend, BackendError, Counters, LinkType, Packet, Polled, RingFill, Timestamp};

/// An interface that is being deleted goes down first; only after this long is it said to be down.
const DOWN_GRACE: Duration = Duration::from_millis(50);

/// How long what is left in the ring of a deleted interface is waited for, besides the time after which
/// blocks are closed.
const LEAVE_GRACE: Duration = Duration::from_millis(100);

/// How often the kernel's counters are read, whoever asks for ours: they have 32 bits.
const COUNT_INTERVAL: Duration = Duration::from_secs(10);

/// One queue of packets of a TPACKET_V3 capture.
#[derive(Debug)]
pub struct TpacketBackend {
    group: Arc<FanoutGroup>,
    /// Which socket of the group this is. The first one speaks for the interface.
    number: usize,
    generation: u64,
    format: RingFormat,
    state: SourceState,
    /// What the interface is called now.
    interface: String,
    counters: Counters,
    /// When the kernel's were read last.
    counted: Instant,
    /// Packets taken out of the ring: lent, or left out by the filter.
    lent: u64,
    /// The most blocks that a poll found waiting.
    waiting_max: usize,
    /// The interface's own drops when last asked; `None` before, and where it does not say.
    drops_last: Option<u64>,
    notices: Notices,
}

#[derive(Debug)]
enum SourceState {
    Open(OpenSource),
    /// The interface is gone; when to look for it again.
    Gone(Instant),
    Ended,
}

#[derive(Debug)]
struct OpenSource {
    member: FanoutMember,
    down: Option<Down>,
    /// The interface is gone; until when the ring is still read.
    leaving: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Down {
    /// When to look what has become of it.
    look: Instant,
    is_told: bool,
}

impl TpacketBackend {
    pub(super) fn new(group: Arc<FanoutGroup>, number: usize, member: FanoutMember, notices: Notices) -> Self {
        let mut backend = Self {
            format: RingFormat { link_type: member.link_type, snaplen: group.options.snaplen_bytes() as usize },
            interface: group.interface.clone(),
            group,
            number,
            generation: 0,
            state: SourceState::Open(OpenSource { member, down: None, leaving: None }),
            counters: Counters::default(),
            counted: Instant::now(),
            lent: 0,
            waiting_max: 0,
            drops_last: None,
            notices,
        };
        backend.count_interface();
        backend
    }

    /// Name of the interface that is captured from.
    pub fn interface(&self) -> &str {
        &self.interface
    }

    /// Number of the fanout group that the socket is in; `None` without one.
    pub fn fanout_id(&self) -> Option<u16> {
        match &self.state {
            SourceState::Open(open) => open.member.fanout_id,
            SourceState::Gone(_) | SourceState::Ended => None,
        }
    }

    /// Adds what the kernel counted since it was last asked.
    fn count(&mut self) -> Result<(), BackendError> {
        if self.number == 0 {
            self.counters += &self.group.take_abandoned();
        }
        self.counted = Instant::now();
        let SourceState::Open(open) = &self.state else { return Ok(()) };
        let statistics = open
            .member
            .mapped
            .socket
            .statistics()
            .map_err(|error| interface_error(&self.interface, format!("reading the counters failed: {error}")))?;
        self.counters.received += u64::from(statistics.packets);
        self.counters.kernel_drops += u64::from(statistics.drops);
        // The one reason for which a ring drops.
        self.counters.ring_full_drops += u64::from(statistics.drops);
        self.counters.ring_freezes += u64::from(statistics.freezes);
        self.count_interface();
        Ok(())
    }

    /// Adds what the interface dropped before the kernel saw it. The interface counts once for all sockets.
    fn count_interface(&mut self) {
        let SourceState::Open(open) = &self.state else { return };
        if self.number != 0 {
            return;
        }
        let drops = interface_drops(&self.interface, open.member.index);
        if let (Some(last), Some(drops)) = (self.drops_last, drops) {
            self.counters.interface_drops += drops.saturating_sub(last);
        }
        self.drops_last = drops.or(self.drops_last);
    }

    /// Packets that the kernel counted and that have not come out of the ring, as of the last
    /// [`Self::count`].
    fn in_ring(&self) -> u64 {
        let Counters { received, kernel_drops, damaged, .. } = self.counters;
        received.saturating_sub(self.lent + kernel_drops + damaged)
    }

    /// The kernel reported an error on the socket.
    fn take_error(&mut self) -> Result<(), BackendError> {
        let SourceState::Open(open) = &mut self.state else { return Ok(()) };
        let fail = |what: String| interface_error(&self.interface, format!("reading failed: {what}"));
        match open.member.mapped.socket.error() {
            Ok(0) => Ok(()),
            Ok(libc::ENETDOWN) => {
                open.down = open.down.or(Some(Down { look: Instant::now() + DOWN_GRACE, is_told: false }));
                Ok(())
            }
            Ok(number) => Err(fail(std::io::Error::from_raw_os_error(number).to_string())),
            Err(error) => Err(fail(error.to_string())),
        }
    }

    /// Looks what has become of an interface that went down.
    fn look_at_down(&mut self) -> Result<(), BackendError> {
        let SourceState::Open(open) = &mut self.state else { return Ok(()) };
        let Some(down) = open.down.filter(|down| down.look <= Instant::now()) else { return Ok(()) };
        let socket = &open.member.mapped.socket;
        let fail = |error| interface_error(&self.interface, format!("asking for its state failed: {error}"));
        let Some(name) = socket.bound_name().map_err(fail)? else {
            open.down = None;
            let retire = Duration::from_millis(u64::from(self.group.options.retire_after_ms()));
            open.leaving = Some(Instant::now() + retire + LEAVE_GRACE);
            return Ok(());
        };
        // Between the two questions it may be gone or renamed, which the next look finds.
        let is_up = socket.is_up(&name).unwrap_or(false);
        let speaks = self.number == 0;
        if is_up {
            open.down = None;
            if down.is_told && speaks {
                self.notices.is_up_again(&name);
            }
        } else {
            if !down.is_told && speaks {
                self.notices.went_down(&name);
            }
            open.down = Some(Down { look: Instant::now() + RETRY_INTERVAL, is_told: true });
        }
        self.rename(name);
        Ok(())
    }

    fn rename(&mut self, name: String) {
        if name != self.interface {
            if self.number == 0 {
                self.notices.push(format!("interface {} is called {name} now; the capture goes on", self.interface));
            }
            self.interface = name;
        }
    }

    /// Ends with a deleted interface once its ring is empty, or has been waited for.
    fn leave(&mut self) -> Result<Polled, BackendError> {
        let SourceState::Open(OpenSource { leaving: Some(until), .. }) = &self.state else { return Ok(Polled::Idle(now())) };
        let until = *until;
        self.count()?;
        if self.in_ring() > 0 && Instant::now() < until {
            return Ok(Polled::Idle(now()));
        }
        // The ring goes, and what it held with it.
        self.counters.kernel_drops += self.in_ring();
        self.drops_last = None;
        let wanted = self.group.interface.clone();
        if !self.group.options.reopen {
            self.state = SourceState::Ended;
            return Err(interface_error(&self.interface, DELETED.to_owned()));
        }
        if self.number == 0 {
            self.notices.is_gone(&wanted);
        }
        self.interface = wanted;
        self.state = SourceState::Gone(Instant::now());
        Ok(Polled::Idle(now()))
    }

    fn look_for_interface(&mut self, again: Instant, timeout: Duration) -> Polled {
        std::thread::sleep(timeout.min(again.saturating_duration_since(Instant::now())));
        if Instant::now() < again {
            return Polled::Idle(now());
        }
        let reopened = self.group.reopen(self.number, self.generation);
        let speaks = self.number == 0;
        self.state = match reopened {
            Some((member, generation)) => {
                if speaks {
                    self.notices.is_back(&self.interface);
                    if member.link_type != self.format.link_type {
                        let (old, new) = (self.format.link_type, member.link_type);
                        self.notices.push(format!(
                            "interface {}: its packets are of link type {new} now, no longer {old}",
                            self.interface
                        ));
                    }
                }
                self.generation = generation;
                // Another kind of device may have come by the name.
                self.format.link_type = member.link_type;
                SourceState::Open(OpenSource { member, down: None, leaving: None })
            }
            None => SourceState::Gone(Instant::now() + RETRY_INTERVAL),
        };
        if speaks {
            self.notices.append(self.group.take_notices());
        }
        self.count_interface();
        Polled::Idle(now())
    }
}

/// Reads every block that has been handed over, at most each once; the packets shown to `visit` and those that could not be read.
fn lap(ring: &mut BlockRing, format: RingFormat, lent: &mut u64, damaged: &mut u64, visit: &mut dyn FnMut(&[Packet<'_>])) -> u32 {
    let mut lent_now = 0;
    for _ in 0..ring.block_count() {
        let Some(mut block) = ring.take() else { break };
        let mut walker = BlockWalker::new(block.bytes(), format);
        let nothing = Packet { data: &[], time: Timestamp(0), wire_len: 0, link_type: format.link_type };
        let mut batch = [nothing; BATCH_MAX];
        loop {
            let mut len = 0;
            for (place, packet) in batch.iter_mut().zip(&mut walker) {
                *place = packet;
                len += 1;
            }
            if len == 0 {
                break;
            }
            *lent += len as u64;
            lent_now += len as u32;
            visit(&batch[..len]);
        }
        *damaged += u64::from(walker.left());
    }
    lent_now
}

impl Backend for TpacketBackend {
    fn link_type(&self) -> LinkType {
        self.format.link_type
    }

    fn waits(&self) -> bool {
        false
    }

    fn poll(&mut self, timeout: Duration, visit: &mut dyn FnMut(&[Packet<'_>])) -> Result<Polled, BackendError> {
        if self.counted.elapsed() >= COUNT_INTERVAL {
            self.count()?;
        }
        let open = match &mut self.state {
            SourceState::Open(open) => open,
            SourceState::Gone(again) => {
                let again = *again;
                return Ok(self.look_for_interface(again, timeout));
            }
            SourceState::Ended => return Ok(Polled::End),
        };
        if !open.member.mapped.ring.is_ready() {
            let readiness = wait_readable(&open.member.mapped.socket, timeout)
                .map_err(|error| interface_error(&self.interface, format!("waiting for packets failed: {error}")))?;
            if readiness == Readiness::Error {
                self.take_error()?;
            }
        }
        let SourceState::Open(open) = &mut self.state else { return Ok(Polled::End) };
        let ring = &mut open.member.mapped.ring;
        if ring.has_more_than(self.waiting_max) {
            self.waiting_max = ring.waiting();
        }
        let Counters { damaged, filtered, .. } = &mut self.counters;
        let lent = match open.member.rest.as_deref() {
            None => lap(ring, self.format, &mut self.lent, damaged, visit),
            Some(filter) => {
                let before = *filtered;
                let taken = lap(ring, self.format, &mut self.lent, damaged, &mut |batch| {
                    *filtered += lend_wanted(batch, |packet| filter.matches(packet), visit) as u64;
                });
                if taken > 0 {
                    return Ok(Polled::Lent(taken - (*filtered - before) as u32));
                }
                0
            }
        };
        if lent > 0 {
            return Ok(Polled::Lent(lent));
        }
        match open {
            OpenSource { leaving: Some(_), .. } => return self.leave(),
            OpenSource { down: Some(_), .. } => self.look_at_down()?,
            OpenSource { .. } => {}
        }
        Ok(Polled::Idle(now()))
    }

    /// What is in the ring has been received and not been lent; it is lent by the next calls of `poll`, which
    /// also read the kernel's 32-bit counters before they wrap.
    fn counters(&mut self) -> Result<Counters, BackendError> {
        self.count()?;
        if let SourceState::Open(OpenSource { member, leaving: None, .. }) = &self.state
            && let Ok(Some(name)) = member.mapped.socket.bound_name()
        {
            self.rename(name);
        }
        Ok(self.counters)
    }

    fn ring_fill(&mut self) -> Option<RingFill> {
        let SourceState::Open(open) = &self.state else { return None };
        let ring = &open.member.mapped.ring;
        // A ring has at most 2^32 bytes.
        let [size, waiting, waiting_max] = [ring.block_count(), ring.waiting(), self.waiting_max].map(|blocks| blocks as u32);
        Some(RingFill { size, waiting, waiting_max: waiting_max.max(waiting) })
    }

    fn notice(&mut self) -> Option<String> {
        self.notices.pop()
    }
}

/// What the interface dropped because its own or its driver's memory was full: `rx_missed_errors` and
/// `rx_fifo_errors`, the two that libpcap adds too. `rx_dropped` is not among them: the kernel also counts
/// packets there that were captured and that no protocol wanted. `None` where the system does not say, or
/// where sysfs shows another network namespace's interface.
pub(crate) fn interface_drops(name: &str, index: i32) -> Option<u64> {
    let directory = std::path::Path::new("/sys/class/net").join(name);
    let number = |file: &str| std::fs::read_to_string(directory.join(file)).ok()?.trim().parse::<u64>().ok();
    if number("ifindex")? != u64::try_from(index).ok()? {
        return None;
    }
    Some(number("statistics/rx_missed_errors")? + number("statistics/rx_fifo_errors")?)
}

#[cfg(test)]
#[path = "tests/counting.rs"]
mod tests;
