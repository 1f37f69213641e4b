//! Attaching to an interface.
//!
//! Owns the link that holds a program at an interface, and finds out who else is there. Knows no sockets. Its
//! one invariant: a program that is already there is never replaced, and ours goes when the [`XdpLink`] is
//! dropped or the process ends, however it ends.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use super::{BpfError, Loaded, attached, sys};

/// How a program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In the driver, before a buffer of the kernel's exists.
    Native,
    /// In the kernel's receive path; every interface can.
    Generic,
}

impl Mode {
    /// `XDP_FLAGS_*` of linux/if_link.h.
    const fn flags(self) -> u32 {
        match self {
            Self::Generic => 1 << 1,
            Self::Native => 1 << 2,
        }
    }

    /// For a person.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Generic => "generic",
        }
    }
}

/// Holds a program at an interface.
#[derive(Debug)]
pub struct XdpLink {
    descriptor: OwnedFd,
    mode: Mode,
    id: u32,
}

/// What the kernel says of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkState {
    /// The program it holds.
    pub program_id: u32,
    /// The interface; 0 once it is gone or the link was detached.
    pub ifindex: u32,
}

impl XdpLink {
    /// Attaches `program` to the interface `ifindex` of this network namespace. `interface` is its name, for
    /// errors.
    ///
    /// # Errors
    /// [`BpfError::Occupied`] with name and id of a program that is there; else what the driver refuses, with
    /// what to do.
    pub fn attach(program: &Loaded, interface: &str, ifindex: u32, mode: Mode) -> Result<Self, BpfError> {
        match sys::link_create_xdp(program.as_fd(), ifindex, mode.flags()) {
            Ok(descriptor) => {
                let mut link = Self { descriptor, mode, id: 0 };
                link.id = link.info().map_err(|error| BpfError::call("asking for the XDP link", interface, error))?[0].1;
                Ok(link)
            }
            Err(error) => Err(refusal(interface, mode, error)),
        }
    }

    /// [`Mode::Native`], else [`Mode::Generic`] with the reason why the driver did not want it.
    ///
    /// # Errors
    /// As [`XdpLink::attach`]. Where another program is there, generic mode is not tried.
    pub fn attach_best(program: &Loaded, interface: &str, ifindex: u32) -> Result<(Self, Option<BpfError>), BpfError> {
        match Self::attach(program, interface, ifindex, Mode::Native) {
            Ok(link) => Ok((link, None)),
            Err(error @ BpfError::Occupied { .. }) => Err(error),
            Err(why) => Self::attach(program, interface, ifindex, Mode::Generic).map(|link| (link, Some(why))),
        }
    }

    /// How it is attached.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// The link's number, as `bpftool link show id` takes it.
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// Where the link is now: [`LinkState::ifindex`] is 0 once the interface is gone or somebody detached the
    /// link.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn state(&self) -> Result<LinkState, BpfError> {
        let words = self.info().map_err(|error| BpfError::call("asking for the XDP link", self.id.to_string(), error))?;
        Ok(LinkState { program_id: words[1].0, ifindex: words[2].0 })
    }

    /// Replaces our own program by another of ours, without a gap.
    ///
    /// # Errors
    /// What the driver refuses.
    pub fn replace(&self, program: &Loaded) -> Result<(), BpfError> {
        sys::link_update(self.descriptor.as_fd(), program.as_fd())
            .map_err(|error| BpfError::call("replacing the XDP program", program.name(), error))
    }

    /// Detaches now; the link stays as an empty shell.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn detach(&self) -> Result<(), BpfError> {
        sys::link_detach(self.descriptor.as_fd())
            .map_err(|error| BpfError::call("detaching the XDP link", self.id.to_string(), error))
    }

    fn info(&self) -> io::Result<[(u32, u32); 3]> {
        link_info(self.descriptor.as_fd())
    }
}

/// `struct bpf_link_info` of an XDP link: (type, id), (program, nothing), (ifindex, nothing).
pub(super) fn link_info(link: std::os::fd::BorrowedFd<'_>) -> io::Result<[(u32, u32); 3]> {
    let mut words = [0_u64; 3];
    sys::object_info(link, &mut words)?;
    Ok(words.map(|word| {
        let bytes = word.to_ne_bytes();
        let half = |at: usize| bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |half| u32::from_ne_bytes(*half));
        (half(0), half(4))
    }))
}

fn refusal(interface: &str, mode: Mode, error: io::Error) -> BpfError {
    let call = match mode {
        Mode::Native => "attaching the XDP program in the driver",
        Mode::Generic => "attaching the XDP program in generic mode",
    };
    // EBUSY: one is there. EEXIST: one is there in the other mode. Both come for other reasons too, so ask
    // who it is.
    if matches!(error.raw_os_error(), Some(libc::EBUSY | libc::EEXIST))
        && let Ok(attached) = attached::programs_at(interface)
        && !attached.is_empty()
    {
        return BpfError::Occupied { interface: interface.to_owned(), attached, source: error };
    }
    let advice = match (error.raw_os_error(), mode) {
        (Some(libc::EOPNOTSUPP), Mode::Native) => "this driver cannot run XDP programs (or not with these settings)",
        (Some(libc::ERANGE), _) => "the MTU is too large for the driver's buffers: lower it, or take frames of several buffers",
        (Some(libc::ENOSPC), _) => {
            "not enough queues: on veth the other end must not have more send queues than this end has receive queues"
        }
        (Some(libc::ENODEV | libc::EINVAL), _) if attached::programs_at(interface).is_err() => {
            "no such interface in this network namespace"
        }
        (Some(libc::EBUSY), _) => "the interface is held by another XDP program or socket",
        (Some(libc::EINVAL), _) => {
            "the driver refuses the program: look at LRO (ethtool -K IF lro off), MTU and channels (ethtool -L); a kernel before Linux 5.9 has \
             no XDP links, which this needs"
        }
        _ => return BpfError::call(call, interface, error),
    };
    BpfError::with_advice(call, interface, advice, error)
}
