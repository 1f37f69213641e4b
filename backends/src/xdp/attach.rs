//! The program at the interface, shared by the sockets of all its queues.
//!
//! Owns the loaded program, its maps, the link that holds it, and promiscuous mode. Knows no ring. Its one
//! invariant: when the last owner is gone, so is everything that was changed at the interface; a program that
//! was there before is never touched.

use std::os::fd::AsFd;

use netscope_bpf::classic::ClassicFilter;
use netscope_bpf::xdp::{FromDriver, Indexed, StampClock, VerdictCounts, XdpParts, XdpProgram};

use super::asked::worth_asking;
use super::explain::{ErrorContext, explain};
use super::open::QueueSocket;
use super::options::{QUEUES_MAX, Times, XdpMode, XdpOptions};
use super::promiscuous::Beside;
use super::socket::{Seam, SocketFault, SocketStep};
use super::tally::RingReading;
use super::time::PacketClock;
use crate::BackendError;
use crate::bpf::{BpfError, Loaded, Mode, XdpLink};
use crate::filter::Filter;
use crate::live::interface_error;
use crate::nic::Nic;

/// The program at the interface.
#[derive(Debug)]
pub(crate) struct Attachment {
    /// Detaches first.
    link: XdpLink,
    program: Loaded,
    shown: XdpProgram,
    clock: Option<StampClock>,
    /// What the program asks the driver.
    pub asked: FromDriver,
    /// Whether the program leaves out what does not match; where not, it has to be done by the reader.
    pub is_filtering: bool,
    /// Keeps the interface promiscuous where that is wanted.
    beside: Beside,
    /// Queues there were when it was attached, and queues there may come to be; the maps have places for
    /// these.
    queue_count: u32,
    places: u32,
    /// Number and name of the interface.
    pub ifindex: u32,
    pub interface: String,
}

/// What the interface has become, as far as the program knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AttachState {
    /// The program is where it was.
    Yes,
    /// Somebody took it away, or the interface is gone.
    No,
}

impl Attachment {
    /// Loads the program for `nic` and attaches it; what there is to say comes into `said`.
    pub(crate) fn new(
        options: &XdpOptions,
        filter: Option<&Filter>,
        nic: &Nic,
        queue_count: u32,
        seam: Seam,
        said: &mut Vec<String>,
    ) -> Result<Self, BackendError> {
        let interface = nic.name.clone();
        let beside = beside(options, nic, seam)?;
        let places = nic.channels.map_or(0, |channels| channels.rx_queues_max()).min(QUEUES_MAX).max(queue_count);
        let parts = XdpParts {
            queues: places,
            filter: None,
            indexed: Indexed::default(),
            unmatched: options.unmatched,
            clock: (options.times == Times::PerPacket).then_some(StampClock::Tai),
            frags: options.needs_fragments(nic.mtu),
            from_driver: worth_asking(options, nic),
        };
        let (Chosen { shown, program, clock, asked, is_filtering }, link) =
            load_and_attach(options.mode, parts, filter, nic, said)?;
        let ifindex = nic.index;
        Ok(Self { link, program, shown, clock, asked, is_filtering, beside, queue_count, places, ifindex, interface })
    }

    /// What the interface is called now; `None` when it is gone.
    pub(crate) fn name(&self) -> Option<String> {
        self.beside.name_of(self.ifindex)
    }

    /// How the program runs.
    pub(crate) const fn mode(&self) -> Mode {
        self.link.mode()
    }

    /// Which clock the program reads, for a person.
    pub(crate) const fn clock_name(&self) -> Option<&'static str> {
        match self.clock {
            Some(StampClock::Tai) => Some("CLOCK_TAI"),
            Some(StampClock::Monotonic) => Some("CLOCK_MONOTONIC"),
            None => None,
        }
    }

    /// How to read packets' times now: the clocks may have been set since the last call.
    pub(crate) fn clock(&self) -> PacketClock {
        let offset_ns = match self.clock {
            None => return PacketClock::Batch,
            Some(StampClock::Tai) => whole_seconds(clock_ns(libc::CLOCK_REALTIME).wrapping_sub(clock_ns(libc::CLOCK_TAI))),
            Some(StampClock::Monotonic) => narrowest(std::iter::repeat_with(|| {
                [libc::CLOCK_MONOTONIC, libc::CLOCK_REALTIME, libc::CLOCK_MONOTONIC].map(clock_ns)
            })),
        };
        PacketClock::Packet { offset_ns }
    }

    /// Lets the packets of its queue come to `socket`.
    pub(crate) fn direct(&self, socket: &QueueSocket) -> Result<(), BackendError> {
        let sockets = self.program.map(self.shown.sockets()).ok_or_else(|| self.no_map())?;
        sockets.set_socket(socket.queue, socket.socket.as_fd()).map_err(|error| error.on_interface(&self.interface))
    }

    /// What the program did with the packets of `queue` since it was attached, and where asked for with those
    /// of queues that came to be since then.
    pub(crate) fn tally(&self, queue: u32, with_strays: bool) -> Result<RingReading, BackendError> {
        let added = if with_strays { self.queue_count..self.places } else { 0..0 };
        let strays = added.map(|queue| Ok(self.counts(queue)?.no_socket)).sum::<Result<u64, BackendError>>()?;
        Ok(RingReading { own: self.counts(queue)?, strays })
    }

    /// What the program did with the packets of `queue` since it was attached.
    pub(crate) fn counts(&self, queue: u32) -> Result<VerdictCounts, BackendError> {
        let counters = self.program.map(self.shown.counters()).ok_or_else(|| self.no_map())?;
        let sums = counters.sums(queue).map_err(|error| error.on_interface(&self.interface))?;
        Ok(VerdictCounts::from_words(&sums))
    }

    fn no_map(&self) -> BackendError {
        interface_error(&self.interface, "the XDP program's maps are not those it was made with".to_owned())
    }

    /// Takes the program away, as somebody else could.
    #[cfg(test)]
    pub(crate) fn detach(&self) {
        self.link.detach().unwrap();
    }

    /// Whether the program is still where it was.
    pub(crate) fn held(&self) -> AttachState {
        match self.link.state() {
            Ok(state) if state.ifindex == self.ifindex => AttachState::Yes,
            _ => AttachState::No,
        }
    }
}

/// The program that the kernel takes.
struct Chosen {
    shown: XdpProgram,
    program: Loaded,
    clock: Option<StampClock>,
    asked: FromDriver,
    is_filtering: bool,
}

/// Loads the program and attaches it; where kernel or driver do not want it to ask, one that does not.
fn load_and_attach(
    mode: XdpMode,
    parts: XdpParts<'_>,
    filter: Option<&Filter>,
    nic: &Nic,
    said: &mut Vec<String>,
) -> Result<(Chosen, XdpLink), BackendError> {
    let interface = &nic.name;
    let mut why_not = None;
    if parts.from_driver.is_asked() {
        let mut heard = Vec::new();
        let asking = load(nic, parts, filter, &mut heard).and_then(|chosen| {
            let link = XdpLink::attach(&chosen.program, interface, nic.index, Mode::Native);
            link.map(|link| (chosen, link)).map_err(|error| error.on_interface(interface))
        });
        match asking {
            Ok(attached) => {
                said.extend(heard);
                return Ok(attached);
            }
            Err(error) => why_not = Some(error),
        }
    }
    let chosen = load(nic, XdpParts { from_driver: FromDriver::default(), ..parts }, filter, said)?;
    let link = attach(mode, &chosen.program, interface, nic.index, said)?;
    // In generic mode there is no driver to ask, which was said.
    let why_not = why_not.filter(|_| link.mode() == Mode::Native);
    said.extend(why_not.map(|why| format!("{why}; so the program asks its driver for neither VLAN tags nor times")));
    Ok((chosen, link))
}

/// Loads the program with the filter in it, where that can be; where the kernel has no helper for the better
/// clock (before Linux 6.1), with the other.
fn load(nic: &Nic, parts: XdpParts<'_>, filter: Option<&Filter>, said: &mut Vec<String>) -> Result<Chosen, BackendError> {
    let interface = &nic.name;
    if let Some(filter) = filter {
        match load_filter(nic, &parts, filter) {
            Ok((chosen, indexed)) => {
                said.extend((indexed == Indexed::ByHelper).then(|| {
                    format!(
                        "interface {interface}: without CAP_PERFMON the filter reads packets by calls, which is slower; with it \
                         (`sudo setcap` with cap_perfmon, too) it reads them directly"
                    )
                }));
                return Ok(chosen);
            }
            Err(why) => said.push(format!(
                "interface {interface}: the filter cannot be part of the XDP program ({why}); it runs in user space, and packets that do \
                 not match are taken from the host, too"
            )),
        }
    }
    let (shown, program, clock) = load_clock(nic, &parts).map_err(|what| interface_error(interface, what))?;
    Ok(Chosen { shown, program, clock, asked: parts.from_driver, is_filtering: false })
}

/// With the filter: reading packets directly, for which the verifier asks for CAP_PERFMON, else by calls.
fn load_filter(nic: &Nic, parts: &XdpParts<'_>, filter: &Filter) -> Result<(Chosen, Indexed), String> {
    let filter: ClassicFilter = filter.for_driver().map_err(|error| error.to_string())?;
    let load = |indexed| {
        let (shown, program, clock) = load_clock(nic, &XdpParts { filter: Some(&filter), indexed, ..*parts })?;
        Ok((Chosen { shown, program, clock, asked: parts.from_driver, is_filtering: true }, indexed))
    };
    load(Indexed::ByPointer).or_else(|_: String| load(Indexed::ByHelper))
}

fn load_clock(nic: &Nic, parts: &XdpParts<'_>) -> Result<(XdpProgram, Loaded, Option<StampClock>), String> {
    type Taken = (XdpProgram, Loaded, Option<StampClock>);
    let load = |parts: &XdpParts<'_>| -> Result<Result<Taken, BpfError>, String> {
        let shown = XdpProgram::new(parts).map_err(|error| error.to_string())?;
        let loaded = match parts.from_driver.is_asked() {
            true => Loaded::load_for(shown.program(), nic.index),
            false => Loaded::load(shown.program()),
        };
        Ok(loaded.map(|loaded| (shown, loaded, parts.clock)))
    };
    let other_clock = parts.clock.filter(|clock| *clock == StampClock::Tai).map(|_| StampClock::Monotonic);
    match (load(parts)?, other_clock) {
        (Ok(loaded), _) => Ok(loaded),
        (Err(BpfError::Verifier { .. }), Some(clock)) => {
            load(&XdpParts { clock: Some(clock), ..*parts })?.map_err(|error| error.to_string())
        }
        (Err(error), _) => Err(error.to_string()),
    }
}

fn attach(
    mode: XdpMode,
    program: &Loaded,
    interface: &str,
    ifindex: u32,
    said: &mut Vec<String>,
) -> Result<XdpLink, BackendError> {
    let result = match mode {
        XdpMode::Auto => XdpLink::attach_best(program, interface, ifindex).map(|(link, why)| {
            said.extend(why.map(|why| {
                format!("interface {interface}: no native XDP ({why}); generic mode, at a third to a half of the rate")
            }));
            link
        }),
        XdpMode::ZeroCopy | XdpMode::Native => XdpLink::attach(program, interface, ifindex, Mode::Native),
        XdpMode::Generic => XdpLink::attach(program, interface, ifindex, Mode::Generic),
    };
    result.map_err(|error| error.on_interface(interface))
}

fn beside(options: &XdpOptions, nic: &Nic, seam: Seam) -> Result<Beside, BackendError> {
    let enter = || {
        let fault = |error| SocketFault::new(SocketStep::Promiscuous, error);
        let beside = Beside::new().map_err(fault)?;
        if options.promiscuous {
            seam.check(SocketStep::Promiscuous, 0)?;
            beside.enter(nic.index).map_err(fault)?;
        }
        Ok(beside)
    };
    let facts = ErrorContext { interface: nic.name.clone(), ..ErrorContext::default() };
    enter().map_err(|fault: SocketFault| interface_error(&nic.name, explain(&fault, &facts)))
}

/// The difference of two clocks that differ by whole seconds, however long the processor was away between the
/// readings.
fn whole_seconds(offset_ns: u64) -> u64 {
    const SECOND: i64 = 1_000_000_000;
    let signed = offset_ns.cast_signed().wrapping_add(SECOND / 2);
    signed.div_euclid(SECOND).wrapping_mul(SECOND).cast_unsigned()
}

/// What is to be added to a clock to have another one, from readings of it, the other one, and it again: by
/// those that lie closest together, so that the processor was hardly away between them.
fn narrowest(readings: impl Iterator<Item = [u64; 3]>) -> u64 {
    let (mut best, mut offset_ns) = (u64::MAX, 0);
    for [before, other, after] in readings.take(READINGS) {
        let width = after.wrapping_sub(before);
        if width < best {
            (best, offset_ns) = (width, other.wrapping_sub(before.wrapping_add(width / 2)));
        }
        if best <= CLOSE_NS {
            break;
        }
    }
    offset_ns
}

/// Most readings of two clocks,
const READINGS: usize = 4;
/// and how close together they are good enough.
const CLOSE_NS: u64 = 1_000;

/// Nanoseconds of a clock.
fn clock_ns(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // JUSTIFICATION: the standard library does not read this clock.
    // SAFETY: `time` is live and of the type the call writes.
    let result = unsafe { libc::clock_gettime(clock, &raw mut time) };
    if result != 0 {
        return 0; // cannot be: both clocks are older than AF_XDP
    }
    (time.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tai_is_whole_seconds_away() {
        let offset = |seconds: i64, late_ns: i64| (seconds * 1_000_000_000 + late_ns).cast_unsigned();
        for late_ns in [0, -24_000_000, 24_000_000, 400_000_000] {
            assert_eq!(whole_seconds(offset(-37, late_ns)), offset(-37, 0), "{late_ns}");
            assert_eq!(whole_seconds(offset(0, late_ns)), 0, "{late_ns}");
        }
    }

    #[test]
    fn readings_with_a_pause_between_do_not_count() {
        let paused = [1_000_000, 50_000_000, 25_000_000];
        assert_eq!(narrowest([paused, [30_000_000, 70_000_100, 30_000_200], paused].into_iter()), 40_000_000);
        assert_eq!(narrowest([[5_000, 100, 9_000], [10, 2_000, 6_010]].into_iter()), 100_u64.wrapping_sub(7_000));
        assert_eq!(narrowest([[u64::MAX - 9, 100, 10]].into_iter()), 100, "the clock may wrap");
        assert_eq!(narrowest(std::iter::repeat(paused)), 37_000_000, "and it ends");
    }
}
