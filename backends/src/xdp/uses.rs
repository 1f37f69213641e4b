//! Whether packets may be taken away from the host.
//!
//! Owns the refusal. Opens nothing. Its one invariant: an interface that the host uses is taken only when
//! somebody insists, the first time and each time it comes back.

use netscope_bpf::xdp::Unmatched;

use super::options::XdpOptions;
use crate::{BackendError, nic};

/// Refuses an interface that the host uses, unless the options insist; then nothing is asked.
///
/// # Errors
/// [`BackendError::Used`] with what it is used for, what would be lost and what to do;
/// [`BackendError::Interface`] when it is not there or cannot be asked for.
pub fn refuse_used(options: &XdpOptions) -> Result<(), BackendError> {
    if options.insist {
        return Ok(());
    }
    let uses = nic::uses(&options.interface)?;
    if uses.is_empty() {
        return Ok(());
    }
    let interface = options.interface.clone();
    let uses: Vec<String> = uses.iter().map(ToString::to_string).collect();
    let lost = match (&options.filter, options.unmatched) {
        (Some(_), Unmatched::Pass) => "the packets that match the filter",
        _ => "all packets received there",
    };
    let what = format!(
        "{}: --backend xdp would take {lost} away from this host, and its connections over {interface} would break; use --backend tpacket, \
         which only copies, or insist with --xdp-insist (xdp.insist)",
        uses.join(", ")
    );
    Err(BackendError::Used { interface, what })
}
