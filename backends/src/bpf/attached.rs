//! Who is attached to an interface.
//!
//! Owns naming the XDP programs that rtnetlink counts up. Knows nothing of attaching. Its one invariant: it
//! only asks.

use std::io;
use std::os::fd::AsFd;

use super::{link, sys};
use crate::BackendError;
use crate::nic::{self, AttachMode};

/// `BPF_LINK_TYPE_XDP`
const LINK_TYPE_XDP: u32 = 6;

/// A program that is attached to an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// Its number, as `bpftool prog show id` takes it.
    pub id: u32,
    /// Its name; `None` where the kernel does not tell us (that needs CAP_SYS_ADMIN).
    pub name: Option<String>,
    /// How it is attached.
    pub mode: AttachMode,
    /// The link that holds it, as `bpftool link show id` takes it; `None` for none, or where the kernel does
    /// not tell us.
    pub link: Option<u32>,
}

impl Attached {
    /// The command that takes it away.
    pub fn cure(&self, interface: &str) -> String {
        let mode = match self.mode {
            AttachMode::Native => "xdpdrv",
            AttachMode::Generic => "xdpgeneric",
            AttachMode::Offload => "xdpoffload",
        };
        match self.link {
            Some(link) => format!("bpftool link detach id {link}"),
            None => format!("ip link set dev {interface} {mode} off"),
        }
    }
}

impl std::fmt::Display for Attached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { id, name, mode, link } = self;
        write!(f, "{} (id {id}, {mode}", name.as_deref().unwrap_or("of unknown name"))?;
        match link {
            Some(link) => write!(f, ", held by BPF link {link})"),
            None => write!(f, ")"),
        }
    }
}

/// The XDP programs at an interface of this network namespace, whoever attached them.
///
/// # Errors
/// No such interface, or rtnetlink fails.
pub fn programs_at(interface: &str) -> Result<Vec<Attached>, BackendError> {
    let attached = nic::attached_xdp(interface)?;
    let name = |id| program_name(id).ok();
    // Whoever may not look at links still learns id and mode.
    let link = |id| link_of(id).ok().flatten();
    Ok(attached
        .into_iter()
        .map(|at| Attached { id: at.program_id, name: name(at.program_id), mode: at.mode, link: link(at.program_id) })
        .collect())
}

/// The name of the program with this number.
///
/// # Errors
/// No such program, or no right to look at it (CAP_SYS_ADMIN).
pub fn program_name(id: u32) -> io::Result<String> {
    let descriptor = sys::prog_by_id(id)?;
    // `struct bpf_prog_info`: the name begins at byte 64.
    let mut words = [0_u64; 10];
    sys::object_info(descriptor.as_fd(), &mut words)?;
    let bytes: Vec<u8> = words.iter().skip(8).flat_map(|word| word.to_ne_bytes()).take_while(|byte| *byte != 0).collect();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The XDP link that holds a program.
fn link_of(program: u32) -> io::Result<Option<u32>> {
    let mut last = 0;
    while let Some(id) = sys::link_id_after(last)? {
        last = id;
        // A link may be gone between the two calls.
        let Ok(descriptor) = sys::link_by_id(id) else { continue };
        let [(kind, _), (held, _), _] = link::link_info(descriptor.as_fd())?;
        if kind == LINK_TYPE_XDP && held == program {
            return Ok(Some(id));
        }
    }
    Ok(None)
}
