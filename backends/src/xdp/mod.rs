//! Live capture by AF_XDP: packets from the driver straight into memory of ours
//! (Documentation/networking/af_xdp.rst of Linux).
//!
//! Owns the public interface. Knows no protocol. Its one invariant: a frame of the packet memory is the kernel's or ours,
//! never both.
//!
//! An XDP program at the interface hands each packet that matches the filter to the socket of its receive
//! queue; the host's own stack does not see it any more. One socket, one memory and one backend for each
//! queue.
//!
//! | file | owns |
//! |---|---|
//! | `index` | positions in a ring; safe and pure |
//! | `frames` | whose each frame is; safe and pure |
//! | `join` | packets in several frames; safe and pure |
//! | `receive` | rx ring to visitor to fill ring; safe, the kernel behind a trait |
//! | `time` | what a packet's time is; safe and pure |
//! | `pace` | how to wait; safe and pure |
//! | `map` | memory shared with the kernel |
//! | `socket`, `promiscuous` | the system calls |
//! | `attach` | the program at the interface |
//! | `tags` | which VLAN tags will be missing, and the cure |
//! | `asked` | what its driver is asked about each packet |
//! | `open`, `explain` | the steps of opening, and what to say when one fails |
//! | `uses` | whether packets may be taken away from the host |
//! | `tally` | what the program counted for one socket; safe and pure |
//! | `group` | all queues of an interface, and their coming back |
//! | `backend` | waiting, lending, counting |

mod asked;
mod attach;
mod backend;
mod explain;
mod frames;
mod group;
mod index;
mod join;
mod level;
mod map;
mod open;
mod options;
mod pace;
mod promiscuous;
mod receive;
mod socket;
mod tags;
mod tally;
#[cfg(test)]
mod tests;
mod time;
mod uses;

use std::sync::Arc;

pub use backend::XdpBackend;
pub use netscope_bpf::xdp::Unmatched;
pub use options::{BusyPoll, HugePageUse, Times, XdpMode, XdpOptions};
pub use pace::{NAP_MAX, NAP_MIN};
pub use tags::{LostTags, lost_tags};
pub use uses::refuse_used;

use crate::BackendError;
use group::QueueGroup;
use open::XdpOpener;
use socket::Seam;

/// An opened interface.
pub struct Opened {
    /// One backend per queue, in the order of the queues.
    pub queues: Vec<XdpBackend>,
    /// What a person should know: how packets are handed over, each fallback with its reason, what will not
    /// be seen.
    pub said: Vec<String>,
}

/// Opens the interface: attaches the program, opens a socket for each queue.
///
/// # Errors
/// [`BackendError::Interface`] saying what to do: settings that cannot be, no permission, an unknown
/// interface (listing the known ones), one that is down or no Ethernet, an XDP program that is there already
/// (named; it is never replaced), a queue that is not there or taken, memory that cannot be had or locked, a
/// kernel that lacks something. [`BackendError::Filter`] when the filter does not compile,
/// [`BackendError::Used`] when the host uses the interface and the options do not insist.
pub fn open(options: XdpOptions) -> Result<Opened, BackendError> {
    open_by(XdpOpener::new(options, Seam::default())?)
}

fn open_by(opening: XdpOpener) -> Result<Opened, BackendError> {
    let mut said = Vec::new();
    let (prepared, first, queues) = opening.interface(None, &mut said)?;
    let prepared = Arc::new(prepared);
    let mut sockets = vec![first];
    for queue in queues.iter().skip(1) {
        sockets.push(opening.queue(&prepared, *queue)?);
    }
    // Only now, and together: the capture begins on all queues at once, and until then the host has every
    // packet.
    for socket in &sockets {
        prepared.attachment.direct(socket)?;
    }
    for (number, socket) in sockets.iter_mut().enumerate() {
        socket.base = prepared.attachment.tally(socket.queue, number == 0)?.begin();
    }
    let group = Arc::new(QueueGroup::new(opening, queues, &prepared, said.clone()));
    let backends = sockets
        .into_iter()
        .enumerate()
        .map(|(number, socket)| XdpBackend::new(Arc::clone(&group), number, Arc::clone(&prepared), socket));
    Ok(Opened { queues: backends.collect(), said })
}
