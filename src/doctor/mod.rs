//! What a person has to know before capturing from an interface (`netscope doctor`).
//!
//! Owns three steps that stay apart: facts are gathered, a pure function judges them, and both are shown as text or JSON. Knows no flow and no
//! capture. Its one invariant: it leaves the machine as it found it.

#[cfg(target_os = "linux")]
mod facts;
#[cfg(target_os = "linux")]
mod holders;
#[cfg(target_os = "linux")]
mod json;
#[cfg(target_os = "linux")]
mod judge;
#[cfg(target_os = "linux")]
mod text;
#[cfg(target_os = "linux")]
mod trial;

use netscope_backends::BackendError;
use std::io::{self, Write};

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoctorSettings {
    /// The interface; the first that is up where none is named.
    pub interface: Option<String>,
    /// Troubles are told to the caller.
    pub check: bool,
    /// One JSON object instead of text.
    pub json: bool,
    /// The listing of the XDP program instead of facts.
    pub show_xdp: bool,
    /// Try XDP modes also on an interface the host uses.
    pub try_xdp: bool,
}

/// Why nothing could be said.
#[derive(Debug, thiserror::Error)]
pub enum DoctorError {
    /// The interface is not there, or the kernel does not answer.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The XDP program cannot be put together.
    #[error("the XDP program cannot be put together")]
    Program(#[from] netscope_bpf::classic::FilterError),
    /// What was found could not be written.
    #[error("cannot write what was found")]
    Write(#[from] io::Error),
    /// Not one interface.
    #[error("any stands for all interfaces, and doctor looks at one of them; `netscope --list-interfaces` names them")]
    Any,
    /// Only Linux is looked at.
    #[error("`netscope doctor` looks at Linux interfaces; here, `netscope --list-interfaces` names what can be captured from")]
    System,
}

/// Looks at an interface and writes what was found. False when there are troubles and they were asked for.
///
/// # Errors
/// An unknown interface, or `out` fails.
#[cfg(target_os = "linux")]
pub fn run(settings: &DoctorSettings, out: &mut impl Write) -> Result<bool, DoctorError> {
    if settings.show_xdp {
        let queues = match &settings.interface {
            Some(interface) => netscope_backends::nic::rx_queue_count(interface)?.unwrap_or(1),
            None => 1,
        };
        out.write_all(trial::program(queues)?.listing().as_bytes())?;
        out.flush()?;
        return Ok(true);
    }
    let interface = match &settings.interface {
        Some(interface) => interface.clone(),
        None => netscope_backends::pcap::default_interface()?,
    };
    let interface = interface.as_str();
    if interface == "any" {
        return Err(DoctorError::Any);
    }
    let facts = facts::Facts::gather(interface, settings.try_xdp)?;
    let findings = judge::judge(&facts);
    if settings.json {
        json::write(out, &facts, &findings)?
    } else {
        text::write(out, &facts, &findings)?
    }
    out.flush()?;
    Ok(!settings.check || findings.iter().all(|finding| finding.mark != judge::Mark::Trouble))
}

/// Says that it cannot.
///
/// # Errors
/// Always [`DoctorError::System`].
#[cfg(not(target_os = "linux"))]
pub fn run(_settings: &DoctorSettings, _out: &mut impl Write) -> Result<bool, DoctorError> {
    Err(DoctorError::System)
}
