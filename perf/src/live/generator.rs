//! The generator inside the kernel: BPF_PROG_TEST_RUN with live frames runs the program of `program.rs`, and
//! the kernel really transmits what it makes.
//!
//! Owns the loaded program and its counters. Knows nothing of who receives. Its one invariant: every frame
//! that was made is counted once, as sent, as undelivered or as refused.

use super::load::Load;
use super::pace::Pace;
use super::program::{GeneratorState, HandOn, program};
use super::rig::{InterfaceCounters, RECEIVER, SENDER};
use super::schedstat::RunTime;
use netscope_backends::bpf::{Ingress, Loaded, Mode, XdpLink};
use netscope_bpf::MapId;
use nix::net::if_::if_nametoindex;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Frames that the kernel handles in one go; as many as a veth's ring holds.
const BATCH: u32 = 64;
/// How long frames may be on their way after the last one was made.
const SETTLE: Duration = Duration::from_millis(200);

/// The way a load takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// Sent by [`SENDER`], received by [`RECEIVER`]'s driver: for native XDP. Frames vanish unless an XDP
    /// program is attached to the receiver or its `gro` is on.
    Wire,
    /// Handed to the stack as if [`RECEIVER`] had received them: for AF_PACKET and generic XDP. The driver
    /// sees nothing of them.
    Stack,
}

/// What came of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offered {
    /// Frames that reached the receiving interface, or the stack.
    pub sent: u64,
    /// Frames that were made and that the kernel could not deliver: the wire's own queue was full, or its
    /// other end was closed. The receiver cannot know of them.
    pub undelivered: u64,
    /// Runs of the program that made no frame; 0 unless something is wrong.
    pub refused: u64,
    /// From the first frame to the last.
    pub elapsed: Duration,
    /// What the sending thread used of its processor meanwhile. The kernel's receiving side runs in it, too.
    pub run_time: RunTime,
    /// True where the rate was not kept: then it was not offered.
    pub is_late: bool,
}

impl Offered {
    /// Frames a second that reached the receiving interface.
    pub fn rate(&self) -> f64 {
        self.sent as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// Frames a second that were made.
    pub fn rate_made(&self) -> f64 {
        (self.sent + self.undelivered) as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

/// A load ready to be offered in the namespace it was made in, by the thread it was made in.
pub struct LoadGenerator {
    load: Load,
    via: Via,
    loaded: Loaded,
    template: Vec<u8>,
    ingress: Ingress,
    /// Keeps the program in the kernel's list of attached ones. Without it each run would put it there and
    /// take it out again, waiting for all processors twice (some ms): no pace could be kept.
    _attached: XdpLink,
}

impl LoadGenerator {
    /// Loads the program. The calling thread must be inside the rig ([`super::Rig::enter`]); needs CAP_BPF
    /// and CAP_NET_ADMIN.
    ///
    /// # Errors
    /// An impossible load, no rig, or what the kernel refuses.
    pub fn new(load: &Load, via: Via) -> Result<Self, String> {
        load.check()?;
        let index = |name: &str| if_nametoindex(name).map_err(|error| format!("interface {name}: {error}"));
        let ingress = Ingress { ifindex: index(RECEIVER)?, queue: 0 };
        let hand_on = match via {
            Via::Wire => HandOn::Redirect(index(SENDER)?),
            Via::Stack => HandOn::Pass,
        };
        let program = program(load, hand_on).map_err(|error| error.to_string())?;
        let loaded = Loaded::load(&program).map_err(|error| error.to_string())?;
        // Where nothing ever arrives: at the sender, or (an MTU too large for its driver) at the loopback,
        // which is down.
        let attached = XdpLink::attach(&loaded, SENDER, index(SENDER)?, Mode::Native)
            .or_else(|_refusal| XdpLink::attach(&loaded, "lo", index("lo")?, Mode::Generic).map_err(|error| error.to_string()))?;
        Ok(Self { _attached: attached, load: *load, via, loaded, template: load.template(), ingress })
    }

    /// The next frame is the one at `position` of the load.
    ///
    /// # Errors
    /// When the kernel refuses to set the state.
    pub fn seek(&self, position: u64) -> Result<(), String> {
        self.set(GeneratorState::at(&self.load, position))
    }

    /// Makes one frame without sending it.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn make_one(&self) -> Result<Vec<u8>, String> {
        let run = self.loaded.test_run(&self.template, Some(self.ingress), 1).map_err(|error| error.to_string())?;
        Ok(run.data)
    }

    /// Offers the load at `pace`, from where it stands. Blocks.
    ///
    /// # Errors
    /// When the kernel refuses a run, or makes no frames.
    pub fn run(&self, pace: &Pace) -> Result<Offered, String> {
        let before = self.state()?;
        self.set(GeneratorState { handed_on: 0, refused: 0, ..before })?;
        let interface_before = self.interfaces()?;
        let run_time = RunTime::of_this_thread()?;
        let mut paced = pace.start();
        while let Some(count) = paced.wait() {
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            let batch = count.min(BATCH);
            self.loaded.run_live(&self.template, self.ingress, count, batch).map_err(|error| error.to_string())?;
            paced.sent(u64::from(count));
        }
        let (elapsed, run_time) = (paced.elapsed(), RunTime::of_this_thread()?.since(&run_time));
        let GeneratorState { handed_on, refused, .. } = self.state()?;
        let undelivered = self.undelivered(handed_on, interface_before)?;
        let sent = handed_on.checked_sub(undelivered).ok_or("the interface counts more drops than frames were made")?;
        Ok(Offered { sent, undelivered, refused, elapsed, run_time, is_late: paced.is_late() })
    }

    /// Frames handed on that did not arrive: those the sending interface counts as dropped, and those that
    /// nobody counts.
    fn undelivered(&self, handed_on: u64, before: [InterfaceCounters; 2]) -> Result<u64, String> {
        if self.via == Via::Stack {
            return Ok(0); // a frame that the stack cannot take makes the run fail
        }
        let start = Instant::now();
        loop {
            let [receiver, sender] = self.interfaces()?;
            let (arrived, dropped) = (receiver.since(&before[0]).received, sender.since(&before[1]).send_drops);
            if arrived + dropped >= handed_on || start.elapsed() > SETTLE {
                return Ok(handed_on.saturating_sub(arrived));
            }
            sleep(Duration::from_millis(1));
        }
    }

    fn interfaces(&self) -> Result<[InterfaceCounters; 2], String> {
        Ok([InterfaceCounters::of(RECEIVER)?, InterfaceCounters::of(SENDER)?])
    }

    fn map(&self) -> Result<&netscope_backends::bpf::Map, String> {
        self.loaded.map(MapId(0)).ok_or_else(|| "the generator has no state".to_owned())
    }

    fn state(&self) -> Result<GeneratorState, String> {
        let value = self.map()?.lookup(&0_u32.to_ne_bytes()).map_err(|error| error.to_string())?;
        value
            .and_then(|bytes| GeneratorState::from_bytes(&bytes))
            .ok_or_else(|| "the generator's state cannot be read".to_owned())
    }

    fn set(&self, state: GeneratorState) -> Result<(), String> {
        self.map()?.update(&0_u32.to_ne_bytes(), &state.to_bytes()).map_err(|error| error.to_string())
    }
}
