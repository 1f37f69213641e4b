//! NetScope's XDP program, put together from parts.
//!
//! Owns what the program does with a frame: ask the driver, filter, stamp, redirect, count. Knows no
//! interface and no socket. Its one invariant: every frame is counted under exactly one of redirected,
//! passed, dropped and no-socket, by the queue it came in on.

mod from_driver;

pub use from_driver::FromDriver;

use crate::assembler::{AssembleError, Assembler, Label};
use crate::classic::{self, ClassicFilter, FilterError};
use crate::instruction::{Cond, Helper, Reg, Size};
use crate::program::{MapId, MapKind, MapSpec, Program};
use Reg::{R0, R1, R2, R3, R4, R6, R7, R8, R9, R10};

/// Verdicts of `enum xdp_action`.
pub mod verdict {
    /// An error in the program; the frame is dropped and a tracepoint fires.
    pub const ABORTED: i32 = 0;
    /// The frame's memory goes back to the driver.
    pub const DROP: i32 = 1;
    /// On to the kernel's network stack.
    pub const PASS: i32 = 2;
    /// Out of the interface it came in on.
    pub const TX: i32 = 3;
    /// To where a redirect helper said.
    pub const REDIRECT: i32 = 4;
}

/// Offsets in `struct xdp_md`; all fields are 32 bits wide there.
pub mod context {
    /// First byte of the frame.
    pub const DATA: i16 = 0;
    /// Behind the last byte of the first buffer.
    pub const DATA_END: i16 = 4;
    /// First byte of the metadata; equal to `data` where there is none.
    pub const DATA_META: i16 = 8;
    /// Interface the frame came in on.
    pub const INGRESS_IFINDEX: i16 = 12;
    /// Queue the frame came in on.
    pub const RX_QUEUE_INDEX: i16 = 16;
    /// Bytes of the structure.
    pub const SIZE: usize = 24;
}

/// What to do with frames that do not match the filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unmatched {
    /// They go to the kernel's stack, as without us.
    #[default]
    Pass,
    /// They are dropped in the driver.
    Drop,
}

/// The clock of the stamp in the metadata.
///
/// Both are turned into time since 1970 by adding a difference measured by the reader. TAI differs from
/// `CLOCK_REALTIME` by whole seconds that change only with leap seconds, also where the clock is set; the
/// monotonic clock's difference changes with every setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StampClock {
    /// `CLOCK_TAI`, Linux 6.1.
    Tai,
    /// `CLOCK_MONOTONIC`, any Linux.
    Monotonic,
}

/// The stamp that lies right before the first byte of a redirected frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketStamp {
    /// Nanoseconds of the program's [`StampClock`].
    pub time_ns: u64,
    /// Nanoseconds of the hardware's clock, whatever that is set to; 0 where the driver told none or was not
    /// asked.
    pub hardware_ns: u64,
}

impl PacketStamp {
    /// Bytes before the frame: time, the hardware's time, mark, zero; in the byte order of the machine.
    pub const LEN: usize = 24;
    /// Says that a program of this crate wrote the stamp.
    pub const MARK: u32 = 0x4e53_6331;

    /// The stamp in the [`Self::LEN`] bytes before a frame; `None` where the mark is missing.
    ///
    /// Where the driver has no room for metadata ([`VerdictCounts::unstamped`] grows) these bytes can be an
    /// older frame's stamp: believe only times that do not go back.
    pub fn read(before: &[u8; Self::LEN]) -> Option<Self> {
        let (time, rest) = before.split_first_chunk::<8>()?;
        let (hardware, rest) = rest.split_first_chunk::<8>()?;
        let (mark, _) = rest.split_first_chunk::<4>()?;
        let (time_ns, hardware_ns) = (u64::from_ne_bytes(*time), u64::from_ne_bytes(*hardware));
        (u32::from_ne_bytes(*mark) == Self::MARK).then_some(Self { time_ns, hardware_ns })
    }
}

/// What became of the frames of one queue, as the program decided. What a full ring loses afterwards the
/// socket counts (`XDP_STATISTICS`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VerdictCounts {
    /// Given to the queue's socket.
    pub redirected: u64,
    /// Not matching the filter, given to the stack.
    pub passed: u64,
    /// Not matching the filter, dropped.
    pub dropped: u64,
    /// Matching, but no socket at this queue: given to the stack.
    pub no_socket: u64,
    /// Of `redirected` and `no_socket`: without a stamp because the driver has no room for metadata.
    pub unstamped: u64,
    /// Of all: without the VLAN tag that lay beside them, because the driver leaves no room in front of a
    /// frame.
    pub untagged: u64,
}

impl VerdictCounts {
    /// Bytes of the map's value: as many `u64` in the order of the fields.
    pub const LEN: usize = 48;

    /// The counts in a value's words, as summed over all CPUs; words that are missing count as 0.
    pub fn from_words(words: &[u64]) -> Self {
        let word = |index: usize| words.get(index).copied().unwrap_or(0);
        Self { redirected: word(0), passed: word(1), dropped: word(2), no_socket: word(3), unstamped: word(4), untagged: word(5) }
    }

    /// Frames seen.
    pub const fn total(&self) -> u64 {
        self.redirected + self.passed + self.dropped + self.no_socket
    }
}

impl std::ops::AddAssign<&Self> for VerdictCounts {
    fn add_assign(&mut self, other: &Self) {
        let Self { redirected, passed, dropped, no_socket, unstamped, untagged } = other;
        self.redirected += redirected;
        self.passed += passed;
        self.dropped += dropped;
        self.no_socket += no_socket;
        self.unstamped += unstamped;
        self.untagged += untagged;
    }
}

/// Byte offsets in the counters' value.
mod counter {
    pub(super) const REDIRECTED: i32 = 0;
    pub(super) const PASSED: i32 = 8;
    pub(super) const DROPPED: i32 = 16;
    pub(super) const NO_SOCKET: i32 = 24;
    pub(super) const UNSTAMPED: i32 = 32;
    pub(super) const UNTAGGED: i32 = 40;
    /// Of these, one per frame; the most frequent first.
    pub(super) const EXCLUSIVE: [(i32, &str); 4] =
        [(REDIRECTED, "redirected"), (PASSED, "passed"), (DROPPED, "dropped"), (NO_SOCKET, "no_socket")];
}

/// How the filter reaches bytes at offsets that it calculates (behind an IPv4 header: every filter for ports
/// has such).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Indexed {
    /// By pointers: fast; the verifier asks for CAP_PERFMON.
    #[default]
    ByPointer,
    /// By a helper: a call per load; Linux 5.18.
    ByHelper,
}

/// What the program is put together from.
#[derive(Clone, Copy, Debug, Default)]
pub struct XdpParts<'a> {
    /// Queues of the interface: size of the socket map and of the counters.
    pub queues: u32,
    /// Redirect only frames that match; without one, all.
    pub filter: Option<&'a ClassicFilter>,
    /// How the filter reaches calculated offsets.
    pub indexed: Indexed,
    /// For frames that do not match.
    pub unmatched: Unmatched,
    /// Stamp each redirected frame by this clock.
    pub clock: Option<StampClock>,
    /// Take frames of several buffers too.
    pub frags: bool,
    /// What the driver is asked.
    pub from_driver: FromDriver,
}

/// The program with the maps the loader has to fill and read.
#[derive(Clone, Debug)]
pub struct XdpProgram {
    program: Program,
    sockets: MapId,
    counters: MapId,
}

impl XdpProgram {
    /// Puts the program together.
    ///
    /// # Errors
    /// [`FilterError::TooLong`] when the filter's translation gets too long to jump over.
    pub fn new(parts: &XdpParts<'_>) -> Result<Self, FilterError> {
        let filter_len = parts.filter.map_or(0, ClassicFilter::len);
        // A label too far away is the only thing that can go wrong: each is placed once, where it is used.
        Self::assemble(parts).map_err(|_: AssembleError| FilterError::TooLong { len: filter_len })
    }

    fn assemble(parts: &XdpParts<'_>) -> Result<Self, AssembleError> {
        let mut asm = Assembler::new();
        let entries = parts.queues.max(1);
        let sockets = asm.map(MapSpec::new("netscope_socks", MapKind::XskMap, 4, entries));
        let counters = asm.map(MapSpec::new("netscope_counts", MapKind::PerCpuArray, VerdictCounts::LEN as u32, entries));
        let (matched, unmatched, count) = (asm.label("matched"), asm.label("unmatched"), asm.label("count"));
        asm.mov(R6, R1, "the context, kept over calls");
        let from_driver = FromDriver { time: parts.from_driver.time && parts.clock.is_some(), ..parts.from_driver };
        if from_driver.time {
            from_driver::ask_time(&mut asm);
        }
        if from_driver.vlan_tag {
            from_driver::put_tag_back(&mut asm);
        }
        if let Some(filter) = parts.filter {
            let options = classic::TranslateOptions { has_frags: parts.frags, indexed: parts.indexed };
            classic::translate(&mut asm, filter, options, classic::JumpTargets { matched, unmatched });
        }
        if asm.is_used(unmatched) {
            let (verdict, counter, say) = match parts.unmatched {
                Unmatched::Pass => (verdict::PASS, counter::PASSED, "does not match: on to the stack"),
                Unmatched::Drop => (verdict::DROP, counter::DROPPED, "does not match: dropped"),
            };
            asm.place(unmatched);
            asm.mov(R7, verdict, say);
            asm.mov(R8, counter, "");
            asm.mov(R9, 0, "");
            if asm.is_used(matched) {
                asm.jump(count, "");
            }
        }
        // A filter that nothing can match leaves no way here, and the verifier refuses code without one.
        if parts.filter.is_none() || asm.is_used(matched) {
            asm.place(matched);
            asm.mov(R9, 0, "frames without a stamp: none yet");
            if let Some(clock) = parts.clock {
                stamp(&mut asm, clock, from_driver.time);
            }
            redirect(&mut asm, sockets, count);
        }
        self::count(&mut asm, counters, parts.clock.is_some(), from_driver.vlan_tag, count);
        let program = asm.finish("netscope_xdp")?.with_frags(parts.frags);
        Ok(Self { program, sockets, counters })
    }

    /// The instructions and maps.
    pub const fn program(&self) -> &Program {
        &self.program
    }

    /// The map of sockets, by queue.
    pub const fn sockets(&self) -> MapId {
        self.sockets
    }

    /// The map of [`VerdictCounts`], by queue, one value per CPU.
    pub const fn counters(&self) -> MapId {
        self.counters
    }

    /// The program for a reader.
    pub fn listing(&self) -> String {
        self.program.listing()
    }
}

/// Writes a [`PacketStamp`] before the frame; R9 becomes 1 where there is no room.
fn stamp(asm: &mut Assembler, clock: StampClock, has_hardware_time: bool) {
    let (done, no_room) = (asm.label("stamped"), asm.label("no_room"));
    asm.mov(R1, R6, "");
    asm.mov(R2, -(PacketStamp::LEN as i32), "room for the stamp before the frame");
    asm.call(Helper::XdpAdjustMeta, "");
    asm.jump_if(Cond::Ne, R0, 0, no_room, "not with this driver");
    let (helper, say) = match clock {
        StampClock::Tai => (Helper::KtimeGetTaiNs, "now, TAI"),
        StampClock::Monotonic => (Helper::KtimeGetNs, "now, monotonic"),
    };
    asm.call(helper, say);
    asm.load(Size::Word, R2, R6, context::DATA, "");
    asm.load(Size::Word, R3, R6, context::DATA_META, "");
    asm.mov(R4, R3, "");
    asm.add(R4, PacketStamp::LEN as i32, "");
    asm.jump_if(Cond::Gt, R4, R2, no_room, "always false; the verifier wants to see it");
    asm.store(Size::Double, R3, 0, R0, "stamp: time");
    if has_hardware_time {
        from_driver::load_time(asm, R1);
        asm.store(Size::Double, R3, 8, R1, "stamp: time of the hardware");
    } else {
        asm.store(Size::Double, R3, 8, 0, "stamp: no time of the hardware");
    }
    asm.store(Size::Word, R3, 16, PacketStamp::MARK as i32, "stamp: mark");
    asm.store(Size::Word, R3, 20, 0, "stamp: unused");
    asm.jump(done, "");
    asm.place(no_room);
    asm.mov(R9, 1, "one frame without a stamp");
    asm.place(done);
}

/// To the queue's socket; to the stack where there is none. Falls through to [`count`].
fn redirect(asm: &mut Assembler, sockets: MapId, count: Label) {
    asm.load_map(R1, sockets, "");
    asm.load(Size::Word, R2, R6, context::RX_QUEUE_INDEX, "the queue of this frame");
    asm.mov(R3, verdict::PASS, "where no socket is: to the stack");
    asm.call(Helper::RedirectMap, "");
    asm.mov(R7, R0, "the verdict");
    asm.mov(R8, counter::REDIRECTED, "count as redirected");
    asm.jump_if(Cond::Eq, R7, verdict::REDIRECT, count, "");
    asm.mov(R8, counter::NO_SOCKET, "count as without a socket");
}

/// R7 is the verdict, R8 the offset of its counter, R9 how many lack a stamp: adds to the counters of this
/// queue on this CPU (where no other frame is handled meanwhile) and ends.
fn count(asm: &mut Assembler, counters: MapId, is_stamping: bool, is_tagging: bool, place: Label) {
    let end = asm.label("end");
    asm.place(place);
    asm.load(Size::Word, R1, R6, context::RX_QUEUE_INDEX, "");
    asm.store(Size::Word, R10, -4, R1, "key: the queue");
    asm.load_map(R1, counters, "");
    asm.mov(R2, R10, "");
    asm.add(R2, -4, "");
    asm.call(Helper::MapLookup, "counters of this queue on this CPU");
    asm.jump_if(Cond::Eq, R0, 0, end, "a queue we were not told of");
    if is_stamping {
        asm.load(Size::Double, R1, R0, counter::UNSTAMPED as i16, "");
        asm.add(R1, R9, "");
        asm.store(Size::Double, R0, counter::UNSTAMPED as i16, R1, "");
    }
    if is_tagging {
        from_driver::count_lost_tag(asm, counter::UNTAGGED as i16);
    }
    // Adding R8 to the pointer would do, but without CAP_PERFMON the verifier refuses offsets that differ
    // from way to way.
    for (offset, name) in counter::EXCLUSIVE {
        let next = asm.label(format!("not_{name}"));
        asm.jump_if(Cond::Ne, R8, offset, next, "");
        asm.load(Size::Double, R1, R0, offset as i16, name);
        asm.add(R1, 1, "");
        asm.store(Size::Double, R0, offset as i16, R1, "");
        asm.jump(end, "");
        asm.place(next);
    }
    asm.place(end);
    if is_tagging {
        from_driver::take_tag_out(asm);
    }
    asm.mov(R0, R7, "the verdict");
    asm.exit("");
}
