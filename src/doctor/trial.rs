//! Which XDP modes a driver really takes: tried, and undone at once.
//!
//! Owns the trial and when it is not made. Captures nothing: the program that is attached passes every packet to the host. Its one
//! invariant: nothing stays attached, since a link goes with its descriptor.

use super::facts::Process;
use netscope_backends::BackendError;
use netscope_backends::bpf::{Loaded, Mode, XdpLink};
use netscope_backends::nic::Nic;
use netscope_backends::xdp::{self, XdpMode, XdpOptions};
use netscope_bpf::classic::FilterError;
use netscope_bpf::xdp::{XdpParts, XdpProgram};

/// Enough for the receive ring of any card.
const TRIAL_FRAMES: u32 = 8192;
/// Frames that nobody sends (EtherType "local experimental 2"), so that all others go on to the host while the socket is there.
const NOBODYS_FRAMES: &str = "ether proto 0x88b6";

/// What one mode came to: taken, or what the kernel said.
pub type Outcome = Result<(), String>;

/// What was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trial {
    /// Nothing, because of this.
    Skipped(String),
    /// A program was attached in each mode and taken off again.
    Tried {
        /// In the driver.
        native: Outcome,
        /// In the stack.
        generic: Outcome,
        /// AF_XDP without a copy; none where native programs are refused or the link is down.
        zero_copy: Option<Outcome>,
    },
}

/// The program that AF_XDP capture loads, for this many queues.
pub fn program(queues: u32) -> Result<XdpProgram, FilterError> {
    XdpProgram::new(&XdpParts { queues, frags: true, ..XdpParts::default() })
}

/// Why the modes should not be tried on this interface.
fn reason_not_to(nic: &Nic, process: Process, insist: bool) -> Option<String> {
    if !nic.xdp.is_empty() {
        return Some("an XDP program is attached, and it is not ours to replace".to_owned());
    }
    if !(process.net_admin && process.bpf) {
        return Some("that needs CAP_NET_ADMIN and CAP_BPF".to_owned());
    }
    if let (Some(used), false) = (nic.uses.first(), insist) {
        return Some(format!("it {used}, and some drivers restart the link; `--try-xdp` tries all the same"));
    }
    None
}

/// Tries the modes unless there is a reason not to.
pub fn try_modes(nic: &Nic, process: Process, insist: bool) -> Trial {
    if let Some(reason) = reason_not_to(nic, process, insist) {
        return Trial::Skipped(reason);
    }
    let queues = u32::try_from(nic.queues.len()).unwrap_or(1).max(1);
    let loaded = match program(queues).map_err(|error| error.to_string()) {
        Ok(program) => Loaded::load(program.program()).map_err(|error| error.to_string()),
        Err(error) => Err(error),
    };
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(error) => return Trial::Skipped(format!("the program could not be loaded: {error}")),
    };
    // No socket is in the program's map, so it passes every packet on. The link ends as it is dropped.
    let attach = |mode| XdpLink::attach(&loaded, &nic.name, nic.index, mode).map(drop).map_err(|error| error.to_string());
    let (native, generic) = (attach(Mode::Native), attach(Mode::Generic));
    let zero_copy = (native.is_ok() && nic.up).then(|| zero_copy(&nic.name));
    Trial::Tried { native, generic, zero_copy }
}

/// Binds a socket without copying to the first queue, and closes it.
fn zero_copy(interface: &str) -> Outcome {
    let options = XdpOptions {
        interface: interface.to_owned(),
        queues: Some(vec![0]),
        mode: XdpMode::ZeroCopy,
        frame_count: TRIAL_FRAMES,
        filter: Some(NOBODYS_FRAMES.to_owned()),
        promiscuous: false,
        insist: true, // nobody's frames are taken
        reopen: false,
        ..XdpOptions::default()
    };
    xdp::open(options).map(drop).map_err(|error| match error {
        BackendError::Interface { what, .. } => what,
        other => other.to_string(),
    })
}
