//! What can go wrong with BPF: which call, on what, why, and what to do about it.

use std::io;

use netscope_bpf::AssembleError;
use netscope_bpf::classic::FilterError;

use super::Attached;
use crate::BackendError;

/// Why a BPF call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BpfError {
    /// A call failed; `advice` says what to do, or is empty.
    #[error("{call} ({on}): {source}{advice}")]
    Call {
        /// What we tried.
        call: &'static str,
        /// On which map, program or interface.
        on: String,
        /// What to do, with a leading separator.
        advice: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The verifier does not accept the program.
    #[error("the kernel's verifier refuses program {program}: {reason}")]
    Verifier {
        /// Its name.
        program: String,
        /// The line that says why.
        reason: String,
        /// Everything it said.
        log: String,
        /// The error code that came with it.
        source: io::Error,
    },
    /// Another XDP program is there. It is never replaced.
    #[error(
        "interface {interface} already runs the XDP program {}, which is never replaced; end its owner, or take it away: {}",
        joined(.attached, ToString::to_string),
        joined(.attached, |program| program.cure(interface))
    )]
    Occupied {
        /// The interface.
        interface: String,
        /// Who is there.
        attached: Vec<Attached>,
        /// The error code that told.
        source: io::Error,
    },
    /// The program is not complete.
    #[error("program {program}: {source}")]
    Assemble {
        /// Its name.
        program: String,
        /// What is missing.
        source: AssembleError,
    },
    /// The filter cannot run in the driver; it can in user space.
    #[error("the filter cannot run in the driver: {0}")]
    Filter(#[from] FilterError),
    /// A key or value has another length than the map's.
    #[error("map {map}: a {what} has {expected} bytes, not {given}")]
    Length {
        /// The map.
        map: String,
        /// Key or value.
        what: &'static str,
        /// What the map has.
        expected: usize,
        /// What was given.
        given: usize,
    },
}

fn joined(attached: &[Attached], text: impl Fn(&Attached) -> String) -> String {
    attached.iter().map(text).collect::<Vec<_>>().join(" and ")
}

impl BpfError {
    /// A failed call, with advice where the error code has one cause.
    pub(super) fn call(call: &'static str, on: impl Into<String>, source: io::Error) -> Self {
        let advice = match source.raw_os_error() {
            // JUSTIFICATION: the standard library does not say who we are.
            // SAFETY: geteuid(2) takes nothing and cannot fail.
            Some(libc::EPERM) if unsafe { libc::geteuid() } == 0 => {
                "; root lacks CAP_BPF, CAP_NET_ADMIN or CAP_NET_RAW here, or (before Linux 5.11) needs a larger `ulimit -l`"
            }
            Some(libc::EPERM | libc::EACCES) => "; run as root or with CAP_BPF, CAP_NET_ADMIN and CAP_NET_RAW",
            Some(libc::ENOMEM) => "; not enough memory: smaller rings or maps, or (before Linux 5.11) a larger `ulimit -l`",
            Some(libc::ENOSYS) => "; this kernel is built without BPF",
            Some(libc::EMFILE) => "; too many open files: raise `ulimit -n`",
            Some(libc::E2BIG) => "; this kernel does not know an option used here: it is too old for it",
            _ => "",
        };
        Self::Call { call, on: on.into(), advice: advice.to_owned(), source }
    }

    pub(super) fn with_advice(call: &'static str, on: impl Into<String>, advice: &str, source: io::Error) -> Self {
        Self::Call { call, on: on.into(), advice: format!("; {advice}"), source }
    }

    /// The error code of the kernel, if one is behind this.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Call { source, .. } | Self::Verifier { source, .. } | Self::Occupied { source, .. } => source.raw_os_error(),
            Self::Assemble { .. } | Self::Filter(_) | Self::Length { .. } => None,
        }
    }

    /// As an error of a source on `interface`.
    pub fn on_interface(&self, interface: &str) -> BackendError {
        BackendError::Interface { interface: interface.to_owned(), what: self.to_string() }
    }
}
